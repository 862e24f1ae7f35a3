"""Memory that holds passwords, codes, tokens and keys: it leaves the process in no core dump."""

import os
import resource
import sys

_PR_SET_DUMPABLE = 4
"""prctl(2), of linux/prctl.h."""


def keep_private() -> None:
    """Have no core dump written of this process, and on Linux nobody but root read its memory.

    A limit of 0 alone is not enough: where core dumps are piped to a program the kernel does not
    heed it (core(5)). For what is started from here it is the limit that stays, and a process that
    becomes another user has to call this again, since the kernel then sets fs.suid_dumpable anew.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return  # the clients run elsewhere, too
    import ctypes  # noqa: PLC0415 - slow to load, and --help needs none of it

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
