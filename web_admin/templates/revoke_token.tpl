% rebase('layout.tpl', title=t('tokens.revoke_named', name=token.name))
<div class="narrow card">
<h1>{{t('tokens.revoke_named', name=token.name)}}</h1>
<p class="lead">{{t('tokens.revoke_text')}}</p>
% include('ask.tpl', action='/tokens/' + token.id + '/revoke', label=t('tokens.revoke'), cancel='/tokens', is_danger=True)
</div>
