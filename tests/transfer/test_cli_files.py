"""Files and folders, up and down, as the server's and the user's file systems have them."""

import os
import subprocess
from pathlib import Path

import pytest
from harness.accounts import Account
from hosts import Host
from traveller import Seen, Traveller

from scripts.transfer.download import Download, lock_part
from scripts.transfer.errors import TransferError
from scripts.transfer.local import Folder
from scripts.transfer.remote import Entry


@pytest.fixture
def job(host: Host, account: Account, traveller: Traveller) -> Traveller:
    """Give somebody who is let in by a token."""
    traveller.token = host.installation.issue_token(account.name).text()
    return traveller


def given(account: Account, path: str, content: bytes = b"x", mtime: int | None = None) -> Path:
    """Lay a file of the account's onto the host."""
    file = account.home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    if mtime is not None:
        os.utime(file, (mtime, mtime))
    for each in (file, *file.relative_to(account.home).parents):
        os.chown(account.home / each, account.uid, account.uid)
    return file


def tree(folder: Path) -> dict[str, bytes]:
    """Read all that is in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names(folder: Path) -> list[str]:
    """List what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def make_tree(folder: Path, files: int) -> dict[str, bytes]:
    """Make many small files in folders within folders, some empty, with odd names."""
    for number in range(files):
        path = folder / f"d{number % 7}" / f"e{number % 3}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number % 3_000))
    (folder / "d0" / "-x * ? [a]").write_bytes(b"odd")
    (folder / "d0" / "\x1b]0;title\x07\nname").write_bytes(b"control")
    (folder / "empty").mkdir()
    (folder / ".hidden").write_bytes(b"dot")
    return tree(folder)


def ok(seen: Seen) -> Seen:
    """Require that it went well."""
    assert seen.code == 0, seen.screen + seen.output
    assert "Traceback" not in seen.screen
    return seen


def test_many_small_files_up_and_down(account: Account, job: Traveller) -> None:
    """A tree of 1,200 files is the same there, and the same again when it came back."""
    content = make_tree(job.home / "up", 1_200)
    ok(job.run("put", "-r", job.server, "up", "there"))
    assert tree(account.home / "there") == content
    assert (account.home / "there" / "empty").is_dir()
    seen = ok(job.run("get", "-r", job.server, "there", "down"))
    assert tree(job.home / "down") == content
    assert "\x1b" not in seen.screen
    assert not list((account.home / "there").rglob("*.part"))


def test_target_is_as_cp_has_it(account: Account, job: Traveller) -> None:
    """A folder takes in what is copied; another name is a new name; FOLDER/. is its content."""
    (job.home / "a").write_bytes(b"1")
    (account.home / "in").mkdir()
    os.chown(account.home / "in", account.uid, account.uid)
    ok(job.run("put", job.server, "a"))
    ok(job.run("put", job.server, "a", "in"))
    ok(job.run("put", job.server, "a", "in/b"))
    assert {"a", "in/a", "in/b"} <= set(tree(account.home))
    ok(job.run("get", "-r", job.server, "in"))
    ok(job.run("get", "-r", job.server, "in", "in"))
    ok(job.run("get", "-r", job.server, "in/.", "flat"))
    ok(job.run("get", "-r", job.server, "in/.", "flat"))
    assert {"in/a", "in/b", "in/in/a", "flat/a"} <= set(tree(job.home))
    assert "flat/in/a" not in tree(job.home)
    ok(job.run("put", "-r", job.server, "flat", "in"))
    ok(job.run("put", "-r", job.server, "flat/.", "in/flat"))
    assert "in/flat/a" in tree(account.home)
    assert "in/flat/flat/a" not in tree(account.home)


