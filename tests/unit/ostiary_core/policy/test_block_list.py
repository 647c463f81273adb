"""Which principals, proxies and servers a block list matches."""

from typing import Any

import pytest

from ostiary_core.contract.blocks import BlockedConfig, BlockedSubjectConfig
from ostiary_core.contract.documents import ServerConfig
from ostiary_core.policy.block_list import BlockList, places_of
from ostiary_core.policy.principal import ANONYMOUS, PASSTHROUGH, Principal, consumer_id

AGENT = Principal(id=consumer_id("support/agent"), method="apiKey", consumer="support/agent")
TOKEN = Principal(
    id="token:abc", method="jwt", consumer="support/bot", issuer="https://id.example.com", subject="agent-17"
)


@pytest.mark.parametrize(
    ("item", "principal"),
    [
        ("support/agent", AGENT),
        ("consumer:support/agent", AGENT),
        ("support/bot", TOKEN),
        ("token:abc", TOKEN),
        ("anonymous", ANONYMOUS),
        ("passthrough", PASSTHROUGH),
    ],
)
def test_a_principal_is_blocked_by_its_id_and_as_a_consumer(item: str, principal: Principal) -> None:
    blocked = BlockList(BlockedConfig(principals=[item]))
    assert blocked.has_principal(principal)
    assert sum(map(blocked.has_principal, (AGENT, TOKEN, ANONYMOUS, PASSTHROUGH))) == 1


def test_a_principal_is_blocked_by_issuer_and_subject_together() -> None:
    def blocks(issuer: str, subject: str) -> bool:
        subjects = [BlockedSubjectConfig(issuer=issuer, subject=subject)]
        return BlockList(BlockedConfig(subjects=subjects)).has_principal(TOKEN)

    assert blocks("https://id.example.com", "agent-17")
    assert not blocks("https://id.example.com", "agent-1")
    assert not blocks("https://other.example.com", "agent-17")


def test_callers_without_a_consumer_are_not_blocked_by_an_empty_list() -> None:
    blocked = BlockList(BlockedConfig(proxies=["a/b"]))
    assert not any(map(blocked.has_principal, (AGENT, TOKEN, ANONYMOUS, PASSTHROUGH)))


def test_a_proxy_is_blocked_by_its_whole_identity() -> None:
    blocked = BlockList(BlockedConfig(proxies=["sales/crm"]))
    assert blocked.has_proxy("sales/crm")
    assert not blocked.has_proxy("sales/crm-2")
    assert not blocked.has_proxy("support/crm")


@pytest.mark.parametrize(
    ("item", "host", "port"),
    [
        ("crm.example.com", "crm.example.com", 443),
        ("crm.example.com:443", "crm.example.com", 443),
        ("CRM.example.com.", "crm.EXAMPLE.com", 443),
        ("*.example.com", "crm.example.com", 443),
        ("*.example.com", "eu.crm.example.com", 443),
        ("*.example.com:443", "crm.example.com", 443),
        ("crm.sales.svc", "crm.sales.svc.cluster.local", 8000),
        ("crm.sales.svc.cluster.local.", "crm.sales.svc", 8000),
        ("crm.sales.svc.cluster.local:8000", "crm.sales.svc", 8000),
        ("crm.sales.svc", "crm.sales", 8000),
        ("*.sales.svc", "CRM.sales.", 8000),
        ("10.0.0.1", "10.0.0.1", 80),
        ("[2001:DB8:0:0::1]", "2001:db8::1", 80),
        ("[2001:db8::1]:80", "2001:db8::1", 80),
    ],
)
def test_a_server_is_blocked_by_each_spelling_of_its_host(item: str, host: str, port: int) -> None:
    assert BlockList(BlockedConfig(upstreams=[item])).has_upstream(host, port)


@pytest.mark.parametrize(
    ("item", "host", "port"),
    [
        ("crm.example.com:443", "crm.example.com", 8443),
        ("*.example.com", "example.com", 443),
        ("*.example.com", "crm-example.com", 443),
        ("example.com", "crm.example.com", 443),
        ("10.0.0.1", "10.0.0.11", 80),
        ("[2001:db8::1]", "2001:db8::1:80", 80),
        ("[2001:db8::1]:80", "2001:db8::1", 81),
    ],
)
def test_other_servers_are_not_blocked(item: str, host: str, port: int) -> None:
    assert not BlockList(BlockedConfig(upstreams=[item])).has_upstream(host, port)


@pytest.mark.parametrize(
    "server",
    [
        {"url": "https://crm.example.com/mcp"},
        {"url": "https://front.example.com/mcp", "host": "CRM.example.com:443"},
        {"url": "https://front.example.com/mcp", "tls": {"hostname": "crm.example.com"}},
        {"url": "https://front.example.com/mcp", "headers": [{"name": "X_Forwarded-Host", "value": "crm.example.com"}]},
    ],
    ids=["url", "host", "tls", "header"],
)
def test_a_server_is_blocked_by_each_name_that_a_shared_front_end_may_choose_it_by(server: dict[str, Any]) -> None:
    timeouts = {"connect": 1, "request": 1, "idle": 1}
    document = ServerConfig.model_validate({"name": "crm", "timeouts": timeouts, **server})
    places = places_of(document, host=document.url.split("/")[2], port=443)
    for item in ("crm.example.com", "crm.example.com:443"):
        assert BlockList(BlockedConfig(upstreams=[item])).has_server(places)
    assert not BlockList(BlockedConfig(upstreams=["crm.example.com:8443", "example.com"])).has_server(places)
