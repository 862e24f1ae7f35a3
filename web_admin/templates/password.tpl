% rebase('layout.tpl', title=t('password.title'), problem=problem)
<div class="narrow card">
<h1>{{t('password.title')}}</h1>
<p class="lead">{{t('password.expired' if expired else 'password.lead')}}</p>
% if problem == 'not_now':
<p class="notice bad" role="alert">{{t('sign_in.not_now', span=span(wait))}}</p>
% elif problem:
<p class="notice bad" role="alert">{{t('password.' + problem)}}\\
% if rules:
 <q lang="en">{{rules}}</q>\\
% end
</p>
% end
<form method="post" action="{{visit.path}}">
% include('form_fields.tpl', back='/password')
<input class="away" name="account" value="{{session.account}}" autocomplete="username" tabindex="-1" aria-hidden="true" readonly>
<label for="password">{{t('password.old')}}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024">
<label for="new_password">{{t('password.new')}}</label>
<input id="new_password" name="new_password" type="password" autocomplete="new-password" required maxlength="1024">
<label for="new_password_again">{{t('password.again')}}</label>
<input id="new_password_again" name="new_password_again" type="password" autocomplete="new-password" required maxlength="1024">
<button type="submit">{{t('password.button')}}</button>
</form>
</div>
