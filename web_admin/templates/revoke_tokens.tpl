% rebase('layout.tpl', title=t('tokens.revoke_all'))
<div class="narrow card">
<h1>{{t('tokens.revoke_all')}}</h1>
<p class="lead">{{n('tokens.revoke_all_text', len(tokens))}}</p>
% include('ask.tpl', action='/tokens/revoke-all', label=t('tokens.revoke_all'), cancel='/tokens', is_danger=True)
</div>
