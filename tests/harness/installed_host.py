"""A throw-away Debian system with sftp-mfa and an sshd in it, as an operator would have it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import at_steps, roots, sandbox
from harness.processes import Process
from harness.roots import Root
from harness.waiting import until

PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
_HOME = Path("/usr/lib/sftp-mfa")
_PASSWORD = "right-Password.7"
_COMMAND = """\
#!{home}/bin/python -I
import sys
from {module} import main
sys.exit(main())
"""
# passwd- and the like are what useradd and userdel keep of the step before; the lock is empty.
_LEFT_OUT = r"'/etc/((passwd|shadow|group|gshadow|subuid|subgid)-?|\.pwd\.lock)?( ->.*)?$'"
LIST = rf"""
find /etc -xdev -type d -printf '%y %m %U:%G %p\n' | sort
find /etc -xdev ! -type d -printf '%y %m %U:%G %T@ %p -> %l\n' | grep -vE {_LEFT_OUT} | sort
find /etc -xdev -type f -exec sha256sum {{}} + | grep -vE {_LEFT_OUT} | sort
"""
"""Lists /etc, with owners, modes, times and hashes."""


class Host:
    """The system; its sshd listens on port 22 of a network of its own."""

    config = "/etc/sftp-mfa/config.toml"

    def __init__(self, root: Root, folder: Path) -> None:
        """Work in a system; logs go to the folder."""
        self.root = root
        self._folder = folder
        self._services: dict[str, Process] = {}

    def install(
        self, *arguments: str, environment: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run `sftp-mfa install`."""
        return self.sftp_mfa("install", *arguments, environment=environment)

    def sftp_mfa(
        self, *arguments: str, given: str = "", environment: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of the operator's."""
        argv = ["/usr/sbin/sftp-mfa", *arguments]
        return self.root.run(*argv, given=given, check=False, environment=environment)

    def start_sshd(self, *more: str) -> None:
        """Start the machine's sshd as its init script would."""
        self.start("sshd", ["/usr/sbin/sshd", "-D", "-e", *more])
        until(lambda: "listening" in self.log("sshd"), "sshd")

    def start_helper(self) -> None:
        """Start the helper."""
        self.start("helper", ["/usr/sbin/sftp-mfa", "serve-pam"])
        until(lambda: "ready on" in self.log("helper"), "the helper")

    def stop(self, name: str) -> None:
        """Stop a service."""
        self._services.pop(name).stop()

    def close(self) -> None:
        """End what was started."""
        for service in self._services.values():
            service.kill()

    def log(self, name: str) -> str:
        """Return what a service has logged."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def watch_steps(self) -> None:
        """Let commands be killed at a step, or what is there at each be kept: see at_steps.py."""
        put_in_watcher(self.root)

    def make_user(self, name: str, *groups: str) -> None:
        """Make an account that can log in with a password."""
        for group in groups:
            self.root.run("groupadd", "--force", group)
        self.root.run("useradd", "--create-home", "--groups", ",".join(groups), name)
        self.root.run("chpasswd", given=f"{name}:{_PASSWORD}\n")

    def enroll(self, name: str) -> None:
        """Let an account adopt MFA: it is asked for codes from now on."""
        script = (
            "import base64,sys\n"
            "from pathlib import Path\n"
            "from store import otp\n"
            "from store.audit import Actor\n"
            "from store.clock import system_clock\n"
            "from store.decisions import Protocol\n"
            "from store.opening import open_store\n"
            "from store.settings import load\n"
            "store = open_store(load(Path('/etc/sftp-mfa/config.toml')))\n"
            "root = Actor('root', Protocol.HOST)\n"
            "begun = store.totp_factors.begin(sys.argv[1], 'phone', root)\n"
            "secret = base64.b32decode(begun.secret.text())\n"
            "code = otp.code_at(secret, otp.step_at(system_clock()))\n"
            "store.totp_factors.complete(sys.argv[1], begun.factor.id, code, root)\n"
        )
        as_service = ["setpriv", "--reuid=sftp-mfa", "--regid=sftp-mfa", "--init-groups"]
        self.root.run(*as_service, _HOME / "bin" / "python", "-I", "-c", script, name)

    def gets_in(self, name: str, password: str = _PASSWORD, *, port: int = 22) -> bool:
        """Tell whether OpenSSH's client gets in with the password alone, however it is asked."""
        self.root.write("/root/askpass", f"#!/bin/sh\necho '{password}'\n", 0o700)
        options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "NumberOfPasswordPrompts=1",
            "PubkeyAuthentication=no",
            f"Port={port}",
        ]
        given = [f"-o{option}" for option in options]
        asked = self.root.run(
            *("sftp", "-oBatchMode=no", *given, "-b", "-", f"{name}@127.0.0.1"),
            given="pwd\n",
            check=False,
            environment={"SSH_ASKPASS": "/root/askpass", "SSH_ASKPASS_REQUIRE": "force"},
        )
        assert asked.returncode == 0 or "Permission denied" in asked.stderr, asked.stderr
        return asked.returncode == 0

    def listens(self, port: int) -> bool:
        """Tell whether somebody listens on a port."""
        return f":{port} " in self.root.shell("ss -Hltn")

    def contents(self) -> list[str]:
        """List /etc, with owners, modes, times and hashes."""
        return self.root.shell(LIST).splitlines()

    def accounts(self) -> list[str]:
        """Give the accounts' files, which are written anew but must say the same."""
        names = ("passwd", "shadow", "group", "gshadow")
        return [self.root.read(f"/etc/{name}") for name in names]

    def start(self, name: str, argv: Sequence[str]) -> None:
        """Start a service that is stopped with the system."""
        log = self._folder / f"{name}.log"
        self._services[name] = Process(self.root.argv(*argv), log=log)


