"""No sequence of operations lets in what the design refuses, or refuses what it lets in.

Hypothesis makes up sequences; each is done on the store, through two hosts by turns, and on the
reference model.

A usual run makes up a few sequences and shows the one that went wrong. This looks further, and
shrinks that one to the shortest which goes wrong in the same way:

    SFTP_MFA_MODEL_EXAMPLES=2000 scripts/test tests/store/test_model.py --timeout=0
"""

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bed import DATABASES, ROOT, Bed, HandClock, counted_bytes, findings, make_bed
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import DAY, HOUR, MINUTE, STEP, Account, Gate, Session, Token, totp

from store import access_tokens
from store.access_tokens import Scope
from store.audit import Actor
from store.audit_log import Filter
from store.clock import from_milliseconds
from store.decisions import Attempt, ChallengeRequired, Decision, Granted, Protocol
from store.errors import EnrollmentError, LimitError, NotFoundError, RequestError
from store.opening import Store
from store.sealing import new_key, read_keys, replace_key_file
from store.secret import Secret
from store.sessions import Stage

NAMES = ("daemon", "nobody", "no such account")
"""One whose group must adopt MFA, one that need not, and one whose groups nobody knows."""
MUST_FROM = 1_798_761_600_000  # 2027-01-01
BEGINNING = MUST_FROM - 3 * HOUR - 7_123
ADDRESSES = ("192.0.2.7", "::ffff:192.0.2.7", "198.51.100.9")
NETWORKS = ((), ("192.0.2.0/24",), ("198.51.100.9/32", "2001:db8::/32"))
SCOPES = ((Scope.SFTP,), (Scope.API,), (Scope.SFTP, Scope.API))
LIVES = (None, -1, 0, MINUTE, DAY, 30 * DAY, 30 * DAY + 1)
MOVES = (1, 1_000, STEP, STEP, MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 16 * MINUTE)
LONG_MOVES = (30 * MINUTE, 31 * MINUTE, HOUR, 4 * HOUR, 24 * HOUR, 25 * HOUR, 8 * DAY)

SECTIONS: dict[str, Any] = {
    "totp": {"max_per_account": 2},
    "grace": {"seconds": 45},
    "enforcement": {"groups": ["daemon"], "start": from_milliseconds(MUST_FROM).date()},
    "access_tokens": {"max_per_account": 3, "default_days": 7, "max_days": 30},
    "password_throttle": {
        "account": {"failures": 3, "minutes": 1, "max_hours": 1},
        "address": {"failures": 5, "minutes": 1, "max_hours": 1},
    },
}

who = st.sampled_from(NAMES)
where = st.sampled_from(ADDRESSES)
place = st.integers(0, 7)
protocols = st.sampled_from([Protocol.SSH, Protocol.API, Protocol.WEB])


def picked(items: Any, index: int) -> Any:
    """Give one of some, whichever number was made up."""
    listed = list(items)
    return listed[index % len(listed)]


def told(decision: Decision | ChallengeRequired | None) -> tuple[bool, str]:
    """Put a decision in the model's words."""
    if isinstance(decision, ChallengeRequired):
        return False, decision.kind.value
    assert decision is not None
    return isinstance(decision, Granted), decision.reason.value


