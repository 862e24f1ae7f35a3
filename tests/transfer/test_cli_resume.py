"""A connection that is cut in the middle: the same command goes on, and the copy is identical."""

import hashlib
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from harness.accounts import Account
from harness.processes import descendants
from harness.waiting import until
from hosts import Host, Hosts
from traveller import Traveller, Window

SIZE = 64_000_000


@pytest.fixture
def alone(hosts: Hosts, tmp_path: Path, account: Account) -> tuple[Host, Traveller]:
    """Run a host whose processes of sshd serve nobody else."""
    host = hosts.make()
    traveller = Traveller(tmp_path / "home", host.sshd, account.name)
    traveller.token = host.installation.issue_token(account.name).text()
    return host, traveller


def digest(file: Path) -> str:
    """Tell one content from another."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def fill(file: Path, size: int = SIZE) -> str:
    """Make a large file and return its digest."""
    with file.open("wb") as opened:
        for _ in range(size // 1_000_000):
            opened.write(os.urandom(1_000_000))
    file.chmod(0o644)
    return digest(file)


def parts(folder: Path) -> list[Path]:
    """Return what is unfinished."""
    return [path for path in folder.iterdir() if path.name.endswith(".part")]


def wait_for_part(folder: Path, least: int, window: Window) -> None:
    """Wait until so many bytes are there."""

    def is_far() -> bool:
        assert window.child.isalive(), window.answer_all([]).screen
        window.watch()
        return any(part.stat().st_size >= least for part in parts(folder))

    until(is_far, "a part of the file", 60)


def cut(host: Host, folder: Path, least: int, window: Window) -> None:
    """Kill the server's session, once so many bytes are there."""
    wait_for_part(folder, least, window)
    for pid in descendants(host.sshd.process.pid):
        with suppress(ProcessLookupError):  # it ended with the one before
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("direction", ["put", "get"])
def test_cut_transfer_goes_on(
    alone: tuple[Host, Traveller], account: Account, direction: str
) -> None:
    """The part lies beside the target, which is not there before it is complete."""
    host, traveller = alone
    source, target = traveller.home, account.home
    if direction == "get":
        source, target = target, source
    right = fill(source / "large")
    window = traveller.terminal(direction, traveller.server, "large")
    cut(host, target, SIZE // 3, window)
    broken = window.answer_all([])
    assert broken.code == 5, broken.screen
    assert "run the same command to go on" in broken.error
    assert not (target / "large").exists()
    (part,) = parts(target)
    if direction == "get":
        assert part.stat().st_mode & 0o7777 == 0o600
    seen = traveller.run(direction, "--json", traveller.server, "large")
    assert seen.code == 0, seen.screen
    assert seen.lines[0]["resumedAt"] > SIZE // 3 - 64 * 262_144
    assert digest(target / "large") == right
    assert parts(target) == []


def test_part_of_an_older_version_is_not_used(
    alone: tuple[Host, Traveller], account: Account
) -> None:
    """A source that has changed since is sent anew."""
    host, traveller = alone
    source = traveller.home / "large"
    fill(source)
    window = traveller.terminal("put", traveller.server, "large")
    cut(host, account.home, SIZE // 3, window)
    window.answer_all([])
    right = fill(source)
    seen = traveller.run("put", "--json", traveller.server, "large")
    assert seen.lines[0]["resumedAt"] == 0
    assert digest(account.home / "large") == right


def test_part_that_was_tampered_with(alone: tuple[Host, Traveller], account: Account) -> None:
    """Size and time cannot tell; --verify does, and says so."""
    host, traveller = alone
    fill(traveller.home / "large")
    window = traveller.terminal("put", traveller.server, "large")
    cut(host, account.home, SIZE // 3, window)
    window.answer_all([])
    (part,) = parts(account.home)
    with part.open("r+b") as opened:
        opened.write(b"other bytes")
    seen = traveller.run("put", "--verify", traveller.server, "large")
    assert (seen.code, "differs from its source" in seen.error) == (6, True)
    assert not (account.home / "large").exists()
    again = traveller.run("put", "--verify", traveller.server, "large")
    assert again.code == 0, again.screen


@pytest.mark.parametrize("direction", ["put", "get"])
def test_link_in_the_place_of_a_part_is_not_followed(
    alone: tuple[Host, Traveller], account: Account, direction: str
) -> None:
    """Who can write into the folder cannot have something else overwritten."""
    host, traveller = alone
    source, target = traveller.home, account.home
    if direction == "get":
        source, target = target, source
    right = fill(source / "large")
    window = traveller.terminal(direction, traveller.server, "large")
    cut(host, target, SIZE // 3, window)
    window.answer_all([])
    (part,) = parts(target)
    precious = target / "precious"
    part.rename(precious)
    before = digest(precious)
    part.symlink_to(precious)
    seen = traveller.run(direction, "--json", traveller.server, "large")
    assert seen.code == 0, seen.screen
    assert seen.lines[0]["resumedAt"] == 0
    assert digest(precious) == before
    assert digest(target / "large") == right


def test_ctrl_c_leaves_a_part_to_go_on_with(
    alone: tuple[Host, Traveller], account: Account
) -> None:
    """Exit code 130, one line, and the same command goes on."""
    _, traveller = alone
    right = fill(account.home / "large")
    window = traveller.terminal("get", traveller.server, "large")
    wait_for_part(traveller.home, SIZE // 3, window)
    window.child.sendintr()
    seen = window.answer_all([])
    assert seen.code == 130, seen.screen
    assert "interrupted" in seen.screen
    assert "Traceback" not in seen.screen
    again = traveller.run("get", "--json", traveller.server, "large")
    assert again.lines[0]["resumedAt"] > 0
    assert digest(traveller.home / "large") == right


def test_key_of_part_names_is_private(alone: tuple[Host, Traveller], account: Account) -> None:
    """Nobody else can foresee a name."""
    _, traveller = alone
    (account.home / "file").write_bytes(b"x")
    assert traveller.run("get", traveller.server, "file").code == 0
    key = traveller.home / ".local" / "state" / "sftp-mfa" / "parts.key"
    assert key.stat().st_mode & 0o7777 == 0o600
