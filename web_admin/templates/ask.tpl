<form class="ask" method="post" action="{{action}}">
% include('form_fields.tpl', back=action)
<button type="submit" class="{{'danger' if is_danger else ''}}">{{label}}</button>
<a class="button" href="{{cancel}}">{{t('ask.cancel')}}</a>
</form>
