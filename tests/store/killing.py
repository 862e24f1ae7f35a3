"""Kills the writer of one operation again and again, each time at another moment of it."""

import os
import random
import select
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from bare import Bare, bare
from bed import Bed, Rows, counted_bytes, findings, without_numbers
from operations import BEGUN, DONE, OPERATIONS, SECTIONS, Course, Made, do, do_all, open_for

from store.opening import Store
from store.sealing import new_key, read_keys, replace_key_file

NOT_BEGUN, PARTLY, WHOLLY = "not begun", "partly", "done"

_TRIES = 20
_LONGEST = 0.5


def make_bed(folder: Path, url: str | None = None) -> Bed:
    """Make a store that is the same each time but for the database, with a key to be retired."""
    made = Bed(folder, url, randomness=counted_bytes("bed"), **SECTIONS)
    keys = read_keys(made.key_file)
    key, value = new_key(counted_bytes("new key"))
    replace_key_file(made.key_file, {key: value, **keys}, 0)
    return made


@cache
def unbroken() -> tuple[Made, list[Course]]:
    """Do everything on a store where nobody is killed; once in each process."""
    with TemporaryDirectory() as folder:
        return do_all(make_bed(Path(folder)))


def kill_in_some(
    folder: Path, url: str | None, indexes: list[int], kills: int
) -> dict[str, Counter[str]]:
    """Kill so many writers in each of some operations; tell how far they came."""
    bed = make_bed(folder, url)
    with bare(bed) as database:
        return {
            OPERATIONS[index].name: Killer(bed, database, index).kill(kills) for index in indexes
        }


class Killer:
    """Kills writers of one operation on one database, and looks at what they leave."""

    def __init__(self, bed: Bed, database: Bare, index: int) -> None:
        """Take the operation of that number."""
        self._settings = bed.settings
        self._database = database
        self._index = index
        self._name = OPERATIONS[index].name
        self._made, courses = unbroken()
        self._course: Course = courses[index]
        self._verified: set[int] = set()

    def kill(self, times: int) -> Counter[str]:
        """Kill so many, and more until some died before and some behind the commit.

        Each begins with what the last one left, unless the operation was done with that.
        """
        middle = self._time_of_one()
        store = open_for(self._settings, self._index)
        store.check()
        store.close()  # it connects anew in each writer, which need not learn what server it is
        seen: Counter[str] = Counter()
        while seen.total() < times or not (seen[NOT_BEGUN] and seen[WHOLLY]):
            assert seen.total() < times * _TRIES, (self._name, seen)
            after = random.uniform(0, 2 * middle)  # noqa: S311 - no secret
            told = _kill_one(partial(self._write, store), after)
            came = self.examine(succeeded=told == BEGUN + DONE)
            seen[came] += 1
            # So that as many die before the commit as behind it, however busy the machine is.
            middle = min(middle * (0.75 if came == WHOLLY else 1.33), _LONGEST)
            if came != NOT_BEGUN:
                self._database.put(self._course.before)
        return seen

    def examine(self, *, succeeded: bool) -> str:
        """Tell how far the operation came; fail where it did not end as it may."""
        held = without_numbers(self._database.rows())
        assert held in self._course.states, self._half_done(held)
        part = self._course.states.index(held)
        if part not in self._verified:  # where the rows are the same, so are the chains
            store = open_for(self._settings, self._index)
            assert findings(store) == [], self._name
            store.close()
            self._verified.add(part)
        last = len(self._course.states) - 1
        assert part == last or not succeeded, f"{self._name}: reported as done, and is not"
        return NOT_BEGUN if part == 0 else WHOLLY if part == last else PARTLY

    def _half_done(self, held: Rows) -> str:
        states = self._course.states
        odd = [name for name, rows in held.items() if all(rows != state[name] for state in states)]
        return f"{self._name}: half done: {odd or 'some tables, and others not'}"

    def _time_of_one(self) -> float:
        """Do the operation with nobody killed, and undo it; give the seconds that it took."""
        self._database.put(self._course.before)
        store = open_for(self._settings, self._index)
        store.check()
        begun = time.perf_counter()
        do(store, self._index, self._made)
        taken = time.perf_counter() - begun
        store.close()
        assert self.examine(succeeded=True) == WHOLLY
        self._database.put(self._course.before)
        return taken

    def _write(self, store: Store, tells: int) -> NoReturn:
        """Do the operation in a process that was forked for it."""
        try:
            store.check()
            os.write(tells, BEGUN)
            do(store, self._index, self._made)
            os.write(tells, DONE)
            signal.pause()
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(1)


def _kill_one(write: Callable[[int], NoReturn], after: float) -> bytes:
    """Kill a writer some seconds after it has begun; give what it told."""
    hears, tells = os.pipe()
    writer = os.fork()
    if not writer:
        write(tells)
    os.close(tells)
    assert select.select([hears], [], [], 30)[0], "a writer did not begin"
    told = os.read(hears, 64)
    time.sleep(after)
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    told += os.read(hears, 64)
    os.close(hears)
    assert told.startswith(BEGUN), "a writer could not begin"
    return told
