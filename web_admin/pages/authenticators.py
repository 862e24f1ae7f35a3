"""Multi-factor authentication: set an authenticator up, see what there is, remove it.

The secret and the recovery codes stand in the answer to the form that made them and nowhere else:
no address, history or cache has them, and sending the form again makes nothing.
"""

import re

from store.errors import EnrollmentError, LimitError, NotFoundError, RequestError
from store.names import factor_name
from store.sessions import Stage
from store.totp_factors import TotpFactor
from web_admin.pages.codes import qr_code
from web_admin.routes import Answer, Download, Need, Page, Redirect, Route
from web_admin.visit import Visit

_CODE = re.compile(r"[a-z2-7]{4}(-[a-z2-7]{4}){3}")
_MAX_CODES = 10


def show(visit: Visit) -> Answer:
    """Show the authenticators, or how to set the first one up."""
    return _overview(visit)


def begin(visit: Visit) -> Answer:
    """Make a secret and show it as QR code and text."""
    if visit.me.stage is Stage.FULL and not visit.me.confirmed:
        return Redirect("/confirm?next=/mfa")
    try:
        name = factor_name(visit.text("name") or visit.words.say("mfa.default_name"))
    except RequestError:
        return _overview(visit, "name", 400)
    try:
        enrollment = visit.site.store.totp_factors.begin(visit.me.account, name, visit.actor)
    except LimitError:
        return _overview(visit, "limit", 400)
    key = enrollment.secret.text()
    values = {
        "factor": enrollment.factor,
        "image": qr_code(enrollment.uri),
        "key": [key[start : start + 4] for start in range(0, len(key), 4)],
        "problem": None,
    }
    return Page("enroll", values)


def complete(visit: Visit, factor_id: str) -> Answer:
    """Take the first code; with the first authenticator come the recovery codes."""
    if visit.me.stage is Stage.FULL and not visit.me.confirmed:
        return Redirect("/confirm?next=/mfa")
    factors = visit.site.store.totp_factors
    try:
        completion = factors.complete(visit.me.account, factor_id, visit.text("code"), visit.actor)
    except NotFoundError:
        return _overview(visit, "replaced", 409)
    except EnrollmentError:
        pending = [factor for factor in factors.list(visit.me.account) if factor.id == factor_id]
        if not pending or pending[0].completed_at is not None:
            return _overview(visit, "replaced", 409)
        values = {"factor": pending[0], "image": None, "key": None, "problem": "wrong"}
        return Page("enroll", values, 400)
    visit.raise_session()
    if not completion.recovery_codes:
        return Redirect("/mfa?done=totp_added")
    codes = [code.text() for code in completion.recovery_codes]
    return Page("recovery_codes", {"codes": codes, "is_first": True})


def ask_removal(visit: Visit, factor_id: str) -> Answer:
    """Ask whether an authenticator is really to go."""
    factor = _find(visit, factor_id)
    return Page("remove_totp", {"factor": factor, "is_last": len(_active(visit)) == 1})


def remove(visit: Visit, factor_id: str) -> Answer:
    """Remove an authenticator; other sessions end."""
    visit.site.store.totp_factors.delete(visit.me.account, factor_id, visit.actor)
    return Redirect("/mfa?done=totp_removed")


def ask_renewal(_visit: Visit) -> Answer:
    """Ask whether the recovery codes are really to be replaced."""
    return Page("renew_codes")


def renew(visit: Visit) -> Answer:
    """Make new recovery codes and show them."""
    codes = visit.site.store.recovery_codes.renew(visit.me.account, visit.actor)
    return Page("recovery_codes", {"codes": [code.text() for code in codes], "is_first": False})


def download(visit: Visit) -> Answer:
    """Give the codes that the page shows back as a file; they are known nowhere else."""
    codes = [code for code in visit.text("codes").split() if _CODE.fullmatch(code)][:_MAX_CODES]
    head = visit.words.say("codes.file", account=visit.me.account, host=visit.host)
    text = "".join(f"{line}\n" for line in [head, "", *codes])
    return Download("recovery-codes.txt", "text/plain; charset=UTF-8", [text])


def _overview(visit: Visit, problem: str | None = None, status: int = 200) -> Page:
    values = {
        "factors": _active(visit),
        "codes_left": visit.site.store.recovery_codes.left(visit.me.account),
        "must": visit.me.stage is Stage.ENROLLMENT,
        "problem": problem,
    }
    return Page("mfa", values, status)


def _active(visit: Visit) -> list[TotpFactor]:
    factors = visit.site.store.totp_factors.list(visit.me.account)
    return [factor for factor in factors if factor.completed_at is not None]


def _find(visit: Visit, factor_id: str) -> TotpFactor:
    for factor in _active(visit):
        if factor.id == factor_id:
            return factor
    raise NotFoundError(factor_id)


ROUTES = (
    Route("GET", "/mfa", Need.ENROLLMENT, show),
    Route("POST", "/mfa/authenticators", Need.ENROLLMENT, begin),
    Route("POST", "/mfa/authenticators/<factor_id>/complete", Need.ENROLLMENT, complete),
    Route("GET", "/mfa/authenticators/<factor_id>/remove", Need.CONFIRMED, ask_removal),
    Route("POST", "/mfa/authenticators/<factor_id>/remove", Need.CONFIRMED, remove),
    Route("GET", "/mfa/recovery-codes", Need.CONFIRMED, ask_renewal),
    Route("POST", "/mfa/recovery-codes", Need.CONFIRMED, renew),
    Route("POST", "/mfa/recovery-codes/download", Need.FULL, download),
)
