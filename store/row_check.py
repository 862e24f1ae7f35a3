"""Finds rows that somebody wrote who has not the store's key: see `store.integrity`."""

import hmac
from collections.abc import Iterator

from sqlalchemy import BindParameter, Connection, bindparam, select

from store import access_tokens, holdings, sessions, totp_factors
from store.schema import access_tokens as tokens_table
from store.schema import accounts
from store.schema import sessions as sessions_table
from store.schema import totp_factors as totp_table
from store.statements import Row, Statement
from store.unit_of_work import LOCK_ACCOUNT, ROWS_KEY, UnitsOfWork, account_of

_ACCOUNT: BindParameter[int] = bindparam("account")
_TOTP = Statement(select(totp_table).where(totp_table.c.account_id == _ACCOUNT))
_TOKENS = Statement(select(tokens_table).where(tokens_table.c.account_id == _ACCOUNT))
_SESSIONS = Statement(
    select(sessions_table, accounts.c.name.label("account"))
    .join(accounts, accounts.c.id == sessions_table.c.account_id)
    .where(sessions_table.c.account_id == _ACCOUNT)
)


def altered(connection: Connection, units: UnitsOfWork, row: Row) -> list[str]:
    """Tell what is wrong with an account's row and with what it holds; nothing when all is well."""
    key = units.keys_over(connection)[ROWS_KEY]
    return list(_problems(connection, key, row))


def altered_for_sure(units: UnitsOfWork, name: str) -> list[str]:
    """Look again while nobody writes: what changed during a first look is no problem."""
    with units.database.write() as connection:
        row = LOCK_ACCOUNT.one(connection, {"name": name})
        return [] if row is None else altered(connection, units, row)


def _problems(connection: Connection, key: bytes, row: Row) -> Iterator[str]:
    account, values = account_of(row), {"account": row.id}
    if not hmac.compare_digest(row.mac, account.mac(key)):
        yield "the account's row was changed"
    for factor in _TOTP.all(connection, values):
        if not totp_factors.is_proven(key, account.name, factor):
            yield f"the authenticator {factor.id} was added or changed"
    for token in _TOKENS.all(connection, values):
        if not access_tokens.is_proven(key, account.name, token):
            yield f"the access token {token.id} was added or changed"
    for session in _SESSIONS.all(connection, values):
        if not sessions.is_proven(key, session):
            yield f"the session {session.id} was added or changed"
    if not holdings.are_as_written(connection, account):
        yield "factors or recovery codes were added, removed or put back"
