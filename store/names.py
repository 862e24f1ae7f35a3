"""The names that people give to their factors, and texts that they look for."""

from store.errors import RequestError

MAX_LENGTH = 64


def can_be_stored(text: str | None) -> bool:
    """Tell whether both databases could hold a text: of UTF-8, without NUL."""
    if text is None:
        return True
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def factor_name(text: str) -> str:
    """Give the name as it is kept; RequestError unless 1 to 64 printable characters."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_LENGTH or not name.isprintable():
        message = f"a name has 1 to {MAX_LENGTH} printable characters"
        raise RequestError(message)
    return name
