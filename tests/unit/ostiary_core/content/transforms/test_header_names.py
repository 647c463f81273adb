"""Headers that transformations must leave alone."""

import pytest

from ostiary_core.content.transforms.header_names import refused_header


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("host", "routing"),
        ("mcp-session-id", "routing"),
        ("mcp-param-region", "routing"),
        ("via", "routing"),
        ("connection", "hop-by-hop"),
        ("content-length", "hop-by-hop"),
        ("transfer-encoding", "hop-by-hop"),
        ("proxy-authorization", "hop-by-hop"),
        ("authorization", "credential"),
        ("cookie", "credential"),
        ("x-forwarded-for", "identity"),
        ("x-remote-user", "identity"),
        ("impersonate-user", "identity"),
        ("traceparent", "telemetry"),
        ("X-Team", "name of a header"),
        ("x team", "name of a header"),
        ("x-team\r\nhost", "name of a header"),
        ("", "name of a header"),
    ],
)
def test_a_header_of_the_gateway_is_refused_with_the_reason(name: str, kind: str) -> None:
    assert kind in refused_header(name)


@pytest.mark.parametrize("name", ["x-team", "x-tenant-id", "prefer", "idempotency-key"])
def test_a_header_of_an_owner_passes(name: str) -> None:
    assert refused_header(name) == ""
