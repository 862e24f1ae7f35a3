"""What is asked of whom, in which order: generators free of I/O.

A conversation yields what is to happen next and is sent what came of it. It returns a decision.
Whoever drives it may do so without a socket, as the tests do.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass

from store.authentication import Authentication
from store.decisions import (
    Attempt,
    ChallengeKind,
    ChallengeRequired,
    Decision,
    Denied,
    Reason,
)
from store.secret import Secret


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for something that must not be seen; sent back is the answer, None if unusable."""

    prompt: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Show a text; None is sent back."""

    text: str


@dataclass(frozen=True, slots=True)
class PassOn:
    """Let the rest of the stack check a password, or ask for one by itself if this is None.

    Sent back is None once the stack has accepted it; else StackRefusedError is thrown in.
    """

    password: Secret | None


@dataclass(frozen=True, slots=True)
class Prompts:
    """The words that people see."""

    password: str
    code: str
    enrollment: str
    """For who must adopt MFA and has not."""


class StackRefusedError(Exception):
    """Thrown into a conversation when the stack did not accept the password."""


Conversation = Generator[Ask | Tell | PassOn, Secret | None, Decision]

_ONE_STRING = re.compile(rb"(?s)(?P<password>.+)(?P<code>[0-9]{6})")


def login(attempt: Attempt, factors: Authentication, prompts: Prompts) -> Conversation:
    """Lead one login attempt of an account that NSS knows, over both lines of the stack."""
    held = factors.factors_of(attempt.account)
    if not held.totp and not held.tokens:
        return (yield from _without_factors(attempt, factors, prompts))
    answer = yield Ask(prompts.password)
    if answer is None or not answer.value:
        # The stack sees no empty password of ours: it might be one that lets in.
        return factors.refuse_password(attempt)
    by_token = factors.check_token(attempt, answer)
    if by_token is not None:
        return by_token
    password, code = (answer, None) if not held.totp else _split(attempt, factors, answer)
    try:
        yield PassOn(password)
    except StackRefusedError:
        return factors.refuse_password(attempt)
    if held.needs_code:
        return (yield from _by_code(attempt, factors, prompts, answer, code))
    return (yield from _after_password(attempt, factors, prompts, answer, code))


def _without_factors(attempt: Attempt, factors: Authentication, prompts: Prompts) -> Conversation:
    """Stay out of the way: the machine's own stack asks, as it did before."""
    try:
        yield PassOn(None)
    except StackRefusedError:
        return factors.refuse_password(attempt)
    return (yield from _after_password(attempt, factors, prompts, None, None))


def _after_password(
    attempt: Attempt,
    factors: Authentication,
    prompts: Prompts,
    answer: Secret | None,
    code: Secret | None,
) -> Conversation:
    decision = factors.accept_password(attempt)
    if not isinstance(decision, ChallengeRequired):
        return decision
    if decision.kind is ChallengeKind.ENROLLMENT:
        yield Tell(prompts.enrollment)
        return factors.refuse_without_mfa(attempt)
    return (yield from _by_code(attempt, factors, prompts, answer, code))


def _by_code(
    attempt: Attempt,
    factors: Authentication,
    prompts: Prompts,
    answer: Secret | None,
    code: Secret | None,
) -> Conversation:
    if code is None:
        code = yield Ask(prompts.code)
        # sshd's `password` method gives one answer to every prompt, as do clients that fill in
        # a saved password by themselves. That is no guess at the code.
        if code is None or code == answer:
            return factors.refuse_without_code(attempt)
    return factors.check_code(attempt, code)


def _split(
    attempt: Attempt, factors: Authentication, answer: Secret
) -> tuple[Secret, Secret | None]:
    """Take apart a password and a code written as one string.

    Only digits that are the code of now are taken for a code: a password may end in digits too.
    """
    match = _ONE_STRING.fullmatch(answer.value)
    if match is None:
        return answer, None
    code = match["code"].decode("ascii")
    if not factors.matches_code_before_password(attempt, code):
        return answer, None
    return Secret(match["password"]), Secret.of(code)


def stranger() -> Conversation:
    """Lead the attempt of a name that NSS does not know: the stack asks, and never lets in."""
    yield PassOn(None)
    return Denied(Reason.ACCOUNT_UNKNOWN)


def account(attempt: Attempt, factors: Authentication) -> Decision:
    """Decide in the account phase, which follows every method, public keys included."""
    return factors.check_account(attempt)
