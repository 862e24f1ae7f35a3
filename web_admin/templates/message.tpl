% rebase('layout.tpl', title=t('message.' + key + '.title', **values), problem=True)
<div class="narrow card">
<h1>{{t('message.' + key + '.title', **values)}}</h1>
<p class="lead">{{t('message.' + key + '.text', **values)}}</p>
<p><a class="button" href="/">{{t('message.back')}}</a></p>
</div>
