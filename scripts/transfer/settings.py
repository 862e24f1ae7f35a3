"""The SSH configuration, as OpenSSH itself reads it: `ssh -G` resolves files, Match and Include.

A second reader of ~/.ssh/config would differ from the first in what it knows of Match, Include,
tokens and new options, and some of these are about security.
"""

import getpass
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from scripts.transfer.errors import Exit, TransferError
from scripts.transfer.names import show
from scripts.transfer.target import Target

_SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
_ALGORITHMS = ("ciphers", "kexalgorithms", "macs", "hostkeyalgorithms")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach a server; keys are OpenSSH's option names in lower case."""

    host: str
    """Where to connect to."""
    port: int
    user: str
    options: dict[str, list[str]] = field(repr=False)
    chosen: dict[str, str] = field(repr=False)
    """Algorithms that the configuration sets, by option."""
    typed: str
    """The host as it was typed."""
    config: Path | None = None
    """The file that was read in place of the usual ones."""

    def text(self, name: str, default: str = "") -> str:
        """Return an option's first value; OpenSSH's `none` is the default."""
        value = self.options.get(name, [default])[0]
        return default if value.lower() == "none" else value

    def number(self, name: str, default: int) -> int:
        """Return an option that is a number."""
        value = self.text(name)
        return int(value) if value.isdigit() else default

    def is_on(self, name: str, *, default: bool) -> bool:
        """Return an option that is yes or no."""
        return self.text(name, "yes" if default else "no").lower() in {"yes", "true"}

    @property
    def proxy(self) -> list[str] | None:
        """Return the command whose pipes lead to the server, if there is one."""
        jump = self.text("proxyjump")
        if jump:  # as OpenSSH does it
            first, _, last = jump.rpartition(",")
            via = ["-J", first] if first else []
            via += ["-F", str(self.config)] if self.config else []
            host = f"[{self.host}]" if ":" in self.host else self.host
            return ["ssh", *via, "-W", f"{host}:{self.port}", "--", *_destination(last)]
        command = self.text("proxycommand")
        if not command:
            return None
        tokens = {"h": self.host, "p": str(self.port), "r": self.user, "n": self.typed, "%": "%"}
        return ["/bin/sh", "-c", "exec " + _expand(command, tokens)]


def resolve(target: Target, config: Path | None, identities: tuple[Path, ...]) -> Settings:
    """Ask OpenSSH how it would reach a target; `config` replaces the user's and the system's."""
    ssh = shutil.which("ssh")
    if ssh is None:
        options = _without_openssh(config)
        chosen = {}
    else:
        argv = ["-G", *(["-F", str(config)] if config else [])]
        argv += ["-p", str(target.port)] if target.port else []
        argv += ["-l", target.user] if target.user else []
        argv += [word for path in identities for word in ("-i", str(path))]
        options = _ask(ssh, [*argv, "--", target.host])
        plain = _ask(ssh, ["-G", "-F", "/dev/null", "--", target.host])
        chosen = {
            name: options[name][0] for name in _ALGORITHMS if options[name] != plain.get(name)
        }
    if identities and ssh is None:
        options["identityfile"] = [str(path) for path in identities]
    return Settings(
        host=options.get("hostname", [target.host])[0],
        port=int(options.get("port", [str(target.port or 22)])[0]),
        user=target.user or options.get("user", [getpass.getuser()])[0],
        options=options,
        chosen=chosen,
        typed=target.host,
        config=config,
    )


def _ask(ssh: str, argv: list[str]) -> dict[str, list[str]]:
    ended = subprocess.run(  # noqa: S603 - the target is checked, and stands behind --
        [ssh, *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
    )
    if ended.returncode:
        reason = show(" ".join(ended.stderr.split()))
        message = f"OpenSSH cannot use its configuration: {reason}"
        raise TransferError(Exit.USAGE, message)
    options: dict[str, list[str]] = {}
    for line in ended.stdout.splitlines():
        name, _, value = line.partition(" ")
        options.setdefault(name.lower(), []).append(value)
    return options


def _without_openssh(config: Path | None) -> dict[str, list[str]]:
    """Go by the defaults where there is no OpenSSH, and nothing that only OpenSSH can read."""
    for path in (config, Path("~/.ssh/config").expanduser(), _SYSTEM_CONFIG):
        if path is not None and path.exists():
            message = f"cannot read {path} without OpenSSH's ssh: install openssh-client"
            raise TransferError(Exit.USAGE, message)
    return {}


def _destination(jump: str) -> list[str]:
    """Turn [user@]host[:port] into ssh's arguments."""
    return [jump if jump.startswith("ssh://") else f"ssh://{jump}"]


def _expand(command: str, tokens: dict[str, str]) -> str:
    parts = command.split("%")
    expanded = parts[0]
    rest = iter(parts[1:])
    for part in rest:
        if not part:  # %%
            expanded += "%" + next(rest, "")
        elif part[0] in tokens:
            expanded += tokens[part[0]] + part[1:]
        else:
            message = f"ProxyCommand has %{part[0]}, which is not known here"
            raise TransferError(Exit.USAGE, message)
    return expanded
