"""Words: every one in every language, none outside the catalogues."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from browser import Visitor
from client import Client
from harness.accounts import Account
from playwright.sync_api import expect

from store.audit import Event
from store.decisions import Protocol, Reason
from web_admin import pages
from web_admin.words import catalogues, choose

ROOT = Path(pages.__file__).parent.parent
LANGUAGES = sorted(file.stem for file in (ROOT / "locales").glob("*.po"))


def catalogue(language: str) -> Catalog:
    """Read a catalogue."""
    with (ROOT / "locales" / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def keys(language: str) -> dict[str, tuple[str, ...]]:
    """Give each key with its texts."""
    found = {}
    for message in catalogue(language):
        if message.id:
            key = message.id if isinstance(message.id, str) else message.id[0]
            text = message.string
            found[str(key)] = (text,) if isinstance(text, str) else tuple(text)
    return found


def test_there_are_english_and_french() -> None:
    """The languages of the issue."""
    assert LANGUAGES == ["en", "fr"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_with_its_places(language: str) -> None:
    """No language lacks a text, and each has the places for values that English has."""
    english, theirs = keys("en"), keys(language)
    assert theirs.keys() == english.keys()
    for key, texts in theirs.items():
        assert all(texts), key
        places = {tuple(sorted(re.findall(r"\{(\w+)\}", text))) for text in texts}
        assert places == {tuple(sorted(re.findall(r"\{(\w+)\}", english[key][0])))}, key
    assert not any(message.fuzzy for message in catalogue(language))


def used() -> Iterator[str]:
    """Give the keys that templates and code name in full, and the beginnings of built ones."""
    for file in [*(ROOT / "templates").glob("*.tpl"), *ROOT.rglob("*.py")]:
        text = file.read_text()
        yield from re.findall(r"\b(?:t|n|say|count)\('([a-z_.-]+)'[,)]", text)
        yield from re.findall(r'\b(?:say|count)\("([a-z_.-]+)"[,)]', text)
        yield from re.findall(r"'([a-z_]+\.[a-z_]+)' if |else '([a-z_]+\.[a-z_]+)'", text)


def test_every_key_that_is_used_is_there() -> None:
    """A page with a missing word would show its key."""
    named = set()
    for one in used():
        named |= {one} if isinstance(one, str) else {key for key in one if key}
    named = {key for key in named if not key.endswith((".", "_"))}
    assert len(named) > 80
    assert not named - keys("en").keys()


@pytest.mark.parametrize("word", [*Event, *Reason, *Protocol])
def test_every_word_of_the_audit_has_a_text(word: Event | Reason | Protocol) -> None:
    """What the store may write, the pages can say."""
    room = {Event: "event", Reason: "reason", Protocol: "door"}[type(word)]
    for language in LANGUAGES:
        assert f"{room}.{word.value}" in keys(language)


def test_templates_have_no_words_of_their_own() -> None:
    """What remains of a template without its markup and its code has no letters."""
    for template in (ROOT / "templates").glob("*.tpl"):
        text = re.sub(r"(?m)^\s*%.*$", "", template.read_text())
        for attribute in re.findall(r'(?:aria-label|title|alt)="([^"]*)"', text):
            assert not re.sub(r"\{\{.*?\}\}", "", attribute), (template.name, attribute)
        text = re.sub(r"<script.*?</script>|<!DOCTYPE html>", "", text, flags=re.DOTALL)
        text = re.sub(r"<code [^>]*>smfa_\{\{.*?\}\}…</code>", "", text)
        text = re.sub(r"\{\{.*?\}\}", "", text, flags=re.DOTALL)
        text = re.sub(r"<[^>]*>", "", text)
        assert not re.search(r"[A-Za-z]{2}", text), (template.name, text.split())


@pytest.mark.parametrize(
    ("switch", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        (None, "de-DE,de;q=0.9,fr;q=0.5", "fr"),
        (None, "zz", "en"),
        ("fr", "en-US", "fr"),
        ("xx", "fr", "fr"),
        (None, "\0;;,,q=x" * 100, "en"),
    ],
)
def test_the_switch_comes_before_the_browsers_languages(
    switch: str | None, accepted: str, language: str
) -> None:
    """And whatever is sent, there is a language."""
    assert choose(switch, accepted).language == language


def test_a_french_browser_gets_french_and_can_switch(
    open_browser: Callable[..., Visitor], account: Account
) -> None:
    """The page says its language; the switch is remembered."""
    visitor = open_browser(language="fr-FR")
    visitor.go("/")
    expect(visitor.page.locator("html")).to_have_attribute("lang", "fr")
    expect(visitor.page.locator("h1")).to_have_text("Connexion")
    visitor.press("English")
    expect(visitor.page.locator("h1")).to_have_text("Sign in")
    visitor.press("Français")
    visitor.sign_in(account)
    assert "Votre compte" in visitor.main
    assert "il y a" not in visitor.main or "AMF" in visitor.main


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_shows_a_key(client: Client, account: Account, language: str) -> None:
    """Each page that opens without more is free of keys, in each language."""
    client.cookies["sftp-mfa-language"] = language
    client.sign_in(account)
    for path in [
        "/",
        "/mfa",
        "/tokens",
        "/tokens/new",
        "/password",
        "/sessions",
        "/activity",
        "/x",
    ]:
        assert not re.search(r"\b[a-z_]+\.[a-z]+_?[a-z]*\b", no_addresses(client.get(path).main))


def no_addresses(text: str) -> str:
    """Take out what looks like a key and is none."""
    return re.sub(r"\S*\d\S*|HeadlessChrome\S*", "", text)


def test_catalogues_are_read_once() -> None:
    """A request does not read files."""
    assert catalogues() is catalogues()
