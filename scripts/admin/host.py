"""The road over the store itself, as root on its host: each act is one call of a service."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from scripts import privileges
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
    Session,
    Totp,
)
from scripts.command_line import load_settings
from store.access_tokens import Scope
from store.accounts import canonical_name
from store.audit import Actor
from store.audit_log import Filter
from store.decisions import Protocol
from store.errors import NotFoundError, RequestError
from store.opening import open_store
from store.totp_factors import TotpFactor

S = TypeVar("S", bound=Struct)
_ONESELF = "me"
_PAGE = 200


class HostAdministration:
    """Works on the store as the service's user; the audit has it as root's, and who called sudo."""

    settles_in = 0.0  # what was not committed when this process ended never will be

    def __init__(self, config: Path) -> None:
        """Open the store; PrivilegeError unless root or the service's user asks."""
        settings = load_settings(config)
        privileges.become_service(settings)
        self._store = open_store(settings)
        caller = os.environ.get("SUDO_USER")
        self._actor = Actor(f"root ({caller})" if caller else "root", Protocol.HOST)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def account(self, typed: str) -> str:
        """Ask NSS for the account's one name; one that only the store knows still is one."""
        if typed == _ONESELF:
            message = "On the host, as root, name the account; `me` is for --server."
            raise RequestError(message)
        known = canonical_name(typed)
        if known is not None:
            return known
        if self._store.accounts.show(typed).known_since is None:
            message = f"There is no account {typed!r} on this host."
            raise NotFoundError(message)
        return typed

    def show(self, account: str) -> Account:
        """Show an account."""
        return _as(Account, self._store.accounts.show(account))

    def accounts(self, wanted: AccountFilter, limit: int, after: str) -> Page[Account]:
        """List accounts."""
        found: list[Account] = []
        while len(found) <= limit:
            states = self._store.accounts.list(
                prefix=wanted.prefix,
                after=after,
                limit=_PAGE,
                adopted=wanted.adopted,
                locked=wanted.locked,
                barred=wanted.barred,
            )
            found += [_as(Account, state) for state in states]
            if len(states) < _PAGE:
                break
            after = found[-1].name
        more = len(found) > limit
        return Page(found[:limit], found[limit - 1].name if more else None)

    def adoption(self) -> Adoption:
        """Count."""
        return _as(Adoption, self._store.accounts.adoption())

    def unlock(self, account: str) -> None:
        """Unlock."""
        self._store.accounts.unlock(account, self._actor)

    def bar(self, account: str) -> None:
        """Bar."""
        self._store.accounts.bar(account, self._actor)

    def unbar(self, account: str) -> None:
        """Unbar."""
        self._store.accounts.unbar(account, self._actor)

    def forget(self, account: str) -> None:
        """Forget."""
        self._store.accounts.forget(account, self._actor)

    def tokens(self, account: str) -> Sequence[AccessToken]:
        """List tokens."""
        return [_as(AccessToken, token) for token in self._store.access_tokens.list(account)]

    def issue_token(self, account: str, wanted: NewToken) -> IssuedToken:
        """Issue a token."""
        secret, token = self._store.access_tokens.issue(
            account,
            wanted.name,
            self._actor,
            scopes=tuple(Scope(scope) for scope in wanted.scopes),
            networks=wanted.networks,
            expires_at=wanted.expires_at,
        )
        return _as(IssuedToken, token, token=secret.text())

    def revoke_token(self, account: str, token_id: str) -> None:
        """Revoke a token."""
        self._store.access_tokens.revoke(account, token_id, self._actor)

    def totp(self, account: str) -> Sequence[Totp]:
        """List authenticators."""
        return [
            _as(Totp, factor, status=_status(factor))
            for factor in self._store.totp_factors.list(account)
        ]

    def begin_totp(self, account: str, name: str) -> Enrollment:
        """Begin an enrollment."""
        begun = self._store.totp_factors.begin(account, name, self._actor)
        return _as(
            Enrollment,
            begun.factor,
            status=_status(begun.factor),
            secret=begun.secret.text(),
            otpauth_uri=begun.uri.text(),
        )

    def complete_totp(self, account: str, totp_id: str, code: str) -> Completion:
        """Complete an enrollment."""
        done = self._store.totp_factors.complete(account, totp_id, code, self._actor)
        codes = tuple(code.text() for code in done.recovery_codes)
        return _as(Completion, done.factor, status=_status(done.factor), recovery_codes=codes)

    def delete_totp(self, account: str, totp_id: str) -> None:
        """Remove an authenticator."""
        self._store.totp_factors.delete(account, totp_id, self._actor)

    def delete_all_totp(self, account: str) -> None:
        """Remove all of them."""
        self._store.totp_factors.delete_all(account, self._actor)

    def recovery_codes_left(self, account: str) -> int:
        """Count recovery codes."""
        return self._store.recovery_codes.left(account)

    def renew_recovery_codes(self, account: str) -> Sequence[str]:
        """Make new recovery codes."""
        return [code.text() for code in self._store.recovery_codes.renew(account, self._actor)]

    def sessions(self, account: str) -> Sequence[Session]:
        """List sessions."""
        # In the API's order: the newest first, and by id where two are of the same moment.
        found = sorted(self._store.sessions.list(account), key=lambda one: one.id)
        found.sort(key=lambda one: one.created_at, reverse=True)
        return [_as(Session, session, current=False) for session in found]

    def end_session(self, account: str, session_id: str) -> None:
        """End a session."""
        self._store.sessions.end(account, session_id, self._actor)

    def end_sessions(self, account: str) -> None:
        """End all sessions."""
        self._store.sessions.end_others(account, self._actor)

    def audit_events(self, wanted: AuditFilter, limit: int, cursor: str | None) -> Page[AuditEvent]:
        """List events."""
        page = self._store.audit_log.page(
            Filter(wanted.account, wanted.event, wanted.address, wanted.since, wanted.until),
            limit,
            cursor,
        )
        return Page([_as(AuditEvent, event) for event in page.events], page.cursor)

    def verify_audit(self) -> Sequence[AuditFinding]:
        """Verify the audit."""
        return [_as(AuditFinding, finding) for finding in self._store.audit_log.verify()]

    def prune_audit(self, before: datetime) -> int:
        """Prune the audit."""
        return self._store.audit_log.prune(before, self._actor)


def _status(factor: TotpFactor) -> str:
    return "pending" if factor.completed_at is None else "active"


def _as(kind: type[S], source: Any, **more: Any) -> S:
    """Give what the store gave as this interface's own, with what the store does not say."""
    values = {name: getattr(source, name) for name in kind.__struct_fields__ if name not in more}
    return kind(**values, **more)
