"""The helper's memory: idle, and with thousands of people at a prompt.

README.md, beside this file, tells how to run it and what it measures.
"""

import argparse
import resource

from benchmarks.common import disk, megabytes, print_table
from harness.accounts import Accounts
from harness.installation import Installation
from harness.relay_client import RelayClient

IDLE_BUDGET, CROWD_BUDGET = 60, 150


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=10_000)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    accounts = Accounts()
    with disk() as folder:
        installation = Installation(fresh=True, disk=folder)
        helper = installation.start()
        try:
            name = accounts.make().name
            installation.enroll(name)
            token = installation.issue_token(name).text()
            rows = [["started", f"{megabytes(helper.pid):.1f}", ""]]
            for _ in range(100):
                with RelayClient(installation.socket) as client:
                    client.hello(name)
                    assert client.answer(token) == b"G"
            rows.append(
                ["idle, after 100 logins", f"{megabytes(helper.pid):.1f}", f"{IDLE_BUDGET}"]
            )
            waiting = [RelayClient(installation.socket) for _ in range(options.conversations)]
            for client in waiting:
                assert client.hello(name) == b"PPassword: "
            at_prompt = f"{options.conversations} at the password"
            rows.append([at_prompt, f"{megabytes(helper.pid):.1f}", f"{CROWD_BUDGET}"])
            for client in waiting:
                client.answer("right")
                assert client.go_on() == b"PVerification code: "
            at_prompt = f"{options.conversations} at the code"
            rows.append([at_prompt, f"{megabytes(helper.pid):.1f}", f"{CROWD_BUDGET}"])
            for client in waiting:
                client.socket.close()
        finally:
            installation.close()
            accounts.forget_all()
    print_table(["the helper", "MB", "budget"], rows)


if __name__ == "__main__":
    main()
