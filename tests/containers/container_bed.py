"""Hosts, web nodes and databases in containers, as containers/compose.yaml describes them."""

import base64
import http.client
import json
import secrets
import ssl
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.models.containers import Container
from harness.clients import OpenSsh
from harness.clients.common import Answer as Typed
from harness.clients.common import Outcome
from harness.engine import BASE, DIRECTORY, PACKAGES, POSTGRESQL, Engine
from harness.installation import Device
from harness.sandbox import checkout, free_port
from harness.waiting import until

# All of the tests' clients have one address, and are refused often.
_SSHD = "PerSourcePenalties no\nMaxStartups 100\nLogLevel VERBOSE\n"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account on all hosts."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered."""

    status: int
    json: Any


@dataclass(frozen=True, slots=True)
class Door:
    """A host's sshd, as clients know it."""

    port: int
    known_hosts: Path
    fingerprint: str
    host: str = "127.0.0.1"


def at_once(calls: Iterable[Callable[[], Outcome]]) -> list[Outcome]:
    """Log in side by side: a refusal takes seconds."""
    with ThreadPoolExecutor(8) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]


class Bed:
    """What `containers/start` started."""

    def __init__(self, engine: Engine, folder: Path, name: str, *more: Path) -> None:
        """Describe a bed with the files that are added to compose.yaml."""
        self.engine = engine
        self.folder = folder
        self.name = name
        self.secrets = folder / "secrets"
        self.files = [f"--file={path}" for path in more]
        self.ports: dict[str, int] = {}

    def start(self) -> None:
        """Start it by the command that a newcomer types."""
        self.ports = {service: free_port() for service in ("sftp1", "sftp2", "web1", "web2")}
        (self.folder / "sshd.conf").write_text(_SSHD)
        (self.folder / "pwquality.conf").write_text("dictcheck = 0\n")
        self.said = self._run(["containers/start", *self.files])
        until(lambda: self.call("web1", "GET", "/health").status == 200, "web1 answers", 60)
        self.replicate_synchronously()

    def replicate_synchronously(self) -> None:
        """Let no commit succeed that the standby does not have."""
        for statement in (
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
        ):
            self.sql("database", statement)
        asked = "SELECT sync_state FROM pg_stat_replication"
        until(lambda: self.sql("database", asked) == "sync", "the standby follows", 30)

    def sql(self, service: str, statement: str) -> str:
        """Ask a database server."""
        argv = ("psql", "--username=sftp_mfa", "--no-psqlrc", "-qAtc", statement, "sftp_mfa")
        return self.run_in(service, *argv, user="postgres").strip()

    def tool(self, *argv: str, given: str = "") -> str:
        """Run a command of the tool container."""
        return self.compose("run", "--rm", "-T", "--no-deps", "tool", *argv, given=given)

    @property
    def environment(self) -> dict[str, str]:
        """Return what compose.yaml reads."""
        ports = {f"SFTP_MFA_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        return {
            **self.engine.environment,
            **ports,
            "COMPOSE_PROJECT_NAME": self.name,
            "SFTP_MFA_SECRETS": str(self.secrets),
            "SFTP_MFA_BASE": BASE,
            "SFTP_MFA_PACKAGES": PACKAGES,
            "SFTP_MFA_POSTGRESQL_IMAGE": POSTGRESQL,
            "SFTP_MFA_TEST_DIRECTORY_IMAGE": DIRECTORY,
            "SFTP_MFA_TEST_FOLDER": str(self.folder),
        }

    def compose(self, *arguments: str, given: str = "") -> str:
        """Run compose."""
        file = f"--file={checkout() / 'containers' / 'compose.yaml'}"
        return self._run(["docker-compose", file, *self.files, *arguments], given)

    def _run(self, argv: Sequence[str], given: str = "") -> str:
        ended = subprocess.run(
            argv,
            env=self.environment,
            cwd=checkout(),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def close(self) -> None:
        """End it, with all that it made."""
        self.compose("down", "--volumes", "--timeout=2")

    def container(self, service: str) -> Container:
        """Return a service's container."""
        (found,) = self.engine.client.containers.list(
            all=True,
            filters={
                "label": [
                    f"com.docker.compose.project={self.name}",
                    f"com.docker.compose.service={service}",
                    "com.docker.compose.oneoff=False",
                ]
            },
        )
        return found

    def run_in(self, service: str, *argv: str, user: str = "root") -> str:
        """Run a command in a service's container."""
        ended = self.container(service).exec_run(list(argv), user=user)
        assert ended.exit_code == 0, ended.output
        return str(ended.output.decode())

    def pids(self, service: str, program: str) -> list[int]:
        """Return the ids, as seen here, of a service's Python programs whose command ends so."""
        processes = self.container(service).top(ps_args="-eo pid,args")["Processes"]
        python = "/opt/sftp-mfa/bin/python"
        return [int(p) for p, line in processes if line.startswith(python) and program in line]

    def promote_standby(self) -> None:
        """Make the standby the primary."""
        self.run_in("standby", "pg_ctl", "promote", "--wait", "--silent", user="postgres")

    def issue_token(self, person: Person) -> str:
        """Make an access token for SFTP."""
        command = "sftp-mfa-admin", "add-auth-factor-access-token", person.name
        said = self.run_in("sftp2", *command, "--name", "job")
        (token,) = (word for word in said.split() if word.startswith("smfa_"))
        return token

    def log(self, service: str) -> str:
        """Return what a service has logged."""
        return str(self.container(service).logs().decode(errors="replace"))

    def add_person(self, *groups: str) -> Person:
        """Make an account on all hosts."""
        person = Person(f"u{secrets.token_hex(4)}", secrets.token_urlsafe(12))
        self.tool("add-account", person.name, *groups, given=person.password)
        return person

    def door(self, service: str) -> Door:
        """Return what a client must know of a host."""
        public = self.run_in(service, "cat", "/etc/ssh/host-keys/ssh_host_ed25519_key.pub")
        key = " ".join(public.split()[:2])
        port = self.ports[service]
        known = self.folder / f"known-hosts-{secrets.token_hex(4)}"  # others may be reading theirs
        known.write_text(f"[127.0.0.1]:{port} {key}\n")
        return Door(port, known, "")

    def log_in(self, service: str, name: str, *answers: Typed, **options: Any) -> Outcome:
        """Log in over SFTP with OpenSSH's client."""
        client = OpenSsh(self.folder / f"client-{secrets.token_hex(4)}")
        return client.login(self.door(service), name, answers, **options)  # type: ignore[arg-type]

    def call(
        self, service: str, method: str, path: str, body: Any = None, bearer: str | None = None
    ) -> Answer:
        """Call the API of a web node."""
        context = ssl.create_default_context(cafile=str(self.secrets / "web.pem"))
        connection = http.client.HTTPSConnection(
            "localhost", self.ports[service], timeout=40, context=context
        )
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        data = json.dumps(body) if body is not None else None
        try:
            connection.request(method, f"/api/v1{path}", data, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            return Answer(0, None)
        finally:
            connection.close()
        is_json = "json" in (answer.headers["Content-Type"] or "")
        return Answer(answer.status, json.loads(content) if is_json else content.decode())

    def sign_in(self, service: str, person: Person, code: Callable[[], str] | None = None) -> str:
        """Sign in all the way, and return the session's secret."""
        given = {"account": person.name, "password": person.password}
        answer = self.call(service, "POST", "/auth/login", given)
        assert answer.status == 200, answer
        if code is None:
            assert answer.json["status"] == "logged_in", answer
            return str(answer.json["session"]["sessionToken"])
        given = {"challenge": answer.json["challenge"], "code": code()}
        answer = self.call(service, "POST", "/auth/mfa/totp/validate-code", given)
        assert answer.status == 200, answer
        return str(answer.json["sessionToken"])

    def enroll(self, person: Person, service: str = "web1") -> Device:
        """Adopt MFA, with the code before that of now."""
        session = self.sign_in(service, person)
        factors = "/users/me/auth-factors/totp"
        answer = self.call(service, "POST", factors, {"name": "phone"}, session)
        assert answer.status == 201, answer
        device = Device(answer.json["id"], base64.b32decode(answer.json["secret"]))
        path = f"{factors}/{device.factor_id}/complete"
        for _ in range(2):  # a new step may have begun just now
            answer = self.call(service, "POST", path, {"code": device.code(-1)}, session)
            if answer.status == 200:
                break
        assert answer.status == 200, answer
        return device
