"""What the relay's tests stand on: a PAM application to steer, and a helper that says as told."""

import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "pam_module"
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
STACK = """\
auth [success=done ignore=ignore default=die] {module} password {arguments}
auth substack {machines}
auth substack {gate}
auth [success=ignore default=die] {module} code {arguments}
account required {module} {arguments}
"""
MACHINES = """\
auth [success=1 default=ignore] {machine} {machine_arguments}
auth requisite pam_deny.so
auth required pam_permit.so
"""
GATE = """\
auth [success=done default=ignore] pam_permit.so
auth [default=ignore] {module} refused {arguments}
"""

SUCCESS, PERM_DENIED, AUTH_ERR, UNAVAIL = 0, 6, 7, 9


def make(build: Path, *variables: str) -> Path:
    """Build the module as its Makefile does."""
    command = ["make", "-s", "-C", str(SOURCE), f"BUILD={build}", *variables]
    subprocess.run(command, check=True)
    return build / "pam_sftp_mfa.so"


@dataclass(frozen=True)
class Programs:
    """The module, the application that loads it, and what stands for the machine's own modules."""

    module: Path
    driver: Path
    machine: Path

    @classmethod
    def build(cls, folder: Path, flags: str) -> Self:
        """Compile all three with the same flags: a sanitizer wants to see the whole process."""
        compiler = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-g", *flags.split()]
        programs = cls(
            make(folder, f"CFLAGS=-O1 -g {flags}"), folder / "driver", folder / "machine.so"
        )
        for output, source, *more in (
            (programs.driver, "driver.c", "-rdynamic"),
            (programs.machine, "machine.c", "-fPIC", "-shared"),
        ):
            command = [*compiler, *more, "-o", str(output), str(HERE / source), "-lpam"]
            subprocess.run(command, check=True)
        return programs


class Silence:
    """A step of a helper: says nothing more, and keeps the connection."""


class Hear:
    """A step of a helper: waits for one packet of the relay."""


HEAR, SILENCE = Hear(), Silence()
Step = bytes | Hear | Silence | Callable[[socket.socket], None]


def echo_password(conversation: socket.socket) -> None:
    """Hear the password, and pass it on: what a helper does that found no fault in it."""
    answer = conversation.recv(4096)
    conversation.send(b"N" + answer[1:])


class Helper:
    """Speaks one script a connection, in order, and keeps what it heard.

    A script is bytes to send and steps to take; at its end the connection is closed, unless the
    last step is SILENCE. `ended[i]` is set once conversation `i` was closed by the relay.
    """

    def __init__(self, listener: socket.socket, *scripts: Iterable[Step]) -> None:
        """Serve a socket that listens already."""
        self.heard: list[list[bytes]] = [[] for _ in scripts]
        self.ended = [threading.Event() for _ in scripts]
        self._scripts = scripts
        self._socket = listener
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and wait for the scripts' ends."""
        if self._acceptor.is_alive():
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(10)
        for thread in self._threads:
            thread.join(10)
        self._socket.close()

    def _accept(self) -> None:
        for number in range(len(self._scripts)):
            try:
                conversation, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._speak, args=(number, conversation), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _speak(self, number: int, conversation: socket.socket) -> None:
        heard = self.heard[number]
        with conversation:
            conversation.settimeout(20)
            try:
                for step in self._scripts[number]:
                    if isinstance(step, bytes):
                        conversation.send(step)
                    elif isinstance(step, Hear):
                        heard.append(conversation.recv(1 << 17))
                    elif isinstance(step, Silence):
                        while packet := conversation.recv(1 << 17):
                            heard.append(packet)
                        self.ended[number].set()
                    else:
                        step(conversation)
            except (BrokenPipeError, ConnectionResetError):
                self.ended[number].set()


