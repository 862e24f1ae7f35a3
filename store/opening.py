"""Puts the store together: the one object that doors and commands hold."""

from dataclasses import dataclass
from pathlib import Path

from store.access_tokens import AccessTokens
from store.accounts import Accounts
from store.audit_log import AuditLog
from store.authentication import Authentication
from store.clock import Clock, Randomness, system_clock, system_randomness
from store.database import Database
from store.forms import Forms
from store.housekeeping import Housekeeping
from store.key_rotation import KeyRotation
from store.password_throttle import PasswordThrottle
from store.recovery_codes import RecoveryCodes
from store.restoration import Restoration
from store.sealing import Keyring
from store.sessions import Sessions
from store.settings import Settings
from store.totp_factors import TotpFactors
from store.unit_of_work import UnitsOfWork


@dataclass(frozen=True, slots=True)
class Store:
    """The services over one store."""

    authentication: Authentication
    accounts: Accounts
    totp_factors: TotpFactors
    access_tokens: AccessTokens
    recovery_codes: RecoveryCodes
    sessions: Sessions
    forms: Forms
    password_throttle: PasswordThrottle
    audit_log: AuditLog
    key_rotation: KeyRotation
    housekeeping: Housekeeping
    restoration: Restoration
    units: UnitsOfWork

    def check(self) -> None:
        """Work on the store for a moment; StoreError where that fails."""
        with self.units.begin():
            pass

    def close(self) -> None:
        """Close the connections to the database."""
        self.units.database.close()


def open_store(
    settings: Settings,
    clock: Clock = system_clock,
    randomness: Randomness = system_randomness,
) -> Store:
    """Make the services; KeyFileError without a usable key file.

    The database is first spoken to by the first operation, so that a service can start before
    its database does: until then every operation is a StoreUnavailableError.
    """
    keyring = Keyring(Path(settings.store.key_file), randomness)
    database = Database(settings.store)
    units = UnitsOfWork(database, keyring, clock)
    return Store(
        authentication=Authentication(units, keyring, settings),
        accounts=Accounts(units, settings),
        totp_factors=TotpFactors(units, keyring, settings.totp, randomness),
        access_tokens=AccessTokens(units, settings.access_tokens, randomness),
        recovery_codes=RecoveryCodes(units, randomness),
        sessions=Sessions(units, settings.sessions, randomness),
        forms=Forms(units),
        password_throttle=PasswordThrottle(units, settings.password_throttle),
        audit_log=AuditLog(units),
        key_rotation=KeyRotation(units, keyring),
        housekeeping=Housekeeping(units, settings),
        restoration=Restoration(units, settings.totp),
        units=units,
    )
