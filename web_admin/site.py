"""What every page and every endpoint works with."""

from store.opening import Store
from store.settings import Settings
from web_admin.metrics import Metrics
from web_admin.password_check import PasswordCheck
from web_admin.passwords import Passwords
from web_admin.proxies import parse_networks


class Site:
    """The store, the broker, the configuration, and what is made once from them."""

    def __init__(self, store: Store, passwords: Passwords, settings: Settings) -> None:
        """Make it before any request comes: threads share it."""
        self.store = store
        self.passwords = passwords
        self.settings = settings
        self.metrics = Metrics(store)
        self.proxies = parse_networks(settings.web.trusted_proxies)
        """The reverse proxies that are believed."""
        self.password_check = PasswordCheck(store, passwords, settings.web.threads // 2)
        """The one place that checks passwords; it may take half of the threads."""
