"""Runs inside the installation under test: ends it with SIGKILL just before one of its steps.

The variable KILL_AT is a part of the step's name (a Python audit event and two arguments). With
KILL_ALL it ends its children first, the guardian among them. STEPS names a file to list all in.
"""

import os
import signal
import sys
from pathlib import Path

_EVENTS = {"os.rename", "os.link", "os.remove", "os.symlink", "os.kill", "subprocess.Popen"}
_began = False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    global _began  # noqa: PLW0603 - a hook has no other place
    if event not in _EVENTS:
        return
    names = " ".join(str(argument) for argument in arguments[:2])
    if "state.json" in names:
        _began = True
    if not _began:
        return
    step = f"{event} {names}"
    if listed := os.environ.get("STEPS"):
        descriptor = os.open(listed, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{step}\n".encode())
        os.close(descriptor)
    wanted = os.environ.get("KILL_AT")
    if wanted and wanted in step:
        del os.environ["KILL_AT"]  # what follows are steps, too
        if "KILL_ALL" in os.environ:
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
            for child in children.split():
                os.kill(int(child), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


if {"KILL_AT", "STEPS"} & os.environ.keys():
    sys.addaudithook(_watch)
