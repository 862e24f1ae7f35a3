"""A value that must not be printed."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes whose repr is masked, so that no log line or traceback shows them."""

    value: bytes = field(repr=False)

    def text(self) -> str:
        """Give the value as text; bytes that are not UTF-8 survive a round trip."""
        return self.value.decode("utf-8", "surrogateescape")

    @classmethod
    def of(cls, text: str) -> "Secret":
        """Wrap text, the inverse of `text`."""
        return cls(text.encode("utf-8", "surrogateescape"))
