"""What lies in the images, and how narrow the containers are."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_bed import Bed
from harness.engine import BASE, SSHD, WEB, Engine

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{64}")
OURS = ("sftp1", "sftp2", "web1", "web2", "passwords", "database")


def layers(engine: Engine, name: str) -> list[Path]:
    """Return the folders of an image's layers."""
    data = engine.client.images.get(name).attrs["GraphDriver"]["Data"]
    return [Path(path) for path in [data["UpperDir"], *data.get("LowerDir", "").split(":")] if path]


def added_files(engine: Engine, name: str) -> Iterator[tuple[str, Path]]:
    """Yield each file that an image has and its base has not: its path there, and here."""
    base = {path.resolve() for path in layers(engine, BASE)}
    for layer in layers(engine, name):
        if layer.resolve() not in base:
            for path in layer.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    yield str(path.relative_to(layer)), path


@pytest.mark.parametrize("name", [SSHD, WEB])
def test_no_layer_has_a_secret(engine: Engine, name: str) -> None:
    """No key, no configuration, nothing of how it was built; whoever has the image has no more."""
    found = list(added_files(engine, name))
    assert any(where.endswith("/store/otp.py") for where, _ in found)
    for where, path in found:
        assert not where.startswith(("etc/sftp-mfa/", "etc/ssh/ssh_host_", "etc/ssh/host-keys/"))
        assert not where.endswith((".whl", ".git", ".keys")), where
        assert not PRIVATE_KEY.search(path.read_bytes()), where
    history = json.dumps(engine.client.images.get(name).history())
    assert not re.search(r"(?i)(password|secret|token)=", history)


def test_the_web_image_is_not_roots(engine: Engine) -> None:
    """Nobody who runs it has to remember to say so."""
    assert engine.client.images.get(WEB).attrs["Config"]["User"] == "sftp-mfa"


@pytest.mark.parametrize("service", OURS)
def test_containers_can_do_little(bed: Bed, service: str) -> None:
    """No writing, no gain of privileges, no port but on loopback, no secret shown."""
    container = bed.container(service)
    host = container.attrs["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert not host["Privileged"]
    bound = [one["HostIp"] for ports in (host["PortBindings"] or {}).values() for one in ports]
    assert set(bound) <= {"127.0.0.1"}
    assert container.exec_run(["touch", "/usr/new"], user="root").exit_code != 0
    shown = json.dumps(container.attrs)
    assert (bed.secrets / "database-password").read_text() not in shown


@pytest.mark.parametrize(
    ("service", "program"), [("web1", "sftp-mfa serve-web"), ("sftp1", "sftp-mfa serve-pam")]
)
def test_what_talks_with_strangers_has_no_rights(bed: Bed, service: str, program: str) -> None:
    """Web and helper run as the service's user, without a single capability."""
    for pid in bed.pids(service, program):
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^Uid:\s+770\s+770\s+770\s+770$", status, re.MULTILINE), status
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), status
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE), status


@pytest.mark.parametrize("service", ["sftp1", "web1"])
def test_the_health_check_tells(bed: Bed, service: str) -> None:
    """Well when all answers; not well when what should answer is frozen."""
    is_host = service.startswith("sftp")
    check = ["healthy-sftp" if is_host else "healthy-web"]
    container = bed.container(service)
    assert container.exec_run(check).exit_code == 0
    pids = bed.pids(service, "sftp-mfa serve-pam" if is_host else "sftp-mfa serve-web")
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        if is_host:  # as it is a minute later
            file = "/run/sftp-mfa/metrics/pam.prom"
            bed.run_in(service, "touch", "--date=2 minutes ago", file, user="sftp-mfa")
        assert container.exec_run(check).exit_code != 0
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_host_keys_are_made_on_a_volume(bed: Bed) -> None:
    """Each host has its own, for root alone, where a new container finds it again."""
    keys = {bed.door(service).known_hosts.read_text().split()[2] for service in ("sftp1", "sftp2")}
    assert len(keys) == 2
    where = "/etc/ssh/host-keys/ssh_host_ed25519_key"
    assert bed.run_in("sftp1", "stat", "--format=%a %U", where).strip() == "600 root"
