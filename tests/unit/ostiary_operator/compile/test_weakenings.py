"""What a change of the config in force weakens, by object and field, and what it does not."""

import json
from collections.abc import Collection, Sequence
from typing import Any, Literal

import pytest

from ostiary_core.canonical import digest
from ostiary_core.contract.access import AccessRulesConfig, SubjectConfig
from ostiary_core.contract.audit import AuditConfig, AuditFileConfig, AuditSinkConfig, GatewayAuditConfig
from ostiary_core.contract.authentication import (
    ApiKeysConfig,
    AuthenticationConfig,
    ClaimsConfig,
    ClientCertificateConfig,
    FetchConfig,
    IntrospectionConfig,
    IssuerConfig,
)
from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.contract.bounds import BoundsConfig
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import (
    CatalogueConfig,
    EntryDocument,
    HeaderConfig,
    PolicyDocument,
    ServerConfig,
    SettingsDocument,
    TimeoutsConfig,
)
from ostiary_core.contract.limits import LimitConfig, LoopDetectionConfig
from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_operator.compile.weakening import Weakening
from ostiary_operator.compile.weakenings import weakenings

BOUNDS = BoundsConfig(request_bytes=1, message_bytes=1, requests_in_flight=1, streams=1, session_max_age=1)
TIMEOUTS = TimeoutsConfig(connect=1, request=1, idle=1)
ALLOW = {"name": "read", "effect": "Allow", "tools": {"names": ["read_ticket"]}}
DENY = {"name": "no-delete", "effect": "Deny", "tools": {"names": ["delete_*"]}}
KEYS = AuthenticationConfig(api_keys=ApiKeysConfig(header="authorization"))


def policy(
    *rules: dict[str, Any], name: str = "p", tier: Literal["platform", "owner"] = "owner", **more: Any
) -> PolicyDocument:
    access = AccessRulesConfig.model_validate({"rules": list(rules)}, strict=False)
    fixed = {"namespace": "a", "name": name, "uid": f"uid-{name}", "generation": 1, "tier": tier, "access": access}
    return PolicyDocument(**{**fixed, **more})


def config(
    *policies: PolicyDocument,
    url: str = "http://crm.a.svc:80/mcp",
    server: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **entry: Any,
) -> GatewayConfig:
    documents = {digest(each.canonical()): each for each in policies}
    proxy = EntryDocument(
        namespace="a",
        name="crm",
        uid="uid-crm",
        generation=1,
        path="/crm",
        servers=[ServerConfig(name="up", url=url, timeouts=TIMEOUTS, **(server or {}))],
        policies=sorted(documents),
        **entry,
    )
    return GatewayConfig(
        GatewayIdentity(namespace="system", name="default"),
        SettingsDocument(bounds=BOUNDS, **(settings or {})),
        {"a/crm": proxy},
        documents,
    )


def found(old: GatewayConfig, new: GatewayConfig, *existing: str) -> Sequence[Weakening]:
    names: Collection[tuple[str, str]] = [("a", name) for name in existing]
    return weakenings(old, new, policies=names)


def reasons(old: GatewayConfig, new: GatewayConfig, *existing: str) -> list[tuple[str, str]]:
    return [(it.kind, it.reason) for it in found(old, new, *existing)]


def test_an_unchanged_config_weakens_nothing() -> None:
    assert found(config(policy(ALLOW, DENY)), config(policy(ALLOW, DENY)), "p") == ()


def test_a_deleted_policy_is_an_event_of_the_proxies_that_it_governed() -> None:
    (only,) = found(config(policy(ALLOW)), config())
    assert (only.kind, only.namespace, only.name, only.uid) == ("MCPProxy", "a", "crm", "uid-crm")
    assert (only.reason, only.message) == ("PolicyDeleted", "MCPPolicy a/p: governs it → deleted")


def test_a_detached_policy_is_an_event_of_the_proxy_and_of_the_policy() -> None:
    proxy, mine = sorted(found(config(policy(ALLOW)), config(), "p"), key=lambda it: it.kind, reverse=True)
    assert (proxy.kind, proxy.reason) == ("MCPProxy", "PolicyDetached")
    assert (mine.kind, mine.message) == (
        "MCPPolicy",
        "spec.targetRefs: governs MCPProxy a/crm → no longer governs MCPProxy a/crm",
    )


