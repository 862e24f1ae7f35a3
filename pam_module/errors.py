"""What can go wrong in serving sshd; apart from the helper, so that commands need not load it."""


class HelperError(Exception):
    """The helper cannot start; the text tells the operator why."""
