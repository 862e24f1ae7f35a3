"""PostgreSQL goes away under load, and a standby takes its place: nobody is let in wrongly.

The standby is a synchronous one. With an asynchronous one the last commits of a primary that is
lost for good are lost too, and with them that a code was used: store/README.md says so.
"""

import base64
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from bed import ROOT, Bed, HandClock, findings
from harness.postgres import Cluster
from harness.processes import descendants
from harness.sandbox import place
from harness.waiting import until
from model import STEP, totp

from store.decisions import Attempt, Decision, Granted, Protocol
from store.errors import StoreError
from store.secret import Secret

pytestmark = pytest.mark.system

PEOPLE = 6
WAIT = 1.0
"""store.wait_seconds; psycopg lets a host answer within two seconds at least."""
BOUND = 12.0
"""How long an attempt may take at most, on a busy machine, with a host that does not answer."""


@dataclass
class Pair:
    """A primary and its synchronous standby."""

    primary: Cluster
    standby: Cluster
    url: str

    def stop_for_good(self) -> None:
        """End both."""
        for cluster in (self.standby, self.primary):
            if (cluster.folder / "data" / "postmaster.pid").exists():
                cluster.stop("immediate")


@pytest.fixture(autouse=True)
def _secrets_stay_out_of_the_log() -> None:
    """Not here: of so many codes one is a part of some id by chance, and it takes long."""


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Run a primary that commits nothing which its standby does not have."""
    folder = place() / f"pair-{secrets.token_hex(4)}"
    primary = Cluster.make(folder / "primary")
    one = primary.make_database()
    standby = Cluster.standby_of(primary, folder / "standby")
    with psycopg.connect(one, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")

        def is_synchronous() -> bool:
            row = connection.execute("SELECT sync_state FROM pg_stat_replication").fetchone()
            return row == ("sync",)

        until(is_synchronous, "the standby followed synchronously", 20)
    hosts = one.replace(f":{primary.port}/", f":{primary.port},{standby.host}:{standby.port}/")
    made = Pair(primary, standby, f"{hosts}?target_session_attrs=read-write")
    yield made
    made.stop_for_good()


@pytest.fixture
def bed(pair: Pair, tmp_path: Path) -> Iterator[Bed]:
    """Make a store on the pair."""
    made = Bed(tmp_path, pair.url, store={"wait_seconds": WAIT})
    yield made
    made.close()


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """Keep a server from doing anything: it neither answers nor hangs up."""
    pids = [cluster.pid, *descendants(cluster.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Person(threading.Thread):
    """Somebody who logs in again and again, each time with the next code."""

    def __init__(self, bed: Bed, number: int) -> None:
        """Adopt MFA."""
        super().__init__(daemon=True)
        self.clock = HandClock(1_800_000_000_000)
        self.store = bed.open(self.clock)
        self.attempt = Attempt(f"person{number}", Protocol.SSH, "192.0.2.7")
        enrollment = self.store.totp_factors.begin(self.attempt.account, "phone", ROOT)
        self.secret = base64.b32decode(enrollment.secret.text())
        self.store.totp_factors.complete(
            self.attempt.account, enrollment.factor.id, self.code(), ROOT
        )
        self.last_granted = self.code()
        self.granted = 0
        self.refused = 0
        self.longest = 0.0
        self.wrong: list[str] = []
        self.ends = False

    def code(self) -> str:
        """Show the code of now."""
        return totp(self.secret, self.clock.now // STEP)

    def give(self, code: str) -> Decision | None:
        """Give a code; None for a refusal because the store is away."""
        begun = time.monotonic()
        try:
            return self.store.authentication.check_code(self.attempt, Secret.of(code))
        except StoreError:
            return None
        finally:
            self.longest = max(self.longest, time.monotonic() - begun)

    def run(self) -> None:
        """Log in; each code that let in must not do so again."""
        while not self.ends:
            self.clock.now += STEP
            code = self.code()
            if isinstance(self.give(code), Granted):
                self.granted += 1
                self.last_granted = code
            else:
                self.refused += 1
            if isinstance(self.give(self.last_granted), Granted):
                self.wrong.append(f"{self.last_granted} twice")
            if isinstance(self.give(f"{int(code) ^ 1:06d}"), Granted):
                self.wrong.append("a wrong code")


class Crowd:
    """Some people at once."""

    def __init__(self, bed: Bed) -> None:
        """Let them begin."""
        self.people = [Person(bed, number) for number in range(PEOPLE)]
        for person in self.people:
            person.start()
        self.all_get_in("before anything happens")

    def all_get_in(self, when: str) -> None:
        """Wait until each has been let in once more."""
        before = [person.granted for person in self.people]

        def have_all() -> bool:
            now = [person.granted for person in self.people]
            return all(new > old for new, old in zip(now, before, strict=True))

        until(have_all, f"everybody was let in {when}", 40)

    def all_are_refused(self) -> None:
        """Wait until each has been refused, and find that nobody gets in."""
        before = [person.refused for person in self.people]
        until(
            lambda: all(
                person.refused > old for person, old in zip(self.people, before, strict=True)
            ),
            "everybody was refused",
            40,
        )
        granted = [person.granted for person in self.people]
        time.sleep(0.5)
        assert granted == [person.granted for person in self.people]

    def end(self) -> None:
        """Let them go home, and say what was wrong."""
        for person in self.people:
            person.ends = True
        for person in self.people:
            person.join(3 * BOUND)
            assert not person.is_alive()
            assert person.wrong == []
            assert person.longest < BOUND


def test_standby_takes_the_place_of_a_primary_that_crashed(pair: Pair, bed: Bed) -> None:
    """Refusals while no server is there; then work goes on by itself, and no code counts twice."""
    crowd = Crowd(bed)
    pair.primary.stop("immediate")
    crowd.all_are_refused()
    pair.standby.promote()
    crowd.all_get_in("by the standby")
    crowd.end()
    assert findings(bed.open()) == []


def test_standby_takes_the_place_of_a_primary_that_froze(pair: Pair, bed: Bed) -> None:
    """A server that does not answer and does not hang up is given up after a while."""
    crowd = Crowd(bed)
    with frozen(pair.primary):
        crowd.all_are_refused()
        pair.standby.promote()
        crowd.all_get_in("by the standby")
        crowd.end()
        assert findings(bed.open()) == []


def test_nobody_gets_in_while_the_synchronous_standby_is_away(pair: Pair, bed: Bed) -> None:
    """A commit that only the primary has is not told as a grant: it could be lost with it."""
    crowd = Crowd(bed)
    with frozen(pair.standby):
        crowd.all_are_refused()
    crowd.all_get_in("with the standby back")
    crowd.end()
    assert findings(bed.open()) == []