def test_a_policy_that_only_reports_weakens_nothing_when_it_is_deleted() -> None:
    assert found(config(policy(ALLOW, mode="Shadow")), config()) == ()


def test_a_switch_to_shadow_is_one_event_and_the_way_back_is_none() -> None:
    enforced, shadow = config(policy(ALLOW, DENY, authentication=KEYS)), config(policy(mode="Shadow"))
    (only,) = found(enforced, shadow, "p")
    assert (only.kind, only.reason, only.message) == ("MCPPolicy", "SwitchedToShadow", "spec.mode: Enforce → Shadow")
    assert found(config(policy(ALLOW, mode="Shadow")), config(policy(ALLOW)), "p") == ()


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (None, "AuthenticationRemoved"),
        (AuthenticationConfig(api_keys=KEYS.api_keys, anonymous=True), "AnonymousAdmitted"),
        (AuthenticationConfig(passthrough=True), "AuthenticationWidened"),
        (
            AuthenticationConfig(
                api_keys=KEYS.api_keys, issuers=[IssuerConfig(issuer="https://id", algorithms=["RS256"])]
            ),
            "AuthenticationWidened",
        ),
    ],
)
def test_weaker_authentication_is_reported(after: AuthenticationConfig | None, reason: str) -> None:
    before = config(policy(ALLOW, authentication=KEYS))
    (only,) = found(before, config(policy(ALLOW, authentication=after)), "p")
    assert (only.reason, only.field, only.before) == (reason, "spec.authentication", "apiKey")


ISSUER = IssuerConfig(issuer="https://id", algorithms=["RS256"], audiences=["a", "b"], types=["at+jwt"])
ASKED = IntrospectionConfig(issuer="https://id", client_id="g", client_secret="credential-1", cache=1, timeout=1)


def by_issuer(**changed: Any) -> AuthenticationConfig:
    return AuthenticationConfig(issuers=[ISSUER.model_copy(update=changed)])


def asking(**changed: Any) -> AuthenticationConfig:
    return AuthenticationConfig(introspection=ASKED.model_copy(update=changed))


def certified(**changed: Any) -> AuthenticationConfig:
    return AuthenticationConfig(client_certificate=ClientCertificateConfig(**{"ca": "pem", **changed}))


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        (by_issuer(), by_issuer(jwks='{"keys": []}'), "jwt[https://id].jwks"),
        (by_issuer(), by_issuer(jwks_uri="https://evil.example.com/keys"), "jwt[https://id].jwksUri"),
        (by_issuer(), by_issuer(fetch=FetchConfig(ca="pem")), "jwt[https://id].caCertificateRefs"),
        (by_issuer(), by_issuer(audiences=["a", "c"]), "jwt[https://id].audiences"),
        (by_issuer(), by_issuer(audiences=[]), "jwt[https://id].audiences"),
        (by_issuer(), by_issuer(audiences=None), "jwt[https://id].audiences"),
        (by_issuer(), by_issuer(algorithms=["RS256", "ES256"]), "jwt[https://id].algorithms"),
        (by_issuer(), by_issuer(types=None), "jwt[https://id].types"),
        (by_issuer(), by_issuer(clock_skew=60_000), "jwt[https://id].clockSkew"),
        (by_issuer(), by_issuer(claims=ClaimsConfig(groups=["nickname"])), "jwt[https://id].groupsClaim"),
        (asking(), asking(endpoint="https://evil.example.com/ask"), "introspection.endpoint"),
        (asking(), asking(audiences=[]), "introspection.audiences"),
        (asking(), asking(cache=60_000), "introspection.cache"),
        (certified(), certified(ca="other pem"), "clientCertificate.caCertificateRefs"),
        (certified(), certified(forwarded=True), "clientCertificate.source"),
    ],
)
def test_a_method_that_admits_others_than_before_is_reported_with_its_field(
    before: AuthenticationConfig, after: AuthenticationConfig, field: str
) -> None:
    (only,) = found(config(policy(ALLOW, authentication=before)), config(policy(ALLOW, authentication=after)), "p")
    assert (only.reason, only.field) == ("AuthenticationWidened", f"spec.authentication.{field}")
    assert "pem" not in only.message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (by_issuer(), by_issuer(audiences=["a"])),
        (by_issuer(types=None, clock_skew=1000), by_issuer()),
        (by_issuer(claims=ClaimsConfig(groups=["groups"])), by_issuer()),
        (asking(audiences=[]), asking(cache=0)),
        (asking(), asking(client_secret="credential-2")),
        (certified(forwarded=True), certified()),
    ],
)
def test_a_method_that_admits_fewer_than_before_is_not_reported(
    before: AuthenticationConfig, after: AuthenticationConfig
) -> None:
    changed = config(policy(ALLOW, authentication=after))
    assert found(config(policy(ALLOW, authentication=before)), changed, "p") == ()


