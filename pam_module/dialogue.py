"""A conversation in the words of the wire: a message of the relay in, the packets to send out."""

from pam_module import wire
from pam_module.conversation import (
    Ask,
    Conversation,
    PassOn,
    Prompts,
    StackRefusedError,
    Tell,
    login,
    stranger,
)
from store.accounts import canonical_name
from store.authentication import Authentication
from store.decisions import Attempt, Decision, Denied, Granted, Protocol, Reason
from store.secret import Secret

Message = wire.Hello | wire.Answer | wire.Continue


class Dialogue:
    """One connection's conversation, free of sockets. It may block: it works on the store."""

    def __init__(self, authentication: Authentication, prompts: Prompts) -> None:
        """Start silent: the relay speaks first."""
        self._authentication = authentication
        self._prompts = prompts
        self._conversation: Conversation | None = None
        self.awaited: type[Message] | None = wire.Hello
        """What the relay must say next; None when the verdict was given."""

    def receive(self, message: Message) -> list[bytes]:
        """Take the message that was awaited and give the packets to answer with."""
        if isinstance(message, wire.Hello):
            return self._open(message)
        if self._conversation is None:
            raise AssertionError
        if isinstance(message, wire.Answer) and message.value is not None:
            return self._advance(self._conversation, Secret(message.value))
        return self._advance(self._conversation, None)

    def refused(self) -> list[bytes]:
        """Take note that the stack refused the password: the relay hung up after it had it.

        Nobody is there to be answered.
        """
        if self._conversation is not None and self.awaited is wire.Continue:
            try:
                self._conversation.throw(StackRefusedError())
            except (StopIteration, StackRefusedError):
                self._conversation = None
        self.close()
        return []

    def close(self) -> None:
        """End the conversation wherever it is."""
        self.awaited = None
        if self._conversation is not None:
            self._conversation.close()

    def _open(self, hello: wire.Hello) -> list[bytes]:
        name = canonical_name(hello.user)
        if hello.phase == "account":
            return [self._verdict(self._check_account(name, hello))]
        if name is None:
            self._conversation = stranger()
        else:
            attempt = _attempt(name, hello)
            self._conversation = login(attempt, self._authentication, self._prompts)
        return self._advance(self._conversation, None)

    def _check_account(self, name: str | None, hello: wire.Hello) -> Decision:
        if name is None:
            return Denied(Reason.ACCOUNT_UNKNOWN)
        return self._authentication.check_account(_attempt(name, hello))

    def _advance(self, conversation: Conversation, value: Secret | None) -> list[bytes]:
        packets = []
        try:
            wanted = conversation.send(value)
            while isinstance(wanted, Tell):
                packets.append(wire.tell(wanted.text))
                wanted = next(conversation)
        except StopIteration as end:
            return [*packets, self._verdict(end.value)]
        match wanted:
            case Ask(prompt):
                self.awaited = wire.Answer
                return [*packets, wire.prompt(prompt)]
            case PassOn(password):
                self.awaited = wire.Continue
                step = wire.STAND_ASIDE if password is None else wire.pass_on(password.value)
                return [*packets, step]

    def _verdict(self, decision: Decision) -> bytes:
        self.awaited = None
        return wire.GRANTED if isinstance(decision, Granted) else wire.DENIED


def _attempt(account: str, hello: wire.Hello) -> Attempt:
    return Attempt(account, Protocol.SSH, _printable(hello.remote_host))


def _printable(address: str) -> str | None:
    """Keep an address that sshd gave; a name of another service is kept if it is short."""
    plain = address[:64]
    return plain if plain.isascii() and plain.isprintable() and plain else None
