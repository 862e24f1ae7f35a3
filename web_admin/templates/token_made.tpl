% rebase('layout.tpl', title=t('token_made.title'))
<h1>{{t('token_made.title')}}</h1>
<div class="card">
<p class="notice good" role="status">{{t('token_made.once', name=token.name)}}</p>
<div class="secret">
<code id="token" translate="no">{{secret}}</code>
<button type="button" class="copy" data-copy="token" data-done="{{t('copy.done')}}" hidden>{{t('copy.button')}}</button>
</div>
% if 'sftp' in [scope.value for scope in token.scopes]:
<h2>{{t('token_made.use')}}</h2>
<p>{{t('token_made.how')}}</p>
<div class="secret">
<code id="example" translate="no">{{sftp}}</code>
<button type="button" class="quiet copy" data-copy="example" data-done="{{t('copy.done')}}" hidden>{{t('copy.button')}}</button>
</div>
% end
<p><a class="button main" href="/tokens">{{t('token_made.kept')}}</a></p>
</div>