def test_a_platform_policy_that_replaces_the_authentication_of_a_namespace_by_a_wider_one_is_reported() -> None:
    mine = policy(ALLOW, authentication=KEYS)
    public = policy(name="public", tier="platform", access=None, authentication=AuthenticationConfig(anonymous=True))
    (only,) = found(config(mine), config(mine, public), "p", "public")
    assert (only.kind, only.reason) == ("MCPProxy", "AuthenticationWidened")
    assert only.message == "spec.authentication of platform policies: apiKey → anonymous"
    stricter = policy(name="public", tier="platform", access=None, authentication=KEYS)
    assert found(config(mine), config(mine, stricter), "p", "public") == ()


def test_another_key_or_stricter_authentication_is_not_reported() -> None:
    open_too = AuthenticationConfig(api_keys=KEYS.api_keys, anonymous=True)
    assert found(config(policy(ALLOW, authentication=open_too)), config(policy(ALLOW, authentication=KEYS)), "p") == ()
    assert found(config(policy(ALLOW)), config(policy(ALLOW, authentication=KEYS)), "p") == ()


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ([ALLOW, DENY], [ALLOW], "DenyRemoved"),
        ([DENY], [DENY | {"tools": {"names": ["delete_user"]}}], "DenyRemoved"),
        ([DENY], [DENY | {"when": "'x' in groups"}], "DenyRemoved"),
        ([ALLOW], [ALLOW, {"name": "more", "effect": "Allow", "tools": {"names": ["refund"]}}], "AllowWidened"),
        ([ALLOW], [ALLOW | {"tools": {"names": ["read_*"]}}], "AllowWidened"),
        ([ALLOW], [{"name": "read", "effect": "Allow"}], "AllowWidened"),
        ([ALLOW | {"scopes": ["tickets"]}], [ALLOW], "AllowWidened"),
        ([ALLOW | {"arguments": [{"path": ["id"], "maximum": 5}]}], [ALLOW], "AllowWidened"),
        ([ALLOW, DENY], [DENY], "AllowWidened"),
        ([], [DENY], "AllowWidened"),
    ],
)
def test_rules_that_deny_less_or_allow_more_are_reported(before: list[Any], after: list[Any], reason: str) -> None:
    (only,) = found(config(policy(*before)), config(policy(*after)), "p")
    assert (only.kind, only.reason, only.field) == ("MCPPolicy", reason, "spec.access.rules")


@pytest.mark.parametrize(
    ("before", "after", "was", "now"),
    [
        ([ALLOW], [ALLOW | {"tools": {"names": ["read_*", "x"]}}], "tools read_ticket", "tools read_*, x"),
        ([ALLOW | {"scopes": ["tickets"]}], [ALLOW], "scopes tickets", "scopes absent"),
        ([ALLOW | {"when": "args.n < 5"}], [ALLOW | {"when": "true"}], "when args.n < 5", "when true"),
        (
            [ALLOW | {"arguments": [{"path": ["to", "id"], "maximum": 5}]}],
            [ALLOW],
            "arguments to.id maximum 5",
            "arguments absent",
        ),
        ([DENY], [DENY | {"tools": {"verbs": ["Call"]}}], None, "tools every name (Call)"),
    ],
)
def test_the_report_of_an_edited_rule_has_both_values_of_what_differs(
    before: list[Any], after: list[Any], was: str | None, now: str
) -> None:
    (only,) = found(config(policy(*before)), config(policy(*after)), "p")
    name = before[0]["name"]
    assert was is None or only.before == f"rule {name}: {was}"
    assert only.after == f"rule {name}: {now}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([ALLOW], [ALLOW, DENY]),
        ([ALLOW, DENY], [DENY, ALLOW]),
        ([ALLOW, DENY], [ALLOW | {"name": "renamed"}, DENY]),
        ([ALLOW | {"tools": {"names": ["read_*", "list"]}}], [ALLOW]),
        ([ALLOW], [ALLOW | {"scopes": ["tickets"]}]),
        ([ALLOW], []),
        ([DENY], [ALLOW, DENY]),
        ([DENY], [DENY | {"tools": {"names": ["*"]}}]),
    ],
)
def test_rules_that_only_narrow_are_not_reported(before: list[Any], after: list[Any]) -> None:
    assert found(config(policy(*before)), config(policy(*after)), "p") == ()


