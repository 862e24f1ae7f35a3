% rebase('layout.tpl', title=t('menu.sessions'))
<h1>{{t('menu.sessions')}}</h1>
<div class="card">
<p>{{t('sessions.what')}}</p>
<ul class="rows">
% for one in sessions:
<li>
<div>
<strong>{{t('door.' + one.protocol.value)}} · {{one.address or '-'}}</strong>
% if one.id == session.id:
<span class="badge good">{{t('sessions.this')}}</span>
% end
<small>{{t('sessions.seen', ago=ago(one.seen_at))}} · {{one.agent or t('sessions.no_agent')}}</small>
</div>
<form method="post" action="/sessions/{{one.id}}/end">
% include('form_fields.tpl', back='/sessions')
<button type="submit" class="danger" aria-label="{{t('sessions.end_named', address=one.address or '-')}}">{{t('sessions.end')}}</button>
</form>
</li>
% end
</ul>
</div>
% if len(sessions) > 1:
<form class="aside" method="post" action="/sessions/end-others">
% include('form_fields.tpl', back='/sessions')
<button type="submit" class="danger">{{t('sessions.end_others')}}</button>
</form>
% end
