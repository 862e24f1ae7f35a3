"""Whether the machine's clock follows a time source."""

import ctypes
import ctypes.util

_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
_SIZE_OF_TIMEX = 256
"""More than any struct timex has; without a mode it is only written to."""


def is_synchronised() -> bool | None:
    """Ask the kernel (adjtimex(2)); None if it does not tell."""
    library = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    state = library.adjtimex(ctypes.create_string_buffer(_SIZE_OF_TIMEX))
    return None if state < 0 else state != _TIME_ERROR
