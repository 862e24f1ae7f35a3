"""A walk through every page, in every state that a person can see.

As a program, it makes pictures: scripts/test --run python -P tests/web_admin/tour.py FOLDER
"""

import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from browser import Visitor, visit
from harness import chromium
from harness.accounts import Account, Accounts
from harness.installation import ROOT, Device
from web_host import ADMINISTRATORS, WebHost

from store.decisions import Attempt, Protocol


def newcomer(visitor: Visitor, account: Account) -> Iterator[str]:
    """Sign in without MFA, set it up."""
    host = visitor.host.installation
    visitor.go("/")
    yield "sign-in"
    visitor.give_password(account, "wrong")
    yield "sign-in-wrong"
    visitor.go("/sign-in")
    visitor.give_password(account)
    yield "profile-without-mfa"
    visitor.go("/mfa")
    yield "mfa-off"
    visitor.fill(name="My phone")
    visitor.submit()
    yield "enroll"
    visitor.give_code("000000")
    yield "enroll-wrong"
    visitor.press("Start again with a new key")
    visitor.fill(name="My phone")
    visitor.submit()
    device = device_on(visitor)
    visitor.give_code(device.code(-1))
    visitor.page.locator("#codes").wait_for()
    yield "recovery-codes"
    visitor.press("I have kept them")
    yield "profile"
    assert host.store.accounts.show(account.name).adopted_at


def device_on(visitor: Visitor) -> Device:
    """Type the key of the page into an authenticator."""
    return in_app(visitor.page.locator("#key").inner_text())


def in_app(key: str) -> Device:
    """Make an authenticator with a key."""
    squeezed = "".join(key.split())
    return Device("in app", base64.b32decode(squeezed + "=" * (-len(squeezed) % 8)))


def regular(visitor: Visitor, account: Account, device: Device) -> Iterator[str]:
    """Sign in with MFA and use every page of one's own."""
    visitor.give_password(account)
    yield "code"
    visitor.give_code(device.wrong_codes(1)[0])
    yield "code-wrong"
    visitor.press("Use a recovery code instead")
    yield "code-recovery"
    visitor.go("/sign-in/code")
    visitor.give_code(device.code())
    visitor.page.wait_for_url(visitor.host.url + "/")
    visitor.go("/mfa")
    yield "mfa"
    visitor.press("Remove “phone”")
    yield "mfa-remove"
    visitor.go("/mfa/recovery-codes")
    yield "codes-renew"
    visitor.go("/tokens")
    yield "tokens-none"
    visitor.go("/tokens/new")
    yield "token-new"
    visitor.fill(name="nightly backup", networks="not a network")
    visitor.submit()
    yield "token-new-problem"
    visitor.fill(networks="192.0.2.0/24")
    visitor.submit()
    yield "token-made"
    visitor.host.installation.issue_token(account.name)
    visitor.go("/tokens")
    yield "tokens"
    visitor.press("Revoke “nightly backup”")
    yield "token-revoke"
    visitor.go("/tokens/revoke-all")
    yield "tokens-revoke"
    visitor.go("/password")
    yield "password"
    visitor.fill(password=account.password, new_password="a", new_password_again="a")
    visitor.submit()
    yield "password-refused"
    visitor.go("/sessions")
    yield "sessions"
    visitor.go("/activity")
    yield "activity"
    visitor.go("/confirm?next=/tokens")
    yield "confirm"
    visitor.go("/no-such-page")
    yield "not-found"


def administrator(visitor: Visitor, account: Account, other: Account) -> Iterator[str]:
    """Look after others."""
    store = visitor.host.installation.store
    visitor.sign_in(account)
    visitor.go("/admin")
    yield "admin"
    visitor.go("/admin/users")
    yield "users"
    visitor.go(f"/admin/users/{other.name}")
    yield "user"
    visitor.go(f"/admin/users/{other.name}/bar")
    yield "user-action"
    visitor.go("/admin/audit")
    yield "audit"
    visitor.go(f"/admin/audit?account={other.name}&event=login_denied")
    yield "audit-filtered"
    visitor.go("/admin/audit?since=yesterday")
    yield "audit-problem"
    visitor.go("/confirm?next=/tokens")
    yield "confirm-password"
    store.accounts.bar(account.name, ROOT)
    visitor.give_password(account)
    yield "barred"
    store.accounts.unbar(account.name, ROOT)


def locked(visitor: Visitor, account: Account, device: Device) -> Iterator[str]:
    """Guess codes until they are locked."""
    visitor.give_password(account)
    for code in device.wrong_codes(5):
        visitor.give_code(code)
    visitor.page.get_by_role("heading", name="Codes are locked").wait_for()
    yield "locked"


def as_newcomer(visitor: Visitor, accounts: Accounts) -> Iterator[str]:
    """Walk as who has no MFA yet."""
    return newcomer(visitor, accounts.make())


def as_regular(visitor: Visitor, accounts: Accounts) -> Iterator[str]:
    """Walk as who has MFA."""
    account = accounts.make()
    return regular(visitor, account, visitor.host.installation.enroll(account.name))


def as_administrator(visitor: Visitor, accounts: Accounts) -> Iterator[str]:
    """Walk as who administers, where somebody has factors and somebody is refused."""
    installation, user = visitor.host.installation, accounts.make()
    installation.enroll(user.name)
    installation.issue_token(user.name, networks=("192.0.2.0/24",))
    attempt = Attempt(user.name, Protocol.SSH, "203.0.113.80")
    installation.store.authentication.refuse_password(attempt)
    return administrator(visitor, accounts.make(groups=[ADMINISTRATORS]), user)


def as_guesser(visitor: Visitor, accounts: Accounts) -> Iterator[str]:
    """Walk as who has the password and not the phone."""
    account = accounts.make()
    return locked(visitor, account, visitor.host.installation.enroll(account.name))


Walk = Callable[[Visitor, Accounts], Iterator[str]]
WALKS: tuple[Walk, ...] = (as_newcomer, as_regular, as_administrator, as_guesser)
"""All of them together open every page."""


def main(folder: Path) -> None:
    """Make pictures of everything."""
    host, accounts = WebHost(), Accounts()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with chromium.running() as browser:
            for number, (width, scheme) in enumerate(
                [("desk", "light"), ("phone", "dark"), ("desk", "dark"), ("phone", "light")]
            ):
                for walk in WALKS:
                    address = f"192.0.2.{number + 1}"
                    visitor = visit(browser, host, address, width=width, scheme=scheme)
                    for name in walk(visitor, accounts):
                        picture = folder / f"{name}-{width}-{scheme}.png"
                        visitor.page.screenshot(path=picture, full_page=True)
    finally:
        host.close()
        accounts.forget_all()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main(Path(sys.argv[1]))
