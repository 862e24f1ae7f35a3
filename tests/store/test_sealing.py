"""Secrets at rest: sealed under a key, bound to their place; and the file that holds the keys."""

import base64
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from harness.stores import (
    Clock,
    OpenStore,
    Phone,
    enroll,
    make_key_file,
    opened,
    seeded,
    try_code,
    with_changes,
)
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from store.decisions import Granted
from store.errors import KeyFileError, TamperedError
from store.opening import Store
from store.schema import accounts, totp_factors
from store.sealing import Keyring, Sealed, create_key_file, read_keys, replace_key_file
from store.settings import Settings

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(32)).decode()


def write(path: Path, text: str | bytes, mode: int = 0o640) -> Path:
    """Write a key file as root, readable by its group."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def keyring(folder: Path, **keys: bytes) -> Keyring:
    """Make a keyring of these keys, the sealing key first."""
    lines = [f"{key_id}:{base64.b64encode(key).decode()}\n" for key_id, key in keys.items()]
    return Keyring(write(folder / "keys", "".join(lines)), seeded())


def complaint(path: Path) -> str:
    """Give what is said of a key file that cannot be used; it always names the file."""
    with pytest.raises(KeyFileError) as caught:
        read_keys(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


# Sealing

A, B = b"a" * 32, b"b" * 32


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    """Make a keyring of two keys."""
    return keyring(tmp_path, a=A, b=B)


@given(plain=st.binary(max_size=64), context=st.text())
def test_what_was_sealed_is_opened(
    tmp_path_factory: pytest.TempPathFactory, plain: bytes, context: str
) -> None:
    """A secret comes back whole, under the key that is named beside it, whatever it is of."""
    keys = keyring(tmp_path_factory.getbasetemp(), a=A, b=B)
    context = context.encode("utf-8", "ignore").decode()
    sealed = keys.seal(plain, context)
    assert sealed.key_id == "a"
    assert keys.open(sealed, context) == plain


def test_nothing_of_it_is_seen(keys: Keyring) -> None:
    """The ciphertext does not hold the plaintext, differs each time, and has a masked repr."""
    one, other = keys.seal(b"plaintext", "here"), keys.seal(b"plaintext", "here")
    assert b"plain" not in one.data
    assert one.data != other.data
    assert one.data[:12] != other.data[:12]
    assert repr(one) == "Sealed(key_id='a')"


def test_every_changed_byte_is_noticed(keys: Keyring) -> None:
    """Nobody who can write in the database can change a secret."""
    sealed = keys.seal(b"secret", "here")
    for place in range(len(sealed.data)):
        changed = bytearray(sealed.data)
        changed[place] ^= 1
        with pytest.raises(KeyFileError, match="changed data"):
            keys.open(Sealed("a", bytes(changed)), "here")


@pytest.mark.parametrize("length", [0, 1, 7, 11, 12, 13, 27, 28])
def test_cut_data_is_noticed(keys: Keyring, length: int) -> None:
    """Too little data is an error like changed data, whatever the length."""
    sealed = keys.seal(b"secret", "here")
    with pytest.raises(KeyFileError, match="changed data"):
        keys.open(Sealed("a", sealed.data[:length]), "here")


@pytest.mark.parametrize("context", ["totp alice 2", "totp bob 1", "totp alice", ""])
def test_it_opens_in_its_own_place_only(keys: Keyring, context: str) -> None:
    """What was sealed for one account or factor is worth nothing in another's row."""
    sealed = keys.seal(b"secret", "totp alice 1")
    with pytest.raises(KeyFileError, match="another key or changed data"):
        keys.open(sealed, context)


def test_it_opens_under_its_own_key_only(tmp_path: Path) -> None:
    """A missing key is named; a wrong one under the right name is found out."""
    sealed = keyring(tmp_path, a=A).seal(b"secret", "here")
    with pytest.raises(KeyFileError, match="no key 'a'"):
        keyring(tmp_path, b=A).open(sealed, "here")
    with pytest.raises(KeyFileError, match="another key"):
        keyring(tmp_path, a=B).open(sealed, "here")


