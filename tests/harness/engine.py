"""A Docker engine of the run's own, with images that were built from the checkout."""

import os
import subprocess
from pathlib import Path

import docker

from harness.sandbox import checkout, once_per_run, place
from harness.waiting import until

SSHD, WEB, POSTGRESQL = "sftp-mfa-sshd", "sftp-mfa-web", "sftp-mfa-test-postgresql"
DIRECTORY = "sftp-mfa-test-directory"
BASE = "sftp-mfa-test-base"
PACKAGES = "sssd-ldap libnss-sss libpam-sss"
"""For hosts whose accounts are in LDAP; the base has them."""

_UNUSED = (
    *("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./var/lib/postgresql"),
    *("./usr/lib/postgresql/*/lib/bitcode", "libLLVM*", "lto*", "*-lto-dump-*", "*san.so*"),
)


class Engine:
    """A running engine that knows nothing of the machine's own."""

    def __init__(self, address: str) -> None:
        """Use the engine at that address."""
        self.address = address
        self.client = docker.DockerClient(base_url=address, timeout=120)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment for docker's programs."""
        return {**os.environ, "DOCKER_HOST": self.address}

    def build(self, name: str, folder: Path, target: str | None = None) -> None:
        """Build an image of a folder's Dockerfile, or of the project's own."""
        self.client.images.build(
            path=str(folder),
            dockerfile="containers/Dockerfile" if target else "Dockerfile",
            target=target or "",
            buildargs={"BASE": BASE, "PACKAGES": PACKAGES},
            tag=name,
        )


def shared_engine() -> Engine:
    """Return the engine that all workers share; it ends with the sandbox."""

    def make() -> str:
        engine = Engine(_start(place() / "engine"))
        _import_base(engine)
        engine.build(SSHD, checkout(), "sshd")
        engine.build(WEB, checkout(), "web")
        for name, folder in (POSTGRESQL, "postgresql"), (DIRECTORY, "directory"):
            engine.build(name, checkout() / "tests" / "containers" / folder)
        return engine.address

    return Engine(once_per_run("engine", make))


def _start(folder: Path) -> str:
    """Start an engine with its data in memory: layers cannot lie on the sandbox's own layers."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=711", "tmpfs", folder], check=True)
    address = f"unix://{folder}/docker.sock"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "dockerd",
                f"--data-root={folder}/data",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/pid",
                f"--host={address}",
                "--dns=127.0.0.1",  # there is nobody else to ask, and to wait for
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def answers() -> bool:
        if process.poll() is not None:
            message = f"dockerd ended early:\n{(folder / 'log').read_text()}"
            raise RuntimeError(message)
        try:
            return docker.DockerClient(base_url=address).ping()
        except docker.errors.DockerException:
            return False

    until(answers, "dockerd answers", 60)
    return address


def _import_base(engine: Engine) -> None:
    """Make the base of all images: a Debian root and what pip would get from outside."""
    root = Path(os.environ["SFTP_MFA_ROOTS"]) / "containers"
    wheels = Path(os.environ["SFTP_MFA_WHEELS"]) / "3.13"
    names = sorted(path.name for path in wheels.glob("*.whl"))
    pack = ["tar", "--create", r"--transform=s,^\([^/]*\.whl\)$,wheels/\1,"]
    pack += [f"--exclude={pattern}" for pattern in _UNUSED]
    pack += [f"--directory={root}", ".", f"--directory={wheels}", *names]
    take = ["docker", "import", "--change=ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels", "-", BASE]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        subprocess.run(
            take,
            stdin=packing.stdout,
            stdout=subprocess.DEVNULL,
            env=engine.environment,
            check=True,
        )
    assert packing.returncode == 0
