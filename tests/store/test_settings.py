"""The configuration: what it may hold, and what is said of what it may not."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import settings
from store.settings import Settings, SettingsError, load

MAX_PROMPT_BYTES = 512
"""What the wire to the PAM module takes."""


def write(path: Path, text: str | bytes, mode: int = 0o644) -> Path:
    """Write a configuration file as root."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def complaint(path: Path) -> str:
    """Give what is said of a file that cannot be used; it always names the file, in one line."""
    with pytest.raises(SettingsError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    """Nothing must be configured."""
    assert load(write(tmp_path / "config.toml", "")) == Settings()


def test_defaults_are_the_safe_ones_of_the_design() -> None:
    """They are what the documentation promises."""
    default = Settings()
    assert default.service.user == "sftp-mfa"
    assert default.store.url == "sqlite:////var/lib/sftp-mfa/store.db"
    assert default.store.key_file == "/etc/sftp-mfa/store.keys"
    assert default.store.wait_seconds == 3
    assert default.pam.socket == "/run/sftp-mfa/pam.sock"
    assert (default.pam.password_prompt, default.pam.code_prompt) == (
        "Password: ",
        "Verification code: ",
    )
    assert (default.totp.window, default.totp.enrollment_minutes) == (1, 15)
    assert (default.lockout.failures, default.lockout.minutes, default.lockout.max_hours) == (
        5,
        15,
        24,
    )


def test_values_of_the_file_are_used_and_the_others_stay(tmp_path: Path) -> None:
    """A section may be given in part."""
    text = '[store]\nurl = "sqlite:////x"\nwait_seconds = 2\n[lockout]\nfailures = 3\n'
    loaded = load(write(tmp_path / "config.toml", text))
    assert (loaded.store.url, loaded.store.wait_seconds, loaded.lockout.failures) == (
        "sqlite:////x",
        2,
        3,
    )
    assert loaded.store.key_file == Settings().store.key_file
    assert loaded.totp == Settings().totp


def test_settings_cannot_be_changed() -> None:
    """What was read is what holds until the end."""
    with pytest.raises(AttributeError):
        Settings().lockout.failures = 1000  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[store]\nurll = 'x'", ["store", "urll", "key_file", "wait_seconds"]),
        ("[lockuot]\nfailures = 3", ["lockuot", "lockout", "totp"]),
        ("debug = true", ["debug", "lockout", "totp"]),
        ("lockout = 5", ["lockout", "object", "int"]),
        ("[lockout]\nfailures = '5'", ["lockout.failures", "int", "str"]),
        ("[lockout]\nfailures = true", ["lockout.failures", "int", "bool"]),
        ("[lockout]\nfailures = 5.5", ["lockout.failures", "int", "float"]),
        ("[lockout]\nfailures = 0", ["lockout.failures", ">= 1"]),
        ("[lockout]\nfailures = 21", ["lockout.failures", "<= 20"]),
        ("[lockout]\nminutes = 0", ["lockout.minutes", ">= 1"]),
        ("[lockout]\nmax_hours = 169", ["lockout.max_hours", "<= 168"]),
        ("[totp]\nwindow = -1", ["totp.window", ">= 0"]),
        ("[totp]\nwindow = 3", ["totp.window", "<= 2"]),
        ("[totp]\nissuer = ''", ["totp.issuer", ">= 1"]),
        ("[totp]\nissuer = 'a:b'", ["totp.issuer", "regex"]),
        ('[totp]\nissuer = "a\\n"', ["totp.issuer", "regex"]),
        ("[totp]\nenrollment_minutes = 61", ["totp.enrollment_minutes", "<= 60"]),
        ("[store]\nwait_seconds = 0", ["store.wait_seconds", ">= 0.1"]),
        ("[store]\nwait_seconds = 4.1", ["store.wait_seconds", "<= 4"]),
        ("[store]\nwait_seconds = nan", ["store.wait_seconds", ">= 0.1"]),
        ("[store]\nwait_seconds = inf", ["store.wait_seconds", "<= 4"]),
        ("[store]\nurl = 1", ["store.url", "str", "int"]),
        ("[pam]\npassword_prompt = ''", ["pam.password_prompt", ">= 1"]),
        ('[pam]\npassword_prompt = "a\\nb"', ["pam.password_prompt", "regex"]),
        ('[pam]\ncode_prompt = "Code: \\n"', ["pam.code_prompt", "regex"]),
        ('[pam]\ncode_prompt = "a\\u0000"', ["pam.code_prompt", "regex"]),
        ("[pam]\nprompt_seconds = 9", ["pam.prompt_seconds", ">= 10"]),
        ("[pam]\nmax_conversations = 100001", ["pam.max_conversations", "<= 100000"]),
        ("[service]\nuser = ''", ["service.user", ">= 1"]),
        ("[password_throttle.account]\nfailure = 3", ["password_throttle.account", "failures"]),
        ("[enforcement]\ngroups = 'staff'", ["enforcement.groups", "array", "str"]),
        ("[enforcement]\ngroups = ['']", ["enforcement.groups[0]", ">= 1"]),
        ("[enforcement]\nstart = 'soon'", ["enforcement.start", "date"]),
        ("[enforcement]\nenrollment_address = 'a b'", ["enforcement.enrollment_address", "regex"]),
        ('[web]\nlisten = "127.0.0.1:8080\\n"', ["web.listen", "regex"]),
        ("[grace]\nseconds = -1", ["grace.seconds", ">= 0"]),
        ("not toml", ["not valid TOML", "line 1"]),
        ("[store]\nurl = 'a'\nurl = 'b'", ["not valid TOML"]),
        (b"\xff\xfe", ["not valid TOML"]),
    ],
    ids=range(39),
)  # fmt: skip
def test_bad_value_is_refused_with_its_key_and_what_is_allowed(
    tmp_path: Path, text: str | bytes, expected: list[str]
) -> None:
    """The operator is told file, key and what may stand there."""
    said = complaint(write(tmp_path / "config.toml", text))
    assert not [part for part in expected if part not in said], said


