"""`sftp-mfa-admin` against the real server, typed in a terminal: every way in, every refusal."""

from admin_terminal import CODE, PASSWORD, Desk
from harness.accounts import Account

LIST = "list-auth-factor-access-token"


def test_without_mfa_the_password_is_enough(desk: Desk, ruth: Account, account: Account) -> None:
    """An administrator lists a user's tokens."""
    desk.host.installation.issue_token(account.name)
    told = desk.type(LIST, account.name, "--as", ruth.name).answer(PASSWORD, ruth.password).end()
    assert told.status == 0, told.output
    assert "job" in told.output
    assert ruth.password not in told.output


def test_with_mfa_the_code_is_asked(desk: Desk, ruth: Account) -> None:
    """Password, then the code."""
    phone = desk.host.installation.enroll(ruth.name)
    talk = desk.type(LIST, "me", "--as", ruth.name).answer(PASSWORD, ruth.password)
    told = talk.answer(CODE, phone.code()).end()
    assert told.status == 0, told.output
    assert "NAME" in told.output