def test_older_keys_go_on_opening(tmp_path: Path) -> None:
    """The first key seals, every one opens: so keys can change."""
    sealed = keyring(tmp_path, old=A).seal(b"secret", "here")
    both = keyring(tmp_path, new=B, old=A)
    assert both.open(sealed, "here") == b"secret"
    assert both.seal(b"secret", "here").key_id == "new"
    assert both.old_key_ids() == ["old"]


def test_running_program_takes_a_new_key_when_it_meets_one(tmp_path: Path) -> None:
    """What another host sealed under a new key opens here as soon as the file has that key."""
    running = keyring(tmp_path, old=A)
    kept = running.seal(b"kept", "here")
    replace_key_file(tmp_path / "keys", {"new": B, "old": A}, 0)
    sealed = Keyring(tmp_path / "keys", seeded()).seal(b"secret", "here")
    assert running.open(sealed, "here") == b"secret"
    assert running.open(kept, "here") == b"kept"
    assert running.seal(b"secret", "here").key_id == "new"


def test_running_program_seals_under_no_key_that_was_taken_away(tmp_path: Path) -> None:
    """After a rotation nothing comes to be sealed under the old key again."""
    running = keyring(tmp_path, old=A)
    replace_key_file(tmp_path / "keys", {"new": B}, 0)
    assert running.seal(b"secret", "here").key_id == "new"


@pytest.mark.parametrize("trouble", ["missing", "open to others", "empty"])
def test_running_program_refuses_to_seal_under_a_file_that_is_not_safe(
    tmp_path: Path, trouble: str
) -> None:
    """What it knows goes on opening: logins do not end because somebody edits the file."""
    running, path = keyring(tmp_path, a=A), tmp_path / "keys"
    sealed = running.seal(b"secret", "here")
    path.unlink()
    if trouble != "missing":
        write(
            path, "" if trouble == "empty" else f"b:{KEY}\n", 0o640 if trouble == "empty" else 0o644
        )
    with pytest.raises(KeyFileError, match=str(path)):
        running.seal(b"secret", "here")
    assert running.open(sealed, "here") == b"secret"


# In the store


def swap_secrets(store: Store, one: Phone, other: Phone) -> None:
    """Move the sealed secret of one factor into the row of another, as a thief would."""
    with store.units.database.write() as connection:
        rows = connection.execute(totp_factors.select()).all()
        sealed = {row.id: row.sealed_secret for row in rows}
        for to, of in ((one, other), (other, one)):
            changed = update(totp_factors).where(totp_factors.c.id == to.id)
            connection.execute(changed.values(sealed_secret=sealed[of.id]))


def test_secret_moved_to_another_account_opens_nothing(store: Store, clock: Clock) -> None:
    """Who can write in the database cannot log in to an account with his own phone."""
    mine, victims = enroll(store, clock, "mallory"), enroll(store, clock, "alice")
    swap_secrets(store, mine, victims)
    for account, phone in (("alice", mine), ("mallory", victims), ("alice", victims)):
        with pytest.raises(KeyFileError, match="does not open"):
            try_code(store, phone.code(), account)


def test_secret_moved_to_another_factor_opens_nothing(store: Store, clock: Clock) -> None:
    """Nor can he bring back a phone that was deleted."""
    phone, spare = enroll(store, clock), enroll(store, clock, name="spare")
    swap_secrets(store, phone, spare)
    with pytest.raises(KeyFileError, match="does not open"):
        try_code(store, phone.code())


def test_factor_that_is_given_to_another_account_opens_nothing(store: Store, clock: Clock) -> None:
    """With its whole row: whose it is was sealed with it."""
    mine = enroll(store, clock, "mallory")
    enroll(store, clock, "alice")
    with store.units.database.write() as connection:
        victim = select(accounts.c.id).where(accounts.c.name == "alice").scalar_subquery()
        moved = update(totp_factors).where(totp_factors.c.id == mine.id)
        connection.execute(moved.values(account_id=victim))
    with pytest.raises(TamperedError, match=mine.id):
        try_code(store, mine.code(), "alice")


