"""Every endpoint there is: what is not in this list does not exist."""

from web_admin.api.endpoint import Endpoint
from web_admin.api.handlers import (
    audit,
    authentication,
    recovery_codes,
    service,
    sessions,
    tokens,
    totp,
    users,
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *authentication.ENDPOINTS,
    *tokens.ENDPOINTS,
    *totp.ENDPOINTS,
    *recovery_codes.ENDPOINTS,
    *users.ENDPOINTS,
    *sessions.ENDPOINTS,
    *audit.ENDPOINTS,
    *service.ENDPOINTS,
)
