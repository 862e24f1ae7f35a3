"""`sftp-mfa doctor` on whole Debian systems: what it says of a good one, and of each weakness."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import installed_host
from harness.installed_host import Host
from harness.waiting import until

pytestmark = pytest.mark.timeout(300)  # a whole system, and several logins

DROP_INS = "/etc/ssh/sshd_config.d"
PAM = "/etc/pam.d"
FINE, RISK, BROKEN = 0, 1, 3
# What a throw-away system cannot have otherwise: its clock is the machine's.
_MEANT = ("clock", "sshd.shell", "break-glass")


@pytest.mark.parametrize("suite", installed_host.PYTHONS)
def test_doctor(suite: str, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """A good machine, and each weakness on it: one installation serves for all of it."""
    with installed_host.host(suite, tmp_path) as host:
        host.start_helper()
        done = host.install()
        assert done.returncode == 0, done.stderr
        good_machine_has_no_risk(host)
        for look in (
            person_reads_words,
            second_sshd_without_our_stack_is_told,
            settings_of_a_command_line_are_told,
            certificate_that_ends_is_told,
            break_glass_member_with_a_key_is_named,
        ):
            if suite == "trixie":  # the same on each
                with subtests.test(look.__name__):
                    look(host)
        for name in GROUPS if suite == "trixie" else ("ways around", "blocks"):
            with subtests.test(name):
                weaknesses_are_told(host, GROUPS[name])


def examine(host: Host) -> tuple[int, dict[str, str], str]:
    """Run it; give its exit code, the worst severity of each finding, and all texts."""
    accepted = [f"--accept={name}" for name in _MEANT]
    done = host.sftp_mfa("doctor", "--json", *accepted)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    order = ["ok", "info", "risk", "broken"]
    found: dict[str, str] = {}
    for one in report["findings"]:
        if not one["accepted"]:
            before = found.get(one["id"], "ok")
            found[one["id"]] = max(before, one["severity"], key=order.index)
    texts = "\n".join(f"{one['id']}: {one['text']}" for one in report["findings"])
    assert report["status"] == max(found.values(), key=order.index)
    return done.returncode, found, texts


def examined_beside(host: Host, another: list[str]) -> tuple[int, dict[str, str], str]:
    """Run it beside another sshd."""
    host.start("other", another)
    try:
        until(lambda: "listening" in host.log("other"), "the other sshd")
        return examine(host)
    finally:
        host.stop("other")


def good_machine_has_no_risk(installed: Host) -> None:
    """Nothing is a risk once the operator has accepted what is meant; public keys are explained."""
    code, found, texts = examine(installed)
    assert code == FINE, texts
    assert set(found.values()) == {"ok", "info"}
    assert found["sshd.public-keys"] == "info"
    for name in ("config", "store", "module", "helper", "files", "pam.lines", "pam.account"):
        assert found[name] == "ok", texts


def person_reads_words(installed: Host) -> None:
    """Each line says how bad it is, each risk what to do, and the exit code is that of a risk."""
    done = installed.sftp_mfa("doctor")
    assert done.returncode == RISK
    risk = "risk      who gets in with an access token gets a shell, not only SFTP  [sshd.shell]\n"
    assert risk in done.stdout
    assert done.stdout.partition(risk)[2].startswith("          → ")
    assert "nobody is in the group sftp-mfa-breakglass" in done.stdout


@dataclass(frozen=True)
class Weakness:
    """Something done to a machine, and what is said of it."""

    script: str
    finding: str
    severity: str = "risk"
    said: str = ""


_STACK = f"stack=$([ -e {PAM}/sftp-mfa ] && echo {PAM}/sftp-mfa || echo {PAM}/sshd)"


def _set(lines: str, name: str = "10-other") -> str:
    return f"printf '{lines}\\n' >{DROP_INS}/{name}.conf"


GROUPS = {
    "methods": [
        Weakness(_set("GSSAPIAuthentication yes"), "sshd.gssapi-with-mic"),
        Weakness(_set("HostbasedAuthentication yes", "11-other"), "sshd.hostbased"),
        Weakness(_set("PermitEmptyPasswords yes", "12-other"), "sshd.empty-passwords"),
        Weakness(_set("PermitRootLogin yes", "13-other"), "sshd.root"),
        Weakness(f"echo '@include common-auth' >{PAM}/vsftpd", "pam.other.vsftpd"),
        Weakness(
            f"{_STACK}; sed -i '1i account [success=3 default=ignore] pam_rootok.so' $stack",
            "pam.account-around",
        ),
    ],
    "blocks": [
        Weakness(
            _set("Match Group staff-x\\n HostbasedAuthentication yes", "70-other")
            + "; groupadd staff-x; useradd -G staff-x member",
            "sshd.hostbased",
            said="in `Match Group staff-x`",
        ),
        Weakness(
            _set("Match Address 10.0.0.0/8,!10.0.0.0/31 User *\\n PermitRootLogin yes", "71-other"),
            "sshd.root",
            said="in `Match Address 10.0.0.0/8",
        ),
        Weakness(
            "echo PermitEmptyPasswords yes >/etc/ssh/inner; "
            + _set("Match User bin\\n Include /etc/ssh/inner", "72-other"),
            "sshd.empty-passwords",
            said="in `Match User bin`",
        ),
        Weakness(
            "groupadd empty-x; " + _set("Match Group empty-x\\n PermitRootLogin yes", "73-other"),
            "sshd.match-unseen",
            "info",
        ),
    ],
    "no PAM": [
        Weakness(_set("UsePAM no"), "sshd.use-pam", "broken"),
        Weakness("rm /etc/sftp-mfa/store.keys", "store", "broken"),
        Weakness(f"rm {PAM}/sftp-mfa-web", "files.missing", "broken"),
        Weakness("chmod o+w /usr/lib/*/security/pam_sftp_mfa.so", "module"),
        Weakness("chmod o+rx /var/lib/sftp-mfa", "open.sftp-mfa"),
    ],
    "ways around": [
        Weakness(f"{_STACK}; sed -i '1i auth sufficient pam_rootok.so' $stack", "pam.around"),
        Weakness(
            f"{_STACK}; sed -i 's/^auth .*so code/auth optional pam_sftp_mfa.so code/' $stack",
            "pam.code",
        ),
        Weakness(f"{_STACK}; sed -i '/^account.*mfa.so/d' $stack", "pam.account"),
        Weakness(f"echo >{PAM}/sftp-mfa-gate", "pam.gate", "broken"),
        Weakness(f"echo '# more' >>{PAM}/sftp-mfa-refused", "files.changed"),
        Weakness("chmod o+rw /run/sftp-mfa/pam.sock", "helper.socket"),
        Weakness(_set("KbdInteractiveAuthentication no"), "sshd.keyboard-interactive", "broken"),
    ],
    "a jump": [
        Weakness(
            f"{_STACK}; sed -i '1i auth [success=4 default=ignore] pam_rootok.so' $stack",
            "pam.around",
        ),
        Weakness(
            f"{_STACK}; sed -i 's/^auth .*so code/auth [success=ignore auth_err=ignore default=die]"
            " pam_sftp_mfa.so code/' $stack",
            "pam.code",
        ),
        Weakness(
            f"{_STACK}; sed -i 's/^account .*mfa.so/account optional pam_sftp_mfa.so/' $stack",
            "pam.account",
        ),
        Weakness("chmod o+r /etc/sftp-mfa/store.keys", "open.store.keys"),
    ],
    "nothing works": [
        Weakness(_set("NoSuchKeyword 1"), "sshd.configuration", "broken", "10-other.conf"),
        Weakness(f"{_STACK}; sed -i '/so code/d' $stack", "pam.lines", "broken"),
        Weakness("rm /usr/lib/*/security/pam_sftp_mfa.so", "module", "broken"),
        Weakness("rm /run/sftp-mfa/pam.sock", "helper", "broken"),
    ],
    "wrong configuration": [
        Weakness("echo 'nonsense = 1' >>/etc/sftp-mfa/config.toml", "config", "broken", "nonsense"),
    ],
    "open configuration": [
        Weakness("chmod o+w /etc/sftp-mfa/config.toml", "config", "broken", "writable"),
    ],
}

_KEEP = """
rm -rf /root/kept; mkdir /root/kept
cp -a /etc /var/lib/sftp-mfa /root/kept
mkdir /root/kept/security; cp -a /usr/lib/*/security/pam_sftp_mfa.so /root/kept/security
ln /run/sftp-mfa/pam.sock /run/sftp-mfa/kept
"""
_BACK = """
find /etc -mindepth 1 -maxdepth 1 ! -name hosts ! -name hostname -exec rm -rf {} +
cp -a /root/kept/etc/. /etc/
chmod --reference=/root/kept/sftp-mfa /var/lib/sftp-mfa
cp -a /root/kept/security/. "$(dirname /usr/lib/*/security/pam_unix.so)"
mv -f /run/sftp-mfa/kept /run/sftp-mfa/pam.sock 2>/dev/null || :
rm -f /run/sftp-mfa/kept; chmod 600 /run/sftp-mfa/pam.sock
"""


def weaknesses_are_told(installed: Host, weaknesses: list[Weakness]) -> None:
    """Each is found, with its severity, its place and an exit code for monitoring."""
    installed.root.shell(_KEEP)
    try:
        for weakness in weaknesses:
            installed.root.shell(weakness.script)
        code, found, texts = examine(installed)
    finally:
        installed.root.shell(_BACK)
    for weakness in weaknesses:
        assert found.get(weakness.finding) == weakness.severity, texts
        assert weakness.said in texts
    assert code == (BROKEN if "broken" in found.values() else RISK), texts


def second_sshd_without_our_stack_is_told(installed: Host) -> None:
    """With its configuration and its port."""
    installed.root.write("/root/other", "Port 2200\nUsePAM yes\nPasswordAuthentication yes\n")
    installed.root.run("ln", "-sf", "/usr/sbin/sshd", "/root/other-sshd")
    argv = ["/root/other-sshd", "-D", "-e", "-f", "/root/other"]
    code, found, texts = examined_beside(installed, argv)
    assert (code, found["sshd.other"]) == (RISK, "risk")
    assert "/root/other, port 2200" in texts


def settings_of_a_command_line_are_told(installed: Host) -> None:
    """They win against the file, which has all that it must."""
    options = ["-p", "2201", "-o", "PidFile none", "-oUsePAM=no"]
    code, found, texts = examined_beside(installed, ["/usr/sbin/sshd", "-D", "-e", *options])
    assert (code, found["sshd.other"]) == (RISK, "risk")
    assert "/etc/ssh/sshd_config -o PidFile none -o UsePAM=no, port 2201" in texts


def certificate_that_ends_is_told(installed: Host) -> None:
    """Soon it is a risk, afterwards it is broken."""
    certificate = "/etc/sftp-mfa/web.pem"
    installed.root.shell(_KEEP)
    try:
        config = installed.root.read(installed.config)
        named = config.replace('certificate = ""', f'certificate = "{certificate}"')
        installed.root.write(installed.config, named)
        for days, severity, code in ((7, "risk", RISK), (-1, "broken", BROKEN), (90, "ok", FINE)):
            installed.root.write(certificate, _certificate(days))
            ended, found, texts = examine(installed)
            assert (ended, found["certificate"]) == (code, severity), texts
    finally:
        installed.root.shell(_BACK)


def break_glass_member_with_a_key_is_named(installed: Host) -> None:
    """Somebody in the group, with a key, is what the operator wants."""
    root = installed.root
    root.shell(_KEEP)
    try:
        root.shell("useradd -m -G sftp-mfa-breakglass olga; mkdir ~olga/.ssh")
        report = json.loads(installed.sftp_mfa("doctor", "--json").stdout)
        assert _one(report, "break-glass")["severity"] == "risk"
        root.shell("echo key >~olga/.ssh/authorized_keys")
        report = json.loads(installed.sftp_mfa("doctor", "--json").stdout)
        assert _one(report, "break-glass")["severity"] == "ok"
        assert "olga" in _one(report, "break-glass")["text"]
    finally:
        root.shell("userdel -r olga || :")
        root.shell(_BACK)


def _one(report: dict[str, list[dict[str, str]]], name: str) -> dict[str, str]:
    (found,) = [one for one in report["findings"] if one["id"] == name]
    return found


def _certificate(days: int) -> str:
    """Make one that ends in so many days."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sftp.example")])
    end = datetime.now(UTC) + timedelta(days=days, hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=100))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()
