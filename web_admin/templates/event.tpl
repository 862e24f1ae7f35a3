<li class="{{'bad' if event.event in ('login_denied', 'codes_locked', 'account_barred') else ''}}">
<div>
<strong>{{t('event.' + event.event) if has('event.' + event.event) else event.event}}</strong>
<small>
% if event.reason:
{{t('reason.' + event.reason) if has('reason.' + event.reason) else event.reason}} ·
% end
{{t('door.' + event.protocol) if has('door.' + event.protocol) else event.protocol}}\\
% if event.address:
 · {{event.address}}\\
% end
% if event.actor != event.account:
 · {{t('event.by', actor=event.actor)}}\\
% end

</small>
</div>
<time datetime="{{iso(event.at)}}">{{time(event.at)}}</time>
</li>
