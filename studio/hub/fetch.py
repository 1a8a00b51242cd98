"""One download, from the hub or from plain addresses: list the files, stream what is missing, check it, place it.

huggingface_hub throws a half-fetched file away since 2.4; here a broken or cancelled download goes on from
where it was.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from studio.adapters import Address, Card, Download
from studio.devices import size_text
from studio.errors import Cancelled, NotFound, StudioError, Unreachable
from studio.hub.cache import (
    COMMIT,
    ETAG,
    WEIGHTS,
    Repository,
    address_commit,
    digest,
    file_name,
    is_safe,
    size,
    wanted,
)
from studio.hub.tokens import Gated, Token, origin

ATTEMPTS = 4  # in a row without a single new byte
TOLD_SECONDS = 0.1
MOST_GROWN = 2  # times what the card says; a file that is larger is not the one that was meant


def client(timeout: float) -> httpx.Client:
    headers = {"user-agent": "onelabel-studio", "accept-encoding": "identity"}
    return httpx.Client(timeout=timeout, follow_redirects=True, headers=headers)


def token_kept_home(endpoint: str) -> Callable[[httpx.Request], None]:
    """Return what takes the token out of a request not for the hub: redirects lead to stores of other people."""

    def keep(request: httpx.Request) -> None:
        if origin(str(request.url)) != origin(endpoint):
            request.headers.pop("authorization", None)

    return keep


@dataclass(frozen=True)
class File:
    """A file of a model as the hub lists it; ``etag`` is the digest of its content.

    One at a plain address has a ``url``. Where nobody tells its digest it is not ``checked`` by one, and ``etag``
    is made of what the server says of it: a file that was changed there is never gone on with.
    """

    name: str
    size: int
    etag: str
    url: str = ""
    checked: bool = True


@dataclass
class Fetch:
    """Fetches one card's files. ``done`` and ``total`` are bytes, and change while ``run`` goes on."""

    card: Card
    download: Download
    endpoint: str
    repository: Repository
    tell: Callable[[int, int], None]
    cancelled: Callable[[], bool]
    token: Token | None = None
    done: int = 0
    total: int = 0
    _client: httpx.Client = field(default_factory=lambda: client(5.0), repr=False)

    def run(self) -> None:
        self._client.event_hooks = {"request": [token_kept_home(self.endpoint)]}
        with self._client, self._errors_for_the_person():
            commit, files = self._listing()
            self.repository.blobs.mkdir(parents=True, exist_ok=True)
            self.total = sum(file.size for file in files)
            self._check_room(files)
            # Weights come last: where they lie, all else lies there too.
            for file in sorted(files, key=lambda f: (f.name.endswith(WEIGHTS), f.name)):
                self._file(commit, file)
                self.repository.place(commit, file.name, file.etag)
            self.repository.name_commit(commit)

    def _headers(self) -> dict[str, str]:
        mine = self.token and not self.download.addresses  # the token is the hub's affair alone
        return {"authorization": f"Bearer {self.token.secret}"} if mine else {}

    def _listing(self) -> tuple[str, list[File]]:
        """Ask which commit the revision is, and which of its files the card wants."""
        if self.download.addresses:
            return address_commit(self.download), [self._at(address) for address in self.download.addresses]
        revision = quote(self.download.revision, safe="")
        url = f"{self.endpoint}/api/models/{self.download.hub_id}/revision/{revision}"
        answer = self._client.get(url, params={"blobs": "true"}, headers=self._headers())
        self._refuse(answer)
        try:
            data = answer.json()
            commit = str(data["sha"])
            files = [read_file(s) for s in data["siblings"] if wanted(s["rfilename"], self.download)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StudioError(f"{self.endpoint} did not answer with a list of files: {error}.") from error
        if not COMMIT.fullmatch(commit):
            raise StudioError(f"{self.endpoint} names a version that cannot be: “{commit[:60]}”.")
        if not any(file.name.endswith(WEIGHTS) for file in files):
            patterns = ", ".join(self.download.patterns)
            raise StudioError(f"{self.download.hub_id} holds no weights among its files {patterns}.")
        return commit, files

    def _at(self, address: Address) -> File:
        """Ask how large the file at a plain address is, and what its server knows of its version."""
        name = file_name(address)
        # Addresses signed for reading only answer GET and nothing else, so that is asked, and not read on.
        with self._client.stream("GET", address.url) as answer:
            self._refuse(answer, address.url)
            length = answer.headers.get("content-length", "")
            known = f"{address.url} {length} {answer.headers.get('etag', '')}"
        if not is_safe(name) or not length.isdecimal():
            raise StudioError(f"{address.url} does not say how large its file is, and was not fetched.")
        if int(length) > MOST_GROWN * address.bytes:
            raise StudioError(
                f"{address.url} has {size_text(int(length))} where {size_text(address.bytes)} were expected. It is "
                "not the file that was meant, and was not fetched."
            )
        etag = address.sha256 or hashlib.sha256(known.encode()).hexdigest()
        return File(name, int(length), etag, address.url, checked=bool(address.sha256))

    def _check_room(self, files: list[File]) -> None:
        missing = 0
        for file in files:
            if not self.repository.blob(file.etag).exists():
                missing += max(0, file.size - size(self.repository.part(file.etag)))
        if missing > shutil.disk_usage(self.repository.blobs).free:
            raise self._disk_full(missing)

    def _file(self, commit: str, file: File) -> None:
        from filelock import FileLock, Timeout

        before, tries = self.done, ATTEMPTS
        blob, part = self.repository.blob(file.etag), self.repository.part(file.etag)
        lock = FileLock(self.repository.lock(file.etag))
        while not lock.is_locked:
            self._stop_if_cancelled()
            try:
                lock.acquire(timeout=0.5)
            except Timeout:
                self._tell(before + size(part))
        try:
            while not blob.exists():
                had = size(part)
                try:
                    self._stream(commit, file, part, before)
                    self._check(part, file)
                    os.replace(part, blob)
                except httpx.TransportError:
                    tries = ATTEMPTS if size(part) > had else tries - 1
                    if not tries:
                        raise
                    self._stop_if_cancelled()
                    time.sleep(0.3)
        finally:
            lock.release()
        self._tell(before + file.size)

    def _stream(self, commit: str, file: File, part: Path, before: int) -> None:
        """Append to ``part`` what is missing of a file."""
        have = size(part)
        if have > file.size:
            part.unlink()
            have = 0
        if have == file.size and part.exists():
            return
        url = file.url or f"{self.endpoint}/{self.download.hub_id}/resolve/{commit}/{quote(file.name)}"
        headers = self._headers() | ({"range": f"bytes={have}-"} if have else {})
        with self._client.stream("GET", url, headers=headers) as answer:
            self._refuse(answer, file.url)
            if answer.status_code != 206:
                have = 0  # the server starts over, whatever was asked
            told = 0.0
            with part.open("ab" if have else "wb") as out:
                for chunk in answer.iter_bytes():
                    out.write(chunk)
                    have += len(chunk)
                    if time.monotonic() - told > TOLD_SECONDS:
                        told = time.monotonic()
                        self._tell(before + have)
                    self._stop_if_cancelled()
                    if have > file.size:
                        break
                out.flush()
                os.fsync(out.fileno())

    def _check(self, part: Path, file: File) -> None:
        found = size(part)
        if found < file.size:
            raise httpx.ReadError(f"{file.name} ended at {found} of {file.size} bytes")
        if found > file.size or (file.checked and digest(part, file.etag) != file.etag):
            part.unlink()
            raise StudioError(
                f"{file.name} of {self.card.title} arrived damaged ({found} bytes, and not the checksum "
                "announced) and was thrown away. Download it again."
            )

    def _tell(self, done: int) -> None:
        self.done = done
        self.tell(done, self.total)

    def _stop_if_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled(
                f"The download of {self.card.title} was stopped at {size_text(self.done)} of "
                f"{size_text(self.total)}. The next one goes on from there."
            )

    def _refuse(self, answer: httpx.Response, url: str = "") -> None:
        """Raise what the person should read where the hub, or the server of a plain address, says no."""
        status, code = answer.status_code, answer.headers.get("x-error-code", "")
        if status < 400:
            return
        title, hub_id = self.card.title, self.download.hub_id
        if url and status in (401, 403, 404, 410):
            raise NotFound(
                f"{title} is not at {url} any more. If you have its file, add it on the Models page."
            )
        if status in (401, 403) and (self.download.gated or code == "GatedRepo" or self.token):
            raise Gated(self.card, self.endpoint, self.token, known=status == 403)
        if status in (401, 403, 404):
            raise NotFound(f"{hub_id} at version {self.download.revision} is not at {self.endpoint}.")
        host = urlsplit(self.endpoint).hostname
        wait = " It asks to wait: try again in some minutes." if status == 429 else " Try again later."
        raise Unreachable(f"{host} cannot give {title} now (it answered {status}).{wait}")

    def _disk_full(self, missing: int) -> StudioError:
        free = shutil.disk_usage(self.repository.blobs).free
        return StudioError(
            f"{self.card.title} needs {size_text(missing)} more on the disk of {self.repository.blobs}, "
            f"where {size_text(free)} are free. Free some, or set HF_HUB_CACHE to a folder on a larger disk."
        )

    @contextmanager
    def _errors_for_the_person(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError) as error:
            raise Unreachable(
                f"The connection to {urlsplit(self.endpoint).hostname} broke at {size_text(self.done)} of "
                f"{size_text(self.total)} of {self.card.title}. Try again: it goes on from there."
            ) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._disk_full(max(0, self.total - self.done)) from error
            folder = self.repository.folder
            raise StudioError(
                f"The files of {self.card.title} cannot be written to {folder}: {error.strerror or error}."
            ) from error


def read_file(sibling: dict[str, Any]) -> File:
    """Read one entry of the hub's list. Raises ValueError where it is not sound."""
    name, large = str(sibling["rfilename"]), sibling.get("lfs") or {}
    etag = str(large.get("sha256") or sibling["blobId"])
    count = int(large.get("size", sibling.get("size")))
    if not is_safe(name) or not ETAG.fullmatch(etag) or count < 0:
        raise ValueError(f"it lists “{name[:80]}”, which is not sound")
    return File(name, count, etag)
