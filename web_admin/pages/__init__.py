"""Every page with its address and who may open it."""

from web_admin.pages import (
    activity,
    administration,
    authenticators,
    confirmation,
    language,
    password,
    profile,
    sessions,
    sign_in,
    tokens,
    users,
)
from web_admin.routes import Route

ROUTES: tuple[Route, ...] = (
    *sign_in.ROUTES,
    *profile.ROUTES,
    *confirmation.ROUTES,
    *authenticators.ROUTES,
    *tokens.ROUTES,
    *password.ROUTES,
    *sessions.ROUTES,
    *activity.ROUTES,
    *administration.ROUTES,
    *users.ROUTES,
    *language.ROUTES,
)
