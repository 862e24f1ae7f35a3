"""Logins of `sftp-mfa-cli` at a real host, at a terminal and as a job."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from harness.accounts import Account
from harness.sandbox import free_port
from hosts import Host, Hosts, at_once, give_key
from traveller import Seen, Traveller
from visitor import at_the_code_prompt

from store.clock import from_milliseconds


@pytest.fixture
def report(account: Account) -> bytes:
    """Lay a file into the account's home on the host."""
    content = os.urandom(5_000)
    (account.home / "report.pdf").write_bytes(content)
    return content


def is_in(traveller: Traveller, seen: Seen, report: bytes) -> bool:
    """Tell whether the file came."""
    assert "Traceback" not in seen.screen
    got = traveller.home / "report.pdf"
    return seen.code == 0 and got.read_bytes() == report


def test_without_mfa_only_the_password_is_asked(
    traveller: Traveller, account: Account, report: bytes
) -> None:
    """Who has not adopted MFA sees the one prompt of before."""
    seen = traveller.type("get", traveller.server, "report.pdf", answers=[account.password])
    assert is_in(traveller, seen, report), seen.screen
    assert seen.prompts == ("Password: ",)
    assert account.password not in seen.screen


def test_with_mfa_password_and_code_are_asked(
    host: Host, traveller: Traveller, account: Account, report: bytes
) -> None:
    """One after the other, in the server's words, before anything moves; neither is shown."""
    device = host.installation.enroll(account.name)
    code = device.code()
    seen = traveller.type("get", traveller.server, "report.pdf", answers=[account.password, code])
    assert is_in(traveller, seen, report), seen.screen
    assert seen.prompts == ("Password: ", "Verification code: ")
    assert account.password not in seen.screen
    assert code not in seen.screen


def test_one_code_serves_many_files(host: Host, traveller: Traveller, account: Account) -> None:
    """All files of a command go over the one login."""
    device = host.installation.enroll(account.name)
    for number in range(20):
        (account.home / f"{number}.log").write_text(str(number))
    answers = [account.password, device.code]
    seen = traveller.type("mget", traveller.server, "*.log", answers=answers)
    assert seen.code == 0, seen.screen
    assert len(list(traveller.home.glob("*.log"))) == 20
    assert host.installation.reasons(account.name) == ["code_accepted"]


def test_wrong_code_is_asked_again(
    host: Host, traveller: Traveller, account: Account, report: bytes
) -> None:
    """After a wrong code it says so, and asks both once more."""
    device = host.installation.enroll(account.name)
    wrong = device.wrong_codes(1)[0]
    answers = [account.password, wrong, account.password, device.code]
    seen = traveller.type("get", traveller.server, "report.pdf", answers=answers)
    assert is_in(traveller, seen, report), seen.screen
    assert seen.prompts == ("Password: ", "Verification code: ") * 2
    assert seen.screen.count("Refused, try again.") == 1
    assert host.installation.reasons(account.name) == ["code_wrong", "code_accepted"]


def test_three_wrong_passwords_end_it(traveller: Traveller) -> None:
    """It asks as often as OpenSSH does, and leaves with the code for a refusal."""
    seen = traveller.type("ls", traveller.server, answers=["a", "b", "c"])
    assert seen.code == 3
    assert len(seen.prompts) == 3
    assert "wrong password or code" in seen.error


def test_locked_account_is_refused(
    host: Host, traveller: Traveller, account: Account, report: bytes
) -> None:
    """The right code does not help while codes are locked; the line says what may be the matter."""
    device = host.installation.enroll(account.name)
    wrong = device.wrong_codes(5)
    visitors = at_once(lambda _: at_the_code_prompt(host.sshd, account), wrong)
    for visitor, code in zip(visitors, wrong, strict=True):
        visitor.answer(code)
    assert not any(at_once(lambda visitor: visitor.leave(), visitors))
    traveller.config.write_text(
        f"NumberOfPasswordPrompts 1\nUserKnownHostsFile {traveller.known_hosts}\n"
    )
    answers = [account.password, device.code]
    seen = traveller.type("get", traveller.server, "report.pdf", answers=answers)
    assert seen.code == 3
    assert "locked" in seen.error
    assert "codes_locked" in host.installation.reasons(account.name)
    assert not is_in_place(traveller)
    assert report


def is_in_place(traveller: Traveller) -> bool:
    """Tell whether anything at all came."""
    return any(path.name.startswith(("report", ".sftp")) for path in traveller.home.iterdir())


def by_environment(traveller: Traveller, token: str) -> Seen:
    """Give the token as an environment variable."""
    return traveller.run("get", traveller.server, "report.pdf", SFTP_MFA_TOKEN=token)


def by_file(traveller: Traveller, token: str) -> Seen:
    """Give it in a file."""
    file = traveller.home / "token"
    file.touch(mode=0o600)
    file.write_text(f"{token}\n")
    return traveller.run("get", traveller.server, "report.pdf", "--token-file", file)


