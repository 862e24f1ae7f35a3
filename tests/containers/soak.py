"""Mixed load on the bed while its parts are killed and frozen at random.

    scripts/test --run env PYTHONPATH=tests:tests/containers python -P -m soak --minutes 30

Each person checks all the time what must not happen; at the end, when all is quiet, that nothing
that was promised is lost, that the audit verifies, and that nothing has grown.
"""

import argparse
import json
import logging
import sys
import time
from collections import Counter
from functools import partial

import directory_people
from container_bed import Bed
from harness.engine import shared_engine
from harness.sandbox import checkout, place
from harness.waiting import until
from soak_chaos import SPARED, Chaos, Growth
from soak_person import Actor

_SAMPLE_SECONDS = 5.0
_UNLOCK_SECONDS = 90.0
_MOST_GROWTH_KIB = 8 * 1024
_MOST_MORE_DESCRIPTORS = 16


def make_bed() -> Bed:
    """Start a bed that is this run's own."""
    own = checkout() / "tests" / "containers" / "bed.yaml"
    bed = Bed(
        shared_engine(), place() / "bed", "bed", checkout() / "containers" / "directory.yaml", own
    )
    directory_people.prepare(bed)
    bed.start()
    directory_people.fill(bed)
    return bed


def soak(
    bed: Bed, seconds: float, *, people: int, seed: int, pause: float, harm_pause: float
) -> list[str]:
    """Load the bed for so long, and return what was wrong."""
    actors = [Actor(bed, bed.add_person(), seed + number, pause) for number in range(people)]
    chaos = Chaos(bed, seed, harm_pause)
    growth = Growth(bed)
    for thread in (*actors, chaos):
        thread.start()
    ends = time.monotonic() + seconds
    unlocked = time.monotonic()
    while time.monotonic() < ends:
        time.sleep(min(_SAMPLE_SECONDS, seconds / 10))
        growth.sample()
        if time.monotonic() - unlocked > _UNLOCK_SECONDS:
            unlocked = time.monotonic()
            _unlock(bed, actors)
            _say(f"{ends - unlocked:.0f} s left; wrong so far: {sum(len(a.wrong) for a in actors)}")
    chaos.ends.set()
    chaos.join(60)
    for actor in actors:
        actor.ends.set()
    for actor in actors:
        actor.join(120)
    wrong = _when_quiet(bed, actors)
    done = sum((actor.done for actor in actors), Counter())
    report = growth.report()
    codes = sum(actor.known.granted_codes for actor in actors)
    _say(json.dumps({"done": done, "codes accepted": codes, "harm": chaos.done}))
    _say(f"KiB early, KiB late, descriptors early, late: {json.dumps(report)}")
    return [*wrong, *_growth(report)]


def _when_quiet(bed: Bed, actors: list[Actor]) -> list[str]:
    """Wait until all is well again, and prove that it is."""
    for service in ("web1", "web2"):
        until(partial(_is_well, bed, service), f"{service} is well", 60)
    for service in ("sftp1", "sftp2"):
        until(partial(_knows_the_store, bed, service), f"{service} is well", 90)
    _unlock(bed, actors)
    wrong = []
    for actor in actors:
        actor.prove()
        wrong += [f"{actor.name}: {what}" for what in actor.wrong]
        wrong += _audit(bed, actor)
    verified = bed.container(SPARED[0]).exec_run(["sftp-mfa-admin", "verify-audit-log"])
    if verified.exit_code != 0:
        wrong.append(f"the audit does not verify: {verified.output!r}")
    return wrong


def _audit(bed: Bed, actor: Actor) -> list[str]:
    """Compare the audit with what the person has seen: a code let in twice would be one more."""
    command = "sftp-mfa-admin", "list-audit-events", "--json", "--limit=10000"
    given = f"--account={actor.name}", "--event=login_granted"
    events = json.loads(bed.run_in(SPARED[0], *command, *given))["items"]
    accepted = sum(event["reason"] == "code_accepted" for event in events)
    least, most = actor.known.granted_codes, actor.known.granted_codes + actor.known.unknown_codes
    if least <= accepted <= most:
        return []
    return [f"{actor.name}: {accepted} codes accepted, where {least} to {most} were given"]


def _growth(report: dict[str, tuple[int, int, int, int]]) -> list[str]:
    wrong = []
    for name, (early, late, few, many) in report.items():
        if late - early > _MOST_GROWTH_KIB:
            wrong.append(f"{name} grew from {early} KiB to {late} KiB")
        if many - few > _MOST_MORE_DESCRIPTORS:
            wrong.append(f"{name} had {few} descriptors, and then {many}")
    return wrong


def _is_well(bed: Bed, service: str) -> bool:
    return bed.call(service, "GET", "/health").status == 200


def _knows_the_store(bed: Bed, service: str) -> bool:
    checked = bed.container(service).exec_run(["sftp-mfa", "check-config"])
    return bool(checked.exit_code == 0)


def _unlock(bed: Bed, actors: list[Actor]) -> None:
    """Open what wrong codes have locked, as an administrator does; no matter if it fails."""
    host = bed.container(SPARED[0])
    for actor in actors:
        host.exec_run(["sftp-mfa-admin", "unlock-user", actor.name])


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--pause", type=float, default=1.5, help="seconds between a person's acts")
    parser.add_argument("--harm-pause", type=float, default=10, help="seconds between harms")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # broken connections are the point
    _say(f"seed {given.seed}")
    bed = make_bed()
    wrong = soak(
        bed,
        given.minutes * 60,
        people=given.people,
        seed=given.seed,
        pause=given.pause,
        harm_pause=given.harm_pause,
    )
    _say("\n".join(["wrong:", *wrong]) if wrong else "nothing was wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
