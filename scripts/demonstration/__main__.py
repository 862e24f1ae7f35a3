"""What scripts/quickstart runs once the machine has the packages for it."""

import argparse
import os
import pwd
import re
import signal
import sys
from collections.abc import Sequence

from scripts.demonstration import factors, lifecycle, screen
from scripts.demonstration.commands import QuickstartError, say
from scripts.demonstration.layout import DEMO_ACCOUNT
from scripts.demonstration.processes import Process
from scripts.demonstration.record import Record, load

_PORT = 2222
_WEB_PORT = 8080
_MOST_PORT = 65_535
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Do what was asked for, and give the exit code."""
    options = _parse(arguments)
    os.chdir("/")
    os.umask(0o022)
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        return _do(options)
    except QuickstartError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _do(options: argparse.Namespace) -> int:
    if options.stop:
        return _stop()
    if options.code:
        return _code()
    return _start(options)


def _start(options: argparse.Namespace) -> int:
    guests = [_guest(name) for name in options.user]
    keeper = None if options.detach else Process.of(os.getpid())
    record = Record(port=options.port, web_port=options.web_port, guests=guests, keeper=keeper)
    with lifecycle.turn():
        running = load()
        if running is not None and running.is_running():
            say("it is running already, as follows; --stop ends it")
            _show(running, for_program=options.json)
            return 0
        try:
            lifecycle.start(record, for_program=options.json)
        except BaseException:
            _be_left_alone()
            lifecycle.remove()
            raise
    return _attend(record, options)


def _attend(record: Record, options: argparse.Namespace) -> int:
    """Show what was started and, in the foreground, stay with it."""
    ended_by_itself = False
    try:
        _show(record, for_program=options.json)
        if options.detach:
            return 0
        lifecycle.wait(record)
        ended_by_itself = True
    except (KeyboardInterrupt, BrokenPipeError):
        say("stopping")
    _be_left_alone()
    lifecycle.finish(record, ended_by_itself=ended_by_itself)
    say("stopped; all that it made is removed")
    return 0


def _stop() -> int:
    with lifecycle.turn():
        found = lifecycle.remove()
    say("stopped; all that it made is removed" if found else "nothing was running")
    return 0


def _code() -> int:
    record = load()
    if record is None or not record.is_running():
        message = "nothing is running"
        raise QuickstartError(message)
    if record.secret is None:
        message = (
            f"{DEMO_ACCOUNT} has no authenticator of this script's: it was started with --json"
        )
        raise QuickstartError(message)
    code, seconds = factors.code_now(record.secret)
    sys.stdout.write(f"{code}\n")
    say(f"it works once; in {seconds} s there is a new one")
    return 0


def _show(record: Record, *, for_program: bool) -> None:
    text = screen.for_programs(record) if for_program else screen.for_people(record)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a file has it
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _be_left_alone() -> None:
    """Let no second Ctrl-C leave half of it behind."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _guest(name: str) -> str:
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        message = f"--user {name}: there is no such account"
        raise QuickstartError(message) from error
    if entry.pw_uid == 0 or not _NAME.fullmatch(entry.pw_name):
        message = f"--user {name}: root, or a name with signs that sshd takes for patterns"
        raise QuickstartError(message)
    return entry.pw_name


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="quickstart", add_help=False, allow_abbrev=False)
    parser.add_argument("--port", type=_port, default=_PORT)
    parser.add_argument("--web-port", type=_port, default=_WEB_PORT)
    parser.add_argument("--user", action="append", default=[])
    for flag in ("--detach", "--json", "--stop", "--code"):
        parser.add_argument(flag, action="store_true")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_PORT:
        message = f"a number from 1 to {_MOST_PORT}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
