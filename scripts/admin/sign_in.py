"""Who one is to the API: a token, or a session that begins with password and code."""

import os
import pwd
import re
from contextlib import suppress
from typing import Literal, Protocol
from urllib.parse import urlsplit

import click
from msgspec import Struct

from scripts.admin import kept_sessions, prompts
from scripts.admin.administration import AccessError, Account, RoadError
from scripts.admin.kept_sessions import KeptSession
from scripts.admin.output import printable
from scripts.admin.wire import ApiProblem, Wire
from store.errors import RequestError
from store.secret import Secret

_TRIES = 3
_CODE_PROMPT = "Verification code: "
_CODE = re.compile(r"[0-9A-Za-z -]{6,40}")
_AGAIN = {"code_refused", "code_replayed"}
_HOW = "an access token does without (SFTP_MFA_TOKEN, --token-file or --token-stdin)"


class Identity(Protocol):
    """Who calls."""

    def secret(self) -> Secret:
        """Give what is sent as `Authorization: Bearer`."""

    def own_name(self) -> str | None:
        """Give the account's name, if it is known here."""

    def go_on(self, session: "NewSession") -> None:
        """Go on with what the server gave in place of the session from before."""

    def mend(self, problem: ApiProblem) -> bool:
        """Do something about a refusal; tell whether the request may be sent again."""

    def explain(self, problem: ApiProblem) -> str:
        """Say what a refusal means for who calls."""

    def close(self) -> None:
        """End what was begun for this command alone."""


class TokenIdentity:
    """An access token with the scope `api`."""

    def __init__(self, token: Secret) -> None:
        """Send that token."""
        self._token = token

    def secret(self) -> Secret:
        """Give the token."""
        return self._token

    def own_name(self) -> str | None:
        """Know nothing: only the server can tell whose token it is."""
        return None

    def go_on(self, _session: "NewSession") -> None:
        """Stay with the token."""

    def mend(self, _problem: ApiProblem) -> bool:
        """Do nothing: there is no person behind a token."""
        return False

    def explain(self, problem: ApiProblem) -> str:
        """Say what to do about a token that opens nothing."""
        text = problem.text()
        if problem.code == "token_invalid":
            return f"{text}: it is unknown, revoked, expired or not for this network; issue another"
        return text

    def close(self) -> None:
        """Let it be."""


class NewSession(Struct, frozen=True, rename="camel"):
    """A session that was begun or confirmed; an earlier secret of it opens nothing."""

    account: str
    session_token: str
    password_expired: bool = False


class _LoginAnswer(Struct, frozen=True, rename="camel"):
    status: Literal["logged_in", "mfa_required", "enrollment_required"]
    session: NewSession | None = None
    challenge: str | None = None
    code_prompt: str | None = None


