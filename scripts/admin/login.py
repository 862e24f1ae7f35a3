"""A session that lasts over many commands."""

import click

from scripts.admin.common import administers
from scripts.admin.output import note, say
from scripts.admin.road import Server, Wanted, choose_server, wire_to
from store.errors import RequestError


@click.command("login")
@administers
def log_in(wanted: Wanted) -> None:
    """Sign in to a server with password and code, once for all commands until it is over.

    The session is kept in the system's keyring, or where there is none in a file of yours alone.
    It ends by itself after some hours, or half an hour without use, as the server is configured.

    \b
    Examples:
      sftp-mfa-admin login --server https://sftp.example.com
      sftp-mfa-admin login --profile office --as ruth
    """
    from scripts.admin import kept_sessions  # noqa: PLC0415 - so that help stays quick
    from scripts.admin.sign_in import SessionIdentity  # noqa: PLC0415

    server = _server(wanted)
    try:
        before = kept_sessions.load(server.url)
    except RequestError:  # damaged, or in a keyring that is locked: the new one takes its place
        before = None
    wire = wire_to(server)
    identity = SessionIdentity(wire, server.account, None)
    identity.sign_in("log in from a terminal")
    if before is not None:
        SessionIdentity(wire, None, before).end()
    place = identity.keep()
    wire.close()
    say(f"Signed in to {server.url} as {identity.account}; `logout` ends it.")
    note(f"The session is kept in {place}.")


@click.command("logout")
@administers
def log_out(wanted: Wanted) -> None:
    """End the session that `login` keeps, on the server and here.

    \b
    Example:
      sftp-mfa-admin logout --server https://sftp.example.com
    """
    from scripts.admin import kept_sessions  # noqa: PLC0415
    from scripts.admin.sign_in import SessionIdentity  # noqa: PLC0415

    server = _server(wanted)
    kept = kept_sessions.load(server.url)
    if kept is None or wanted.sign_in_as not in {None, kept.account}:
        who = "nobody is" if kept is None else f"{kept.account} is, and nobody else is,"
        message = f"{who} logged in to {server.url}"
        raise RequestError(message)
    kept_sessions.forget(server.url)
    wire = wire_to(server)
    SessionIdentity(wire, None, kept).end()
    wire.close()
    say(f"Signed out of {server.url}.")


def _server(wanted: Wanted) -> Server:
    if wanted.token_stdin or wanted.token_file is not None:
        message = "a token needs no session: give it to the command itself"
        raise click.UsageError(message)
    return choose_server(wanted)
