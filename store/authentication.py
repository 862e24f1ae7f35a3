"""The one place that decides whether an attempt is let in; every door asks here.

A code is asked only after a right password, so a stranger cannot count wrong codes on somebody
else's account. The one exception is a password and a code written as one string, which must be
examined before the password is known to be right: those have a gate of their own, which closes
that way of writing only.
"""

import hashlib
import hmac
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, select

from store import access_tokens, lockout, otp, throttles
from store.audit import Actor, Entry, Event
from store.decisions import (
    Attempt,
    ChallengeKind,
    ChallengeRequired,
    Decision,
    Denied,
    Granted,
    Reason,
)
from store.schema import access_tokens as tokens_table
from store.schema import accounts
from store.schema import totp_factors as totp_table
from store.sealing import Keyring, Sealed
from store.secret import Secret
from store.settings import Settings
from store.throttles import Gate
from store.totp_factors import ACTIVE_OF, USE_STEP, sealing_context
from store.unit_of_work import DIGEST_KEY, Account, UnitOfWork, UnitsOfWork

_ADOPTED = exists().where(
    totp_table.c.account_id == accounts.c.id, totp_table.c.completed_at.is_not(None)
)
_HAS_TOKENS = exists().where(
    tokens_table.c.account_id == accounts.c.id, tokens_table.c.revoked_at.is_(None)
)
_FACTORS = select(accounts.c.barred_at, _ADOPTED.label("totp"), _HAS_TOKENS.label("tokens")).where(
    accounts.c.name == bindparam("name")
)


@dataclass(frozen=True, slots=True)
class FactorsHeld:
    """Which kinds of factor an account has."""

    totp: bool
    tokens: bool


