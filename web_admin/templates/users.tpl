% from urllib.parse import quote, urlencode
% rebase('layout.tpl', title=t('menu.users'))
<h1>{{t('menu.users')}}</h1>
<form class="card filters" method="get" action="/admin/users">
<div><label for="name">{{t('users.name')}}</label>
<input id="name" name="name" type="search" value="{{prefix}}" maxlength="256" autocapitalize="none" aria-describedby="name-hint"></div>
<div><label for="state">{{t('users.state')}}</label>
<select id="state" name="state">
% for one in states:
<option value="{{one}}"{{!' selected' if one == state else ''}}>{{t('users.state_' + one)}}</option>
% end
</select></div>
<button type="submit">{{t('users.search')}}</button>
<p class="hint" id="name-hint">{{t('users.hint')}}</p>
</form>
<div class="card">
% if unmet:
<p>{{t('users.unmet')}} <a href="/admin/users/{{quote(unmet, safe='')}}">{{unmet}}</a></p>
% end
% if accounts:
<ul class="rows">
% for one in accounts:
<li><div><strong><a href="/admin/users/{{quote(one.name, safe='')}}">{{one.name}}</a></strong>
% include('account_badges.tpl', one=one)
</div></li>
% end
</ul>
% else:
<p class="empty">{{t('users.none')}}</p>
% end
</div>
% if after:
<p class="aside"><a class="button" href="/admin/users?{{urlencode({'name': prefix, 'state': state, 'after': after})}}">{{t('list.next')}}</a></p>
% end
