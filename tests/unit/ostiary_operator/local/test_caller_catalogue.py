"""A catalogue as one caller sees it: each name with the reason for what may be done with it."""

from typing import Any

from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.mcp.methods import Primitive
from ostiary_core.openapi.translation import translate
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_operator.local.caller_catalogue import entries, left_out
from ostiary_operator.local.governed_proxy import GovernedProxy

TIMEOUTS = {"connect": 1, "request": 1, "idle": 1}
TOOLS, RESOURCES = Primitive.TOOLS, Primitive.RESOURCES
EU = Principal(id="x", method="described", groups=frozenset({"eu"}))


def proxy(*rules: dict[str, Any], servers: dict[str, str | None], **more: Any) -> GovernedProxy:
    described = [
        {"name": name, "url": f"http://{name}/mcp", "timeouts": TIMEOUTS}
        | ({"prefix": prefix} if prefix is not None else {})
        for name, prefix in servers.items()
    ]
    entry = {"namespace": "n", "name": "p", "uid": "u", "generation": 1, "path": "/p", "servers": described, **more}
    policy = {"namespace": "n", "name": "q", "uid": "v", "generation": 1, "tier": "owner", "access": {"rules": rules}}
    policies = (PolicyDocument.model_validate(policy, strict=False),) if rules else ()
    return GovernedProxy(EntryDocument.model_validate(entry, strict=False), policies)


READ = {"name": "read", "effect": "Allow", "tools": {"names": ["crm_get_*", "get_*"]}}
SEE = {"name": "see", "effect": "Allow", "tools": {"verbs": ["List"], "names": ["*delete_*"]}}
DENY = {"name": "no-drop", "effect": "Deny", "tools": {"names": ["drop"]}}
ALL = {"name": "all", "effect": "Allow"}


def shown(found: GovernedProxy, principal: Principal = ANONYMOUS, **tools: list[str]) -> list[tuple[str, str, str]]:
    listed = {name: {TOOLS: names} for name, names in tools.items()}
    return [(each.name, each.access, each.why) for each in entries(found, principal, listed)]


def test_each_name_of_a_server_has_its_exposed_form_and_what_decides() -> None:
    merged = proxy(READ, SEE, servers={"crm": "crm_", "docs": "docs_"}, server_selection="Merge")
    assert shown(merged, crm=["get_a", "delete_a", "put_a"], docs=["get_b"]) == [
        ("crm_get_a", "use", "rule read allows it"),
        ("crm_delete_a", "see", "no rule allows it"),
        ("crm_put_a", "-", "no rule allows it"),
        ("docs_get_b", "-", "no rule allows it"),
    ]


def test_a_deny_of_a_servers_own_name_is_named() -> None:
    merged = proxy(ALL, DENY, servers={"crm": "crm_", "docs": "docs_"}, server_selection="Merge")
    assert shown(merged, crm=["drop"]) == [("crm_drop", "-", "rule no-drop denies it")]


def test_what_has_no_place_in_the_catalogue_is_shown_with_the_reason() -> None:
    merged = proxy(servers={"crm": "crm_", "all": ""}, server_selection="Merge")
    found = {each.name: each for each in entries(merged, ANONYMOUS, {"all": {TOOLS: ["crm_get", "x" * 129, "fine"]}})}
    assert found["crm_get"].why == "the server lists it in the space of another server"
    assert found["x" * 129].why == "with its prefix it is longer than 128 characters"
    assert found["fine"].access == "use"
    (unmarked,) = entries(merged, ANONYMOUS, {"crm": {RESOURCES: ["{+scheme}://x"]}})
    assert unmarked.why.startswith("its URI cannot be marked")


def test_a_server_that_no_rule_leads_to_shows_nothing() -> None:
    rules = [{"name": "eu", "when": '"eu" in groups', "servers": ["eu"]}]
    routed = proxy(servers={"eu": None, "us": None}, server_selection="Route", routing=rules)
    reason = "no routing rule leads this caller to the server"
    assert shown(routed, EU, eu=["get"], us=["get"]) == [("get", "use", "no rule restricts it"), ("get", "-", reason)]
    assert shown(routed, eu=["get"]) == [("get", "-", reason)]


def test_a_proxy_with_one_server_has_its_names_as_they_are() -> None:
    assert shown(proxy(READ, servers={"crm": None}), crm=["get_a"]) == [("get_a", "use", "rule read allows it")]


def test_what_of_a_document_is_no_tool_is_told_of_each_server() -> None:
    rest = proxy(servers={"shop": "shop_", "crm": "crm_"}, server_selection="Merge")
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/a": {"get": {"operationId": "a"}, "head": {}}},
    }
    rest.entry.servers[0] = rest.entry.servers[0].model_copy(update={"openapi": translate(document).config})
    reason = "HEAD /a has the method HEAD, whose answer says nothing to a model"
    assert list(left_out(rest)) == [("shop", reason)]
