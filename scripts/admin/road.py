"""Which road a command takes, told by its options, the environment and the user's profiles.

An option decides before the environment, the environment before the default profile; where nothing
is said it is the store of this host. Two that contradict each other are refused.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts.admin import credentials
from scripts.admin.administration import Administration
from scripts.admin.profiles import Profile, find_profile, load_profiles
from store import settings
from store.errors import RequestError

if TYPE_CHECKING:
    from scripts.admin.sign_in import Identity
    from scripts.admin.wire import Wire

_SERVER = "SFTP_MFA_SERVER"
_PROFILE = "SFTP_MFA_PROFILE"
_CONFIG = "SFTP_MFA_CONFIG"
_SAY = f"say which server: --server, --profile, or {_SERVER}"
_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Host:
    """The store of this host."""

    config: Path


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and how one comes in."""

    url: str
    account: str | None
    """Who signs in where there is no token."""
    signs_in: bool
    """The command line says who signs in, which nobody does who has a token."""
    ca_file: Path | None
    token_file: Path | None
    token_from_stdin: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says of the road."""

    server: str | None
    profile: str | None
    config: Path | None
    sign_in_as: str | None
    ca_file: Path | None
    token_file: Path | None
    token_stdin: bool


def road_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the road, and what they say as its argument `wanted`."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        wanted = Wanted(*(options.pop(name) for name in Wanted.__dataclass_fields__))
        return command(*arguments, wanted=wanted, **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


_OPTIONS = (
    click.option("--server", metavar="URL", help=f"Work over REST there (or {_SERVER})."),
    click.option("--profile", metavar="NAME", help=f"A server of your own file (or {_PROFILE})."),
    click.option(
        "--config",
        type=_FILE,
        help=f"As root, work on this host's store by that file (or {_CONFIG}); "
        f"{settings.DEFAULT_PATH} where nothing is said.",
    ),
    click.option("--as", "sign_in_as", metavar="ACCOUNT", help="Who signs in, if not you."),
    click.option("--ca-file", type=_FILE, help="PEM file of authorities to trust as well."),
    click.option("--token-file", type=_FILE, help="A file, yours alone, with an access token."),
    click.option("--token-stdin", is_flag=True, help="Read an access token from the first line."),
)


@contextmanager
def administration_of(wanted: Wanted) -> Iterator[Administration]:
    """Go the road, and leave it tidy."""
    road = choose(wanted)
    if isinstance(road, Host):
        # The store brings the database's libraries, which no other road needs.
        from scripts.admin.host import HostAdministration  # noqa: PLC0415

        if road.config == settings.DEFAULT_PATH and not road.config.exists():
            message = f"{road.config} is not there, so this is no host of a store; {_SAY}"
            raise RequestError(message)
        opened: Administration = HostAdministration(road.config)
    else:
        opened = _over_rest(road)
    try:
        yield opened
    finally:
        opened.close()


def choose(wanted: Wanted) -> Host | Server:
    """Decide; RequestError or UsageError where it cannot be."""
    given = [name for name in ("server", "profile", "config") if getattr(wanted, name) is not None]
    if len(given) > 1:
        message = f"give --{given[0]} or --{given[1]}, not both"
        raise click.UsageError(message)
    if given:
        server, profile, config = wanted.server, wanted.profile, wanted.config
    else:
        server, profile, config = _from_environment()
    if server is not None:
        return _server(wanted, Profile(server))
    if profile is not None:
        return _server(wanted, find_profile(profile))
    if config is not None:
        return _host(wanted, config)
    profiles = load_profiles()
    if profiles.default is not None:
        return _server(wanted, profiles.profiles[profiles.default])
    return _host(wanted, settings.DEFAULT_PATH)


def choose_server(wanted: Wanted) -> Server:
    """Decide likewise, for what only a server has."""
    road = choose(wanted)
    if isinstance(road, Host):
        message = _SAY
        raise click.UsageError(message)
    return road


def wire_to(server: Server) -> "Wire":
    """Make the connection to a server."""
    from scripts.admin.transport import Transport  # noqa: PLC0415 - only for this road
    from scripts.admin.wire import Wire  # noqa: PLC0415

    return Wire(Transport(server.url, server.ca_file))


def _over_rest(server: Server) -> Administration:
    from scripts.admin.rest import RestAdministration  # noqa: PLC0415 - only for this road

    given = credentials.place_of_token(server.token_file, from_stdin=server.token_from_stdin)
    if given is not None and server.signs_in:
        message = f"--as is for who signs in, and {given} has a token: leave one of them away"
        raise click.UsageError(message)
    token = credentials.find_token(server.token_file, from_stdin=server.token_from_stdin)
    wire = wire_to(server)
    identity: Identity
    if token is not None:
        from scripts.admin.sign_in import TokenIdentity  # noqa: PLC0415

        identity = TokenIdentity(token)
    else:
        from scripts.admin import kept_sessions  # noqa: PLC0415
        from scripts.admin.sign_in import SessionIdentity  # noqa: PLC0415

        kept = kept_sessions.load(server.url)
        if kept is not None and server.account not in {None, kept.account}:
            kept = None
        identity = SessionIdentity(wire, server.account, kept)
    return RestAdministration(wire, identity)


def _from_environment() -> tuple[str | None, str | None, Path | None]:
    found = {
        name: os.environ[name] for name in (_SERVER, _PROFILE, _CONFIG) if os.environ.get(name)
    }
    if len(found) > 1:
        first, second = list(found)[:2]
        message = f"{first} and {second} are both set: say with an option which of them you mean"
        raise click.UsageError(message)
    config = found.get(_CONFIG)
    return found.get(_SERVER), found.get(_PROFILE), Path(config) if config else None


def _server(wanted: Wanted, profile: Profile) -> Server:
    from scripts.admin.transport import normal_server  # noqa: PLC0415 - brings urllib3

    token_file = wanted.token_file
    if token_file is None and not wanted.token_stdin and profile.token_file is not None:
        token_file = Path(profile.token_file)
    return Server(
        normal_server(profile.server),
        wanted.sign_in_as or profile.account,
        wanted.sign_in_as is not None,
        wanted.ca_file or (Path(profile.ca_file) if profile.ca_file else None),
        token_file,
        wanted.token_stdin,
    )


def _host(wanted: Wanted, config: Path) -> Host:
    for name in ("sign_in_as", "ca_file", "token_file", "token_stdin"):
        if getattr(wanted, name):
            option = "as" if name == "sign_in_as" else name.replace("_", "-")
            message = f"--{option} is for a server: say which with --server or --profile"
            raise RequestError(message)
    return Host(config)
