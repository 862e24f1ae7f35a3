% rebase('layout.tpl', title=t('sign_in.title'), problem=problem)
<div class="narrow card">
<h1>{{t('sign_in.title')}}</h1>
<p class="lead">{{t('sign_in.lead')}}</p>
% if problem == 'wrong':
<p class="notice bad" role="alert">{{t('sign_in.wrong')}}</p>
% elif problem == 'not_now':
<p class="notice bad" role="alert">{{t('sign_in.not_now', span=span(wait))}}</p>
% end
<form method="post" action="/sign-in">
% include('form_fields.tpl', back='/')
<label for="account">{{t('sign_in.account')}}</label>
<input id="account" name="account" value="{{account}}" autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false" required maxlength="256"{{!' autofocus' if not account else ''}}>
<label for="password">{{t('sign_in.password')}}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024"{{!' autofocus' if account else ''}}>
<button type="submit">{{t('sign_in.button')}}</button>
</form>
</div>
