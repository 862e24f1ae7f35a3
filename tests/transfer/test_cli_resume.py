"""A transfer that breaks off in the middle: the same command goes on, and the copy is identical."""

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.accounts import Account
from harness.processes import descendants
from harness.waiting import until
from hosts import Host, Hosts
from traveller import Seen, Traveller, Window

LARGE = 64_000_000
"""So much takes longer than to see that it has begun, and to end it."""
LEAST = 20_000_000
"""More than the 64 blocks that are sent again."""
ROOM = 18_000_000


@dataclass(frozen=True, slots=True)
class Way:
    """A file's way, from one home to a folder of the other."""

    command: str
    traveller: Traveller
    source: Path
    target: Path

    def argv(self, *options: str) -> list[str]:
        """Give the command that moves it."""
        return [self.command, *options, self.traveller.server, "large", "in"]

    def run(self, *options: str, under: tuple[str, ...] = ()) -> Seen:
        """Move it."""
        return self.traveller.run(*self.argv(*options), under=under)

    @property
    def part(self) -> Path:
        """Give what is unfinished."""
        (part,) = parts(self.target.parent)
        return part


@pytest.fixture(params=["put", "get"])
def command(request: pytest.FixtureRequest) -> str:
    """Go both ways."""
    return str(request.param)


@pytest.fixture
def alone(hosts: Hosts, tmp_path: Path, account: Account, command: str) -> tuple[Host, Way]:
    """Run a host whose processes of sshd serve nobody else."""
    host = hosts.make()
    return host, way(Traveller(tmp_path / "home", host.sshd, account.name), host, account, command)


@pytest.fixture
def broken(host: Host, traveller: Traveller, account: Account, command: str) -> Iterator[Way]:
    """Break a transfer off for want of room, which there is now."""
    made = way(traveller, host, account, command)
    fill(made.source, LEAST)
    folder = made.target.parent
    owner = ",".join(f"{name}={folder.stat().st_uid}" for name in ("uid", "gid"))
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700,{owner}", "tmpfs", folder], check=True
    )
    try:
        under = ()
        if command == "get":  # where there is too little room from the beginning it would not begin
            make_room(folder)
            under = ("prlimit", f"--fsize={ROOM}")
        seen = made.run(under=under)
        assert seen.code == {"put": 6, "get": 7}[command], seen.screen
        assert made.part.stat().st_size > ROOM - 1_000_000
        make_room(folder)
        yield made
    finally:
        subprocess.run(["umount", folder], check=True)


def make_room(folder: Path) -> None:
    """Make the disk large enough."""
    subprocess.run(["mount", "-o", f"remount,size={4 * LEAST}", folder], check=True)


def way(traveller: Traveller, host: Host, account: Account, command: str) -> Way:
    """Lay the folder that it leads to, and let the traveller in."""
    traveller.token = host.installation.issue_token(account.name).text()
    source, target = traveller.home, account.home
    if command == "get":
        source, target = target, source
    folder = target / "in"
    folder.mkdir()
    os.chown(folder, target.stat().st_uid, target.stat().st_gid)
    return Way(command, traveller, source / "large", folder / "large")


def digest(file: Path) -> str:
    """Tell one content from another."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def fill(file: Path, size: int) -> str:
    """Make a file and return its digest."""
    content = os.urandom(size)
    file.write_bytes(content)
    file.chmod(0o644)
    return hashlib.sha256(content).hexdigest()


def parts(folder: Path) -> list[Path]:
    """Return what is unfinished."""
    return [path for path in folder.iterdir() if path.name.endswith(".part")]


def wait_for_part(folder: Path, window: Window) -> None:
    """Wait until the next run can go on with what is there."""

    def is_far() -> bool:
        assert window.child.isalive(), window.answer_all([]).screen
        window.watch()
        return any(part.stat().st_size >= LEAST for part in parts(folder))

    until(is_far, "a part of the file", 60)


def test_cut_transfer_goes_on(alone: tuple[Host, Way]) -> None:
    """The part lies beside the target, which is not there before it is complete."""
    host, way = alone
    right = fill(way.source, LARGE)
    window = way.traveller.terminal(*way.argv())
    wait_for_part(way.target.parent, window)
    for pid in descendants(host.sshd.process.pid):
        with suppress(ProcessLookupError):  # it ended with the one before
            os.kill(pid, signal.SIGKILL)
    broken = window.answer_all([])
    assert broken.code == 5, broken.screen
    assert "run the same command to go on" in broken.error
    assert not way.target.exists()
    if way.command == "get":
        assert way.part.stat().st_mode & 0o7777 == 0o600
    seen = way.run("--json")
    assert seen.code == 0, seen.screen
    assert seen.lines[0]["resumedAt"] > LEAST - 64 * 262_144
    assert digest(way.target) == right
    assert parts(way.target.parent) == []


def test_part_of_an_older_version_is_not_used(broken: Way) -> None:
    """A source that has changed since is sent anew."""
    right = fill(broken.source, LEAST)
    seen = broken.run("--json")
    assert seen.lines[0]["resumedAt"] == 0
    assert digest(broken.target) == right


def test_part_that_was_tampered_with(broken: Way) -> None:
    """Size and time cannot tell; --verify does, and says so."""
    with broken.part.open("r+b") as opened:
        opened.write(b"other bytes")
    seen = broken.run("--verify")
    assert (seen.code, "differs from its source" in seen.error) == (6, True)
    assert not broken.target.exists()
    again = broken.run("--verify")
    assert again.code == 0, again.screen


def test_link_in_the_place_of_a_part_is_not_followed(broken: Way) -> None:
    """Who can write into the folder cannot have something else overwritten."""
    part = broken.part
    precious = broken.target.with_name("precious")
    part.rename(precious)
    before = digest(precious)
    part.symlink_to(precious)
    seen = broken.run("--json")
    assert seen.code == 0, seen.screen
    assert seen.lines[0]["resumedAt"] == 0
    assert digest(precious) == before
    assert digest(broken.target) == digest(broken.source)


def test_ctrl_c_leaves_a_part_to_go_on_with(
    host: Host, traveller: Traveller, account: Account
) -> None:
    """Exit code 130, one line, and the same command goes on."""
    way_back = way(traveller, host, account, "get")
    right = fill(way_back.source, LARGE)
    window = traveller.terminal(*way_back.argv())
    wait_for_part(way_back.target.parent, window)
    window.child.sendintr()
    seen = window.answer_all([])
    assert seen.code == 130, seen.screen
    assert "interrupted" in seen.screen
    assert "Traceback" not in seen.screen
    again = way_back.run("--json")
    assert again.lines[0]["resumedAt"] > 0
    assert digest(way_back.target) == right


def test_key_of_part_names_is_private(host: Host, traveller: Traveller, account: Account) -> None:
    """Nobody else can foresee a name."""
    way_back = way(traveller, host, account, "get")
    way_back.source.write_bytes(b"x")
    assert way_back.run().code == 0
    key = traveller.home / ".local" / "state" / "sftp-mfa" / "parts.key"
    assert key.stat().st_mode & 0o7777 == 0o600
