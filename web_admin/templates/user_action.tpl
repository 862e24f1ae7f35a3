% from urllib.parse import quote
% rebase('layout.tpl', title=t('action.' + action))
% path = '/admin/users/' + quote(name, safe='')
<div class="narrow card">
<h1>{{t('action.' + action)}}</h1>
<p class="lead">{{t('action.' + action + '.text', name=name)}}</p>
<form class="ask" method="post" action="{{path}}/{{action}}">
% include('form_fields.tpl', back=visit.path)
<input type="hidden" name="id" value="{{id}}">
<button type="submit" class="{{'' if action in ('unlock', 'unbar') else 'danger'}}">{{t('action.' + action)}}</button>
<a class="button" href="{{path}}">{{t('ask.cancel')}}</a>
</form>
</div>
