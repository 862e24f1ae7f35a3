% rebase('layout.tpl', title=t('codes.renew'))
<div class="narrow card">
<h1>{{t('codes.renew')}}</h1>
<p class="lead">{{t('codes.renew_text')}}</p>
% include('ask.tpl', action='/mfa/recovery-codes', label=t('codes.renew'), cancel='/mfa', is_danger=False)
</div>
