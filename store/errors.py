"""What can go wrong in the store, told so that the operator knows what to do."""


class StoreError(Exception):
    """Breakage: whoever meets it refuses; its text is for operators, not for clients."""


class StoreUnavailableError(StoreError):
    """The database cannot be reached, is locked, read-only or full."""


class SchemaMismatchError(StoreError):
    """The database has another schema than this program."""


class KeyFileError(StoreError):
    """The key file is missing, open to others, malformed, or not this store's."""


class TamperedError(StoreError):
    """A row was written by somebody who has not the store's key."""


class RequestError(Exception):
    """What was asked for cannot be done; its text is safe to show to who asked."""


class NotFoundError(RequestError):
    """There is no such account or factor."""


class LimitError(RequestError):
    """A limit of the configuration stands against it."""


class OvertakenError(RequestError):
    """What ends an account's sessions happened while somebody was signing in."""


class EnrollmentError(RequestError):
    """The enrollment cannot be completed with this code, or no longer."""
