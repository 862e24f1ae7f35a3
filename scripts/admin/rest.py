"""The road over the REST API: each act is one request, or as many as its pages need."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import click
import msgspec
from msgspec import Struct

from scripts.admin.administration import (
    AccessToken,
    Account,
    AccountFilter,
    Adoption,
    AuditEvent,
    AuditFilter,
    AuditFinding,
    Completion,
    Enrollment,
    IssuedToken,
    NewToken,
    Page,
    RoadError,
    Session,
    Totp,
)
from scripts.admin.sign_in import Identity, NewSession
from scripts.admin.wire import ApiProblem, Wire

T = TypeVar("T")
_ONESELF = "me"
_PAGE = 200
_MOST_ITEMS = 100_000
"""More than any account has, or any command asks for."""
_MENDED = 3
"""How often one request is sent: it may need a new session, and then a confirmation."""


class _Completed(Completion, frozen=True):
    session: NewSession | None = None
    """Who had to adopt MFA goes on with this one."""


class _RecoveryCodesMade(Struct, frozen=True):
    codes: tuple[str, ...]


class _RecoveryCodesLeft(Struct, frozen=True):
    left: int


class RestAdministration:
    """Works on a server as somebody."""

    settles_in = 10.0  # the server gives up after twice store.wait_seconds, which is 4 at most

    def __init__(self, wire: Wire, identity: Identity) -> None:
        """Speak to that server as that one."""
        self._wire = wire
        self._identity = identity

    def close(self) -> None:
        """End the session, unless it is kept, and the connections."""
        self._identity.close()
        self._wire.close()

    def account(self, typed: str) -> str:
        """Ask the server for the account's one name."""
        known = self._identity.own_name() if typed == _ONESELF else None
        return known or self.show(typed).name

    def show(self, account: str) -> Account:
        """Show an account."""
        return self._call("GET", _of(account), Account)

    def accounts(self, wanted: AccountFilter, limit: int, after: str) -> Page[Account]:
        """List accounts."""
        query = {"prefix": wanted.prefix} if wanted.prefix else {}
        if wanted.adopted is not None:
            query["adopted"] = _word(wanted.adopted)
        query |= {"locked": _word(wanted.locked), "barred": _word(wanted.barred)}
        return self._pages("/users", Account, query, limit, after or None)

    def adoption(self) -> Adoption:
        """Count."""
        return self._call("GET", "/adoption", Adoption)

    def unlock(self, account: str) -> None:
        """Unlock."""
        self._call("POST", _of(account, "unlock"), Account)

    def bar(self, account: str) -> None:
        """Bar."""
        self._call("POST", _of(account, "bar"), Account)

    def unbar(self, account: str) -> None:
        """Unbar."""
        self._call("POST", _of(account, "unbar"), Account)

    def forget(self, account: str) -> None:
        """Forget."""
        self._call("POST", _of(account, "forget"), Account)

    def tokens(self, account: str) -> Sequence[AccessToken]:
        """List tokens."""
        return self._all(_of(account, "auth-factors/access-tokens"), AccessToken)

    def issue_token(self, account: str, wanted: NewToken) -> IssuedToken:
        """Issue a token."""
        return self._call(
            "POST", _of(account, "auth-factors/access-tokens"), IssuedToken, body=wanted
        )

    def revoke_token(self, account: str, token_id: str) -> None:
        """Revoke a token."""
        self._call("DELETE", _of(account, "auth-factors/access-tokens", token_id), None)

    def totp(self, account: str) -> Sequence[Totp]:
        """List authenticators."""
        return self._all(_of(account, "auth-factors/totp"), Totp)

    def begin_totp(self, account: str, name: str) -> Enrollment:
        """Begin an enrollment."""
        return self._call(
            "POST", _of(account, "auth-factors/totp"), Enrollment, body={"name": name}
        )

    def complete_totp(self, account: str, totp_id: str, code: str) -> Completion:
        """Complete an enrollment."""
        path = _of(account, "auth-factors/totp", totp_id) + "/complete"
        done = self._call("POST", path, _Completed, body={"code": code})
        if done.session is not None:
            self._identity.go_on(done.session)
        return Completion(*(getattr(done, name) for name in Completion.__struct_fields__))

    def delete_totp(self, account: str, totp_id: str) -> None:
        """Remove an authenticator."""
        self._call("DELETE", _of(account, "auth-factors/totp", totp_id), None)

    def delete_all_totp(self, account: str) -> None:
        """Remove all of them."""
        self._call("DELETE", _of(account, "auth-factors/totp"), None)

    def recovery_codes_left(self, account: str) -> int:
        """Count recovery codes."""
        return self._call(
            "GET", _of(account, "auth-factors/recovery-codes"), _RecoveryCodesLeft
        ).left

    def renew_recovery_codes(self, account: str) -> Sequence[str]:
        """Make new recovery codes."""
        path = _of(account, "auth-factors/recovery-codes")
        return self._call("POST", path, _RecoveryCodesMade).codes

    def sessions(self, account: str) -> Sequence[Session]:
        """List sessions."""
        return self._all(_of(account, "sessions"), Session)

    def end_session(self, account: str, session_id: str) -> None:
        """End a session."""
        self._call("DELETE", _of(account, "sessions", session_id), None)

    def end_sessions(self, account: str) -> None:
        """End all sessions."""
        self._call("DELETE", _of(account, "sessions"), None)

    def audit_events(self, wanted: AuditFilter, limit: int, cursor: str | None) -> Page[AuditEvent]:
        """List events."""
        query = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in msgspec.structs.asdict(wanted).items()
            if value is not None
        }
        return self._pages("/audit-events", AuditEvent, query, limit, cursor)

    def verify_audit(self) -> Sequence[AuditFinding]:
        """Refuse: a proof is worth what the one who gives it is."""
        _on_the_host("it is a proof against whoever runs the service, and reads the whole audit")

    def prune_audit(self, before: datetime) -> int:
        """Refuse: a stolen administrator's session must not be able to wipe its traces."""
        _on_the_host(
            f"no session or token can wipe what happened before {before:%Y-%m-%d}, stolen or not"
        )

    def _call(
        self,
        method: str,
        path: str,
        answer: type[T] | None,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> T:
        """Make a request, and again if something can be done about its refusal."""
        for tries_left in reversed(range(_MENDED)):
            try:
                return self._wire.exchange(
                    method, path, answer, secret=self._identity.secret(), body=body, query=query
                )
            except ApiProblem as problem:
                if not tries_left or not self._identity.mend(problem):
                    raise problem.as_error(self._identity.explain(problem)) from problem
        raise AssertionError

    def _all(self, path: str, kind: type[T]) -> list[T]:
        return self._pages(path, kind, {}, None, None).items

    def _pages(
        self,
        path: str,
        kind: type[T],
        query: Mapping[str, str],
        limit: int | None,
        cursor: str | None,
    ) -> Page[T]:
        found: list[T] = []
        while True:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(found))
            asked = {**query, "limit": str(wanted)}
            if cursor is not None:
                asked["cursor"] = cursor
            page = self._call("GET", path, Page[kind], query=asked)  # type: ignore[valid-type]
            found += page.items
            cursor = page.next_cursor
            if len(page.items) > wanted or len(found) > _MOST_ITEMS:
                message = f"{self._wire.server} lists more than was asked for: given up"
                raise RoadError(message)
            if cursor is None or len(found) == limit:
                return Page(found, cursor)
            if not page.items:
                message = f"{self._wire.server} gives a list that has no end: given up"
                raise RoadError(message)


def _of(account: str, *parts: str) -> str:
    """Give the path of what an account has; ids are typed by people, too."""
    first, *ids = parts or ("",)
    path = f"/users/{quote(account, safe='')}" + (f"/{first}" if first else "")
    return path + "".join(f"/{quote(one, safe='')}" for one in ids)


def _word(value: bool) -> str:  # noqa: FBT001 - it is what is written
    return "true" if value else "false"


def _on_the_host(why: str) -> NoReturn:
    message = f"This is done as root on a host of the store, without --server: {why}."
    raise click.UsageError(message)
