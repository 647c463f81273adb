import base64
import logging

import pytest
from operator_objects import GATEWAY, SYSTEM, policy, populated, proxy, service, settings

from ostiary_operator.compile.gateways import discover, elected
from ostiary_operator.compile.model import Missing, ReferenceKey
from ostiary_operator.kube import reference_reader
from ostiary_operator.kube.changed_namespaces import EVERYTHING, NOTHING, ChangedNamespaces
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot
from ostiary_operator.kube.errors import Busy, Forbidden, KindMissing
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, NAMESPACE, POLICY, PROXY, SECRET, SERVICE, Kind
from ostiary_operator.kube.lister import Lister
from ostiary_operator.kube.options import OperatorOptions

WHOLE = OperatorOptions(operator_namespace=SYSTEM)
NARROW = OperatorOptions(operator_namespace=SYSTEM, watch_namespaces=("tools",))


async def look(cluster: FakeClient, options: OperatorOptions) -> ClusterSnapshot:
    return await Lister(cluster, options).snapshot()


async def test_the_whole_cluster_is_seen() -> None:
    seen = await look(populated(proxy("crm"), proxy("deals", namespace="sales"), policy("p")), WHOLE)
    assert [each["metadata"]["name"] for each in seen.proxies] == ["deals", "crm"]
    assert [each["metadata"]["name"] for each in seen.policies] == ["p"]
    assert [gateway.identity for gateway in seen.gateways] == [GATEWAY]
    assert set(seen.namespaces) == {SYSTEM, "tools", "sales"}


async def test_only_the_watched_namespaces_and_the_operators_own_are_seen() -> None:
    cluster = populated(proxy("crm"), proxy("deals", namespace="sales"), policy("platform", namespace=SYSTEM))
    seen = await look(cluster, NARROW)
    assert [each["metadata"]["name"] for each in seen.proxies] == ["crm"]
    assert [each["metadata"]["name"] for each in seen.policies] == ["platform"]
    assert set(seen.namespaces) == {SYSTEM, "tools"}


@pytest.mark.parametrize("kind", [PROXY, POLICY, SERVICE, NAMESPACE, CONFIG_MAP, ENDPOINT_SLICE])
async def test_a_kind_that_cannot_be_listed_fails_the_whole_pass(kind: Kind) -> None:
    cluster = populated(proxy("crm"))
    cluster.fail("list", kind, Busy("503"))
    with pytest.raises(Busy):
        await look(cluster, WHOLE)


async def test_a_secret_that_cannot_be_read_is_no_absent_secret() -> None:
    cluster = populated(proxy("crm"))
    cluster.fail("get", SECRET, Busy("503"))
    with pytest.raises(Busy):
        await look(cluster, WHOLE)


async def test_a_missing_crd_fails_the_listing() -> None:
    cluster = populated()
    cluster.missing_kinds.add(POLICY)
    with pytest.raises(KindMissing):
        await look(cluster, WHOLE)


async def test_without_the_right_to_list_namespaces_each_is_asked_for_and_else_known_by_name_only() -> None:
    cluster = populated(proxy("crm"))
    cluster.put(NAMESPACE, {"metadata": {"name": "tools", "labels": {"team": "a"}}})
    cluster.fail("list", NAMESPACE, Forbidden("no"), times=2)
    assert (await look(cluster, NARROW)).namespaces["tools"] == {"team": "a"}
    cluster.fail("get", NAMESPACE, Forbidden("no"), times=2)
    assert (await look(cluster, NARROW)).namespaces["tools"] == {"kubernetes.io/metadata.name": "tools"}


async def test_a_cluster_wide_operator_without_the_right_to_list_namespaces_does_not_guess() -> None:
    cluster = populated(proxy("crm"))
    cluster.fail("list", NAMESPACE, Forbidden("no"))
    with pytest.raises(Forbidden):
        await look(cluster, WHOLE)


async def test_a_gateway_in_a_namespace_without_rights_is_left_as_it_is() -> None:
    cluster = populated(proxy("crm"))
    cluster.put(SERVICE, service("own", namespace="tools"))
    cluster.failures.append(
        lambda verb, kind, name: (
            Forbidden("get secrets") if (verb, kind, name) == ("get", SECRET, "ostiary-own") else None
        )
    )
    seen = await look(cluster, WHOLE)
    assert seen.gateway_objects["tools/own"].forbidden == "get secrets"
    assert seen.gateway_objects[GATEWAY].forbidden is None


async def test_the_operators_own_neighbourhood_must_be_open() -> None:
    cluster = populated()
    cluster.fail("get", SECRET, Forbidden("no"))
    with pytest.raises(Forbidden):
        await look(cluster, WHOLE)


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