def test_store_under_another_key_file_refuses_everything(
    settings: Settings, clock: Clock, tmp_path: Path
) -> None:
    """A store without its key file decides nothing, and says which key it misses."""
    other = make_key_file(tmp_path / "other.keys", seed=99)
    with (
        opened(with_changes(settings, store={"key_file": str(other)}), clock) as store,
        pytest.raises(KeyFileError, match="no key"),
    ):
        store.check()


def test_keys_may_stand_in_any_order_and_number(
    settings: Settings, clock: Clock, tmp_path: Path
) -> None:
    """With a new key in front of the old one everything goes on."""
    old = Path(settings.store.key_file).read_text()
    with opened(settings, clock) as store:
        phone = enroll(store, clock)
    both = write(tmp_path / "both.keys", f"new:{KEY}\n{old}")
    with opened(with_changes(settings, store={"key_file": str(both)}), clock) as store:
        assert isinstance(try_code(store, phone.code()), Granted)
        spare = enroll(store, clock, name="spare")
        assert isinstance(try_code(store, spare.code()), Granted)
    with opened(settings, clock) as store, pytest.raises(KeyFileError, match="no key 'new'"):
        try_code(store, spare.code(1))


def test_refusal_for_a_broken_secret_is_not_counted(store: Store, clock: Clock) -> None:
    """Breakage is not a wrong guess: the transaction leaves nothing."""
    mine, victims = enroll(store, clock, "mallory"), enroll(store, clock, "alice")
    swap_secrets(store, mine, victims)
    before = store.accounts.show("alice")
    for code in victims.wrong(6):
        with pytest.raises(KeyFileError):
            try_code(store, code)
    assert store.accounts.show("alice") == before


# The key file


def test_replacing_a_key_file_keeps_its_rights_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """What was left by a replacement that crashed is no obstacle, nor is it used."""
    path = write(tmp_path / "keys", f"a:{KEY}\n")
    (tmp_path / "keys.new").symlink_to(tmp_path / "elsewhere")
    replace_key_file(path, {"new": B, "a": A}, 65534)
    assert list(read_keys(path).items()) == [("new", B), ("a", A)]
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 65534, 0o640)
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_new_key_file_is_good_and_closed_to_others(tmp_path: Path) -> None:
    """Root writes, the service's group reads, nobody else does anything; a second call fails."""
    path = tmp_path / "store.keys"
    create_key_file(path, 65534, seeded())
    status = path.stat()
    assert (status.st_uid, status.st_gid) == (0, 65534)
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert next(iter(read_keys(path))) in path.read_text()


def test_two_key_files_have_two_keys(tmp_path: Path) -> None:
    """Nothing in them is the same but the comment."""
    lines = []
    for name in ("one", "other"):
        create_key_file(tmp_path / name, 0, os.urandom)
        lines.append((tmp_path / name).read_text().splitlines()[-1].split(":"))
    assert lines[0][0] != lines[1][0]
    assert lines[0][1] != lines[1][1]


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_key_file_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    """What stands there is worth all secrets of the store, and a link could point anywhere."""
    path, elsewhere = tmp_path / "store.keys", tmp_path / "elsewhere"
    if kind == "file":
        path.write_text("the only copy")
    else:
        path.symlink_to(elsewhere)
    if kind == "link":
        elsewhere.write_text("the only copy")
    with pytest.raises(FileExistsError):
        create_key_file(path, 0, seeded())
    assert elsewhere.exists() == (kind == "link")
    if kind != "dangling link":
        assert path.read_text() == "the only copy"


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o440, 0o400])
def test_key_file_may_be_readable_by_its_group(tmp_path: Path, mode: int) -> None:
    """These modes keep everybody else out."""
    path = write(tmp_path / "keys", f"a:{KEY}\n", mode)
    assert list(read_keys(path)) == ["a"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o644, "open to others; must not be (chmod o-rwx)"),
        (0o641, "open to others; must not be (chmod o-rwx)"),
        (0o660, "writable by group or others; must not be (chmod go-w)"),
        (0o620, "writable by group or others; must not be (chmod go-w)"),
        (0o642, "writable by group or others; must not be (chmod go-w)"),
        (0o777, "writable by group or others; must not be (chmod go-w)"),
    ],
)
def test_key_file_open_to_others_is_refused(tmp_path: Path, mode: int, expected: str) -> None:
    """Who could read it could open the secrets, who could write it could choose the key."""
    assert complaint(write(tmp_path / "keys", f"a:{KEY}\n", mode)) == expected


