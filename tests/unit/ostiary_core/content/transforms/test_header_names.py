"""Headers that transformations must leave alone."""

import pytest
from pydantic import TypeAdapter, ValidationError

from ostiary_core.content.transforms.header_names import refused_header
from ostiary_operator.api.transforms import TransformedHeaderName


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("host", "framing"),
        ("mcp-session-id", "framing"),
        ("mcp-param-region", "framing"),
        ("via", "framing"),
        ("connection", "framing"),
        ("content-length", "framing"),
        ("content_length", "framing"),
        ("transfer-encoding", "framing"),
        ("transfer_encoding", "framing"),
        ("proxy-authorization", "framing"),
        ("authorization", "credential"),
        ("cookie", "credential"),
        ("set_cookie", "credential"),
        ("x_api_key", "credential"),
        ("dpop", "credential"),
        ("x-forwarded-for", "routing"),
        ("x_forwarded_for", "routing"),
        ("x_original_url", "routing"),
        ("x-real_ip", "routing"),
        ("x-forwarded-proto", "identity"),
        ("x-remote-user", "identity"),
        ("x_remote_user", "identity"),
        ("remoteuser", "identity"),
        ("impersonate-user", "identity"),
        ("traceparent", "framing"),
        ("x-b3-traceid", "reserved"),
        ("x_ostiary_anything", "reserved"),
        ("sec-fetch-mode", "reserved"),
        ("X-Team", "name of a header"),
        ("x team", "name of a header"),
        ("x-team\r\nhost", "name of a header"),
        ("", "name of a header"),
    ],
)
def test_a_header_of_the_gateway_is_refused_with_the_reason(name: str, kind: str) -> None:
    assert kind in refused_header(name)


@pytest.mark.parametrize("name", ["x-team", "x_team", "x-tenant-id", "x-tenant_id", "prefer", "x-ostiaries"])
def test_a_header_of_an_owner_passes(name: str) -> None:
    assert refused_header(name) == ""


REFUSED = (
    "host",
    "via",
    "origin",
    "referer",
    "max-forwards",
    "last-event-id",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "http2-settings",
    "accept",
    "accept-encoding",
    "range",
    "authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-csrf-token",
    "dpop",
    "forwarded",
    "from",
    "remote-user",
    "remote-groups",
    "impersonate-user",
    "impersonate-group",
    "impersonate-uid",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "true-client-ip",
    "cf-connecting-ip",
    "x-client-cert",
    "x-ssl-client-cert",
    "x-user",
    "x-user-id",
    "x-username",
    "x-webauth-user",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "client-cert",
    "client-cert-chain",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "mcp-x",
    "proxy-x",
    "content-x",
    "sec-x",
    "access-control-x",
    "x-forwarded-x",
    "x-envoy-x",
    "x-remote-x",
    "x-auth-request-x",
    "x-amzn-oidc-x",
    "x-goog-authenticated-x",
    "x-goog-iap-x",
    "x-b3-x",
    "impersonate-extra-x",
    "ostiary-x",
    "x-ostiary-x",
)


@pytest.mark.parametrize("name", REFUSED)
def test_a_header_is_refused_with_underscores_for_hyphens_by_gateway_and_api_alike(name: str) -> None:
    header = TypeAdapter(TransformedHeaderName)
    for spelling in (name, name.replace("-", "_"), name.replace("-", "_", 1)):
        assert refused_header(spelling)
        with pytest.raises(ValidationError):
            header.validate_python(spelling)
