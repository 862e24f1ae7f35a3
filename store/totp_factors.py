"""TOTP factors: pending until a right code completes them; then asked for at every login."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from store import grace, otp, recovery_codes
from store.audit import Actor, Entry, Event
from store.clock import Randomness, from_milliseconds, when
from store.errors import EnrollmentError, LimitError, NotFoundError
from store.names import factor_name
from store.schema import accounts, totp_factors
from store.sealing import Keyring, Sealed
from store.secret import Secret
from store.sessions import end_sessions
from store.settings import TotpSettings
from store.unit_of_work import Account, UnitOfWork, UnitsOfWork

_ID_BYTES = 6


@dataclass(frozen=True, slots=True)
class TotpFactor:
    """What may be shown of a factor after its creation."""

    id: str
    name: str
    created_at: datetime
    completed_at: datetime | None
    """None while the enrollment is pending."""
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A new factor with its secret, shown this once."""

    factor: TotpFactor
    secret: Secret
    """Base32, as typed into an authenticator."""
    uri: Secret
    """`otpauth://`, as read from a QR code."""


@dataclass(frozen=True, slots=True)
class Completion:
    """An enrollment that was completed."""

    factor: TotpFactor
    recovery_codes: tuple[Secret, ...]
    """Made with the account's first factor and shown this once; empty after that."""


ACTIVE_OF = select(totp_factors).where(
    totp_factors.c.account_id == bindparam("account"), totp_factors.c.completed_at.is_not(None)
)
USE_STEP = (
    update(totp_factors)
    .where(
        totp_factors.c.id == bindparam("factor_id"),
        totp_factors.c.last_used_step < bindparam("step"),
    )
    .values(last_used_step=bindparam("step"), last_used_at=bindparam("now"))
)
_ALL_OF = (
    select(totp_factors)
    .join(accounts, accounts.c.id == totp_factors.c.account_id)
    .where(accounts.c.name == bindparam("name"))
    .order_by(totp_factors.c.created_at, totp_factors.c.id)
)
_ONE = select(totp_factors).where(
    totp_factors.c.id == bindparam("factor_id"), totp_factors.c.account_id == bindparam("account")
)
_COMPLETE = (
    update(totp_factors)
    .where(totp_factors.c.id == bindparam("factor_id"), totp_factors.c.completed_at.is_(None))
    .values(completed_at=bindparam("now"), last_used_step=bindparam("step"))
)
_DELETE = delete(totp_factors).where(
    totp_factors.c.id == bindparam("factor_id"), totp_factors.c.account_id == bindparam("account")
)
_DELETE_ALL = (
    delete(totp_factors)
    .where(totp_factors.c.account_id == bindparam("account"))
    .returning(totp_factors.c.id)
)
_DROP_PENDING = delete(totp_factors).where(
    totp_factors.c.account_id == bindparam("account"), totp_factors.c.completed_at.is_(None)
)


def sealing_context(account: str, factor_id: str) -> str:
    """Name what a sealed secret belongs to, so that it opens in no other place."""
    return f"totp {account} {factor_id}"


