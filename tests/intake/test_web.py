from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from studio.errors import BadInput, Unreachable
from studio.intake.addresses import refusal
from studio.intake.web import Fetcher, check_address
from tests.intake.fakes import PUBLIC, Wires, encoded, serving


@pytest.mark.parametrize(
    "ip",
    "127.0.0.1 127.9.9.9 ::1 0.0.0.0 :: 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 "
    "100.64.0.1 100.100.100.200 168.63.129.16 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 "
    "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 0.1.2.3 192.88.99.1 "
    "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::7f00:1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe "
    "2002:7f00:1:: 2002:c0a8:101:: 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 fe80::1 fe80::1%eth0 "
    "fc00::1 fd00:ec2::254 ff02::1 fec0::1 100::1 3fff::1 4000::1 nonsense".split(),
)
def test_addresses_that_are_not_public_are_refused(ip: str):
    assert refusal(ip)


@pytest.mark.parametrize("ip", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_taken(ip: str):
    assert refusal(ip) is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "1 to 4,096"),
        ("x" * 5000, "5,000"),
        ("ftp://host/a.png", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("javascript:alert(1)", "http:// or https://"),
        ("http:///a.png", "names no host"),
        ("http://me:secret@host/a.png", "password"),
        ("http://me@host/a.png", "password"),
        ("http://host:22/", "port 22"),
        ("http://host:99999/", "not a web address"),
        ("http://[::1/", "not a web address"),
        ("http://host/a b.png", "spaces"),
        ("http://host\\@evil/", "backslashes"),
        ("http://host/\r\nX-Evil: 1", "control characters"),
    ],
)
def test_addresses_that_cannot_be_used_say_why(address: str, said: str):
    with pytest.raises(BadInput, match=said) as refused:
        check_address(address)
    assert "secret" not in str(refused.value)


def test_paths_and_hosts_in_any_script_are_escaped():
    url = check_address("https://bücher.example/каталог/ä.png?q=ü#part")
    assert url.geturl().isascii() and url.hostname == "xn--bcher-kva.example" and not url.fragment
    assert check_address("http://host/a%20b.png").path == "/a%20b.png"


def test_an_image_is_fetched_from_the_very_address_that_was_checked():
    answers = iter([["93.184.215.20"], ["127.0.0.1"]])  # a name that changes its answer
    with serving(lambda path, headers: (200, {"Content-Type": "image/png; x"}, encoded())) as server:
        wires = Wires(server.port)
        fetcher = Fetcher(resolve=lambda host, port: next(answers), connect=wires.connect)
        fetched = fetcher.fetch("http://photos.example/a.png?size=1")
    assert (fetched.data, fetched.content_type) == (encoded(), "image/png")
    assert wires.connected == [("93.184.215.20", 80)]
    assert server.asked[0][0] == "photos.example/a.png?size=1"


@pytest.mark.parametrize(
    "ips", [["127.0.0.1"], ["10.0.0.8"], ["169.254.169.254"], ["::ffff:7f00:1"], [PUBLIC, "192.168.0.1"]]
)
def test_a_host_in_the_inner_network_is_refused_and_never_connected_to(ips: list[str]):
    wires = Wires(1, {"inner.example": ips})
    with pytest.raises(BadInput, match="Only public addresses"):
        wires.fetcher().fetch("http://inner.example/a.png")
    assert not wires.connected


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::1]", "0", "[::ffff:127.0.0.1]"],
)
def test_every_spelling_of_this_machine_is_refused(host: str):
    with pytest.raises((BadInput, Unreachable)) as refused:
        Fetcher(connect=lambda *_: pytest.fail("it connected")).fetch(f"http://{host}/")
    assert "machine" in str(refused.value)


def redirecting(*places: str) -> Iterator[tuple[int, dict[str, str], bytes]]:
    for place in places:
        yield 302, {"Location": place}, b""
    while True:
        yield 200, {}, encoded()


def test_redirects_are_followed_and_each_is_checked():
    steps = redirecting("/b.png", "https+bad://x", "never")
    with serving(lambda path, headers: next(steps)) as server:
        with pytest.raises(BadInput, match="http:// or https://"):
            Wires(server.port).fetcher().fetch("http://a.example/")
    steps = redirecting("//b.example/x.png", "http://c.example:8080/y.png")
    with serving(lambda path, headers: next(steps)) as server:
        wires = Wires(server.port, {"c.example": ["93.184.215.30"]})
        assert wires.fetcher().fetch("http://a.example/").data == encoded()
    assert [path for path, _ in server.asked] == ["a.example/", "b.example/x.png", "c.example:8080/y.png"]
    assert wires.connected[-1] == ("93.184.215.30", 8080)


