"""A login in few lines of paramiko, which tells apart refused and unreachable."""

import socket
from collections.abc import Sequence
from enum import Enum

import paramiko  # type: ignore[import-untyped]  # it ships no types

_PATIENCE = 25.0


class Result(Enum):
    """How it ended."""

    IN = "in"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """The connection broke: nobody can tell what was counted."""


def log_in(port: int, name: str, answers: Sequence[str], *, by_password: bool = False) -> Result:
    """Log in by keyboard-interactive with an answer to each prompt, or by `password`."""
    left = list(answers)

    def answer(_title: str, _instructions: str, asked: list[tuple[str, bool]]) -> list[str]:
        return [left.pop(0) if left else "" for _ in asked]

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
            transport = paramiko.Transport(connection)
            transport.banner_timeout = transport.auth_timeout = _PATIENCE
            try:
                transport.start_client(timeout=_PATIENCE)
                if by_password:
                    transport.auth_password(name, left[0], fallback=False)
                else:
                    transport.auth_interactive(name, answer)
                return Result.IN if transport.is_authenticated() else Result.REFUSED
            finally:
                transport.close()
    except paramiko.BadAuthenticationType:
        return Result.UNKNOWN
    except paramiko.AuthenticationException as error:
        is_refusal = type(error) is paramiko.AuthenticationException
        return (
            Result.REFUSED if is_refusal and "timeout" not in str(error).lower() else Result.UNKNOWN
        )
    except (paramiko.SSHException, EOFError, OSError):
        return Result.UNKNOWN
