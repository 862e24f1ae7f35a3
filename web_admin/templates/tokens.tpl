% rebase('layout.tpl', title=t('menu.tokens'))
<div class="head">
<h1>{{t('menu.tokens')}}</h1>
<a class="button main" href="/tokens/new">{{t('tokens.new')}}</a>
</div>
<div class="card">
<p>{{t('tokens.why')}}</p>
% include('token_list.tpl', revoke='/tokens/{id}/revoke')
</div>
% if len(tokens) > 1:
<p class="aside"><a class="button danger" href="/tokens/revoke-all">{{t('tokens.revoke_all')}}</a></p>
% end