def test_existing_file_is_replaced_and_keeps_its_mode(account: Account, job: Traveller) -> None:
    """As with OpenSSH's sftp; a link in its place is replaced, not followed."""
    there = given(account, "data", b"old")
    there.chmod(0o640)
    here = job.home / "data"
    here.write_bytes(b"new and longer")
    here.chmod(0o600)
    ok(job.run("put", job.server, "data"))
    assert there.read_bytes() == b"new and longer"
    assert there.stat().st_mode & 0o7777 == 0o640
    there.write_bytes(b"newer")
    secret = job.home / "secret"
    secret.write_bytes(b"secret")
    here.chmod(0o400)
    ok(job.run("get", job.server, "data"))
    assert here.read_bytes() == b"newer"
    assert here.stat().st_mode & 0o7777 == 0o400
    here.unlink()
    here.symlink_to(secret)
    ok(job.run("get", job.server, "data"))
    assert (here.is_symlink(), secret.read_bytes()) == (False, b"secret")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_file_keeps_to_the_umask(
    account: Account, job: Traveller, umask: int, mode: int
) -> None:
    """Whatever the server says, a new file here is never more open than the umask."""
    there = given(account, "wide")
    there.chmod(0o6666)
    before = os.umask(umask)
    try:
        ok(job.run("get", job.server, "wide"))
    finally:
        os.umask(before)
    assert (job.home / "wide").stat().st_mode & 0o7777 == mode


def test_newer_copies_what_changed_and_nothing_else(account: Account, job: Traveller) -> None:
    """Older, newer and of another size, both ways; the times are kept."""
    for name in ("same", "newer", "longer"):
        given(account, f"tree/{name}", b"1234", 1_700_000_000)
    ok(job.run("get", "-r", "--newer", job.server, "tree"))
    assert (job.home / "tree" / "same").stat().st_mtime == 1_700_000_000
    given(account, "tree/newer", b"5678", 1_700_000_001)
    given(account, "tree/longer", b"12345", 1_600_000_000)
    seen = ok(job.run("get", "-r", "--newer", "--json", job.server, "tree/.", "tree"))
    status = {line["source"]: line["status"] for line in seen.lines[:-1]}
    assert status == {"tree/./same": "skipped", "tree/./newer": "done", "tree/./longer": "done"}
    assert tree(job.home / "tree") == tree(account.home / "tree")
    (job.home / "tree" / "same").write_bytes(b"abcd")
    seen = ok(job.run("put", "-r", "--newer", "--json", job.server, "tree"))
    status = {line["target"]: line["status"] for line in seen.lines[:-1]}
    assert status == {"tree/same": "done", "tree/newer": "skipped", "tree/longer": "skipped"}
    assert tree(job.home / "tree") == tree(account.home / "tree")
    again = ok(job.run("put", "-r", "--newer", "--json", job.server, "tree"))
    assert again.lines[-1]["summary"]["skipped"] == 3


def test_links_and_pipes_are_left_out(account: Account, job: Traveller) -> None:
    """In a tree they are skipped, both ways, and said so."""
    given(account, "tree/file")
    (account.home / "tree" / "link").symlink_to("/etc/passwd")
    os.mkfifo(account.home / "tree" / "pipe")
    seen = ok(job.run("get", "-r", "--json", job.server, "tree"))
    assert seen.lines[-1]["summary"]["skipped"] == 2
    assert names(job.home / "tree") == ["file"]
    (job.home / "tree" / "link").symlink_to("/etc/passwd")
    os.mkfifo(job.home / "tree" / "pipe")
    seen = ok(job.run("put", "-r", "--json", job.server, "tree", "back"))
    assert seen.lines[-1]["summary"]["skipped"] == 2
    assert names(account.home / "back") == ["file"]


