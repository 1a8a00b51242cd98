"""The hub, and plain addresses, as the studio sees them: is a model here, can it be fetched, fetch it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from studio.adapters import Card
from studio.devices import size_text
from studio.errors import BadInput, Cancelled, NotFound, StudioError, Unreachable
from studio.hub.cache import Repository, default_cache
from studio.hub.ids import check_id
from studio.hub.tokens import Gated, Token, Tokens, encrypted

if TYPE_CHECKING:
    from studio.hub.fetch import Fetch
    from studio.hub.inquiry import Inquiry

State = Literal["ready", "absent", "no download"]

REMEMBERED_SECONDS = 30.0


class NeedsDownload(StudioError):
    """A model's files are not here yet; holds the card, and the one to use instead meanwhile."""

    def __init__(self, card: Card, instead: Card | None) -> None:
        self.card, self.instead = card, instead
        other = f", or use {instead.title}, which needs none" if instead else ""
        super().__init__(f"{card.title} is not on this machine yet. Download it ({_facts(card)}){other}.")


@dataclass
class _Download:
    """A download under way, which everybody asking for the same model watches."""

    fetch: Fetch | None = None
    over: threading.Event = field(default_factory=threading.Event)


class Hub:
    """The hub at ``endpoint``, with its cache on this machine.

    By default HF_ENDPOINT, HF_HUB_OFFLINE, and HF_HUB_CACHE or HF_HOME are honoured, and the token that
    ``hf auth login`` or HF_TOKEN gave is sent; for a gated model, before it, the one in ``tokens`` of who asks.
    """

    def __init__(
        self, endpoint: str | None = None, cache: Path | None = None, *, offline: bool | None = None
    ) -> None:
        self.endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self._cache = cache or default_cache()
        self._offline = _switched_off() if offline is None else offline
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[float, bool]] = {}  # by address: when, and whether it answered
        self._downloads: dict[str, _Download] = {}
        self.tokens = Tokens()

    def state(self, card: Card) -> State:
        if card.download is None:
            return "no download"
        return "ready" if Repository(self._cache, card.download).complete() else "absent"

    def folder(self, card: Card) -> str | None:
        """Return where a card's files lie, None for a card without any. Raises NotFound while absent."""
        if card.download is None:
            return str(card.folder) if card.folder else None
        found = Repository(self._cache, card.download).complete()
        if found is None:
            raise NotFound(f"The files of {card.title} are not on this machine.")
        return str(found)

    def progress(self, card: Card) -> tuple[int, int] | None:
        """Return (bytes done, bytes in all) of a download under way, whoever started it, or None."""
        with self._lock:
            download = self._downloads.get(card.id)
        if download is None:
            return None
        fetch = download.fetch
        return (fetch.done, fetch.total) if fetch else (0, card.download.bytes if card.download else 0)

    def reachable(self, timeout: float = 2.0) -> bool:
        """Say within ``timeout`` seconds whether the hub answers; remembered for half a minute."""
        return self._reaches(self.endpoint, timeout)

    def _reaches(self, endpoint: str, timeout: float) -> bool:
        if self._offline:
            return False
        with self._lock:
            when, found = self._asked.get(endpoint, (-REMEMBERED_SECONDS, False))
            if time.monotonic() - when < REMEMBERED_SECONDS:
                return found
        answer: list[bool] = []
        # A name server that does not answer blocks for longer than any timeout reaches, hence the thread.
        asking = threading.Thread(target=lambda: answer.append(_answers(endpoint, timeout)), daemon=True)
        asking.start()
        asking.join(timeout)
        found = bool(answer and answer[0])
        with self._lock:
            self._asked[endpoint] = (time.monotonic(), found)
        return found

    def _can_fetch(self, source: str) -> bool:
        return self.reachable() if source == self.endpoint else self._reaches(source, 2.0)

    def _source(self, card: Card) -> str:
        """Return the server that a card's files come from."""
        if card.download is None or not card.download.addresses:
            return self.endpoint
        address = urlsplit(card.download.addresses[0].url)
        return f"{address.scheme}://{address.netloc}"

    def absent(self, card: Card, instead: Card | None) -> StudioError:
        """Return, within 2 s, the error for a card whose files are not here: NeedsDownload or Unreachable."""
        source = self._source(card)
        if self._can_fetch(source):
            return NeedsDownload(card, instead)
        if self._offline:
            why = "Downloads are switched off here (HF_HUB_OFFLINE)"
        else:
            why = f"{urlsplit(source).hostname or source} does not answer"
        other = f"Use {instead.title}, which needs no download, or try" if instead else "Try"
        return Unreachable(
            f"{why}, and {card.title} ({_facts(card)}) is not on this machine yet. {other} again when there "
            "is a network."
        )

    def download(
        self,
        card: Card,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        instead: Card | None = None,
        person: str = "",
    ) -> str | None:
        """Fetch a card's files, going on from what an earlier try left, and return their folder.

        ``progress`` is told (bytes done, bytes in all) and ``cancel`` is asked several times a second.
        Somebody else's download of the same model is joined. Raises Unreachable, which names ``instead``;
        Gated where access must be asked for first, by ``person``; Cancelled; StudioError where the disk is too small.
        """
        tell, cancelled = progress or (lambda done, total: None), cancel or (lambda: False)
        while self.state(card) == "absent":
            with self._lock:
                other = self._downloads.get(card.id)
                if other is None:
                    mine = self._downloads[card.id] = _Download()
            if other is None:
                try:
                    self._fetch(card, mine, tell, cancelled, instead, person)
                finally:
                    with self._lock:
                        del self._downloads[card.id]
                    mine.over.set()
                break
            while not other.over.wait(0.2):
                tell(*(self.progress(card) or (0, 0)))
                if cancelled():
                    raise Cancelled(f"{card.title}: somebody else is still fetching it.")
        return self.folder(card)

    def _fetch(
        self,
        card: Card,
        download: _Download,
        tell: Callable[[int, int], None],
        cancelled: Callable[[], bool],
        instead: Card | None,
        person: str,
    ) -> None:
        from studio.hub.fetch import Fetch

        if card.download is None:
            return
        source = self._source(card)
        with self._lock:
            if not self._asked.get(source, (0, True))[1]:
                del self._asked[source]  # somebody asks for it now: the network may be back
        if not self._can_fetch(source):
            raise self.absent(card, instead)
        repository = Repository(self._cache, card.download)
        token = self._token_for(card, person)
        fetch = Fetch(card, card.download, source, repository, tell, cancelled, token)
        fetch.total = card.download.bytes
        download.fetch = fetch
        try:
            fetch.run()
        except Gated as error:
            if token and token.own and not error.known:
                self.tokens.forget(person)  # it opens nothing: mistyped, expired or revoked
            raise

    def inquire(self, hub_id: str, person: str = "") -> Inquiry:
        """Ask what a model on the hub is, and fetch none of it but its config.json.

        Raises BadInput where it cannot be used or the id is none, NotFound, Gated, and Unreachable.
        """
        from studio.hub import inquiry

        hub_id = check_id(hub_id)
        if self._offline or not self.reachable():
            host = urlsplit(self.endpoint).hostname or self.endpoint
            why = (
                "Downloads are switched off here (HF_HUB_OFFLINE)"
                if self._offline
                else f"{host} does not answer"
            )
            raise Unreachable(
                f"{why}, so nobody can say what {hub_id} is. Try again when there is a network."
            )
        given = _token()
        shared = Token(given, own=False) if given else None
        tokens = [token for token in (shared, self.tokens.of(person)) if token]
        return inquiry.inquire(self.endpoint, hub_id, tokens or [None])

    def give_token(self, person: str, text: str) -> None:
        """Keep a person's access token, for gated models. Raises BadInput where it is none, or not safe to send."""
        if not encrypted(self.endpoint):
            raise BadInput(
                f"This studio fetches models from {self.endpoint}, which is not encrypted: a token sent there could be "
                "read on the way. It was not kept."
            )
        self.tokens.give(person, text)

    def _token_for(self, card: Card, person: str) -> Token | None:
        """Return the person's own token for a gated model, else the one that the studio was started with."""
        own = self.tokens.of(person) if card.download and card.download.gated else None
        given = None if own else _token()
        return own or (Token(given, own=False) if given else None)


def _answers(endpoint: str, timeout: float) -> bool:
    import httpx

    from studio.hub.fetch import client

    try:
        with client(timeout) as asking:
            asking.head(endpoint + "/", follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        return False
    return True


def _facts(card: Card) -> str:
    count = card.download.bytes if card.download else 0
    return f"{size_text(count)}, licence {card.licence}"


def _switched_off() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()
