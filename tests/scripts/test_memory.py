"""No core dump has a password, and nobody who is not root reads it out of a running program."""

import resource
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.accounts import Account
from harness.installation import Installation
from harness.processes import descendants
from harness.sandbox import command
from harness.waiting import until
from store_lock import locked
from web_host import WebHost

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
CLIENTS = [
    ["sftp-mfa-cli", "ls", "--token-stdin", "nobody@127.0.0.1:9"],
    ["sftp-mfa-admin", "show-user", "me", "--server", "https://127.0.0.1:9", "--token-stdin"],
]


def is_private(pid: int) -> bool:
    """Tell whether the kernel keeps a process's memory to itself: proc(5), prctl(2)."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    # Of a process that may be dumped, what /proc has of it is its user's own.
    return line.split()[4:6] == ["0", "0"] and Path(f"/proc/{pid}/mem").stat().st_uid == 0


def argument(pid: int, number: int) -> bytes:
    """Give a word of a process's command line."""
    return [*Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"), b"", b""][number]


@contextmanager
def waiting_for_its_token(words: list[str], account: Account) -> Iterator[int]:
    """Run a client as somebody who is not root, whose core dumps have no limit."""
    name, *rest = words
    dumping = ["prlimit", "--core=unlimited:unlimited"]
    somebody = ["setpriv", f"--reuid={account.uid}", f"--regid={account.uid}", "--clear-groups"]
    with subprocess.Popen(
        [*dumping, *somebody, command(name), *rest],
        env={"HOME": str(account.home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        cwd=account.home,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as client:
        yield client.pid
        client.kill()


@pytest.mark.parametrize("words", CLIENTS, ids=lambda words: words[0])
def test_a_client_is_private_before_it_has_its_token(words: list[str], account: Account) -> None:
    """It waits for the token until the test has seen so."""
    program = command(words[0]).encode()
    with waiting_for_its_token(words, account) as pid:
        until(lambda: argument(pid, 1) == program, "the client, and not what starts it", 30)
        until(lambda: is_private(pid), "the client's memory private", 30)


@pytest.fixture
def dumping_host() -> Iterator[WebHost]:
    """Run a host that would have core dumps of any size written."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, UNLIMITED)
    try:
        made = WebHost(behind_proxy=False)
        # As systemd starts it: not as root, so that no change of user has the kernel's care.
        run = made.installation.socket.parent
        run.mkdir(exist_ok=True)
        shutil.chown(run, "sftp-mfa")
        made.installation.start(user="sftp-mfa")
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    yield made
    made.close()


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Make a configuration and a store."""
    made = Installation()
    yield made
    made.close()


@contextmanager
def as_the_services_user(module: str, config: Path, *words: str) -> Iterator[int]:
    """Run a program that root starts for what the services' user alone may do."""
    with subprocess.Popen(
        [Path(command("sftp-mfa")).with_name("python"), "-I", "-m", module, config, *words],
        cwd="/",
        user="sftp-mfa",
        group="sftp-mfa",
        extra_groups=[],
        stderr=subprocess.DEVNULL,
    ) as program:
        yield program.pid
        program.kill()


def test_the_authenticator_of_the_proof_is_private(installation: Installation) -> None:
    """It waits for the store, whose keys it has, until the test has seen so."""
    with (
        locked(installation.database),
        as_the_services_user("scripts.installation.factor", installation.config, "end") as pid,
    ):
        until(lambda: is_private(pid), "the program's memory private", 10)


def test_who_asks_the_databases_clock_is_private(installation: Installation) -> None:
    """It waits for a database, whose password it has, until the test has seen so."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://sftp_mfa:secret@127.0.0.1:{silent.getsockname()[1]}/sftp_mfa"
        before = installation.config.read_text()
        kept = f"sqlite:///{installation.database}"
        installation.config.write_text(before.replace(kept, url))
        with as_the_services_user("scripts.doctor.database_clock", installation.config) as pid:
            until(lambda: is_private(pid), "the program's memory private", 10)


def test_services_are_private(dumping_host: WebHost) -> None:
    """The helper, the broker, the web server and its workers."""
    workers = list(descendants(dumping_host.web.pid))
    assert workers
    helper = dumping_host.installation.helper
    assert helper is not None
    services = [helper.pid, dumping_host.broker.pid, dumping_host.web.pid, *workers]
    assert [is_private(pid) for pid in services] == [True] * len(services)
