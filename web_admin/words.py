"""The pages' words: one catalogue a language, chosen by the browser or by a switch."""

import gettext
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from babel import Locale, negotiate_locale
from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

_FOLDER = Path(__file__).parent / "locales"
DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Words:
    """One language."""

    language: str
    locale: Locale
    catalogue: gettext.GNUTranslations

    def say(self, key: str, **values: Any) -> str:
        """Give the text of a key, with values in their places."""
        text = self.catalogue.gettext(key)
        return text.format(**values) if values else text

    def count(self, key: str, number: int) -> str:
        """Give the text of a key for that many."""
        text = self.catalogue.ngettext(key, key, number)
        return text.format(number=format_decimal(number, locale=self.locale))

    def has(self, key: str) -> bool:
        """Tell whether there is a text of that key."""
        return self.catalogue.gettext(key) != key

    def time(self, value: datetime) -> str:
        """Write a time, in UTC; a script of ours shows it in the browser's zone."""
        return f"{format_datetime(value, 'medium', locale=self.locale)} UTC"

    def span(self, seconds: float) -> str:
        """Write a length of time."""
        return format_timedelta(timedelta(seconds=max(1, seconds)), locale=self.locale)

    def ago(self, seconds: float) -> str:
        """Write how long ago, or in how long, something is."""
        return format_timedelta(timedelta(seconds=-seconds), add_direction=True, locale=self.locale)


@cache
def catalogues() -> dict[str, Words]:
    """Read every catalogue; they are text, so that a translator needs no tool of ours."""
    found = {}
    for file in sorted(_FOLDER.glob("*.po")):
        with file.open("rb") as source:
            catalogue = read_po(source, locale=file.stem, abort_invalid=True)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        translations = gettext.GNUTranslations(compiled)
        found[file.stem] = Words(file.stem, Locale.parse(file.stem), translations)
    return found


def choose(wanted: str | None, accepted: str) -> Words:
    """Give the language of the switch, else the first of the browser's that there is."""
    known = catalogues()
    if wanted in known:
        return known[wanted]
    preferred = [part.partition(";")[0].strip() for part in accepted[:200].split(",")]
    found = negotiate_locale([word for word in preferred if word], list(known), sep="-")
    return known[found or DEFAULT]
