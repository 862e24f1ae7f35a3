"""Logins of `sftp-mfa-cli` at a real host, at a terminal and as a job."""

from harness.accounts import Account
from hosts import Host
from traveller import Traveller


def test_password_and_code_let_in(host: Host, account: Account, traveller: Traveller) -> None:
    """The password and then the code are asked, and the file is there."""
    device = host.installation.enroll(account.name)
    (account.home / "report.pdf").write_bytes(b"figures")
    seen = traveller.type(
        "get", traveller.server, "report.pdf", answers=[account.password, device.code]
    )
    assert seen.code == 0, seen.screen
    assert seen.prompts == ("Password: ", "Verification code: ")
    assert (traveller.home / "report.pdf").read_bytes() == b"figures"
    assert account.password not in seen.screen
