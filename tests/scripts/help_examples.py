"""The examples in the help of a click program, and how to run them as somebody would type them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import pexpect

_SECONDS = 60

Answer = Callable[[str], str]
"""What is typed at a prompt, given all that was shown before."""


@dataclass(frozen=True, slots=True)
class Example:
    """A line that the help of a command shows."""

    command: str
    line: str

    def __str__(self) -> str:
        """Name it, for pytest."""
        return self.line


def examples_of(group: click.Group, program: str) -> list[Example]:
    """Give every example of every command; AssertionError for a command that has none."""
    found = []
    for name, command in group.commands.items():
        text = (command.help or "").partition("Example")[2]
        lines = [line.strip() for line in text.splitlines()]
        lines = [line for line in lines if re.search(rf"(^|[|] ?){program} ", line)]
        assert lines, f"the help of {name} shows no example"
        found += [Example(name, line) for line in lines]
    return found


def run_example(
    line: str,
    *,
    stands_for: Mapping[str, str],
    environment: Mapping[str, str],
    folder: Path,
    answers: Sequence[tuple[str, Answer]],
    user: str = "root",
) -> str:
    """Type a line into a user's shell, with real names in place of the example's; answer prompts.

    Returns what was shown; AssertionError unless the exit code is 0.
    """
    for word, real in stands_for.items():
        line = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", real, line)
    identity = [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    child = pexpect.spawn(
        "setpriv",
        [*identity, "bash", "-o", "pipefail", "-c", line],
        env=dict(environment),
        cwd=str(folder),
        encoding="utf-8",
        timeout=_SECONDS,
        dimensions=(60, 250),
    )
    child.delaybeforesend = None
    shown = ""
    prompts = [prompt for prompt, _ in answers]
    while (number := child.expect([*prompts, pexpect.EOF])) < len(prompts):
        shown += child.before + child.after
        child.sendline(answers[number][1](shown))
    shown += child.before
    child.close()
    assert child.exitstatus == 0, f"{line}\n{shown}"
    return shown
