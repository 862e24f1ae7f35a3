"""Access tokens: random, shown once, given in place of a password (and then no code is asked).

`smfa_` + 8 characters of public id + 43 of secret + 6 of CRC-32, letters and digits only. The
checksum lets a scanner for leaked secrets, and us, tell a token from a password without a look
into the store. The secret has 256 random bits, so that a plain SHA-256 of it is safe to store:
nobody can try them all, and a slow hash would only slow down every login.
"""

import hashlib
import hmac
import ipaddress
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from store import holdings, integrity
from store.audit import Actor, Entry, Event
from store.base62 import base62
from store.clock import Randomness, from_milliseconds, to_milliseconds, when
from store.decisions import Attempt, Decision, Denied, Granted, Protocol, Reason
from store.errors import LimitError, NotFoundError, RequestError
from store.names import factor_name
from store.schema import access_tokens, accounts
from store.secret import Secret
from store.settings import AccessTokenSettings
from store.statements import Row, Statement
from store.unit_of_work import ROWS_KEY, Account, UnitOfWork, UnitsOfWork

PREFIX = "smfa_"
_ID_LENGTH = 8
_SECRET_LENGTH = 43
_CHECK_LENGTH = 6
_TOKEN = re.compile(r"smfa_(?P<id>[0-9A-Za-z]{8})(?P<secret>[0-9A-Za-z]{43})[0-9A-Za-z]{6}")
_USE_NOTED_EVERY = 60_000
_MOST_NETWORKS = 1024
_MAPPED_PREFIX = 96  # ::ffff:0:0/96 (RFC 4291 section 2.5.5.2)


class Scope(StrEnum):
    """What a token opens."""

    SFTP = "sftp"
    API = "api"


