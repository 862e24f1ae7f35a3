% if events:
<div class="scroll" tabindex="0" role="region" aria-label="{{t('audit.table')}}">
<table>
<thead><tr>
% for column in ('at', 'account', 'event', 'reason', 'actor', 'door', 'address'):
<th scope="col">{{t('audit.' + column)}}</th>
% end
</tr></thead>
<tbody>
% for event in events:
<tr>
<td data-label="{{t('audit.at')}}"><time datetime="{{iso(event.at)}}">{{time(event.at)}}</time></td>
<td data-label="{{t('audit.account')}}">\\
% if event.account:
<a href="/admin/users/{{event.account}}">{{event.account}}</a>\\
% else:
{{event.subject or '-'}}\\
% end
</td>
<td data-label="{{t('audit.event')}}">{{t('event.' + event.event) if has('event.' + event.event) else event.event}}</td>
<td data-label="{{t('audit.reason')}}"{{!'' if event.reason or event.factor_id else ' class="none"'}}>
<span>
% if event.reason:
{{t('reason.' + event.reason) if has('reason.' + event.reason) else event.reason}}
% end
% if event.factor_id:
<code translate="no">{{event.factor_id}}</code>
% end
</span></td>
<td data-label="{{t('audit.actor')}}">{{event.actor}}</td>
<td data-label="{{t('audit.door')}}">{{t('door.' + event.protocol) if has('door.' + event.protocol) else event.protocol}}</td>
<td data-label="{{t('audit.address')}}"{{!'' if event.address else ' class="none"'}}>{{event.address or ''}}</td>
</tr>
% end
</tbody>
</table>
</div>
% else:
<p class="empty">{{t('activity.none')}}</p>
% end
