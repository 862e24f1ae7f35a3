"""The terminal is as it was, whatever ends the program, and nothing is shown that must not be."""

import os
import signal
import subprocess
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from harness.accounts import Account
from harness.waiting import until
from hosts import Host
from traveller import Traveller, Window


def echoes(window: Window) -> bool:
    """Tell whether what is typed would be shown."""
    return bool(termios.tcgetattr(window.child.child_fd)[3] & termios.ECHO)


@pytest.mark.parametrize("prompt", ["Password: ", "Verification code: ", "Are you sure"])
def test_ctrl_c_at_a_prompt(
    host: Host, account: Account, traveller: Traveller, prompt: str
) -> None:
    """Exit code 130, no traceback, and the terminal's modes of before."""
    host.installation.enroll(account.name)
    if prompt == "Are you sure":
        traveller.known_hosts.write_text("")
    window = traveller.terminal("ls", traveller.server)
    before = termios.tcgetattr(window.child.child_fd)
    asked = window.prompt()
    if prompt == "Verification code: ":
        window.type(account.password)
        asked = window.prompt()
    assert asked is not None
    assert asked.startswith(prompt)
    assert echoes(window) == (prompt == "Are you sure")
    window.child.sendintr()
    assert window.prompt() is None
    assert termios.tcgetattr(window.child.child_fd) == before
    seen = window.end()
    assert seen.code == 130
    assert "Traceback" not in seen.screen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signal_at_a_prompt(traveller: Traveller, number: signal.Signals) -> None:
    """Other ends put the terminal back, too."""
    window = traveller.terminal("ls", traveller.server)
    before = termios.tcgetattr(window.child.child_fd)
    assert window.prompt() == "Password: "
    os.kill(window.child.pid, number)
    assert window.prompt() is None
    assert termios.tcgetattr(window.child.child_fd) == before
    assert window.end().code == 128 + number


def test_stop_at_a_prompt(traveller: Traveller, account: Account) -> None:
    """Ctrl-Z gives the terminal back as it was; then the question comes again, without echo."""
    window = traveller.terminal("ls", traveller.server)
    assert window.prompt() == "Password: "
    assert not echoes(window)
    os.kill(window.child.pid, signal.SIGTSTP)
    status = Path(f"/proc/{window.child.pid}/stat")
    until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", "stopped")
    assert echoes(window)
    os.kill(window.child.pid, signal.SIGCONT)
    assert window.prompt() == "Password: "
    assert not echoes(window)
    window.type(account.password)
    assert window.prompt() is None
    assert window.end().code == 0


def test_end_of_input_at_a_prompt(traveller: Traveller) -> None:
    """Ctrl-D answers nothing, and is no empty password."""
    window = traveller.terminal("ls", traveller.server)
    window.prompt()
    window.child.sendeof()
    assert window.prompt() is None
    seen = window.end()
    assert (seen.code, "nothing was answered" in seen.error) == (3, True)


def test_server_that_hangs_up_at_a_prompt(host: Host, traveller: Traveller) -> None:
    """Who waits too long is told so at once, and not when the answer is typed."""
    from harness.processes import descendants  # noqa: PLC0415

    window = traveller.terminal("ls", traveller.server)
    before = termios.tcgetattr(window.child.child_fd)
    window.prompt()
    who = traveller.server.partition("@")[0]
    mine = [
        pid
        for pid in descendants(host.sshd.process.pid)
        if who in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    assert mine
    for pid in mine:
        with suppress(ProcessLookupError):  # it has followed another
            os.kill(pid, signal.SIGKILL)
    assert window.prompt() is None
    assert termios.tcgetattr(window.child.child_fd) == before
    seen = window.end()
    assert (seen.code, "answer sooner" in seen.error) == (5, True)


def test_password_that_is_not_utf_8_is_not_shown(traveller: Traveller) -> None:
    """The library's own error has it in its text."""
    window = traveller.terminal("ls", traveller.server)
    assert window.prompt() == "Password: "
    os.write(window.child.child_fd, b"precious\xe4\n")
    seen = window.answer_all([])
    assert (seen.code, "not UTF-8" in seen.error) == (3, True)
    assert "precious" not in seen.screen


def test_token_is_not_typed_where_it_is_seen(traveller: Traveller) -> None:
    """A terminal would show it."""
    seen = traveller.type("ls", "--token-stdin", traveller.server)
    assert (seen.code, "pipe it in, or use --token-file" in seen.error) == (7, True)


def test_what_was_typed_before_is_no_answer(traveller: Traveller, account: Account) -> None:
    """A line that was typed before there was a question answers none."""
    window = traveller.terminal("ls", traveller.server)
    window.type("typed too early")
    assert window.prompt() == "Password: "
    window.type(account.password)
    assert window.prompt() is None
    assert window.end().code == 0


def test_nothing_secret_in_the_command_line(
    host: Host, traveller: Traveller, account: Account
) -> None:
    """Neither password nor token stands where others on the machine can read it."""
    window = traveller.terminal("ls", traveller.server)
    window.prompt()
    shown = Path(f"/proc/{window.child.pid}/cmdline").read_text()
    assert account.password not in shown
    window.end()
    token = host.installation.issue_token(account.name).text()
    seen = traveller.run("ls", traveller.server, "--token", token)
    assert seen.code == 2


def test_nothing_secret_in_the_environment_of_others(
    host: Host, traveller: Traveller, account: Account
) -> None:
    """Python looks for libraries by asking compilers, and the configuration is asked of ssh."""
    folder = traveller.home / "bin"
    folder.mkdir()
    for name in ("gcc", "ld", "ssh"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nenv >> {folder}/{name}.env\nexec /usr/bin/{name} "$@"\n')
        program.chmod(0o755)
    token = host.installation.issue_token(account.name).text()
    more = {"PATH": f"{folder}:/usr/bin:/bin", "SFTP_MFA_TOKEN": token}
    assert traveller.run("ls", traveller.server, **more).code == 0
    seen = "".join(file.read_text() for file in folder.glob("*.env"))
    assert "PATH=" in seen
    assert token not in seen


@pytest.mark.parametrize("words", [[], ["--help"], ["get", "--help"], ["nonsense"], ["get"]])
def test_help_and_mistakes_need_no_ssh_library(traveller: Traveller, words: list[str]) -> None:
    """They come at once: nothing of the server, and no SSH library, is imported."""
    argv = [traveller.argv("x")[0], *words]
    watch = {"PYTHONPROFILEIMPORTTIME": "1"}
    ended = subprocess.run(
        argv, env=traveller.environment(watch), capture_output=True, text=True, check=False
    )
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "scripts.transfer.command" in imported
    assert not {"asyncssh", "sqlalchemy", "store", "granian", "pam", "tqdm"} & imported


def test_transfer_imports_nothing_of_the_server(traveller: Traveller, host: Host) -> None:
    """A transfer needs none of the server's parts."""
    traveller.token = host.installation.issue_token(traveller.server.partition("@")[0]).text()
    seen = traveller.run("ls", traveller.server, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in seen.screen.splitlines()}
    assert "asyncssh" in imported
    assert not {"sqlalchemy", "store", "granian", "pam", "msgspec", "keyring"} & imported
