"""Builds what the checkout holds into the quickstart's own folder; the checkout is only read.

The services' user need not be able to read the checkout, which may lie under /root.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.demonstration.commands import callers_environment, run, say
from scripts.demonstration.layout import BUILT, CHECKOUT, MODULE, SCRATCH, SOURCE, VENV

_NOT_NEEDED = {CHECKOUT / name for name in ("build", "dist", "tests")}
_COMPILED = {".o", ".so", ".pyc", ".egg-info"}
_PIP = ("-I", "-m", "pip", "--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check")


def build() -> None:
    """Make the virtual environment and the PAM module, unless they are of this source already."""
    wanted = _fingerprint()
    if BUILT.exists() and BUILT.read_text() == wanted:
        return
    BUILT.unlink(missing_ok=True)
    for folder in (SOURCE, VENV, MODULE.parent):
        shutil.rmtree(folder, ignore_errors=True)
    _copy_source()
    say("building the PAM module")
    _run("make", "-C", SOURCE / "pam_module", f"BUILD={MODULE.parent}")
    say("making a virtual environment with the locked dependencies")
    _make_environment()
    shutil.rmtree(SCRATCH)
    BUILT.write_text(wanted)


def _make_environment() -> None:
    _run(sys.executable, "-I", "-m", "venv", VENV)
    locks = [f"--requirement={SOURCE}/requirements/{name}.txt" for name in ("runtime", "build")]
    _pip_install("--only-binary=:all:", "--require-hashes", *locks)
    _pip_install("--no-deps", "--no-index", "--no-build-isolation", str(SOURCE))


def _pip_install(*arguments: str) -> None:
    _run(VENV / "bin" / "python", *_PIP, "install", *arguments)


def _run(*argv: str | Path) -> None:
    """Run a program that builds, whose leavings go with the rest if it is interrupted."""
    SCRATCH.mkdir(exist_ok=True)
    run(*argv, environment={**callers_environment(), "TMPDIR": str(SCRATCH)})


def _copy_source() -> None:
    for file in _files():
        copy = SOURCE / file.relative_to(CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _fingerprint() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(_files()):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{content} {file.relative_to(CHECKOUT)}\n".encode())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for folder, folders, names in os.walk(CHECKOUT):
        folders[:] = [name for name in folders if _counts(Path(folder, name))]
        yield from (path for name in names if _counts(path := Path(folder, name)))


def _counts(path: Path) -> bool:
    is_made = path.name == "__pycache__" or path.suffix in _COMPILED
    return not (is_made or path.name.startswith(".") or path in _NOT_NEEDED)