def put_in_watcher(root: Root) -> None:
    """Have Python load at_steps.py whenever it starts."""
    (packages,) = root.path(_HOME).glob("lib/python3.*/site-packages")
    watcher = Path(at_steps.__file__)
    shutil.copy(watcher, packages / watcher.name)
    (packages / "watcher.pth").write_text("import at_steps\n")


def take_out_watcher(root: Root) -> None:
    """Forget it."""
    root.shell(f"cd {_HOME}/lib/python3.*/site-packages; rm at_steps.py watcher.pth")


@contextmanager
def host(suite: str, folder: Path) -> Iterator[Host]:
    """Run a system that has sftp-mfa's files, a store and a running sshd; nothing is installed."""
    library = Path(sandbox.once_per_run(f"library-{suite}", lambda: str(_library(suite))))
    disk = Path(sandbox.once_per_run(f"host-{suite}", lambda: str(_disk(suite, library))))
    shared = [sandbox.checkout(), library]
    with roots.debian(suite, network=True, shared=shared, below=disk) as root:
        made = Host(root, folder)
        made.start_sshd()
        try:
            yield made
        finally:
            made.close()


def _library(suite: str) -> Path:
    """Unpack sftp-mfa and what it stands on for the Python of a suite."""
    version = PYTHONS[suite]
    library = sandbox.place() / f"library-{version}"
    wheels = Path(os.environ["SFTP_MFA_WHEELS"]) / version
    python = Path(os.environ["PIP_FIND_LINKS"]).parent / "bin" / "python"
    subprocess.run(
        [
            *(python, "-m", "pip", "-qq", "install", "--no-index", "--no-deps", "--no-compile"),
            *("--only-binary=:all:", f"--python-version={version}", f"--target={library}"),
            *sorted([*wheels.glob("*.whl"), *(sandbox.place() / "wheel").glob("*.whl")]),
        ],
        check=True,
    )
    with roots.debian(suite, shared=[library]) as root:
        # Else each command in each test compiles it anew.
        root.shell(f"cp -a {library} /tmp/library && python3 -m compileall -qq /tmp/library || :")
        compiled = library.with_name(f"{library.name}-compiled")
        shutil.copytree(root.path("/tmp/library"), compiled, symlinks=True)  # noqa: S108
    return compiled


def _disk(suite: str, library: Path) -> Path:
    """Make what all of them go on from."""
    disk = sandbox.place() / f"host-{suite}"
    with roots.debian(suite, shared=[sandbox.checkout(), library], disk=disk) as root:
        _put_in(root, library)
        root.shell(f"mkdir {Path(Host.config).parent}")
        root.shell(f"cp /usr/share/sftp-mfa/config.example.toml {Host.config}")
        root.run("sftp-mfa", "upgrade-store")
    return disk


def _put_in(root: Root, library: Path) -> None:
    """Lay the files where the package has them."""
    checkout = sandbox.checkout()
    root.run("python3", "-m", "venv", "--without-pip", _HOME)
    packages = root.run(
        *(_HOME / "bin" / "python", "-c"),
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    ).stdout.strip()
    root.write(f"{packages}/library.pth", f"{library}\n")
    for name, module in (("sftp-mfa", "scripts.operate"), ("sftp-mfa-admin", "scripts.admin.main")):
        root.write(_HOME / "bin" / name, _COMMAND.format(home=_HOME, module=module), 0o755)
    root.shell(
        f"""
        ln -s {_HOME}/bin/sftp-mfa /usr/sbin/sftp-mfa
        ln -s {_HOME}/bin/sftp-mfa-admin /usr/bin/sftp-mfa-admin
        module=$(dirname /usr/lib/*/security/pam_unix.so)
        install -m 644 {sandbox.pam_module()} $module/pam_sftp_mfa.so
        mkdir /usr/share/sftp-mfa
        cp -r {checkout}/sshd_config /usr/share/sftp-mfa/
        cp {checkout}/store/config.example.toml /usr/share/sftp-mfa/
        useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin sftp-mfa
        groupadd --system sftp-mfa-breakglass
        """
    )
