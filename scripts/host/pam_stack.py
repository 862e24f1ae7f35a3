"""pam.conf(5): what a service asks, with what its files include."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/etc/pam.d")
_DEEPEST = 16
_LINE = re.compile(
    r"-?(?P<kind>auth|account|session|password)\s+(?P<control>\[[^\]]*\]|\S+)\s+"
    r"(?P<module>\S+)\s*(?P<arguments>.*)",
    re.IGNORECASE,
)
_INCLUDE = re.compile(r"@include\s+(\S+)")


@dataclass(frozen=True, slots=True)
class PamLine:
    """One line of a stack."""

    where: str
    kind: str
    control: str
    module: str
    """The name of a module's file; of a service, if the control is `substack`."""
    arguments: tuple[str, ...]

    def ends_with_success(self) -> bool:
        """Tell whether its success ends the stack it is in, whatever comes behind it."""
        return self.control == "sufficient" or self._on_success() == "done"

    def jump(self) -> int:
        """Tell how many lines its success skips."""
        action = self._on_success()
        return int(action) if action.isdigit() else 0

    def refuses(self) -> bool:
        """Tell whether everything that is not its success is a refusal."""
        if self.control in {"required", "requisite"}:
            return True
        others = self._actions()
        others.pop("success", None)
        return "default" in others and set(others.values()) <= {"bad", "die"}

    def _on_success(self) -> str:
        actions = self._actions()
        return actions.get("success", actions.get("default", ""))

    def _actions(self) -> dict[str, str]:
        return dict(re.findall(r"(\w+)=(\w+)", self.control))


def read(service: str, kind: str) -> list[PamLine]:
    """List the lines of one kind; what is included stands in its place, a substack is one line.

    A file that is missing has none; libpam then takes the service `other`.
    """
    return list(_read(FOLDER / service, kind, 0))


def uses(service: str, module: str, kind: str) -> bool:
    """Tell whether a module is anywhere in a stack, substacks included."""
    return any(
        line.module.endswith(module)
        or (
            line.control == "substack"
            and line.module != service
            and uses(line.module, module, kind)
        )
        for line in read(service, kind)
    )


def _read(file: Path, kind: str, depth: int) -> Iterator[PamLine]:
    if depth > _DEEPEST or not file.is_file():
        return
    text = file.read_text(errors="replace").replace("\\\n", " ")
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if included := _INCLUDE.match(line):
            yield from _read(FOLDER / included[1], kind, depth + 1)
            continue
        found = _LINE.match(line)
        if found is None or found["kind"].lower() != kind:
            continue
        if found["control"].lower() == "include":
            yield from _read(FOLDER / found["module"], kind, depth + 1)
            continue
        yield PamLine(
            where=f"{file}:{number}",
            kind=kind,
            control=found["control"].lower(),
            module=found["module"].rpartition("/")[2],
            arguments=tuple(found["arguments"].split()),
        )
