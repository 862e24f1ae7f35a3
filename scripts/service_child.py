"""Work on the store as the service's user, in a child, while the caller stays root."""

import os
from collections.abc import Callable

from scripts import privileges
from store.errors import RequestError, StoreError
from store.settings import Settings

_FAILED = 1


def as_service(settings: Settings, work: Callable[[], str]) -> str:
    """Run it and give what it returns; StoreError with the child's own words if it fails."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 0
        try:
            privileges.become_service(settings)
            said = work()
        except (StoreError, RequestError, privileges.PrivilegeError) as error:
            said, code = str(error), _FAILED
        except Exception as error:  # noqa: BLE001 - its text could hold what is nobody's to read
            said, code = f"a fault of this program: {type(error).__name__}", _FAILED
        os.write(writer, said.encode("utf-8", "surrogateescape")[:65536])
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode("utf-8", "surrogateescape")
    _, status = os.waitpid(child, 0)
    if status:
        raise StoreError(said or "the work on the store was ended")
    return said
