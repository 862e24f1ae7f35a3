"""The PAM stack that we ship: libpam does with it what its comments say."""

from pathlib import Path

import pytest
from harness.accounts import Account, Accounts
from harness.clients import Method, Paramiko
from harness.pam import PamServices
from harness.sshd import StartSshd
from harness.syslog import Syslog
from stand_in import RESULTS, Stack, says

# pam_debug stands for modules that are not at hand: it says user_unknown, as pam_sss does for a
# user that is not its own.
COMMON_AUTH = {
    "as this machine has it": "@include common-auth\n",
    "Debian's, with another source of users behind": """\
auth [success=2 default=ignore] pam_unix.so nullok
auth [success=1 default=ignore] pam_debug.so auth=user_unknown
auth requisite pam_deny.so
auth required pam_permit.so
auth optional pam_cap.so
""",
    "Debian's, with another source of users before": """\
auth [success=2 default=ignore] pam_debug.so auth=user_unknown
auth [success=1 default=ignore] pam_unix.so nullok try_first_pass
auth requisite pam_deny.so
auth required pam_permit.so
auth optional pam_cap.so
""",
    "with pam_faillock, as its manual shows it": """\
auth required pam_faillock.so preauth
auth [success=1 default=bad] pam_unix.so
auth [default=die] pam_faillock.so authfail
auth sufficient pam_faillock.so authsucc
auth required pam_deny.so
""",
    "as Fedora has it": """\
auth required pam_env.so
auth sufficient pam_unix.so nullok
auth required pam_deny.so
""",
    "required only": "auth required pam_unix.so\n",
    "required, and a line that always suffices": """\
auth required pam_unix.so
auth sufficient pam_permit.so
""",
    "ended by done": """\
auth [success=done default=ignore] pam_unix.so
auth required pam_deny.so
""",
}
# Without pam_deny no line says no: libpam refuses because no line says yes.
UNDECIDED = "auth sufficient pam_debug.so auth=user_unknown\nauth sufficient pam_unix.so\n"


@pytest.mark.parametrize("common_auth", COMMON_AUTH.values(), ids=COMMON_AUTH.keys())
def test_right_password_leads_to_the_code(
    pam_services: PamServices, tmp_path: Path, account: Account, common_auth: str
) -> None:
    """Whatever ends common-auth early, the code line is reached."""
    stack = Stack(pam_services, tmp_path, common_auth=common_auth)
    assert stack.authenticate(account, account.password)
    assert stack.trace == ["code"]


@pytest.mark.parametrize("common_auth", COMMON_AUTH.values(), ids=COMMON_AUTH.keys())
def test_wrong_password_is_refused_and_no_code_asked(
    pam_services: PamServices, tmp_path: Path, account: Account, common_auth: str
) -> None:
    """However common-auth says no, our module hears of it before the code line."""
    stack = Stack(pam_services, tmp_path, common_auth=common_auth)
    assert not stack.authenticate(account, "wrong")
    assert stack.trace == ["refused"]


@pytest.mark.parametrize("code", RESULTS)
def test_wrong_password_is_refused_whatever_the_code_line_says(
    pam_services: PamServices, tmp_path: Path, account: Account, code: str
) -> None:
    """Our module can only take away: a yes of ours does not heal a no of the machine's."""
    stack = Stack(
        pam_services, tmp_path, common_auth="auth required pam_deny.so\n", code=says(code)
    )
    assert not stack.authenticate(account, "wrong")


def test_right_password_is_enough_for_a_stack_that_has_no_deny_line(
    pam_services: PamServices, tmp_path: Path, account: Account
) -> None:
    """A common-auth of sufficient lines works."""
    stack = Stack(pam_services, tmp_path, common_auth=UNDECIDED)
    assert stack.authenticate(account, account.password)


@pytest.mark.parametrize("common_auth", [UNDECIDED, "# empty\n"], ids=["undecided", "empty"])
def test_stack_that_says_nothing_lets_nobody_in(
    pam_services: PamServices, tmp_path: Path, account: Account, common_auth: str
) -> None:
    """No line of ours turns silence into a yes."""
    stack = Stack(pam_services, tmp_path, common_auth=common_auth)
    assert not stack.authenticate(account, "wrong")


def test_token_is_enough(pam_services: PamServices, tmp_path: Path, account: Account) -> None:
    """A yes of the password line is the end: neither password nor code."""
    stack = Stack(
        pam_services, tmp_path, common_auth="auth required pam_deny.so\n", password=says("success")
    )
    assert stack.authenticate(account, "")
    assert stack.trace == []


@pytest.mark.parametrize("result", sorted({*RESULTS} - {"success", "ignore"}))
def test_anything_else_of_the_password_line_is_a_refusal(
    pam_services: PamServices, tmp_path: Path, account: Account, result: str
) -> None:
    """Only a token and a password to check lead on."""
    stack = Stack(pam_services, tmp_path, password=says(result))
    assert not stack.authenticate(account, account.password)
    assert stack.trace == []


@pytest.mark.parametrize("result", sorted({*RESULTS} - {"success"}))
def test_anything_but_a_yes_of_the_code_line_is_a_refusal(
    pam_services: PamServices, tmp_path: Path, account: Account, result: str
) -> None:
    """PAM_IGNORE too is a refusal."""
    stack = Stack(
        pam_services, tmp_path, common_auth="auth required pam_permit.so\n", code=says(result)
    )
    assert not stack.authenticate(account, account.password)


@pytest.mark.parametrize("result", RESULTS)
def test_account_line_lets_in_only_with_a_yes(
    pam_services: PamServices, tmp_path: Path, account: Account, result: str
) -> None:
    """Who is barred, or cannot be looked up, stays out."""
    stack = Stack(pam_services, tmp_path, account=says(result))
    assert stack.admits(account) is (result == "success")


def test_operators_get_past_the_account_line(
    pam_services: PamServices, tmp_path: Path, accounts: Accounts
) -> None:
    """Members of the break-glass group come in whatever state sftp-mfa is in."""
    operator = accounts.make(groups=["sftp-mfa-breakglass"])
    assert Stack(pam_services, tmp_path, account=says("authinfo_unavail")).admits(operator)


@pytest.mark.parametrize("line", ["password", "code", "account"])
def test_module_that_is_not_there_lets_nobody_in(
    pam_services: PamServices, tmp_path: Path, account: Account, line: str
) -> None:
    """An uninstalled module is a refusal, not a hole."""
    stack = Stack(pam_services, tmp_path, **{line: "pam_absent.so"})
    assert not (stack.authenticate(account, account.password) and stack.admits(account))


@pytest.mark.parametrize("method", ["keyboard-interactive", "password"])
@pytest.mark.parametrize("way", ["ignore", "success"], ids=["password", "token"])
def test_machine_sets_its_own_credentials_as_before(
    pam_services: PamServices,
    tmp_path: Path,
    start_sshd: StartSshd,
    account: Account,
    paramiko_client: Paramiko,
    syslog: Syslog,
    way: str,
    method: Method,
) -> None:
    """The setcred of modules in common-auth runs, if that of our password line is PAM_IGNORE."""
    witness = "@include common-auth\nauth optional pam_warn.so\n"
    stack = Stack(
        pam_services,
        tmp_path,
        common_auth=witness,
        password=says(way, cred="ignore"),
        code=says("success"),
    )
    sshd = start_sshd(stack.service)
    assert paramiko_client.login(sshd, account.name, [account.password], method=method).ok
    syslog.wait_for(rf"pam_sm_setcred.*{account.name}")
