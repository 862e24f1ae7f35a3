"""Every endpoint, for everybody, with every credential: the status of each cell."""

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.accounts import Account, Accounts
from harness.installation import ROOT
from rest_client import Client
from web_host import ADMINISTRATORS, WebHost

from store import access_tokens
from store.access_tokens import Scope
from store.clock import system_clock
from store.decisions import Attempt, Protocol
from store.opening import Store, open_store
from store.otp import code_at, step_at
from store.sessions import Stage
from store.settings import load
from web_admin.api.registry import ENDPOINTS

CREDENTIALS = (
    "session",
    "session without confirmation",
    "api token",
    "sftp token",
    "revoked token",
    "expired token",
    "Basic without code",
    "Basic with code",
    "Basic with token",
)


def row(text: str) -> list[int]:
    """Read the statuses for each credential, in their order."""
    statuses = [int(word) for word in text.split()]
    assert len(statuses) == len(CREDENTIALS)
    return statuses


def anybody(status: int) -> dict[str, Any]:
    """Open to everybody, whatever they send."""
    each = [status] * len(CREDENTIALS)
    return {"nobody": status, "other": each, "owner": each, "administrator": each}


def free(status: int) -> list[int]:
    """Open to whoever is let in."""
    return row(f"{status} {status} {status} 403 401 401 401 {status} {status}")


def fresh(status: int) -> list[int]:
    """Open likewise, but for sessions that were not confirmed."""
    return row(f"{status} 403 {status} 403 401 401 401 {status} {status}")


def person(status: int) -> list[int]:
    """Open likewise, and to no token."""
    return row(f"{status} 403 403 403 401 401 401 {status} 403")


def session(status: int) -> list[int]:
    """Open to sessions alone."""
    return row(f"{status} {status} 403 403 401 401 401 403 403")


CLOSED = row("403 403 403 403 401 401 401 403 403")


def own(of_owner: list[int], of_administrator: list[int]) -> dict[str, Any]:
    """Open to the owner and to administrators."""
    return {
        "nobody": 401,
        "other": CLOSED,
        "owner": of_owner,
        "administrator": of_administrator,
    }


def each(statuses: list[int]) -> dict[str, Any]:
    """Open to everybody who is somebody, for themselves."""
    return {"nobody": 401, "other": statuses, "owner": statuses, "administrator": statuses}


def administrators(statuses: list[int]) -> dict[str, Any]:
    """Open to administrators alone."""
    return {"nobody": 401, "other": CLOSED, "owner": CLOSED, "administrator": statuses}


TOKENS = "/users/{id}/auth-factors/access-tokens"
TOTP = "/users/{id}/auth-factors/totp"
CODES = "/users/{id}/auth-factors/recovery-codes"
ROWS: dict[str, dict[str, Any]] = {
    "POST /auth/login": anybody(200),
    "POST /auth/mfa/totp/validate-code": each(session(200)),
    "POST /auth/logout": each(session(204)),
    "POST /auth/change-password": each(person(200)),
    f"POST {TOKENS}": own(fresh(201), fresh(201)),
    f"GET {TOKENS}": own(free(200), free(200)),
    f"DELETE {TOKENS}": own(fresh(204), fresh(204)),
    f"GET {TOKENS}/{{accessTokenId}}": own(free(200), free(200)),
    f"DELETE {TOKENS}/{{accessTokenId}}": own(fresh(204), fresh(204)),
    f"POST {TOTP}": own(person(201), fresh(201)),
    f"GET {TOTP}": own(free(200), free(200)),
    f"DELETE {TOTP}": own(person(204), fresh(204)),
    f"GET {TOTP}/{{totpId}}": own(free(200), free(200)),
    f"DELETE {TOTP}/{{totpId}}": own(person(204), fresh(204)),
    f"POST {TOTP}/{{totpId}}/complete": own(person(200), fresh(200)),
    f"POST {CODES}": own(person(201), fresh(201)),
    f"GET {CODES}": own(free(200), free(200)),
    f"DELETE {CODES}": own(person(204), fresh(204)),
    "GET /users": administrators(free(200)),
    "GET /adoption": administrators(free(200)),
    "GET /users/{id}": own(free(200), free(200)),
    "POST /users/{id}/unlock": administrators(fresh(200)),
    "POST /users/{id}/bar": administrators(fresh(200)),
    "POST /users/{id}/unbar": administrators(fresh(200)),
    "POST /users/{id}/forget": administrators(fresh(200)),
    "GET /users/{id}/sessions": own(free(200), free(200)),
    "DELETE /users/{id}/sessions": own(free(204), free(204)),
    "DELETE /users/{id}/sessions/{sessionId}": own(free(204), free(204)),
    "GET /audit-events": each(free(200)),
    "GET /health": anybody(200),
    "GET /metrics": administrators(free(200)),
    "GET /openapi.json": anybody(200),
    "GET /docs": anybody(200),
    "GET /docs/assets/{name}": anybody(200),
}


