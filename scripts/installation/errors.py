"""How an installation ends that does not succeed."""

from store.errors import RequestError


class RefusedError(RequestError):
    """Something stands against it, and nothing was changed; the text says what to do."""


class UndoneError(RequestError):
    """It went wrong on the way, and everything was put back; the text says what it was."""
