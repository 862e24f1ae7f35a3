"""The ways in that an sshd has, as `sshd -T` tells them, for all and inside each Match block."""

from collections.abc import Iterator
from pathlib import Path

from scripts.doctor import connections, stack
from scripts.doctor.findings import Finding, broken, info, ok, risk
from scripts.host import sshd, sshd_config
from scripts.host.errors import HostError

_BY_PAM = {"keyboard-interactive", "password"}
_BESIDE_PAM = {
    "gssapi-with-mic": "gssapiauthentication",
    "hostbased": "hostbasedauthentication",
}


def look(config: Path, service: str) -> Iterator[Finding]:
    """Look at an sshd's configuration; `service` is the PAM service that it asks."""
    objection = sshd.trouble(config)
    if objection is not None:
        text = f"sshd does not accept {config}: after the next restart nobody gets in: {objection}"
        yield broken("sshd.configuration", text, "mend the line that it names, then `sshd -t`")
        return
    everybody = list(_of(sshd.settings(config, connections.ordinary()), service))
    yield from everybody
    known = {(finding.id, finding.severity) for finding in everybody}
    for block in sshd_config.blocks(sshd_config.read(config)):
        name = f"in `Match {block.criteria}` ({block.where}): "
        try:
            found = list(_of(sshd.settings(config, connections.into(block)), service))
        except (connections.NoConnectionError, HostError) as error:
            yield info("sshd.match-unseen", f"{name}not looked at: {error}")
            continue
        new = [one for one in found if one.remedy and (one.id, one.severity) not in known]
        for one in new:
            yield Finding(one.id, one.severity, name + one.text, one.remedy)
        if not new:
            yield ok("sshd.match", f"{name}nothing walks around the second factor")


def _of(settings: sshd.Settings, service: str) -> Iterator[Finding]:
    """Look at what holds for one connection."""
    yield from _pam(settings, service)
    yield from _other_methods(settings)
    yield from _root(settings)
    if sshd.value(settings, "forcecommand") in {"", "none"}:
        yield risk(
            "sshd.shell",
            "who gets in with an access token gets a shell, not only SFTP",
            "if tokens are for SFTP only: `ForceCommand internal-sftp` for their users (a block in "
            "the drop-in shows how); if shells are meant: `--accept sshd.shell`",
        )
    else:
        yield ok("sshd.shell", "who gets in cannot run commands of their own")


def _pam(settings: sshd.Settings, service: str) -> Iterator[Finding]:
    if sshd.value(settings, "usepam") == "no":
        yield broken(
            "sshd.use-pam",
            "sshd does not use PAM: it checks passwords by itself and never asks for a code",
            "`UsePAM yes`, before the line that says no",
        )
        return
    yield ok("sshd.use-pam", "sshd uses PAM")
    if sshd.value(settings, "kbdinteractiveauthentication") == "no":
        yield broken(
            "sshd.keyboard-interactive",
            "sshd cannot ask for a code: who has adopted MFA does not get in by password and code",
            "`KbdInteractiveAuthentication yes`, before the line that says no",
        )
    else:
        yield ok("sshd.keyboard-interactive", "sshd can ask for password and code")
    asked = sshd.pam_service(settings, service)
    if not stack.asks_for_code(asked):
        yield broken(
            "sshd.pam-service",
            f"sshd asks the PAM service {asked}, which never asks for a code",
            "`sftp-mfa install`",
        )
    else:
        yield ok("sshd.pam-service", f"sshd asks the PAM service {asked}, which asks for codes")


def _other_methods(settings: sshd.Settings) -> Iterator[Finding]:
    lists = _method_lists(settings)
    for method, keyword in _BESIDE_PAM.items():
        if sshd.value(settings, keyword) == "yes" and _lets_in_alone(lists, method):
            yield risk(
                f"sshd.{method}",
                f"{method} lets in without password and code",
                f"turn it off ({keyword} no), or demand more with AuthenticationMethods",
            )
    if sshd.value(settings, "kerberosauthentication") == "yes":
        yield risk(
            "sshd.kerberos",
            "sshd checks passwords with Kerberos by itself, and asks for no code then",
            "`KerberosAuthentication no`; pam_krb5 does the same within PAM",
        )
    if sshd.value(settings, "permitemptypasswords") == "yes":
        yield risk(
            "sshd.empty-passwords",
            "an account without a password gets in with nothing at all",
            "`PermitEmptyPasswords no`",
        )
    if any(one == ("none",) for one in lists):
        yield risk(
            "sshd.no-method",
            "AuthenticationMethods has `none`: whom sshd lets in so is asked nothing",
            "take `none` out of it",
        )
    if sshd.value(settings, "pubkeyauthentication") == "yes" and _lets_in_alone(lists, "publickey"):
        yield info(
            "sshd.public-keys",
            "a public key lets in by itself, as designed: a key is a factor of its own; barred "
            "accounts stay out",
            "to ask for password and code as well, see AuthenticationMethods in the drop-in",
        )


def _root(settings: sshd.Settings) -> Iterator[Finding]:
    if sshd.value(settings, "permitrootlogin") == "yes":
        yield risk(
            "sshd.root",
            "root may log in with a password",
            "`PermitRootLogin prohibit-password`, or `no`",
        )
    else:
        yield ok("sshd.root", "root does not log in with a password")


def _method_lists(settings: sshd.Settings) -> list[tuple[str, ...]]:
    """Give the lists of AuthenticationMethods; empty: any method will do."""
    value = sshd.value(settings, "authenticationmethods")
    if value in {"", "any"}:
        return []
    return [tuple(name.partition(":")[0] for name in one.split(",")) for one in value.split()]


def _lets_in_alone(lists: list[tuple[str, ...]], method: str) -> bool:
    """Tell whether a method lets in without anything that PAM asks."""
    return not lists or any(method in one and not _BY_PAM & set(one) for one in lists)
