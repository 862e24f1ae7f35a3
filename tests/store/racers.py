"""Runs one operation each in many processes at once, every one with a store of its own.

A program, run by `race` in test_races.py: a JSON object comes in (settings, the time, and the calls
to make), a JSON list goes out (what came of each call, in order).
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from harness.stores import ROOT, attempt, seeded, waited_too_long

from store.errors import EnrollmentError, StoreError, StoreUnavailableError
from store.opening import Store, open_store
from store.sealing import Keyring
from store.secret import Secret
from store.settings import Settings
from store.upgrade import upgrade_store

READY_SECONDS = 30
TURNED_AWAY = "turned away"


def check_code(store: Store, account: str, code: str) -> str:
    """Give a code."""
    return store.authentication.check_code(attempt(account), Secret.of(code)).reason


def one_string(store: Store, account: str, digits: str) -> str:
    """Give digits behind a password."""
    matches = store.authentication.matches_code_before_password(attempt(account), digits)
    return "a match" if matches else "no match"


def check_token(store: Store, account: str, token: str) -> str:
    """Give a token."""
    decision = store.authentication.check_token(attempt(account), Secret.of(token))
    return decision.reason if decision is not None else "no token"


def revoke(store: Store, account: str, token_id: str) -> str:
    """End a token."""
    store.access_tokens.revoke(account, token_id, ROOT)
    return "revoked"


def delete(store: Store, account: str, factor_id: str) -> str:
    """Remove an authenticator."""
    store.totp_factors.delete(account, factor_id, ROOT)
    return "deleted"


def complete(store: Store, account: str, factor_id: str, code: str) -> str:
    """Complete an enrollment."""
    try:
        completion = store.totp_factors.complete(account, factor_id, code, ROOT)
    except EnrollmentError as error:
        return str(error)
    return f"completed, with {len(completion.recovery_codes)} recovery codes"


OPERATIONS: dict[str, Callable[..., str]] = {
    "check_code": check_code,
    "one_string": one_string,
    "check_token": check_token,
    "revoke": revoke,
    "delete": delete,
    "complete": complete,
}


def main() -> None:
    """Fork a process for each call, let them all go at once, and print what came of it."""
    order = json.load(sys.stdin)
    prepare = partial(_prepare, msgspec.convert(order["settings"], Settings), order["now"])
    all_ready, ready = os.pipe()
    gate, go = os.pipe()
    outcomes = [_fork(partial(prepare, *call), ready, gate, go) for call in order["calls"]]
    os.close(ready)
    os.read(all_ready, 1)  # nothing comes: it ends when the last of them has closed its end
    os.close(go)
    print(json.dumps([os.fdopen(outcome).read() for outcome in outcomes]))  # noqa: T201


def _fork(prepare: Callable[[], Callable[[], str]], ready: int, gate: int, go: int) -> int:
    outcome, tell = os.pipe()
    if os.fork():
        os.close(tell)
        return outcome
    try:
        os.close(go)
        run = prepare()
        os.close(ready)
        os.read(gate, 1)
        os.write(tell, _said(run).encode())
    except BaseException as error:  # noqa: BLE001 - nothing may run on into the parent's code
        os.write(tell, "".join(traceback.format_exception_only(error)).encode())
    finally:
        os._exit(0)


def _prepare(settings: Settings, now: int, operation: str, *arguments: Any) -> Callable[[], str]:
    randomness = seeded(os.getpid())
    if operation == "upgrade":
        keyring = Keyring(Path(settings.store.key_file), randomness)
        return lambda: str(upgrade_store(settings.store, keyring, lambda: now, randomness))
    store = open_store(settings, lambda: now, randomness)
    _connect(store)
    return partial(OPERATIONS[operation], store, *arguments)


def _said(run: Callable[[], str]) -> str:
    try:
        return run()
    except StoreUnavailableError as error:
        return TURNED_AWAY if waited_too_long(error) else repr(error)


def _connect(store: Store) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return store.check()
        except StoreError:
            if time.monotonic() > deadline:
                raise


main()
