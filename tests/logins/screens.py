"""What a person saw in a terminal, without what differs by nature."""

import re

from harness.clients import Outcome
from harness.sshd import Sshd


def screen(outcome: Outcome, sshd: Sshd) -> str:
    """Give what was shown up to the login or the refusal."""
    shown = outcome.output.partition("sftp> ")[0].replace(str(sshd.port), "PORT")
    # sftp says this once or twice, depending on who is first: ssh that ends, or its end of file.
    return re.sub(r"(\r*Connection closed[. ]*\r*\n)+$", "", shown)