def test_patterns(account: Account, job: Traveller) -> None:
    """Mget and mput take what matches, in one login; nothing that matches is an error."""
    for name in ("logs/a.log", "logs/b.log", "logs/.c.log", "logs/d.txt", "more/e.log"):
        given(account, name, name.encode())
    ok(job.run("mget", job.server, "*/[ab].log", "more/?.log", "logs/d.txt", "--into", "."))
    assert {"a.log", "b.log", "d.txt", "e.log"} <= set(names(job.home))
    assert ".c.log" not in names(job.home)
    seen = job.run("mget", job.server, "*.nothing")
    assert (seen.code, "nothing matches" in seen.error) == (6, True)
    ok(job.run("mput", job.server, "?.log", "--into", "more"))
    assert (account.home / "more" / "a.log").read_bytes() == b"logs/a.log"
    seen = job.run("mput", job.server, "*.nothing")
    assert (seen.code, "nothing matches" in seen.error) == (7, True)


def test_folders_need_r(account: Account, job: Traveller) -> None:
    """Without -r a folder is not taken."""
    given(account, "tree/file")
    assert job.run("get", job.server, "tree").code == 6
    (job.home / "up").mkdir()
    assert job.run("put", job.server, "up").code == 7
    assert job.run("rm", job.server, "tree").code == 6
    assert (account.home / "tree" / "file").exists()


def test_ls_and_stat(account: Account, job: Traveller) -> None:
    """For people and for programs."""
    given(account, "tree/b", b"12", 1_700_000_000).chmod(0o640)
    given(account, "tree/a\x1b[31m")
    given(account, "tree/.c")
    seen = ok(job.run("ls", job.server, "tree"))
    assert seen.output == "a\\x1b[31m\nb\n"
    seen = ok(job.run("ls", "-la", job.server, "tree"))
    assert [line.split()[-1] for line in seen.output.splitlines()] == [".c", "a\\x1b[31m", "b"]
    assert "-rw-r-----" in seen.output.splitlines()[-1]
    seen = ok(job.run("ls", "--json", job.server, "tree/b*"))
    (line,) = seen.lines
    assert line["name"] == "tree/b"
    (shown,) = ok(job.run("stat", "--json", job.server, "tree/b")).lines
    expected = {"type": "file", "size": 2, "mtime": 1_700_000_000, "mode": "0640"}
    assert expected.items() <= shown.items()
    seen = job.run("stat", job.server, "nothing")
    assert (seen.code, "No such file" in seen.error) == (6, True)


def test_ls_shows_links_that_lead_nowhere(account: Account, job: Traveller) -> None:
    """One of them hides nothing else."""
    given(account, "tree/file")
    (account.home / "tree" / "dangling").symlink_to("nowhere")
    assert ok(job.run("ls", job.server, "tree/*")).output == "tree/dangling\ntree/file\n"


@pytest.mark.parametrize(
    ("into", "code", "said"),
    [
        ("| head -1", 141, ""),
        (">/dev/full", 7, "error: standard output: No space left on device\n"),
    ],
)
def test_ls_whose_output_nobody_takes(
    account: Account, job: Traveller, into: str, code: int, said: str
) -> None:
    """It ends as other programs do: by SIGPIPE, or with a line about the disk."""
    for number in range(2000):
        given(account, f"tree/{number:0100}")
    words = " ".join(job.argv("ls", job.server, "tree"))
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} {into}"],
        env=job.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (code, said)


def test_link_into_proc_is_not_replaced(account: Account, job: Traveller) -> None:
    """Root, who gets to /dev/stdout, keeps it."""
    given(account, "file")
    link = job.home / "stdout"
    link.symlink_to("/proc/self/fd/1")
    seen = job.run("get", job.server, "file", "stdout")
    assert (seen.code, "not a regular file" in seen.error) == (7, True)
    assert link.is_symlink()


def test_part_that_became_the_file_is_left_alone(tmp_path: Path) -> None:
    """Opened before another transfer finished it, it is the complete file."""
    folder = Folder.open(os.fsencode(tmp_path))
    part, _ = folder.open_part(b"part")
    os.write(part, b"complete")
    late, _ = folder.open_part(b"part")
    folder.finish(b"part", b"file")
    os.close(part)
    entry = Entry(b"file", None, 8, None, None, None)
    with pytest.raises(TransferError, match="another transfer is at work"):
        lock_part(late, Download(b"file", entry, folder, b"file"), b"part")
    os.close(late)
    folder.leave()