@pytest.mark.parametrize(
    "place",
    [
        "http://inner.example/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_a_redirect_into_the_inner_network_is_refused(place: str):
    steps = redirecting(place)
    with serving(lambda path, headers: next(steps)) as server:
        wires = Wires(server.port, {"inner.example": ["10.1.1.1"]})
        fetcher = Fetcher(
            resolve=lambda h, p: [PUBLIC] if h == "a.example" else wires.hosts.get(h, [h.strip("[]")]),
            connect=wires.connect,
        )
        with pytest.raises(BadInput, match="Only public addresses"):
            fetcher.fetch("http://a.example/")
    assert len(wires.connected) == 1


def test_redirects_without_end_or_aim_are_refused():
    with serving(lambda path, headers: (302, {"Location": "/again"}, b"")) as server:
        with pytest.raises(BadInput, match="more than 5 times"):
            Wires(server.port).fetcher().fetch("http://a.example/")
        assert len(server.asked) == 6
    with serving(lambda path, headers: (302, {}, b"")) as server:
        with pytest.raises(BadInput, match="nowhere"):
            Wires(server.port).fetcher().fetch("http://a.example/")


def test_secret_headers_do_not_travel_to_another_host():
    steps = redirecting("http://b.example/")
    with serving(lambda path, headers: next(steps)) as server:
        Wires(server.port).fetcher().fetch("http://a.example/", {"Authorization": "Bearer x"})
    assert server.asked[0][1]["Authorization"] == "Bearer x"
    assert "Authorization" not in server.asked[1][1]


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


@pytest.mark.parametrize("headers", [{"Content-Length": "999999999"}, {}])
def test_more_than_the_limit_is_refused_announced_or_not(headers: dict[str, str]):
    with serving(lambda path, sent: (200, headers, endless())) as server:
        with pytest.raises(BadInput, match="1 MB is the limit"):
            Wires(server.port).fetcher(max_bytes=2**20).fetch("http://a.example/")


def drip() -> Iterator[bytes]:
    for _ in range(200):
        yield b"x"
        time.sleep(0.05)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "100000"}])
def test_a_server_that_drips_is_given_up_after_the_whole_time(headers: dict[str, str]):
    with serving(lambda path, sent: (200, headers, drip())) as server:
        start = time.monotonic()
        with pytest.raises(Unreachable, match="longer than 0.4 s"):
            Wires(server.port).fetcher(seconds=0.4).fetch("http://a.example/")
        assert time.monotonic() - start < 1.5


def test_a_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        start = time.monotonic()
        with pytest.raises(Unreachable, match="longer than 0.3 s"):
            Wires(listening.getsockname()[1]).fetcher(seconds=0.3).fetch("http://a.example/")
        assert time.monotonic() - start < 1.5


@pytest.mark.parametrize(
    ("status", "said"),
    [(404, "nothing at"), (401, "sign-in"), (403, "not allowed"), (429, "later"), (500, "500"), (204, "204")],
)
def test_every_other_status_is_a_sentence(status: int, said: str):
    with serving(lambda path, headers: (status, {}, b"")) as server, pytest.raises(BadInput, match=said):
        Wires(server.port).fetcher().fetch("http://a.example/")


def test_an_answer_that_stops_early_or_comes_packed_is_refused():
    with serving(
        lambda path, headers: (200, {"Content-Length": "500", "Connection": "close"}, iter([b"x"]))
    ) as server:
        with pytest.raises((BadInput, Unreachable), match="1 of 500 bytes|broke off"):
            Wires(server.port).fetcher(seconds=2).fetch("http://a.example/")
    with serving(lambda path, headers: (200, {"Content-Encoding": "gzip"}, b"x")) as server:
        with pytest.raises(BadInput, match="packs"):
            Wires(server.port).fetcher().fetch("http://a.example/")


def test_what_is_no_http_at_all_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            client, _ = listening.accept()
            client.recv(1000)
            client.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
            client.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(Unreachable, match="broke off"):
            Wires(listening.getsockname()[1]).fetcher(seconds=2).fetch("http://a.example/")


def test_a_name_that_is_not_found_or_found_too_late_is_unreachable():
    def slow(host: str, port: int) -> list[str]:
        time.sleep(3)
        return [PUBLIC]

    def missing(host: str, port: int) -> list[str]:
        raise socket.gaierror(8, "unknown")

    for resolve in (slow, missing):
        start = time.monotonic()
        with pytest.raises(Unreachable, match="was not found"):
            Fetcher(resolve=resolve, connect_seconds=0.3).fetch("http://a.example/")
        assert time.monotonic() - start < 1


def test_a_host_that_refuses_is_tried_at_its_next_address():
    with serving(lambda path, headers: (200, {}, encoded())) as server:
        wires = Wires(server.port)

        def connect(ip: str, port: int, seconds: float) -> socket.socket:
            if ip == "93.184.215.1":
                raise ConnectionRefusedError
            return wires.connect(ip, port, seconds)

        fetcher = Fetcher(resolve=lambda h, p: ["93.184.215.1", "93.184.215.2"], connect=connect)
        assert fetcher.fetch("http://a.example/").data == encoded()
        fetcher = Fetcher(resolve=lambda h, p: ["93.184.215.1"], connect=connect)
        with pytest.raises(Unreachable, match="did not answer"):
            fetcher.fetch("http://a.example/")


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[tuple[socket.socket, Path]]:
    """A listening TLS server whose certificate is for photos.example, and that certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=photos"
    )
    extension = [
        "-addext",
        "subjectAltName=DNS:photos.example",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run([*command.split(), *extension], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                with suppress(OSError), context.wrap_socket(client, server_side=True) as wrapped:
                    wrapped.recv(4096)
                    wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield listening, certificate
        listening.shutdown(socket.SHUT_RDWR)


def test_tls_speaks_of_the_name_while_connected_to_the_number(certified: tuple[socket.socket, Path]):
    listening, certificate = certified
    wires = Wires(listening.getsockname()[1])
    trusting = ssl.create_default_context(cafile=certificate)
    assert wires.fetcher(context=trusting).fetch("https://photos.example/a.png").data == b"hi"
    assert wires.connected == [(PUBLIC, 443)]
    with pytest.raises(BadInput, match="certificate that can be trusted"):
        wires.fetcher(context=trusting).fetch("https://other.example/a.png")
    with pytest.raises(BadInput, match="certificate that can be trusted"):
        wires.fetcher().fetch("https://photos.example/a.png")