def by_standard_input(traveller: Traveller, token: str) -> Seen:
    """Give it on standard input."""
    return traveller.run("get", traveller.server, "report.pdf", "--token-stdin", given=token)


def by_keyring(traveller: Traveller, token: str) -> Seen:
    """Give it in a keyring: the one of the library's backends that is a file."""
    (traveller.home / "ring.py").write_text(
        "import keyring.backend, pathlib\n"
        "class Ring(keyring.backend.KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, service, name):\n"
        "        wanted, text = pathlib.Path('ring').read_text().split(' ')\n"
        "        return text if wanted == f'{service}/{name}' else None\n"
        "    def set_password(self, *_): raise NotImplementedError\n"
        "    def delete_password(self, *_): raise NotImplementedError\n"
    )
    (traveller.home / "ring").write_text(f"sftp-mfa-cli/{traveller.server} {token}")
    more = {"PYTHON_KEYRING_BACKEND": "ring.Ring", "PYTHONPATH": str(traveller.home)}
    return traveller.run("get", traveller.server, "report.pdf", "--token-keyring", **more)


@pytest.mark.parametrize("give", [by_environment, by_file, by_standard_input, by_keyring])
def test_token_lets_a_job_in(
    host: Host,
    traveller: Traveller,
    account: Account,
    report: bytes,
    give: Callable[[Traveller, str], Seen],
) -> None:
    """Nothing is asked, and there is no terminal; the token shows up nowhere."""
    host.installation.enroll(account.name)
    token = host.installation.issue_token(account.name).text()
    seen = give(traveller, token)
    assert is_in(traveller, seen, report), seen.screen
    assert token not in seen.screen + seen.output
    assert host.installation.reasons(account.name) == ["token_accepted"]


def test_token_works_where_only_the_password_method_does(
    hosts: Hosts, tmp_path: Path, account: Account, report: bytes
) -> None:
    """Without keyboard-interactive the token goes by the other method."""
    host = hosts.make(sshd={"config": ["KbdInteractiveAuthentication no"]})
    traveller = Traveller(tmp_path / "elsewhere", host.sshd, account.name)
    seen = by_environment(traveller, host.installation.issue_token(account.name).text())
    assert is_in(traveller, seen, report), seen.screen


def revoked(host: Host, name: str) -> str:
    """Make a token and take it back."""
    token = host.installation.issue_token(name).text()
    (listed,) = host.installation.store.access_tokens.list(name)
    host.installation.run("sftp-mfa-admin", "delete-auth-factor-access-token", name, listed.id)
    return token


def expired(host: Host, name: str) -> str:
    """Make a token whose time is over."""
    clock = host.installation.clock
    assert clock is not None
    end = from_milliseconds(clock()) + timedelta(minutes=1)
    token = host.installation.issue_token(name, expires_at=end).text()
    clock.forward(minutes=1)
    return token


@pytest.mark.parametrize("make", [revoked, expired])
def test_bad_token_is_refused_at_once(
    hosts: Hosts, tmp_path: Path, account: Account, report: bytes, make: Callable[[Host, str], str]
) -> None:
    """It is sent once, no code is asked, and the line says what to do."""
    host = hosts.make(clock_stands=True)
    host.installation.enroll(account.name)
    traveller = Traveller(tmp_path / "elsewhere", host.sshd, account.name)
    token = make(host, account.name)
    seen = by_environment(traveller, token)
    assert seen.code == 3
    assert "ask for a new one" in seen.error
    assert token not in seen.screen
    assert len(host.installation.reasons(account.name)) == 1
    assert report


def test_token_with_something_behind_it_is_not_shown(traveller: Traveller) -> None:
    """Standard input may hold anything; Python's own errors have it in their text."""
    token = "smfa_" + "a" * 57
    given = f"{token}\n\xe4"
    more = {"PYTHONIOENCODING": "ascii:strict"}
    seen = traveller.run("ls", "--token-stdin", traveller.server, given=given, **more)
    assert (seen.code, "did not take the access token" in seen.error) == (3, True)
    assert token not in seen.screen


def test_token_file_must_be_private(traveller: Traveller, host: Host, account: Account) -> None:
    """A file that others can read is refused before there is a connection."""
    file = traveller.home / "token"
    file.write_text(host.installation.issue_token(account.name).text())
    file.chmod(0o640)
    seen = traveller.run("ls", traveller.server, "--token-file", file)
    assert (seen.code, "chmod 600" in seen.error) == (7, True)
    file.chmod(0o600)
    os.chown(file, account.uid, account.uid)
    seen = traveller.run("ls", traveller.server, "--token-file", file)
    assert (seen.code, "not yours" in seen.error) == (7, True)
    os.chown(file, 0, 0)
    link = traveller.home / "link"
    link.symlink_to(file)
    assert traveller.run("ls", traveller.server, "--token-file", link).code == 7
    assert traveller.run("ls", traveller.server, "--token-file", file).code == 0


