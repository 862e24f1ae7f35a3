"""One bed of containers for all tests here: it takes long to make."""

import json
import shutil
from collections.abc import Iterator

import directory_people
import pytest
from container_bed import Bed
from harness.engine import Engine, shared_engine
from harness.sandbox import checkout, exclusively, forget, once_per_run, place


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Start a Docker engine with our images in it, once for all workers."""
    return shared_engine()


@pytest.fixture
def bed(engine: Engine) -> Iterator[Bed]:
    """Have two SFTP hosts, two web nodes, a primary and a standby for this test alone."""
    with exclusively("container-bed"):
        own = checkout() / "tests" / "containers" / "bed.yaml"
        made = Bed(
            engine, place() / "bed", "bed", checkout() / "containers" / "directory.yaml", own
        )

        def make() -> str:
            directory_people.prepare(made)
            made.start()
            directory_people.fill(made)
            return json.dumps(made.ports)

        made.ports = json.loads(once_per_run("bed", make))
        yield made


@pytest.fixture
def spent_bed(bed: Bed) -> Iterator[Bed]:
    """Have one that is of no use to others afterwards."""
    yield bed
    bed.close()
    shutil.rmtree(bed.folder)
    forget("bed")
