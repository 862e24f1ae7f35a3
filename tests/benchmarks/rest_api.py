"""How many calls of the API a second, how long they take, and what 100,000 accounts change.

scripts/test --run python -P tests/benchmarks/rest_api.py
"""

import base64
import http.client
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import insert

sys.path += [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "web_admin")]

from harness.installation import ROOT
from web_host import WebHost

from store.access_tokens import Scope
from store.clock import system_clock
from store.decisions import Attempt, Protocol
from store.opening import Store
from store.otp import code_at, step_at
from store.schema import access_tokens, accounts
from store.sessions import Stage

CALLS = 240
ROUNDS = 3
TOKENS = 10
SIZES = (1_000, 100_000)
_FIRST = 10_000_000
Call = tuple[str, str, dict[str, str], Any]


def fill(store: Store, count: int) -> None:
    """Make accounts with a token each, all at once and without their audit."""
    with store.units.begin() as work:
        rows = [
            {
                "id": _FIRST + number,
                "name": f"filler{number:07d}",
                "created_at": work.now,
                "adopted_at": work.now,
                "holdings": bytes(32),
                "mac": bytes(32),
                "audit_digest": bytes(32),
                "audit_base_digest": bytes(32),
            }
            for number in range(count)
        ]
        work.connection.execute(insert(accounts), rows)
        tokens = [
            {
                "id": f"{number:08d}",
                "account_id": _FIRST + number,
                "digest": bytes(32),
                "name": "t",
                "scopes": "sftp",
                "networks": "",
                "created_at": work.now,
                "mac": bytes(32),
            }
            for number in range(count)
        ]
        work.connection.execute(insert(access_tokens), tokens)


def session(store: Store, account: str) -> str:
    """Begin a session."""
    attempt = Attempt(account, Protocol.API, "127.0.0.1")
    return store.sessions.begin(attempt, Stage.FULL, "benchmark")[0].text()


def lists(store: Store, prefix: str) -> Iterator[Call]:
    """List ten tokens with a token, again and again."""
    account = f"{prefix}list"
    for _ in range(TOKENS):
        store.access_tokens.issue(account, "t", ROOT)
    token = store.access_tokens.issue(account, "t", ROOT, scopes=(Scope.API,))[0].text()
    while True:
        yield "GET", "/users/me/auth-factors/access-tokens", _bearer(token), None


def creations(store: Store, prefix: str) -> Iterator[Call]:
    """Make tokens, no more for one account than are allowed."""
    number = 0
    while True:
        secret = session(store, f"{prefix}make{number}")
        number += 1
        for _ in range(40):
            yield "POST", "/users/me/auth-factors/access-tokens", _bearer(secret), {"name": "t"}


def codes(store: Store, prefix: str) -> Iterator[Call]:
    """Complete logins of as many accounts: each code counts once."""
    number = 0
    while True:
        account = f"{prefix}code{number}"
        number += 1
        begun = store.totp_factors.begin(account, "phone", ROOT)
        secret = base64.b32decode(begun.secret.text())
        now = step_at(system_clock())
        store.totp_factors.complete(account, begun.factor.id, code_at(secret, now - 1), ROOT)
        attempt = Attempt(account, Protocol.API, "127.0.0.1")
        challenge = store.sessions.begin(attempt, Stage.CODE, "benchmark")[0].text()
        sent = {"challenge": challenge, "code": code_at(secret, now)}
        yield "POST", "/auth/mfa/totp/validate-code", {}, sent


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def make_calls(port: int, calls: list[Call], gate: Any, times: Any) -> None:
    """Make calls over one connection; report when each began and ended."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    taken = []
    gate.wait()
    for method, path, headers, body in calls:
        data = json.dumps(body).encode() if body is not None else None
        sent = {**headers, "Content-Type": "application/json"} if data else headers
        began = time.perf_counter()
        connection.request(method, f"/api/v1{path}", data, sent)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {200, 201}, (path, answer.status)
        taken.append((began, time.perf_counter()))
    times.put(taken)


def measure(port: int, calls: list[Call], clients: int) -> list[float]:
    """Share the calls among clients; give calls per second and the times of half and of 99 %."""
    times: Any = multiprocessing.Queue()
    gate = multiprocessing.Barrier(clients)
    workers = [
        multiprocessing.Process(target=make_calls, args=(port, calls[one::clients], gate, times))
        for one in range(clients)
    ]
    for worker in workers:
        worker.start()
    taken = [one for _ in workers for one in times.get()]
    for worker in workers:
        worker.join()
    span = max(ended for _, ended in taken) - min(began for began, _ in taken)
    cuts = statistics.quantiles([1000 * (ended - began) for began, ended in taken], n=100)
    return [len(taken) / span, cuts[49], cuts[98]]


KINDS: dict[str, Callable[[Store, str], Iterator[Call]]] = {
    f"list of {TOKENS} tokens": lists,
    "token creation": creations,
    "validate-code": codes,
}


def compare(
    hosts: dict[int, WebHost], kind: Callable[[Store, str], Iterator[Call]], clients: int
) -> list[str]:
    """Measure the hosts in turn, so that what else the machine does hits both; give the best."""
    rounds: dict[int, list[list[float]]] = {size: [] for size in hosts}
    for number in range(ROUNDS):
        for size, host in hosts.items():
            made = kind(host.installation.store, f"r{number}c{clients}")
            calls = [next(made) for _ in range(CALLS)]
            rounds[size].append(measure(host.port, calls, clients))
    best = {size: max(found) for size, found in rounds.items()}
    cells = [f"{rate:.0f} | {half:.1f} | {most:.1f}" for rate, half, most in best.values()]
    small, large = best.values()
    return [*cells, f"{large[1] / small[1]:.2f} times"]


def main() -> None:
    """Measure and print a table."""
    hosts = {size: WebHost(tls=False) for size in SIZES}
    columns = [f"{size:,} accounts: calls/s | p50 (ms) | p99 (ms)" for size in SIZES]
    print(f"| call | clients | {' | '.join(columns)} | p50 grows |")  # noqa: T201
    print(f"{'| --- ' * (3 + 3 * len(SIZES))}|")  # noqa: T201
    try:
        for size, host in hosts.items():
            fill(host.installation.store, size)
        for name, kind in KINDS.items():
            for clients in (1, 8):
                cells = " | ".join(compare(hosts, kind, clients))
                print(f"| {name} | {clients} | {cells} |", flush=True)  # noqa: T201
    finally:
        for host in hosts.values():
            host.close()


if __name__ == "__main__":
    main()
