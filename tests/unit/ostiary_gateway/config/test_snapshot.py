"""A host and path select a proxy only if they match whole, by their spelling on the wire."""

import pytest
from configs import entry, settings

from ostiary_core.contract.documents import EntryDocument, SettingsDocument
from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_gateway.config.runtime import build_runtime
from ostiary_gateway.config.snapshot import Snapshot, build_snapshot
from ostiary_gateway.server.host_name import host_name


def snapshot(*entries: EntryDocument, using: SettingsDocument | None = None) -> Snapshot:
    proxies = {
        e.identity: build_runtime(
            "digest", e.canonical(), lambda _: pytest.fail("no policy"), lambda _: ()
        )  # routing needs no server
        for e in entries
    }
    return build_snapshot(GatewayIdentity(namespace="o", name="d"), 1, using or settings(), proxies)


def at(found: Snapshot, path: str, host: str = "any") -> str | None:
    proxy = found.at_endpoint(host, path)
    return proxy.name if proxy is not None else None


def test_an_endpoint_is_the_path_and_mcp() -> None:
    found = snapshot(entry("a"), entry("ab"), entry("deep", path="/team/deep"))

    assert at(found, "/a/mcp") == "a"
    assert at(found, "/ab/mcp") == "ab"
    assert at(found, "/team/deep/mcp") == "deep"
    assert at(found, "/team/deep/mcp/") == "deep"


@pytest.mark.parametrize(
    "path",
    [
        "/a",
        "/a/",
        "/a/mcp//",
        "/a/mcp/x",
        "/a//mcp",
        "//a/mcp",
        "/a/./mcp",
        "/x/../a/mcp",
        "/%61/mcp",
        "/a%2fmcp",
        "/a%2Fmcp",
        "/A/mcp",
        "/a/MCP",
        "/a/mcp;x=1",
        "/a/mcp#f",
        "/a/mcp%00",
        "a/mcp",
        "",
        "/",
        "http://any/a/mcp",
        "*",
    ],
)
def test_no_other_spelling_is_served(path: str) -> None:
    assert at(snapshot(entry("a"), entry("ab")), path) is None


def test_a_hostname_is_matched_whole_and_comes_before_any_host() -> None:
    found = snapshot(entry("any", path="/a"), entry("own", path="/a", hostnames=["mcp.example.com"]))

    assert at(found, "/a/mcp", "mcp.example.com") == "own"
    for host in ("other.example.com", "example.com", "x.mcp.example.com", "mcp.example.com.", ""):
        assert at(found, "/a/mcp", host) == "any"


def test_a_proxy_with_hostnames_is_at_no_other_host() -> None:
    found = snapshot(entry("own", path="/a", hostnames=["mcp.example.com", "mcp.example.org"]))

    assert at(found, "/a/mcp", "mcp.example.org") == "own"
    assert at(found, "/a/mcp", "localhost") is None


def test_a_proxy_found_by_its_path_names_its_endpoint() -> None:
    proxy = snapshot(entry("a")).at_path("any", "/a")

    assert proxy is not None
    assert proxy.endpoint == "/a/mcp"


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Example.COM:8080", "example.com"),
        ("example.com", "example.com"),
        ("example.com.", "example.com."),
        ("[::1]:8080", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
        ("localhost:80:80", "localhost:80:80"),
        ("user@localhost", "user@localhost"),
        ("[::1", "[::1"),
        ("localhost:x", "localhost:x"),
        ("local host", "local host"),
        ("a/b", "a/b"),
    ],
)
def test_a_host_is_lower_case_and_without_port_and_what_is_none_stays_as_it_is(authority: str, host: str) -> None:
    assert host_name(authority) == host


@pytest.mark.parametrize(
    ("external", "hostnames", "origins"),
    [
        (None, ["mcp.example.com"], set()),
        ("https://gw.example.com", [], {"https://gw.example.com"}),
        ("https://GW.example.com:443/", [], {"https://gw.example.com"}),
        ("http://gw.example.com:80", [], {"http://gw.example.com"}),
        ("https://gw:8443", ["mcp.example.com"], {"https://gw:8443", "https://mcp.example.com:8443"}),
        ("http://[::1]", [], {"http://[::1]"}),
        ("http://[::1]:8080", [], {"http://[::1]:8080"}),
    ],
)
def test_the_own_origins_come_from_settings_and_hostnames_as_a_browser_writes_them(
    external: str | None, hostnames: list[str], origins: set[str]
) -> None:
    using = settings(external_url=external, allowed_origins=["https://app.example.com"])
    found = snapshot(entry("a", hostnames=hostnames), using=using)

    proxy = found.proxies["default/a"]
    for origin in {*origins, "https://app.example.com"}:
        assert found.allows_origin(origin, proxy)
    assert not found.allows_origin("https://other.example.com", proxy)


def test_the_hostname_of_one_proxy_is_no_origin_at_another() -> None:
    using = settings(external_url="https://gw.example.com")
    found = snapshot(entry("a", hostnames=["a.example.com"]), entry("b", hostnames=["b.example.com"]), using=using)
    a, b = found.proxies["default/a"], found.proxies["default/b"]

    assert found.allows_origin("https://a.example.com", a)
    assert not found.allows_origin("https://a.example.com", b)
    assert found.allows_origin("https://gw.example.com", a)
    assert found.allows_origin("https://gw.example.com", b)
