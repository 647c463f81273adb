"""A gateway finds its zone and its node in the slices of its own Service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from endpoint_slices import endpoint, endpoint_slice
from fake_api import FakeApi, fake_api
from mcp_clients import eventually

from ostiary_gateway.config import watch_loop
from ostiary_gateway.endpoint_discovery.own_location import OwnPod, find_location
from ostiary_gateway.endpoint_discovery.service_endpoints import Location
from ostiary_gateway.options import KubernetesOptions

POD = OwnPod(name="gw-0", uid="uid-0", address="10.1.0.1")


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApi]:
    monkeypatch.setattr(watch_loop, "_BACKOFF", (0.02, 0.05))
    async with fake_api(tmp_path) as api:
        yield api


def own_slice(*endpoints: dict[str, Any], gateway: str = "default") -> dict[str, Any]:
    found = endpoint_slice("gw-1", endpoints, service="ostiary-gateway", namespace="ostiary")
    found["metadata"]["labels"]["ostiary.dev/gateway"] = gateway
    return found


def own(address: str, **more: Any) -> dict[str, Any]:
    return endpoint(address, namespace="ostiary", **more)


async def found_by(api: FakeApi, pod: OwnPod) -> list[Location]:
    told: list[Location] = []
    options = KubernetesOptions(api.url, api.token_file, api.ca_file)
    looking = asyncio.create_task(find_location("ostiary/default", pod, options, told.append))
    await eventually(lambda: len(api.slices.lists) > 1 or looking.done())
    looking.cancel()
    await asyncio.wait([looking])
    return told


@pytest.mark.parametrize("pod", [POD, OwnPod(name="gw-0"), OwnPod(address="10.1.0.1")])
async def test_it_is_found_by_what_the_environment_says_of_the_pod(api: FakeApi, pod: OwnPod) -> None:
    other = own("10.1.0.2", pod="uid-1", pod_name="gw-1", zone="b", node="n2")
    api.slices.put(own_slice(other, own("10.1.0.1", pod="uid-0", pod_name="gw-0", zone="a", node="n1", ready=False)))
    assert await found_by(api, pod) == [Location(zone="a", node="n1")]


async def test_slices_of_other_gateways_and_of_other_controllers_say_nothing(api: FakeApi) -> None:
    api.slices.put(own_slice(own("10.1.0.1", pod="uid-0", zone="a"), gateway="other"))
    assert await found_by(api, POD) == []
    by_hand = own_slice(own("10.1.0.1", pod="uid-0", zone="a"))
    by_hand["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] = "me"
    api.slices.put(by_hand)
    assert await found_by(api, POD) == []


async def test_without_the_right_it_looks_again_and_the_gateway_has_no_zone(api: FakeApi) -> None:
    api.slices.put(own_slice(own("10.1.0.1", pod="uid-0", zone="a")))
    api.slices.forbidden.add("ostiary")
    told: list[Location] = []
    options = KubernetesOptions(api.url, api.token_file, api.ca_file)
    looking = asyncio.create_task(find_location("ostiary/default", POD, options, told.append))
    await eventually(lambda: len(api.seen) > 2)
    assert told == []
    api.slices.forbidden.clear()
    await asyncio.wait_for(looking, timeout=60)
    assert told == [Location(zone="a")]


def test_the_pod_is_what_the_downward_api_says() -> None:
    environ = {"POD_NAME": "gw-0", "POD_UID": "uid-0", "POD_IP": "fd00::7"}
    pod = OwnPod.of(environ)
    assert pod == OwnPod("gw-0", "uid-0", "fd00::7")
    assert pod.location() == Location(prefers_ipv6=True)
    assert OwnPod.of({}) == OwnPod()
    assert not OwnPod().is_known
