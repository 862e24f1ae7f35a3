"""The PAM stack: are our lines in it, in order, and does nothing lead around them."""

from collections.abc import Iterator

from scripts.doctor.findings import Finding, broken, info, ok, risk
from scripts.host import pam_stack
from scripts.host.pam_stack import PamLine

MODULE = "pam_sftp_mfa.so"
_GATE = "sftp-mfa-gate"
_BREAK_GLASS = "sftp-mfa-breakglass"
_AGAIN = "`sftp-mfa install`; --dry-run shows the lines that are missing"
_NETWORK_DOORS = (
    *("vsftpd", "proftpd", "pure-ftpd", "ftp", "ftpd", "rsh", "rlogin", "rexec", "remote"),
    *("dovecot", "imap", "pop", "pop3", "cyrus", "smtp", "samba", "xrdp-sesman", "cockpit"),
    *("webmin", "usermin", "openvpn", "ppp", "x2go", "vncserver", "ejabberd", "nx"),
)
"""Services of well-known programs that take passwords over the network."""


def asks_for_code(service: str) -> bool:
    """Tell whether a service has our line that asks for the code."""
    return any(_is_ours(line, "code") for line in pam_stack.read(service, "auth"))


def look(service: str) -> Iterator[Finding]:
    """Look at the stack of the sshd that sftp-mfa is installed for."""
    yield from _auth(service)
    yield from _account(service)


def look_at_others(own: str) -> Iterator[Finding]:
    """Look for other services that take passwords over the network."""
    found = False
    for service in _NETWORK_DOORS:
        if service == own or not (pam_stack.FOLDER / service).is_file():
            continue
        if not pam_stack.uses(service, MODULE, "auth"):
            found = True
            yield risk(
                f"pam.other.{service}",
                f"{pam_stack.FOLDER / service}: {service} takes the password alone, MFA or not",
                f"remove {service} or close its port; if it is meant so: "
                f"`--accept pam.other.{service}`",
            )
    if not found:
        yield ok("pam.others", "no other service that is known takes passwords over the network")


def _auth(service: str) -> Iterator[Finding]:
    lines = pam_stack.read(service, "auth")
    places = [
        next((at for at, line in enumerate(lines) if is_it(line)), None)
        for is_it in (
            lambda line: _is_ours(line, "password"),
            lambda line: line.control == "substack" and line.module != _GATE,
            lambda line: line.control == "substack" and line.module == _GATE,
            lambda line: _is_ours(line, "code"),
        )
    ]
    known = [place for place in places if place is not None]
    if len(known) < len(places) or known != sorted(known):
        yield broken(
            "pam.lines",
            f"the PAM service {service} has not our four auth lines in their order: codes are not "
            "asked, or nobody gets in",
            _AGAIN,
        )
        return
    around = [*_ways_around(lines, known[0], known[-1]), *_heeded(lines[known[-1]])]
    yield from around
    if not around:
        yield ok("pam.lines", f"the PAM service {service} asks for codes, and no line skips that")
    if not pam_stack.uses("sftp-mfa-gate", MODULE, "auth"):
        yield broken(
            "pam.gate",
            "sftp-mfa-gate and sftp-mfa-refused are not as shipped: a wrong password would reach "
            "the code, or nobody gets in",
            _AGAIN,
        )


def _ways_around(lines: list[PamLine], first: int, last: int) -> Iterator[Finding]:
    for at, line in enumerate(lines[:last]):
        if at == first:
            continue
        if line.ends_with_success() or at + line.jump() >= last:
            yield risk(
                "pam.around",
                f"{line.where}: when {line.module} says yes, no code is asked",
                "put the line behind ours, or take it out",
            )


def _heeded(line: PamLine) -> Iterator[Finding]:
    if not line.refuses():
        yield risk(
            "pam.code",
            f"{line.where}: a code that is wrong, or was not given, is no refusal here",
            f"`[success=ignore default=die]` in place of `{line.control}`",
        )


def _account(service: str) -> Iterator[Finding]:
    lines = pam_stack.read(service, "account")
    ours = next((at for at, line in enumerate(lines) if line.module == MODULE), None)
    if ours is None:
        yield risk(
            "pam.account",
            f"the PAM service {service} has not our account line: barred accounts get in by key",
            _AGAIN,
        )
        return
    if not lines[ours].refuses():
        yield risk(
            "pam.account",
            f"{lines[ours].where}: that an account is barred is no refusal here",
            f"`[success=ignore default=die]` in place of `{lines[ours].control}`",
        )
        return
    early = [
        line
        for at, line in enumerate(lines[:ours])
        if line.ends_with_success()
        or (at + line.jump() >= ours and _BREAK_GLASS not in line.arguments)
    ]
    for line in early:
        yield risk(
            "pam.account-around",
            f"{line.where}: when {line.module} says yes, barred accounts are not kept out",
            "put the line behind ours, or take it out",
        )
    if not any(_BREAK_GLASS in line.arguments for line in lines[:ours]):
        yield info(
            "pam.break-glass",
            "the stack has no line for the group sftp-mfa-breakglass: without the helper not even "
            "its members get in",
            _AGAIN,
        )
    if not early:
        yield ok("pam.account", "barred accounts stay out on every way in")


def _is_ours(line: PamLine, argument: str) -> bool:
    return line.module == MODULE and argument in line.arguments
