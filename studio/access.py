"""Who is asking. A browser is known by a random cookie; a person's id is a digest of it.

The id goes into annotations that others may read, so it must not be the cookie itself.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from contextvars import ContextVar
from http.cookies import CookieError, SimpleCookie
from typing import Any

LOCAL = "local"
COOKIE = "onelabel_person"
HEADER = "x-onelabel-person"
_TOKEN = re.compile(r"[0-9a-f]{64}")

# Server functions of a component get no request object; they run in a copy of the request's context.
_person: ContextVar[str | None] = ContextVar("onelabel_person", default=None)


def person_of_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def current_person() -> str | None:
    """Return the person whose request is being answered in this context, or None outside of one."""
    return _person.get()


class PersonMiddleware:
    """ASGI middleware: makes the person known to everything below, and gives new browsers a cookie.

    ``people="one"``: everybody is LOCAL. ``people="each"``: each browser is a person of its own.
    """

    def __init__(self, app: Any, people: str = "one") -> None:
        self.app = app
        self.people = people

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        token, fresh = (None, False) if self.people == "one" else _token_of(scope)
        person = LOCAL if token is None else person_of_token(token)
        # Queued events run outside this context, with the request's headers: so the person goes there too,
        # and whatever a client sent under that name is taken out.
        headers = [(k, v) for k, v in scope["headers"] if k.lower() != HEADER.encode()]
        scope = {**scope, "headers": [*headers, (HEADER.encode(), person.encode())]}

        async def send_with_cookie(message: dict) -> None:
            if fresh and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), _set_cookie(scope, token)]}
            await send(message)

        mark = _person.set(person)
        try:
            await self.app(scope, receive, send_with_cookie)
        finally:
            _person.reset(mark)


def _token_of(scope: dict) -> tuple[str, bool]:
    jar = SimpleCookie()
    for key, value in scope["headers"]:
        if key.lower() == b"cookie":
            try:
                jar.load(value.decode("latin-1"))
            except CookieError:
                continue
    found = jar[COOKIE].value if COOKIE in jar else ""
    return (found, False) if _TOKEN.fullmatch(found) else (secrets.token_hex(32), True)


def _set_cookie(scope: dict, token: str) -> tuple[bytes, bytes]:
    headers = dict(scope["headers"])
    secure = scope.get("scheme") == "https" or headers.get(b"x-forwarded-proto", b"").startswith(b"https")
    # A Space shows the page in a frame of another site: there the cookie must be SameSite=None.
    site = "SameSite=None; Secure; Partitioned" if secure else "SameSite=Lax"
    return b"set-cookie", f"{COOKIE}={token}; Path=/; Max-Age=31536000; HttpOnly; {site}".encode()
