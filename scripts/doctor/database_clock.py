"""Tells how far the database's clock is from this host's: a program, run as the service's user.

python -I -m scripts.doctor.database_clock CONFIG
"""

import sys
import time
from pathlib import Path

from sqlalchemy import text

from scripts import memory
from store.database import make_engine
from store.settings import load


def main() -> None:
    """Print the database's time minus ours, in seconds."""
    memory.keep_private()
    engine = make_engine(load(Path(sys.argv[1])).store)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))  # the connection is made
        before = time.time()
        there = connection.execute(
            text("SELECT extract(epoch FROM clock_timestamp())")
        ).scalar_one()
        here = (before + time.time()) / 2
    engine.dispose()
    sys.stdout.write(f"{float(there) - here:.3f}\n")


if __name__ == "__main__":
    main()
