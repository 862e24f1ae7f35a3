"""TOTP factors: pending until a right code completes them; then asked for at every login."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from store import grace, holdings, integrity, otp, recovery_codes
from store.audit import Actor, Entry, Event
from store.clock import Randomness, from_milliseconds, when
from store.errors import EnrollmentError, LimitError, NotFoundError
from store.names import factor_name
from store.schema import accounts, totp_factors
from store.sealing import Keyring, Sealed
from store.secret import Secret
from store.sessions import end_sessions
from store.settings import TotpSettings
from store.statements import Row, Statement
from store.unit_of_work import ROWS_KEY, Account, UnitOfWork, UnitsOfWork

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


_OF = totp_factors.c.account_id == bindparam("account")
_THIS = totp_factors.c.id == bindparam("factor_id")
ACTIVE_OF = Statement(select(totp_factors).where(_OF, totp_factors.c.completed_at.is_not(None)))
_USE_STEP = Statement(
    update(totp_factors)
    .where(_THIS, totp_factors.c.last_used_step < bindparam("step"))
    .values(
        last_used_step=bindparam("step"), last_used_at=bindparam("now"), mac=bindparam("new_mac")
    )
)
_ALL_OF = Statement(
    select(totp_factors)
    .join(accounts, accounts.c.id == totp_factors.c.account_id)
    .where(accounts.c.name == bindparam("name"))
    .order_by(totp_factors.c.created_at, totp_factors.c.id)
)
_ONE = Statement(select(totp_factors).where(_THIS, _OF))
_INSERT = Statement(insert(totp_factors))
_COMPLETE = Statement(
    update(totp_factors)
    .where(_THIS, totp_factors.c.completed_at.is_(None))
    .values(
        completed_at=bindparam("now"), last_used_step=bindparam("step"), mac=bindparam("new_mac")
    )
)
_DELETE = Statement(delete(totp_factors).where(_THIS, _OF))
_DELETE_ALL = Statement(delete(totp_factors).where(_OF).returning(totp_factors.c.id))
_DROP_PENDING = Statement(delete(totp_factors).where(_OF, totp_factors.c.completed_at.is_(None)))
_NEVER = -1
"""The last used step of a factor without any."""


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
            _DROP_PENDING.run(work.connection, {"account": owner.id})
            active = ACTIVE_OF.all(work.connection, {"account": owner.id})
            if len(active) >= self._settings.max_per_account:
                message = f"{account} has {len(active)} authenticators, the most that are allowed"
                raise LimitError(message)
            _INSERT.run(
                work.connection,
                {
                    "id": factor_id,
                    "account_id": owner.id,
                    "name": name,
                    "key_id": sealed.key_id,
                    "sealed_secret": sealed.data,
                    "created_at": work.now,
                    "last_used_step": _NEVER,
                    "mac": _mac(work, account, factor_id, name, work.now, None, _NEVER),
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
            with holdings.changed(work, owner, actor):
                problem = self._complete(work, account, row, code)
                event = Event.TOTP_COMPLETED if problem is None else Event.TOTP_COMPLETION_FAILED
                work.record(owner, Entry(event, actor, factor_id=factor_id))
                if problem is None and owner.adopted_at is None:
                    owner.adopted_at = work.now
                    codes = recovery_codes.make_codes(work, owner, actor, self._randomness)
                    # Sessions from before were begun with the password alone.
                    end_sessions(work, owner, actor)
            if problem is None:
                grace.end(work.connection, owner.id)
            _, row = _find(work, account, factor_id)
        # Raised after the commit: the audit of a failure must stay.
        if problem is not None:
            raise EnrollmentError(problem)
        return Completion(_shown(row), codes)

    def _complete(self, work: UnitOfWork, account: str, row: Row, code: str) -> str | None:
        """Complete the factor, or say why not."""
        if row.completed_at is not None:
            return "this authenticator is active already"
        if abs(work.now - row.created_at) > self._settings.enrollment_minutes * 60_000:
            return "the time to complete this enrollment is over: start again"
        require_proven(work, account, row)
        digits = otp.parse_code(code)
        secret = self._keyring.open(
            Sealed(row.key_id, row.sealed_secret), sealing_context(account, row.id)
        )
        window = self._settings.window
        step = otp.match_step(secret, digits, work.now, window) if digits is not None else None
        if step is None:
            return "the code is wrong: wait for the next one, and check the device's clock"
        values = {
            "factor_id": row.id,
            "now": work.now,
            "step": step,
            "new_mac": _mac(work, account, row.id, row.name, row.created_at, work.now, step),
        }
        _COMPLETE.run(work.connection, values)
        return None

    def list(self, account: str) -> list[TotpFactor]:
        """List the account's factors, pending ones included, the oldest first."""
        with self._units.database.read() as connection:
            return [_shown(row) for row in _ALL_OF.all(connection, {"name": account})]

    def delete(self, account: str, factor_id: str, actor: Actor) -> None:
        """Remove a factor; NotFoundError if the account has no such one.

        With the last one the account has left MFA, and its recovery codes go too. Sessions but
        the actor's own end.
        """
        with self._units.begin() as work:
            owner, _ = _find(work, account, factor_id)
            with holdings.changed(work, owner, actor):
                _DELETE.run(work.connection, {"factor_id": factor_id, "account": owner.id})
                work.record(owner, Entry(Event.TOTP_DELETED, actor, factor_id=factor_id))
                _after_removal(work, owner, actor)

    def delete_all(self, account: str, actor: Actor) -> int:
        """Remove every factor of an account and tell how many there were."""
        with self._units.begin() as work:
            owner = work.account(account)
            if owner is None:
                return 0
            return delete_all_of(work, owner, actor)


