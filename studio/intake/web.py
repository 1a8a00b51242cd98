"""Fetches a file from an address a person gave, without becoming their door into the inner network.

The host is resolved first, every answer is checked, and the connection is made to the very number that
was checked, so that a name which changes its answer gains nothing. Each redirect starts over.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from studio.errors import BadInput, Unreachable
from studio.intake.addresses import refusal

MAX_BYTES = 64 * 2**20
MAX_REDIRECTS = 5
MAX_LENGTH = 4096
SECONDS = 30.0
CONNECT_SECONDS = 5.0  # for finding the host, connecting and TLS together
CHUNK = 1 << 16
REDIRECTS = (301, 302, 303, 307, 308)
STATUS = {
    401: "it wants a sign-in, which the studio cannot give",
    403: "it is not allowed to be fetched from here",
    404: "there is nothing at this address",
    410: "there is nothing at this address any more",
    429: "too much was asked of it; try again later",
}

Resolve = Callable[[str, int], list[str]]  # host, port → IP addresses
Connect = Callable[[str, int, float], socket.socket]  # IP address, port, seconds → an open socket


class Answered(BadInput):
    """A server answered, but not with the content: ``status`` is its HTTP code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Fetched:
    """What an address answered; ``content_type`` is what its server calls it, "image/jpeg"."""

    data: bytes
    content_type: str


