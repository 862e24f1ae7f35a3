% rebase('layout.tpl', title=t('codes.title'))
<h1>{{t('codes.title')}}</h1>
<div class="card">
% if is_first:
<p class="notice good" role="status">{{t('codes.on_now')}}</p>
% end
<p>{{t('codes.what')}} {{t('codes.once')}}</p>
<ol class="codes" id="codes" translate="no">
% for code in codes:
<li>{{code}}</li>
% end
</ol>
<div class="actions">
<form method="post" action="/mfa/recovery-codes/download">
% include('form_fields.tpl', back='/mfa')
<input type="hidden" name="codes" value="{{' '.join(codes)}}">
<button type="submit" class="quiet">{{t('codes.download')}}</button>
</form>
<button type="button" class="quiet copy" data-copy="codes" data-done="{{t('copy.done')}}" hidden>{{t('copy.button')}}</button>
<button type="button" class="quiet print" hidden>{{t('codes.print')}}</button>
</div>
<p><a class="button main" href="/">{{t('codes.kept')}}</a></p>
</div>
