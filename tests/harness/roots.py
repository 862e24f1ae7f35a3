"""Throw-away Debian systems: what a package or an installer does to a whole machine.

    with roots.debian("bookworm", network=True, shared=[deb.parent]) as root:
        root.run("dpkg", "--install", deb)
        assert root.read("/etc/hostname")

The system is one of the folders of $SFTP_MFA_ROOTS under a disk in memory, with processes, mounts
and host name of its own. Nothing in it runs but what the test starts, or what systemd starts if it
is asked for; all of it ends, and is unmounted, when the context does. A disk that the test gives is
kept: the same system goes on from there, or many others that have it as a layer.
"""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from harness import sandbox
from harness.machine import inner
from harness.waiting import until

SUITES = ("bookworm", "trixie")

# $1: the system's folder under what lies above it; $2: "yes" for a network of its own; $3: "yes"
# for systemd; $4: the disk, or nothing; the others: folders to be seen in it.
_SETUP = """
set -e
lower=$1 network=$2 systemd=$3 disk=${4:-/mnt}
shift 4
[ "$network" = no ] || ip link set lo up
mount -n -t tmpfs -o mode=755 tmpfs /mnt
cd /mnt
mkdir root
mkdir -p "$disk/changed" "$disk/work"
mount -n -t overlay -o "lowerdir=$lower,upperdir=$disk/changed,workdir=$disk/work" overlay root
cd root
mount -n -t proc -o nosuid,nodev,noexec proc proc
mount -n -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -n -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mkdir -m 1777 run/lock
[ "$systemd" = yes ] || mkdir run/sshd
mount -n -t tmpfs -o mode=755,nosuid tmpfs dev
for node in null zero full random urandom tty; do
    : >"dev/$node"
    mount -n --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -n -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -n -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
for folder; do
    mkdir -p "./$folder"
    mount -n --bind -o ro "$folder" "./$folder"
done
printf 'root\\n' >etc/hostname
printf '127.0.0.1 localhost root\\n::1 localhost\\n' >etc/hosts
hostname root
mkdir run/before
pivot_root . run/before
umount -n -l /run/before
rmdir /run/before
cd /
if [ "$systemd" = yes ]; then
    # As in any container: nothing that is the kernel's, and nothing that would need the internet.
    mount -n -t cgroup2 cgroup2 /sys/fs/cgroup
    mount -n --bind /proc/sys /proc/sys
    mount -n -o remount,bind,ro /proc/sys
    for unit in apt-daily.timer apt-daily-upgrade.timer console-getty.service getty.target; do
        ln -sf /dev/null "/etc/systemd/system/$unit"
    done
    echo ready
    exec setpriv --bounding-set=-sys_module,-sys_boot,-sys_time,-sys_rawio,-syslog \\
        env --ignore-environment container=sftp-mfa-tests PATH="$PATH" \\
        /lib/systemd/systemd --log-target=journal >/dev/null 2>&1
fi
echo ready
exec >/dev/null
sleep infinity &
wait # and meet the end of whatever a daemon leaves behind
"""

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class Root:
    """A running system; use `debian` to make one."""

    def __init__(self, first: int, namespaces: Iterable[str]) -> None:
        """Work in the system whose first process has this pid, as seen from the tests."""
        self.first = first
        self._enter = ["nsenter", f"--target={first}", *(f"--{name}" for name in namespaces)]

    def argv(self, *argv: str | Path, environment: Mapping[str, str] | None = None) -> list[str]:
        """Return a command for harness.processes or pexpect that runs the given one in it."""
        variables = {**_ENVIRONMENT, **(environment or {})}
        clean = ["env", "--ignore-environment", *(f"{k}={v}" for k, v in variables.items())]
        return [*self._enter, "--", *clean, *map(str, argv)]

    def run(
        self,
        *argv: str | Path,
        given: str = "",
        check: bool = True,
        timeout: float = 100,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end, as root; a failure is an error unless check is off."""
        ended = subprocess.run(
            self.argv(*argv, environment=environment),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert not check or ended.returncode == 0, f"{argv}: {ended.stdout}{ended.stderr}"
        return ended

    def shell(self, script: str, *, check: bool = True) -> str:
        """Run a shell script in it; give what it writes to standard output."""
        return self.run("sh", "-euc", script, check=check).stdout

    def path(self, path: str | Path) -> Path:
        """Give the path of one of its files as seen from the tests.

        An absolute symbolic link on the way leads out of the system.
        """
        return Path(f"/proc/{self.first}/root") / str(path).lstrip("/")

    def read(self, path: str | Path) -> str:
        """Read one of its files."""
        return self.path(path).read_text()

    def write(self, path: str | Path, text: str, mode: int = 0o644) -> None:
        """Write one of its files as root, and make its folder where there is none."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)


def folder(name: str) -> Path:
    """Give the folder of a system that scripts/test has made: a suite, `…-build`, `directory`."""
    sandbox.place()
    return Path(os.environ["SFTP_MFA_ROOTS"]) / name


@contextmanager
def debian(
    name: str,
    *,
    network: bool = False,
    systemd: bool = False,
    shared: Iterable[Path] = (),
    disk: Path | None = None,
    below: Path | None = None,
) -> Iterator[Root]:
    """Run a throw-away copy of a system.

    With `network` it has a network of its own, loopback only; else it is on the tests' network.
    With `systemd` that is its first process and starts what is enabled, its sshd too, on a network
    of its own. The folders `shared` are seen in it under their own paths, read-only. What is
    changed goes to the folder `disk`; the end is a power failure. `below` is the disk of a system
    that has ended, which this one goes on from without changing it.
    """
    network = network or systemd
    namespaces = ["mount", "uts", "ipc", "pid", *(["net"] if network else [])]
    namespaces += ["cgroup"] if systemd else []
    lower = f"{below}/changed:{folder(name)}" if below is not None else str(folder(name))
    command = [
        *("unshare", *(f"--{space}" for space in namespaces), "--fork", "--kill-child"),
        *("--propagation", "private", "sh", "-c", _SETUP, "sh", lower),
        *("yes" if network else "no", "yes" if systemd else "no", str(disk or "")),
        *map(str, shared),
    ]
    with _own_cgroup() if systemd else nullcontext() as cgroup:
        join = [] if cgroup is None else ["sh", "-c", _JOIN, "sh", str(cgroup)]
        holder = subprocess.Popen(
            [*join, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n", f"{name}: cannot be made, see above"
            root = Root(inner(holder), namespaces)
            if systemd:
                _wait_for_systemd(root)
            yield root
            os.kill(root.first, signal.SIGKILL)  # all of its processes go along, and unshare waits
            holder.wait()
        finally:
            holder.kill()
            holder.wait()


_JOIN = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"'


@contextmanager
def _own_cgroup() -> Iterator[Path]:
    """Make a control group for a systemd to divide, and remove what it made of it."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    top = next(Path(fields[1]) for fields in mounts if fields[2] == "cgroup2")
    cgroup = top / f"sftp-mfa-tests-{secrets.token_hex(4)}"
    cgroup.mkdir()
    try:
        yield cgroup
    finally:
        until(lambda: "populated 0" in (cgroup / "cgroup.events").read_text(), "its processes end")
        for below, _, _ in os.walk(cgroup, topdown=False):
            Path(below).rmdir()


def _wait_for_systemd(root: Root) -> None:
    def started() -> bool:
        state = root.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}

    until(started, "systemd has started everything", timeout=60)
