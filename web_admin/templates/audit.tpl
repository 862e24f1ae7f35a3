% from urllib.parse import urlencode
% rebase('layout.tpl', title=t('menu.audit'), problem=problem)
% query = urlencode({key: value for key, value in given.items() if value})
<div class="head">
<h1>{{t('menu.audit')}}</h1>
<a class="button" href="/admin/audit.csv?{{query}}">{{t('audit.download')}}</a>
</div>
% if problem:
<p class="notice bad" role="alert">{{t('audit.problem')}}</p>
% end
<form class="card filters" method="get" action="/admin/audit">
<div><label for="account">{{t('audit.account')}}</label>
<input id="account" name="account" value="{{given['account']}}" maxlength="256" autocapitalize="none"></div>
<div><label for="event">{{t('audit.event')}}</label>
<select id="event" name="event">
<option value="">{{t('audit.any')}}</option>
% for kind in kinds:
<option value="{{kind.value}}"{{!' selected' if kind.value == given['event'] else ''}}>{{t('event.' + kind.value)}}</option>
% end
</select></div>
<div><label for="address">{{t('audit.address')}}</label>
<input id="address" name="address" value="{{given['address']}}" maxlength="64"></div>
<div><label for="since">{{t('audit.since')}}</label>
<input id="since" name="since" type="date" value="{{given['since']}}"></div>
<div><label for="until">{{t('audit.until')}}</label>
<input id="until" name="until" type="date" value="{{given['until']}}"></div>
<button type="submit">{{t('audit.filter')}}</button>
</form>
<div class="card">
% include('event_table.tpl')
</div>
% if cursor:
<p class="aside"><a class="button" href="/admin/audit?{{query + '&' if query else ''}}after={{cursor}}">{{t('list.older')}}</a></p>
% end
