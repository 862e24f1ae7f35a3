"""One call of the API: who calls, from where, on which account."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

from store.access_tokens import AccessToken
from store.accounts import canonical_name
from store.audit import Actor
from store.decisions import Attempt, Protocol
from store.enforcement import groups_of
from store.opening import Store
from store.sessions import Session, Stage
from web_admin.api.problems import Code, Problem
from web_admin.site import Site

ONESELF = "me"


class Via(Enum):
    """What somebody was let in by."""

    SESSION = auto()
    TOKEN = auto()
    PASSWORD = auto()


@dataclass(frozen=True)
class Caller:
    """Who was let in, and by what."""

    account: str
    via: Via
    session: Session | None = None
    token: AccessToken | None = None

    def is_administrator(self, group: str) -> bool:
        """Tell whether the account is of the group; no if nobody can tell.

        Whoever owes a code or an enrollment is none: the password alone opens no other account.
        """
        if self.session is not None and self.session.stage is not Stage.FULL:
            return False
        try:
            return group in groups_of(self.account)
        except KeyError:
            return False


@dataclass(frozen=True)
class Call:
    """What handlers work with."""

    site: Site
    document: bytes
    """The API's description, as OpenAPI has it."""
    address: str
    agent: str
    visitor: Caller | None = None

    @property
    def store(self) -> Store:
        """Give the store."""
        return self.site.store

    @property
    def caller(self) -> Caller:
        """Give who calls, where the endpoint's row says that there is somebody."""
        if self.visitor is None:
            raise AssertionError
        return self.visitor

    @property
    def actor(self) -> Actor:
        """Give who acts, for the audit."""
        session = self.caller.session
        session_id = session.id if session is not None else None
        return Actor(self.caller.account, Protocol.API, self.address, session_id)

    @cached_property
    def is_administrator(self) -> bool:
        """Tell whether the caller administers all accounts."""
        return self.caller.is_administrator(self.site.settings.web.admin_group)

    def attempt(self, account: str) -> Attempt:
        """Give an attempt to get in, from here."""
        return Attempt(account, Protocol.API, self.address)

    def account_of(self, name: str) -> str:
        """Give the account that the address names; a Problem unless it is one's own to work on.

        Whoever administers nothing gets one answer for every other name, known or not.
        """
        if name in {ONESELF, self.caller.account}:
            return self.caller.account
        known = canonical_name(name)
        if known == self.caller.account:
            return known
        if not self.is_administrator:
            raise Problem(Code.FORBIDDEN, "Only administrators work on other accounts.")
        if known is not None:
            return known
        if self.store.accounts.show(name).known_since is None:
            raise Problem(Code.NOT_FOUND, f"There is no account {name!r} on this host.")
        return name