def test_every_endpoint_has_its_row() -> None:
    """Whoever adds an endpoint says here who may call it with what."""
    assert set(ROWS) == {f"{one.method} {one.path}" for one in ENDPOINTS}


@dataclass(slots=True)
class Person:
    """Somebody who has every credential there is."""

    bench: "Bench"
    account: Account
    password: str

    def client(self, credential: str, visitor: Client) -> tuple[Client, dict[str, str]]:
        """Give who calls, with further headers; each credential is made for this one call."""
        name, store = self.account.name, self.bench.store
        attempt = Attempt(name, Protocol.API, visitor.address)
        match credential:
            case "session":
                return visitor.bearer(store.sessions.begin(attempt, Stage.FULL, "")[0].text()), {}
            case "session without confirmation":
                begun = self.bench.earlier.sessions.begin(attempt, Stage.FULL, "")
                return visitor.bearer(begun[0].text()), {}
            case "api token":
                return visitor.bearer(self.token(Scope.API, Scope.SFTP)), {}
            case "sftp token":
                return visitor.bearer(self.token(Scope.SFTP)), {}
            case "revoked token":
                token = self.token(Scope.API)
                store.access_tokens.revoke(name, token_id(token), ROOT)
                return visitor.bearer(token), {}
            case "expired token":
                return visitor.bearer(self.token(Scope.API, store=self.bench.yesterday)), {}
            case "Basic without code":
                return visitor.basic(name, self.password), {}
            case "Basic with code":
                code = store.recovery_codes.renew(name, ROOT)[0].text()
                return visitor.basic(name, self.password), {"X-MFA-Code": code}
            case _:
                return visitor.basic(name, self.token(Scope.API, Scope.SFTP)), {}

    def token(self, *scopes: Scope, store: Store | None = None) -> str:
        """Make a token; one from yesterday has ended."""
        end = datetime.now(UTC) - timedelta(hours=1) if store is not None else None
        tokens = (store or self.bench.store).access_tokens
        return tokens.issue(self.account.name, "t", ROOT, scopes=scopes, expires_at=end)[0].text()


def token_id(text: str) -> str:
    """Give the public id of a token; two may be of one moment, and the list tells not which."""
    presented = access_tokens.parse(text)
    assert presented is not None
    return presented.id


