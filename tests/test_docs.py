"""The documentation names what the code has: settings, commands, audit events and reasons."""

import tomllib
from pathlib import Path

import click
import msgspec
import pytest

from scripts.admin.main import main as admin
from scripts.operate import main as operate
from store.audit import Event
from store.decisions import Reason
from store.settings import Settings

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "store" / "config.example.toml"


def settings_of(kind: type[msgspec.Struct], path: str = "") -> list[str]:
    """Name every setting, with its section."""
    names = []
    for field in msgspec.structs.fields(kind):
        name = f"{path}{field.name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            names += settings_of(field.type, f"{name}.")
        else:
            names.append(name)
    return names


def test_the_example_has_the_defaults() -> None:
    """The example file, used as it is, changes nothing."""
    assert msgspec.convert(tomllib.loads(EXAMPLE.read_text()), Settings) == Settings()


@pytest.mark.parametrize("name", settings_of(Settings))
def test_the_example_has_every_setting(name: str) -> None:
    """Every setting stands in the example under its section, if only commented out."""
    section, _, key = name.rpartition(".")
    text = EXAMPLE.read_text()
    _, found, after = text.partition(f"\n[{section}]")
    assert found, section
    lines = after.partition("\n[")[0].splitlines()
    assert any(line.removeprefix("# ").startswith(f"{key} = ") for line in lines), name


@pytest.mark.parametrize("group", [operate, admin], ids=["sftp-mfa", "sftp-mfa-admin"])
def test_every_command_is_described(group: click.Group) -> None:
    """Every command stands in the README of the commands, and its help has an example."""
    text = (ROOT / "scripts" / "README.md").read_text()
    for name, command in group.commands.items():
        assert f"`{name}" in text, name
        assert "Example" in (command.help or ""), name


@pytest.mark.parametrize("word", [*Event, *Reason])
def test_every_audit_word_is_described(word: str) -> None:
    """Every event and every reason stands in the store's README."""
    assert f"`{word}`" in (ROOT / "store" / "README.md").read_text()


@pytest.mark.parametrize("section", ["account", "address"])
def test_one_setting_leaves_the_others_at_their_defaults(section: str) -> None:
    """A section that names one setting changes that one only."""
    given = {"password_throttle": {section: {"max_hours": 2}}}
    changed = getattr(msgspec.convert(given, Settings).password_throttle, section)
    default = getattr(Settings().password_throttle, section)
    assert msgspec.structs.replace(default, max_hours=2) == changed
