"""Authenticators: started, completed with a first code, listed, removed."""

from typing import Any
from urllib.parse import quote

from msgspec import UNSET

from store.errors import NotFoundError
from store.sessions import Stage
from store.totp_factors import TotpFactor
from web_admin.api.call import Call
from web_admin.api.endpoint import PREFIX, Endpoint, Proof, Reply, Who
from web_admin.api.handlers.authentication import rise
from web_admin.api.models import CompletedTotp, Completion, NewTotp, StartedTotp, Totp, Totps
from web_admin.api.paging import page
from web_admin.api.problems import Code
from web_admin.api.qr_codes import draw
from web_admin.api.queries import TotpQuery

_ALL = "/users/{id}/auth-factors/totp"
_ONE = _ALL + "/{totpId}"


def start(call: Call, wanted: NewTotp, account: str) -> Reply:
    """Make a secret and show it, this once."""
    begun = call.store.totp_factors.begin(account, wanted.name, call.actor)
    answer = StartedTotp(
        **_fields(begun.factor),
        secret=begun.secret.text(),
        otpauth_uri=begun.uri.text(),
        qr_code=draw(begun.uri),
    )
    location = f"{PREFIX}/users/{quote(account, safe='')}/auth-factors/totp/{begun.factor.id}"
    return Reply(answer, 201, location)


def complete(call: Call, given: Completion, account: str, totp_id: str) -> Reply:
    """Take the first code; with the first authenticator come the recovery codes."""
    factors = call.store.totp_factors
    completion = factors.complete(account, totp_id, given.code, call.actor)
    codes = [code.text() for code in completion.recovery_codes]
    session = call.caller.session
    must = session is not None and session.stage is Stage.ENROLLMENT
    risen = rise(call, session) if must and session is not None else None
    return Reply(CompletedTotp(**_fields(completion.factor), recovery_codes=codes, session=risen))


def list_all(call: Call, wanted: TotpQuery, account: str) -> Reply:
    """List the authenticators, pending ones included."""
    factors = [Totp(**_fields(factor)) for factor in call.store.totp_factors.list(account)]
    if wanted.status is not UNSET:
        factors = [factor for factor in factors if factor.status == wanted.status]
    found, cursor = page(
        factors,
        lambda factor: (factor.created_at, factor.id),
        wanted.limit,
        wanted.cursor,
        newest_first=False,
    )
    return Reply(Totps(found, cursor))


def show(call: Call, account: str, totp_id: str) -> Reply:
    """Show one authenticator."""
    for factor in call.store.totp_factors.list(account):
        if factor.id == totp_id:
            return Reply(Totp(**_fields(factor)))
    message = f"{account} has no authenticator {totp_id}"
    raise NotFoundError(message)


def remove(call: Call, account: str, totp_id: str) -> Reply:
    """Remove an authenticator."""
    call.store.totp_factors.delete(account, totp_id, call.actor)
    return Reply(status=204)


def remove_all(call: Call, account: str) -> Reply:
    """Remove every authenticator."""
    call.store.totp_factors.delete_all(account, call.actor)
    return Reply(status=204)


def _fields(factor: TotpFactor) -> dict[str, Any]:
    return {
        "id": factor.id,
        "name": factor.name,
        "status": "pending" if factor.completed_at is None else "active",
        "created_at": factor.created_at,
        "completed_at": factor.completed_at,
        "last_used_at": factor.last_used_at,
    }


ENDPOINTS = (
    Endpoint(
        "POST",
        _ALL,
        start,
        "Start the enrollment of an authenticator",
        Who.OWNER,
        StartedTotp,
        201,
        Proof.PERSON,
        body=NewTotp,
        example=NewTotp("phone"),
        before_enrollment=True,
        problems=(Code.LIMIT_REACHED, Code.REFUSED),
        description="Replaces a pending one. The secret is in this answer and nowhere else; it "
        "counts for nothing until the enrollment is completed with a code.",
    ),
    Endpoint(
        "GET",
        _ALL,
        list_all,
        "List the authenticators",
        Who.OWNER,
        Totps,
        query=TotpQuery,
        before_enrollment=True,
    ),
    Endpoint(
        "DELETE",
        _ALL,
        remove_all,
        "Remove every authenticator: the account leaves MFA",
        Who.OWNER,
        status=204,
        proof=Proof.PERSON,
    ),
    Endpoint(
        "GET",
        _ONE,
        show,
        "Show an authenticator",
        Who.OWNER,
        Totp,
        problems=(Code.NOT_FOUND,),
        before_enrollment=True,
    ),
    Endpoint(
        "DELETE",
        _ONE,
        remove,
        "Remove an authenticator",
        Who.OWNER,
        status=204,
        proof=Proof.PERSON,
        problems=(Code.NOT_FOUND,),
        description="With the last one the account leaves MFA. Its other sessions end.",
    ),
    Endpoint(
        "POST",
        _ONE + "/complete",
        complete,
        "Complete an enrollment with the first code",
        Who.OWNER,
        CompletedTotp,
        proof=Proof.PERSON,
        body=Completion,
        example=Completion("492039"),
        before_enrollment=True,
        problems=(Code.NOT_FOUND, Code.ENROLLMENT_REFUSED),
        description="With the account's first authenticator come ten recovery codes, shown this "
        "once, and its other sessions end.",
    ),
)
