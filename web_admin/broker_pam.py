"""What the broker asks PAM. Runs in a short-lived process of its own for each request."""

import os
import pwd
from ctypes import POINTER, c_char_p, cast, sizeof
from typing import Any

import pam
import pamela

from web_admin.broker_wire import Answer, Request, Verdict

_BROKEN = {
    pam.PAM_OPEN_ERR,
    pam.PAM_SYMBOL_ERR,
    pam.PAM_SERVICE_ERR,
    pam.PAM_SYSTEM_ERR,
    pam.PAM_BUF_ERR,
    pam.PAM_ABORT,
    pam.PAM_AUTHINFO_UNAVAIL,
    pam.PAM_MODULE_UNKNOWN,
}


def load() -> None:
    """Load libpam now, so that each request finds it loaded."""
    pam.PamAuthenticator()


def answer(request: Request, service: str) -> Answer:
    """Check a password or change it."""
    checked = _check(request, service)
    new = request.new_password
    if new is not None and checked.verdict in {Verdict.RIGHT, Verdict.EXPIRED}:
        return _change(request, new, service)
    return checked


def _check(request: Request, service: str) -> Answer:
    authenticator = pam.PamAuthenticator()
    authenticate = authenticator.pam_authenticate
    phases: list[int] = []

    def authenticate_as_sshd_does(handle: Any, _flags: int) -> int:
        # python-pam sets neither: the address, for the log and for modules that judge by it, and
        # the flag without which `nullok` lets an account without a password in by any.
        address = c_char_p(request.address.encode("ascii", "replace"))
        authenticator.pam_set_item(handle, pam.PAM_RHOST, address)
        phases.append(authenticate(handle, pam.PAM_DISALLOW_NULL_AUTHTOK))
        return phases[-1]

    authenticator.pam_authenticate = authenticate_as_sshd_does
    name = request.account.encode("utf-8", "surrogateescape")
    authenticator.authenticate(name, request.password or b"\1", service, resetcreds=False)
    if authenticator.code in _BROKEN or not phases:
        return Answer(Verdict.UNAVAILABLE)
    if phases != [pam.PAM_SUCCESS] or not request.password or _is_root(request.account):
        return Answer(Verdict.WRONG)
    if authenticator.code == pam.PAM_SUCCESS:
        return Answer(Verdict.RIGHT)
    if authenticator.code == pam.PAM_NEW_AUTHTOK_REQD:
        return Answer(Verdict.EXPIRED)
    return Answer(Verdict.CLOSED)


def _is_root(name: str) -> bool:
    """Tell whether an account is root's: its password is nobody's to guess through a web page."""
    try:
        return pwd.getpwnam(name).pw_uid == 0
    except (KeyError, ValueError):
        return False


def _change(request: Request, new: bytes, service: str) -> Answer:
    """Change a password as the user would with passwd(1), so that no rule is waived.

    PAM modules ask root for no old password and hold root to no rules; they go by the real uid.
    """
    user = pwd.getpwnam(request.account)
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresuid(user.pw_uid, 0, 0)
    said: list[str] = []
    conversation = _conversation([request.password, new, new], said)
    try:
        handle = pamela.pam_start(service, user.pw_name, conv_func=conversation)
        pamela.pam_end(handle, pamela.PAM_CHAUTHTOK(handle, 0))
    except pamela.PAMError as error:
        if error.errno in _BROKEN:
            return Answer(Verdict.UNAVAILABLE)
        return Answer(Verdict.REFUSED, _plain(said[0] if said else ""))
    return Answer(Verdict.CHANGED)


def _conversation(answers: list[bytes], said: list[str]) -> Any:
    """Answer each hidden prompt in turn and keep what the rules say; more prompts end it."""

    def converse(count: int, messages: Any, responses: Any, _data: Any) -> int:
        memory = pamela.CALLOC(count, sizeof(pamela.PamResponse))
        responses[0] = cast(memory, POINTER(pamela.PamResponse))
        for index in range(count):
            message = messages[index].contents
            if message.msg_style == pamela.PAM_PROMPT_ECHO_OFF:
                if not answers:
                    return int(pam.PAM_CONV_ERR)
                responses.contents[index].resp = pamela.STRDUP(answers.pop(0))
            elif message.msg_style == pamela.PAM_ERROR_MSG:
                said.append((cast(message.msg, c_char_p).value or b"").decode("utf-8", "replace"))
        return int(pam.PAM_SUCCESS)

    return pamela.CONV_FUNC(converse)


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
