"""Which Services are gateways, and which settings each has."""

from typing import Any

import pytest
from operator_objects import GATEWAY, service, settings

from ostiary_operator.compile.gateways import discover, elected


def with_age(obj: dict[str, object], created: str, uid: str = "u") -> dict[str, object]:
    metadata = {**obj["metadata"], "creationTimestamp": created, "uid": uid}  # type: ignore[dict-item]  # a dict
    return {**obj, "metadata": metadata}


def test_of_two_services_that_claim_a_name_the_older_is_the_gateway() -> None:
    old = with_age(service(name="z-old"), "2026-01-01T00:00:00Z")
    new = with_age(service(name="a-new"), "2026-01-02T00:00:00Z")
    for order in ([old, new], [new, old]):
        assert elected(discover(order, []).gateways)[GATEWAY].service == "z-old"


def test_a_gateway_takes_its_settings_and_its_port_from_its_own_namespace() -> None:
    services, config_maps = [service(), service("edge")], [settings("tenancy: Multi"), settings("x", namespace="tools")]
    gateways = discover(services, config_maps).gateways
    assert [(it.name, it.settings, it.port) for it in gateways] == [
        ("default", "tenancy: Multi", 8080),
        ("edge", None, 8080),
    ]


def test_settings_without_their_key_are_not_taken_for_defaults() -> None:
    broken = settings("x")
    broken["data"] = {"settings.yml": "tenancy: Multi"}
    (gateway,) = discover([service()], [broken]).gateways
    assert gateway.settings is None
    assert "has no key settings.yaml" in gateway.settings_problem


def test_of_two_settings_for_one_gateway_the_older_counts() -> None:
    first = with_age(settings("first"), "2026-01-01T00:00:00Z")
    second = with_age(settings("second"), "2026-01-02T00:00:00Z")
    second["metadata"]["name"] = "a-second"  # type: ignore[index]  # a dict
    assert discover([service()], [second, first]).gateways[0].settings == "first"


def test_what_claims_to_be_of_a_gateway_and_has_no_effect_is_named() -> None:
    old, young = with_age(settings("a"), "2026-01-01"), with_age(settings("b"), "2026-01-02")
    young["metadata"]["name"] = "young"  # type: ignore[index]  # a dict
    nameless = settings("c", "")
    found = discover([service()], [young, nameless, old])
    assert [(each.kind, each.name, each.gateway) for each in found.ignored] == [
        ("ConfigMap", "ostiary-gateway--settings", ""),
        ("ConfigMap", "young", "default"),
    ]


Made = dict[str, Any]


def made(kind: str, name: str, namespace: str | None = None, labels: dict[str, str] | None = None, **rest: Any) -> Made:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"kind": kind, "metadata": {key: value for key, value in metadata.items() if value}, **rest}


def named_settings(name: str, text: str, created: str = "", usage: str = "settings") -> Made:
    item = made("ConfigMap", name, "sys", {"ostiary.dev/gateway": "gw", "ostiary.dev/usage": usage})
    item["metadata"]["creationTimestamp"] = created
    return {**item, "data": {"settings.yaml": text}}


SERVICE = made("Service", "svc", "sys", {"ostiary.dev/gateway": "gw"})


def test_a_gateway_is_a_labelled_service_with_settings_next_to_it() -> None:
    plain = made("Service", "plain", "sys")
    foreign = made("Service", "svc", "elsewhere", {"ostiary.dev/gateway": "gw"})

    second, first = discover([SERVICE, plain, foreign], [named_settings("s", "tenancy: Multi")]).gateways

    assert (first.identity, first.service, first.settings) == ("sys/gw", "svc", "tenancy: Multi")
    assert (second.identity, second.settings) == ("elsewhere/gw", None)


def test_of_two_settings_the_older_count_and_other_usages_do_not() -> None:
    config_maps = [
        named_settings("b", "old", "2026-01-01"),
        named_settings("a", "new", "2026-02-01"),
        named_settings("c", "x", "", "config"),
    ]

    for order in (config_maps, config_maps[::-1]):
        [gateway] = discover([SERVICE], order).gateways
        assert gateway.settings == "old"


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([{"name": "admin", "port": 8081}, {"name": "mcp", "port": 8080}], 8080),
        ([{"port": 9000}], 9000),
        ([{"name": "admin", "port": 8081}], 80),
        (None, 80),
        ("nonsense", 80),
        ([5, {"port": "x"}], 80),
    ],
)
def test_the_port_is_the_first_that_is_for_clients(ports: object, expected: int) -> None:
    [gateway] = discover([{**SERVICE, "spec": {"ports": ports}}], []).gateways

    assert gateway.port == expected