class SessionIdentity:
    """A session: the one that is kept, or one that a person begins at the terminal."""

    def __init__(self, wire: Wire, account: str | None, kept: KeptSession | None) -> None:
        """Go on with a session, or begin one as an account when it is needed."""
        self._wire = wire
        self._secret = kept.secret if kept is not None else None
        self._is_kept = kept is not None
        self.account = account or (kept.account if kept is not None else _own_name())

    def secret(self) -> Secret:
        """Give the session's secret; sign in first where there is no session."""
        if self._secret is None:
            self.sign_in(f"log in with `sftp-mfa-admin login`; {_HOW}")
        if self._secret is None:
            raise AssertionError
        return self._secret

    def sign_in(self, otherwise: str) -> None:
        """Ask for password and code; RequestError with what to do where nobody can be asked."""
        _need_terminal(f"nobody is logged in to {self._wire.server}: {otherwise}")
        self._look_before_asking()
        answer = self._ask_password()
        session = answer.session
        if answer.challenge is not None:
            prompt = printable(answer.code_prompt or _CODE_PROMPT)
            session = self._ask_code(prompt, None, challenge=answer.challenge)
        if session is None:
            message = f"{self._wire.server} answers what this version does not understand"
            raise RoadError(message)
        if session.password_expired:
            click.echo("The password has expired: change it on the web pages.", err=True)
        self.go_on(session)

    def own_name(self) -> str | None:
        """Give the name that the server gave; sign in first where there is no session."""
        self.secret()
        return self.account

    def mend(self, problem: ApiProblem) -> bool:
        """Sign in again when the session is over; ask for the code when it is to be confirmed."""
        if problem.code == "session_invalid" and self._secret is not None:
            self._renew()
        elif problem.code == "confirmation_required":
            self._confirm()
        else:
            return False
        return True

    def explain(self, problem: ApiProblem) -> str:
        """Name who is refused."""
        if problem.code == "forbidden":
            return f"{problem.text()} You are signed in as {self.account}, who is none."
        return problem.text()

    def keep(self) -> str:
        """Keep the session for later commands; tell where."""
        self._is_kept = True
        return kept_sessions.save(KeptSession(self._wire.server, self.account, self.secret()))

    def end(self) -> None:
        """End the session on the server; one that is over already is none."""
        with suppress(ApiProblem):
            self._wire.exchange("POST", "/auth/logout", None, secret=self._secret)

    def close(self) -> None:
        """End the session on the server, if it is not kept."""
        if self._secret is not None and not self._is_kept:
            with suppress(RoadError):  # it ends by itself, after half an hour
                self.end()
        self._secret = None

    def _renew(self) -> None:
        if self._is_kept:
            # Another command may have confirmed it in the meantime, which changes its secret.
            kept = kept_sessions.load(self._wire.server)
            if kept is not None and kept.secret != self._secret:
                self._secret = kept.secret
                return
            kept_sessions.forget(self._wire.server)
        self._secret = None
        click.echo(f"The session at {self._wire.server} is over.", err=True)
        self.sign_in(f"run `sftp-mfa-admin login` again; {_HOW}")

    def _confirm(self) -> None:
        _need_terminal(
            f"a code of the last 10 minutes is needed for this: run it from a terminal; {_HOW}"
        )
        me = self._wire.exchange("GET", "/users/me", Account, secret=self._secret)
        click.echo("This needs a fresh confirmation.", err=True)
        if me.adopted_at is not None:
            self.go_on(self._ask_code(_CODE_PROMPT, self._secret))
            return
        before = self._secret
        self.sign_in("")
        with suppress(ApiProblem):  # it may be over
            self._wire.exchange("POST", "/auth/logout", None, secret=before)

    def go_on(self, session: NewSession) -> None:
        """Go on with a session that was begun, or confirmed under a new secret."""
        self._secret = Secret.of(session.session_token)
        self.account = session.account
        if self._is_kept:
            self.keep()

    def _look_before_asking(self) -> None:
        """Reach the server once, so that nobody types a password for one that is not to be had."""
        try:
            self._wire.exchange("GET", "/health", None)
        except ApiProblem as problem:
            raise problem.as_error() from problem

    def _ask_password(self) -> _LoginAnswer:
        host = urlsplit(self._wire.server).hostname
        for tries_left in reversed(range(_TRIES)):
            password = prompts.ask(f"Password for {self.account} at {host}: ")
            body = {"account": self.account, "password": password.text()}
            try:
                return self._wire.exchange("POST", "/auth/login", _LoginAnswer, body=body)
            except ApiProblem as problem:
                if problem.code != "credentials_refused" or not tries_left:
                    raise problem.as_error() from problem
                click.echo(problem.text(), err=True)
        raise AssertionError

    def _ask_code(
        self, prompt: str, secret: Secret | None, *, challenge: str | None = None
    ) -> NewSession:
        for tries_left in reversed(range(_TRIES)):
            body = {"code": _typed_code(prompt), "challenge": challenge}
            try:
                return self._wire.exchange(
                    "POST", "/auth/mfa/totp/validate-code", NewSession, secret=secret, body=body
                )
            except ApiProblem as problem:
                if problem.code not in _AGAIN or not tries_left:
                    raise problem.as_error() from problem
                click.echo(problem.text(), err=True)
        raise AssertionError


def _typed_code(prompt: str) -> str:
    while True:
        code = prompts.ask(prompt).text().strip()
        if _CODE.fullmatch(code):
            return code
        click.echo("A code has 6 digits; a recovery code 16 characters.", err=True)


def _need_terminal(message: str) -> None:
    if not prompts.is_possible():
        raise AccessError(message)


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError as error:
        message = "this user has no name here: say with --as who signs in"
        raise RequestError(message) from error