def test_removed_access_and_other_subjects_are_reported() -> None:
    assert reasons(config(policy(ALLOW)), config(policy(access=None)), "p") == [("MCPPolicy", "AccessRemoved")]
    others = [SubjectConfig(groups=["support"])]
    assert reasons(config(policy(ALLOW)), config(policy(ALLOW, subjects=others)), "p") == [
        ("MCPPolicy", "SubjectsChanged")
    ]


def test_an_attached_policy_is_reported_where_it_allows_more_than_the_others_did() -> None:
    first, second = policy(ALLOW), policy(ALLOW, name="second")
    assert reasons(config(first), config(first, second), "p", "second") == [("MCPProxy", "PolicyAttached")]
    assert found(config(), config(first), "p") == ()
    assert found(config(first), config(first, policy(DENY, name="second")), "p", "second") == ()
    platform = policy(ALLOW, name="second", tier="platform")
    assert found(config(first), config(first, platform), "p", "second") == ()


@pytest.mark.parametrize(
    ("after", "field"),
    [
        ({"url": "http://evil.example.com/mcp"}, "spec.servers[0].url"),
        ({"url": "https://crm.a.svc:80/mcp"}, "spec.servers[0].url"),
        ({"url": "http://crm.a.svc:80/mcp?tenant=other"}, "spec.servers[0].url (query)"),
        ({"server": {"headers": [HeaderConfig(name="X-Tenant", value="other")]}}, "spec.servers[0].headers"),
        ({"server": {"host": "evil.example.com"}}, "spec.servers[0].host"),
        ({"server": {"tls": {"hostname": "evil.example.com"}}}, "spec.servers[0].tls.hostname"),
    ],
)
def test_another_upstream_is_reported(after: dict[str, Any], field: str) -> None:
    (only,) = found(config(), config(**after))
    assert (only.kind, only.reason, only.field) == ("MCPProxy", "UpstreamChanged", field)


def test_the_query_of_a_url_is_not_shown() -> None:
    (only,) = found(config(), config(url="http://other.a.svc/mcp?sid=canary"))
    assert "canary" not in only.message


def test_a_catalogue_that_exposes_more_is_reported() -> None:
    def exposing(**tools: Any) -> GatewayConfig:
        return config(catalogue=CatalogueConfig.model_validate({"tools": tools}))

    assert reasons(exposing(include=["a"]), exposing(include=["a", "b"])) == [("MCPProxy", "CatalogueWidened")]
    assert reasons(exposing(exclude=["a"]), config()) == [("MCPProxy", "CatalogueWidened")]
    assert found(exposing(include=["a", "b"]), exposing(include=["a"], exclude=["b"])) == ()


def test_looser_settings_of_a_gateway_are_reported() -> None:
    def with_settings(text: str) -> GatewayConfig:
        return config(settings={"source": text})

    loosened = found(with_settings('{"withoutPolicy":"Deny","tenancy":"Multi"}'), with_settings("{}"))
    assert [it.message for it in loosened] == ["tenancy: Multi → Single", "withoutPolicy: Deny → Allow"]
    assert {(it.kind, it.namespace, it.name) for it in loosened} == {("", "system", "default")}
    assert found(with_settings("{}"), with_settings('{"withoutPolicy":"Deny"}')) == ()


@pytest.mark.parametrize("field", ["trustedProxies", "allowedOrigins", "grants"])
def test_more_items_of_a_list_that_permits_are_reported_and_fewer_are_not(field: str) -> None:
    less, more = (config(settings={"source": json.dumps({field: items})}) for items in (["a"], ["a", "b"]))
    (only,) = found(less, more)
    assert (only.reason, only.message) == ("SettingLoosened", f"{field}: a → adds b")
    assert found(more, less) == ()


