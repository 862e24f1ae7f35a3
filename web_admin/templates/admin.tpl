% rebase('layout.tpl', title=t('menu.admin'))
% share = adoption.adopted / adoption.accounts if adoption.accounts else 0
<h1>{{t('menu.admin')}}</h1>
<div class="tiles">
<section class="card tile">
<h2>{{t('admin.adoption')}}</h2>
<div class="chart">
<svg viewBox="0 0 42 42" width="120" height="120" role="img" aria-label="{{t('admin.share', percent=round(100 * share))}}">
<circle class="ring" cx="21" cy="21" r="15.9155" fill="none" stroke-width="5"/>
<circle class="share" cx="21" cy="21" r="15.9155" fill="none" stroke-width="5" stroke-dasharray="{{round(100 * share, 1)}} 100" transform="rotate(-90 21 21)"/>
<text x="21" y="23.5" text-anchor="middle" aria-hidden="true">{{round(100 * share)}} %</text>
</svg>
<ul class="legend">
<li class="share">{{n('admin.adopted', adoption.adopted)}}</li>
<li class="ring">{{n('admin.not_adopted', adoption.accounts - adoption.adopted)}}</li>
<li>{{n('admin.barred', adoption.barred)}}</li>
</ul>
</div>
<p><a class="button" href="/admin/users?state=not_adopted">{{t('admin.who_not')}}</a></p>
</section>
<section class="card tile">
<h2>{{t('admin.locked')}}</h2>
% if locked:
<ul class="rows">
% for account in locked:
<li><div><strong><a href="/admin/users/{{account.name}}">{{account.name}}</a></strong>
<small>{{t('users.locked_until', time=time(account.locked_until))}}</small></div></li>
% end
</ul>
% else:
<p class="empty">{{t('admin.none_locked')}}</p>
% end
</section>
</div>
<section class="card">
<h2>{{t('admin.denied')}}</h2>
% include('event_table.tpl', events=denied)
</section>
