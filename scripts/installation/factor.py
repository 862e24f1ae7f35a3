"""The authenticator of the proof: a program of its own, since it runs as the service's user.

    python -I -m scripts.installation.factor CONFIG begin|end

`begin` prints codes for the next minutes; the secret stays here.
"""

import base64
import sys
from pathlib import Path

import msgspec

from scripts import memory
from scripts.installation.codes import Codes
from scripts.installation.layout import MFA_USER
from store import otp
from store.audit import Actor
from store.clock import system_clock
from store.decisions import Protocol
from store.errors import EnrollmentError, RequestError, StoreError
from store.opening import Store, open_store
from store.settings import Settings, SettingsError, load

_ROOT = Actor("root (install)", Protocol.HOST)
_CODES = 10


def main() -> int:
    """Begin or end."""
    memory.keep_private()
    _, config, what = sys.argv
    try:
        settings = load(Path(config))
        store = open_store(settings)
        store.totp_factors.delete_all(MFA_USER, _ROOT)
        if what == "begin":
            sys.stdout.buffer.write(msgspec.json.encode(_begin(store, settings)))
        store.close()
    except (RequestError, StoreError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _begin(store: Store, settings: Settings) -> Codes:
    """Complete an authenticator, with a code of the past where the window takes one."""
    begun = store.totp_factors.begin(MFA_USER, "install", _ROOT)
    secret = base64.b32decode(begun.secret.text())
    try:
        return _complete(store, settings, begun.factor.id, secret)
    except EnrollmentError:  # a new step began just now
        return _complete(store, settings, begun.factor.id, secret)


def _complete(store: Store, settings: Settings, factor_id: str, secret: bytes) -> Codes:
    step = otp.step_at(system_clock()) - min(1, settings.totp.window)
    store.totp_factors.complete(MFA_USER, factor_id, otp.code_at(secret, step), _ROOT)
    first = step + 1
    return Codes(first, [otp.code_at(secret, first + more) for more in range(_CODES)])


if __name__ == "__main__":
    sys.exit(main())
