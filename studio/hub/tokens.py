"""The access tokens that people gave to open gated models, each for the one who gave it alone.

They are kept in the memory of this process and nowhere else, and so are gone when the studio stops. Not in the
browser: gr.BrowserState encrypts with a secret that every visitor's page is told, and would send the token along with
each event that reads it.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from studio.adapters import Card
from studio.errors import BadInput, NotAllowed

MOST = 10_000
KEPT_SECONDS = 24 * 3600.0
SHAPE = re.compile(r"[A-Za-z0-9_.\-]{8,400}")


@dataclass(frozen=True)
class Token:
    """An access token, which nothing that prints it shows. ``own`` says that a person gave it for himself."""

    secret: str = field(repr=False)
    own: bool = True

    def __str__(self) -> str:
        return "Token(…)"


class Gated(NotAllowed):
    """A model's files are given only to those who asked for them.

    ``known`` says that a token was sent which the hub knows, and which does not open this model.
    """

    def __init__(self, card: Card, endpoint: str, token: Token | None, *, known: bool) -> None:
        self.card, self.known = card, known and token is not None
        host, address = urlsplit(endpoint).hostname, model_address(endpoint, card)
        ask = f"Open {address}, accept its licence"
        if token is None:
            text = (
                f"{card.title} is given only to those who asked for it. {ask}, then give your access token below; "
                "who runs this studio can give one for everybody (“hf auth login”, or HF_TOKEN)."
            )
        elif known:
            whose = "your access token" if token.own else "the access token that this studio was started with"
            text = (
                f"{host} knows {whose}, but does not open {card.title} to it yet. {ask} with the same account, and "
                "where its authors must agree first, wait for that. A fine-grained token also needs the right to read "
                "gated repositories."
            )
        elif token.own:
            text = (
                f"{host} does not accept your access token: it may be mistyped, expired or revoked. It was forgotten; "
                f"make another at {tokens_address(endpoint)} and give it below."
            )
        else:
            text = (
                f"{host} does not accept the access token that this studio was started with: it may be expired or "
                f"revoked. {ask}, then give your own access token below."
            )
        super().__init__(text)


def model_address(endpoint: str, card: Card) -> str:
    """Return the page on which a person asks for a model."""
    return f"{endpoint}/{card.download.hub_id if card.download else ''}"


def tokens_address(endpoint: str) -> str:
    """Return the page on which a person makes an access token."""
    return f"{endpoint}/settings/tokens"


def origin(url: str) -> tuple[str, str, int | None]:
    """Return what a token may be sent to: scheme, host and port of an address."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


def encrypted(url: str) -> bool:
    """Say whether nobody on the way to an address can read along; the way to this machine itself has nobody."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


class Tokens:
    """One token a person, for a day at most."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, Token]] = OrderedDict()
        self._lock = threading.Lock()

    def give(self, person: str, text: str) -> None:
        """Keep a person's token. Raises BadInput, which does not repeat it, for what can be none."""
        text = text.strip()
        if not SHAPE.fullmatch(text):
            raise BadInput(
                "This is no access token. One is a single word of letters and digits that begins with “hf_”; copy "
                "the whole of it."
            )
        with self._lock:
            self._kept[person] = time.monotonic(), Token(text)
            self._kept.move_to_end(person)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def of(self, person: str) -> Token | None:
        with self._lock:
            given, token = self._kept.get(person, (0.0, None))
            if token is not None and time.monotonic() - given > KEPT_SECONDS:
                del self._kept[person]
                return None
            return token

    def forget(self, person: str) -> None:
        with self._lock:
            self._kept.pop(person, None)
