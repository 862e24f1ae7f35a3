"""When wrong answers close a gate, and for how long. Pure: states in, states out."""

from dataclasses import dataclass

from store.settings import GateSettings


@dataclass(frozen=True, slots=True)
class LockState:
    """What is remembered of wrong answers at one gate."""

    failures: int = 0
    """Wrong answers in a row since the last right one or the last lock."""
    locks: int = 0
    """How often the gate closed since the last right answer."""
    locked_at: int | None = None
    """When it last closed, in milliseconds since 1970."""
    last_wrong: bytes | None = None
    """A digest of the last wrong answer and its time step."""


OPEN = LockState()


def lock_length(locks: int, policy: GateSettings) -> int:
    """Give the length of the n-th lock in milliseconds: doubling, up to the longest."""
    longest = policy.max_hours * 3_600_000
    return min(policy.minutes * 60_000 << min(locks - 1, 32), longest)


def remaining(state: LockState, now: int, policy: GateSettings) -> int:
    """Give the milliseconds until the gate opens again; 0 when it is open.

    A lock that lies in the future by more than its own length was made under a clock that has
    been corrected since. It is over: nobody stays locked out until that time comes.
    """
    if state.locked_at is None:
        return 0
    length = lock_length(state.locks, policy)
    if state.locked_at - now > length:
        return 0
    return max(0, state.locked_at + length - now)


def undone(state: LockState, policy: GateSettings) -> LockState:
    """Take back the last wrong answer, which was counted ahead and turned out right."""
    if state.failures:
        return LockState(state.failures - 1, state.locks, state.locked_at)
    if state.locks:
        return LockState(policy.failures - 1, state.locks - 1)
    return state


def after_wrong(
    state: LockState, digest: bytes | None, now: int, policy: GateSettings
) -> LockState:
    """Count a wrong answer; the last one allowed closes the gate."""
    failures = state.failures + 1
    if failures < policy.failures:
        return LockState(failures, state.locks, state.locked_at, digest)
    return LockState(0, state.locks + 1, now, digest)
