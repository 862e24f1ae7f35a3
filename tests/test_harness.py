"""The harness itself: what other tests stand on has to hold."""

import grp
import secrets
import syslog as system_log
import time
from pathlib import Path

import psycopg
import pytest
from harness import sandbox
from harness.accounts import Account, Accounts
from harness.clients import Client, Method, OpenSsh, Paramiko
from harness.pam import PamServices
from harness.processes import Process, descendants
from harness.sshd import Sshd, StartSshd
from harness.syslog import Syslog
from harness.waiting import until

METHODS: list[Method] = ["keyboard-interactive", "password"]
PAM_UNIX_WAITS = (0.9, 8)  # 2 s ± 50 %, and what a busy machine adds


@pytest.mark.parametrize("method", METHODS)
def test_right_password_lets_a_file_go_up_and_come_back(
    client: Client, plain_sshd: Sshd, account: Account, method: Method
) -> None:
    """Every client logs in and moves a file, by both methods."""
    outcome = client.login(plain_sshd, account.name, [account.password], method=method)
    assert outcome.ok, outcome.output


@pytest.mark.parametrize("method", METHODS)
def test_wrong_password_is_refused_after_pam_unix_has_waited(
    client: Client, plain_sshd: Sshd, account: Account, method: Method
) -> None:
    """Every client is refused, and waits as long as pam_unix says."""
    outcome = client.login(plain_sshd, account.name, ["wrong"], method=method)
    assert not outcome.ok, outcome.output
    shortest, longest = PAM_UNIX_WAITS
    assert shortest < outcome.seconds < longest


@pytest.mark.parametrize("method", METHODS)
def test_openssh_shows_its_prompts_to_the_byte(
    openssh: OpenSsh, plain_sshd: Sshd, account: Account, method: Method
) -> None:
    """A prompt is recorded as the screen shows it."""
    outcome = openssh.login(plain_sshd, account.name, [account.password], method=method)
    seen_by = f"{account.name}@127.0.0.1"
    shown = {
        "keyboard-interactive": f"({seen_by}) Password: ",
        "password": f"{seen_by}'s password: ",
    }
    assert outcome.prompts == (shown[method],)


@pytest.mark.parametrize("client", ["openssh", "paramiko", "psftp"], indirect=True)
def test_client_hangs_up_at_the_first_prompt_without_an_answer(
    client: Client, plain_sshd: Sshd, account: Account
) -> None:
    """Who has nothing to say goes away, and the prompt is on record."""
    outcome = client.login(plain_sshd, account.name, [])
    assert not outcome.ok
    assert len(outcome.prompts) == 1
    assert outcome.prompts[0].endswith("Password: ")


def test_answers_may_be_made_when_they_are_asked_for(
    paramiko_client: Paramiko, plain_sshd: Sshd, account: Account
) -> None:
    """A function is called for an answer, so that a code is of the moment."""
    assert paramiko_client.login(plain_sshd, account.name, [lambda: account.password]).ok


def test_two_methods_can_be_tried_on_one_connection(
    paramiko_client: Paramiko, plain_sshd: Sshd, account: Account
) -> None:
    """After a refusal the same connection may go on with the other method."""
    tried = paramiko_client.attempts(
        plain_sshd,
        account.name,
        [("keyboard-interactive", ["wrong"]), ("password", [account.password])],
    )
    assert [outcome.ok for outcome in tried] == [False, True]


def test_unknown_host_key_is_refused(
    client: Client, plain_sshd: Sshd, start_sshd: StartSshd, account: Account
) -> None:
    """A client that is led to another host does not give its password away."""
    other = start_sshd(plain_sshd.service, folder="other")
    plain_sshd.port, right_port = other.port, plain_sshd.port
    plain_sshd.known_hosts.write_text(
        plain_sshd.known_hosts.read_text().replace(str(right_port), str(other.port))
    )
    assert not client.login(plain_sshd, account.name, [account.password]).ok
    assert "Accepted" not in other.log()


def test_sshd_uses_the_pam_service_that_it_was_given(
    paramiko_client: Paramiko, start_sshd: StartSshd, pam_services: PamServices, account: Account
) -> None:
    """A stack that refuses everybody is obeyed."""
    sshd = start_sshd(pam_services.install("auth required pam_deny.so\n"))
    assert not paramiko_client.login(sshd, account.name, [account.password]).ok


def test_stopped_sshd_leaves_no_process(
    openssh: OpenSsh, plain_sshd: Sshd, account: Account
) -> None:
    """A connection that hangs at a prompt ends with its sshd."""
    pid = plain_sshd.process.pid
    openssh.login(plain_sshd, account.name, [])
    family = list(descendants(pid))
    plain_sshd.stop()
    assert not [one for one in [pid, *family] if Path(f"/proc/{one}").exists()]


def test_accounts_have_the_groups_they_were_given(accounts: Accounts) -> None:
    """An account is in its groups, and gone when it is forgotten."""
    group = f"g{secrets.token_hex(4)}"
    account = accounts.make(groups=[group])
    assert grp.getgrnam(group).gr_mem == [account.name]
    accounts.forget(account)
    assert account.name not in Path("/etc/passwd").read_text()
    assert not account.home.exists()


def test_what_is_sent_to_syslog_can_be_waited_for(syslog: Syslog) -> None:
    """A line comes with its priority and tag."""
    tag = f"t{secrets.token_hex(4)}"
    system_log.openlog(tag, facility=system_log.LOG_AUTHPRIV)
    system_log.syslog(system_log.LOG_NOTICE, "somebody came in")
    assert syslog.wait_for(rf"^<85>.* {tag}: somebody came (in)$")[1] == "in"
    with pytest.raises(TimeoutError):
        syslog.wait_for(f"{tag}: somebody left", timeout=0.1)


def test_each_test_has_an_empty_database(postgres: str) -> None:
    """A database is there, empty and durable."""
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE TABLE empty_before (x int)")
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_process_can_be_frozen_and_killed(tmp_path: Path) -> None:
    """A frozen process does nothing until it is resumed; a killed one takes its children along."""
    script = "while sleep 0.01; do echo again; done"
    process = Process(["sh", "-c", script], log=tmp_path / "log", user="nobody")
    process.wait_until_ready(lambda: "again" in process.output())
    process.pause()
    time.sleep(0.05)
    frozen = process.output()
    time.sleep(0.1)
    assert process.output() == frozen
    process.resume()
    until(lambda: process.output() != frozen, "more output")
    process.kill()
    assert not process.is_running


def test_process_that_ends_early_shows_what_it_said(tmp_path: Path) -> None:
    """A server that cannot start fails its test at once, with its own words."""
    process = Process(["sh", "-c", "echo no such key; exit 3"], log=tmp_path / "log")
    with pytest.raises(RuntimeError, match="no such key"):
        process.wait_until_ready(lambda: False)


def test_ports_are_given_out_once() -> None:
    """No two tests get the same port."""
    assert sandbox.free_port() != sandbox.free_port()
