% if one.adopted_at:
<span class="badge good">{{t('mfa.on')}}</span>
% else:
<span class="badge">{{t('mfa.off')}}</span>
% end
% if one.locked_until:
<span class="badge warn">{{t('users.locked')}}</span>
% end
% if one.barred_at:
<span class="badge bad">{{t('users.barred')}}</span>
% end
