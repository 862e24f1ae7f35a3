"""A group's commands, each loaded when it is needed: `--version` and completion stay quick."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click


class LazyCommands(MutableMapping[str, click.Command]):
    """What click.Group takes as its commands: names, and where each one is defined."""

    def __init__(self, places: Mapping[str, str]) -> None:
        """Take places such as `scripts.admin.tokens:add_token`."""
        self._places = dict(places)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        """Load a command; KeyError if there is none of this name."""
        if name not in self._loaded:
            module, _, attribute = self._places[name].partition(":")
            self._loaded[name] = getattr(import_module(module), attribute)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        """Add a command that is loaded already."""
        self._places.setdefault(name, "")
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        """Forget a command."""
        del self._places[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        return iter(self._places)

    def __len__(self) -> int:
        """Count them."""
        return len(self._places)
