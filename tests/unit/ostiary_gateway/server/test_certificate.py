"""The data port's certificate over real TLS: what is served, when it changes, and which faults keep the last."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from http_listener import new_listener
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from tls_secrets import MountedSecret

from ostiary_gateway.errors import StartupError
from ostiary_gateway.options import TlsFiles
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.host import CountedConnection
from ostiary_gateway.server.listener import Gate
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

LOG = "ostiary_gateway.server.certificate"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(_: Request) -> Response:
    return Response(200, b"hello")


@pytest.fixture
def secret(tmp_path: Path) -> MountedSecret:
    made = MountedSecret(tmp_path)
    made.renew("first.example.com")
    return made


@asynccontextmanager
async def serving(
    secret: MountedSecret, limits: Limits | None = None, keeper: Gate | None = None
) -> AsyncIterator[tuple[Certificate, int]]:
    certificate, listener = Certificate(secret.files), new_listener(hello, limits, keeper)
    port = await listener.start("127.0.0.1", 0, tls=certificate.context)
    try:
        yield certificate, port
    finally:
        await listener.stop(1)
        assert not listener.connections


class Caller:
    """One connection of a client that verifies what it is shown."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def names(self) -> list[str]:
        """The DNS names of the certificate that it was shown."""
        shown: Any = self.writer.get_extra_info("peercert")
        return [name for kind, name in shown["subjectAltName"] if kind == "DNS"]

    async def ask(self) -> bytes:
        """Send a request; return the status line of its answer."""
        self.writer.write(REQUEST)
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert await self.reader.readexactly(5) == b"hello"
        return head.partition(b"\r\n")[0]


@asynccontextmanager
async def calling(port: int, authority: Path, *, name: str | None = None) -> AsyncIterator[Caller]:
    context = ssl.create_default_context(cafile=str(authority))
    context.set_alpn_protocols(["h2", "http/1.1"])
    # To an address, a client sends no server name.
    streams = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or "127.0.0.1")
    try:
        yield Caller(*streams)
    finally:
        streams[1].close()


