"""Our lines in the service file of the machine's sshd: put in, and taken out again."""

import re

from scripts.installation.errors import RefusedError

_BEGIN = "# sftp-mfa: begin. Written by `sftp-mfa install`; `sftp-mfa uninstall` takes it out.\n"
_END = "# sftp-mfa: end"
_INSTEAD = ", in place of: "
_OURS = re.compile(
    rf"(?m)^{re.escape(_BEGIN)}(?:(?!{_END}).*\n)*{_END}(?:{_INSTEAD}(?P<instead>.*))?\n"
)
_AUTH = re.compile(
    r"(?m)^[ \t]*(?:@include|auth[ \t]+(?:include|substack))[ \t]+common-auth[ \t]*$"
)
_ACCOUNT = re.compile(
    r"(?m)^[ \t]*(?:@include|account[ \t]+(?:include|substack))[ \t]+common-account[ \t]*$"
)
_NOLOGIN = "pam_nologin.so"


def put_in(machines: str, shipped: str) -> str:
    """Put the lines of the shipped stack into the machine's; those of before go.

    RefusedError if the machine's stack is not as Debian's and Ubuntu's are at the two places.
    """
    text = take_out(machines)
    if not text.endswith("\n"):
        text += "\n"
    if re.search(r"(?m)^[^#\n]*\b(?:pam_sftp_mfa\.so|sftp-mfa-gate)\b", text):
        message = "there are lines of sftp-mfa that this command has not written: take them out"
        raise RefusedError(message)
    auth, account = _lines(shipped)
    text = _replace(text, _AUTH, auth, "common-auth")
    return _insert(text, _ACCOUNT, account, "common-account")


def take_out(text: str) -> str:
    """Give a file without our lines, and with what stood in their place."""
    return _OURS.sub(lambda found: f"{found['instead']}\n" if found["instead"] else "", text)


def has_ours(text: str) -> bool:
    """Tell whether our lines are in it."""
    return _OURS.search(text) is not None


def _lines(shipped: str) -> tuple[str, str]:
    """Give the auth lines of the shipped stack, and its account lines that Debian's has not."""
    lines = [line for line in shipped.splitlines() if line and not line.startswith("#")]
    auth = [line for line in lines if line.split()[0] == "auth"]
    account = [line for line in lines if line.split()[0] == "account" and _NOLOGIN not in line]
    return "".join(f"{line}\n" for line in auth), "".join(f"{line}\n" for line in account)


def _replace(text: str, place: re.Pattern[str], lines: str, what: str) -> str:
    found = _one(text, place, what)
    block = f"{_BEGIN}{lines}{_END}{_INSTEAD}{found.group()}"
    return text[: found.start()] + block + text[found.end() :]


def _insert(text: str, place: re.Pattern[str], lines: str, what: str) -> str:
    start = _one(text, place, what).start()
    return f"{text[:start]}{_BEGIN}{lines}{_END}\n{text[start:]}"


def _one(text: str, place: re.Pattern[str], what: str) -> re.Match[str]:
    found = list(place.finditer(text))
    if len(found) != 1:
        message = f"it includes {what} {len(found)} times, not once as Debian's and Ubuntu's does"
        raise RefusedError(message)
    return found[0]
