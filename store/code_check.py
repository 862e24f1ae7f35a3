"""The check of a code: TOTP of any of the account's devices, or a recovery code.

Everything here runs in a transaction that has the account's row locked, so that guesses sent all
at once are counted one after the other.
"""

import hashlib
import hmac

from store import lockout, otp, recovery_codes, throttles
from store.audit import Actor, Entry, Event
from store.decisions import Decision, Denied, Granted, Reason
from store.sealing import Keyring, Sealed
from store.secret import Secret
from store.settings import GateSettings, Settings
from store.statements import Row
from store.throttles import Gate
from store.totp_factors import ACTIVE_OF, require_proven, sealing_context, use_step
from store.unit_of_work import DIGEST_KEY, Account, UnitOfWork


class CodeCheck:
    """Judges codes, uses them up, counts wrong ones."""

    def __init__(self, keyring: Keyring, settings: Settings) -> None:
        """Open secrets with that keyring."""
        self._keyring = keyring
        self._policy: GateSettings = settings.lockout
        self._window = settings.totp.window

    def judge(self, work: UnitOfWork, account: Account, code: Secret, actor: Actor) -> Decision:
        """Decide by a code, after a right password; a granted one is used up by that."""
        if self.is_locked(work, account):
            # Before anything is examined: a right code and a wrong one must not differ here.
            return Denied(Reason.CODES_LOCKED)
        text = code.text()
        digits = otp.parse_code(text)
        if digits is not None:
            return self._judge_digits(work, account, digits)
        recovery = recovery_codes.parse(text)
        if recovery is None:
            return Denied(Reason.CODE_MALFORMED)
        if account.adopted_at is None:
            return Denied(Reason.NO_FACTOR)
        if recovery_codes.use(work, account, recovery, actor):
            return _accepted(work, account, Granted(Reason.RECOVERY_CODE_ACCEPTED))
        return self._count(work, account, recovery)

    def matches_before_password(
        self, work: UnitOfWork, account: Account, digits: str, actor: Actor
    ) -> bool:
        """Tell whether digits are a code of now, without using it up; count them if not.

        They are counted before this is told, at a gate of their own: whoever knows the password
        could otherwise try codes here without end, and whoever does not could lock others out.
        A closed gate and a locked account match nothing.
        """
        gate = throttles.load(
            work.connection, Gate.ONE_STRING, account.name, work.now, self._policy
        )
        if lockout.remaining(gate, work.now, self._policy) or self.is_locked(work, account):
            return False
        if self._steps_matched(work, account, digits):
            return True
        counted = lockout.after_wrong(gate, None, work.now, self._policy)
        throttles.save(work.connection, Gate.ONE_STRING, account.name, counted, work.now)
        if counted.locks > gate.locks:
            work.record(account, Entry(Event.ONE_STRING_CLOSED, actor))
        return False

    def is_locked(self, work: UnitOfWork, account: Account) -> bool:
        """Tell whether wrong codes have locked the account's code check."""
        return lockout.remaining(account.lock, work.now, self._policy) > 0

    def _judge_digits(self, work: UnitOfWork, account: Account, digits: str) -> Decision:
        matched = self._steps_matched(work, account, digits)
        if matched is None:
            return Denied(Reason.NO_FACTOR)
        # Two authenticators may show one code by chance: it is used up for both.
        used = [row for row, step in matched if use_step(work, account, row, step)]
        if used:
            return _accepted(work, account, Granted(Reason.CODE_ACCEPTED, used[0].id))
        if matched:
            return Denied(Reason.CODE_REPLAYED, matched[0][0].id)
        return self._count(work, account, digits)

    def _steps_matched(
        self, work: UnitOfWork, account: Account, digits: str
    ) -> list[tuple[Row, int]] | None:
        """Give each factor that this is a code of, with the step; None if there is no factor."""
        rows = ACTIVE_OF.all(work.connection, {"account": account.id})
        matched = []
        for row in rows:
            require_proven(work, account.name, row)
            sealed = Sealed(row.key_id, row.sealed_secret)
            secret = self._keyring.open(sealed, sealing_context(account.name, row.id))
            step = otp.match_step(secret, digits, work.now, self._window)
            if step is not None:
                matched.append((row, step))
        return matched if rows else None

    def _count(self, work: UnitOfWork, account: Account, code: str) -> Decision:
        """Count a wrong code, but not the same one twice within its time step.

        Some clients send one answer again by themselves until sshd hangs up.
        """
        guess = f"wrong {account.name} {otp.step_at(work.now)} {code}"
        digest = hmac.digest(work.keys[DIGEST_KEY], guess.encode(), hashlib.sha256)
        if account.lock.last_wrong == digest:
            return Denied(Reason.CODE_WRONG_AGAIN)
        account.lock = lockout.after_wrong(account.lock, digest, work.now, self._policy)
        return Denied(Reason.CODE_WRONG)


def _accepted(work: UnitOfWork, account: Account, granted: Granted) -> Granted:
    account.lock = lockout.OPEN
    throttles.clear(work.connection, Gate.ONE_STRING, account.name)
    return granted
