"""A server that is not to be trusted does no harm: not to files, terminal, memory or patience."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import hostile_server
import pytest
from harness.processes import Process
from harness.sandbox import free_port
from hosts import Host
from traveller import Traveller

Lying = Callable[[str], Traveller]
MEGABYTE = 1_000_000


@pytest.fixture(scope="session")
def liar(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a server that the tests of a worker share; give its port."""
    port = free_port()
    with serving(port, host, tmp_path_factory.mktemp("liar")):
        yield port


@pytest.fixture
def lying(tmp_path: Path, host: Host, liar: int) -> Lying:
    """Have somebody who meets a lie; the server lets in without a question."""
    return lambda lie: meeting(tmp_path, host, lie, liar)


@contextmanager
def serving(port: int, host: Host, folder: Path, *lie: str) -> Iterator[None]:
    """Run a server with a lie for everybody, or with all of them."""
    argv = [sys.executable, "-P", hostile_server.__file__, str(port), host.sshd.host_key, *lie]
    with Process(argv, log=folder / "liar.log") as server:
        server.wait_until_ready(lambda: listens(port), 30)
        yield


def meeting(folder: Path, host: Host, user: str, port: int) -> Traveller:
    """Give somebody who knows the server's key."""
    traveller = Traveller(folder / "home", host.sshd, user)
    traveller.server = f"{user}@127.0.0.1:{port}"
    traveller.known_hosts.write_text(f"127.0.0.1 {host.sshd.public_key}\n")
    return traveller


def listens(port: int) -> bool:
    """Tell whether somebody does."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def everything(folder: Path) -> list[str]:
    """List all files but those of the home's own."""
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in found if not name.startswith((".ssh", ".local")))


@pytest.mark.parametrize("words", [["get", "-r", "tree", "in"], ["mget", "-r", "tree/*"]])
def test_names_that_lead_elsewhere(lying: Lying, tmp_path: Path, words: list[str]) -> None:
    """They are refused, and the others come."""
    traveller = lying("names")
    (traveller.home / "in").mkdir()
    command, *rest = words
    flags = [word for word in rest if word.startswith("-")]
    seen = traveller.run(command, *flags, traveller.server, *[w for w in rest if w not in flags])
    assert seen.code == 6
    assert seen.screen.count("as a file's name") == 5
    assert "\x1b" not in seen.screen
    (only,) = everything(traveller.home)
    assert only.endswith("\x1b[2Jgood")
    assert not (tmp_path / "escaped").exists()
    assert not Path("/tmp/escaped").exists()  # noqa: S108 - that is where it would be


def test_links_in_the_way(lying: Lying, tmp_path: Path) -> None:
    """A link that was in the target folder leads nothing out of it."""
    traveller = lying("link")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "rc").write_text("precious")
    target = traveller.home / "in" / "tree"
    target.mkdir(parents=True)
    (target / "sub").symlink_to(outside)
    (target / "rc").symlink_to(outside / "rc")
    seen = traveller.run("get", "-r", traveller.server, "tree", "in")
    assert (seen.code, "symbolic link" in seen.error) == (7, True)
    assert (outside / "rc").read_text() == "precious"
    assert [path.name for path in outside.iterdir()] == ["rc"]
    assert not (target / "rc").is_symlink()


def test_listing_without_end(lying: Lying) -> None:
    """It is refused at a length that can be set, in little memory."""
    traveller = lying("long")
    seen = traveller.run(
        *("get", "-r", "--max-entries", "20000", traveller.server, "tree"),
        under=["prlimit", f"--data={200 * MEGABYTE}"],
        timeout=100,
    )
    assert (seen.code, "more than 20000 names" in seen.error) == (6, True)
    assert everything(traveller.home) == []


def test_listing_of_nothing_without_end(lying: Lying) -> None:
    """Names that are left out count, too."""
    traveller = lying("dots")
    seen = traveller.run("ls", "--max-entries", "1000", traveller.server, "tree", timeout=30)
    assert (seen.code, "more than 1000 names" in seen.error) == (6, True)


def test_part_of_a_server_with_other_blocks_is_not_used(host: Host, tmp_path: Path) -> None:
    """Blocks come out of order, and how far a part has holes depends on their size."""
    port = free_port()
    traveller = meeting(tmp_path, host, "somebody", port)
    with serving(port, host, tmp_path, "hole"):
        broken = traveller.run("get", "--timeout", "2", traveller.server, "file")
    assert broken.code == 5, broken.screen
    (part,) = everything(traveller.home)
    assert (traveller.home / part).stat().st_size > 64 * hostile_server.BLOCK
    with serving(port, host, tmp_path, "small-blocks"):
        seen = traveller.run("get", traveller.server, "file")
    assert seen.code == 0, seen.screen
    assert (traveller.home / "file").read_bytes() == b"x" * hostile_server.LARGE


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Let a folder have room for little more than the server's file."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=22m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_full_disk_costs_nothing_that_has_come(host: Host, tmp_path: Path) -> None:
    """When there is room again it goes on."""
    port = free_port()
    traveller = meeting(tmp_path, host, "somebody", port)
    folder = traveller.home / "small"
    folder.mkdir()
    with serving(port, host, tmp_path, "hole"), small_disk(folder):
        words = ("get", "--timeout", "2", traveller.server, "file", "small")
        assert traveller.run(*words).code == 5
        (part,) = everything(folder)
        (folder / "other").write_bytes(bytes(4_000_000))
        seen = traveller.run(*words)
        assert (seen.code, "not enough space" in seen.error) == (7, True)
        assert everything(folder) == sorted([part, "other"])
        subprocess.run(["mount", "-o", "remount,nr_inodes=3", folder], check=True)
        seen = traveller.run("get", traveller.server, "another", "small")
        assert (seen.code, "No space left on device" in seen.error) == (7, True)


