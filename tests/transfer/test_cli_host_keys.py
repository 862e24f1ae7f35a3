"""A server proves who it is before anything is said to it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.accounts import Account
from harness.sshd import Sshd
from hosts import Host, Hosts
from traveller import Traveller


@pytest.fixture
def token(host: Host, account: Account) -> str:
    """Make a token."""
    return host.installation.issue_token(account.name).text()


def other_key(folder: Path) -> str:
    """Make the public key of some other host."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "other"], check=True
    )
    return " ".join((folder / "other.pub").read_text().split()[:2])


def say_nothing_to(host: Host, account: Account) -> None:
    """Require that no login was even begun."""
    assert host.installation.reasons(account.name) == []


def test_unknown_host_is_refused_without_a_terminal(
    host: Host, account: Account, traveller: Traveller, token: str
) -> None:
    """The line has the fingerprint; the token stays here."""
    traveller.known_hosts.write_text("")
    seen = traveller.run("ls", traveller.server, SFTP_MFA_TOKEN=token)
    assert seen.code == 4
    assert host.sshd.fingerprint in seen.error
    say_nothing_to(host, account)
    assert traveller.known_hosts.read_text() == ""


@pytest.mark.parametrize("hashed", ["yes", "no"])
def test_unknown_host_is_known_once_it_was_confirmed(
    host: Host, account: Account, traveller: Traveller, token: str, hashed: str
) -> None:
    """The fingerprint is shown, `yes` is asked for, and OpenSSH finds the entry written."""
    traveller.known_hosts.write_text("other.example ssh-ed25519 AAAA")  # no newline at its end
    traveller.config.write_text(
        f"HashKnownHosts {hashed}\nUserKnownHostsFile {traveller.known_hosts}\n"
    )
    seen = traveller.type("ls", traveller.server, answers=["maybe", "yes", account.password])
    assert seen.code == 0, seen.screen
    assert host.sshd.fingerprint in seen.screen
    assert len(seen.prompts) == 3
    place = f"[{host.sshd.host}]:{host.sshd.port}"
    found = subprocess.run(
        ["ssh-keygen", "-F", place, "-f", traveller.known_hosts], capture_output=True, check=False
    )
    assert found.returncode == 0
    assert (place in traveller.known_hosts.read_text()) == (hashed == "no")
    assert traveller.run("ls", traveller.server, SFTP_MFA_TOKEN=token).code == 0


def test_unknown_host_that_is_not_confirmed(
    host: Host, account: Account, traveller: Traveller
) -> None:
    """After `no` nothing was sent, and nothing is written."""
    traveller.known_hosts.write_text("")
    seen = traveller.type("ls", traveller.server, answers=["no"])
    assert seen.code == 4
    say_nothing_to(host, account)
    assert traveller.known_hosts.read_text() == ""


def test_changed_key_is_always_refused(
    host: Host, account: Account, traveller: Traveller, tmp_path: Path
) -> None:
    """Nothing is asked, not even at a terminal; the line says how to mend it."""
    place = f"[{host.sshd.host}]:{host.sshd.port}"
    traveller.known_hosts.write_text(f"{place} {other_key(tmp_path)}\n")
    seen = traveller.type("ls", traveller.server)
    assert (seen.code, seen.prompts) == (4, ())
    assert f"ssh-keygen -R '{place}'" in seen.error
    say_nothing_to(host, account)


def test_key_of_another_type_is_a_changed_key(
    host: Host, account: Account, traveller: Traveller, tmp_path: Path
) -> None:
    """A server that is known by another type of key is not asked about, but refused."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "other"], check=True
    )
    public = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    traveller.known_hosts.write_text(f"[{host.sshd.host}]:{host.sshd.port} {public}\n")
    seen = traveller.type("ls", traveller.server)
    assert (seen.code, seen.prompts) == (4, ())
    say_nothing_to(host, account)


def hashed(sshd: Sshd, folder: Path) -> str:
    """Hide the host's name."""
    file = folder / "hashed"
    file.write_text(sshd.known_hosts.read_text())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, stderr=subprocess.DEVNULL)
    return file.read_text()


def pattern(sshd: Sshd, _folder: Path) -> str:
    """Name many hosts at once."""
    return f"!*.example,[127.0.0.*]:{sshd.port} {sshd.public_key}\n"


def without_port(sshd: Sshd, _folder: Path) -> str:
    """Name the host without the port."""
    return f"{sshd.host} {sshd.public_key}\n"


def after_nonsense(sshd: Sshd, _folder: Path) -> str:
    """Have lines that nobody understands before it."""
    return f"# a comment\n\nhost.example ssh-future AAAA\n{without_port(sshd, _folder)}"


