"""The drop-in for sshd_config.d: what it changes, and that it changes nothing else."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from harness import pam
from harness.accounts import Accounts
from harness.clients import OpenSsh
from harness.pam import PamServices
from harness.sandbox import checkout
from harness.sshd import DROP_IN, StartSshd, version

AS_DISTRIBUTED = Path("/usr/share/openssh/sshd_config")
WHO = "user={},host=client.example,addr=192.0.2.1"


class Machine:
    """A folder like /etc/ssh, with the configuration that the distribution ships."""

    def __init__(self, folder: Path, main: str | None = None) -> None:
        """Make it."""
        self._drop_ins = folder / "sshd_config.d"
        self._drop_ins.mkdir()
        self._main = folder / "sshd_config"
        text = AS_DISTRIBUTED.read_text() if main is None else main
        self._main.write_text(text.replace("/etc/ssh/sshd_config.d", str(self._drop_ins)))
        self._key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key], check=True)

    def add(self, text: str, name: str = DROP_IN) -> None:
        """Put a file into sshd_config.d."""
        (self._drop_ins / name).write_text(text)

    def accepts(self) -> bool:
        """Tell whether `sshd -t` is content."""
        return self._sshd("-t").returncode == 0

    def settings(self, user: str = "nobody") -> dict[str, str]:
        """Return what holds for a user, as `sshd -T` shows it."""
        shown = self._sshd("-T", "-C", WHO.format(user))
        assert shown.returncode == 0, shown.stderr
        lines = (line.partition(" ") for line in shown.stdout.splitlines())
        return {name: value for name, _, value in lines}

    def _sshd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = ["/usr/sbin/sshd", *arguments, "-f", str(self._main), "-h", str(self._key)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)


def shipped() -> str:
    """Return the drop-in."""
    return (checkout() / "sshd_config" / DROP_IN).read_text()


def with_choice(first: str) -> str:
    """Return the drop-in with the choice that begins with a word: its lines, down to a blank."""
    before, mark, after = shipped().partition(f"\n#{first}")
    assert mark, first
    lines, blank, rest = (mark + after).partition("\n\n")
    return before + lines.replace("\n#", "\n") + blank + rest


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return what is not the same."""
    return {
        name: (before.get(name, ""), after.get(name, ""))
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Make a machine as the distribution ships it."""
    return Machine(tmp_path)


def test_it_turns_on_keyboard_interactive_and_nothing_else(machine: Machine) -> None:
    """On this distribution one setting changes."""
    before = machine.settings()
    machine.add(shipped())
    assert changes(before, machine.settings()) == {"kbdinteractiveauthentication": ("no", "yes")}


def test_nothing_is_weaker_than_openssh_has_it_by_default(tmp_path: Path) -> None:
    """Beside OpenSSH's own defaults only PAM comes in."""
    machine = Machine(tmp_path, main="Include /etc/ssh/sshd_config.d/*.conf\n")
    before = machine.settings()
    machine.add(shipped())
    assert changes(before, machine.settings()) == {"usepam": ("no", "yes")}


def test_a_file_before_it_wins(machine: Machine) -> None:
    """The first value read holds, as the comment at its top warns."""
    machine.add(shipped())
    machine.add("KbdInteractiveAuthentication no\n", "10-other.conf")
    assert machine.settings()["kbdinteractiveauthentication"] == "no"


def test_a_file_after_it_does_not(machine: Machine) -> None:
    """Neither does sshd_config itself, which says no on Debian."""
    machine.add(shipped())
    machine.add("KbdInteractiveAuthentication no\n", "60-other.conf")
    assert machine.settings()["kbdinteractiveauthentication"] == "yes"


def test_members_of_the_sftp_group_can_only_transfer_files(
    machine: Machine, accounts: Accounts
) -> None:
    """The commented choice, once it is made, holds for the group and for nobody else."""
    member = accounts.make(groups=["sftp-only"])
    machine.add(shipped())
    before = machine.settings(member.name)
    machine.add(with_choice("Match Group"))
    assert changes(before, machine.settings(member.name)) == {
        "forcecommand": ("none", "internal-sftp"),
        "chrootdirectory": ("none", "/srv/sftp/%u"),
        "disableforwarding": ("no", "yes"),
        "permittty": ("yes", "no"),
        "permituserrc": ("yes", "no"),
    }
    assert machine.settings() == before


def test_block_swallows_no_line_below_it(machine: Machine) -> None:
    """What is added at the end of the file holds for everybody."""
    machine.add(with_choice("Match Group") + "MaxAuthTries 3\n")
    assert machine.settings()["maxauthtries"] == "3"


def test_member_of_the_sftp_group_moves_a_file_in_a_folder_of_their_own(
    accounts: Accounts, pam_services: PamServices, start_sshd: StartSshd, openssh: OpenSsh
) -> None:
    """A real login ends in the user's own folder, and the file is there."""
    member = accounts.make(groups=["sftp-only"])
    own = Path("/srv/sftp") / member.name
    inside = own / member.home.relative_to("/")
    inside.mkdir(parents=True)
    inside.chmod(0o777)
    block = with_choice("Match Group").partition("\nMatch Group")[2]
    sshd = start_sshd(pam_services.install(pam.MACHINE_ONLY), blocks=[f"Match Group{block}"])
    outcome = openssh.login(sshd, member.name, [member.password])
    assert outcome.ok, outcome.output
    assert list(inside.glob("file-*"))
    assert not list(member.home.glob("file-*"))


def test_public_keys_can_be_made_to_need_password_and_code_too(machine: Machine) -> None:
    """The commented choice names what PAM asks, besides a key and without one."""
    machine.add(with_choice("AuthenticationMethods"))
    assert machine.settings()["authenticationmethods"] == (
        "publickey,keyboard-interactive:pam keyboard-interactive:pam password"
    )


def test_service_name_is_a_choice_where_openssh_knows_it(machine: Machine) -> None:
    """Before 9.8 the keyword is an error, so it is commented out."""
    machine.add(with_choice("PAMServiceName"))
    assert machine.accepts() is (version() >= (9, 8))
