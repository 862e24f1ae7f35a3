"""Somebody who does at random what people do, and knows at each step what must not happen."""

import base64
import random
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from container_bed import Answer, Bed, Person
from harness.installation import Device
from soak_login import Result, log_in

_STEP = 30


@dataclass
class Known:
    """What has been promised: an answer that never came promises nothing."""

    tokens: set[str] = field(default_factory=set)
    revoked: list[str] = field(default_factory=list)
    removed: list[Device] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    """Codes of now that were accepted, or may have been."""
    ids: dict[str, str] = field(default_factory=dict)
    granted_codes: int = 0
    unknown_codes: int = 0
    """Codes that came to nothing, as far as was told."""


class Actor(threading.Thread):
    """One person; all that the account goes through is done by this thread."""

    def __init__(self, bed: Bed, person: Person, seed: int, pause: float) -> None:
        """Adopt MFA, with a token of scope api for what needs no code."""
        super().__init__(daemon=True, name=person.name)
        self.bed = bed
        self.person = person
        self.device = bed.enroll(person)
        self.known = Known()
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.ends = threading.Event()
        self._random = random.Random(seed)  # noqa: S311
        self._pause = pause
        self._last_step = int(time.time()) // _STEP  # enrolled with an earlier one
        session = bed.sign_in("web1", person, self._fresh_code)
        self.known.granted_codes += 1
        token = self._make_token(session, ["api", "sftp"])
        assert token is not None
        self.api = token

    def run(self) -> None:
        """Do one thing after another."""
        actions = [
            *(self.log_in_with_code, self.log_in_with_token) * 3,
            self.replay,
            self.give_wrong_code,
            self.give_wrong_password,
            self.give_password_alone,
            self.use_removed_device,
            self.use_revoked_token,
            self.issue_token,
            self.revoke_token,
            self.change_devices,
        ]
        while not self.ends.wait(self._random.uniform(0.2, 2) * self._pause):
            action = self._random.choice(actions)
            self.done[action.__name__] += 1
            try:
                action()
            except Exception as error:  # noqa: BLE001 - a fault of the test is no quiet end
                self.wrong.append(f"{action.__name__}: {error!r}")

    # What lets in

    def log_in_with_code(self) -> None:
        """Give the next code, once."""
        code = self._fresh_code()
        result = self._log_in(self.person.password, code)
        self._note(code, result)

    def log_in_with_token(self) -> None:
        """Give a token."""
        self._log_in(self._random.choice(sorted(self.known.tokens)))

    # What must never let in

    def replay(self) -> None:
        """Give a code again, over SFTP or the API."""
        for code in self.known.used[-3:]:
            self._must_fail("a code twice", self.person.password, code)
        if self.known.used and self._random.random() < 0.5:
            answer = self._validate(self.known.used[-1])
            if answer is not None and answer.status == 200:
                self.wrong.append("a code twice, over the API")

    def give_wrong_code(self) -> None:
        """Guess; a right code soon after starts the count anew."""
        code = self._random.choice(self.device.wrong_codes(50))
        self._must_fail("a wrong code", self.person.password, code)

    def give_wrong_password(self) -> None:
        """Give the code of a moment ahead, which a wrong password must not use up nor help."""
        self._must_fail("a wrong password", "wrong" + self.person.password, self.device.code(1))

    def give_password_alone(self) -> None:
        """Give the password where MFA was adopted."""
        port = self._port()
        if log_in(port, self.person.name, [self.person.password], by_password=True) is Result.IN:
            self.wrong.append("the password alone")

    def use_removed_device(self) -> None:
        """Give the code of a device after its removal was told."""
        if self.known.removed:
            code = self._random.choice(self.known.removed).code()
            self._must_fail("a removed device", self.person.password, code)

    def use_revoked_token(self) -> None:
        """Give a token after its revocation was told, and one that was made up."""
        if self.known.revoked:
            self._must_fail("a revoked token", self._random.choice(self.known.revoked))
        made_up = self.api[:-12] + secrets.token_hex(6)
        self._must_fail("a made-up token", made_up)

    # What changes

    def issue_token(self) -> None:
        """Make one more token, up to a few."""
        if len(self.known.tokens) < 6:
            self._make_token(self.api, ["sftp"])

    def revoke_token(self) -> None:
        """Revoke one; only an answer is a promise."""
        spare = sorted(self.known.tokens - {self.api})
        if not spare:
            return
        token = self._random.choice(spare)
        path = f"/users/me/auth-factors/access-tokens/{self.known.ids[token]}"
        answer = self._call("DELETE", path, None, self.api)
        self.known.tokens.discard(token)  # in or not: nobody knows without an answer
        if answer.status in {200, 204}:
            self.known.revoked.append(token)

    def change_devices(self) -> None:
        """Enroll a new device and remove the old one, in a session of one's own."""
        answer = self._validate(self._fresh_code())
        if answer is None or answer.status != 200:
            return
        session = answer.json["sessionToken"]
        path = "/users/me/auth-factors/totp"
        made = self._call("POST", path, {"name": "next"}, session)
        if made.status != 201:
            return
        device = Device(made.json["id"], base64.b32decode(made.json["secret"]))
        given = {"code": device.code()}
        completed = self._call("POST", f"{path}/{device.factor_id}/complete", given, session)
        if completed.status != 200:
            # Perhaps it is complete, and the answer was lost: then it must not be the only one.
            return
        old, self.device = self.device, device
        self._last_step = int(time.time()) // _STEP
        self.known.used = []
        removed = self._call("DELETE", f"{path}/{old.factor_id}", None, session)
        if removed.status in {200, 204}:
            self.known.removed.append(old)

    # At the end, when all is quiet

    def prove(self) -> None:
        """Find that nothing that was promised is lost, and nothing revoked is back."""
        self._wait_for_a_code()
        code = self._fresh_code()
        result = self._log_in(self.person.password, code)
        self._note(code, result)
        if result is not Result.IN:
            self.wrong.append("a factor is lost: its code does not let in")
        for token in sorted(self.known.tokens):
            if self._log_in(token) is not Result.IN:
                self.wrong.append("a token is lost")
        for token in self.known.revoked[-5:]:
            self._must_fail("a revoked token", token)
        self._must_fail("a code twice", self.person.password, code)

    # The means

    def _port(self) -> int:
        return self.bed.ports[self._random.choice(("sftp1", "sftp2"))]

    def _log_in(self, *answers: str) -> Result:
        return log_in(self._port(), self.person.name, answers)

    def _must_fail(self, what: str, *answers: str) -> None:
        if self._log_in(*answers) is Result.IN:
            self.wrong.append(what)

    def _note(self, code: str, result: Result) -> None:
        if result is Result.IN:
            self.known.granted_codes += 1
            self.known.used.append(code)
        else:
            self.known.unknown_codes += 1

    def _wait_for_a_code(self) -> None:
        while self._last_step > int(time.time()) // _STEP:
            time.sleep(0.5)

    def _fresh_code(self) -> str:
        """Give a code that was never given before; a step ahead is within the window."""
        now = int(time.time()) // _STEP
        while self._last_step > now and not self.ends.wait(0.5):
            now = int(time.time()) // _STEP
        step = max(self._last_step + 1, now)
        self._last_step = step
        return self.device.code(step - int(time.time()) // _STEP)

    def _call(self, method: str, path: str, body: Any, bearer: str | None) -> Answer:
        return self.bed.call(self._random.choice(("web1", "web2")), method, path, body, bearer)

    def _validate(self, code: str) -> Answer | None:
        given = {"account": self.person.name, "password": self.person.password}
        answer = self._call("POST", "/auth/login", given, None)
        if answer.status != 200 or answer.json["status"] != "mfa_required":
            if answer.status == 200:
                self.wrong.append("the API asked for no code")
            return None
        given = {"challenge": answer.json["challenge"], "code": code}
        validated = self._call("POST", "/auth/mfa/totp/validate-code", given, None)
        self._note(code, Result.IN if validated.status == 200 else Result.UNKNOWN)
        return validated

    def _make_token(self, bearer: str, scopes: list[str]) -> str | None:
        given = {"name": "job", "scopes": scopes}
        answer = self._call("POST", "/users/me/auth-factors/access-tokens", given, bearer)
        if answer.status != 201:
            return None
        token = str(answer.json["token"])
        self.known.ids[token] = str(answer.json["id"])
        self.known.tokens.add(token)
        return token