class Authentication:
    """Decides; each decision is committed with its audit and its counters before it is told."""

    def __init__(self, units: UnitsOfWork, keyring: Keyring, settings: Settings) -> None:
        """Work on that store."""
        self._units = units
        self._keyring = keyring
        self._settings = settings

    def factors_of(self, account: str) -> FactorsHeld:
        """Tell what could be asked of an account. Decides nothing."""
        with self._units.database.read() as connection:
            row = connection.execute(_FACTORS, {"name": account}).one_or_none()
        return (
            FactorsHeld(row.totp, row.tokens)
            if row is not None
            else FactorsHeld(totp=False, tokens=False)
        )

    def check_account(self, attempt: Attempt) -> Decision:
        """Decide whether the account may be used at all, however it was authenticated."""
        with self._units.database.read() as connection:
            row = connection.execute(_FACTORS, {"name": attempt.account}).one_or_none()
        if row is None or row.barred_at is None:
            return Granted(Reason.ACCOUNT_OPEN)
        return self._refuse(attempt, Reason.ACCOUNT_BARRED)

    def check_token(self, attempt: Attempt, token: Secret) -> Decision | None:
        """Decide by an access token alone; None when the text is no token."""
        presented = access_tokens.parse(token.text())
        if presented is None:
            return None
        with self._units.begin() as work:
            account = work.ensure_account(attempt.account, _actor(attempt))
            row = work.connection.execute(
                access_tokens.FIND, {"token_id": presented.id}
            ).one_or_none()
            decision = access_tokens.examine(row, presented, attempt, work.now)
            if isinstance(decision, Granted) and account.barred_at is not None:
                decision = Denied(Reason.ACCOUNT_BARRED, decision.factor_id)
            if isinstance(decision, Granted) and row is not None:
                access_tokens.note_use(work.connection, row, attempt, work.now)
            return _recorded(work, account, attempt, decision)

    def accept_password(self, attempt: Attempt) -> Decision | ChallengeRequired:
        """Decide what a right password is worth."""
        with self._units.database.read() as connection:
            row = connection.execute(_FACTORS, {"name": attempt.account}).one_or_none()
        if row is not None and row.totp:
            return ChallengeRequired(ChallengeKind.CODE)
        with self._units.begin() as work:
            account = work.ensure_account(attempt.account, _actor(attempt))
            if account.barred_at is not None:
                return _recorded(work, account, attempt, Denied(Reason.ACCOUNT_BARRED))
            if work.connection.execute(ACTIVE_OF, {"account": account.id}).first() is not None:
                return ChallengeRequired(ChallengeKind.CODE)
            return _recorded(work, account, attempt, Granted(Reason.MFA_NOT_ADOPTED))

    def refuse_password(self, attempt: Attempt) -> Decision:
        """Note that the password was refused by who knows passwords."""
        return self._refuse(attempt, Reason.PASSWORD_REFUSED)

    def refuse_without_code(self, attempt: Attempt) -> Decision:
        """Note that a right password came without a code."""
        return self._refuse(attempt, Reason.CODE_MISSING)

    def check_code(self, attempt: Attempt, code: Secret) -> Decision:
        """Decide by a code, after a right password."""
        with self._units.begin() as work:
            account = work.ensure_account(attempt.account, _actor(attempt))
            decision = self._judge(work, account, code)
            return _recorded(work, account, attempt, decision)

    def matches_code_before_password(self, attempt: Attempt, digits: str) -> bool:
        """Tell whether digits at the end of an answer are the account's code of now.

        Uses nothing up; grants nothing. An answer that does not match is counted before this
        returns, at the gate of such answers, since whoever knows the password could otherwise
        try codes here without end; a closed gate and a locked account match nothing.
        """
        with self._units.begin() as work:
            account = work.account(attempt.account)
            if account is None:
                return False
            policy = self._settings.lockout
            gate = throttles.load(work.connection, Gate.ONE_STRING, account.name)
            if lockout.remaining(gate, work.now, policy) or self._locked(work, account):
                return False
            if self._steps_matched(work, account, digits):
                return True
            closed = lockout.after_wrong(gate, None, work.now, policy)
            throttles.save(work.connection, Gate.ONE_STRING, account.name, closed)
            return False

    def _judge(self, work: UnitOfWork, account: Account, code: Secret) -> Decision:
        if account.barred_at is not None:
            return Denied(Reason.ACCOUNT_BARRED)
        if self._locked(work, account):
            return Denied(Reason.CODES_LOCKED)
        digits = otp.parse_code(code.text())
        if digits is None:
            return Denied(Reason.CODE_MALFORMED)
        matched = self._steps_matched(work, account, digits)
        if matched is None:
            return Denied(Reason.NO_FACTOR)
        for factor_id, step in matched.items():
            values = {"factor_id": factor_id, "step": step, "now": work.now}
            if work.connection.execute(USE_STEP, values).rowcount == 1:
                account.lock = lockout.OPEN
                throttles.clear(work.connection, Gate.ONE_STRING, account.name)
                return Granted(Reason.CODE_ACCEPTED, factor_id)
        if matched:
            return Denied(Reason.CODE_REPLAYED, next(iter(matched)))
        return self._count(work, account, digits)

    def _count(self, work: UnitOfWork, account: Account, digits: str) -> Decision:
        """Count a wrong code, but not the same one twice within its time step.

        Some clients send one answer again by themselves until sshd hangs up.
        """
        guess = f"{account.name} {otp.step_at(work.now)} {digits}".encode()
        digest = hmac.digest(work.keys[DIGEST_KEY], guess, hashlib.sha256)
        if account.lock.last_wrong == digest:
            return Denied(Reason.CODE_WRONG_AGAIN)
        account.lock = lockout.after_wrong(account.lock, digest, work.now, self._settings.lockout)
        return Denied(Reason.CODE_WRONG)

    def _locked(self, work: UnitOfWork, account: Account) -> bool:
        return lockout.remaining(account.lock, work.now, self._settings.lockout) > 0

    def _steps_matched(
        self, work: UnitOfWork, account: Account, digits: str
    ) -> dict[str, int] | None:
        """Give each factor that this is a code of, with the step; None if there is no factor."""
        rows = work.connection.execute(ACTIVE_OF, {"account": account.id}).all()
        matched = {}
        for row in rows:
            sealed = Sealed(row.key_id, row.sealed_secret)
            secret = self._keyring.open(sealed, sealing_context(account.name, row.id))
            step = otp.match_step(secret, digits, work.now, self._settings.totp.window)
            if step is not None:
                matched[row.id] = step
        return matched if rows else None

    def _refuse(self, attempt: Attempt, reason: Reason) -> Decision:
        with self._units.begin() as work:
            account = work.ensure_account(attempt.account, _actor(attempt))
            return _recorded(work, account, attempt, Denied(reason))


def _actor(attempt: Attempt) -> Actor:
    return Actor(attempt.account, attempt.protocol, attempt.address)


def _recorded(work: UnitOfWork, account: Account, attempt: Attempt, decision: Decision) -> Decision:
    event = Event.LOGIN_GRANTED if isinstance(decision, Granted) else Event.LOGIN_DENIED
    entry = Entry(event, _actor(attempt), decision.reason, decision.factor_id)
    work.record(account, entry)
    if account.lock.locked_at == work.now:
        work.record(account, Entry(Event.CODES_LOCKED, _actor(attempt)))
    return decision
