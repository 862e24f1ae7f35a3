"""Access tokens for the API: from a file, standard input or the environment; never an argument."""

import os
import re
import sys
from pathlib import Path

from scripts.admin import prompts
from scripts.admin.private_files import read_private
from store.errors import RequestError
from store.secret import Secret

TOKEN_VARIABLE = "SFTP_MFA_TOKEN"
_TOKEN = re.compile(r"smfa_[0-9A-Za-z]{57}")  # store.access_tokens has its parts
_LONGEST = 4096


def place_of_token(token_file: Path | None, *, from_stdin: bool) -> str | None:
    """Say where a token was given; None where none was."""
    if token_file is not None:
        return str(token_file)
    if from_stdin:
        return "standard input"
    return TOKEN_VARIABLE if os.environ.get(TOKEN_VARIABLE) else None


def find_token(token_file: Path | None, *, from_stdin: bool) -> Secret | None:
    """Read the token that was given, if one was; RequestError if it cannot be one."""
    # Taken out of the environment, so that nothing that is started from here has it.
    given = os.environ.pop(TOKEN_VARIABLE, "")
    if token_file is not None and from_stdin:
        message = "give --token-file or --token-stdin, not both"
        raise RequestError(message)
    if token_file is not None:
        return _token(_read(token_file), str(token_file))
    if from_stdin:
        if sys.stdin.isatty():  # typed, or pasted: not to be seen
            return _token(prompts.ask("Access token: ").text(), "the line that was typed")
        return _token(_first_line(), "the first line of standard input")
    return _token(given, TOKEN_VARIABLE) if given else None


def _first_line() -> str:
    try:
        return sys.stdin.readline(_LONGEST)
    except UnicodeError:
        return ""  # no token; the error of Python has what was read


def _read(path: Path) -> str:
    try:
        return read_private(path, _LONGEST).decode("ascii", "replace")
    except FileNotFoundError as error:
        message = f"{path}: {error.strerror}"
        raise RequestError(message) from error


def _token(text: str, place: str) -> Secret:
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        message = f"{place} holds no access token, which begins with smfa_"
        raise RequestError(message)
    return Secret.of(token)
