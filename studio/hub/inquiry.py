"""What the hub says of a model before any of it is fetched: its files, its licence, and its config.json."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from studio.adapters import Card, Download
from studio.errors import BadInput, NotFound, StudioError, Unreachable
from studio.hub.cache import COMMIT
from studio.hub.fetch import File, client, read_file, token_kept_home
from studio.hub.ids import check_id
from studio.hub.tokens import Gated, Token

CONFIG = "config.json"
WEIGHTS = frozenset(("model.safetensors", "model.safetensors.index.json"))
OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
MOST_CONFIG = 8_000_000  # bytes; those of 20,000 classes have two million
MOST_LISTING = 64_000_000
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
SECONDS = 15.0
UNSTATED = "not stated by its authors"
# What authors call licences that forbid earning money with a model.
NOT_FOR_SALE = re.compile(r"(^|[^a-z])nc([^a-z]|$)|non.?commercial|research.?only", re.IGNORECASE)


@dataclass(frozen=True)
class Inquiry:
    """What the hub says of a model. ``patterns`` are of its weights, which take ``bytes``; ``config`` is untrusted."""

    hub_id: str
    commit: str
    patterns: tuple[str, ...]
    bytes: int
    licence: str
    commercial: bool
    gated: bool
    config: Mapping[str, Any]


def inquire(endpoint: str, hub_id: str, tokens: Sequence[Token | None]) -> Inquiry:
    """Ask the hub about a model; ``tokens`` are tried in turn where it wants to know who asks.

    Raises NotFound, Gated, BadInput where it holds no safetensors or no config.json, and Unreachable.
    """
    host = urlsplit(endpoint).hostname or endpoint
    try:
        with client(SECONDS) as asking:
            asking.event_hooks = {"request": [token_kept_home(endpoint)]}
            return _Asking(asking, endpoint, host, hub_id, tokens).answer()
    except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError, httpx.InvalidURL) as error:
        raise Unreachable(f"{host} does not answer. Try again when there is a network.") from error


@dataclass
class _Asking:
    client: httpx.Client
    endpoint: str
    host: str
    hub_id: str
    tokens: Sequence[Token | None]

    def answer(self) -> Inquiry:
        url = f"{self.endpoint}/api/models/{self.hub_id}/revision/main"
        data = self._json(url, self._missing, MOST_LISTING, blobs="true")
        with _sound(self.host):
            hub_id, commit = check_id(str(data["id"])), str(data["sha"])
            files = {file.name: file for file in map(read_file, data["siblings"])}
            if not COMMIT.fullmatch(commit):
                raise ValueError(f"it names a version that cannot be, “{commit[:60]}”")
        self.hub_id = hub_id  # as the hub writes it, where a model was renamed
        gated = bool(data.get("gated"))
        licence, commercial = _licence(data)
        two_ways = OPEN_CLIP_CONFIG in files and OPEN_CLIP_WEIGHTS in files
        if two_ways and (CONFIG not in files or not WEIGHTS.intersection(files)):
            patterns, size, config = self._of_open_clip(files, commit, gated)
        else:
            patterns, size = self._weights(files)
            config = self._config(CONFIG, files, commit, gated)
            # Such a config.json is of the half that sees, for another package.
            if two_ways and "model_type" not in config:
                patterns, size, config = self._of_open_clip(files, commit, gated)
        return Inquiry(hub_id, commit, patterns, size, licence, commercial, gated, config)

    def _of_open_clip(
        self, files: Mapping[str, File], commit: str, gated: bool
    ) -> tuple[tuple[str, ...], int, dict[str, Any]]:
        """Return the patterns and bytes of the weights, and the config, of a model of open_clip."""
        config = self._config(OPEN_CLIP_CONFIG, files, commit, gated)
        return (OPEN_CLIP_WEIGHTS,), files[OPEN_CLIP_WEIGHTS].size, config

    def _config(self, name: str, files: Mapping[str, File], commit: str, gated: bool) -> dict[str, Any]:
        if name not in files or files[name].size > MOST_CONFIG:
            raise BadInput(
                f"{self.hub_id} has no config.json that says what it is: it is no model of transformers."
            )
        url = f"{self.endpoint}/{self.hub_id}/resolve/{commit}/{quote(name)}"
        return self._json(url, self._closed if gated else self._missing, MOST_CONFIG)

    def _json(
        self, url: str, refuse: Callable[[int, Token | None], StudioError], most: int, **query: str
    ) -> dict[str, Any]:
        """Return what lies at an address: an object. ``refuse`` makes the error where no token opens it."""
        status, last = 0, None
        for token in self.tokens:
            headers = {"authorization": f"Bearer {token.secret}"} if token else {}
            with self.client.stream("GET", url, params=query, headers=headers) as answer:
                status, last = answer.status_code, token
                if status < 400:
                    return self._read(answer, most)
            if status not in (401, 403, 404):
                break
        if status in (401, 403, 404):
            raise refuse(status, last)
        wait = " It asks to wait: try again in some minutes." if status == 429 else " Try again later."
        raise Unreachable(f"{self.host} cannot say what {self.hub_id} is now (it answered {status}).{wait}")

    def _read(self, answer: httpx.Response, most: int) -> dict[str, Any]:
        text = bytearray()
        for piece in answer.iter_bytes():
            text += piece
            if len(text) > most:
                raise BadInput(f"What {self.host} says of {self.hub_id} is too long to be read.")
        with _sound(self.host):
            data = json.loads(text)
            if not isinstance(data, dict):
                raise ValueError(f"it is a {type(data).__name__}")
        return data

    def _missing(self, status: int, token: Token | None) -> StudioError:
        return NotFound(
            f"There is no model {self.hub_id} at {self.host}, or it is not open to everybody. Look at its page there "
            "for how its id is written."
        )

    def _closed(self, status: int, token: Token | None) -> StudioError:
        card = Card(
            id="",
            title=self.hub_id,
            family="",
            roles=(),
            prompts=(),
            licence="",
            load=lambda *_: None,
            memory_bytes=0,
            download=Download(self.hub_id, 0, gated=True),
        )
        return Gated(card, self.endpoint, token, known=status == 403)

    def _weights(self, files: Mapping[str, File]) -> tuple[tuple[str, ...], int]:
        """Return the patterns of a model's weights, and how many bytes they have."""
        if "model.safetensors" in files:
            return ("model.safetensors",), files["model.safetensors"].size
        shards = [
            file for name, file in files.items() if re.fullmatch(r"model-\d+-of-\d+\.safetensors", name)
        ]
        if shards and "model.safetensors.index.json" in files:
            return ("model-*.safetensors",), sum(file.size for file in shards)
        if any(name.endswith(PICKLES) for name in files):
            raise BadInput(
                f"{self.hub_id} holds its weights only in files that may run anything when they are opened. Only "
                "safetensors are taken: look for a version of the model that has them."
            )
        raise BadInput(f"{self.hub_id} holds no model.safetensors, so there is nothing to load.")


class _sound(suppress):
    """Turns what a malformed answer raises into a sentence."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if isinstance(error, ValueError | LookupError | TypeError | AttributeError) and not isinstance(
            error, StudioError
        ):
            raise StudioError(f"{self._host} did not answer as a hub does: {str(error)[:200]}.") from error
        return False


def _licence(data: Mapping[str, Any]) -> tuple[str, bool]:
    """Return a model's licence as its authors state it, and whether it may be used to earn money."""
    card = data.get("cardData")
    card = card if isinstance(card, Mapping) else {}
    tags = data.get("tags") if isinstance(data.get("tags"), list) else []
    tagged = [str(tag).removeprefix("license:") for tag in tags if str(tag).startswith("license:")]
    stated = card.get("license") or (tagged[0] if tagged else "")
    if isinstance(stated, list):
        stated = ", ".join(map(str, stated))
    if stated in ("other", "unknown", ""):
        stated = card.get("license_name") or (f"{stated}, see its page" if stated else UNSTATED)
    text = " ".join(re.sub(r"[^\w ,./+:()-]", " ", str(stated)).split())[:80] or UNSTATED
    return text, not NOT_FOR_SALE.search(text)
