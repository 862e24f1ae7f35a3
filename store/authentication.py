"""The one place that decides whether an attempt is let in; every door asks here.

A code is asked only after a right password, so a stranger cannot count wrong codes on somebody
else's account. The one exception is a password and a code written as one string: see
`store.code_check`.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, exists, select

from store import access_tokens, enforcement, grace
from store.access_tokens import AccessToken
from store.audit import Actor, Entry, Event, write_log_line
from store.code_check import CodeCheck
from store.decisions import (
    Attempt,
    ChallengeKind,
    ChallengeRequired,
    Decision,
    Denied,
    Granted,
    Protocol,
    Reason,
)
from store.schema import access_tokens as tokens_table
from store.schema import accounts
from store.sealing import Keyring
from store.secret import Secret
from store.sessions import end_sessions
from store.settings import Settings
from store.statements import Statement
from store.totp_factors import ACTIVE_OF
from store.unit_of_work import Account, UnitOfWork, UnitsOfWork, proven

_HAS_TOKENS = exists().where(
    tokens_table.c.account_id == accounts.c.id, tokens_table.c.revoked_at.is_(None)
)
_FACTORS = Statement(
    select(accounts, _HAS_TOKENS.label("has_tokens")).where(accounts.c.name == bindparam("name"))
)


@dataclass(frozen=True, slots=True)
class FactorsHeld:
    """Which kinds of factor an account has."""

    totp: bool
    tokens: bool
    needs_code: bool
    """A right password will be worth the question for a code and nothing else, whatever happens
    until then: `accept_password` need not be asked."""


@dataclass(frozen=True, slots=True)
class TokenUse:
    """A request that an access token lets in."""

    account: str
    token: AccessToken


class Authentication:
    """Decides; each decision is committed with its audit and its counters before it is told."""

    def __init__(self, units: UnitsOfWork, keyring: Keyring, settings: Settings) -> None:
        """Work on that store."""
        self._units = units
        self._settings = settings
        self._codes = CodeCheck(keyring, settings)

    def factors_of(self, account: str) -> FactorsHeld:
        """Tell what could be asked of an account. Decides nothing."""
        with self._units.database.read() as connection:
            row = _FACTORS.one(connection, {"name": account})
            if row is None:
                return FactorsHeld(totp=False, tokens=False, needs_code=False)
            found = proven(row, self._units.keys_over(connection))
        totp = found.adopted_at is not None
        needs_code = totp and not self._settings.grace.seconds
        return FactorsHeld(totp=totp, tokens=bool(row.has_tokens), needs_code=needs_code)

    def check_account(self, attempt: Attempt) -> Decision:
        """Decide whether the account may be used at all, however it was authenticated."""
        account = self._look_up(attempt.account)
        if account is None or account.barred_at is None:
            return Granted(Reason.ACCOUNT_OPEN)
        return self._refuse(attempt, Reason.ACCOUNT_BARRED)

    def check_token(self, attempt: Attempt, token: Secret) -> Decision | None:
        """Decide by an access token alone; None when the text is no token."""
        presented = access_tokens.parse(token.text())
        if presented is None:
            return None
        with self._units.begin() as work:
            account = work.ensure_account(attempt.account, _actor(attempt))
            row = access_tokens.FIND.one(work.connection, {"token_id": presented.id})
            decision = access_tokens.examine(row, presented, attempt, work.now, work.keys)
            if isinstance(decision, Granted) and account.barred_at is not None:
                decision = Denied(Reason.ACCOUNT_BARRED, decision.factor_id)
            if isinstance(decision, Granted) and row is not None:
                access_tokens.note_use(work.connection, row, attempt, work.now)
            return _recorded(work, account, attempt, decision)

    def check_request(
        self, token: Secret, protocol: Protocol, address: str, account: str | None = None
    ) -> TokenUse | Denied | None:
        """Decide by the token that a request carries; None when the text is no token.

        A job makes many requests where a person logs in once. While its use is noted from the
        same address, one more neither writes nor is audited: the audit has the token's login
        once a minute, each change that it makes, and each refusal. Without an account's name the
        token is its owner's. One that is nobody's, or somebody else's, proves nothing and stands
        in the log only: else strangers could fill the audit, and tell by the time which accounts
        there are.
        """
        presented = access_tokens.parse(token.text())
        if presented is None:
            return None
        with self._units.database.read() as connection:
            row = access_tokens.FIND.one(connection, {"token_id": presented.id})
            owner = None if row is None else self._units.look_up(connection, row.account)
            keys = self._units.keys_over(connection)
        now = self._units.clock()
        attempt = Attempt(account or (row.account if row is not None else ""), protocol, address)
        decision = access_tokens.examine(row, presented, attempt, now, keys)
        if decision.reason is Reason.TOKEN_UNKNOWN:
            actor = Actor("", protocol, address)
            write_log_line("", Entry(Event.LOGIN_DENIED, actor, decision.reason))
            return Denied(decision.reason)
        is_noted = row is not None and access_tokens.is_use_noted(row, address, now)
        is_barred = owner is not None and owner.barred_at is not None
        if isinstance(decision, Denied) or not is_noted or is_barred:
            decision = self.check_token(attempt, token) or decision
        if isinstance(decision, Denied):
            return decision
        return TokenUse(attempt.account, access_tokens.shown(row)) if row is not None else None

    def accept_password(self, attempt: Attempt) -> Decision | ChallengeRequired:
        """Decide what a right password is worth."""
        found = self._look_up(attempt.account)
        if found is not None and found.adopted_at is not None and not self._settings.grace.seconds:
            return ChallengeRequired(ChallengeKind.CODE)  # the common case needs no transaction
        # Looked up before the transaction: a directory that is slow must not hold up all writers.
        must_enroll = enforcement.is_required(
            attempt.account, self._units.clock(), self._settings.enforcement
        )
        with self._units.begin() as work:
            account = work.ensure_account(attempt.account, _actor(attempt))
            decision = self._worth_of_password(work, account, attempt, must_enroll=must_enroll)
            if isinstance(decision, ChallengeRequired):
                return decision
            return _recorded(work, account, attempt, decision)

    def refuse_password(self, attempt: Attempt) -> Decision:
        """Note that the password was refused by who knows passwords."""
        return self._refuse(attempt, Reason.PASSWORD_REFUSED)

    def refuse_without_code(self, attempt: Attempt) -> Decision:
        """Note that a right password came without a code."""
        return self._refuse(attempt, Reason.CODE_MISSING)

    def refuse_without_mfa(self, attempt: Attempt) -> Decision:
        """Note that a right password came from who must adopt MFA and has not."""
        return self._refuse(attempt, Reason.MFA_REQUIRED)

    def check_code(self, attempt: Attempt, code: Secret) -> Decision:
        """Decide by a code, after a right password."""
        with self._units.begin() as work:
            account = work.ensure_account(attempt.account, _actor(attempt))
            if account.barred_at is not None:
                return _recorded(work, account, attempt, Denied(Reason.ACCOUNT_BARRED))
            before = account.lock
            decision = self._codes.judge(work, account, code, _actor(attempt))
            if isinstance(decision, Granted):
                grace.remember(work, account, attempt, self._settings.grace)
            _recorded(work, account, attempt, decision)
            if account.lock.locks > before.locks:
                end_sessions(work, account)
                work.record(account, Entry(Event.CODES_LOCKED, _actor(attempt)))
            return decision

    def matches_code_before_password(self, attempt: Attempt, digits: str) -> bool:
        """Tell whether digits at the end of an answer are the account's code of now.

        Uses nothing up and grants nothing.
        """
        with self._units.begin() as work:
            account = work.account(attempt.account)
            if account is None or account.barred_at is not None:
                return False
            return self._codes.matches_before_password(work, account, digits, _actor(attempt))

    def _worth_of_password(
        self, work: UnitOfWork, account: Account, attempt: Attempt, *, must_enroll: bool
    ) -> Decision | ChallengeRequired:
        if account.barred_at is not None:
            return Denied(Reason.ACCOUNT_BARRED)
        # Both are asked: neither an account's row nor factors that somebody deleted in the database
        # may open this way in.
        has_factor = ACTIVE_OF.one(work.connection, {"account": account.id}) is not None
        if has_factor or account.adopted_at is not None:
            # For SFTP clients that connect twice; a session of the web would be more than a login.
            if (
                attempt.protocol is Protocol.SSH
                and not self._codes.is_locked(work, account)
                and grace.applies(work, account, attempt, self._settings.grace)
            ):
                return Granted(Reason.GRACE)
            return ChallengeRequired(ChallengeKind.CODE)
        if must_enroll:
            return ChallengeRequired(ChallengeKind.ENROLLMENT)
        return Granted(Reason.MFA_NOT_ADOPTED)

    def _look_up(self, account: str) -> Account | None:
        with self._units.database.read() as connection:
            return self._units.look_up(connection, account)

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
    return decision