def test_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """Its owner could change it at any time, the service's own user included."""
    path = write(tmp_path / "keys", f"a:{KEY}\n")
    os.chown(path, 65534, 0)
    assert complaint(path) == "owned by uid 65534; must be root's (chown root)"


def link(path: Path) -> None:
    """Make a link to a good key file."""
    path.symlink_to(write(path.with_name("good"), f"a:{KEY}\n"))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (link, "symbolic link"),
        (lambda path: os.mkfifo(path, 0o600), "not a regular file"),
        (lambda path: path.mkdir(0o700), "not a regular file"),
        (lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5)), "not a regular file"),
        (lambda _: None, "No such file"),
    ],
    ids=["link", "fifo", "folder", "device", "nothing"],
)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, make: Any, expected: str) -> None:
    """It is neither followed, nor waited for, nor read without end."""
    path = tmp_path / "keys"
    make(path)
    assert expected in complaint(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no key"),
        ("\n \n# only a comment\n", "holds no key"),
        (f"a:{KEY}\nb:{OTHER_KEY}\na:{OTHER_KEY}\n", "line 3: key 'a' stands there twice"),
        (f"a:{KEY}\nb\n", "line 2: must be an id, a colon and 32 bytes in base64"),
        (f"a:{KEY[:-4]}\n", "line 1: must be"),
        (f"a:{KEY[:-1]}A\n", "line 1: must be"),
        (f"a:{KEY}{KEY}\n", "line 1: must be"),
        (f"a: {KEY}\n", "line 1: must be"),
        (f":{KEY}\n", "line 1: must be"),
        (f"{'x' * 33}:{KEY}\n", "line 1: must be"),
        (f"a b:{KEY}\n", "line 1: must be"),
        (f"a:{KEY} # comment\n", "line 1: must be"),
        (b"a:" + KEY.encode() + b"\xff\n", "not ASCII"),
        (f"a:{KEY}\n" + "#" * 65536, "larger than 65536 bytes"),
    ],
    ids=range(14),
)
def test_malformed_key_file_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    """A line that means nothing is an error, never skipped; and no key stands in the text."""
    said = complaint(write(tmp_path / "keys", text))
    assert said.startswith(expected)
    assert KEY[:8] not in said


def test_comments_and_empty_lines_are_allowed(tmp_path: Path) -> None:
    """An operator may say what a key is for; the first key seals."""
    text = f"# since 2025\n\nb:{KEY}\n  a:{OTHER_KEY}  \n"
    assert list(read_keys(write(tmp_path / "keys", text))) == ["b", "a"]


@given(st.binary(max_size=200))
def test_any_content_is_a_keyring_or_a_key_file_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever stands in the file, the error is one that names the file."""
    path = write(tmp_path_factory.getbasetemp() / "any.keys", content)
    try:
        read_keys(path)
    except KeyFileError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - both ends are right


def test_no_key_no_start(open_store: OpenStore, tmp_path: Path) -> None:
    """A store is not even opened without its key file."""
    with pytest.raises(KeyFileError, match="No such file"):
        open_store(store={"key_file": str(tmp_path / "nothing")})