class Bench:
    """A store as it was minutes and hours ago, and three persons."""

    def __init__(self, host: WebHost, accounts: Accounts) -> None:
        """Make the accounts."""
        settings = load(host.installation.config)
        self.host = host
        self.store = host.installation.store
        self.earlier = open_store(settings, lambda: system_clock() - 11 * 60_000)
        self.yesterday = open_store(settings, lambda: system_clock() - 24 * 3_600_000)
        self.persons = {
            who: self._make(accounts, [ADMINISTRATORS] if who == "administrator" else [])
            for who in ("other", "owner", "administrator")
        }

    def _make(self, accounts: Accounts, groups: list[str]) -> Person:
        account = accounts.make(groups=groups)
        return Person(self, account, account.password)

    def close(self) -> None:
        """Close what was opened."""
        self.earlier.close()
        self.yesterday.close()

    def prepare(self, caller: Person | None, path: str, visitor: Client) -> tuple[str, Any]:
        """Have what the address names, belonging to the owner; give the address and a body."""
        owner = self.persons["owner"]
        name = owner.account.name
        for person in self.persons.values():
            self.store.accounts.unbar(person.account.name, ROOT)
            if not self.store.authentication.factors_of(person.account.name).totp:
                self.host.installation.enroll(person.account.name)
            self.store.access_tokens.revoke_all(person.account.name, ROOT)
        body: Any = None
        parts = {"{id}": name, "{name}": "docs.js"}
        if "{accessTokenId}" in path:
            parts["{accessTokenId}"] = token_id(owner.token(Scope.SFTP))
        if "{sessionId}" in path:
            attempt = Attempt(name, Protocol.WEB, visitor.address)
            parts["{sessionId}"] = self.store.sessions.begin(attempt, Stage.FULL, "")[1].id
        if "{totpId}" in path:
            parts["{totpId}"], body = self._pending(name)
        for part, value in parts.items():
            path = path.replace(part, value)
        return path, self._body(path, caller or owner) or body

    def _pending(self, name: str) -> tuple[str, dict[str, str]]:
        for factor in self.store.totp_factors.list(name)[1:]:
            self.store.totp_factors.delete(name, factor.id, ROOT)
        begun = self.store.totp_factors.begin(name, "spare", ROOT)
        secret = base64.b32decode(begun.secret.text())
        return begun.factor.id, {"code": code_at(secret, step_at(system_clock()))}

    def _body(self, path: str, caller: Person) -> dict[str, Any] | None:
        match path.rpartition("/")[2]:
            case "login":
                return {"account": caller.account.name, "password": caller.password}
            case "change-password":
                new = f"goose {time.monotonic_ns()} hat"
                return {"oldPassword": caller.password, "newPassword": new}
            case "validate-code":
                codes = self.store.recovery_codes.renew(caller.account.name, ROOT)
                return {"code": codes[1].text()}
            case "access-tokens" | "totp":
                return {"name": "made"}
            case _:
                return None


@pytest.fixture
def bench(rest_host: WebHost, accounts: Accounts) -> Iterator[Bench]:
    """Make everything that the cells need."""
    made = Bench(rest_host, accounts)
    yield made
    made.close()


@pytest.mark.parametrize("endpoint", sorted(ROWS))
def test_each_cell(bench: Bench, client: Client, endpoint: str) -> None:
    """Nobody, another user, the owner and an administrator get what the table says."""
    method, _, template = endpoint.partition(" ")
    wrong = []
    cells = [("nobody", "", ROWS[endpoint]["nobody"])]
    for who in bench.persons:
        cells += [(who, *cell) for cell in zip(CREDENTIALS, ROWS[endpoint][who], strict=True)]
    for who, credential, expected in cells:
        caller = bench.persons.get(who)
        path, body = bench.prepare(caller, template, client)
        if method != "POST" or template.startswith(
            ("/users/{id}/auth-factors/recovery", "/auth/logout")
        ):
            body = None
        visitor, headers = client, {}
        if caller is not None:
            visitor, headers = caller.client(credential, client)
        if template.endswith("validate-code") and credential == "Basic with code":
            headers, body = split(bench, caller, headers, body)
        answer = visitor.call(method, path, body, **headers)
        if answer.status != expected:
            wrong.append((who, credential, expected, answer.status, answer.content[:200]))
        if template == "/auth/change-password" and answer.status == 200 and caller is not None:
            caller.password = body["newPassword"]
    assert not wrong, "\n".join(map(str, wrong))


def split(
    bench: Bench, caller: Person | None, headers: dict[str, str], body: Any
) -> tuple[dict[str, str], Any]:
    """Give two codes of one set: one for the header, one for the body."""
    assert caller is not None
    assert headers
    codes = bench.store.recovery_codes.renew(caller.account.name, ROOT)
    return {"X-MFA-Code": codes[0].text()}, {**body, "code": codes[1].text()}
