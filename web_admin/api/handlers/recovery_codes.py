"""Recovery codes: made anew and shown once, counted, deleted."""

from urllib.parse import quote

from web_admin.api.call import Call
from web_admin.api.endpoint import PREFIX, Endpoint, Proof, Reply, Who
from web_admin.api.models import RecoveryCodesLeft, RecoveryCodesMade
from web_admin.api.problems import Code

_ALL = "/users/{id}/auth-factors/recovery-codes"


def renew(call: Call, account: str) -> Reply:
    """Make ten new codes in place of all earlier ones."""
    codes = call.store.recovery_codes.renew(account, call.actor)
    location = f"{PREFIX}/users/{quote(account, safe='')}/auth-factors/recovery-codes"
    return Reply(RecoveryCodesMade([code.text() for code in codes]), 201, location)


def count(call: Call, account: str) -> Reply:
    """Tell how many are left."""
    return Reply(RecoveryCodesLeft(call.store.recovery_codes.left(account)))


def delete(call: Call, account: str) -> Reply:
    """Delete all of them."""
    call.store.recovery_codes.delete(account, call.actor)
    return Reply(status=204)


ENDPOINTS = (
    Endpoint(
        "POST",
        _ALL,
        renew,
        "Make ten new recovery codes in place of all earlier ones",
        Who.OWNER,
        RecoveryCodesMade,
        201,
        Proof.PERSON,
        problems=(Code.REFUSED,),
        description="The codes are in this answer and nowhere else. Needs an active authenticator.",
    ),
    Endpoint(
        "GET", _ALL, count, "Count the recovery codes that are left", Who.OWNER, RecoveryCodesLeft
    ),
    Endpoint(
        "DELETE",
        _ALL,
        delete,
        "Delete the recovery codes",
        Who.OWNER,
        status=204,
        proof=Proof.PERSON,
    ),
)
