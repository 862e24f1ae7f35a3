"""A name server that never answers: the store refuses in bounded time, and finds other hosts."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.sandbox import exclusively
from harness.stores import Clock, make_store, settings_of

pytestmark = pytest.mark.system

SILENT = "127.0.0.53"
WAIT = 1
SLACK = 4
"""What a busy machine may take beyond the time that was configured."""
RESOLVER = f"nameserver {SILENT}\noptions timeout:30 attempts:5\n"
ASKS = """
import json, sys, threading, time
from store.errors import StoreError
from store.opening import open_store
from store.settings import Settings, StoreSettings

url, key_file, wait, times = sys.argv[1:]
settings = StoreSettings(url=url, key_file=key_file, wait_seconds=float(wait))
store = open_store(Settings(store=settings))
said = []
for _ in range(int(times)):
    begun = time.monotonic()
    try:
        store.check()
    except StoreError as error:
        said.append([time.monotonic() - begun, str(error)])
    else:
        said.append([time.monotonic() - begun, ""])
print(json.dumps({"said": said, "threads": threading.active_count()}))
sys.stdout.flush()
"""
STARVES = """
import resource
from store.errors import StoreError
from store.name_resolution import with_addresses

_, most = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (0, most))
try:
    with_addresses({"host": "localhost"}, 1)
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
print(with_addresses({"host": "localhost", "port": "5432"}, 10)["host"].partition(",")[0])
"""


@pytest.fixture
def silent_name_server() -> Iterator[None]:
    """Take questions and say nothing."""
    with exclusively("silent-name-server"), socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind((SILENT, 53))
        yield


def ask(folder: Path, url: str, key_file: Path, times: int = 1) -> dict[str, Any]:
    """Use the store in a process of its own, which has another resolv.conf."""
    resolver = folder / "resolv.conf"
    resolver.write_text(RESOLVER)
    own = 'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && shift && exec "$@"'
    program = [sys.executable, "-P", "-c", ASKS, url, str(key_file), str(WAIT), str(times)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", own, "sh", str(resolver), *program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.usefixtures("silent_name_server")
def test_silent_name_server_is_given_up(tmp_path: Path, key_file: Path) -> None:
    """Each time within the configured time, in one line; and no thread is left behind by each."""
    url = "postgresql://sftp_mfa:secret@db1.example,db2.example/sftp_mfa"
    answer = ask(tmp_path, url, key_file, times=4)
    for seconds, text in answer["said"]:
        assert seconds < WAIT + SLACK
        assert "db1.example" in text
        assert "name" in text
        assert "\n" not in text
        assert "secret" not in text
    assert answer["threads"] <= 1 + 2


@pytest.mark.usefixtures("silent_name_server")
def test_host_whose_name_is_not_found_does_not_keep_others_away(
    tmp_path: Path, key_file: Path, postgres: str, clock: Clock
) -> None:
    """A standby that has an address in the hosts file serves on."""
    make_store(settings_of(postgres, key_file), clock)
    before, _, host = postgres.rpartition("@")
    port = host.partition("/")[0].rpartition(":")[2]
    host = host.replace("127.0.0.1", "localhost")
    url = f"{before}@db.example:{port},{host}"
    ((seconds, text),) = ask(tmp_path, url, key_file)["said"]
    assert text == ""
    assert seconds < WAIT + SLACK


def test_without_a_thread_to_spare_it_refuses_and_looks_up_later() -> None:
    """Who had no thread leaves nobody waiting for an answer that never comes."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", STARVES],
        user="nobody",
        group="nogroup",
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    refused, found = done.stdout.splitlines()
    assert refused == (
        "the store cannot be used: localhost cannot be looked up: no thread can be started: "
        "raise the limit of processes (TasksMax=)"
    )
    assert found == "localhost"
