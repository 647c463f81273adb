"""The watch of one namespace: what it keeps, what it drops, and how it treats others."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from endpoint_slices import NAMESPACE, endpoint, endpoint_slice
from fake_api import FakeApi, fake_api
from mcp_clients import eventually

from ostiary_gateway.config import watch_loop
from ostiary_gateway.endpoint_discovery import slice_watch
from ostiary_gateway.endpoint_discovery.endpoint_slice import ServiceKey, read_slice
from ostiary_gateway.endpoint_discovery.slice_watch import SliceWatch
from ostiary_gateway.options import KubernetesOptions


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApi]:
    monkeypatch.setattr(watch_loop, "_BACKOFF", (0.02, 0.05))
    async with fake_api(tmp_path) as api:
        yield api


def keys(*services: str) -> frozenset[ServiceKey]:
    return frozenset((NAMESPACE, service) for service in services)


class Observed:
    """A watch, and the Services that it said have changed."""

    def __init__(self, api: FakeApi, *services: str) -> None:
        options = KubernetesOptions(api.url, api.token_file, api.ca_file)
        self.told: list[frozenset[ServiceKey]] = []
        self.watch = SliceWatch(NAMESPACE, keys(*services), options, lambda _, changed: self.told.append(changed))

    def names(self, service: str = "crm") -> list[str]:
        return sorted(each.name for each in self.watch.slices_of((NAMESPACE, service)))


@pytest.fixture
async def observed(api: FakeApi) -> AsyncIterator[Observed]:
    observed = Observed(api, "crm")
    observed.watch.start()
    yield observed
    await observed.watch.stop()


async def test_it_tells_only_of_services_whose_slices_changed(api: FakeApi, observed: Observed) -> None:
    await eventually(lambda: api.slices.watched == [NAMESPACE])
    observed.told.clear()
    found = endpoint_slice("crm-1", [endpoint("10.0.0.1")])
    api.slices.put(found)
    await eventually(lambda: observed.told == [keys("crm")])
    api.slices.delete(NAMESPACE, "crm-1")
    await eventually(lambda: len(observed.told) == 2)
    assert observed.names() == []


async def test_slices_of_services_that_are_needed_no_more_are_dropped(api: FakeApi, observed: Observed) -> None:
    observed.watch.need(keys("crm", "wiki"))
    api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    api.slices.put(endpoint_slice("wiki-1", [endpoint("10.0.0.2")], service="wiki"))
    await eventually(lambda: bool(observed.names() and observed.names("wiki")))
    observed.watch.need(keys("wiki"))
    assert (observed.names(), observed.names("wiki")) == ([], ["wiki-1"])
    assert observed.watch.listed == keys("wiki")


async def test_a_slice_that_is_malformed_costs_only_itself(api: FakeApi, observed: Observed) -> None:
    await eventually(lambda: api.slices.watched == [NAMESPACE])
    broken: dict[str, Any] = endpoint_slice("crm-1", []) | {"endpoints": [7, {"addresses": 7}, None], "ports": "http"}
    api.slices.put(broken)
    api.slices.put(endpoint_slice("crm-2", [endpoint("10.0.0.1")]))
    await eventually(lambda: observed.names() == ["crm-1", "crm-2"])


async def test_a_fault_of_the_gateway_itself_is_logged_and_the_watch_begins_again(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]

    def fails_once(found: Any) -> Any:
        if broken.pop() if broken else False:
            raise RecursionError("too deep")
        return read_slice(found)

    monkeypatch.setattr(slice_watch, "read_slice", fails_once)
    api.slices.put(endpoint_slice("crm-1", [endpoint("10.0.0.1")]))
    observed = Observed(api, "crm")
    with caplog.at_level(logging.WARNING):
        observed.watch.start()
        await eventually(lambda: observed.names() == ["crm-1"])
    await observed.watch.stop()
    assert any("this is a bug" in record.message for record in caplog.records)


async def test_a_failure_that_repeats_itself_is_logged_once(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    api.slices.forbidden.add(NAMESPACE)
    observed = Observed(api, "crm")
    with caplog.at_level(logging.WARNING):
        observed.watch.start()
        await eventually(lambda: len(api.seen) > 3)
    await observed.watch.stop()
    assert len([record for record in caplog.records if "EndpointSlices" in record.message]) == 1


async def test_a_namespace_whose_slices_take_long_waits_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    for seconds in (0.0001, 0.01, 10.0):
        await slice_watch._give_way(seconds, pauses=9)
    assert pauses == [pytest.approx(0.09), 2.0]
