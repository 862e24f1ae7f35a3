% from urllib.parse import quote
% rebase('layout.tpl', title=state.name)
% base_path = '/admin/users/' + quote(state.name, safe='')
<div class="head">
<h1 translate="no">{{state.name}}</h1>
<p class="badges">
% include('account_badges.tpl', one=state)
</p>
</div>
<section class="card">
<h2>{{t('user.state')}}</h2>
<dl>
<dt>{{t('user.known')}}</dt><dd>{{time(state.known_since) if state.known_since else t('user.unmet')}}</dd>
<dt>{{t('user.adopted')}}</dt><dd>{{time(state.adopted_at) if state.adopted_at else t('user.no')}}</dd>
<dt>{{t('user.wrong_codes')}}</dt><dd>{{state.wrong_codes}}</dd>
<dt>{{t('user.locked')}}</dt><dd>{{t('users.locked_until', time=time(state.locked_until)) if state.locked_until else t('user.no')}}</dd>
<dt>{{t('user.barred')}}</dt><dd>{{time(state.barred_at) if state.barred_at else t('user.no')}}</dd>
</dl>
<div class="actions">
% if state.known_since:
<a class="button" href="{{base_path}}/unlock">{{t('action.unlock')}}</a>
% end
% if state.barred_at:
<a class="button" href="{{base_path}}/unbar">{{t('action.unbar')}}</a>
% else:
<a class="button danger" href="{{base_path}}/bar">{{t('action.bar')}}</a>
% end
</div>
</section>
<section class="card">
<h2>{{t('mfa.authenticators')}}</h2>
% if factors:
<ul class="rows">
% for factor in factors:
<li><div><strong>{{factor.name}}</strong>
<small>{{t('mfa.since', time=time(factor.completed_at))}}</small></div>
<a class="button danger" href="{{base_path}}/remove-totp?id={{factor.id}}" aria-label="{{t('mfa.remove_named', name=factor.name)}}">{{t('mfa.remove')}}</a></li>
% end
</ul>
<p>{{n('mfa.codes_left', codes_left)}}.</p>
% else:
<p class="empty">{{t('user.no_totp')}}</p>
% end
</section>
<section class="card">
<h2>{{t('menu.tokens')}}</h2>
% include('token_list.tpl', revoke=base_path.replace('{', '{{').replace('}', '}}') + '/revoke-token?id={id}')
% if len(tokens) > 1:
<p><a class="button danger" href="{{base_path}}/revoke-tokens">{{t('tokens.revoke_all')}}</a></p>
% end
</section>
<section class="card">
<h2>{{t('menu.sessions')}}</h2>
% if sessions:
<ul class="rows">
% for one in sessions:
<li><div><strong>{{t('door.' + one.protocol.value)}} · {{one.address or '-'}}</strong>
<small>{{t('sessions.seen', ago=ago(one.seen_at))}} · {{one.agent or t('sessions.no_agent')}}</small></div></li>
% end
</ul>
<p><a class="button danger" href="{{base_path}}/end-sessions">{{t('action.end-sessions')}}</a></p>
% else:
<p class="empty">{{t('user.no_sessions')}}</p>
% end
</section>
<section class="card">
<h2>{{t('menu.activity')}}</h2>
% include('events.tpl')
</section>
