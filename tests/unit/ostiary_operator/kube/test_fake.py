import pytest
from operator_objects import SYSTEM, proxy

from ostiary_operator.kube.errors import Conflict, Forbidden, KindMissing, NotFound
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP, PROXY


def config_map(**data: str) -> dict[str, object]:
    return {"metadata": {"name": "a", "namespace": SYSTEM}, "data": data}


async def test_applying_the_same_again_keeps_the_resource_version() -> None:
    cluster = FakeClient()
    first = await cluster.apply(CONFIG_MAP, config_map(k="1"), manager="m")
    assert (await cluster.apply(CONFIG_MAP, config_map(k="1"), manager="m")) == first
    assert cluster.writes == [("apply", "configmaps", "a")]


async def test_a_field_that_its_manager_no_longer_applies_is_removed_and_others_stay() -> None:
    cluster = FakeClient()
    await cluster.apply(CONFIG_MAP, config_map(a="1", b="2"), manager="m")
    await cluster.patch(CONFIG_MAP, {"data": {"human": "x"}}, name="a", namespace=SYSTEM)
    after = await cluster.apply(CONFIG_MAP, config_map(b="2"), manager="m")
    assert after["data"] == {"b": "2", "human": "x"}


async def test_preconditions_are_kept() -> None:
    cluster = FakeClient()
    first = await cluster.apply(CONFIG_MAP, config_map(k="1"), manager="m")
    await cluster.apply(CONFIG_MAP, config_map(k="2"), manager="m")
    with pytest.raises(Conflict):
        await cluster.apply(CONFIG_MAP, {**config_map(k="3"), "metadata": first["metadata"]}, manager="m")


async def test_a_status_is_written_apart_and_raises_no_generation() -> None:
    cluster = FakeClient()
    cluster.put(PROXY, proxy("crm"))
    body = {"metadata": {"name": "crm", "namespace": "tools"}, "status": {"url": "u"}, "spec": {"servers": []}}
    after = await cluster.apply_status(PROXY, body, manager="m")
    assert after["status"] == {"url": "u"}
    assert after["spec"] == proxy("crm")["spec"]
    assert after["metadata"]["generation"] == 1
    assert cluster.put(PROXY, proxy("crm", path="/x"))["metadata"]["generation"] == 2


async def test_conditions_merge_by_type() -> None:
    cluster = FakeClient()
    cluster.put(PROXY, proxy("crm"))

    def body(*conditions: tuple[str, str]) -> dict[str, object]:
        listed = [{"type": kind, "status": status} for kind, status in conditions]
        return {"metadata": {"name": "crm", "namespace": "tools"}, "status": {"conditions": listed}}

    await cluster.apply_status(PROXY, body(("Theirs", "True")), manager="they")
    await cluster.apply_status(PROXY, body(("A", "True"), ("B", "True")), manager="we")
    after = await cluster.apply_status(PROXY, body(("A", "False")), manager="we")
    assert {each["type"]: each["status"] for each in after["status"]["conditions"]} == {"Theirs": "True", "A": "False"}


async def test_the_fake_cluster_fails_on_demand_and_can_lack_kinds() -> None:
    cluster = FakeClient()
    cluster.fail("list", PROXY, Forbidden("no"))
    with pytest.raises(Forbidden):
        await cluster.list(PROXY)
    assert await cluster.list(PROXY) == []
    cluster.missing_kinds.add(PROXY)
    with pytest.raises(KindMissing):
        await cluster.list(PROXY)
    with pytest.raises(NotFound):
        await cluster.get(CONFIG_MAP, name="none", namespace=SYSTEM)


async def test_selectors_choose_by_label() -> None:
    cluster = FakeClient()
    for name, labels in {"a": {"k": "1"}, "b": {"k": "2"}, "c": {}}.items():
        cluster.put(CONFIG_MAP, {"metadata": {"name": name, "namespace": SYSTEM, "labels": labels}})
    for selector, names in {"k": "ab", "k=2": "b", "k in (1,3)": "a"}.items():
        found = await cluster.list(CONFIG_MAP, selector=selector)
        assert [each["metadata"]["name"] for each in found] == list(names)