class TotpFactors:
    """Enrolls, lists and deletes the TOTP factors of accounts."""

    def __init__(
        self,
        units: UnitsOfWork,
        keyring: Keyring,
        settings: TotpSettings,
        randomness: Randomness,
    ) -> None:
        """Work on that store."""
        self._units = units
        self._keyring = keyring
        self._settings = settings
        self._randomness = randomness

    def begin(self, account: str, name: str, actor: Actor) -> Enrollment:
        """Start an enrollment, which replaces a pending one, and give its secret this once."""
        name = factor_name(name)
        secret = self._randomness(otp.SECRET_BYTES)
        factor_id = self._randomness(_ID_BYTES).hex()
        with self._units.begin() as work:
            owner = work.ensure_account(account, actor)
            sealed = self._keyring.seal(secret, sealing_context(account, factor_id))
            work.connection.execute(_DROP_PENDING, {"account": owner.id})
            active = work.connection.execute(ACTIVE_OF, {"account": owner.id}).all()
            if len(active) >= self._settings.max_per_account:
                message = f"{account} has {len(active)} authenticators, the most that are allowed"
                raise LimitError(message)
            work.connection.execute(
                insert(totp_factors),
                {
                    "id": factor_id,
                    "account_id": owner.id,
                    "name": name,
                    "key_id": sealed.key_id,
                    "sealed_secret": sealed.data,
                    "created_at": work.now,
                },
            )
            work.record(owner, Entry(Event.TOTP_STARTED, actor, factor_id=factor_id))
            factor = TotpFactor(factor_id, name, from_milliseconds(work.now), None, None)
        uri = otp.otpauth_uri(secret, account, self._settings.issuer)
        return Enrollment(factor, Secret.of(otp.base32(secret)), uri)

    def complete(self, account: str, factor_id: str, code: str, actor: Actor) -> Completion:
        """Make a pending factor active with a right code, whose step is used up by that.

        NotFoundError when there is no such factor; EnrollmentError when the code is wrong, the
        time is over or the factor is active already.
        """
        codes: tuple[Secret, ...] = ()
        with self._units.begin() as work:
            owner, row = _find(work, account, factor_id)
            problem = self._complete(work, account, row, code)
            event = Event.TOTP_COMPLETED if problem is None else Event.TOTP_COMPLETION_FAILED
            work.record(owner, Entry(event, actor, factor_id=factor_id))
            if problem is None and owner.adopted_at is None:
                owner.adopted_at = work.now
                codes = recovery_codes.make_codes(work, owner, actor, self._randomness)
                # Sessions from before were begun with the password alone.
                end_sessions(work, owner, actor)
            _, row = _find(work, account, factor_id)
        # Raised after the commit: the audit of a failure must stay.
        if problem is not None:
            raise EnrollmentError(problem)
        return Completion(_shown(row), codes)

    def _complete(self, work: UnitOfWork, account: str, row: Row[Any], code: str) -> str | None:
        """Complete the factor, or say why not."""
        if row.completed_at is not None:
            return "this authenticator is active already"
        if abs(work.now - row.created_at) > self._settings.enrollment_minutes * 60_000:
            return "the time to complete this enrollment is over: start again"
        digits = otp.parse_code(code)
        secret = self._keyring.open(
            Sealed(row.key_id, row.sealed_secret), sealing_context(account, row.id)
        )
        window = self._settings.window
        step = otp.match_step(secret, digits, work.now, window) if digits is not None else None
        if step is None:
            return "the code is wrong: wait for the next one, and check the device's clock"
        values = {"factor_id": row.id, "now": work.now, "step": step}
        work.connection.execute(_COMPLETE, values)
        return None

    def list(self, account: str) -> list[TotpFactor]:
        """List the account's factors, pending ones included, the oldest first."""
        with self._units.database.read() as connection:
            return [_shown(row) for row in connection.execute(_ALL_OF, {"name": account})]

    def delete(self, account: str, factor_id: str, actor: Actor) -> None:
        """Remove a factor; NotFoundError if the account has no such one.

        With the last one the account has left MFA, and its recovery codes go too. Sessions but
        the actor's own end.
        """
        with self._units.begin() as work:
            owner, _ = _find(work, account, factor_id)
            work.connection.execute(_DELETE, {"factor_id": factor_id, "account": owner.id})
            work.record(owner, Entry(Event.TOTP_DELETED, actor, factor_id=factor_id))
            _after_removal(work, owner, actor)

    def delete_all(self, account: str, actor: Actor) -> int:
        """Remove every factor of an account and tell how many there were."""
        with self._units.begin() as work:
            owner = work.account(account)
            if owner is None:
                return 0
            rows = work.connection.execute(_DELETE_ALL, {"account": owner.id}).all()
            for row in rows:
                work.record(owner, Entry(Event.TOTP_DELETED, actor, factor_id=row.id))
            if rows:
                _after_removal(work, owner, actor)
            return len(rows)


def _find(work: UnitOfWork, account: str, factor_id: str) -> tuple[Account, Row[Any]]:
    """Lock the account and give it with its factor; NotFoundError if there is none."""
    owner = work.account(account)
    if owner is not None:
        values = {"factor_id": factor_id, "account": owner.id}
        row = work.connection.execute(_ONE, values).one_or_none()
        if row is not None:
            return owner, row
    raise NotFoundError(_missing(account, factor_id))


def _after_removal(work: UnitOfWork, owner: Account, actor: Actor) -> None:
    end_sessions(work, owner, actor)
    grace.end(work.connection, owner.id)
    if work.connection.execute(ACTIVE_OF, {"account": owner.id}).first() is None:
        owner.adopted_at = None
        recovery_codes.delete_codes(work.connection, owner)


def _missing(account: str, factor_id: str) -> str:
    return f"{account} has no authenticator {factor_id}"


def _shown(row: Row[Any]) -> TotpFactor:
    return TotpFactor(
        row.id,
        row.name,
        from_milliseconds(row.created_at),
        when(row.completed_at),
        when(row.last_used_at),
    )
