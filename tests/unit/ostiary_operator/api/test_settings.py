import ipaddress

import pytest

from ostiary_operator.api.durations import Duration
from ostiary_operator.api.grants import Grant
from ostiary_operator.api.load import InvalidSettings, parse_settings
from ostiary_operator.api.settings import GatewaySettings, SessionNotePlace, Tenancy, WithoutPolicy

EVERYTHING = """
externalURL: https://mcp.example.com
tenancy: Multi
withoutPolicy: Deny
allowedOrigins: ["https://app.example.com", "vscode-webview://abc"]
grants:
- namespaces: [sales, support]
  paths: [/crm]
  hostnames: [crm.example.com]
  upstreams: ["*.example.com"]
  addresses: [127.0.0.0/8, "fd00::/8"]
trustedProxies: [10.0.0.0/8, "fd00::/8"]
egressProxy: {url: "http://proxy.corp:3128", noProxy: ["*.corp", 10.0.0.0/8]}
bounds:
  requestBytes: 1Mi
  messageBytes: 2097152
  connections: 40
  requestsInFlight: 10
  streams: 20
  bytesInFlight: 64Mi
  perSource: {connections: 4, requestsInFlight: 3, streams: 2, bytesInFlight: 8Mi}
  perPrincipal: {requestsInFlight: 3, streams: 2, bytesInFlight: 8Mi}
  perProxy: {requestsInFlight: 3, streams: 2, bytesInFlight: 8Mi}
  perServer: {connections: 5}
  sessionMaxAge: 8h
"""


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidSettings) as refused:
        parse_settings(text)
    return [problem.field for problem in refused.value.problems]


@pytest.mark.parametrize("text", ["", "{}", "# nothing yet\n", "---\n{}\n"])
def test_settings_without_a_field_are_the_defaults(text: str) -> None:
    settings = parse_settings(text)
    assert settings == GatewaySettings()
    assert (settings.tenancy, settings.without_policy) == (Tenancy.SINGLE, WithoutPolicy.ALLOW)
    assert (settings.bounds.request_bytes, settings.bounds.message_bytes) == (4 * 2**20, 16 * 2**20)
    assert settings.bounds.session_max_age == Duration.parse("24h")


def test_all_settings_can_be_set_and_written_back() -> None:
    settings = parse_settings(EVERYTHING)
    assert settings.external_url == "https://mcp.example.com"
    assert settings.bounds.message_bytes == 2 * 2**20
    assert settings.grants[0].addresses[0] == ipaddress.ip_network("127.0.0.0/8")
    assert GatewaySettings.model_validate(settings.document(), by_name=False) == settings
    assert settings.document()["bounds"]["requestBytes"] == "1Mi"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("tenancy: multi", "tenancy"),
        ("withoutPolicy: true", "withoutPolicy"),
        ("externalURL: mcp.example.com", "externalURL"),
        ("externalURL: https://mcp.example.com/mcp", "externalURL"),
        ("externalURL: app://mcp.example.com", "externalURL"),
        ("external_url: https://mcp.example.com", "external_url"),
        ("externalUrl: https://mcp.example.com", "externalUrl"),
        ('allowedOrigins: ["*"]', "allowedOrigins[0]"),
        ("allowedOrigins: [https://a, https://a]", "allowedOrigins[1]"),
        ("grants: [{paths: [/a]}]", "grants[0].namespaces"),
        ("grants: [{namespaces: [a]}]", "grants[0]"),
        ("grants: [{namespaces: [a], addresses: [10.0.0.1]}]", "grants[0].addresses[0]"),
        ("grants: [{namespaces: [a], addresses: [10.0.0.1/8]}]", "grants[0].addresses[0]"),
        ("grants: [{namespaces: [a], addresses: [10]}]", "grants[0].addresses[0]"),
        ("grants: [{namespaces: [a-*], paths: [/]}]", "grants[0].namespaces[0]"),
        ("bounds: {requestBytes: 1023}", "bounds.requestBytes"),
        ("bounds: {requestBytes: 2Gi}", "bounds.requestBytes"),
        ("bounds: {requestBytes: 4MB}", "bounds.requestBytes"),
        ("bounds: {requestBytes: true}", "bounds.requestBytes"),
        ("bounds: {streams: 0}", "bounds.streams"),
        ("bounds: {connections: 0}", "bounds.connections"),
        ("bounds: {bytesInFlight: 1}", "bounds.bytesInFlight"),
        ("bounds: {perSource: {streams: 0}}", "bounds.perSource.streams"),
        ("bounds: {perPrincipal: {connections: 1}}", "bounds.perPrincipal.connections"),
        ("bounds: {perProxy: {requestsInFlight: 1000001}}", "bounds.perProxy.requestsInFlight"),
        ("bounds: {perServer: {connections: -1}}", "bounds.perServer.connections"),
        ("trustedProxies: [10.0.0.1]", "trustedProxies[0]"),
        ("trustedProxies: [10.0.0.0/8, 10.0.0.0/8]", "trustedProxies[1]"),
        ("trustedProxies: 10.0.0.0/8", "trustedProxies"),
        ('bounds: {streams: "10"}', "bounds.streams"),
        ("bounds: {sessionMaxAge: 30s}", "bounds.sessionMaxAge"),
        ("egressProxy: {}", "egressProxy.url"),
        ("egressProxy: http://proxy.corp:3128", "egressProxy"),
        ('egressProxy: {url: "http://p:1", noProxy: "*.corp"}', "egressProxy.noProxy"),
        ('egressProxy: {url: "http://p:1", noProxy: [a, a]}', "egressProxy.noProxy[1]"),
        ('egressProxy: {url: "http://p:1", httpsProxy: "http://p:1"}', "egressProxy.httpsProxy"),
        ("bounds:", "bounds"),
        ("audits: {}", "audits"),
        ("[]", ""),
        ("a: [", ""),
        ("{}\n---\n{}\n---\na: 1", ""),
        ("tenancy: Multi\ntenancy: Single", ""),
    ],
)
def test_a_setting_that_cannot_be_is_named(text: str, field: str) -> None:
    assert problems(text) == [field]