def test_mkdir_rename_and_rm(account: Account, job: Traveller) -> None:
    """They do what they say; a link is removed, not what it leads to."""
    ok(job.run("mkdir", "-p", job.server, "a/b/c"))
    ok(job.run("mkdir", "-p", job.server, "a/b/c"))
    assert job.run("mkdir", job.server, "a").code == 6
    given(account, "a/b/one", b"1")
    given(account, "a/b/two", b"2")
    ok(job.run("rename", job.server, "a/b/one", "a/b/two"))
    assert (account.home / "a" / "b" / "two").read_bytes() == b"1"
    kept = given(account, "kept/file")
    (account.home / "a" / "link").symlink_to(kept.parent)
    ok(job.run("rm", "-r", job.server, "a"))
    assert not (account.home / "a").exists()
    assert kept.exists()
    given(account, "x.tmp")
    ok(job.run("rm", job.server, "*.tmp"))
    assert not (account.home / "x.tmp").exists()
    assert job.run("rm", job.server, "x.tmp").code == 6


def test_one_failure_ends_nothing_else(account: Account, job: Traveller) -> None:
    """What may not be read is told of, the rest comes, and the exit code tells of the failure."""
    given(account, "tree/good")
    bad = given(account, "tree/bad")
    bad.chmod(0)
    seen = job.run("get", "-r", job.server, "tree")
    assert (seen.code, "tree/bad: Permission denied" in seen.error) == (6, True)
    assert names(job.home / "tree") == ["good"]


def test_errors_of_local_files(account: Account, job: Traveller) -> None:
    """They have an exit code of their own."""
    given(account, "file")
    assert job.run("put", job.server, "missing").code == 7
    assert job.run("get", job.server, "file", "missing/file").code == 7
    (job.home / "folder" / "file").mkdir(parents=True)
    assert job.run("get", job.server, "file", "folder").code == 7
    full = job.run("get", job.server, "file", "/dev/full")
    assert (full.code, "not a regular file" in full.error) == (7, True)


def test_json_tells_of_each_file(account: Account, job: Traveller) -> None:
    """One line for each file, then the sum."""
    given(account, "tree/file", b"12345")
    seen = ok(job.run("get", "-r", "--json", job.server, "tree"))
    first, last = seen.lines
    assert first == {
        "action": "get",
        "source": "tree/file",
        "target": "./tree/file",
        "status": "done",
        "bytes": 5,
        "resumedAt": 0,
    }
    assert last["summary"].items() >= {"done": 1, "failed": 0, "bytes": 5, "code": 0}.items()
    assert seen.screen == ""


def test_quiet_says_nothing(account: Account, job: Traveller) -> None:
    """But for errors."""
    given(account, "file", os.urandom(5_000_000))
    seen = ok(job.run("get", "-q", "--verify", job.server, "file"))
    assert seen.screen + seen.output == ""
    assert (job.home / "file").read_bytes() == (account.home / "file").read_bytes()
    assert job.run("get", "-q", job.server, "missing").error


def test_bars_at_a_terminal(account: Account, job: Traveller) -> None:
    """A person sees how far each large file is, and all of them."""
    given(account, "tree/large.iso", os.urandom(30_000_000))
    given(account, "tree/small")
    seen = job.type("get", "-r", job.server, "tree")
    assert seen.code == 0, seen.screen
    assert "in all" in seen.screen
    assert "large.iso" in seen.screen
    assert "2 files" in seen.screen


def test_file_without_a_size_is_read_to_its_end(job: Traveller) -> None:
    """As in /proc."""
    ok(job.run("get", job.server, "/proc/version", "version"))
    assert (job.home / "version").read_text() == Path("/proc/version").read_text()
