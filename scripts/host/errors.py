"""What stands in the way on this host."""


class HostError(Exception):
    """Something on this host is not as it must be; the text says what and what to do."""
