"""What every page works with."""

from dataclasses import dataclass
from functools import cached_property

from store.opening import Store
from store.settings import Settings
from web_admin.password_check import PasswordCheck
from web_admin.passwords import Passwords
from web_admin.proxies import Network, parse_networks


@dataclass(frozen=True)
class Site:
    """The store, the broker, the configuration."""

    store: Store
    passwords: Passwords
    settings: Settings

    @cached_property
    def proxies(self) -> tuple[Network, ...]:
        """Give the reverse proxies that are believed."""
        return parse_networks(self.settings.web.trusted_proxies)

    @cached_property
    def password_check(self) -> PasswordCheck:
        """Give the one place that checks passwords; it may take half of the threads."""
        return PasswordCheck(self.store, self.passwords, self.settings.web.threads // 2)
