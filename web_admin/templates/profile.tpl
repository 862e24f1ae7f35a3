% rebase('layout.tpl', title=t('profile.title'))
<h1>{{t('profile.title')}}</h1>
<div class="tiles">
<section class="card tile">
<h2>{{t('menu.mfa')}}</h2>
% if factors:
<p><span class="badge good">{{t('mfa.on')}}</span></p>
<p>{{n('mfa.devices', len(factors))}}, {{n('mfa.codes_left', codes_left)}}</p>
<p><a class="button" href="/mfa">{{t('profile.manage')}}</a></p>
% else:
<p><span class="badge warn">{{t('mfa.off')}}</span></p>
<p>{{t('mfa.why')}}</p>
<p><a class="button main" href="/mfa">{{t('mfa.set_up')}}</a></p>
% end
</section>
<section class="card tile">
<h2>{{t('menu.tokens')}}</h2>
<p><span class="badge">{{n('tokens.count', len(tokens))}}</span></p>
<p>{{t('tokens.why')}}</p>
<p><a class="button" href="/tokens">{{t('profile.manage')}}</a></p>
</section>
</div>
<section class="card">
<h2>{{t('profile.recent')}}</h2>
% include('events.tpl')
<p class="aside"><a href="/activity">{{t('profile.all_activity')}}</a></p>
</section>
