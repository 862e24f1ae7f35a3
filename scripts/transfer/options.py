"""What holds for all files of one command."""

from dataclasses import dataclass

from scripts.transfer.parts import PartNames
from scripts.transfer.progress import Progress, Silent
from scripts.transfer.results import Results


@dataclass(frozen=True, slots=True)
class Options:
    """How to transfer."""

    parts: PartNames
    results: Results
    umask: int
    only_newer: bool = False
    keep_times: bool = False
    verify: bool = False
    parallel: int = 16
    """Files at once."""

    @property
    def progress(self) -> Progress | Silent:
        """Return what shows it."""
        return self.results.progress
