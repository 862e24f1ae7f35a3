% rebase('layout.tpl', title=t('tokens.new'), problem=problems)
<h1>{{t('tokens.new')}}</h1>
<form class="card" method="post" action="/tokens/new">
% include('form_fields.tpl', back='/tokens/new')
% if 'form' in problems:
<p class="notice bad" role="alert">{{t('tokens.problem_limit')}}</p>
% end
<label for="name">{{t('tokens.name')}}</label>
<input id="name" name="name" value="{{given.name}}" required maxlength="64" autofocus aria-describedby="name-hint"{{!' aria-invalid="true"' if 'name' in problems else ''}}>
<p class="{{'problem' if 'name' in problems else 'hint'}}" id="name-hint">{{t('tokens.problem_name' if 'name' in problems else 'tokens.name_hint')}}</p>
<label for="days">{{t('tokens.life')}}</label>
<select id="days" name="days">
% for days in lives:
<option value="{{days}}"{{!' selected' if days == given.days else ''}}>{{n('tokens.days', days) if days else t('tokens.no_end')}}</option>
% end
</select>
% if 'days' in problems:
<p class="problem">{{t('tokens.problem_days')}}</p>
% end
<fieldset>
<legend>{{t('tokens.scope')}}</legend>
% for scope in scopes:
<label class="check"><input type="checkbox" name="scope" value="{{scope.value}}"{{!' checked' if scope in given.scopes else ''}}> <span><b>{{scope.value}}</b> {{t('tokens.scope_' + scope.value)}}</span></label>
% end
% if 'scope' in problems:
<p class="problem" role="alert">{{t('tokens.problem_scope')}}</p>
% end
</fieldset>
<label for="networks">{{t('tokens.networks')}}</label>
<input id="networks" name="networks" value="{{given.networks}}" maxlength="1000" placeholder="192.0.2.0/24, 2001:db8::/32" aria-describedby="networks-hint"{{!' aria-invalid="true"' if 'networks' in problems else ''}}>
<p class="{{'problem' if 'networks' in problems else 'hint'}}" id="networks-hint">{{t('tokens.problem_networks' if 'networks' in problems else 'tokens.networks_hint')}}</p>
<div class="actions">
<button type="submit">{{t('tokens.create')}}</button>
<a class="button" href="/tokens">{{t('ask.cancel')}}</a>
</div>
</form>
