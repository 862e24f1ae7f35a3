"""A small reference model of the store, written from the design's text and nothing else.

No SQL, no pyotp, no import of the store's rules: dictionaries, and RFC 6238 in a few lines.
What the store decides must be what this decides; `test_model` compares the two.
"""

import hashlib
import hmac
import re
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
STEP = 30_000

WINDOW = 1
FACTORS = 2
TOKENS = 3
FAILURES = 5
FIRST_LOCK = 15 * MINUTE
LONGEST_LOCK = 24 * HOUR
ENROLLMENT = 15 * MINUTE
GRACE = 45_000
DEFAULT_LIFE = 7 * DAY
LONGEST_LIFE = 30 * DAY
IDLE = 30 * MINUTE
SESSION = 12 * HOUR
CODE_STAGE = 5 * MINUTE
CONFIRMATION = 10 * MINUTE
NOTED_EVERY = MINUTE


def totp(secret: bytes, step: int) -> str:
    """Give the code of a step (RFC 4226 section 5.3)."""
    mac = hmac.digest(secret, struct.pack(">Q", step), hashlib.sha1)
    (number,) = struct.unpack_from(">I", mac, mac[-1] & 0xF)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06d}"


@dataclass
class Gate:
    """Wrong answers in a row, and the lock that they lead to."""

    allowed: int = FAILURES
    first: int = FIRST_LOCK
    longest: int = LONGEST_LOCK
    failures: int = 0
    locks: int = 0
    locked_at: int | None = None
    counted_at: int | None = None

    def wait(self, now: int) -> int:
        """Give the milliseconds until it opens."""
        if self.locked_at is None:
            return 0
        length = min(self.first * 2 ** (self.locks - 1), self.longest)
        end = self.locked_at + length
        return end - now if self.locked_at - length <= now < end else 0

    def count(self, now: int) -> bool:
        """Count a wrong answer; tell whether that closed it."""
        self.failures += 1
        self.counted_at = now
        if self.failures < self.allowed:
            return False
        self.failures, self.locks, self.locked_at = 0, self.locks + 1, now
        return True

    def forget(self) -> None:
        """Open it, with nothing remembered."""
        self.failures, self.locks, self.locked_at = 0, 0, None


@dataclass
class Factor:
    """An authenticator."""

    secret: bytes
    created: int
    active: bool = False
    last_step: int = -1

    def step_of(self, digits: str, now: int) -> int | None:
        """Give the newest step around now whose code this is."""
        present = now // STEP
        for step in range(present + WINDOW, present - WINDOW - 1, -1):
            if step >= 0 and totp(self.secret, step) == digits:
                return step
        return None


@dataclass
class Token:
    """An access token."""

    id: str
    expires: int | None
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    revoked: bool = False


@dataclass
class Session:
    """A session of web or API."""

    stage: str
    created: int
    seen: int
    confirmed: int | None


Event = tuple[int, str, str | None]
"""When, what and why, as the audit has it."""


