"""EndpointSlices that anyone may have written: endpoints are as they state, or left out, and nothing is raised."""

import ipaddress
import json
import random
from typing import Any

from changed_documents import changed
from endpoint_slices import endpoint, endpoint_slice
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.endpoint_discovery.endpoint_slice import read_slice
from ostiary_gateway.endpoint_discovery.service_endpoints import (
    MOST_ENDPOINTS,
    Location,
    ServiceEndpoints,
    service_endpoints,
)

SLICES = (
    endpoint_slice(
        "crm-1",
        [
            endpoint("10.0.0.1", pod="a", node="n1", zone="z1", zones=["z1"], nodes=["n1"]),
            endpoint("10.0.0.2", pod="b", ready=False, serving=True, terminating=True),
        ],
        ports={"http": 8080, "": 80},
        version="10",
    ),
    endpoint_slice("crm-2", [endpoint("fd00::1", pod="a"), endpoint("fd00::3", pod="c")], family="IPv6", version="9"),
    endpoint_slice("crm-3", [endpoint("10.0.0.2", pod="b")], ports={"http": 9090}, version="11"),
)
CHANGED = st.sampled_from(SLICES).flatmap(changed)
LOCATIONS = st.builds(Location, st.sampled_from(["", "z1"]), st.sampled_from(["", "n1"]), st.booleans())


def union(slices: list[Any], *, managed: bool, location: Location) -> ServiceEndpoints:
    read = [found for each in slices if (found := read_slice(each)) is not None]
    return service_endpoints(read, port_name="http", managed=managed, location=location)


@given(st.lists(CHANGED | st.sampled_from(SLICES), max_size=5), st.booleans(), LOCATIONS, st.randoms())
def test_every_endpoint_stands_in_a_slice_once_in_any_order_of_the_slices(
    slices: list[Any], managed: bool, location: Location, shuffle: random.Random
) -> None:
    # Of slices that are equally new, any may be right.
    newest = {json.dumps(each, sort_keys=True, default=str): each for each in slices}
    slices = [_at(each, str(number)) for number, each in enumerate(newest.values(), start=1)]
    found = union(slices, managed=managed, location=location)
    written = json.dumps(slices, default=str)
    identities = [place.identity or (place.address, place.port) for place in found.places]
    assert len(set(identities)) == len(identities) <= MOST_ENDPOINTS
    for place in found.places:
        assert str(ipaddress.ip_address(place.address)) == place.address
        assert f'"port": {place.port}' in written
        assert 0 < place.port < 65536
    shuffle.shuffle(slices)
    assert union(slices, managed=managed, location=location) == found


def _at(found: Any, version: str) -> Any:
    """The slice at a version of its own, where it has one."""
    metadata = found.get("metadata") if isinstance(found, dict) else None
    if not isinstance(metadata, dict):
        return found
    return found | {"metadata": metadata | {"resourceVersion": version}}
