"""Public keys to offer: the agent's first, then the files of the configuration, as OpenSSH does."""

import os
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from scripts.transfer.settings import Settings

_DEFAULTS = ("id_ed25519", "id_ecdsa", "id_rsa")


class Keys:
    """The keys of one connection, and the agent that may hold some of them."""

    def __init__(self, settings: Settings) -> None:
        """Read nothing yet."""
        self._settings = settings
        self._agent: asyncssh.SSHAgentClient | None = None
        self.locked: list[Path] = []
        """Files that have a passphrase, and whose keys the agent does not hold."""

    async def load(self) -> Sequence[asyncssh.SSHKeyPair]:
        """Return all that there are; what cannot be read is left out."""
        if not self._settings.is_on("pubkeyauthentication", default=True):
            return []
        held = await self._held_by_agent()
        return [*held, *self._in_files({key.public_data for key in held})]

    def close(self) -> None:
        """Leave the agent."""
        if self._agent is not None:
            self._agent.close()

    async def _held_by_agent(self) -> Sequence[asyncssh.SSHKeyPair]:
        path = self._settings.text("identityagent", "SSH_AUTH_SOCK")
        if path == "SSH_AUTH_SOCK":
            path = os.environ.get(path, "")
        elif path.startswith("$"):
            path = os.environ.get(path[1:].strip("{}"), "")
        if not path or self._settings.options.get("identityagent") == ["none"]:
            return []
        wanted = self._wanted_only()
        try:
            self._agent = await asyncssh.connect_agent(_expanded(path))
            held = await self._agent.get_keys()
        except (OSError, ValueError, asyncssh.Error):
            return []
        return [key for key in held if wanted is None or key.public_data in wanted]

    def _wanted_only(self) -> set[bytes] | None:
        """Return the public keys that the configuration names, if it wants no others."""
        if not self._settings.is_on("identitiesonly", default=False):
            return None
        wanted = set()
        for path in self._files():
            for name in (path, _beside(path, ".pub"), _beside(path, "-cert.pub")):
                try:
                    wanted.add(asyncssh.read_public_key(name).public_data)
                except (OSError, ValueError):
                    continue
        return wanted

    def _in_files(self, held: set[bytes]) -> list[asyncssh.SSHKeyPair]:
        found = []
        for path in self._files():
            try:
                pairs = asyncssh.load_keypairs([str(path)])
            except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
                if path.exists() and "passphrase" in str(error).lower():
                    self._note_locked(path, held)
                continue
            except OSError:
                continue
            found += [pair for pair in pairs if pair.public_data not in held]
        return found

    def _note_locked(self, path: Path, held: set[bytes]) -> None:
        try:
            is_held = asyncssh.read_public_key(_beside(path, ".pub")).public_data in held
        except (OSError, ValueError):
            is_held = False
        if not is_held:
            self.locked.append(path)

    def _files(self) -> list[Path]:
        named = self._settings.options.get("identityfile")
        if named is None:
            named = [f"~/.ssh/{name}" for name in _DEFAULTS]
        return [Path(name).expanduser() for name in named if name != "none"]


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
