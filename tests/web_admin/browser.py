"""Somebody with a browser."""

import re
from dataclasses import dataclass
from typing import Any

from harness.accounts import Account
from harness.installation import Device
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from web_host import WebHost

WIDTHS = {"desk": {"width": 1200, "height": 900}, "phone": {"width": 390, "height": 844}}


@dataclass(slots=True)
class Visitor:
    """One browser, or one profile of it, on one host's pages."""

    host: WebHost
    context: BrowserContext
    page: Page
    complaints: list[str]
    """What the browser's console said: a breach of our policy, an error of our script."""

    def go(self, path: str) -> int:
        """Open a page by its address; give the status."""
        answer = self.page.goto(self.host.url + path)
        assert answer is not None
        return answer.status

    def press(self, name: str | re.Pattern[str]) -> None:
        """Press a button or follow a link of that name, and wait for what comes."""
        target = self.page.get_by_role("button", name=name, exact=isinstance(name, str))
        link = self.page.get_by_role("link", name=name, exact=isinstance(name, str))
        target.or_(link).first.click()
        self.page.wait_for_load_state()

    def fill(self, **fields: str) -> None:
        """Fill fields of the form by their names."""
        for name, value in fields.items():
            self.page.locator(f"main [name={name}]").fill(value)

    def submit(self) -> None:
        """Send the page's own form."""
        self.page.locator("main form button[type=submit]").first.click()
        self.page.wait_for_load_state()

    def give_password(self, account: Account, password: str | None = None) -> None:
        """Sign in up to the code."""
        self.go("/sign-in")
        self.fill(account=account.name, password=password or account.password)
        self.submit()

    def give_code(self, code: str) -> None:
        """Type the code; with scripts on, its last digit sends it."""
        field = self.page.locator("main [name=code]")
        field.fill(code)
        if field.count() and not self.scripts:
            self.submit()
        self.page.wait_for_load_state()

    scripts: bool = True

    def sign_in(self, account: Account, device: Device | None = None, steps: int = 0) -> None:
        """Sign in all the way."""
        self.give_password(account)
        if device is not None:
            self.give_code(device.code(steps))
        expect(
            self.page.get_by_role("button", name=re.compile("Sign out|déconnecter"))
        ).to_be_visible()
        expect(self.page).to_have_url(self.host.url + "/")

    @property
    def main(self) -> str:
        """Give the page's text."""
        return self.page.locator("main").inner_text()

    @property
    def path(self) -> str:
        """Give where the browser is."""
        return self.page.url.removeprefix(self.host.url)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Any:
        """Send a form with this browser's cookies, as a page of ours would."""
        given = {"Origin": self.host.url, **headers}
        return self.context.request.post(
            self.host.url + path, form=form, headers=given, max_redirects=0
        )

    def form_token(self) -> str:
        """Give the token of the page's first form."""
        return self.page.locator("input[name=form]").first.get_attribute("value") or ""


def _complaint(said: ConsoleMessage) -> list[str]:
    # Chromium also complains of every answer that says no; those are the tests' own business.
    of_status = said.text.startswith("Failed to load resource: the server responded")
    return [said.text] if said.type == "error" and not of_status else []


def visit(
    browser: Browser,
    host: WebHost,
    address: str,
    *,
    width: str = "desk",
    scripts: bool = True,
    language: str = "en-GB",
    scheme: str = "light",
    **options: Any,
) -> Visitor:
    """Open a browser profile that comes from an address."""
    headers = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
    context = browser.new_context(
        ignore_https_errors=True,
        extra_http_headers=headers if host.scheme == "https" else {},
        viewport=WIDTHS[width],  # type: ignore[arg-type]
        java_script_enabled=scripts,
        locale=language,
        color_scheme=scheme,  # type: ignore[arg-type]
        **options,
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.extend(_complaint(said)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(
                (host.url, f"http://localhost:{host.port}/", "data:", "blob:")
            )
            else complaints.append(f"an outside request: {request.url}")
        ),
    )
    return Visitor(host, context, page, complaints, scripts=scripts)
