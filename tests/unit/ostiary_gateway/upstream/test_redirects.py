"""A redirect is followed to another path of the same origin; the report of any other contains no secret."""

import pytest
from yarl import URL

from ostiary_gateway.upstream.redirects import is_lasting, shown, target

SERVER = URL("http://crm.tools:8000/mcp")

FOLLOWED = {
    "/mcp/": "/mcp/",
    "mcp/": "/mcp/",
    "http://crm.tools:8000/mcp/": "/mcp/",
    "http://CRM.tools:8000/v2/mcp?x=1#part": "/v2/mcp?x=1",
    "//crm.tools:8000/mcp/": "/mcp/",
    "http://localhost:9000/mcp/": "/mcp/",
    "/a%2Fb": "/a%2Fb",
}


@pytest.mark.parametrize("location", FOLLOWED)
def test_to_the_same_origin_it_is_followed(location: str) -> None:
    moved = target(location, SERVER, host="localhost:9000")
    assert moved is not None
    assert moved.origin() == SERVER.origin()
    assert moved.raw_path_qs == FOLLOWED[location]


@pytest.mark.parametrize(
    "location",
    [
        *[None, "", "/mcp", "http://crm.tools:8000/mcp", "#part"],
        *["https://crm.tools:8000/mcp/", "http://crm.tools/mcp/", "http://evil.example/mcp/", "//evil.example/mcp/"],
        *["////evil.example/", "http://crm.tools:8000//evil.example/", "http://user:word@crm.tools:8000/mcp/"],
        *["http://crm.tools.:8000/mcp/", "http://[::1/", "http://crm.tools:99999/", "javascript:x", "/a\r\nX: y"],
        *["/\xe9", "/" + "x" * 5000],
    ],
)
def test_to_anywhere_else_it_is_not(location: str | None) -> None:
    assert target(location, SERVER, host=None) is None


@pytest.mark.parametrize(
    ("status", "after", "lasting"),
    [(307, "/mcp/", True), (307, "/other", False), (307, "/mcp/?shard=3", False), (308, "/other", True)],
)
def test_a_slash_and_a_permanent_move_are_remembered(status: int, after: str, lasting: bool) -> None:
    assert is_lasting(status, before=SERVER, after=SERVER.join(URL(after))) is lasting


@pytest.mark.parametrize("location", ["https://user:word@a.example/x?token=secret#secret", "/login?next=secret"])
def test_possible_secrets_in_a_location_are_not_reported(location: str) -> None:
    assert shown(location) in {"https://a.example/x", "/login"}
