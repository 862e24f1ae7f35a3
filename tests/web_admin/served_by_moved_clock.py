"""Runs `sftp-mfa serve-web` by the clock of a test."""

import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

from scripts import operate
from store.opening import open_store
from web_admin import server

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent.parent))
    from harness.moved_clock import MovedClock

    config, clock = sys.argv[1:]
    moved = partial(open_store, clock=MovedClock(Path(clock)))
    with patch.object(server, "open_store", moved):
        operate.main(["serve-web", "--config", config])
