"""The short form of the soak: see soak.py."""

import pytest
from container_bed import Bed
from soak import soak

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


def test_nothing_goes_wrong_while_parts_are_killed(bed: Bed) -> None:
    """No wrong grant, no replay, no lost factor, an audit that verifies, and no growth."""
    assert soak(bed, 45, people=4, seed=20261124, pause=1, harm_pause=6) == []
