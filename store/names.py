"""The names that people give to their factors."""

from store.errors import RequestError

MAX_LENGTH = 64


def factor_name(text: str) -> str:
    """Give the name as it is kept; RequestError unless 1 to 64 printable characters."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_LENGTH or not name.isprintable():
        message = f"a name has 1 to {MAX_LENGTH} printable characters"
        raise RequestError(message)
    return name