@dataclass
class Told:
    """What the driver told of one command, in order."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def numbers(self, what: str) -> list[int]:
        """Return the numbers told of `what`."""
        return [int(value) for name, value in self.lines if name == what]

    def strings(self, what: str) -> list[bytes]:
        """Return the byte strings told of `what`."""
        return [bytes.fromhex(value) for name, value in self.lines if name == what]

    @property
    def result(self) -> int:
        """What the call returned."""
        return int(next(v for n, v in self.lines if n in ("authenticate", "account", "setcred")))

    @property
    def prompts(self) -> list[bytes]:
        """The prompts that were shown."""
        return self.strings("prompt")

    @property
    def log(self) -> list[str]:
        """The log lines that the module wrote as errors."""
        lines = [value.split() for name, value in self.lines if name == "log"]
        texts = [bytes.fromhex(text).decode("latin-1") for level, text in lines if level == "3"]
        return [text for text in texts if text.startswith("pam_sftp_mfa(")]

    @property
    def delayed(self) -> bool:
        """Whether a failure would have waited, about as long as pam_unix lets it."""
        return any(1_000_000 <= delay <= 3_000_000 for delay in self.numbers("delay"))


class Driver:
    """One process of the PAM application, with one handle."""

    def __init__(self, program: Path, stacks: Path) -> None:
        """Start it; the stacks are the files in `stacks`."""
        options = "abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=1"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the driver)
        self.process = subprocess.Popen(
            [program, stacks],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={"ASAN_OPTIONS": options, "UBSAN_OPTIONS": "print_stacktrace=1"},
        )

    def command(self, *words: str) -> Told:
        """Give a command and return what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(words).encode() + b"\n")
        self.process.stdin.flush()
        told = Told()
        watchdog = threading.Timer(30, self.process.kill)
        watchdog.start()
        while (line := self.process.stdout.readline()) != b"done 0\n":
            assert line, self._report()
            name, _, value = line.decode().rstrip("\n").partition(" ")
            told.lines.append((name, value))
        watchdog.cancel()
        return told

    def start(self, user: bytes | None = b"alice", service: str = "sshd") -> None:
        """Open the handle."""
        name = "none" if user is None else user.hex() or "-"
        assert self.command("start", service, name).numbers("start") == [SUCCESS]

    def set_item(self, name: str, value: bytes) -> None:
        """Set an item of the handle."""
        assert self.command("item", name, value.hex()).numbers("item") == [SUCCESS]

    def authenticate(self, *answers: bytes | str, how: str = "") -> Told:
        """Call pam_authenticate with a person who gives these answers, `str` being ways not to."""
        if answers:
            words = (a if isinstance(a, str) else a.hex() or "-" for a in answers)
            self.command("answer", *words)
        return self.command("fork" if how == "fork" else "authenticate", how)

    def close(self) -> None:
        """End the handle and the process, and see that the sanitizers had nothing to say."""
        try:
            if self.process.poll() is None:
                self.command("end")
            assert self.process.stdin is not None
            self.process.stdin.close()
            code = self.process.wait(20)
            report = self._report()
            assert (code, report) == (0, "")
        finally:
            self.process.kill()
            self.process.wait()
            self._errors.close()

    def _report(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")


class Room:
    """A folder for one test: the helper's socket, the stacks, and the drivers that were started."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        """Lay out the folders; root's and not writable by others, as the relay wants them."""
        self.programs = programs
        self.run = folder / "run"
        self.stacks = folder / "pam.d"
        for each in (self.run, self.stacks):
            each.mkdir(mode=0o755)
        self.write_stack()
        (self.stacks / "other").write_text("auth required pam_deny.so\n")
        self._drivers = ExitStack()

    @property
    def socket_path(self) -> Path:
        """Where the relay looks for the helper."""
        return self.run / "pam.sock"

    def write_stack(
        self,
        text: str = STACK,
        *,
        arguments: str = "user=root timeout=5",
        machine: str = "",
    ) -> None:
        """Write the service file of sshd, and those that it takes in as substacks."""
        for name, template in (("sshd", text), ("machines", MACHINES), ("gate", GATE)):
            (self.stacks / name).write_text(
                template.format(
                    module=self.programs.module,
                    arguments=f"socket={self.socket_path} {arguments}",
                    machines=self.stacks / "machines",
                    gate=self.stacks / "gate",
                    machine=self.programs.machine,
                    machine_arguments=machine,
                )
            )

    def listen(self, user: int = 0, backlog: int = 8) -> socket.socket:
        """Return a listening socket, the peer of which is that user."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self.socket_path))
        child = os.fork()
        if child == 0:  # who listens first is the peer, for good
            os.setuid(user)
            listener.listen(backlog)
            os._exit(0)
        os.waitpid(child, 0)
        return listener

    def helper(self, *scripts: Iterable[Step], user: int = 0) -> Helper:
        """Return a helper that will speak these scripts."""
        return Helper(self.listen(user), *scripts)

    def driver(self, user: bytes | None = b"alice") -> Driver:
        """Return a driver with an open handle."""
        driver = Driver(self.programs.driver, self.stacks)
        self._drivers.callback(driver.close)
        driver.start(user)
        return driver

    def close(self) -> None:
        """Close the drivers."""
        self._drivers.close()


@contextmanager
def room(programs: Programs) -> Iterator[Room]:
    """Make a room under a short path (a socket's may have 107 bytes) and clear it away."""
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        made = Room(programs, Path(folder))
        try:
            yield made
        finally:
            made.close()