@pytest.mark.parametrize("name", [None, "first.example.com"])
async def test_a_call_is_answered_over_tls(secret: MountedSecret, name: str | None) -> None:
    async with serving(secret) as (_, port), calling(port, secret.authority, name=name) as caller:
        assert await caller.ask() == b"HTTP/1.1 200 OK"
        assert await caller.ask() == b"HTTP/1.1 200 OK", "on the same connection"
        shown = caller.writer.get_extra_info("ssl_object")
        assert (shown.version(), shown.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")


@pytest.mark.parametrize("name", [None, "second.example.com"])
async def test_a_renewed_certificate_is_used_for_new_connections_and_old_ones_continue(
    secret: MountedSecret, name: str | None
) -> None:
    async with serving(secret) as (certificate, port), calling(port, secret.authority) as old:
        secret.renew("second.example.com")
        await certificate.poll()
        async with calling(port, secret.authority, name=name) as new:
            assert new.names == ["second.example.com"]
            assert await new.ask() == b"HTTP/1.1 200 OK"
        assert await old.ask() == b"HTTP/1.1 200 OK"
        assert old.names == ["first.example.com"]


async def test_it_is_renewed_as_often_as_it_changes(secret: MountedSecret) -> None:
    async with serving(secret) as (certificate, port):
        for number in range(3):
            secret.renew(f"number-{number}.example.com")
            await certificate.poll()
            async with calling(port, secret.authority) as caller:
                assert caller.names == [f"number-{number}.example.com"]


async def test_it_polls_by_itself(secret: MountedSecret) -> None:
    certificate = Certificate(secret.files, period=0.01)
    before = certificate.context
    watching = asyncio.create_task(certificate.run())
    secret.renew("second.example.com")
    try:
        await eventually(lambda: certificate._current.context is not before)
    finally:
        watching.cancel()


def broken(secret: MountedSecret) -> dict[str, dict[str, bytes]]:
    """Renewals that cannot be used, by what is wrong with them."""
    good, other = secret.draft("second.example.com"), secret.draft("third.example.com")
    key = serialization.load_pem_private_key(good["tls.key"], None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    return {
        "empty": {"tls.crt": b"", "tls.key": b""},
        "no PEM": {**good, "tls.crt": b"certificate"},
        "no key": {**good, "tls.key": good["tls.crt"]},
        "another's key": {**good, "tls.key": other["tls.key"]},
        "a key that wants a password": {**good, "tls.key": encrypted},
        "key missing": {"tls.crt": good["tls.crt"]},
        "all missing": {},
    }


KINDS = ("empty", "no PEM", "no key", "another's key", "a key that wants a password", "key missing", "all missing")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broken_renewal_keeps_the_old_certificate_and_is_logged_once(
    secret: MountedSecret, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    authority = secret.authority
    async with serving(secret) as (certificate, port):
        secret.place(broken(secret)[kind])
        for _ in range(3):
            await certificate.poll()
        logged = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert len(logged) == 1
        assert "the old one stays" in logged[0]
        assert str(secret.directory) in logged[0]
        assert "PRIVATE" not in caplog.text
        assert certificate.rejected
        async with calling(port, authority) as caller:
            assert caller.names == ["first.example.com"]
            assert await caller.ask() == b"HTTP/1.1 200 OK"

        secret.renew("renewed.example.com")
        await certificate.poll()
        assert not certificate.rejected
        async with calling(port, secret.authority) as caller:
            assert caller.names == ["renewed.example.com"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_start_with_files_that_cannot_be_used(secret: MountedSecret, kind: str) -> None:
    secret.place(broken(secret)[kind])
    with pytest.raises(StartupError, match=r"data port: .*tls\.(crt|key).*--tls-cert"):
        Certificate(secret.files)


def test_the_log_names_the_hosts_and_the_expiry_of_the_certificate(
    secret: MountedSecret, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=LOG)
    Certificate(secret.files)
    assert "of first.example.com, 127.0.0.1 until 20" in caplog.text


async def test_plain_files_are_watched_as_well(tmp_path: Path, secret: MountedSecret) -> None:
    files = TlsFiles(tmp_path / "plain.crt", tmp_path / "plain.key")
    files.certificate.write_bytes(secret.files.certificate.read_bytes())
    files.key.write_bytes(secret.files.key.read_bytes())
    certificate = Certificate(files)
    renewed = secret.draft("second.example.com")
    files.key.write_bytes(renewed["tls.key"])
    files.certificate.write_bytes(renewed["tls.crt"])
    before = certificate._current.context
    await certificate.poll()
    assert certificate._current.context is not before


async def test_a_client_without_tls_is_refused_and_others_are_not(secret: MountedSecret) -> None:
    async with serving(secret) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert not (await reader.read()).startswith(b"HTTP/")
        writer.close()
        async with calling(port, secret.authority) as caller:
            assert await caller.ask() == b"HTTP/1.1 200 OK"


async def test_a_handshake_that_is_never_ended_is_ended_for_it(secret: MountedSecret) -> None:
    async with serving(secret, Limits(head_seconds=0.05)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await reader.read() == b""
        writer.close()


class Doorkeeper:
    """Admits at most this number of connections at a time."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.inside: set[CountedConnection] = set()

    def opened(self, connection: CountedConnection) -> Response | None:
        if len(self.inside) >= self.bound:
            return Response(503, b"full")
        self.inside.add(connection)
        return None

    def response_taken(self, connection: CountedConnection) -> None:
        pass

    def unhandled_changed(self, _: CountedConnection, __: int) -> bool:
        return False

    def closed(self, connection: CountedConnection) -> None:
        self.inside.discard(connection)


async def test_a_connection_in_its_tls_handshake_counts_and_one_too_many_is_refused(secret: MountedSecret) -> None:
    keeper = Doorkeeper(2)
    async with serving(secret, keeper=keeper) as (_, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await eventually(lambda: len(keeper.inside) == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await reader.read() == b""
        writer.close()
        for _, silent_writer in silent:
            silent_writer.close()
        await eventually(lambda: not keeper.inside)
        async with calling(port, secret.authority) as caller:
            assert await caller.ask() == b"HTTP/1.1 200 OK"
            assert len(keeper.inside) == 1
        await eventually(lambda: not keeper.inside)


async def test_the_end_waits_for_no_handshake(secret: MountedSecret) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        async with serving(secret) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x16\x03\x01")  # a handshake has begun
            await writer.drain()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_request_may_come_with_the_last_message_of_the_handshake(
    secret: MountedSecret, version: ssl.TLSVersion
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(secret.authority))
    context.maximum_version = version
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    async with serving(secret) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await exchange(tls.do_handshake, incoming, outgoing, reader, writer)
        tls.write(REQUEST)  # is sent together with the last messages of the handshake
        answer = await exchange(lambda: tls.read(1000), incoming, outgoing, reader, writer)
        writer.close()
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 200 OK")


async def exchange(
    step: Callable[[], object],
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> object:
    """Do a step of TLS by hand, bringing bytes until it is done; its own last bytes stay in `outgoing`."""
    while True:
        try:
            return step()
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65536))