_SCOPE_OF = {Protocol.SSH: Scope.SFTP, Protocol.API: Scope.API}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What may be shown of a token that is not revoked, after its creation."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    networks: tuple[str, ...]
    """CIDR; empty: from everywhere."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_address: str | None


@dataclass(frozen=True, slots=True)
class Presented:
    """A token that somebody gave, taken apart."""

    id: str
    digest: bytes


def parse(text: str) -> Presented | None:
    """Take a token apart; None when the text is no token (and so may be a password)."""
    match = _TOKEN.fullmatch(text)
    if match is None or not hmac.compare_digest(text[-_CHECK_LENGTH:], _check(text)):
        return None
    return Presented(match["id"], _digest(match["secret"]))


def examine(
    row: Row | None, given: Presented, attempt: Attempt, now: int, keys: dict[str, bytes]
) -> Decision:
    """Decide whether a stored token, found by its id, lets the attempt in."""
    stored = row.digest if row is not None else bytes(32)
    right = hmac.compare_digest(stored, given.digest)
    if row is None or not right or row.account != attempt.account:
        return Denied(Reason.TOKEN_UNKNOWN)
    if not is_proven(keys[ROWS_KEY], row.account, row):
        return Denied(Reason.TOKEN_UNKNOWN)
    if row.revoked_at is not None:
        return Denied(Reason.TOKEN_REVOKED, row.id)
    if row.expires_at is not None and row.expires_at <= now:
        return Denied(Reason.TOKEN_EXPIRED, row.id)
    if _SCOPE_OF.get(attempt.protocol) not in row.scopes.split():
        return Denied(Reason.TOKEN_OUT_OF_SCOPE, row.id)
    if not _allows(row.networks.split(), attempt.address):
        return Denied(Reason.TOKEN_FROM_OTHER_NETWORK, row.id)
    return Granted(Reason.TOKEN_ACCEPTED, row.id)


FIND = Statement(
    select(access_tokens, accounts.c.name.label("account"))
    .join(accounts, accounts.c.id == access_tokens.c.account_id)
    .where(access_tokens.c.id == bindparam("token_id"))
)


class AccessTokens:
    """Issues, lists and revokes the tokens of accounts."""

    def __init__(
        self, units: UnitsOfWork, settings: AccessTokenSettings, randomness: Randomness
    ) -> None:
        """Work on that store."""
        self._units = units
        self._settings = settings
        self._randomness = randomness

    def issue(
        self,
        account: str,
        name: str,
        actor: Actor,
        *,
        scopes: tuple[Scope, ...] = (Scope.SFTP,),
        networks: tuple[str, ...] = (),
        expires_at: datetime | None = None,
    ) -> tuple[Secret, AccessToken]:
        """Make a token and give it, this once, with what may be shown of it later.

        Without an end it gets the configured life. RequestError for what is not allowed.
        """
        name = factor_name(name)
        allowed = _networks(networks)
        if not scopes:
            message = "a token needs at least one scope"
            raise RequestError(message)
        with self._units.begin() as work:
            expires = self._expiry(expires_at, work.now)
            owner = work.ensure_account(account, actor)
            live: Row = _COUNT_LIVE.one(work.connection, {"owner": owner.id, "now": work.now})
            if live.count >= self._settings.max_per_account:
                message = f"{account} has {live.count} access tokens, the most that are allowed"
                raise LimitError(message)
            token_id, token = self._new(work.connection)
            fields: dict[str, str | int | bytes | None] = {
                "id": token_id,
                "digest": _digest(token[len(PREFIX) + _ID_LENGTH : -_CHECK_LENGTH]),
                "name": name,
                "scopes": " ".join(sorted(set(scopes))),
                "networks": allowed,
                "created_at": work.now,
                "expires_at": expires,
            }
            mac = integrity.row_mac(work.keys[ROWS_KEY], "token", account, *fields.values(), None)
            with holdings.changed(work, owner, actor):
                _INSERT.run(work.connection, {**fields, "account_id": owner.id, "mac": mac})
                work.record(owner, Entry(Event.TOKEN_ISSUED, actor, factor_id=token_id))
            return Secret.of(token), shown(_BY_ID.one(work.connection, {"token_id": token_id}))

    def list(self, account: str) -> list[AccessToken]:
        """List the account's tokens that are not revoked, the newest first."""
        with self._units.database.read() as connection:
            return [shown(row) for row in _LIVE_OF.all(connection, {"name": account})]

    def revoke(self, account: str, token_id: str, actor: Actor) -> None:
        """End a token for good; NotFoundError if the account has no such live token."""
        with self._units.begin() as work:
            owner = work.account(account)
            live = [] if owner is None else _live_of(work, owner)
            found = [row for row in live if row.id == token_id]
            if owner is None or not found:
                message = f"{account} has no access token {token_id}"
                raise NotFoundError(message)
            _revoke(work, owner, found, actor)

    def revoke_all(self, account: str, actor: Actor) -> int:
        """End every token of an account and tell how many there were."""
        with self._units.begin() as work:
            owner = work.account(account)
            return 0 if owner is None else revoke_all_of(work, owner, actor)

    def _expiry(self, wanted: datetime | None, now: int) -> int | None:
        day = 86_400_000
        longest = now + self._settings.max_days * day if self._settings.max_days else None
        if wanted is None:
            if not self._settings.default_days:
                return longest
            default = now + self._settings.default_days * day
            return default if longest is None else min(default, longest)
        expires = to_milliseconds(wanted)
        if expires <= now:
            message = "the token would have expired already"
            raise RequestError(message)
        if longest is not None and expires > longest:
            message = f"a token lives {self._settings.max_days} days at most"
            raise LimitError(message)
        return expires

    def _new(self, connection: Connection) -> tuple[str, str]:
        while True:
            token_id = base62(int.from_bytes(self._randomness(8)), _ID_LENGTH)
            if _BY_ID.one(connection, {"token_id": token_id}) is None:
                break
        body = PREFIX + token_id + base62(int.from_bytes(self._randomness(32)), _SECRET_LENGTH)
        return token_id, body + _check(body + "0" * _CHECK_LENGTH)


def revoke_all_of(work: UnitOfWork, owner: Account, actor: Actor) -> int:
    """End every token within a transaction that has the account locked; tell how many."""
    live = _live_of(work, owner)
    _revoke(work, owner, live, actor)
    return len(live)


def delete_all_of(work: UnitOfWork, owner: Account, actor: Actor) -> None:
    """Revoke every token, and keep nothing of them nor of those that were revoked before."""
    revoke_all_of(work, owner, actor)
    _DELETE_ALL.run(work.connection, {"owner": owner.id})


def _live_of(work: UnitOfWork, owner: Account) -> list[Row]:
    return _LIVE_OF.all(work.connection, {"name": owner.name})


