import json

import pytest

from ostiary_gateway.identity.protected_resource import ANY_HOST, MetadataIndex, ResourceServer, ResourceUrls

ISSUER = "https://id.example.com"
PREFIX = "/.well-known/oauth-protected-resource"


def urls_of(*hostnames: str, external_url: str | None = "https://gw.example.com") -> ResourceUrls:
    return ResourceUrls.build(external_url=external_url, hostnames=hostnames, endpoint="/mcp")


def resource(endpoint: str, *hostnames: str) -> ResourceServer:
    return ResourceServer(
        hostnames=hostnames, endpoint=endpoint, authorization_servers=[ISSUER], scopes=["write", "read"]
    )


def index_of(*resources: ResourceServer, external_url: str = "https://gw.example.com") -> MetadataIndex:
    return MetadataIndex(resources, external_url=external_url)


def test_the_metadata_of_a_proxy_is_at_its_well_known_path() -> None:
    found = index_of(resource("/team/mcp")).find("anything.example", f"{PREFIX}/team/mcp")

    assert found is not None
    assert json.loads(found.document()) == {
        "resource": "https://gw.example.com/team/mcp",
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read", "write"],
    }


def test_each_hostname_of_a_proxy_has_metadata_of_its_own() -> None:
    index = index_of(resource("/mcp", "a.example.com", "b.example.com"), external_url="https://gw.example.com:8443")

    for host in ("a.example.com", "b.example.com"):
        found = index.find(host, f"{PREFIX}/mcp")
        assert found is not None
        assert json.loads(found.document())["resource"] == f"https://{host}:8443/mcp"
    assert index.find("gw.example.com", f"{PREFIX}/mcp") is None


def test_the_root_form_is_served_only_where_it_can_mean_one_proxy() -> None:
    one, other, hosted = resource("/a/mcp"), resource("/b/mcp"), resource("/c/mcp", "c.example.com")

    assert index_of(one).find("gw.example.com", PREFIX) is not None
    assert index_of(one, other).find("gw.example.com", PREFIX) is None
    found = index_of(one, other, hosted).find("c.example.com", PREFIX)
    assert found is not None
    assert json.loads(found.document())["resource"] == "https://c.example.com/c/mcp"


@pytest.mark.parametrize(
    "target",
    [
        f"{PREFIX}/team/mcp/",
        f"{PREFIX}//team/mcp",
        f"{PREFIX}/team/mcp?x=1",
        f"{PREFIX}/team/%6dcp",
        f"{PREFIX}/other/../team/mcp",
        f"{PREFIX}/team",
        f"/x{PREFIX}/team/mcp",
        f"{PREFIX.upper()}/team/mcp",
        "/team/mcp",
        "/",
    ],
)
def test_no_other_spelling_of_a_well_known_path_is_served(target: str) -> None:
    assert index_of(resource("/team/mcp"), resource("/b/mcp")).find("gw.example.com", target) is None


def test_a_gateway_without_a_public_url_has_metadata_for_hostnames_only() -> None:
    assert urls_of(external_url=None).resources == frozenset()
    hosted = urls_of("a.example.com", external_url=None)
    assert hosted.resources == {"https://a.example.com/mcp"}
    assert hosted.metadata("a.example.com") == f"https://a.example.com{PREFIX}/mcp"


@pytest.mark.parametrize(
    ("external", "expected"),
    [
        ("https://gw.example.com/", "https://gw.example.com/mcp"),
        ("https://GW.example.com:443", "https://gw.example.com/mcp"),
        ("http://localhost:8080", "http://localhost:8080/mcp"),
        ("http://[::1]:8080", "http://[::1]:8080/mcp"),
    ],
)
def test_the_resource_is_the_url_that_users_type(external: str, expected: str) -> None:
    assert urls_of(external_url=external).resource(ANY_HOST) == expected
