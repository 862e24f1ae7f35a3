% rebase('layout.tpl', title=t('mfa.remove_named', name=factor.name))
<div class="narrow card">
<h1>{{t('mfa.remove_named', name=factor.name)}}</h1>
<p class="lead">{{t('mfa.remove_last' if is_last else 'mfa.remove_text')}}</p>
% include('ask.tpl', action='/mfa/authenticators/' + factor.id + '/remove', label=t('mfa.remove'), cancel='/mfa', is_danger=True)
</div>
