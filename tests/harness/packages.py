"""The Debian package, built as for a release, and one of a version that comes after it."""

import os
import shutil
import subprocess
from pathlib import Path

from harness import roots, sandbox
from harness.roots import Root

PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
NEXT_VERSION = "99.0"
NEXT_SCHEMA = "9999"

_NEXT_MIGRATION = f'''"""Something that the version before does not know."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT_SCHEMA}"
down_revision = "{{before}}"


def upgrade() -> None:
    """Add a table."""
    op.create_table("next_things", sa.Column("id", sa.Integer(), primary_key=True))
'''


def built(suite: str) -> Path:
    """Give the package for a suite, built once in a run; it lies in a folder of its own."""
    return Path(sandbox.once_per_run(f"package-{suite}", lambda: str(_build(suite))))


def disk(suite: str) -> Path:
    """Give the disk of a system that has the package, for others to go on from."""
    return Path(sandbox.once_per_run(f"package-disk-{suite}", lambda: str(_install(suite))))


def following(suite: str) -> Path:
    """Give one of a later version with another schema, made of the first once in a run."""
    return Path(sandbox.once_per_run(f"next-package-{suite}", lambda: str(_follow(suite))))


def install(root: Root, package: Path) -> None:
    """Install it, or upgrade to it, as an administrator would whom nobody asks anything."""
    root.run("dpkg", "--install", package)


def build_in(root: Root, wheels: Path, target: str) -> None:
    """Build the package in a system that has what that needs; it is not made small."""
    root.run(
        *(sandbox.checkout() / "scripts/package", "--wheels", wheels, target),
        timeout=500,
        environment={"DPKG_DEB_COMPRESSOR_TYPE": "none"},
    )


def _build(suite: str) -> Path:
    wheels = Path(os.environ["SFTP_MFA_WHEELS"]) / PYTHONS[suite]
    target = sandbox.place() / "packages" / suite
    target.mkdir(parents=True, exist_ok=True)
    with roots.debian(f"{suite}-build", shared=[sandbox.checkout(), wheels]) as root:
        build_in(root, wheels, "/packages")
        (package,) = root.path("/packages").glob("*.deb")
        shutil.copy(package, target)
    return target / package.name


def _install(suite: str) -> Path:
    package = built(suite)
    made = sandbox.place() / f"package-disk-{suite}"
    with roots.debian(suite, shared=[package.parent], disk=made) as root:
        install(root, package)
    return made


def _follow(suite: str) -> Path:
    package = built(suite)
    target = package.parent / "next"
    unpacked = target / "unpacked"
    target.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--raw-extract", package, unpacked], check=True)
    control = unpacked / "DEBIAN" / "control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text(
        "".join(f"Version: {NEXT_VERSION}\n" if x.startswith("Version:") else x for x in lines)
    )
    (packages,) = unpacked.glob("usr/lib/sftp-mfa/lib/python*/site-packages")
    database = packages / "store" / "database.py"
    text = database.read_text()
    before = text.partition('\nSCHEMA_VERSION = "')[2].partition('"')[0]
    assert before
    database.write_text(text.replace(f'"{before}"', f'"{NEXT_SCHEMA}"', 1))
    versions = packages / "store" / "migrations" / "versions"
    (versions / "r9999_next.py").write_text(_NEXT_MIGRATION.format(before=before))
    for compiled in (packages / "store" / "__pycache__").glob("database.*"):
        compiled.unlink()
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", unpacked, target],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(unpacked)
    (made,) = target.glob("*.deb")
    return made
