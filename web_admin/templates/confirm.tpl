% rebase('layout.tpl', title=t('confirm.title'), problem=problem)
<div class="narrow card">
<h1>{{t('confirm.title')}}</h1>
<p class="lead">{{t('confirm.lead_code' if asks_code else 'confirm.lead_password')}}</p>
% if problem == 'not_now':
<p class="notice bad" role="alert" id="code-problem">{{t('sign_in.not_now', span=span(wait))}}</p>
% elif problem:
<p class="notice bad" role="alert" id="code-problem">{{t('code.' + problem)}}</p>
% end
<form method="post" action="{{visit.path}}">
% include('form_fields.tpl', back=next)
% if asks_code:
% include('code_field.tpl', with_recovery=bool(visit.query('recovery')))
% else:
<input class="away" name="account" value="{{session.account}}" autocomplete="username" tabindex="-1" aria-hidden="true" readonly>
<label for="password">{{t('sign_in.password')}}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024" autofocus>
% end
<button type="submit">{{t('confirm.button')}}</button>
</form>
</div>