@pytest.mark.parametrize("command", ["get", "rm"])
def test_folders_without_end(lying: Lying, command: str) -> None:
    """They are followed as deep as OpenSSH does."""
    traveller = lying("deep")
    seen = traveller.run(command, "-r", traveller.server, "tree")
    assert (seen.code, "more than 64 folders deep" in seen.error) == (6, True)


def test_folders_without_end_here(lying: Lying) -> None:
    """Whoever else can write into a folder of this machine makes no trouble, either."""
    traveller = lying("deep")
    folder = traveller.home / "up"
    folder.joinpath(*["d"] * 400).mkdir(parents=True)
    seen = traveller.run("put", "-r", traveller.server, "up")
    assert (seen.code, "more than 64 folders deep" in seen.error) == (7, True)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ("short", "its size is not what the server has told"),
        ("more", "its size is not what the server has told"),
        ("huge", "not enough space"),
        ("zero", "has no end"),
    ],
)
def test_sizes_that_are_wrong(lying: Lying, lie: str, words: str) -> None:
    """A file that is not as it was announced is an error, and none is left that looks complete."""
    traveller = lying(lie)
    seen = traveller.run("get", traveller.server, "file")
    assert seen.code in {6, 7}
    assert words in seen.error
    left = everything(traveller.home)
    assert all(name.endswith(".part") for name in left)
    assert sum((traveller.home / name).stat().st_size for name in left) < 40 * MEGABYTE


@pytest.mark.parametrize(
    ("lie", "command"),
    [
        *((end, "get") for end in hostile_server.ENDS),
        ("ends-sftp", "put"),
        ("hangs-up-at-once", "get"),
        ("resets-at-once", "get"),
    ],
)
def test_every_end_of_a_connection_says_how_to_go_on(lying: Lying, lie: str, command: str) -> None:
    """However it ends: SFTP alone, by the protocol's word, by TCP's, or before SFTP has begun."""
    traveller = lying(lie)
    (traveller.home / "file").write_bytes(bytes(hostile_server.LARGE))
    seen = traveller.run(command, traveller.server, "file", timeout=30)
    assert (seen.code, "run the same command to go on" in seen.screen) == (5, True), seen
    assert seen.error.count("\n") == 0
    assert "\x1b" not in seen.screen


def test_silence(lying: Lying) -> None:
    """A server that says nothing more is left after a time."""
    traveller = lying("silent")
    seen = traveller.run("ls", "--timeout", "2", traveller.server, "tree")
    assert (seen.code, "no sign of life" in seen.error) == (5, True)
    assert "run the same command to go on" in seen.error


def test_server_that_never_greets(traveller: Traveller) -> None:
    """Likewise for one that accepts connections and is no SSH server."""
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        where = f"somebody@127.0.0.1:{silent.getsockname()[1]}"
        seen = traveller.run("ls", "--timeout", "2", where)
    assert (seen.code, "no answer from" in seen.error) == (5, True)


def test_server_that_never_says_who_may_in(lying: Lying) -> None:
    """And for one that proves who it is, and leaves the login open."""
    traveller = lying("mute")
    seen = traveller.run("ls", "--timeout", "2", traveller.server, timeout=30)
    assert (seen.code, "no answer from" in seen.error) == (5, True)


def test_words_of_the_server_in_the_terminal(lying: Lying) -> None:
    """Control characters of a server are shown, not obeyed; and its questions have an end."""
    traveller = lying("prompts")
    seen = traveller.type("ls", traveller.server, answers=["x"] * 40)
    assert "\x1b" not in seen.screen
    assert "\x07" not in seen.screen
    assert "\x9b" not in seen.screen
    assert "text\\x1b]0;owned" in seen.screen
    assert (seen.code, "asks without end" in seen.error) == (5, True)


@pytest.mark.parametrize("lie", ["banners", "long-banner"])
def test_talk_without_end(lying: Lying, lie: str) -> None:
    """What a server says before the login is over has an end, however short or long the words."""
    traveller = lying(lie)
    seen = traveller.type("ls", traveller.server)
    assert (seen.code, "talks without end" in seen.error) == (5, True)
    assert seen.screen.count(hostile_server.WORD) < 100


def test_token_answers_one_question_only(lying: Lying) -> None:
    """A server that asks once more after a token gets nothing more."""
    traveller = lying("prompts")
    token = "smfa_" + "a" * 57
    seen = traveller.run("ls", traveller.server, SFTP_MFA_TOKEN=token)
    assert (seen.code, "did not take the access token" in seen.error) == (3, True)
    assert token not in seen.screen
