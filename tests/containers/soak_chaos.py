"""What goes wrong in a house of many hosts, at random; and what grows meanwhile."""

import os
import random
import signal
import statistics
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

import docker
from container_bed import Bed

SPARED = ("sftp2", "web2")
"""Nothing is killed there, so that growth shows: they only lose the database now and then."""


class Chaos(threading.Thread):
    """Kills, freezes and cuts off, one thing after another, and lets it recover."""

    def __init__(self, bed: Bed, seed: int, pause: float) -> None:
        """Do something every so many seconds."""
        super().__init__(daemon=True, name="chaos")
        self.done: Counter[str] = Counter()
        self.ends = threading.Event()
        self._bed = bed
        self._random = random.Random(seed)  # noqa: S311
        self._pause = pause

    def run(self) -> None:
        """Do one harm after another."""
        harms = [
            self.kill_helper,
            self.kill_sshd,
            self.kill_host,
            self.kill_web,
            self.kill_broker,
            self.kill_database,
            self.kill_standby,
            self.freeze_database,
            self.freeze_host,
            self.cut_off_host,
        ]
        while not self.ends.wait(self._random.uniform(0.5, 1.5) * self._pause):
            harm = self._random.choice(harms)
            # What is not there cannot be harmed: it has not come back yet.
            with suppress(docker.errors.APIError, ProcessLookupError, ValueError, AssertionError):
                harm()
                self.done[harm.__name__] += 1

    def kill_helper(self) -> None:
        """End the helper of a host, and so the container."""
        (helper,) = self._bed.pids("sftp1", "sftp-mfa serve-pam")
        os.kill(helper, signal.SIGKILL)

    def kill_sshd(self) -> None:
        """End sshd's listener, and so the container."""
        processes = self._bed.container("sftp1").top(ps_args="-eo pid,args")["Processes"]
        (listener,) = (
            int(pid) for pid, line in processes if line.startswith("sshd: /usr/sbin/sshd")
        )
        os.kill(listener, signal.SIGKILL)

    def kill_host(self) -> None:
        """End all of a host."""
        self._kill("sftp1")

    def kill_web(self) -> None:
        """End a web node."""
        self._kill("web1")

    def kill_broker(self) -> None:
        """End the password broker."""
        self._kill("passwords")

    def kill_database(self) -> None:
        """End the primary as a crash does."""
        self._kill("database")

    def kill_standby(self) -> None:
        """End the standby, without which nothing is committed."""
        self._kill("standby")

    def freeze_database(self) -> None:
        """Let the primary neither answer nor hang up."""
        self._freeze("database")

    def freeze_host(self) -> None:
        """Let a host neither answer nor hang up."""
        self._freeze("sftp1")

    def cut_off_host(self) -> None:
        """Take a host's way to the store."""
        network = self._bed.engine.client.networks.get(f"{self._bed.name}_store")
        network.disconnect(self._bed.container("sftp1"))
        time.sleep(self._random.uniform(1, 6))
        network.connect(self._bed.container("sftp1"), aliases=["sftp1"])

    def _kill(self, service: str) -> None:
        """Kill the first process from outside: what docker kills by itself it does not restart."""
        first = self._bed.container(service).attrs["State"]["Pid"]
        if first:
            os.kill(first, signal.SIGKILL)

    def _freeze(self, service: str) -> None:
        container = self._bed.container(service)
        container.pause()
        try:
            time.sleep(self._random.uniform(1, 6))
        finally:
            container.unpause()


class Growth:
    """Memory and descriptors of the programs that are spared."""

    def __init__(self, bed: Bed) -> None:
        """Find them."""
        sftp, web = SPARED
        self._watched = {
            "helper": bed.pids(sftp, "sftp-mfa serve-pam"),
            "web": bed.pids(web, "sftp-mfa serve-web"),
            "sshd": [
                int(pid)
                for pid, line in bed.container(sftp).top(ps_args="-eo pid,args")["Processes"]
                if line.startswith("sshd: /usr/sbin/sshd")
            ],
        }
        assert all(self._watched.values()), self._watched
        self.samples: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def sample(self) -> None:
        """Note resident memory (KiB) and open descriptors of each."""
        for name, pids in self._watched.items():
            memory = sum(_resident(pid) for pid in pids)
            descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
            self.samples[name].append((memory, descriptors))

    def report(self) -> dict[str, tuple[int, int, int, int]]:
        """Give, of the second fifth and the last, the medians of memory (KiB) and descriptors."""
        found = {}
        for name, samples in self.samples.items():
            fifth = max(1, len(samples) // 5)
            early, late = samples[fifth : 2 * fifth] or samples[:1], samples[-fifth:]
            found[name] = tuple(
                int(statistics.median(sample[index] for sample in part))
                for index in (0, 1)
                for part in (early, late)
            )
        return found


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    message = f"process {pid} has no memory"
    raise RuntimeError(message)