def _revoke(work: UnitOfWork, owner: Account, rows: list[Row], actor: Actor) -> None:
    with holdings.changed(work, owner, actor):
        for row in rows:
            mac = _mac(work.keys[ROWS_KEY], owner.name, row, work.now)
            values = {"token_id": row.id, "now": work.now, "new_mac": mac}
            _REVOKE.run(work.connection, values)
            work.record(owner, Entry(Event.TOKEN_REVOKED, actor, factor_id=row.id))


def is_proven(key: bytes, account: str, row: Row) -> bool:
    """Tell whether a token's row is as the store wrote it."""
    return hmac.compare_digest(row.mac, _mac(key, account, row, row.revoked_at))


def _mac(key: bytes, account: str, row: Row, revoked_at: int | None) -> bytes:
    return integrity.row_mac(
        key,
        "token",
        account,
        row.id,
        row.digest,
        row.name,
        row.scopes,
        row.networks,
        row.created_at,
        row.expires_at,
        revoked_at,
    )


_BY_ID = Statement(select(access_tokens).where(access_tokens.c.id == bindparam("token_id")))
_INSERT = Statement(insert(access_tokens))
_LIVE_OF = Statement(
    select(access_tokens)
    .join(accounts, accounts.c.id == access_tokens.c.account_id)
    .where(accounts.c.name == bindparam("name"), access_tokens.c.revoked_at.is_(None))
    .order_by(access_tokens.c.created_at.desc(), access_tokens.c.id)
)
_REVOKE = Statement(
    update(access_tokens)
    .where(access_tokens.c.id == bindparam("token_id"))
    .values(revoked_at=bindparam("now"), mac=bindparam("new_mac"))
)
_DELETE_ALL = Statement(
    delete(access_tokens).where(access_tokens.c.account_id == bindparam("owner"))
)
_COUNT_LIVE = Statement(
    select(func.count().label("count")).where(
        access_tokens.c.account_id == bindparam("owner"),
        access_tokens.c.revoked_at.is_(None),
        or_(access_tokens.c.expires_at.is_(None), access_tokens.c.expires_at > bindparam("now")),
    )
)
_USE = Statement(
    update(access_tokens)
    .where(access_tokens.c.id == bindparam("token_id"))
    .values(last_used_at=bindparam("now"), last_used_address=bindparam("address"))
)


def is_use_noted(row: Row, address: str | None, now: int) -> bool:
    """Tell whether it is remembered that a token is in use from there; a minute is near enough."""
    return (
        row.last_used_at is not None
        and abs(now - row.last_used_at) < _USE_NOTED_EVERY
        and row.last_used_address == address
    )


def note_use(connection: Connection, row: Row, attempt: Attempt, now: int) -> None:
    """Remember when a token was last used, and from where."""
    if not is_use_noted(row, attempt.address, now):
        _USE.run(connection, {"token_id": row.id, "now": now, "address": attempt.address})


def shown(row: Row) -> AccessToken:
    """Give what may be shown of a stored token."""
    return AccessToken(
        id=row.id,
        name=row.name,
        scopes=tuple(Scope(word) for word in row.scopes.split()),
        networks=tuple(row.networks.split()),
        created_at=from_milliseconds(row.created_at),
        expires_at=when(row.expires_at),
        last_used_at=when(row.last_used_at),
        last_used_address=row.last_used_address,
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _check(token: str) -> str:
    """Give the checksum of a token whose last characters stand for it."""
    return base62(zlib.crc32(token[:-_CHECK_LENGTH].encode("ascii")), _CHECK_LENGTH)


def _networks(texts: tuple[str, ...]) -> str:
    networks = " ".join(normal_network(text) for text in texts)
    if len(networks) > _MOST_NETWORKS:
        message = (
            f"these are too many networks: together they have {_MOST_NETWORKS} characters at most"
        )
        raise LimitError(message)
    return networks


def normal_network(text: str) -> str:
    """Give a network the way it is kept; RequestError if it is none."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        message = f"{text!r} is not a network (such as 192.0.2.0/24 or 2001:db8::/32)"
        raise RequestError(message) from error
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_PREFIX:
        # Peers are looked at as IPv4 too.
        network = ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_PREFIX))
    return str(network)


def _allows(networks: list[str], address: str | None) -> bool:
    if not networks:
        return True
    try:
        peer = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    return any(peer in ipaddress.ip_network(network) for network in networks)