@pytest.mark.parametrize("entry", [hashed, pattern, without_port, after_nonsense])
def test_entry_is_found(
    host: Host,
    traveller: Traveller,
    token: str,
    tmp_path: Path,
    entry: Callable[[Sshd, Path], str],
) -> None:
    """Entries in all of OpenSSH's forms count."""
    traveller.known_hosts.write_text(entry(host.sshd, tmp_path))
    seen = traveller.run("ls", traveller.server, SFTP_MFA_TOKEN=token)
    assert seen.code == 0, seen.screen


@pytest.mark.parametrize("place", ["*", "[127.0.0.1]:{port}", "127.0.0.1"])
def test_revoked_key_is_refused(
    host: Host, account: Account, traveller: Traveller, token: str, place: str
) -> None:
    """@revoked wins over an entry that trusts, whatever port it names."""
    line = f"@revoked {place.format(port=host.sshd.port)} {host.sshd.public_key}\n"
    for text in (line, line + without_port(host.sshd, Path()), line + pattern(host.sshd, Path())):
        traveller.known_hosts.write_text(text)
        seen = traveller.run("ls", traveller.server, SFTP_MFA_TOKEN=token)
        assert (seen.code, "revoked" in seen.error) == (4, True), seen.screen
    say_nothing_to(host, account)


def certified(folder: Path, principal: str) -> tuple[list[str], str]:
    """Make a host certificate; return sshd's lines and the authority's public key."""
    folder.mkdir()
    for name in ("authority", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    subprocess.run(
        [
            *("ssh-keygen", "-q", "-s", folder / "authority"),
            *("-I", "host", "-h", "-n", principal, folder / "key.pub"),
        ],
        check=True,
    )
    lines = [f"HostKey {folder / 'key'}", f"HostCertificate {folder / 'key-cert.pub'}"]
    return lines, " ".join((folder / "authority.pub").read_text().split()[:2])


@pytest.mark.parametrize(("principal", "code"), [("127.0.0.1", 0), ("other.example", 4)])
def test_certificate_of_a_known_authority(
    hosts: Hosts, account: Account, tmp_path: Path, principal: str, code: int
) -> None:
    """@cert-authority lets in the hosts that it names, and no others."""
    lines, authority = certified(tmp_path / "keys", principal)
    host = hosts.make(sshd={"config": lines})
    traveller = Traveller(tmp_path / "home", host.sshd, account.name)
    traveller.known_hosts.write_text(f"@cert-authority [127.0.0.1]:* {authority}\n")
    token = host.installation.issue_token(account.name).text()
    seen = traveller.run("ls", traveller.server, SFTP_MFA_TOKEN=token)
    assert seen.code == code, seen.screen


def test_certificate_of_an_unknown_authority(
    hosts: Hosts, account: Account, tmp_path: Path
) -> None:
    """The plain key is shown then, as for any host that is not known."""
    lines, _ = certified(tmp_path / "keys", "127.0.0.1")
    host = hosts.make(sshd={"config": lines})
    traveller = Traveller(tmp_path / "home", host.sshd, account.name)
    traveller.known_hosts.write_text("")
    seen = traveller.type("ls", traveller.server, answers=["yes", account.password])
    assert seen.code == 0, seen.screen


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("StrictHostKeyChecking yes", 4),
        ("StrictHostKeyChecking no", 4),
        ("StrictHostKeyChecking accept-new", 0),
        ("RevokedHostKeys /dev/null", 4),
        ("UserKnownHostsFile none", 4),
    ],
)
def test_policy_of_the_configuration(
    traveller: Traveller, token: str, line: str, code: int
) -> None:
    """What is stricter is kept, what is laxer than asking is not; `none` is no blank cheque."""
    traveller.known_hosts.write_text("")
    traveller.config.write_text(f"{line}\nUserKnownHostsFile {traveller.known_hosts}\n")
    assert traveller.run("ls", traveller.server, SFTP_MFA_TOKEN=token).code == code


def test_confirmed_key_that_cannot_be_kept(account: Account, traveller: Traveller) -> None:
    """With /dev/null as known_hosts it is good for this once."""
    traveller.config.write_text("UserKnownHostsFile /dev/null\n")
    seen = traveller.type("ls", traveller.server, answers=["yes", account.password])
    assert seen.code == 0, seen.screen


def test_alias_of_the_host_key(host: Host, traveller: Traveller, token: str) -> None:
    """HostKeyAlias is what the host is looked up as."""
    traveller.known_hosts.write_text(f"archive {host.sshd.public_key}\n")
    traveller.config.write_text(
        f"HostKeyAlias archive\nUserKnownHostsFile {traveller.known_hosts}\n"
    )
    assert traveller.run("ls", traveller.server, SFTP_MFA_TOKEN=token).code == 0
