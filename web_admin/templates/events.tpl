% if events:
<ul class="rows events">
% for event in events:
% include('event.tpl', event=event)
% end
</ul>
% else:
<p class="empty">{{t('activity.none')}}</p>
% end
