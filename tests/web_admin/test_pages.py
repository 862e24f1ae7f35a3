"""Every page, on a phone and at a desk, light and dark, with scripts and without."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import Visitor
from harness.accounts import Account, Accounts
from playwright.sync_api import expect
from tour import WALKS, Walk, in_app
from web_host import WebHost

WAYS = [
    pytest.param("desk", "light", True, id="desk-light"),
    pytest.param("phone", "dark", True, id="phone-dark"),
    pytest.param("phone", "light", False, id="phone-light-without-scripts"),
    pytest.param("desk", "dark", False, id="desk-dark-without-scripts"),
]


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.__name__)
@pytest.mark.parametrize(("width", "scheme", "scripts"), WAYS)
def test_every_page_can_be_used_and_read(
    accounts: Accounts,
    open_browser: Callable[..., Visitor],
    walk: Walk,
    width: str,
    scheme: str,
    *,
    scripts: bool,
) -> None:
    """Every flow ends well; no page is wider than the screen; axe finds no fault on any."""
    faults: list[str] = []
    visitor = open_browser(width=width, scheme=scheme, scripts=scripts)
    for name in walk(visitor, accounts):
        expect(visitor.page.locator("h1")).to_have_count(1)
        too_wide = "document.documentElement.scrollWidth > window.innerWidth"
        if visitor.page.evaluate(too_wide):
            faults.append(f"{name} is wider than the screen")
        if scripts:
            found = Axe().run(visitor.page).response
            assert len(found["passes"]) > 10, name
            for fault in found["violations"]:
                where = [node["html"] for node in fault["nodes"]]
                faults.append(f"{name}: {fault['id']}: {fault['help']}: {where}")
    assert not faults, "\n".join(faults)


def test_everything_works_by_keyboard_alone(
    web_host: WebHost, account: Account, visitor: Visitor
) -> None:
    """Sign in, make a token and sign out, without a mouse; what has the focus is to be seen."""
    device = web_host.installation.enroll(account.name)
    keyboard = visitor.page.keyboard
    visitor.go("/")
    keyboard.type(account.name)
    keyboard.press("Tab")
    keyboard.type(account.password)
    keyboard.press("Enter")
    visitor.page.wait_for_url("**/sign-in/code")
    keyboard.type(device.code())
    visitor.page.wait_for_url(visitor.host.url + "/")
    tab_to(visitor, "Access tokens")
    keyboard.press("Enter")
    visitor.page.wait_for_url("**/tokens")
    tab_to(visitor, "New access token")
    keyboard.press("Enter")
    visitor.page.wait_for_url("**/tokens/new")
    keyboard.type("by keyboard")
    keyboard.press("Enter")
    visitor.page.locator("#token").wait_for()
    assert [token.name for token in web_host.installation.store.access_tokens.list(account.name)]
    tab_to(visitor, "Sign out")
    keyboard.press("Enter")
    visitor.page.wait_for_url("**/sign-in?done=signed_out")


def tab_to(visitor: Visitor, name: str) -> None:
    """Press the tab key until that has the focus."""
    for _ in range(40):
        visitor.page.keyboard.press("Tab")
        focus = visitor.page.locator(":focus")
        outline = focus.evaluate("element => getComputedStyle(element).outlineStyle")
        assert outline != "none", focus.evaluate("element => element.outerHTML")
        if focus.inner_text().strip() == name:
            return
    raise AssertionError(name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["desk", "phone"])
def test_the_qr_code_on_the_screen_gives_the_codes(
    web_host: WebHost,
    account: Account,
    open_browser: Callable[..., Visitor],
    tmp_path: Path,
    width: str,
    scheme: str,
) -> None:
    """A decoder reads the picture of the screen; the codes of what it reads complete and let in."""
    visitor = open_browser(width=width, scheme=scheme)
    visitor.sign_in(account)
    visitor.go("/mfa")
    visitor.submit()
    picture = tmp_path / "screen.png"
    visitor.page.screenshot(path=picture, full_page=True)
    read = subprocess.run(
        ["zbarimg", "--quiet", "--raw", picture], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert read.startswith(f"otpauth://totp/SFTP:{account.name}?")
    secret = re.search(r"[?&]secret=([A-Z2-7]+)", read)
    assert secret is not None
    device = in_app(secret[1])
    visitor.give_code(device.code(-1))
    visitor.page.locator("#codes").wait_for()
    visitor.press("Sign out")
    visitor.sign_in(account, device)
    assert web_host.installation.store.authentication.factors_of(account.name).totp


def test_recovery_codes_can_be_copied_and_kept_as_a_file(
    web_host: WebHost, account: Account, open_browser: Callable[..., Visitor]
) -> None:
    """What is copied and what is downloaded are the ten codes of the page; one of them lets in."""
    device = web_host.installation.enroll(account.name)
    visitor = open_browser(permissions=["clipboard-read", "clipboard-write"])
    visitor.sign_in(account, device)
    visitor.go("/mfa/recovery-codes")
    visitor.submit()
    shown = visitor.page.locator("#codes li").all_inner_texts()
    visitor.press("Copy")
    visitor.page.get_by_role("button", name="Copied").wait_for()
    copied = visitor.page.evaluate("navigator.clipboard.readText()")
    assert copied.split() == shown
    with visitor.page.expect_download() as download:
        visitor.press("Download")
    kept = Path(download.value.path()).read_text()
    assert kept.split()[-10:] == shown
    visitor.press("Sign out")
    visitor.give_password(account)
    visitor.press("Use a recovery code instead")
    visitor.fill(code=shown[0])
    visitor.submit()
    expect(visitor.page).to_have_url(visitor.host.url + "/")
    assert web_host.installation.store.recovery_codes.left(account.name) == 9


def test_stored_markup_stays_text(account: Account, visitor: Visitor) -> None:
    """Names that look like markup or like a template are shown as they are."""
    visitor.sign_in(account)
    name = "<script>alert(1)</script>{{1+1}}<b>&amp;"
    visitor.go("/tokens/new")
    visitor.fill(name=name)
    visitor.submit()
    expect(visitor.page.locator(".notice")).to_contain_text(name)
    visitor.go("/tokens")
    expect(visitor.page.locator(".rows strong")).to_have_text(name)
    visitor.press(f"Revoke “{name}”")
    expect(visitor.page.locator("h1")).to_contain_text(name)
