"""Each namespace has a watch of its own, and very many share one."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from endpoint_slices import endpoint, endpoint_slice
from fake_api import FakeApi, fake_api
from mcp_clients import eventually

from ostiary_gateway.config import watch_loop
from ostiary_gateway.endpoint_discovery.endpoint_slice import ServiceKey
from ostiary_gateway.endpoint_discovery.slice_watches import MOST_NAMESPACES, SliceWatches
from ostiary_gateway.options import KubernetesOptions

MANY = [f"team-{number:02}" for number in range(MOST_NAMESPACES + 1)]


class Scene:
    """An API server with a slice in each of many namespaces, and the watches of a gateway."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.changed: list[ServiceKey] = []
        self.watches = SliceWatches(KubernetesOptions(api.url, api.token_file, api.ca_file), self._note)
        for number, namespace in enumerate(MANY):
            self.put(namespace, f"10.0.0.{number}")

    def _note(self, services: Iterable[ServiceKey]) -> None:
        self.changed += services

    def put(self, namespace: str, address: str) -> None:
        self.api.slices.put(endpoint_slice("crm-1", [endpoint(address, namespace=namespace)], namespace=namespace))

    def need(self, namespaces: Iterable[str]) -> None:
        self.watches.need(frozenset((namespace, "crm") for namespace in namespaces))

    def addresses(self, namespace: str) -> list[str]:
        watch = self.watches.of((namespace, "crm"))
        slices = watch.slices_of((namespace, "crm")) if watch is not None else ()
        return [each.address for found in slices for each in found.endpoints]

    def know(self, namespaces: Iterable[str]) -> bool:
        return all(self.addresses(namespace) for namespace in namespaces)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(watch_loop, "_BACKOFF", (0.02, 0.05))
    async with fake_api(tmp_path) as api:
        scene = Scene(api)
        yield scene
        await scene.watches.close()


async def test_few_namespaces_have_watches_of_their_own(scene: Scene) -> None:
    scene.need(MANY[:3])
    await eventually(lambda: scene.api.slices.watched == MANY[:3])
    assert scene.know(MANY[:3])


async def test_many_namespaces_share_a_watch_and_each_change_is_seen(scene: Scene) -> None:
    scene.need(MANY)
    await eventually(lambda: scene.api.slices.watched == [""])
    assert scene.know(MANY)
    scene.put(MANY[7], "10.9.9.9")
    await eventually(lambda: scene.addresses(MANY[7]) == ["10.9.9.9"])
    assert scene.changed[-1] == (MANY[7], "crm")


async def test_what_is_known_stays_known_while_many_namespaces_come_to_share_a_watch(scene: Scene) -> None:
    scene.need(MANY[:-1])
    await eventually(lambda: scene.know(MANY[:-1]))
    scene.need(MANY)
    assert scene.know(MANY[:-1])
    await eventually(lambda: scene.api.slices.watched == [""])
    assert scene.know(MANY)
    scene.need(MANY[:2])
    assert scene.know(MANY[:2])


async def test_without_the_right_to_all_namespaces_each_has_a_watch_of_its_own(scene: Scene) -> None:
    scene.api.slices.forbidden.add("")
    scene.need(MANY)
    assert not scene.watches.are_tried
    await eventually(lambda: scene.api.slices.watched == MANY)
    assert scene.know(MANY)
    assert scene.watches.are_tried
