"""What can go wrong in serving."""


class ServeError(Exception):
    """A service cannot start; the text tells the operator why."""


class BrokerUnavailableError(Exception):
    """Nobody can tell whether a password is right; whoever meets it refuses."""
