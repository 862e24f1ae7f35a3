"""PostgreSQL clusters that live as long as a test run, or less."""

import json
import secrets
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from harness.sandbox import free_port, once_per_run, place

_OWNER = "postgres"  # the Unix user: the server refuses to run as root


class Cluster:
    """A PostgreSQL server of its own, on loopback and a Unix socket."""

    host = "127.0.0.1"
    user = "sftp_mfa"

    def __init__(self, folder: Path, port: int, password: str) -> None:
        """Describe a cluster that `make` made."""
        self.folder = folder
        self.port = port
        self.password = password

    @classmethod
    def make(cls, folder: Path) -> "Cluster":
        """Make a cluster and start it."""
        cluster = cls(folder, free_port(), secrets.token_hex(12))
        folder.mkdir(parents=True)
        password_file = folder / "password"
        password_file.write_text(cluster.password)
        _as_owner("chown", "-R", _OWNER, str(folder), user="root")
        _as_owner(
            _program("initdb"),
            f"--pgdata={folder / 'data'}",
            f"--username={cls.user}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        cluster.start()
        return cluster

    @classmethod
    def standby_of(cls, primary: "Cluster", folder: Path) -> "Cluster":
        """Make a standby that follows a running cluster by streaming, and start it."""
        cluster = cls(folder, free_port(), primary.password)
        folder.mkdir(parents=True)
        _as_owner("chown", "-R", _OWNER, str(folder), user="root")
        _as_owner(
            _program("pg_basebackup"),
            f"--dbname=host={cls.host} port={primary.port} user={cls.user} "
            f"password={primary.password}",
            f"--pgdata={folder / 'data'}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        )
        cluster.start()
        return cluster

    def promote(self) -> None:
        """Make a primary of a standby, and wait until it is."""
        self._control("promote", "--wait")

    @property
    def pid(self) -> int:
        """Return the id of its first process, the parent of all others."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "on",
            "max_connections": 200,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._control("start", "--wait", f"--options={options}", f"--log={self.folder / 'log'}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `immediate` is a crash."""
        self._control("stop", "--wait", f"--mode={mode}")

    def make_database(self) -> str:
        """Make an empty database and return its address."""
        name = f"t{secrets.token_hex(6)}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"{self._address()}/{name}"

    def drop_database(self, address: str) -> None:
        """Drop a database, whoever is still connected."""
        name = address.rpartition("/")[2]
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _address(self) -> str:
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}"

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(f"{self._address()}/postgres", autocommit=True) as connection:
            connection.execute(statement)

    def _control(self, *arguments: str) -> None:
        _as_owner(_program("pg_ctl"), f"--pgdata={self.folder / 'data'}", "--silent", *arguments)


def shared_cluster() -> Cluster:
    """Return the cluster that all workers share; it ends with the sandbox."""

    def make() -> str:
        cluster = Cluster.make(place() / "postgres")
        return json.dumps([cluster.port, cluster.password])

    return Cluster(place() / "postgres", *json.loads(once_per_run("postgres", make)))


def _program(name: str) -> str:
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    return str(max(versions, key=lambda path: int(path.parts[-3])))


def _as_owner(*argv: str, user: str = _OWNER) -> None:
    # To a file and not a pipe: the server that pg_ctl leaves running would hold the pipe open.
    with Path("/dev/null").open("r+b") as nothing:
        subprocess.run(
            argv,
            user=user,
            group=user,
            extra_groups=[],
            cwd="/",
            check=True,
            stdin=nothing,
            stdout=nothing,
        )