def resolve_host(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, in the system's order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect_to(ip: str, port: int, seconds: float) -> socket.socket:
    """Open a connection to an IP address."""
    return socket.create_connection((ip, port), timeout=seconds)


class Fetcher:
    """Fetches addresses within limits of size and time; ``resolve`` and ``connect`` can be replaced."""

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        resolve: Resolve = resolve_host,
        connect: Connect = connect_to,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._connect_seconds = connect_seconds
        self._resolve = resolve
        self._connect = connect
        self._context = context

    def fetch(self, address: str, headers: Mapping[str, str] | None = None) -> Fetched:
        """Return what an address holds.

        ``headers`` go to the first host only, never along a redirect to another. Raises BadInput where the
        address is refused or its answer is unfit, Unreachable where nothing answers.
        """
        deadline = time.monotonic() + self._seconds
        url, first = check_address(address), None
        for _ in range(MAX_REDIRECTS + 1):
            origin = (url.scheme, url.hostname, url.port)
            first = first or origin
            sent = dict(headers or {}) if origin == first else {}
            answer = self._once(url, sent, deadline)
            if isinstance(answer, Fetched):
                return answer
            if not answer:
                raise _unfit(url, "it redirects to nowhere")
            url = check_address(urljoin(url.geturl(), answer))
        raise BadInput(f"“{_short(address)}” redirects more than {MAX_REDIRECTS} times. Give the last one.")

    def _once(self, url: SplitResult, headers: dict[str, str], deadline: float) -> Fetched | str:
        """Ask one address; return its content, or where it redirects to."""
        until = min(deadline, time.monotonic() + self._connect_seconds)
        ips = self._checked_ips(url, until)
        connection = self._connected(url, ips, until)
        # A server that sends a byte now and then never trips a socket's own time limit.
        watch = threading.Timer(max(0.01, deadline - time.monotonic()), _shut, (connection.sock,))
        watch.daemon = True
        watch.start()
        try:
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("GET", target, headers={**_HEADERS, **headers})
            response = connection.getresponse()
            if response.status in REDIRECTS:
                return response.getheader("Location") or ""
            return Fetched(self._body(url, response, deadline), _type(response))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(url, deadline, error) from None
        finally:
            watch.cancel()
            connection.close()

    def _checked_ips(self, url: SplitResult, until: float) -> list[str]:
        host = str(url.hostname)
        ips = _in_time(lambda: self._resolve(host, _port(url)), until - time.monotonic())
        if not ips:
            raise Unreachable(
                f"The host “{host[:100]}” was not found. Check the address and this machine's connection, "
                "or add the images as files."
            )
        for ip in ips:
            if reason := refusal(ip):
                raise BadInput(
                    f"“{_short(url.geturl())}” is refused: {host[:100]} is {ip[:60]}, {reason}. "
                    "Only public addresses are fetched; add the images as files."
                )
        return ips

    def _connected(self, url: SplitResult, ips: list[str], until: float) -> http.client.HTTPConnection:
        host = str(url.hostname)
        for ip in ips:
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                return self._open(url, ip, left)
            except ssl.SSLCertVerificationError as error:
                said = error.verify_message or "it does not fit"
                raise BadInput(f"{host[:100]} has no certificate that can be trusted: {said}.") from None
            except OSError:
                continue
        raise Unreachable(
            f"{host[:100]} did not answer within {self._connect_seconds:g} s. Try again later, "
            "or add the images as files."
        )

    def _open(self, url: SplitResult, ip: str, seconds: float) -> http.client.HTTPConnection:
        """Connect to the number that was checked, while TLS and the Host header still speak of the name."""
        sock = self._connect(ip, _port(url), seconds)
        try:
            if url.scheme == "https":
                self._context = self._context or _trusted()
                sock.settimeout(seconds)
                sock = self._context.wrap_socket(sock, server_hostname=url.hostname)
            sock.settimeout(self._seconds)
        except BaseException:
            sock.close()
            raise
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(url.hostname), _port(url))
        connection.sock = sock
        connection.auto_open = 0
        return connection

    def _body(self, url: SplitResult, response: http.client.HTTPResponse, deadline: float) -> bytes:
        if response.status != 200:
            said = STATUS.get(response.status, f"its server answered {response.status}")
            raise Answered(f"“{_short(url.geturl())}” was not fetched: {said}.", response.status)
        if response.getheader("Content-Encoding", "identity").lower() not in ("", "identity"):
            raise _unfit(url, "its server packs what it sends, though asked not to")
        if response.length is not None and response.length > self._max_bytes:
            raise self._too_large(url, response.length)
        parts, size, announced = [], 0, response.length
        while chunk := response.read(CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large(url, size)
            if time.monotonic() > deadline:
                raise TimeoutError
        if announced is not None and size < announced:
            raise _unfit(url, f"its server stopped after {size:,} of {announced:,} bytes")
        return b"".join(parts)

    def _too_large(self, url: SplitResult, size: int) -> BadInput:
        limit = f"{self._max_bytes / 2**20:,.0f} MB is the limit"
        return _unfit(url, f"it has at least {size / 2**20:,.1f} MB; {limit}. Add it as a file")

    def _broken(self, url: SplitResult, deadline: float, error: Exception) -> Unreachable:
        shown = _short(url.geturl())
        if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
            return Unreachable(f"“{shown}” took longer than {self._seconds:g} s and was given up.")
        return Unreachable(f"“{shown}” broke off in the middle ({type(error).__name__}). Try again.")


_HEADERS = {"User-Agent": "onelabel-studio", "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}


def check_address(address: str) -> SplitResult:
    """Return the parts of an http or https address, its path escaped. Raises BadInput."""
    address = address.strip()
    if not address or len(address) > MAX_LENGTH:
        raise BadInput(f"An address has 1 to {MAX_LENGTH:,} characters; this one has {len(address):,}.")
    if re.search(r"[\x00-\x20\x7f\\]", address):
        raise BadInput(f"“{_short(address)}” holds spaces, backslashes or control characters.")
    try:
        url = urlsplit(address)
        port, host = url.port, url.hostname
        ascii_host = host.encode("idna").decode() if host and not host.isascii() else host
    except (ValueError, UnicodeError):
        raise BadInput(f"“{_short(address)}” is not a web address.") from None
    if url.scheme not in ("http", "https"):
        raise BadInput(f"“{_short(address)}” does not begin with http:// or https://.")
    if not ascii_host:
        raise BadInput(f"“{_short(address)}” names no host.")
    if url.username is not None or url.password is not None:
        raise BadInput("The address holds a user name or password; the studio keeps neither. Take them out.")
    if port is not None and port not in (80, 443) and port < 1024:
        raise BadInput(f"“{_short(address)}” asks for port {port}; use 80, 443 or one from 1024 on.")
    netloc = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    netloc += f":{port}" if port is not None else ""
    path, query = (quote(part, safe="/%:=&?~+!$,;'@()*[]") for part in (url.path, url.query))
    return SplitResult(url.scheme, netloc, path, query, "")


def _unfit(url: SplitResult, reason: str) -> BadInput:
    return BadInput(f"“{_short(url.geturl())}” was not fetched: {reason}.")


def _in_time(work: Callable[[], list[str]], seconds: float) -> list[str]:
    """Return what resolving gives, or nothing when it fails or takes too long; it cannot be interrupted."""
    found: list[str] = []

    def run() -> None:
        with suppress(OSError, UnicodeError):
            found.extend(work())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return list(found)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # it may have closed by itself a moment before
        sock.shutdown(socket.SHUT_RDWR)


def _trusted() -> ssl.SSLContext:
    context = ssl.create_default_context()
    with suppress(ImportError, OSError):  # some Pythons come without any certificates of their own
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _type(response: http.client.HTTPResponse) -> str:
    return response.getheader("Content-Type", "").partition(";")[0].strip().lower()[:100]


def _short(address: str) -> str:
    shown = "".join(c if c.isprintable() else "�" for c in address)
    return shown if len(shown) <= 120 else shown[:100] + "…" + shown[-16:]
