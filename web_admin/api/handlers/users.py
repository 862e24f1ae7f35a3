"""Accounts: listed, shown, unlocked, barred, let in again."""

from msgspec import UNSET

from store.accounts import AccountState
from web_admin.api.call import Call
from web_admin.api.endpoint import Endpoint, Proof, Reply, Who
from web_admin.api.models import Account, Accounts, Adoption
from web_admin.api.queries import AccountQuery


def list_all(call: Call, wanted: AccountQuery) -> Reply:
    """List the accounts that the store has met, by name."""
    found = call.store.accounts.list(
        prefix=wanted.prefix or "",
        after=wanted.cursor or "",
        limit=wanted.limit + 1,
        adopted=None if wanted.adopted is UNSET else wanted.adopted,
        locked=wanted.locked,
        barred=wanted.barred,
    )
    shown = [_shown(state) for state in found[: wanted.limit]]
    return Reply(Accounts(shown, shown[-1].name if len(found) > wanted.limit else None))


def show(call: Call, account: str) -> Reply:
    """Show one account."""
    return Reply(_shown(call.store.accounts.show(account)))


def unlock(call: Call, account: str) -> Reply:
    """Open the account's code check and forget its wrong answers."""
    call.store.accounts.unlock(account, call.actor)
    return show(call, account)


def bar(call: Call, account: str) -> Reply:
    """Keep the account out on every way in."""
    call.store.accounts.bar(account, call.actor)
    return show(call, account)


def unbar(call: Call, account: str) -> Reply:
    """Let the account in again."""
    call.store.accounts.unbar(account, call.actor)
    return show(call, account)


def forget(call: Call, account: str) -> Reply:
    """Take from the account all that it holds."""
    call.store.accounts.forget(account, call.actor)
    return show(call, account)


def adoption(call: Call) -> Reply:
    """Count who has adopted MFA."""
    found = call.store.accounts.adoption()
    return Reply(Adoption(found.accounts, found.adopted, found.barred))


def _shown(state: AccountState) -> Account:
    return Account(
        state.name,
        state.known_since,
        state.adopted_at,
        state.barred_at,
        state.wrong_codes,
        state.locked_until,
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/users",
        list_all,
        "List the accounts that were met here, by name",
        Who.ADMINISTRATOR,
        Accounts,
        query=AccountQuery,
    ),
    Endpoint(
        "GET",
        "/adoption",
        adoption,
        "Count the accounts that were met here, and those that have adopted MFA",
        Who.ADMINISTRATOR,
        Adoption,
    ),
    Endpoint("GET", "/users/{id}", show, "Show an account", Who.OWNER, Account),
    Endpoint(
        "POST",
        "/users/{id}/unlock",
        unlock,
        "Open an account's code check that wrong codes have locked",
        Who.ADMINISTRATOR,
        Account,
        proof=Proof.FRESH,
    ),
    Endpoint(
        "POST",
        "/users/{id}/bar",
        bar,
        "Keep an account out on every way in, tokens and public keys included",
        Who.ADMINISTRATOR,
        Account,
        proof=Proof.FRESH,
    ),
    Endpoint(
        "POST",
        "/users/{id}/unbar",
        unbar,
        "Let a barred account in again",
        Who.ADMINISTRATOR,
        Account,
        proof=Proof.FRESH,
    ),
    Endpoint(
        "POST",
        "/users/{id}/forget",
        forget,
        "Take all factors and sessions from an account whose owner left",
        Who.ADMINISTRATOR,
        Account,
        proof=Proof.FRESH,
    ),
)
