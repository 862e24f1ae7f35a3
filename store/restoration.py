"""After a store was put back to an earlier state: what was used since must not count again."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from store import holdings, otp, totp_factors
from store.audit import Actor, Entry, Event
from store.errors import TamperedError
from store.schema import SYSTEM_ACCOUNT, accounts
from store.sessions import end_sessions
from store.settings import TotpSettings
from store.statements import Statement
from store.unit_of_work import ROWS_KEY, UnitOfWork, UnitsOfWork

_BATCH = 500
_NEXT = Statement(
    select(accounts.c.id, accounts.c.name)
    .where(accounts.c.id > bindparam("after"))
    .order_by(accounts.c.id)
    .limit(_BATCH)
)


@dataclass(slots=True)
class Settled:
    """What was ended, counted."""

    authenticators: int = 0
    """Whose codes of now and before count no more."""
    recovery_codes: int = 0
    tampered: int = 0
    """Accounts that were left as they are: nobody gets in with them until they are forgotten."""


class Restoration:
    """Ends what an earlier state has brought back; to be run before anybody is served."""

    def __init__(self, units: UnitsOfWork, settings: TotpSettings) -> None:
        """Work on that store."""
        self._units = units
        self._settings = settings

    def settle(self, actor: Actor) -> Settled:
        """Let no code, recovery code, session or grace of before count again; safe to repeat.

        Which codes were used since the backup is not known any more. So every authenticator's
        codes up to the last one that could have been used by now are used up, and all recovery
        codes go.
        """
        settled = Settled()
        after = -1
        while True:
            with self._units.database.read() as connection:
                rows = _NEXT.all(connection, {"after": after})
            if not rows:
                break
            for row in rows:
                if row.name != SYSTEM_ACCOUNT:
                    with self._units.begin() as work:
                        self._settle_account(work, row.name, actor, settled)
            after = rows[-1].id
        with self._units.begin() as work:
            work.record(work.system(), Entry(Event.STORE_RESTORED, actor))
        return settled

    def _settle_account(self, work: UnitOfWork, name: str, actor: Actor, settled: Settled) -> None:
        try:
            account = work.account(name)
        except TamperedError:
            settled.tampered += 1
            return
        if account is None:
            return
        step = otp.step_at(work.now) + self._settings.window
        for row in totp_factors.ACTIVE_OF.all(work.connection, {"account": account.id}):
            if not totp_factors.is_proven(work.keys[ROWS_KEY], name, row):
                continue  # it lets nobody in; all else of the account must be settled
            settled.authenticators += totp_factors.use_step(work, account, row, step)
        with holdings.changed(work, account, actor):
            codes = holdings.delete_codes(work.connection, account)
            if codes:
                work.record(account, Entry(Event.RECOVERY_CODES_DELETED, actor))
        settled.recovery_codes += codes
        end_sessions(work, account)
