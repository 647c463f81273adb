import logging

import pytest
from operator_objects import GATEWAY, SYSTEM, policy, populated, proxy, service

from ostiary_operator.compile.gateways import discover
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot
from ostiary_operator.kube.errors import Busy, Forbidden, KindMissing
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, NAMESPACE, POLICY, PROXY, SECRET, SERVICE, Kind
from ostiary_operator.kube.lister import Lister
from ostiary_operator.kube.options import OperatorOptions

EVIDENCE = "ostiary-default.evidence"
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


async def test_a_bearer_of_evidence_that_may_not_be_read_is_left_out_and_all_else_is_read() -> None:
    cluster = populated(proxy("crm"))
    cluster.failures.append(
        lambda verb, kind, name: Forbidden("no") if (verb, kind, name) == ("get", SECRET, EVIDENCE) else None
    )
    objects = (await look(cluster, WHOLE)).gateway_objects[GATEWAY]
    assert (objects.may_share_evidence, objects.evidence_secret, objects.forbidden) == (False, None, None)
    assert (await look(populated(proxy("crm")), WHOLE)).gateway_objects[GATEWAY].may_share_evidence


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


async def test_a_label_that_names_no_dns_label_declares_no_gateway(caplog: pytest.LogCaptureFixture) -> None:
    cluster = populated()
    cluster.put(SERVICE, service("Not_A_Label", name="s"))
    assert discover([service("Not_A_Label", name="s")], []).gateways == ()
    with caplog.at_level(logging.WARNING):
        assert [gateway.identity for gateway in (await look(cluster, WHOLE)).gateways] == [GATEWAY]
    assert "ostiary-system/s" in caplog.text