class Sequences(RuleBasedStateMachine):
    """What can be done, on the store and on the model."""

    def __init__(self, bed: Bed) -> None:
        """Begin with an empty store."""
        super().__init__()
        bed.start_anew()
        self.bed = bed
        self.clock = HandClock(BEGINNING)
        self.randomness = counted_bytes()
        self.hosts = [bed.open(self.clock, self.randomness) for _ in range(2)]
        self.turn = 0
        self.accounts = {name: Account() for name in NAMES}
        self.guesses: dict[str, Gate] = {}
        self.secrets: dict[str, tuple[str, Secret, Any]] = {}
        """Of each session: whose it is, its secret, and how it was last shown."""
        self.used_up: list[str] = []
        self.forgotten: list[str] = []
        self.keys = [0, 0]
        """How many were added and retired."""

    @property
    def store(self) -> Store:
        """Give the hosts by turns."""
        self.turn += 1
        return self.hosts[self.turn % 2]

    @property
    def now(self) -> int:
        """Give the time."""
        return self.clock.now

    def met(self, name: str) -> Account:
        """Give the model of an account that the store has met by now."""
        self.accounts[name].met = True
        return self.accounts[name]

    def attempt(self, name: str, address: str, protocol: Protocol = Protocol.SSH) -> Attempt:
        """Describe an attempt."""
        return Attempt(name, protocol, address)

    # Enrollment

    @initialize(name=who)
    def adopt(self, name: str) -> None:
        """Let one account have adopted MFA, or most sequences would do little."""
        self.begin(name)
        self.complete(name, 0, 0, 0)

    @rule(name=who)
    def begin(self, name: str) -> None:
        """Start an enrollment."""
        account = self.accounts[name]
        try:
            enrollment = self.store.totp_factors.begin(name, "phone", ROOT)
        except LimitError:
            assert len(account.active) == 2
            return
        secret = base64.b32decode(enrollment.secret.text())
        assert self.met(name).begin(enrollment.factor.id, secret, self.now)

    @precondition(lambda self: any(account.factors for account in self.accounts.values()))
    @rule(name=who, index=place, step=st.integers(-2, 2), own=place)
    def complete(self, name: str, index: int, step: int, own: int) -> None:
        """Complete an enrollment, with a code of the steps around now."""
        account = self.accounts[name]
        if not account.factors:
            return
        key = picked(reversed(account.factors), index)
        code = totp(account.factors[key].secret, self.now // STEP + step)
        adopted = bool(account.active)
        actor = self.own_session(name, own)
        try:
            completion = self.store.totp_factors.complete(
                name, key, f" {code[:3]} {code[3:]}", actor
            )
        except EnrollmentError:
            assert not account.complete(key, code, actor.session_id, self.now)
            return
        assert account.complete(key, code, actor.session_id, self.now)
        assert len(completion.recovery_codes) == (0 if adopted else 10)
        if not adopted:
            codes = [code.text() for code in completion.recovery_codes]
            account.new_recovery_codes(codes, self.now)

    @rule(name=who, index=place, own=place)
    def delete(self, name: str, index: int, own: int) -> None:
        """Delete a factor, pending or active."""
        account = self.accounts[name]
        if account.factors:
            key = picked(account.factors, index)
            actor = self.own_session(name, own)
            self.store.totp_factors.delete(name, key, actor)
            account.delete_factors([key], actor.session_id, self.now)

    @rule(name=who)
    def delete_all(self, name: str) -> None:
        """Let an account leave MFA."""
        account = self.accounts[name]
        assert self.store.totp_factors.delete_all(name, ROOT) == len(account.factors)
        account.delete_factors(list(account.factors), None, self.now)

    # Codes

    def check_code(self, name: str, text: str, address: str) -> None:
        """Give a code to both."""
        decision = self.store.authentication.check_code(
            self.attempt(name, address), Secret.of(text)
        )
        assert told(decision) == self.met(name).check_code(text, address, self.now)
        if isinstance(decision, Granted):
            self.used_up.append(text)

    @rule(name=who, index=place, step=st.integers(-2, 2), address=where)
    def give_code(self, name: str, index: int, step: int, address: str) -> None:
        """Give the code of a step around now, of any factor of any account."""
        factors = self.accounts[name].factors or {
            key: factor for other in self.accounts.values() for key, factor in other.factors.items()
        }
        if factors:
            secret = picked(factors.values(), index).secret
            self.check_code(name, totp(secret, self.now // STEP + step), address)

    @precondition(lambda self: self.used_up)
    @rule(name=who, index=place, address=where)
    def give_code_again(self, name: str, index: int, address: str) -> None:
        """Give what let in before."""
        self.check_code(name, picked(reversed(self.used_up), index), address)

    @rule(name=who, guess=st.integers(0, 3), times=st.integers(1, 6), address=where)
    def give_wrong_codes(self, name: str, guess: int, times: int, address: str) -> None:
        """Give made-up codes, some of them twice."""
        for number in range(times):
            self.check_code(name, f"{(guess + number // 2) * 111_111:06d}", address)

    @rule(name=who, times=st.integers(1, 6), address=where)
    def give_different_wrong_codes(self, name: str, times: int, address: str) -> None:
        """Give made-up codes, each another."""
        for number in range(times):
            self.check_code(name, f"{number * 111_111:06d}", address)

    @rule(name=who, index=place, address=where)
    def give_recovery_code(self, name: str, index: int, address: str) -> None:
        """Give a recovery code of any account, used before or not."""
        codes = [
            *self.accounts[name].recovery,
            *(code for account in self.accounts.values() for code in account.recovery),
        ]
        if codes:
            self.check_code(name, picked(codes, index).lower(), address)

    @rule(
        name=who,
        text=st.sampled_from(
            ["", "12345", "1234567", "let me in", "AAAA-AAAA-AAAA-AAAA", "١٢٣٤٥٦", "0" * 16]
        ),
        address=where,
    )
    def give_something_else(self, name: str, text: str, address: str) -> None:
        """Give what is no code, or a recovery code of nobody."""
        self.check_code(name, text, address)

    @rule(name=who, index=place, step=st.integers(-2, 2), times=st.integers(1, 6))
    def one_string(self, name: str, index: int, step: int, times: int) -> None:
        """Ask whether digits behind a password are a code."""
        account = self.accounts[name]
        digits = "000000"
        if account.factors and times == 1:
            secret = picked(account.factors.values(), index).secret
            digits = totp(secret, self.now // STEP + step)
        for _ in range(times):
            matches = self.store.authentication.matches_code_before_password(
                self.attempt(name, "192.0.2.7"), digits
            )
            assert matches == account.matches_before_password(digits, self.now)

    @rule(name=who)
    def unlock(self, name: str) -> None:
        """Unlock an account."""
        if not self.accounts[name].met:
            with pytest.raises(NotFoundError):
                self.store.accounts.unlock(name, ROOT)
            return
        self.store.accounts.unlock(name, ROOT)
        self.accounts[name].unlock(self.now)
        self.guesses.pop(name, None)

    # Passwords

    @rule(name=who, address=where, protocol=protocols)
    def accept_password(self, name: str, address: str, protocol: Protocol) -> None:
        """Find out what a right password is worth."""
        account = self.accounts[name]
        must = {"daemon": self.now >= MUST_FROM, "nobody": False}
        decision = self.store.authentication.accept_password(self.attempt(name, address, protocol))
        expected = account.accept_password(
            address, self.now, must_enroll=must.get(name, self.now >= MUST_FROM)
        )
        assert told(decision)[1] == expected
        self.met(name)
        if not isinstance(decision, ChallengeRequired):
            granted = expected in {"grace", "mfa_not_adopted"}
            assert told(decision) == account.decided(self.now, expected, granted=granted)

    @rule(name=who, address=where)
    def refuse(self, name: str, address: str) -> None:
        """Put refusals on record, which count nothing."""
        authentication = self.store.authentication
        attempt = self.attempt(name, address)
        for refusal, reason in [
            (authentication.refuse_password, "password_refused"),
            (authentication.refuse_without_code, "code_missing"),
            (authentication.refuse_without_mfa, "mfa_required"),
        ]:
            assert told(refusal(attempt)) == self.met(name).decided(self.now, reason)

    @rule(name=who, address=where, right=st.lists(st.booleans(), min_size=1, max_size=6))
    def guess_password(self, name: str, address: str, right: list[bool]) -> None:
        """Guess a password through the web, some of them rightly."""
        peer = address.removeprefix("::ffff:")
        for is_right in right:
            gates = self.gates(name, peer)
            wait = max(gate.wait(self.now) for gate in gates)
            throttle = self.store.password_throttle
            assert throttle.enter(name, address) == -(-wait // 1000)
            if wait:
                continue
            before = gates[1].failures, gates[1].locks, gates[1].locked_at
            for gate in gates:
                gate.count(self.now)
            if is_right:
                self.store.password_throttle.succeed(name, address)
                gates[0].forget()
                closed = gates[1].locks > before[1]
                gates[1].failures, gates[1].locks, gates[1].locked_at = before
                if closed:
                    gates[1].locked_at = None

    def gates(self, name: str, address: str) -> list[Gate]:
        """Give the gates of a guess, forgotten after a day."""
        found = [
            self.guesses.setdefault(name, Gate(3, MINUTE, HOUR)),
            self.guesses.setdefault(address, Gate(5, MINUTE, HOUR)),
        ]
        for gate in found:
            if gate.counted_at is not None and self.now - gate.counted_at > DAY:
                gate.forget()
        return found

    # Tokens

    @rule(
        name=who,
        life=st.sampled_from(LIVES),
        scopes=st.sampled_from(SCOPES),
        networks=st.sampled_from(NETWORKS),
    )
    def issue(
        self,
        name: str,
        life: int | None,
        scopes: tuple[Scope, ...],
        networks: tuple[str, ...],
    ) -> None:
        """Make a token."""
        end = None if life is None else from_milliseconds(self.now + life)
        account = self.accounts[name]
        try:
            secret, token = self.store.access_tokens.issue(
                name, "job", ROOT, scopes=scopes, networks=networks, expires_at=end
            )
        except LimitError:
            assert account.live_tokens(self.now) >= 3 or (life or 0) > 30 * DAY
            return
        except RequestError:
            assert life is not None
            assert life <= 0
            return
        assert account.live_tokens(self.now) < 3
        assert life is None or 0 < life <= 30 * DAY
        expires = self.now + (life or 7 * DAY)
        assert token.expires_at == from_milliseconds(expires)
        words = tuple(scope.value for scope in scopes)
        self.met(name).tokens[secret.text()] = Token(token.id, expires, words, networks)
        account.note(self.now, "token_issued")

    @rule(name=who, owner=who, index=place, address=where, protocol=protocols)
    def use(self, name: str, owner: str, index: int, address: str, protocol: Protocol) -> None:
        """Give a token, of the account itself or of another one."""
        if not self.accounts[owner].tokens:
            return
        text, token = picked(self.accounts[owner].tokens.items(), index)
        decision = self.store.authentication.check_token(
            self.attempt(name, address, protocol), Secret.of(text)
        )
        scope = {Protocol.SSH: "sftp", Protocol.API: "api"}.get(protocol, "none")
        own = token if owner == name else None
        assert told(decision) == self.met(name).check_token(own, scope, address, self.now)

    @rule(name=who, index=place, spoiled=st.integers(5, 61))
    def use_a_spoiled_one(self, name: str, index: int, spoiled: int) -> None:
        """Give a token with one character changed: no token at all, by its checksum."""
        if not self.accounts[name].tokens:
            return
        text = picked(self.accounts[name].tokens, index)
        other = "A" if text[spoiled] != "A" else "B"
        text = text[:spoiled] + other + text[spoiled + 1 :]
        attempt = self.attempt(name, "192.0.2.7")
        assert self.store.authentication.check_token(attempt, Secret.of(text)) is None

    @rule(name=who, index=place)
    def use_a_forged_one(self, name: str, index: int) -> None:
        """Give a token with the id of a real one, another secret and the checksum that fits."""
        if not self.accounts[name].tokens:
            return
        text = picked(self.accounts[name].tokens, index)
        body = text[:13] + text[13:56][::-1]
        forged = body + access_tokens._check(body + "0" * 6)  # noqa: SLF001 - what a forger knows
        decision = self.store.authentication.check_token(
            self.attempt(name, "192.0.2.7"), Secret.of(forged)
        )
        expected = self.met(name).check_token(None, "sftp", "192.0.2.7", self.now)
        assert told(decision) == expected

    @precondition(lambda self: self.forgotten)
    @rule(name=who, index=place)
    def use_a_forgotten_one(self, name: str, index: int) -> None:
        """Give a token that an account had before it was forgotten."""
        decision = self.store.authentication.check_token(
            self.attempt(name, "192.0.2.7"), Secret.of(picked(self.forgotten, index))
        )
        expected = self.met(name).check_token(None, "sftp", "192.0.2.7", self.now)
        assert told(decision) == expected

    @rule(name=who, index=place)
    def revoke(self, name: str, index: int) -> None:
        """Revoke a token; a second time there is none to revoke."""
        account = self.accounts[name]
        if not account.tokens:
            return
        token = picked(account.tokens.values(), index)
        try:
            self.store.access_tokens.revoke(name, token.id, ROOT)
        except NotFoundError:
            assert token.revoked
            return
        assert not token.revoked
        account.revoke([token], self.now)

    @rule(name=who)
    def revoke_all(self, name: str) -> None:
        """Revoke every token of an account."""
        account = self.accounts[name]
        living = [token for token in account.tokens.values() if not token.revoked]
        assert self.store.access_tokens.revoke_all(name, ROOT) == len(living)
        account.revoke(living, self.now)

    # Recovery codes

    @rule(name=who)
    def renew_recovery_codes(self, name: str) -> None:
        """Make new recovery codes; only who has adopted MFA may have any."""
        account = self.accounts[name]
        try:
            codes = self.store.recovery_codes.renew(name, ROOT)
        except RequestError:
            assert not account.active
            return
        assert account.active
        account.new_recovery_codes([code.text() for code in codes], self.now)

    @rule(name=who)
    def delete_recovery_codes(self, name: str) -> None:
        """Delete an account's recovery codes."""
        self.store.recovery_codes.delete(name, ROOT)
        account = self.accounts[name]
        if account.recovery:
            account.recovery = {}
            account.note(self.now, "recovery_codes_deleted")

    # Sessions

    def own_session(self, name: str, index: int) -> Actor:
        """Act from within a session of the account, or from none."""
        own = [key for key, (owner, _, _) in self.secrets.items() if owner == name]
        return Actor(name, Protocol.WEB, None, picked([None, *own], index))

    @rule(name=who, stage=st.sampled_from(Stage), address=where)
    def begin_session(self, name: str, stage: Stage, address: str) -> None:
        """Begin a session."""
        attempt = self.attempt(name, address, Protocol.WEB)
        secret, shown = self.store.sessions.begin(attempt, stage, "Firefox")
        account = self.met(name)
        confirmed = self.now if stage is Stage.FULL else None
        account.sessions[shown.id] = Session(stage.value, self.now, self.now, confirmed)
        account.note(self.now, "session_begun")
        self.secrets[shown.id] = name, secret, shown

    @precondition(lambda self: self.secrets)
    @rule(index=place)
    def find_session(self, index: int) -> None:
        """Come back with a session's secret."""
        key, (name, secret, _) = picked(self.secrets.items(), index)
        account = self.accounts[name]
        found = self.store.sessions.find(secret)
        assert (found is not None) == account.is_alive(key, self.now)
        if found is None:
            return
        session = account.sessions[key]
        assert found.account == name
        assert found.stage.value == session.stage
        assert found.confirmed == account.is_confirmed(key, self.now)
        if abs(self.now - session.seen) >= MINUTE:
            session.seen = self.now

    @precondition(lambda self: self.secrets)
    @rule(index=place)
    def rise(self, index: int) -> None:
        """Confirm a session; one that has ended, by whatever, does not rise."""
        key, (name, old, shown) = picked(self.secrets.items(), index)
        account = self.met(name)
        actor = Actor(name, Protocol.WEB)
        if not account.is_alive(key, self.now):
            with pytest.raises(NotFoundError):
                self.store.sessions.rise(shown, actor)
            return
        secret, shown = self.store.sessions.rise(shown, actor)
        session = account.sessions[key]
        session.stage, session.seen, session.confirmed = "full", self.now, self.now
        account.note(self.now, "session_confirmed")
        self.secrets[key] = name, secret, shown
        assert self.store.sessions.find(old) is None

    @precondition(lambda self: self.secrets)
    @rule(index=place)
    def end_session(self, index: int) -> None:
        """Sign out."""
        key, (name, _, _) = picked(self.secrets.items(), index)
        account = self.accounts[name]
        try:
            self.store.sessions.end(name, key, ROOT)
        except NotFoundError:
            assert key not in account.sessions
            return
        del account.sessions[key]
        account.note(self.now, "sessions_ended")

    @rule(name=who, own=place)
    def end_other_sessions(self, name: str, own: int) -> None:
        """Sign out everywhere else."""
        actor = self.own_session(name, own)
        self.store.sessions.end_others(name, actor)
        account = self.accounts[name]
        if account.met:
            account.end_sessions(actor.session_id)
            account.note(self.now, "sessions_ended")

    @rule(name=who, own=place)
    def change_password(self, name: str, own: int) -> None:
        """Change the password."""
        actor = self.own_session(name, own)
        self.store.accounts.note_password_changed(name, actor)
        account = self.met(name)
        account.end_sessions(actor.session_id)
        account.note(self.now, "password_changed")

    # Administrators

    @rule(name=who)
    def bar(self, name: str) -> None:
        """Bar an account."""
        self.store.accounts.bar(name, ROOT)
        account = self.met(name)
        if not account.barred:
            account.barred = True
            account.end_sessions()
            account.note(self.now, "account_barred")

    @rule(name=who)
    def unbar(self, name: str) -> None:
        """Let an account in again."""
        self.store.accounts.unbar(name, ROOT)
        account = self.accounts[name]
        if account.barred:
            account.barred = False
            account.graces.clear()
            account.note(self.now, "account_unbarred")

    @rule(name=who)
    def forget(self, name: str) -> None:
        """Take everything from an account."""
        if not self.accounts[name].met:
            with pytest.raises(NotFoundError):
                self.store.accounts.forget(name, ROOT)
            return
        self.forgotten += self.accounts[name].tokens
        self.store.accounts.forget(name, ROOT)
        self.accounts[name].forget(self.now)
        self.guesses.pop(name, None)

    @rule()
    def add_key(self) -> None:
        """Put a new key before the one that seals, as `rotate-keys --step add` does."""
        keys = read_keys(self.bed.key_file)
        if len(keys) == 1:
            key, value = new_key(self.randomness)
            replace_key_file(self.bed.key_file, {key: value, **keys}, 0)
            self.command(lambda store: store.key_rotation.note_added(key, ROOT))
            self.keys[0] += 1

    @rule(whole=st.booleans())
    def seal_anew(self, *, whole: bool) -> None:
        """Seal anew, by one batch or until nothing is left."""

        def work(store: Store) -> None:
            while store.key_rotation.reseal_batch() and whole:
                pass

        self.command(work)

    @rule()
    def retire_key(self) -> None:
        """Take the old key out of the file where nothing is sealed under it any more."""
        newest, *old = keys = read_keys(self.bed.key_file)
        if old and not self.store.key_rotation.uses(old[0]):
            self.command(lambda store: store.key_rotation.note_retired(old[0], ROOT))
            replace_key_file(self.bed.key_file, {newest: keys[newest]}, 0)
            self.keys[1] += 1

    def command(self, work: Callable[[Store], None]) -> None:
        """Work on the store in a process that begins now."""
        store = self.bed.open(self.clock, self.randomness)
        work(store)
        store.close()

    # Time

    @rule(step=st.sampled_from(MOVES))
    def wait(self, step: int) -> None:
        """Let time go by."""
        self.clock.now += step

    @rule(step=st.sampled_from(LONG_MOVES))
    def wait_long(self, step: int) -> None:
        """Let much time go by."""
        self.clock.now += step

    @rule(step=st.sampled_from(MOVES + LONG_MOVES))
    def set_back(self, step: int) -> None:
        """Set the clock back."""
        self.clock.now -= step

    @rule()
    def keep_house(self) -> None:
        """Delete what has expired."""
        self.store.housekeeping.run()
        for account in self.accounts.values():
            account.clean(self.now)
        for gate in self.guesses.values():
            if gate.counted_at is not None and gate.counted_at < self.now - DAY:
                gate.forget()

    @rule(age=st.sampled_from(MOVES + LONG_MOVES))
    def prune(self, age: int) -> None:
        """Delete old events."""
        before = self.now - age
        kept = sum(len(account.events) for account in self.accounts.values())
        count = self.store.audit_log.prune(from_milliseconds(before), ROOT)
        for account in self.accounts.values():
            account.prune(before)
        assert count == kept - sum(len(account.events) for account in self.accounts.values())

    # What is told

    @rule(name=who)
    def look(self, name: str) -> None:
        """Compare what the store tells of an account."""
        account, store = self.accounts[name], self.store
        held = store.authentication.factors_of(name)
        assert held.totp == bool(account.active)
        living = {token.id for token in account.tokens.values() if not token.revoked}
        assert held.tokens == bool(living)
        assert {token.id for token in store.access_tokens.list(name)} == living
        assert {factor.id for factor in store.totp_factors.list(name)} == set(account.factors)
        assert store.recovery_codes.left(name) == list(account.recovery.values()).count(False)
        sessions = {key for key in account.sessions if account.is_alive(key, self.now)}
        assert {session.id for session in store.sessions.list(name)} == sessions
        state = store.accounts.show(name)
        assert (state.known_since is not None) == account.met
        assert (state.adopted_at is not None) == bool(account.active)
        assert (state.barred_at is not None) == account.barred
        assert state.wrong_codes == account.codes.failures
        wait = account.codes.wait(self.now)
        assert state.locked_until == (from_milliseconds(self.now + wait) if wait else None)

    @rule(name=who, address=where)
    def enter_by_key(self, name: str, address: str) -> None:
        """Come in by a public key: only a bar is in the way."""
        account = self.accounts[name]
        decision = self.store.authentication.check_account(self.attempt(name, address))
        assert isinstance(decision, Granted) is not account.barred
        if account.barred:
            assert told(decision) == account.decided(self.now, "account_barred")

    @rule()
    def list_accounts(self) -> None:
        """Compare lists of accounts."""
        accounts = self.store.accounts
        lists: list[tuple[list[Any], Callable[[Account], object]]] = [
            (accounts.list(), lambda account: account.met),
            (accounts.list(adopted=True), lambda account: account.active),
            (accounts.list(adopted=False), lambda account: account.met and not account.active),
            (accounts.list(locked=True), lambda account: account.codes.wait(self.now)),
            (accounts.list(barred=True), lambda account: account.barred),
        ]
        for listed, expected in lists:
            names = [name for name in sorted(NAMES) if expected(self.accounts[name])]
            assert [state.name for state in listed] == names

    def teardown(self) -> None:
        """Compare the whole audit, and prove its chains."""
        store = self.store
        for name, account in self.accounts.items():
            assert events_of(store, name) == account.events
        system = [(event, subject) for event, subject in system_events(store)]
        created = {subject for event, subject in system if event == "account_created"}
        assert created == {name for name, account in self.accounts.items() if account.met}
        kinds = [event for event, _ in system]
        assert [kinds.count("key_added"), kinds.count("key_retired")] == self.keys
        assert findings(store) == []


def events_of(store: Store, name: str) -> list[tuple[int, str, str | None]]:
    """Read an account's events by small pages, in the order in which they were written."""
    events = list(paged(store, Filter(account=name)))
    assert events == sorted(events, key=lambda event: (event.at, event.id), reverse=True)
    events.sort(key=lambda event: event.id)
    return [(round(event.at.timestamp() * 1000), event.event, event.reason) for event in events]


def system_events(store: Store) -> list[tuple[str, str | None]]:
    """Read the events that concern no account."""
    return [(event.event, event.subject) for event in paged(store, Filter(account=""))]


def paged(store: Store, wanted: Filter) -> Iterator[Any]:
    """Read all events by pages."""
    cursor = None
    while True:
        page = store.audit_log.page(wanted, 40, cursor)
        yield from page.events
        cursor = page.cursor
        if cursor is None:
            return


@pytest.fixture(autouse=True)
def _secrets_stay_out_of_the_log() -> None:
    """Not here: of so many codes one is a part of some id by chance, and it takes long."""


@pytest.fixture(params=DATABASES)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Make a store on either database, with every limit within reach."""
    made = make_bed(request, tmp_path, **SECTIONS)
    yield made
    made.close()


def test_store_and_model_decide_alike(bed: Bed) -> None:
    """Whatever is done in whichever order, the store decides as the model does."""
    wanted = os.environ.get("SFTP_MFA_MODEL_EXAMPLES")
    few = 60 if bed.is_sqlite else 20

    class OnThisBed(Sequences):
        def __init__(self) -> None:
            super().__init__(bed)

    run_state_machine_as_test(
        OnThisBed,
        settings=settings(
            max_examples=int(wanted) if wanted else few,
            stateful_step_count=50,
            phases=[Phase.generate, Phase.shrink] if wanted else [Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
