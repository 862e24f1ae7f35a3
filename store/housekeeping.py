"""What has expired goes by itself: sessions, pending enrollments, graces, guesses, used forms."""

from sqlalchemy import Delete, delete

from store.forms import KEPT_FOR
from store.schema import graces, sessions, throttles, totp_factors, used_forms
from store.settings import Settings
from store.throttles import FORGOTTEN_AFTER
from store.unit_of_work import UnitsOfWork

INTERVAL_SECONDS = 600
"""How often each service does it; several at once do no harm."""


class Housekeeping:
    """Deletes what can never be used again."""

    def __init__(self, units: UnitsOfWork, settings: Settings) -> None:
        """Work on that store."""
        self._units = units
        self._settings = settings

    def run(self) -> int:
        """Delete what has expired and give how many rows that were."""
        with self._units.begin() as work:
            return sum(
                work.connection.execute(statement).rowcount for statement in self._stale(work.now)
            )

    def _stale(self, now: int) -> list[Delete]:
        minute = 60_000
        idle = now - self._settings.sessions.idle_minutes * minute
        pending = now - self._settings.totp.enrollment_minutes * minute
        grace = now - self._settings.grace.seconds * 1000
        guesses = self._settings.password_throttle
        gates = (self._settings.lockout, guesses.account, guesses.address)
        longest = max(gate.max_hours for gate in gates) * 60 * minute
        forgotten = now - max(FORGOTTEN_AFTER, longest)
        return [
            delete(sessions).where(sessions.c.seen_at < idle),
            delete(totp_factors).where(
                totp_factors.c.created_at < pending, totp_factors.c.completed_at.is_(None)
            ),
            delete(graces).where(graces.c.accepted_at < grace),
            delete(throttles).where(throttles.c.counted_at < forgotten),
            delete(used_forms).where(used_forms.c.used_at < now - KEPT_FOR),
        ]
