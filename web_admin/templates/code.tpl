% rebase('layout.tpl', title=t('code.title'), problem=problem)
% expired = '&expired=1' if visit.query('expired') else ''
<div class="narrow card">
<h1>{{t('code.title')}}</h1>
<p class="lead">{{t('code.recovery_lead' if with_recovery else 'code.lead')}}</p>
% if problem:
<p class="notice bad" role="alert" id="code-problem">{{t('code.' + problem)}}</p>
% end
<form method="post" action="{{visit.path}}">
% include('form_fields.tpl', back='/')
% include('code_field.tpl')
<button type="submit">{{t('code.button')}}</button>
</form>
<p class="aside">
% if with_recovery:
<a href="/sign-in/code?code=1{{expired}}">{{t('code.use_app')}}</a>
% else:
<a href="/sign-in/code?recovery=1{{expired}}">{{t('code.use_recovery')}}</a>
% end
</p>
</div>