@pytest.mark.parametrize("prompt", ["\u20ac" * 171, "\U0001f511" * 129])
def test_prompt_that_the_wire_does_not_take_is_refused(tmp_path: Path, prompt: str) -> None:
    """A prompt of more than 512 bytes would be refused by the PAM module, at every login."""
    assert len(prompt.encode()) > MAX_PROMPT_BYTES
    said = complaint(write(tmp_path / "config.toml", f'[pam]\ncode_prompt = "{prompt}"\n'))
    assert "pam.code_prompt" in said


def test_longest_enrollment_text_is_one_that_the_wire_takes(tmp_path: Path) -> None:
    """The address stands in a text of at most 512 bytes."""
    longest = "https://" + "x" * 192
    text = f"[enforcement]\nenrollment_address = '{longest}'\n"
    shown = load(write(tmp_path / "config.toml", text)).enforcement.text()
    assert longest in shown
    assert len(shown.encode()) <= MAX_PROMPT_BYTES


def test_prompts_may_be_in_any_language(tmp_path: Path) -> None:
    """Within the wire's 512 bytes."""
    prompt = "\u041a\u043e\u0434: "
    loaded = load(write(tmp_path / "config.toml", f'[pam]\ncode_prompt = "{prompt}"\n'))
    assert loaded.pam.code_prompt == prompt


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600, 0o444])
def test_file_may_be_read_by_others(tmp_path: Path, mode: int) -> None:
    """Nothing in it is secret, unless a database password is; it must not be written by others."""
    assert load(write(tmp_path / "config.toml", "", mode)) == Settings()


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o620, 0o602, 0o666])
def test_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Who writes it decides who gets in."""
    path = write(tmp_path / "config.toml", "", mode)
    assert complaint(path) == "writable by group or others; must not be (chmod go-w)"


def test_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """Its owner could change it at any time."""
    path = write(tmp_path / "config.toml", "")
    os.chown(path, 65534, 65534)
    assert complaint(path) == "owned by uid 65534; must be root's (chown root)"


def test_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """A misspelt path must not mean the defaults."""
    assert complaint(tmp_path / "config.toml") == "No such file or directory"


def test_link_is_not_followed(tmp_path: Path) -> None:
    """What is checked is what is read."""
    path = tmp_path / "config.toml"
    path.symlink_to(write(tmp_path / "good.toml", ""))
    assert "symbolic link" in complaint(path)


def test_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Nobody is waited for who might write into it."""
    path = tmp_path / "config.toml"
    os.mkfifo(path, 0o644)
    assert complaint(path) == "not a regular file"


def test_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """It is not read at all."""
    path = write(tmp_path / "config.toml", "#" * (256 * 1024 + 1))
    assert complaint(path) == "larger than 262144 bytes"
    assert load(write(path, "#" * (256 * 1024))) == Settings()


def test_refused_file_leaves_no_descriptor_open(tmp_path: Path) -> None:
    """A service that reads its configuration again and again does not run out of them."""
    paths = [tmp_path / name for name in ("folder", "fifo", "bad")]
    paths[0].mkdir()
    os.mkfifo(paths[1])
    write(paths[2], "", 0o666)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in paths * 3:
        with pytest.raises((SettingsError, OSError)):
            settings.read_guarded(path, 10)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@given(st.binary(max_size=300))
def test_any_content_is_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever stands in the file, the error is one that names the file."""
    path = write(tmp_path_factory.getbasetemp() / "any.toml", content)
    try:
        load(path)
    except SettingsError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - both ends are right


def test_every_setting_has_a_default() -> None:
    """Settings can be made of nothing, section by section."""
    for name in Settings.__struct_fields__:
        section = getattr(Settings(), name)
        assert section == type(section)()
        assert isinstance(section, msgspec.Struct)
