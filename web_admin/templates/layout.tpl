<!DOCTYPE html>
<html lang="{{visit.words.language}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}} · {{t('site.name')}}</title>
<link rel="icon" href="{{asset('icon.svg')}}" type="image/svg+xml">
<link rel="stylesheet" href="{{asset('style.css')}}">
<script src="{{asset('pages.js')}}" defer></script>
</head>
% is_in = session is not None and session.stage.value == 'full'
% here = visit.path.partition('?')[0]
<body class="{{'signed-in' if is_in else 'signed-out'}}">
<a class="skip" href="#content">{{t('site.skip')}}</a>
<header class="top">
<a class="brand" href="/"><img src="{{asset('icon.svg')}}" alt="" width="28" height="28"> {{t('site.name')}}</a>
% if session is not None:
<form class="account" method="post" action="/sign-out">
% include('form_fields.tpl', back='/')
<span class="who" translate="no">{{session.account}}</span>
<button class="quiet" type="submit">{{t('site.sign_out')}}</button>
</form>
% end
</header>
% if is_in:
<nav class="menu" aria-label="{{t('site.menu')}}">
<ul>
% pages = [('/', 'profile'), ('/mfa', 'mfa'), ('/tokens', 'tokens'), ('/password', 'password'), ('/sessions', 'sessions'), ('/activity', 'activity')]
% if visit.is_admin:
% pages += [('/admin', 'admin'), ('/admin/users', 'users'), ('/admin/audit', 'audit')]
% end
% chosen = max((path for path, _ in pages if here == path or (path != '/' and here.startswith(path + '/'))), key=len, default=None)
% for path, name in pages:
% if path == '/admin':
<li class="heading" aria-hidden="true">{{t('menu.administration')}}</li>
% end
<li><a href="{{path}}"\\
% if path == chosen:
 aria-current="page"\\
% end
>{{t('menu.' + name)}}</a></li>
% end
</ul>
</nav>
% end
<main id="content" tabindex="-1">
% done = visit.query('done')
% if done and has('done.' + done) and not get('problem'):
<p class="notice good" role="status">{{t('done.' + done)}}</p>
% end
{{!base}}
</main>
<footer>
<form method="post" action="/language">
% include('form_fields.tpl', back='/')
% for key, name in languages.items():
<button class="link" name="language" value="{{key}}" lang="{{key}}" aria-pressed="{{'true' if key == visit.words.language else 'false'}}">{{name.capitalize()}}</button>
% end
</form>
</footer>
</body>
</html>