def delete_all_of(work: UnitOfWork, owner: Account, actor: Actor) -> int:
    """Remove every factor within a transaction that has the account locked; tell how many."""
    with holdings.changed(work, owner, actor):
        rows = _DELETE_ALL.all(work.connection, {"account": owner.id})
        for row in rows:
            work.record(owner, Entry(Event.TOTP_DELETED, actor, factor_id=row.id))
        # Also where somebody else has deleted them: the account must not go on to need a code.
        if rows or owner.adopted_at is not None:
            _after_removal(work, owner, actor)
    return len(rows)


def use_step(work: UnitOfWork, account: Account, row: Row, step: int) -> bool:
    """Use up a time step of a factor, and all earlier ones; tell whether it was not used before."""
    values = {
        "factor_id": row.id,
        "step": step,
        "now": work.now,
        "new_mac": _mac(
            work, account.name, row.id, row.name, row.created_at, row.completed_at, step
        ),
    }
    return _USE_STEP.run(work.connection, values) == 1


def is_proven(key: bytes, account: str, row: Row) -> bool:
    """Tell whether a factor's row is as the store wrote it."""
    fields = (row.id, row.name, row.created_at, row.completed_at, row.last_used_step)
    return integrity.is_right(row.mac, key, "totp", account, *fields)


def require_proven(work: UnitOfWork, account: str, row: Row) -> None:
    """Raise a TamperedError unless a factor's row is as the store wrote it."""
    integrity.require(
        is_proven(work.keys[ROWS_KEY], account, row), f"the authenticator {row.id} of {account!r}"
    )


def _mac(work: UnitOfWork, account: str, *fields: str | int | None) -> bytes:
    return integrity.row_mac(work.keys[ROWS_KEY], "totp", account, *fields)


def _find(work: UnitOfWork, account: str, factor_id: str) -> tuple[Account, Row]:
    """Lock the account and give it with its factor; NotFoundError if there is none."""
    owner = work.account(account)
    if owner is not None:
        values = {"factor_id": factor_id, "account": owner.id}
        row = _ONE.one(work.connection, values)
        if row is not None:
            return owner, row
    raise NotFoundError(_missing(account, factor_id))


def _after_removal(work: UnitOfWork, owner: Account, actor: Actor) -> None:
    end_sessions(work, owner, actor)
    if ACTIVE_OF.one(work.connection, {"account": owner.id}) is None:
        owner.adopted_at = None
        holdings.delete_codes(work.connection, owner)


def _missing(account: str, factor_id: str) -> str:
    return f"{account} has no authenticator {factor_id}"


def _shown(row: Row) -> TotpFactor:
    return TotpFactor(
        row.id,
        row.name,
        from_milliseconds(row.created_at),
        when(row.completed_at),
        when(row.last_used_at),
    )
