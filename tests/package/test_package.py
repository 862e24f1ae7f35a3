"""The Debian package on clean systems: it comes, is upgraded and goes without a trace."""

import json
from collections.abc import Iterator

import pytest
from harness import packages, roots
from harness.roots import Root

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# What every package leaves: dpkg's own books, what it and useradd keep of the step before, the
# compiled cache of the linker, and the log of what was done.
_BOOKS = (
    r"/var/lib/dpkg/|/var/log/|/var/cache/|/etc/(passwd|group|shadow|gshadow)-?|/etc/ld.so.cache"
)
_LIST = f"""
find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \\) -prune \\
    -o -printf '%y %m %U:%G %p -> %l\\n' | grep -vE ' ({_BOOKS})' | sort
find /etc -xdev -type f -exec sha256sum {{}} + | grep -vE '  ({_BOOKS})' | sort
ls -A /run
"""


@pytest.fixture(params=roots.SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Run the test on each system."""
    return str(request.param)


@pytest.fixture
def clean(suite: str) -> Iterator[Root]:
    """Run a clean system without a service manager, as an image is made."""
    package, following = packages.built(suite), packages.following(suite)
    with roots.debian(suite, network=True, shared=[package.parent, following.parent]) as root:
        yield root


@pytest.fixture
def root(suite: str) -> Iterator[Root]:
    """Run such a system that has the package."""
    shared = [packages.following(suite).parent]
    with roots.debian(suite, network=True, shared=shared, below=packages.disk(suite)) as root:
        yield root


def configure(root: Root) -> None:
    """Do what an operator does before `sftp-mfa install`, by hand."""
    root.run("cp", "/usr/share/sftp-mfa/config.example.toml", "/etc/sftp-mfa/config.toml")
    root.run("sftp-mfa", "upgrade-store")


def test_comes_and_goes_without_a_trace(clean: Root, suite: str) -> None:
    """Installed, used, upgraded, removed and purged, it leaves all files as they were."""
    before = clean.shell(_LIST).splitlines()
    packages.install(clean, packages.built(suite))
    has_asked_nothing_and_started_nothing(clean)
    assert "User" not in clean.shell("cat /etc/pam.d/sshd /etc/ssh/sshd_config.d/* || :")
    untouched = [line for line in clean.shell(_LIST).splitlines() if "/etc/ssh" in line]
    assert untouched == [line for line in before if "/etc/ssh" in line]
    assert clean.run("sftp-mfa", "check-config", check=False).stderr == (
        "error: /etc/sftp-mfa/config.toml: No such file or directory\n"
    )
    configure(clean)
    assert "good" in clean.run("sftp-mfa", "check-config").stdout
    clean.run("sftp-mfa-admin", "list-users")
    packages.install(clean, packages.following(suite))
    assert "good" in clean.run("sftp-mfa", "check-config").stdout
    clean.run("dpkg", "--remove", "sftp-mfa")
    assert clean.path("/var/lib/sftp-mfa/store.db").exists(), "only a purge loses factors"
    assert clean.path("/etc/sftp-mfa/store.keys").exists(), "only a purge loses keys"
    assert not clean.path("/usr/lib/sftp-mfa").exists(), "something was written between the files"
    clean.run("dpkg", "--purge", "sftp-mfa")
    assert clean.shell(_LIST).splitlines() == before


def has_asked_nothing_and_started_nothing(clean: Root) -> None:
    """Nothing of it runs, and no service of it is started at boot, until it is configured."""
    assert "/sftp-mfa/bin/" not in clean.shell("ps -eo args")
    assert clean.shell("find /etc/systemd -name 'sftp-mfa*'") == ""
    assert clean.shell("stat -c '%U:%G %a' /run/sftp-mfa /var/lib/sftp-mfa") == (
        "root:root 755\nsftp-mfa:sftp-mfa 700\n"
    )
    assert clean.shell("getent group sftp-mfa-breakglass").endswith(":\n")


def test_environment_is_whole_and_its_own(root: Root) -> None:
    """It knows no place that it was built in, has no pip, and is compiled throughout."""
    place = "/usr/lib/sftp-mfa"
    built_in = root.shell(
        f"grep -rlE '/tmp/|debian/environment' {place}/bin {place}/pyvenv.cfg || :"
    )
    assert built_in == ""
    assert root.shell(f"find {place} -path '*-packages/pip' -o -path '*-packages/setuptools'") == ""
    assert root.shell(f"head -1 {place}/bin/sftp-mfa") == f"#!{place}/bin/python -IB\n"
    script = "import sys, cryptography; print(cryptography.__cached__, sys.prefix)"
    cached, prefix = root.run(f"{place}/bin/python", "-I", "-c", script).stdout.split()
    assert root.path(cached).exists()
    assert prefix == place
    root.run("dpkg", "--verify", "sftp-mfa")


_JOURNAL = "/var/backups/sftp-mfa/unfinished.json"
_CUT_OFF = json.dumps(
    {
        "config": "/etc/sftp-mfa/config.toml",
        "paths": ["/etc/pam.d/sshd"],
        "existed": ["/etc/pam.d/sshd"],
        "originals": {},
        "written": {},
    }
)


def test_is_not_removed_while_a_pam_service_needs_it(root: Root) -> None:
    """A PAM line whose module is gone lets nobody in; the operator is told which file has it.

    An installation that was cut off is undone with the removal.
    """
    root.write("/etc/pam.d/other-door", "auth required pam_sftp_mfa.so password\n")
    refused = root.run("dpkg", "--remove", "sftp-mfa", check=False)
    assert refused.returncode != 0
    assert "\n/etc/pam.d/other-door\n" in refused.stderr
    root.shell("mkdir /srv/pam; mv /etc/pam.d/other-door /srv/pam; ln -s /srv/pam/* /etc/pam.d/")
    refused = root.run("dpkg", "--remove", "sftp-mfa", check=False)
    assert refused.returncode != 0
    assert "\n/etc/pam.d/other-door\n" in refused.stderr
    root.run("sftp-mfa", "--version")
    assert root.shell("find /usr/lib -name pam_sftp_mfa.so")
    root.write("/srv/pam/other-door", "# auth required pam_sftp_mfa.so password\n")
    root.write(_JOURNAL, _CUT_OFF)
    root.path(_JOURNAL).parent.chmod(0o700)
    root.write("/etc/pam.d/.sshd.sftp-mfa-new", "of an installation that was cut off")
    root.run("dpkg", "--remove", "sftp-mfa")
    assert not root.path(_JOURNAL).exists()
    assert not root.path("/etc/pam.d/.sshd.sftp-mfa-new").exists()
    assert root.shell("find /usr/lib -name pam_sftp_mfa.so") == ""


def test_upgrade_that_the_store_cannot_follow_says_so_and_goes_on_later(
    root: Root, suite: str
) -> None:
    """What is left to do is told, and done once the store is there again."""
    configure(root)
    root.shell("mv /etc/sftp-mfa/store.keys /etc/sftp-mfa/elsewhere")
    refused = root.run("dpkg", "--install", packages.following(suite), check=False)
    assert refused.returncode != 0
    assert "store.keys is missing" in refused.stderr
    assert "dpkg --configure sftp-mfa" in refused.stderr
    root.shell("mv /etc/sftp-mfa/elsewhere /etc/sftp-mfa/store.keys")
    configured = root.run("dpkg", "--configure", "sftp-mfa").stdout
    assert f"the store now has schema {packages.NEXT_SCHEMA}" in configured


def test_shells_complete_commands_and_man_has_their_pages(root: Root) -> None:
    """They are where bash, zsh, fish and man look, and bash itself takes them."""
    share = "/usr/share"
    for program in ("sftp-mfa", "sftp-mfa-admin", "sftp-mfa-cli"):
        for_zsh = root.read(f"{share}/zsh/vendor-completions/_{program}")
        assert for_zsh.startswith(f"#compdef {program}\n")
        for_fish = root.read(f"{share}/fish/vendor_completions.d/{program}.fish")
        assert f"complete --no-files --command {program} " in for_fish
        assert root.path(f"{share}/bash-completion/completions/{program}").exists()
        assert root.path(f"{share}/man/man1/{program}.1.gz").exists()
    script = f"""
        . {share}/bash-completion/completions/sftp-mfa
        COMP_WORDS=(sftp-mfa unin) COMP_CWORD=1
        $(complete -p sftp-mfa | sed 's/.*-F \\(\\S*\\).*/\\1/') sftp-mfa unin sftp-mfa
        echo "${{COMPREPLY[@]}}"
    """
    assert root.run("bash", "-euc", script).stdout == "uninstall\n"
    assert root.path(f"{share}/man/man1/sftp-mfa-recover-install.1.gz").exists()


def test_lintian_finds_no_error() -> None:
    """Of what is ours: the wheels' thousands of files are left out, for they take a minute."""
    package = packages.built("bookworm")
    with roots.debian("bookworm-build", shared=[package.parent]) as root:
        root.run("dpkg-deb", "--raw-extract", package, "/unpacked")
        root.shell(
            "cd /unpacked; rm -r usr/lib/sftp-mfa/lib; sed -i '\\,/lib/python,d' DEBIAN/md5sums"
        )
        root.run("dpkg-deb", "--build", "/unpacked", f"/{package.name}")
        found = root.run("lintian", "--fail-on=error", f"/{package.name}", check=False)
        assert found.returncode == 0, found.stdout
