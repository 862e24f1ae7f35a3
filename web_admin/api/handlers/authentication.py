"""Log in with password and code, confirm, log out, change the password."""

from typing import assert_never

from store.audit import Actor
from store.decisions import ChallengeKind, ChallengeRequired, Denied, Granted, Protocol, Reason
from store.errors import NotFoundError, OvertakenError
from store.secret import Secret
from store.sessions import Session, Stage
from web_admin.api.call import Call, Via
from web_admin.api.credentials import check_code, check_password, find_session
from web_admin.api.endpoint import Endpoint, Proof, Reply, Who
from web_admin.api.models import (
    CodeValidation,
    Login,
    LoginAnswer,
    NewSession,
    PasswordChange,
    PasswordChanged,
)
from web_admin.api.problems import Code, Problem
from web_admin.broker_wire import Verdict
from web_admin.password_check import Checked, Finding

_BUSY_SECONDS = 60


def log_in(call: Call, given: Login) -> Reply:
    """Check the password and say what it is worth."""
    checked = check_password(call, given.account, Secret.of(given.password))
    account = checked.account
    decision = call.store.authentication.accept_password(call.attempt(account))
    match decision:
        case Granted():
            session = _begin(call, checked, Stage.FULL)[1]
            return Reply(LoginAnswer("logged_in", session))
        case ChallengeRequired(ChallengeKind.CODE):
            secret, _ = _begin(call, checked, Stage.CODE)
            seconds = call.site.settings.sessions.code_minutes * 60
            prompt = call.site.settings.pam.code_prompt
            return Reply(LoginAnswer("mfa_required", None, secret.text(), seconds, prompt))
        case ChallengeRequired(ChallengeKind.ENROLLMENT):
            session = _begin(call, checked, Stage.ENROLLMENT)[1]
            return Reply(LoginAnswer("enrollment_required", session))
        case Denied(Reason.ACCOUNT_BARRED):
            raise Problem(Code.ACCOUNT_BARRED)
        case _:
            raise Problem(Code.CREDENTIALS_REFUSED)


def validate_code(call: Call, given: CodeValidation) -> Reply:
    """Complete a login, or confirm a session anew."""
    session = call.visitor.session if call.visitor is not None else None
    if given.challenge is not None:
        session = find_session(call, Secret.of(given.challenge))
        if session is None or session.stage is not Stage.CODE:
            raise Problem(Code.SESSION_INVALID, "The challenge is over: log in again.")
    if session is None:
        raise Problem(Code.CREDENTIALS_MISSING, "A challenge or a session is needed.")
    check_code(call, session.account, Secret.of(given.code))
    return Reply(rise(call, session))


def log_out(call: Call) -> Reply:
    """End the session that asks."""
    session = _session(call)
    call.store.sessions.end(session.account, session.id, call.actor)
    return Reply(status=204)


def change_password(call: Call, given: PasswordChange) -> Reply:
    """Change it by the machine's own rules; sessions but this one end."""
    account, store = call.caller.account, call.store
    wait = store.password_throttle.enter(account, call.address, Protocol.API)
    if wait:
        raise Problem(Code.TOO_MANY_REQUESTS, retry_after=wait)
    old, new = Secret.of(given.old_password), Secret.of(given.new_password)
    answer = call.site.passwords.change(account, call.address, old, new)
    match answer.verdict:
        case Verdict.CHANGED:
            store.password_throttle.succeed(account, call.address)
            store.accounts.note_password_changed(account, call.actor)
            session = call.caller.session
            return Reply(PasswordChanged(rise(call, session) if session is not None else None))
        case Verdict.REFUSED:
            store.password_throttle.succeed(account, call.address)
            raise Problem(Code.PASSWORD_REFUSED, answer.text)
        case Verdict.BUSY:
            raise Problem(Code.TOO_MANY_REQUESTS, retry_after=_BUSY_SECONDS)
        case Verdict.WRONG | Verdict.CLOSED | Verdict.UNAVAILABLE:
            raise Problem(Code.OLD_PASSWORD_WRONG)
        case Verdict.RIGHT | Verdict.EXPIRED:
            raise AssertionError
    assert_never(answer.verdict)


def rise(call: Call, session: Session) -> NewSession:
    """Make a session full and confirmed, under a new secret."""
    actor = Actor(session.account, Protocol.API, call.address, session.id)
    try:
        secret, risen = call.store.sessions.rise(session, actor)
    except NotFoundError as error:  # it was ended from elsewhere in this very moment
        raise Problem(Code.SESSION_INVALID) from error
    return NewSession(risen.account, risen.id, secret.text())


def _begin(call: Call, checked: Checked, stage: Stage) -> tuple[Secret, NewSession]:
    attempt = call.attempt(checked.account)
    try:
        secret, session = call.store.sessions.begin(attempt, stage, call.agent, checked.generation)
    except OvertakenError as error:
        raise Problem(Code.CREDENTIALS_REFUSED, str(error)) from error
    is_expired = checked.finding is Finding.RIGHT_BUT_EXPIRED
    return secret, NewSession(checked.account, session.id, secret.text(), is_expired)


def _session(call: Call) -> Session:
    if call.caller.via is not Via.SESSION or call.caller.session is None:
        raise AssertionError
    return call.caller.session


ENDPOINTS = (
    Endpoint(
        "POST",
        "/auth/login",
        log_in,
        "Log in with account and password",
        Who.ANYBODY,
        LoginAnswer,
        body=Login,
        example=Login("alice", "correct horse battery staple"),
        problems=(
            Code.CREDENTIALS_REFUSED,
            Code.ACCOUNT_BARRED,
            Code.ACCOUNT_CLOSED,
            Code.TOO_MANY_REQUESTS,
        ),
        description="An unknown account and a wrong password give one and the same answer, after "
        "the same time. A new session counts as confirmed.",
    ),
    Endpoint(
        "POST",
        "/auth/mfa/totp/validate-code",
        validate_code,
        "Complete a login with a code, or confirm a session anew",
        Who.CHALLENGED,
        NewSession,
        body=CodeValidation,
        example=CodeValidation("492039", "8Rk2vXb1fT9mZq4LcW7sYd3hJn6pGa0eKu5iOxQwBtM"),
        problems=(
            Code.SESSION_INVALID,
            Code.CODE_REFUSED,
            Code.CODE_REPLAYED,
            Code.CODES_LOCKED,
            Code.ACCOUNT_BARRED,
            Code.NO_FACTOR,
        ),
        description="Answers a new secret of the session in both cases; the one from before opens "
        "nothing any more. An account without an authenticator confirms by logging in anew.",
    ),
    Endpoint("POST", "/auth/logout", log_out, "End the session that asks", Who.SESSION, status=204),
    Endpoint(
        "POST",
        "/auth/change-password",
        change_password,
        "Change one's own password",
        Who.SIGNED_IN,
        PasswordChanged,
        proof=Proof.PERSON,
        body=PasswordChange,
        example=PasswordChange("correct horse battery staple", "an orange hat for every 7th goose"),
        problems=(Code.OLD_PASSWORD_WRONG, Code.PASSWORD_REFUSED, Code.TOO_MANY_REQUESTS),
        description="By the machine's own rules, whose words are in `detail` where they refuse.",
    ),
)
