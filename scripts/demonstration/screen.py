"""What a person sees, and what a program reads."""

import json
import os
from collections.abc import Iterator

from scripts.demonstration import factors
from scripts.demonstration.configuration import fingerprint
from scripts.demonstration.layout import (
    ADMIN,
    ADMIN_ACCOUNT,
    CHECKOUT,
    CONFIG,
    DEMO_ACCOUNT,
    HOST,
    KNOWN_HOSTS,
    LOGS,
)
from scripts.demonstration.record import Record

_COMMAND = CHECKOUT / "scripts" / "quickstart"


def for_programs(record: Record) -> str:
    """Write the one object that --json prints."""
    return json.dumps(
        {
            "sftp": {"host": HOST, "port": record.port},
            "web": {"url": _web(record)},
            "account": {"name": DEMO_ACCOUNT, "password": record.password},
            "administrator": {"name": ADMIN_ACCOUNT, "password": record.admin_password},
            "config": str(CONFIG),
            "admin_command": [str(ADMIN)],
        }
    )


def for_people(record: Record) -> str:
    """Write what to type; the most wanted last, where a small terminal shows it."""
    parts = (_logins, _enrollment, _login, _pages, _more, _end)
    return "\n".join(["", *(line for part in parts for line in (*part(record), ""))])


def _logins(record: Record) -> Iterator[str]:
    yield "Three logins, made just now with OpenSSH's sftp:"
    for login in record.logins:
        yield f"  {login.what:<18} {login.outcome}  ({login.seconds:.1f} s)"


def _enrollment(record: Record) -> Iterator[str]:
    if record.secret is None or record.uri is None:
        yield "The account has no second factor, as for a program (--json). To add one:"
        yield f"  {ADMIN} add-auth-factor-totp {DEMO_ACCOUNT}"
        return
    key = " ".join(record.secret[at : at + 4] for at in range(0, len(record.secret), 4))
    yield "Let an authenticator app read this, or type its key:"
    yield f"  {key}"
    yield ""
    yield from (f"  {line}" for line in factors.qr_code(record.uri).splitlines())


def _login(record: Record) -> Iterator[str]:
    yield "Now log in, with password and code, as a person does:"
    yield ""
    yield f"  sftp -P {record.port} -o UserKnownHostsFile={KNOWN_HOSTS} {DEMO_ACCOUNT}@{HOST}"
    yield ""
    yield f"  password  {record.password}"
    if record.secret is not None:
        yield f"  code      from the app; without a phone: {_COMMAND} --code"
        yield "            (each works once; every 30 s there is a new one)"
    if record.token is not None:
        yield ""
        yield "or as a job does, with a token in the place of the password, and no code:"
        yield ""
        yield f"  token     {record.token}"


def _pages(record: Record) -> Iterator[str]:
    yield f"In a browser   {_web(record)} as {DEMO_ACCOUNT}, or to administer all accounts as"
    yield f"               {ADMIN_ACCOUNT}, password {record.admin_password}"


def _web(record: Record) -> str:
    return f"http://{HOST}:{record.web_port}/"


def _more(record: Record) -> Iterator[str]:
    yield f"Administer     {ADMIN} --help, for example"
    yield f"               {ADMIN} show-user {DEMO_ACCOUNT}"
    if record.guests:
        yield f"               {ADMIN} add-auth-factor-totp {record.guests[0]}"
    else:
        yield "               With --user NAME at the start, an account of yours can be tried too:"
        yield f"               {ADMIN} add-auth-factor-totp NAME"
    yield f"Configuration  {CONFIG}"
    yield f"Logs           {LOGS}: helper.log tells who came in, who did not, and why"
    yield f"Host key       {fingerprint()}, for clients that ask"


def _end(record: Record) -> Iterator[str]:
    stop = f"{_COMMAND} --stop"
    if record.keeper is None:
        yield f"It runs in the background. This ends it and removes all that it made: {stop}"
    elif record.keeper.pid == os.getpid():
        yield f"Ctrl-C ends it and removes all that it made; so does {stop}"
    else:
        yield f"It runs in another terminal. Ctrl-C there ends it, as does {stop}"