def test_job_without_a_token_is_told_what_to_give(traveller: Traveller) -> None:
    """Without a terminal nothing can be asked."""
    seen = traveller.run("ls", traveller.server)
    assert seen.code == 3
    assert "give a token" in seen.error
    assert "Password" in seen.error


def test_no_server(traveller: Traveller) -> None:
    """Where nobody listens, it says so in one line."""
    seen = traveller.run("ls", f"somebody@127.0.0.1:{free_port()}")
    assert seen.code == 5
    assert "cannot reach 127.0.0.1 port" in seen.error


def test_unknown_name(traveller: Traveller) -> None:
    """Likewise for a name that nobody has."""
    seen = traveller.run("ls", "nobody.invalid")
    assert (seen.code, "nobody.invalid" in seen.error) == (5, True)


def test_public_key_and_then_password_and_code(
    hosts: Hosts, tmp_path: Path, account: Account, report: bytes
) -> None:
    """A host that wants a key and then the questions gets both, in this order."""
    line = "AuthenticationMethods publickey,keyboard-interactive:pam"
    host = hosts.make(sshd={"config": [line]})
    device = host.installation.enroll(account.name)
    traveller = Traveller(tmp_path / "elsewhere", host.sshd, account.name)
    key = give_key(account, tmp_path / "keys")[1]
    seen = traveller.type(
        *("get", traveller.server, "report.pdf", "-i", key),
        answers=[account.password, device.code],
    )
    assert is_in(traveller, seen, report), seen.screen
    assert seen.prompts == ("Password: ", "Verification code: ")


def test_ssh_config_is_read(
    host: Host, traveller: Traveller, account: Account, report: bytes
) -> None:
    """An alias, an Include and a Match say where to go, and as whom."""
    more = traveller.home / "more"
    more.write_text(f"Host files\n  HostName {host.sshd.host}\n  Port {host.sshd.port}\n")
    traveller.config.write_text(
        f"Include {more}\n"
        f"Match originalhost files exec true\n  User {account.name}\n"
        f"Host *\n  UserKnownHostsFile {traveller.known_hosts}\n"
    )
    token = host.installation.issue_token(account.name).text()
    seen = traveller.run("get", "files", "report.pdf", SFTP_MFA_TOKEN=token)
    assert is_in(traveller, seen, report), seen.screen


def test_proxy_command_leads_there_and_gets_no_token(
    host: Host, traveller: Traveller, account: Account, report: bytes
) -> None:
    """A ProxyCommand is run as OpenSSH would run it; the token is not in its environment."""
    script = traveller.home / "proxy"
    script.write_text(
        "#!/bin/sh\nenv > environment\n"
        'exec python3 -c "import socket,os,sys,threading,shutil\n'
        "s=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n"
        "def up():\n"
        " while d:=os.read(0,65536): s.sendall(d)\n"
        "threading.Thread(target=up,daemon=True).start()\n"
        'while d:=s.recv(65536): os.write(1,d)" "$@"\n'
    )
    script.chmod(0o755)
    with traveller.config.open("a") as config:
        config.write(f"UserKnownHostsFile {traveller.known_hosts}\nProxyCommand {script} %h %p\n")
    token = host.installation.issue_token(account.name).text()
    seen = traveller.run("get", traveller.server, "report.pdf", SFTP_MFA_TOKEN=token)
    assert is_in(traveller, seen, report), seen.screen
    assert token not in (traveller.home / "environment").read_text()


def test_jump_host(
    host: Host, traveller: Traveller, account: Account, report: bytes, tmp_path: Path
) -> None:
    """ProxyJump leads there by way of another host; ssh itself logs in to that."""
    key = give_key(account, tmp_path / "keys")[1]
    jump = f"{account.name}@localhost:{host.sshd.port}"
    with traveller.known_hosts.open("a") as known:
        known.write(f"[localhost]:{host.sshd.port} {host.sshd.public_key}\n")
    traveller.config.write_text(
        f"Host inner\n  HostName {host.sshd.host}\n  Port {host.sshd.port}\n"
        f"  User {account.name}\n  ProxyJump {jump}\n  IdentityFile none\n"
        f"Host localhost\n  IdentityFile {key}\n"
        f"Host *\n  UserKnownHostsFile {traveller.known_hosts}\n"
    )
    token = host.installation.issue_token(account.name).text()
    seen = traveller.run("get", "inner", "report.pdf", SFTP_MFA_TOKEN=token)
    assert is_in(traveller, seen, report), seen.screen
    assert host.installation.reasons(account.name) == ["token_accepted"]


def test_batch_asks_nothing(traveller: Traveller) -> None:
    """By the option, or by BatchMode of the configuration."""
    seen = traveller.type("ls", "--batch", traveller.server)
    assert (seen.code, seen.prompts, "give a token" in seen.error) == (3, (), True)
    with traveller.config.open("a") as config:
        config.write("BatchMode yes\n")
    seen = traveller.type("ls", traveller.server)
    assert (seen.code, seen.prompts) == (3, ())
