"""Upstream addresses are judged when connecting, in whatever spelling they are written."""

import asyncio
import ipaddress
import socket
import threading
from typing import Any

import pytest
from gateways import LONG_TIMEOUTS

from ostiary_core.addresses import real
from ostiary_core.contract.documents import ServerConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints, allowed, networks
from ostiary_gateway.upstream.http1.dialer import Dialer
from ostiary_gateway.upstream.server import UpstreamServer

OWN = OwnEndpoints(
    ports=frozenset({8080, 8081}),
    addresses=frozenset({ipaddress.ip_address("10.1.2.3"), ipaddress.ip_address("fd00::3")}),
    api_servers=frozenset({ipaddress.ip_address("10.96.0.1")}),
)
NEVER_BY_DEFAULT = [
    "127.0.0.1",
    "127.8.9.10",
    "::1",
    "0.0.0.0",  # noqa: S104  an address to refuse
    "::",
    "169.254.1.1",
    "169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
    "fd00:a9fe:a9fe::1",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "10.96.0.1",
    # the same in other clothes
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.96.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::a60:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "::127.0.0.1",
    "::ffff:0:0",
    "::ffff:168.63.129.16",
    "::ffff:0:a9fe:a9fe",
    "64:ff9b::6464:64c8",
    "2002:a83f:8110::1",
    "2001:0:4136:e378:8000:63bf:5601:5601",
]


def permits(address: str, port: int = 443, *grants: str, own: OwnEndpoints = OWN) -> bool:
    return allowed(address, port, granted=networks(grants), own=own)


@pytest.mark.parametrize("address", NEVER_BY_DEFAULT)
def test_an_address_that_could_be_ours_or_the_clouds_is_refused_in_every_spelling(address: str) -> None:
    assert not permits(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "10.0.0.7", "192.168.1.1", "172.16.0.1", "fd12::1", "2606:4700::1"]
)
def test_public_and_private_addresses_pass(address: str) -> None:
    assert permits(address)


@pytest.mark.parametrize(
    ("address", "grant"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("::1", "::1/128"),
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("10.96.0.1", "10.96.0.1/32"),
        ("127.0.0.1", "127.0.0.1/8"),
    ],
)
def test_a_grant_opens_what_it_names_and_no_more(address: str, grant: str) -> None:
    assert permits(address, 443, grant)
    assert not permits("169.254.1.7", 443, grant)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.1.1", "::1", "10.1.2.3", "fd00::3", "::ffff:10.1.2.3", "::"])
@pytest.mark.parametrize("port", [8080, 8081])
def test_no_grant_opens_the_gateways_own_ports(address: str, port: int) -> None:
    assert not permits(address, port, "0.0.0.0/0", "::/0")
    assert permits(address, 9999, "0.0.0.0/0", "::/0")


def test_the_gateways_ports_at_other_addresses_belong_to_other_servers() -> None:
    assert permits("10.1.2.4", 8080)


def test_own_addresses_come_from_the_environment_of_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_IP", "10.1.2.3")
    monkeypatch.setenv("POD_IPS", "10.1.2.3, fd00::3, rubbish")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")

    assert OwnEndpoints.from_environment(ports=(8080, 8081)) == OWN
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
    assert OwnEndpoints.from_environment(ports=()).api_servers == frozenset()


@pytest.mark.parametrize("address", ["192.0.2.10", "::ffff:192.0.2.10", "64:ff9b::c000:20a", "fd00:1::a"])
def test_what_is_behind_the_api_servers_service_is_refused_unless_it_is_granted(address: str) -> None:
    own = OWN.with_api_servers(["192.0.2.10", "fd00:1::a", "no address"])
    assert permits(address)
    assert not permits(address, own=own)
    assert not permits(address, 10250, own=own)
    assert not permits("10.96.0.1", own=own)
    assert permits(address, 443, "192.0.2.10/32", "fd00:1::a/128", own=own)
    assert permits("192.0.2.11", own=own)


def test_an_address_that_wraps_another_is_the_other() -> None:
    assert str(real(ipaddress.ip_address("64:ff9b::7f00:1"))) == "127.0.0.1"
    assert str(real(ipaddress.ip_address("2606:4700::1"))) == "2606:4700::1"


# -- names


async def resolved(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    def found(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", found)
    return await Dialer("upstream.example", 443, 2.0, None, None, (), OWN).addresses()


async def test_of_the_addresses_of_a_name_only_those_that_pass_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await resolved(monkeypatch, "127.0.0.1", "10.0.0.7", "::ffff:169.254.169.254") == ["10.0.0.7"]


async def test_of_a_name_with_a_thousand_addresses_a_few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await resolved(monkeypatch, "127.0.0.1", *(f"10.0.{n // 250}.{n % 250 + 1}" for n in range(1000)))
    assert found == [f"10.0.0.{n + 1}" for n in range(16)]


async def test_a_name_with_no_address_that_passes_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpstreamFault) as fault:
        await resolved(monkeypatch, "127.0.0.1", "169.254.169.254")
    assert fault.value.kind == "UpstreamAddressForbidden"


# -- addresses in the URL itself


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/mcp",
        "http://[::1]:1/mcp",
        "http://[::ffff:127.0.0.1]:1/mcp",
        "http://127.1:1/mcp",
        "http://2130706433:1/mcp",
        "http://017700000001:1/mcp",
        "http://127.0.0.1.:1/mcp",
        "http://0x7f.1:1/mcp",
        "http://0x7f000001:1/mcp",
        "http://localhost:1/mcp",
        "http://0:1/mcp",
        "http://169.254.169.254/latest/meta-data",
    ],
)
async def test_no_spelling_of_loopback_in_a_url_is_connected_to(url: str) -> None:
    document = ServerConfig(name="up", url=url, timeouts=LONG_TIMEOUTS)
    server = UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="a/b", mark="m")
    try:
        with pytest.raises(UpstreamFault) as fault:
            await server.request("POST", b"", b"{}")
    finally:
        server.close()
    assert fault.value.kind == "UpstreamAddressForbidden"


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example"])
async def test_what_is_no_name_does_not_resolve(name: str) -> None:
    with pytest.raises(UpstreamFault) as fault:
        await Dialer(name, 443, 2.0, None, None, (), OWN).addresses()
    assert fault.value.kind == "UpstreamUnreachable"


async def test_a_caller_that_gives_up_does_not_cancel_the_lookup_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release, asked = threading.Event(), 0

    def slow(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        nonlocal asked
        asked += 1
        release.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]

    monkeypatch.setattr("socket.getaddrinfo", slow)
    dialer = Dialer("upstream.example", 443, 2.0, None, None, (), OWN)
    first, second = asyncio.create_task(dialer.addresses()), asyncio.create_task(dialer.addresses())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    release.set()

    assert await second == ["10.0.0.7"]
    assert asked == 1
    assert await dialer.addresses() == ["10.0.0.7"]
    assert asked == 2, "an answer is for those who asked while it came"
