"""A caller's source address: nothing that it sends itself gives it another caller's share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.limits.client_address import Source, TrustedProxies

PEER = "10.0.0.1"
SOURCES = TrustedProxies(["10.0.0.0/8", "fd00::/8"])


def behind(forwarded_for: str) -> str:
    return SOURCES.behind(PEER, forwarded_for).key


@pytest.mark.parametrize(
    ("forwarded_for", "key"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("  198.51.100.1\t", "198.51.100.1"),
        ("1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("1.2.3.4, 198.51.100.1, 10.9.9.9,fd00::1", "198.51.100.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8::1]:4711", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("2001:db8:0:0:1:2:3:4", "2001:db8::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_rightmost_address_that_is_no_trusted_proxy_is_used(forwarded_for: str, key: str) -> None:
    assert behind(forwarded_for) == key


@pytest.mark.parametrize(
    ("forwarded_for", "key"),
    [
        ("", PEER),
        (",", PEER),
        ("unknown", PEER),
        ("198.51.100.1, unknown", PEER),
        ("198.51.100.1, unknown, 10.0.0.7", "10.0.0.7"),
        ("198.51.100.1,", PEER),
        ("198.51.100.1:http", PEER),
        ("198.51.100.1:123456", PEER),
        ("[2001:db8::1]x", PEER),
        ("[2001:db8::1", PEER),
        ("198.51.100.01", PEER),
        ("3325256705", PEER),
        ("198.51.100.1 198.51.100.2", PEER),
        ("٣.3.3.3", PEER),
        ("x" * 30_000, PEER),
        ("198.51.100.1" + " " * 30_000 + "x", PEER),
    ],
)
def test_what_cannot_be_read_counts_as_the_last_proxy_that_can(forwarded_for: str, key: str) -> None:
    assert behind(forwarded_for) == key


def test_where_all_are_trusted_the_leftmost_is_the_caller() -> None:
    assert behind("10.0.0.3, 10.0.0.2") == "10.0.0.3"
    assert behind(", ".join(f"10.0.0.{n}" for n in range(200))) == "10.0.0.184"


def test_an_address_is_shown_whole_and_counted_by_its_network() -> None:
    assert TrustedProxies().of_peer("2001:db8::1") == Source("2001:db8::1", "2001:db8::/64")
    assert TrustedProxies().of_peer("fe80::1%eth0").key == "fe80::/64"
    assert TrustedProxies().of_peer("::ffff:192.0.2.1") == Source("192.0.2.1", "192.0.2.1")
    assert TrustedProxies().of_peer("") == Source("", "")


def test_without_trusted_proxies_no_peer_is_trusted() -> None:
    assert not TrustedProxies().trusts(PEER)
    assert SOURCES.trusts(PEER)
    assert SOURCES.trusts("::ffff:10.0.0.1")
    assert not SOURCES.trusts("")
    assert not SOURCES.trusts("192.0.2.1")


def test_remembered_headers_are_bounded() -> None:
    sources = TrustedProxies(["10.0.0.0/8"])
    for number in range(20_000):
        sources.behind(PEER, f"spoofed-{number}, 198.51.100.1")
    assert len(sources._cached) <= 4096


@given(st.text(max_size=300))
def test_whatever_a_caller_writes_its_address_is_the_one_that_the_proxy_saw(written: str) -> None:
    assert behind(f"{written}, 198.51.100.1") == "198.51.100.1"


@given(st.text(max_size=300))
def test_no_header_raises(written: str) -> None:
    SOURCES.behind(PEER, written)
