"""Who is signed in on the web pages and through the API, and the end of that."""

from collections.abc import Sequence

import click

from scripts.admin.administration import Session
from scripts.admin.common import administers, id_argument, list_forms, user_argument
from scripts.admin.output import Column, Form, print_items, say, show_time
from scripts.admin.road import Wanted, administration_of

_COLUMNS: Sequence[Column[Session]] = (
    Column("ID", lambda session: session.id),
    Column("DOOR", lambda session: session.protocol),
    Column("STAGE", lambda session: session.stage),
    Column("BEGUN", lambda session: show_time(session.created_at)),
    Column("LAST SEEN", lambda session: show_time(session.seen_at)),
    Column("FROM", lambda session: session.address or "-"),
    Column("THIS ONE", lambda session: "yes" if session.current else "no"),
    Column("PROGRAM", lambda session: session.agent or "-"),
)


@click.command("list-sessions")
@user_argument
@list_forms
@administers
def list_sessions(user: str, form: Form, wanted: Wanted) -> None:
    """List where somebody is signed in, on the web pages and through the API.

    \b
    Examples:
      sftp-mfa-admin list-sessions alice
      sftp-mfa-admin list-sessions me --server https://sftp.example.com
    """
    with administration_of(wanted) as administration:
        sessions = administration.sessions(administration.account(user))
    print_items(form, Session, sessions, _COLUMNS)


@click.command("end-session")
@user_argument
@id_argument("session_id", required=False)
@click.option("--all", "whole", is_flag=True, help="All of them, but for the one that asks.")
@administers
def end_session(user: str, session_id: str | None, *, whole: bool, wanted: Wanted) -> None:
    """Sign somebody out, of one session or of all.

    \b
    Examples:
      sftp-mfa-admin end-session alice 0c9f2e7b41d8
      sftp-mfa-admin end-session alice --all
    """
    if (session_id is None) is not whole:
        message = "give the session's id, or --all"
        raise click.UsageError(message)
    with administration_of(wanted) as administration:
        account = administration.account(user)
        if session_id is None:
            administration.end_sessions(account)
        else:
            administration.end_session(account, session_id)
    what = "every session" if session_id is None else f"session {session_id}"
    say(f"Ended {what} of {account}.")