@dataclass
class Account:
    """Everything that is known of one account."""

    barred: bool = False
    met: bool = False
    factors: dict[str, Factor] = field(default_factory=dict)
    recovery: dict[str, bool] = field(default_factory=dict)
    """Each code, and whether it was used."""
    codes: Gate = field(default_factory=Gate)
    last_wrong: tuple[int, str] | None = None
    one_string: Gate = field(default_factory=Gate)
    tokens: dict[str, Token] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    graces: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def active(self) -> dict[str, Factor]:
        """Give the factors that are asked for."""
        return {key: factor for key, factor in self.factors.items() if factor.active}

    def note(self, now: int, event: str, reason: str | None = None) -> None:
        """Add to the audit."""
        self.events.append((now, event, reason))

    def decided(self, now: int, reason: str, *, granted: bool = False) -> tuple[bool, str]:
        """Put a decision on record and give it: whether it lets in, and why."""
        self.note(now, "login_granted" if granted else "login_denied", reason)
        return granted, reason

    def end_sessions(self, kept: str | None = None) -> None:
        """End all sessions but one, and every grace."""
        self.graces.clear()
        self.sessions = {key: value for key, value in self.sessions.items() if key == kept}

    # Codes

    def check_code(self, text: str, address: str, now: int) -> tuple[bool, str]:
        """Decide by a code after a right password."""
        if self.barred:
            return self.decided(now, "account_barred")
        if self.codes.wait(now):
            return self.decided(now, "codes_locked")
        squeezed = re.sub(r"\s", "", text)
        if re.fullmatch("[0-9]{6}", squeezed):
            return self._check_digits(squeezed, address, now)
        recovery = squeezed.replace("-", "").upper()
        if not re.fullmatch("[A-Z2-7]{16}", recovery):
            return self.decided(now, "code_malformed")
        if not self.active:
            return self.decided(now, "no_factor")
        if self.recovery.get(recovery) is False:
            self.recovery[recovery] = True
            return self._accepted("recovery_code_accepted", address, now)
        return self._wrong(recovery, now)

    def _check_digits(self, digits: str, address: str, now: int) -> tuple[bool, str]:
        if not self.active:
            return self.decided(now, "no_factor")
        used = False
        for factor in self.active.values():
            step = factor.step_of(digits, now)
            if step is not None and step > factor.last_step:
                factor.last_step = step
                return self._accepted("code_accepted", address, now)
            used = used or step is not None
        return self.decided(now, "code_replayed") if used else self._wrong(digits, now)

    def _accepted(self, reason: str, address: str, now: int) -> tuple[bool, str]:
        self.codes.forget()
        self.last_wrong = None
        self.one_string.forget()
        self.graces[address] = now
        return self.decided(now, reason, granted=True)

    def _wrong(self, code: str, now: int) -> tuple[bool, str]:
        if self.last_wrong == (now // STEP, code):
            return self.decided(now, "code_wrong_again")
        self.last_wrong = (now // STEP, code)
        decision = self.decided(now, "code_wrong")
        if self.codes.count(now):
            self.note(now, "codes_locked")
            self.end_sessions()
        return decision

    def matches_before_password(self, digits: str, now: int) -> bool:
        """Tell whether digits behind a password are a code of now."""
        if not self.met or self.barred:
            return False
        if self.one_string.counted_at is not None and now - self.one_string.counted_at > DAY:
            self.one_string.forget()
        if self.one_string.wait(now) or self.codes.wait(now):
            return False
        if any(factor.step_of(digits, now) is not None for factor in self.active.values()):
            return True
        if self.one_string.count(now):
            self.note(now, "one_string_closed")
        return False

    def unlock(self, now: int) -> None:
        """Open what wrong codes closed."""
        self.codes.forget()
        self.last_wrong = None
        self.one_string.forget()
        self.note(now, "account_unlocked")

    # Enrollment

    def begin(self, key: str, secret: bytes, now: int) -> bool:
        """Start an enrollment in place of a pending one; False: there are too many."""
        if len(self.active) >= FACTORS:
            return False
        self.factors = {**self.active, key: Factor(secret, now)}
        self.note(now, "totp_started")
        return True

    def complete(self, key: str, text: str, session: str | None, now: int) -> bool:
        """Complete an enrollment; True as well where that adopts MFA."""
        factor = self.factors[key]
        squeezed = re.sub(r"\s", "", text)
        step = factor.step_of(squeezed, now)
        if factor.active or abs(now - factor.created) > ENROLLMENT or step is None:
            self.note(now, "totp_completion_failed")
            return False
        adopts = not self.active
        factor.active, factor.last_step = True, step
        self.graces.clear()
        self.note(now, "totp_completed")
        if adopts:
            self.end_sessions(session)
        return True

    def new_recovery_codes(self, codes: list[str], now: int) -> None:
        """Put codes in place of all earlier ones."""
        self.recovery = {code.replace("-", "").upper(): False for code in codes}
        self.note(now, "recovery_codes_made")

    def delete_factors(self, keys: list[str], session: str | None, now: int) -> None:
        """Remove factors; without an active one the account has left MFA."""
        for key in keys:
            del self.factors[key]
            self.note(now, "totp_deleted")
        if keys:
            self.end_sessions(session)
            if not self.active:
                self.recovery = {}

    # Passwords

    def accept_password(self, address: str, now: int, *, must_enroll: bool) -> str:
        """Tell what a right password is worth."""
        if self.barred:
            return "account_barred"
        if self.active:
            accepted = self.graces.get(address)
            fresh = accepted is not None and 0 <= now - accepted < GRACE
            return "grace" if fresh and not self.codes.wait(now) else "code"
        return "enrollment" if must_enroll else "mfa_not_adopted"

    # Tokens

    def check_token(
        self, token: Token | None, scope: str, address: str, now: int
    ) -> tuple[bool, str]:
        """Decide by a token; None is one that this account does not have."""
        reason = self._trouble_with(token, scope, address, now)
        if reason is None and self.barred:
            reason = "account_barred"
        return self.decided(now, reason or "token_accepted", granted=reason is None)

    @staticmethod
    def _trouble_with(token: Token | None, scope: str, address: str, now: int) -> str | None:
        if token is None:
            return "token_unknown"
        if token.revoked:
            return "token_revoked"
        if token.expires is not None and now >= token.expires:
            return "token_expired"
        if scope not in token.scopes:
            return "token_out_of_scope"
        peer = ip_address(address.removeprefix("::ffff:"))
        if token.networks and not any(peer in ip_network(text) for text in token.networks):
            return "token_from_other_network"
        return None

    def live_tokens(self, now: int) -> int:
        """Count the tokens that could let in."""
        lives = (token.expires for token in self.tokens.values() if not token.revoked)
        return sum(expires is None or expires > now for expires in lives)

    def revoke(self, tokens: list[Token], now: int) -> None:
        """End tokens for good."""
        for token in tokens:
            token.revoked = True
            self.note(now, "token_revoked")

    def forget(self, now: int) -> None:
        """Take away all that the account holds."""
        self.delete_factors(list(self.factors), None, now)
        self.revoke([token for token in self.tokens.values() if not token.revoked], now)
        self.tokens = {}
        self.end_sessions()
        self.codes.forget()
        self.last_wrong = None
        self.one_string.forget()
        self.note(now, "account_forgotten")

    # Sessions

    def is_alive(self, key: str, now: int) -> bool:
        """Tell whether a session opens anything."""
        session = self.sessions.get(key)
        if session is None or self.barred:
            return False
        longest = CODE_STAGE if session.stage == "code" else SESSION
        return abs(now - session.created) < longest and abs(now - session.seen) < IDLE

    def is_confirmed(self, key: str, now: int) -> bool:
        """Tell whether a session may change factors."""
        confirmed = self.sessions[key].confirmed
        return confirmed is not None and abs(now - confirmed) < CONFIRMATION

    # Time

    def clean(self, now: int) -> None:
        """Forget what has expired."""
        self.sessions = {
            key: value for key, value in self.sessions.items() if value.seen >= now - IDLE
        }
        self.factors = {
            key: value
            for key, value in self.factors.items()
            if value.active or value.created >= now - ENROLLMENT
        }
        self.graces = {key: at for key, at in self.graces.items() if at >= now - GRACE}
        counted = self.one_string.counted_at
        if counted is not None and counted < now - DAY:
            self.one_string.forget()

    def prune(self, before: int) -> None:
        """Forget events up to the first one that is not older."""
        young = [index for index, (at, _, _) in enumerate(self.events) if at >= before]
        self.events = self.events[young[0] if young else len(self.events) :]