async def test_a_label_that_names_no_dns_label_declares_no_gateway(caplog: pytest.LogCaptureFixture) -> None:
    cluster = populated()
    cluster.put(SERVICE, service("Not_A_Label", name="s"))
    assert discover([service("Not_A_Label", name="s")], []).gateways == ()
    with caplog.at_level(logging.WARNING):
        assert [gateway.identity for gateway in (await look(cluster, WHOLE)).gateways] == [GATEWAY]
    assert "ostiary-system/s" in caplog.text


def test_what_claims_to_be_of_a_gateway_and_has_no_effect_is_named() -> None:
    old, young = with_age(settings("a"), "2026-01-01"), with_age(settings("b"), "2026-01-02")
    young["metadata"]["name"] = "young"  # type: ignore[index]  # a dict
    nameless = settings("c", "")
    found = discover([service()], [young, nameless, old])
    assert [(each.kind, each.name, each.gateway) for each in found.ignored] == [
        ("ConfigMap", "ostiary-gateway--settings", ""),
        ("ConfigMap", "young", "default"),
    ]


def data(**texts: str) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


async def test_references_are_read_and_a_secret_only_with_its_label() -> None:
    cluster = populated()
    for name, labels in {"open": {"ostiary.dev/usage": "ca"}, "closed": {}}.items():
        metadata = {"name": name, "namespace": "tools", "labels": labels}
        cluster.put(SECRET, {"metadata": metadata, "data": {**data(ca="PEM"), "binary": "/////w=="}})
    cluster.put(CONFIG_MAP, {"metadata": {"name": "ca", "namespace": "tools"}, "data": {"ca.crt": "PEM"}})
    keys = {name: ReferenceKey("Secret", "tools", name) for name in ("open", "closed", "none")}
    found = await reference_reader.ReferenceReader(cluster).resolve(
        [*keys.values(), ReferenceKey("ConfigMap", "tools", "ca")]
    )
    assert found == {
        keys["open"]: {"ca": "PEM"},
        keys["closed"]: Missing.NOT_LABELLED,
        keys["none"]: Missing.NOT_FOUND,
        ReferenceKey("ConfigMap", "tools", "ca"): {"ca.crt": "PEM"},
    }


async def test_a_reference_is_read_again_only_after_a_change_and_forgotten_when_unused() -> None:
    cluster = populated()
    one, two = (ReferenceKey("ConfigMap", namespace, "ca") for namespace in ("sales", "tools"))
    it = reference_reader.ReferenceReader(cluster)

    async def written(text: str, moved: ChangedNamespaces, *wanted: ReferenceKey) -> list[object]:
        for key in (one, two):
            cluster.put(CONFIG_MAP, {"metadata": {"name": "ca", "namespace": key.namespace}, "data": {"ca": text}})
        return list((await it.resolve(wanted, moved)).values())

    assert await written("1", NOTHING, one, two) == [{"ca": "1"}, {"ca": "1"}]
    assert await written("2", ChangedNamespaces.within(["tools"]), one, two) == [{"ca": "1"}, {"ca": "2"}]
    assert await written("3", NOTHING, two) == [{"ca": "2"}]
    assert await written("4", NOTHING, one, two) == [{"ca": "4"}, {"ca": "2"}]
    assert await written("5", EVERYTHING, one, two) == [{"ca": "5"}, {"ca": "5"}]


async def test_a_private_key_in_a_secret_is_not_kept() -> None:
    cluster = populated()
    pair = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nhush\n"
    metadata = {"name": "pair", "namespace": "tools", "labels": {"ostiary.dev/usage": "ca"}}
    cluster.put(SECRET, {"metadata": metadata, "data": data(pair=pair)})
    key = ReferenceKey("Secret", "tools", "pair")
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {
        key: {"pair": "-----BEGIN EC PRIVATE KEY-----"}
    }


async def test_the_operators_own_secrets_can_never_be_referred_to() -> None:
    cluster = populated()
    labels = {"ostiary.dev/usage": "config", "ostiary.dev/config": "default"}
    metadata = {"name": "ostiary-default", "namespace": SYSTEM, "labels": labels}
    cluster.put(SECRET, {"metadata": metadata, "data": data(token="t")})
    key = ReferenceKey("Secret", SYSTEM, "ostiary-default")
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {key: Missing.NOT_LABELLED}


async def test_a_missing_right_is_an_answer_and_a_failure_is_none() -> None:
    cluster = populated()
    key = ReferenceKey("Secret", "tools", "ca")
    cluster.fail("get", SECRET, Forbidden("no"))
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {key: Missing.FORBIDDEN}
    cluster.fail("get", SECRET, Busy("503"))
    with pytest.raises(Busy):
        await reference_reader.ReferenceReader(cluster).resolve([key])