def test_notes_of_sessions_can_be_shared_only_where_there_is_a_store() -> None:
    store = "limitStore: {redis: {addresses: ['redis.data.svc:6379']}}"

    assert problems("sessionNotes: Shared") == ["sessionNotes"]
    assert parse_settings(f"sessionNotes: Shared\n{store}").session_notes is SessionNotePlace.SHARED
    assert parse_settings(store).session_notes is SessionNotePlace.LOCAL


def test_an_error_names_the_document_and_the_remedy() -> None:
    with pytest.raises(InvalidSettings) as refused:
        parse_settings("tenancy: multi", subject="ConfigMap ostiary-system/default")
    assert str(refused.value) == (
        "ConfigMap ostiary-system/default: tenancy: is not one of the allowed values; use Single or Multi"
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://user:secret@proxy.corp:3128", "must not contain user information"),
        ("http://proxy.corp:secret@3128", "must not contain user information"),
        ("https://proxy.corp:3128", "is the URL of a proxy with TLS, which is not supported"),
        ("http://proxy.corp", "is not the URL of an HTTP proxy"),
        ("http://proxy.corp:3128/path", "is not the URL of an HTTP proxy"),
        ("socks5://proxy.corp:1080", "is not the URL of an HTTP proxy"),
        ("proxy.corp:3128", "is not the URL of an HTTP proxy"),
        ("http://:3128", "is not the URL of an HTTP proxy"),
        ("http://proxy.corp:99999", "is not the URL of an HTTP proxy"),
        ("http://2130706433:3128", "has a host that is a disguised IPv4 address"),
    ],
)
def test_an_egress_proxy_that_cannot_be_is_refused_with_its_fix_and_no_credentials(url: str, said: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        parse_settings(f'egressProxy: {{url: "{url}"}}')
    assert {problem.field for problem in refused.value.problems} == {"egressProxy.url"}
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("item", "taken"),
    [
        *[("*", True), ("corp", True), ("*.corp", True), (".corp", True), ("api.corp:8443", True), ("*.svc", True)],
        *[("10.0.0.1", True), ("10.0.0.0/8", True), ("10.0.0.1:8080", True), ("fd00::1", True), ("fd00::/8", True)],
        *[("[fd00::1]", True), ("a.*", False), ("a,b", False), ("http://corp", False), ("10.0.0.0/33", False)],
        *[("corp:0", False), ("a b", False), ("*corp", False), ("fd00::/129", False), ("user@corp", False)],
    ],
)
def test_what_is_connected_to_directly_is_named_as_no_proxy_names_it(item: str, taken: bool) -> None:
    text = f'egressProxy: {{url: "http://proxy.corp:3128", noProxy: ["{item}"]}}'
    if taken:
        assert parse_settings(text).egress_proxy is not None
    else:
        assert problems(text) == ["egressProxy.noProxy[0]"]


def grant(**fields: list[str]) -> Grant:
    return Grant.model_validate({"namespaces": ["sales"], **fields})


def test_a_grant_concerns_the_namespaces_it_names() -> None:
    assert grant(paths=["/"]).concerns("sales")
    assert not grant(paths=["/"]).concerns("sales-eu")
    assert Grant.model_validate({"namespaces": ["*"], "paths": ["/"]}).concerns("any")


@pytest.mark.parametrize(
    ("path", "covered"), [("/crm", True), ("/crm/eu", True), ("/crmx", False), ("/", False), ("/CRM", False)]
)
def test_a_granted_path_covers_whole_segments(path: str, covered: bool) -> None:
    assert grant(paths=["/crm"]).covers_path(path) is covered


def test_a_slash_covers_every_path_and_nothing_covers_none() -> None:
    assert grant(paths=["/"]).covers_path("/any/thing")
    assert not grant(hostnames=["*"]).covers_path("/any/thing")


@pytest.mark.parametrize(
    ("pattern", "host", "covered"),
    [
        ("a.example.com", "a.example.com", True),
        ("a.example.com", "b.a.example.com", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "b.a.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("*", "anything", True),
    ],
)
def test_a_host_is_covered_by_its_name_or_suffix(pattern: str, host: str, covered: bool) -> None:
    assert grant(hostnames=[pattern]).covers_hostname(host) is covered
    assert grant(upstreams=[pattern]).covers_upstream(host) is covered
    assert not grant(upstreams=[pattern]).covers_hostname(host)
