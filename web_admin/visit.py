"""One request to the pages: who asks, from where, in which language, and how far they are in."""

import base64
import hashlib
import hmac
import secrets
from contextlib import suppress
from functools import cached_property
from typing import Any

import bottle

from store.audit import Actor
from store.decisions import Attempt, Protocol
from store.enforcement import groups_of
from store.errors import NotFoundError
from store.secret import Secret
from store.sessions import Session, Stage
from web_admin import proxies, words
from web_admin.site import Site

SECURE_PREFIX = "__Host-"
"""Browsers take a cookie of such a name only over HTTPS, for this host alone and the path /."""
SESSION = "sftp-mfa-session"
VISITOR = "sftp-mfa-visitor"
LANGUAGE = "sftp-mfa-language"
_MAX_FIELD = 4096


class Visit:
    """Lives as long as the request."""

    def __init__(self, site: Site, request: Any) -> None:
        """Look at a request; the store is asked when something needs it."""
        self.site = site
        self._request = request
        self.peer = proxies.find_peer(request.environ, site.proxies)
        self.words = words.choose(
            request.get_cookie(LANGUAGE), request.get_header("Accept-Language", "")
        )
        self._cookies: dict[str, tuple[str | None, bool]] = {}
        self._new_session: tuple[Secret, Session] | None = None
        self._has_ended = False

    @property
    def address(self) -> str:
        """Give the browser's IP address."""
        return self.peer.address

    @property
    def origin(self) -> str:
        """Give our own origin, as the browser knows it."""
        scheme = "https" if self.peer.is_secure else "http"
        return f"{scheme}://{self.host}"

    @property
    def host(self) -> str:
        """Give the host that the browser asked for, with its port."""
        return str(self._request.get_header("Host", ""))

    @property
    def path(self) -> str:
        """Give the path that was asked for, with its query."""
        query = self._request.query_string
        return f"{self._request.path}?{query}" if query else str(self._request.path)

    def header(self, name: str) -> str | None:
        """Give a header of the request."""
        value = self._request.get_header(name)
        return None if value is None else str(value)

    def text(self, name: str) -> str:
        """Give a field of the form as text; empty if it is missing or longer than any of ours."""
        value = self._request.forms.getunicode(name, "")
        return str(value) if len(value) <= _MAX_FIELD else ""

    def texts(self, name: str) -> list[str]:
        """Give every value of a field."""
        return [str(value) for value in self._request.forms.decode().getall(name)]

    def secret(self, name: str) -> Secret:
        """Give a field that must not be printed, to the byte."""
        value = self._request.forms.get(name, "")
        return Secret(value.encode("latin-1")) if len(value) <= _MAX_FIELD else Secret(b"")

    def query(self, name: str) -> str:
        """Give a value of the address."""
        return str(self._request.query.getunicode(name, ""))

    @property
    def secret_of_session(self) -> Secret | None:
        """Give the secret in the cookie, or of the session that was begun just now."""
        if self._new_session is not None:
            return self._new_session[0]
        cookie = self._request.get_cookie(self._name(SESSION))
        return Secret.of(cookie) if cookie and not self._has_ended else None

    @property
    def session(self) -> Session | None:
        """Give the session, if there is one that is alive."""
        if self._new_session is not None:
            return self._new_session[1]
        return None if self._has_ended else self._found

    @cached_property
    def _found(self) -> Session | None:
        secret = self.secret_of_session
        session = self.site.store.sessions.find(secret) if secret is not None else None
        return session if session is not None and session.protocol is Protocol.WEB else None

    @property
    def me(self) -> Session:
        """Give the session where the route says that there is one."""
        if self.session is None:
            raise AssertionError
        return self.session

    @property
    def actor(self) -> Actor:
        """Give who acts, for what is done within the session."""
        return Actor(self.me.account, Protocol.WEB, self.address, self.me.id)

    @cached_property
    def is_admin(self) -> bool:
        """Tell whether the person administers all accounts."""
        if self.session is None or self.session.stage is not Stage.FULL:
            return False
        try:
            return self.site.settings.web.admin_group in groups_of(self.session.account)
        except KeyError:
            return False

    def attempt(self, account: str) -> Attempt:
        """Give an attempt to get in, from here."""
        return Attempt(account, Protocol.WEB, self.address)

    def begin_session(self, account: str, stage: Stage, generation: int) -> None:
        """Begin a session, in place of any other of this browser; OvertakenError as the store."""
        self.end_session()
        agent = self.header("User-Agent") or ""
        self._enter(self.site.store.sessions.begin(self.attempt(account), stage, agent, generation))

    def raise_session(self) -> None:
        """Make the session full and confirmed, under a new secret."""
        self._enter(self.site.store.sessions.rise(self.me, self.actor))

    def end_session(self) -> None:
        """End the session of this browser, if there is one."""
        if self.session is not None:
            with suppress(NotFoundError):  # it has ended in this very moment
                self.site.store.sessions.end(self.me.account, self.me.id, self.actor)
        self.forget_session()

    def forget_session(self) -> None:
        """Take the cookie back."""
        self._new_session, self._has_ended = None, True
        self._cookies[self._name(SESSION)] = (None, True)

    def leave_store_alone(self) -> None:
        """Go on as if nobody were signed in: the store cannot be asked who is."""
        self._new_session, self._has_ended = None, True

    def _enter(self, begun: tuple[Secret, Session]) -> None:
        self._new_session, self._has_ended = begun, False
        self._cookies[self._name(SESSION)] = (begun[0].text(), True)

    def form_token(self) -> str:
        """Give a form the token without which it changes nothing, and with it only once."""
        nonce = secrets.token_urlsafe(12)
        return f"{nonce}.{self._seal_of(nonce, self._key(make=True))}"

    def has_form_token(self) -> bool:
        """Tell whether the form carries a token of this session, or of this browser."""
        nonce, _, seal = self.text("form").partition(".")
        key = self._key(make=False)
        return key is not None and hmac.compare_digest(
            self._seal_of(nonce, key).encode(), seal.encode("utf-8", "surrogateescape")
        )

    def _seal_of(self, nonce: str, key: Secret | None) -> str:
        if key is None:
            raise AssertionError
        words_of_token = f"form {nonce}".encode("utf-8", "surrogateescape")
        digest = hmac.digest(key.value, words_of_token, hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:18]).decode("ascii")

    def _key(self, *, make: bool) -> Secret | None:
        if self.session is not None:
            return self.secret_of_session
        value = self._request.get_cookie(self._name(VISITOR)) or self._visitor
        if value is None and make:
            value = self._visitor = secrets.token_urlsafe(24)
            self._cookies[self._name(VISITOR)] = (value, True)
        return None if value is None else Secret.of(value)

    _visitor: str | None = None

    def _name(self, cookie: str) -> str:
        return SECURE_PREFIX + cookie if self.peer.is_secure else cookie

    def set_language(self, language: str) -> None:
        """Remember a choice of language in this browser."""
        self._cookies[LANGUAGE] = (language, False)

    def write_cookies(self, response: Any) -> None:
        """Put what changed into the answer."""
        for name, (value, is_session) in self._cookies.items():
            attributes = ["Path=/", "SameSite=Lax", "HttpOnly"]
            if self.peer.is_secure:
                attributes.append("Secure")
            if value is None:
                attributes.append("Max-Age=0")
            elif not is_session:
                attributes.append("Max-Age=31536000")
            response.add_header("Set-Cookie", "; ".join([f"{name}={value or ''}", *attributes]))


def current(site: Site) -> Visit:
    """Look at the request that this thread answers."""
    return Visit(site, bottle.request)
