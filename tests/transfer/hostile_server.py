"""An SFTP server that lies: run as a program, so that its endless work is nobody else's.

python hostile_server.py PORT KEY [LIE]

Who logs in says by the user's name which lie it is to be, unless it is the same for everybody.
"""

import asyncio
import os
import socket
import stat
import struct
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
from asyncssh import SFTPAttrs, SFTPName

FILE = stat.S_IFREG | 0o666
FOLDER = stat.S_IFDIR | 0o777
LARGE = 20_000_000
BLOCK = 261_120
ENDS = ("ends-sftp", "disconnects", "hangs-up", "resets")
"""Ways to end in the middle of a transfer."""
WORD = "word"
NAMES = [b"../../escaped", b"/tmp/escaped", b"..", b".", b"", b"a/b", b"nul\0l", b"\x1b[2Jgood"]


class Liar(asyncssh.SFTPServer):
    """Says what its lie needs, about every path."""

    everybodys = ""

    def __init__(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Serve, or be gone."""
        super().__init__(chan)
        self.lie = self.everybodys or self.connection.get_extra_info("username")
        if self.lie == "resets-at-once":
            reset(self.connection)

    def _attributes(self, path: bytes) -> SFTPAttrs:
        name = os.path.basename(path)  # noqa: PTH119 - bytes of a protocol
        is_folder = name in {b"tree", b".", b"deeper"}
        sizes = {"short": 5_000_000, "huge": 1 << 60, "zero": 0}
        is_large = self.lie in {"hole", "small-blocks"} or self.lie in ENDS
        size = sizes.get(self.lie, LARGE if is_large else 10)
        mode = FOLDER if is_folder else FILE
        return SFTPAttrs(permissions=mode, size=size, uid=0, gid=0, atime=1, mtime=1)

    def stat(self, path: bytes) -> Any:
        """Tell."""
        return self._attributes(path)

    lstat = stat

    def fstat(self, file_obj: object) -> Any:
        """Tell the same."""
        del file_obj
        return self._attributes(b"file")

    def realpath(self, path: bytes) -> Any:
        """Take every path as it is."""
        return path

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        """List what is not there."""
        del path
        if self.lie == "names":
            for name in NAMES:
                yield SFTPName(name, attrs=SFTPAttrs(permissions=FILE, size=10, mtime=1))
        elif self.lie == "dots":
            while True:
                yield SFTPName(b".", attrs=self._attributes(b"."))
        elif self.lie == "deep":
            yield SFTPName(b"deeper", attrs=self._attributes(b"deeper"))
        elif self.lie == "long":
            number = 0
            while True:
                number += 1
                yield SFTPName(b"%d" % number, attrs=self._attributes(b"file"))
        elif self.lie == "link":
            yield SFTPName(b"sub", attrs=self._attributes(b"tree"))
            yield SFTPName(b"rc", attrs=self._attributes(b"rc"))
        elif self.lie == "silent":
            await asyncio.sleep(3600)

    def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Make nothing."""

    def remove(self, path: bytes) -> None:
        """Remove nothing."""

    def rmdir(self, path: bytes) -> None:
        """Remove nothing."""

    def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> Any:
        """Open everything."""
        del path, pflags, attrs
        return object()

    async def read(self, file_obj: object, offset: int, size: int) -> Any:
        """Give too little, or without end."""
        del file_obj
        if self.lie == "hole" and offset == BLOCK:
            await asyncio.sleep(3600)
        if self.lie in ENDS and offset >= LARGE // 2:
            self._end()
        if self.lie == "short":
            return b"x" * max(0, min(size, 4_000_000 - offset))
        if self.lie == "more":
            return b"x" * (size + 1)
        return b"x" * size

    def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        """Take everything, or end."""
        del file_obj
        if self.lie in ENDS and offset >= LARGE // 2:
            self._end()
        return len(data)

    def close(self, file_obj: object) -> None:
        """Do nothing."""

    def _end(self) -> None:
        """End in the middle of a transfer, in the way that is the lie."""
        connection = self.connection
        if self.lie == "ends-sftp":
            self.channel.exit(1)
        elif self.lie == "disconnects":
            connection.disconnect(asyncssh.DISC_BY_APPLICATION, "going down\x1b[2J")
        elif self.lie == "hangs-up":
            connection.abort()
        else:
            reset(connection)


def reset(connection: asyncssh.SSHServerConnection) -> None:
    """Have TCP say that the connection is broken, as a firewall or a restarted machine does."""
    on, seconds = 1, 0
    sock = connection.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, seconds))
    connection.abort()


class Open(asyncssh.SSHServer):
    """Lets everybody in, after questions that are meant for the terminal."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Keep it, to end it."""
        self._connection = conn

    def auth_completed(self) -> None:
        """Stay, or be gone."""
        if self._lie == "hangs-up-at-once":
            asyncio.get_running_loop().call_soon(self._connection.abort)

    async def begin_auth(self, username: str) -> bool:  # type: ignore[override]
        """Ask something, or talk, only if that is the lie."""
        self._lie = Liar.everybodys or username
        if self._lie == "banners":
            while not self._connection.is_closed():
                self._connection.send_auth_banner(f"{WORD}\n")
                await asyncio.sleep(0)
        if self._lie == "long-banner":
            self._connection.send_auth_banner(f"{WORD}\n" * 40_000)
        if self._lie == "mute":
            await asyncio.sleep(3600)
        return self._lie == "prompts"

    def kbdint_auth_supported(self) -> bool:
        """Ask."""
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        """Ask with control characters in every word."""
        del username, lang, submethods
        evil = "\x1b]0;owned\x07\x1b[2J"
        return (f"title{evil}", f"text{evil}\nmore\x9b31m", "", [(f"{evil}Password: ", False)])

    def validate_kbdint_response(self, username: str, responses: list[str]) -> Any:
        """Ask for ever."""
        del username, responses
        return ("", "", "", [("Again: ", False)])


def _answer_out_of_order() -> None:
    """Let one request not wait for the one before, as servers may that work in parallel."""
    handler = asyncssh.sftp.SFTPServerHandler
    in_turn = handler._process_packet  # noqa: SLF001 - asyncssh has no option for it
    under_way = set()

    async def at_once(self: Any, *packet: Any) -> None:
        under_way.add(asyncio.ensure_future(in_turn(self, *packet)))

    handler._process_packet = at_once  # type: ignore[method-assign]  # noqa: SLF001


async def main() -> None:
    """Serve."""
    port, key, *given = sys.argv[1:]
    Liar.everybodys = "".join(given)
    if Liar.everybodys == "hole":
        _answer_out_of_order()
    if (
        Liar.everybodys == "small-blocks"
    ):  # what the server says is the most that one may read at once
        asyncssh.sftp.MAX_SFTP_READ_LEN = 32_768
    async with await asyncssh.create_server(
        Open, "127.0.0.1", int(port), server_host_keys=[key], sftp_factory=Liar
    ) as server:
        await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
