% rebase('layout.tpl', title=t('menu.activity'))
<h1>{{t('menu.activity')}}</h1>
<div class="card">
<p>{{t('activity.what')}}</p>
% include('events.tpl')
</div>
% if cursor:
<p class="aside"><a class="button" href="/activity?after={{cursor}}">{{t('list.older')}}</a></p>
% end
