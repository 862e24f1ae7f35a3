"""A host key that known_hosts cannot vouch for: who judges it, and what is said of it."""

import asyncssh

from scripts.transfer.errors import Exit, TransferError
from scripts.transfer.known_hosts import Trust
from scripts.transfer.names import show
from scripts.transfer.terminal import GivenUpError, NoTerminalError, NotTextError, Terminal

_YES_OR_NO = "Please type 'yes', 'no' or the fingerprint: "


class UnknownHostError(Exception):
    """There is no entry for the server at all."""

    def __init__(self, key: asyncssh.SSHKey) -> None:
        """Keep the key that it has shown."""
        super().__init__()
        self.key = key


async def confirm(trust: Trust, key: asyncssh.SSHKey, policy: str, terminal: Terminal) -> None:
    """Let the user judge a host key that is not known, and write it down."""
    fingerprint = key.get_fingerprint()
    unknown = f"the host key of {trust.entry} is not known ({key.get_algorithm()} {fingerprint})"
    if policy != "accept-new":
        if policy in {"yes", "true"}:
            message = f"{unknown}, and StrictHostKeyChecking forbids to ask: add it to {trust.file}"
            raise TransferError(Exit.HOST_KEY, message)
        terminal.tell(f"The authenticity of host '{trust.entry}' can't be established.")
        terminal.tell(f"{key.get_algorithm()} key fingerprint is {fingerprint}.")
        question = "Are you sure you want to continue connecting (yes/no/[fingerprint])? "
        try:
            answer = await terminal.ask(question, echo=True)
            while answer.strip() not in {"yes", "no", fingerprint}:
                answer = await terminal.ask(_YES_OR_NO, echo=True)
        except (NoTerminalError, GivenUpError, NotTextError) as nobody:
            message = (
                f"{unknown}: connect once from a terminal and compare the fingerprint,"
                f" or add it to {trust.file}"
            )
            raise TransferError(Exit.HOST_KEY, message) from nobody
        if answer.strip() == "no":
            message = f"{unknown}, and you did not confirm it"
            raise TransferError(Exit.HOST_KEY, message)
    try:
        trust.remember(key)
    except OSError as error:
        message = f"cannot write the host key to {trust.file}: {error.strerror}"
        raise TransferError(Exit.HOST_KEY, message) from error


def failure(error: Exception, key: asyncssh.SSHKey | None, trust: Trust) -> Exception:
    """Say why a key was not taken: UnknownHostError if there is none that it could differ from."""
    if key is not None and not trust.is_known:
        return UnknownHostError(key)
    if key is not None:
        return _changed(trust, key)
    reason = show(str(error)).partition(" for host ")[0]
    message = f"the host key of {trust.entry} cannot be accepted: {reason}"
    return TransferError(Exit.HOST_KEY, message)


def _changed(trust: Trust, key: asyncssh.SSHKey) -> TransferError:
    message = (
        f"the host key of {trust.entry} is {key.get_fingerprint()}, which is not what is known:"
        " somebody may be in between; if its administrator confirms the change,"
        f" run `ssh-keygen -R '{trust.entry}'`"
    )
    return TransferError(Exit.HOST_KEY, message)
