% rebase('layout.tpl', title=t('menu.mfa'), problem=problem)
<h1>{{t('menu.mfa')}}</h1>
% if problem:
<p class="notice bad" role="alert">{{t('mfa.problem_' + problem)}}</p>
% end
% if must:
<p class="notice" role="status">{{t('mfa.must')}}</p>
% end
% if factors:
<section class="card">
<h2>{{t('mfa.authenticators')}}</h2>
<ul class="rows">
% for factor in factors:
<li>
<div>
<strong>{{factor.name}}</strong>
<small>{{t('mfa.since', time=time(factor.completed_at))}} · \\
% if factor.last_used_at:
{{t('mfa.last_used', ago=ago(factor.last_used_at))}}\\
% else:
{{t('mfa.never_used')}}\\
% end

</small>
</div>
<a class="button danger" href="/mfa/authenticators/{{factor.id}}/remove" aria-label="{{t('mfa.remove_named', name=factor.name)}}">{{t('mfa.remove')}}</a>
</li>
% end
</ul>
</section>
<section class="card">
<h2>{{t('codes.title')}}</h2>
<p>{{n('mfa.codes_left', codes_left)}}. {{t('codes.what')}}</p>
<p><a class="button" href="/mfa/recovery-codes">{{t('codes.renew')}}</a></p>
</section>
% end
<section class="card">
<h2>{{t('mfa.add_another' if factors else 'mfa.set_up')}}</h2>
<p>{{t('mfa.how')}}</p>
<form class="line" method="post" action="/mfa/authenticators">
% include('form_fields.tpl', back='/mfa')
<div>
<label for="name">{{t('mfa.name')}}</label>
<input id="name" name="name" maxlength="64" placeholder="{{t('mfa.default_name')}}" aria-describedby="name-hint">
</div>
<button type="submit">{{t('mfa.begin')}}</button>
</form>
<p class="hint" id="name-hint">{{t('mfa.name_hint')}}</p>
</section>