def test_a_removed_block_is_reported_and_a_new_one_is_not() -> None:
    blocked = config(settings={"blocked": BlockedConfig(principals=["a/agent", "a/other"])})
    fewer = config(settings={"blocked": BlockedConfig(principals=["a/other"])})
    (only,) = found(blocked, fewer)
    assert (only.reason, only.message) == ("BlockRemoved", "blocked.principals: a/agent → a/other")
    assert reasons(blocked, config()) == [("", "BlockRemoved")]
    assert found(config(), blocked) == ()


def test_a_new_proxy_weakens_nothing() -> None:
    empty = GatewayConfig(GatewayIdentity(namespace="system", name="default"), SettingsDocument(bounds=BOUNDS), {}, {})
    assert found(empty, config()) == ()


def test_a_message_has_a_limit_and_shows_no_control_characters() -> None:
    rules = [
        {"name": f"rule-{index}-{'x' * 500}\n", "effect": "Allow", "tools": {"names": [f"t{index}"]}}
        for index in range(50)
    ]
    (only,) = found(config(policy(ALLOW)), config(policy(*rules)), "p")
    assert len(only.message) < 2000
    assert "\n" not in only.message


# Audit

RECORDED = AuditConfig(level="RequestResponse", arguments="Full", max_bytes=4096, failure_policy="Fail")


@pytest.mark.parametrize(
    ("now", "field", "before", "after"),
    [
        (None, "spec.audit", "RequestResponse", "none"),
        ({"level": "Request", "results": "Redacted"}, "spec.audit.level", "RequestResponse", "Request"),
        ({"arguments": "Digest"}, "spec.audit.arguments", "Full", "Digest"),
        ({"results": "None"}, "spec.audit.results", "Redacted", "None"),
        ({"max_bytes": 1024}, "spec.audit.maxBytes", "4Ki", "1Ki"),
        ({"stages": ["ResponseComplete"]}, "spec.audit.stages", "by effect", "ResponseComplete"),
        ({"failure_policy": None}, "spec.audit.failurePolicy", "Fail", "Ignore"),
    ],
)
def test_less_audit_is_reported_with_its_field(now: dict[str, Any] | None, field: str, before: str, after: str) -> None:
    lowered = RECORDED.model_copy(update=now) if now is not None else None
    [weakening] = found(config(policy(ALLOW, audit=RECORDED)), config(policy(ALLOW, audit=lowered)), "p")
    assert (weakening.reason, weakening.field) == ("AuditLowered", field)
    assert (weakening.before, weakening.after) == (before, after)


def test_more_audit_is_no_weakening() -> None:
    lower = AuditConfig(level="Metadata", stages=["ResponseComplete"])
    assert found(config(policy(ALLOW, audit=lower)), config(policy(ALLOW, audit=RECORDED)), "p") == ()
    assert found(config(policy(ALLOW)), config(policy(ALLOW, audit=lower)), "p") == ()


def test_less_audit_of_a_gateway_is_reported_and_so_is_a_sink_that_is_gone() -> None:
    file = AuditFileConfig(path="/a.jsonl", max_bytes=1, max_files=1)
    both = [AuditSinkConfig(stdout=True), AuditSinkConfig(file=file)]
    old = GatewayAuditConfig(floor=AuditConfig(level="Metadata"), sinks=both)
    new = GatewayAuditConfig(sinks=both[:1])
    lowered = found(config(settings={"audit": old}), config(settings={"audit": new}))
    assert [(it.kind, it.reason, it.field, it.before, it.after) for it in lowered] == [
        ("", "AuditLowered", "audit.floor", "Metadata", "none"),
        ("", "AuditLowered", "audit.sinks", "file /a.jsonl, stdout", "stdout"),
    ]


def test_a_limit_that_is_gone_is_an_event_of_its_policy() -> None:
    limit = LimitConfig(
        name="l", per=["Principal"], requests=5, window=1000, on_store_failure="Local", when_exhausted="Show"
    )
    loop = LoopDetectionConfig(repeats=3, window=1000, action="Deny")
    gone = found(config(policy(ALLOW, limits=[limit], loop_detection=loop)), config(policy(ALLOW)), "p")
    assert [(it.reason, it.message) for it in gone] == [
        ("LimitRemoved", "spec.limits[l]: 5 requests per 1s → none"),
        ("LimitRemoved", "spec.loopDetection: Deny after 3 in 1s → none"),
    ]
    assert found(config(policy(ALLOW)), config(policy(ALLOW, limits=[limit])), "p") == ()
