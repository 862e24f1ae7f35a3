"""What shells and man(1) read: completion, man pages; and how much a command loads."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from harness.sandbox import checkout, command, place

from scripts.admin.main import main as admin
from scripts.operate import main as operate
from scripts.transfer.command import cli as transfer

PROGRAM = "sftp-mfa-admin"
LISTS = {"list-audit-events", "list-auth-factor-access-token", "list-auth-factor-totp"}
HEAVY = {
    "alembic",
    "asyncio",
    "asyncssh",
    "cryptography",
    "granian",
    "keyring",
    "pam",
    "pamela",
    "psycopg",
    "qrcode",
    "sqlalchemy",
    "tqdm",
    "urllib3",
}


@pytest.fixture
def environment() -> dict[str, str]:
    """Have the program on the PATH."""
    return {**os.environ, "TERM": "dumb", "HOME": "/nonexistent", "PS1": "READY> "}


def complete_in_bash(words: str, environment: dict[str, str]) -> set[str]:
    """Ask bash what it would offer."""
    script = f"""
        source <({PROGRAM} completion bash)
        COMP_WORDS=({PROGRAM} {words}); COMP_CWORD={len(words.split())}
        _sftp_mfa_admin_completion {PROGRAM}; printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p {PROGRAM} >/dev/null
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def complete_in_fish(words: str, environment: dict[str, str]) -> set[str]:
    """Ask fish."""
    script = f"{PROGRAM} completion fish | source; complete --do-complete '{PROGRAM} {words}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env={**environment, "HOME": str(place())},
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.split("\t")[0] for line in done.stdout.splitlines()}


def complete_in_zsh(words: str, environment: dict[str, str]) -> set[str]:
    """Press the tabulator in zsh."""
    child = pexpect.spawn(
        "zsh", ["-f", "-i"], env=environment, encoding="utf-8", timeout=30, dimensions=(60, 200)
    )
    child.expect("READY> ")
    child.sendline("autoload -U compinit; compinit -D -u; setopt nolistbeep; LISTMAX=0")
    child.expect("READY> ")
    child.sendline(f"source <({PROGRAM} completion zsh); echo so''urced")
    child.expect("sourced")
    child.expect("READY> ")
    child.send(f"{PROGRAM} {words}\t\t")
    child.expect(["list-auth-factor-totp.*list", pexpect.TIMEOUT], timeout=20)
    shown = f"{child.before}{child.after}"
    child.close(force=True)
    return set(re.findall(r"list-[a-z-]+[a-z]", shown))


@pytest.mark.parametrize("complete", [complete_in_bash, complete_in_fish, complete_in_zsh])
def test_a_shell_completes_commands(complete: object, environment: dict[str, str]) -> None:
    """The real one, with the script that the program prints."""
    offered = complete("list-au", environment)  # type: ignore[operator]
    assert offered >= LISTS
    assert "bar-user" not in offered


def test_options_and_choices_are_completed_too(environment: dict[str, str]) -> None:
    """Each command has its own."""
    assert "--from-file" in complete_in_bash("unlock-user --f", environment)
    assert complete_in_bash("add-auth-factor-access-token --scope s", environment) == {"sftp"}


@pytest.fixture(scope="module")
def man_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write them as a build of a package would."""
    folder = tmp_path_factory.mktemp("man")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    wheels = Path(os.environ["SFTP_MFA_WHEELS"]) / version
    packages = folder / "packages"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "-qq", "install", "--no-deps", "--no-index"),
            *("--target", packages, *wheels.glob("click_man-*.whl")),
        ],
        check=True,
    )
    environment = {**os.environ, "PYTHONPATH": str(packages), "SOURCE_DATE_EPOCH": "1767225600"}
    script = checkout() / "scripts" / "man-pages"
    subprocess.run([str(script), str(folder / "man1")], env=environment, check=True)
    return folder / "man1"


def test_every_command_has_a_man_page(man_pages: Path) -> None:
    """Of all programs, each with its examples, in what groff takes without a warning."""
    wanted = {f"{PROGRAM}-{name}.1" for name in admin.commands} | {f"{PROGRAM}.1"}
    wanted |= {f"sftp-mfa-{name}.1" for name in operate.commands} | {"sftp-mfa.1"}
    wanted |= {f"sftp-mfa-cli-{name}.1" for name in transfer.commands} | {"sftp-mfa-cli.1"}
    assert wanted <= {page.name for page in man_pages.iterdir()}
    for page in sorted(man_pages.iterdir()):
        text = page.read_text()
        assert '"2026-01-01"' in text, page.name
        assert "\b" not in text, page.name
        shown = subprocess.run(
            ["groff", "-ww", "-man", "-Tutf8", "-P-c", str(page)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stderr == "", page.name
    bar = subprocess.run(
        [
            "groff",
            "-man",
            "-Tascii",
            "-P-c",
            "-P-b",
            "-P-u",
            str(man_pages / f"{PROGRAM}-bar-user.1"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"\n         {PROGRAM} bar-user mallory\n" in bar
    assert "Keep an account out on every way in" in bar


def loaded(*arguments: str) -> Iterator[str]:
    """Give the packages that a command has loaded by its end."""
    script = (
        "import sys, json, atexit; sys.argv[0] = 'x'\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "from scripts.admin.main import main; main()"
    )
    done = subprocess.run(
        [str(Path(command(PROGRAM)).parent / "python"), "-P", "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return iter({name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])})


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], *([name, "--help"] for name in admin.commands)],
    ids=" ".join,
)
def test_help_loads_nothing_large(arguments: list[str]) -> None:
    """Neither the store nor the network, so that help and completion come at once."""
    assert set(loaded(*arguments)) & HEAVY == set()
