"""Names and words that come from a server: shown without harm, and used only where they may."""

import posixpath

_LONGEST = 1000


def show(text: str | bytes) -> str:
    """Give text for a terminal: control, format and invalid characters are escaped."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="surrogateescape")
    shown = "".join(_escape(character) for character in text[:_LONGEST])
    return shown if len(text) <= _LONGEST else f"{shown}…"


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def is_file_name(name: bytes) -> bool:
    """Tell whether this names one thing within a folder, and nothing elsewhere."""
    return name not in {b"", b".", b".."} and b"/" not in name and b"\0" not in name


def base_name(path: bytes) -> bytes:
    """Return what a path's last part is called; empty for a folder as such (`.`, `x/.`, `/`)."""
    name = posixpath.basename(path.rstrip(b"/"))
    return name if is_file_name(name) else b""
