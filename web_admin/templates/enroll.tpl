% rebase('layout.tpl', title=t('enroll.title'), problem=problem)
<h1>{{t('enroll.title')}}</h1>
<div class="card">
% if problem:
<p class="notice bad" role="alert" id="code-problem">{{t('enroll.wrong')}}</p>
% end
% if image:
<ol class="steps">
<li>
<h2>{{t('enroll.scan')}}</h2>
<div class="scan">
<div class="qr" role="img" aria-label="{{t('enroll.image')}}">{{!image}}</div>
<div>
<p>{{t('enroll.or_type')}}</p>
<p class="key" id="key" translate="no">\\
% for group in key:
<span>{{group}}</span> \\
% end

</p>
<button type="button" class="quiet copy" data-copy="key" data-done="{{t('copy.done')}}" hidden>{{t('copy.button')}}</button>
<p class="hint">{{t('enroll.once')}}</p>
</div>
</div>
</li>
<li>
<h2>{{t('enroll.confirm')}}</h2>
% else:
<div>
<div>
<h2>{{t('enroll.confirm')}}</h2>
% end
<form class="line" method="post" action="/mfa/authenticators/{{factor.id}}/complete">
% include('form_fields.tpl', back='/mfa')
<div>
% include('code_field.tpl', with_recovery=False)
</div>
<button type="submit">{{t('enroll.button')}}</button>
</form>
% if image:
</li>
</ol>
% else:
</div>
</div>
% end
<p class="aside"><a href="/mfa">{{t('enroll.again')}}</a></p>
</div>
