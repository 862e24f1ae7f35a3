"""Every row of the design's table, with each client: a file goes up and comes back the same."""

from harness.accounts import Account
from harness.clients import Client, OpenSsh
from harness.installation import Installation
from harness.sshd import Sshd


def test_password_and_code_let_in(
    sshd: Sshd, installation: Installation, account: Account, openssh: OpenSsh
) -> None:
    """The password and then the code are asked, one after the other."""
    device = installation.enroll(account.name)
    outcome = openssh.login(sshd, account.name, [account.password, device.unused_code])
    assert outcome.ok, outcome.output
    assert [prompt.rpartition(") ")[2] for prompt in outcome.prompts] == [
        "Password: ",
        "Verification code: ",
    ]


def test_token_lets_in(
    sshd: Sshd, installation: Installation, account: Account, client: Client
) -> None:
    """A token in place of the password is enough."""
    installation.enroll(account.name)
    token = installation.issue_token(account.name)
    outcome = client.login(sshd, account.name, [token.text()])
    assert outcome.ok, outcome.output
