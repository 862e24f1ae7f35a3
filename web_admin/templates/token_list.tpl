% if tokens:
<ul class="rows">
% for token in tokens:
<li>
<div>
<strong>{{token.name}}</strong> <code translate="no">smfa_{{token.id}}…</code>
% for scope in token.scopes:
<span class="badge">{{scope.value}}</span>
% end
% if token.expires_at and token.expires_at <= now:
<span class="badge warn">{{t('tokens.expired')}}</span>
% end
<small>
% if token.expires_at is None:
{{t('tokens.no_end')}}\\
% else:
{{t('tokens.until', time=time(token.expires_at))}}\\
% end
% if token.networks:
 · {{t('tokens.only_from', networks=', '.join(token.networks))}}\\
% end
 · \\
% if token.last_used_at:
{{t('tokens.last_used', ago=ago(token.last_used_at), address=token.last_used_address or '-')}}\\
% else:
{{t('tokens.never_used')}}\\
% end

</small>
</div>
<a class="button danger" href="{{revoke.format(id=token.id)}}" aria-label="{{t('tokens.revoke_named', name=token.name)}}">{{t('tokens.revoke')}}</a>
</li>
% end
</ul>
% else:
<p class="empty">{{t('tokens.none')}}</p>
% end
