"""The endpoints of a Service, as its slices state them."""

from typing import Any

import pytest
from endpoint_slices import endpoint, endpoint_slice

from ostiary_gateway.endpoint_discovery.endpoint_slice import read_slice
from ostiary_gateway.endpoint_discovery.service_endpoints import (
    MOST_ENDPOINTS,
    Location,
    ServiceEndpoints,
    service_endpoints,
)
from ostiary_gateway.upstream.endpoint_place import EndpointPlace

NOWHERE = Location()


def union(
    *slices: dict[str, Any], port_name: str = "http", managed: bool = True, location: Location = NOWHERE
) -> ServiceEndpoints:
    read = [found for each in slices if (found := read_slice(each)) is not None]
    return service_endpoints(read, port_name=port_name, managed=managed, location=location)


def addresses(found: ServiceEndpoints) -> list[str]:
    return [place.address for place in found.places]


def test_a_service_is_the_union_of_its_slices() -> None:
    found = union(
        endpoint_slice("crm-1", [endpoint("10.0.0.1", pod="a"), endpoint("10.0.0.2", pod="b")]),
        endpoint_slice("crm-2", [endpoint("10.0.0.3", pod="c")]),
    )
    assert found == ServiceEndpoints(
        (
            EndpointPlace("10.0.0.1", 8080, "a"),
            EndpointPlace("10.0.0.2", 8080, "b"),
            EndpointPlace("10.0.0.3", 8080, "c"),
        )
    )


def test_each_slice_has_port_numbers_of_its_own() -> None:
    found = union(
        endpoint_slice("crm-1", [endpoint("10.0.0.1", pod="a")], ports={"http": 8080, "admin": 9000}),
        endpoint_slice("crm-2", [endpoint("10.0.0.1", pod="b")], ports={"http": 8081}),
        endpoint_slice("crm-3", [endpoint("10.0.0.1", pod="c")], ports={"admin": 9000}),
    )
    assert [(place.port, place.identity) for place in found.places] == [(8080, "a"), (8081, "b")]


def test_the_only_port_of_a_service_may_have_no_name() -> None:
    assert addresses(union(endpoint_slice("crm-1", [endpoint("10.0.0.1")], ports={"": 80}), port_name="")) == [
        "10.0.0.1"
    ]


def test_a_pod_that_stands_in_two_slices_counts_once_and_the_newer_slice_is_right() -> None:
    old = endpoint_slice("crm-1", [endpoint("10.0.0.1", pod="a")], ports={"http": 8080}, version="9")
    new = endpoint_slice("crm-2", [endpoint("10.0.0.1", pod="a", ready=False)], ports={"http": 9090}, version="10")
    assert union(old, new).places == ()
    moved = endpoint_slice("crm-2", [endpoint("10.0.0.1", pod="a")], ports={"http": 9090}, version="10")
    assert union(old, moved) == union(moved, old) == ServiceEndpoints((EndpointPlace("10.0.0.1", 9090, "a"),))


def test_a_pod_that_ends_ends_whatever_another_slice_says() -> None:
    ends = endpoint("10.0.0.1", pod="a", ready=False, serving=True, terminating=True)
    stale = endpoint_slice("crm-1", [endpoint("10.0.0.1", pod="a")], version="11")
    assert [p.is_draining for p in union(endpoint_slice("crm-2", [ends], version="10"), stale).places] == [True]


@pytest.mark.parametrize(
    ("conditions", "is_draining"),
    [
        ({}, False),
        ({"ready": True}, False),
        ({"ready": None}, False),
        ({"ready": False}, None),
        ({"ready": False, "serving": True}, None),
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False, "serving": False, "terminating": True}, None),
        # A Service with publishNotReadyAddresses calls every Pod ready, also one that ends.
        ({"ready": True, "serving": False, "terminating": True}, True),
    ],
)
def test_an_endpoint_is_ready_draining_or_left_out(conditions: dict[str, Any], is_draining: bool | None) -> None:
    found = union(endpoint_slice("crm-1", [endpoint("10.0.0.1", **conditions)]))
    assert [place.is_draining for place in found.places] == ([] if is_draining is None else [is_draining])


def test_a_pod_with_an_address_of_each_family_counts_once() -> None:
    slices = (
        endpoint_slice("crm-4", [endpoint("10.0.0.1", pod="a"), endpoint("10.0.0.2", pod="b")], version="1"),
        endpoint_slice("crm-6", [endpoint("fd00::1", pod="a")], family="IPv6", version="2"),
    )
    assert addresses(union(*slices)) == ["10.0.0.1", "10.0.0.2"]
    assert addresses(union(*slices, location=Location(prefers_ipv6=True))) == ["10.0.0.2", "fd00::1"]


def test_slices_of_another_controller_count_only_where_the_config_says_so() -> None:
    by_hand = endpoint_slice("crm-x", [endpoint("10.9.9.9")], managed_by="me")
    assert addresses(union(by_hand)) == []
    assert addresses(union(by_hand, managed=False)) == ["10.9.9.9"]


def test_a_managed_slice_names_pods_of_its_own_namespace_only() -> None:
    foreign = endpoint("10.9.9.9", pod="a") | {
        "targetRef": {"kind": "Pod", "namespace": "other", "name": "a", "uid": "a"}
    }
    no_pod = endpoint("10.9.9.8") | {"targetRef": {"kind": "Node", "namespace": "team", "name": "a", "uid": "a"}}
    assert addresses(union(endpoint_slice("crm-1", [foreign, no_pod]))) == []


def test_more_endpoints_than_the_bound_are_left_out_and_counted() -> None:
    slices = [
        endpoint_slice(f"crm-{n}", [endpoint(f"10.{n}.{i // 250}.{i % 250}", pod=f"{n}-{i}") for i in range(1000)])
        for n in range(2)
    ]
    found = union(*slices)
    assert (len(found.places), found.left_out) == (MOST_ENDPOINTS, 1000)


def near(*hints: dict[str, Any], location: Location) -> list[bool]:
    found = union(
        endpoint_slice("crm-1", [endpoint(f"10.0.0.{n}", pod=str(n), **each) for n, each in enumerate(hints)]),
        location=location,
    )
    return [place.is_near for place in found.places]


def test_hints_for_our_zone_make_an_endpoint_near() -> None:
    hints = [{"zone": "a", "zones": ["a"]}, {"zone": "b", "zones": ["b"]}]
    assert near(*hints, location=Location(zone="a")) == [True, False]
    assert near(*hints, location=NOWHERE) == [False, False]


def test_hints_count_only_where_every_ready_endpoint_has_them_and_one_is_for_us() -> None:
    assert near({"zones": ["a"]}, {}, location=Location(zone="a")) == [False, False]
    assert near({"zones": ["b"]}, {"zones": ["b"]}, location=Location(zone="a")) == [False, False]
    draining = {"ready": False, "serving": True, "terminating": True}
    assert near({"zones": ["a"]}, draining, location=Location(zone="a")) == [True, False]


def test_hints_for_nodes_come_before_those_for_zones() -> None:
    hints = [{"zones": ["a"], "nodes": ["n1"]}, {"zones": ["a"], "nodes": ["n2"]}]
    assert near(*hints, location=Location(zone="a", node="n1")) == [True, False]
    assert near(*hints, location=Location(zone="a", node="n3")) == [True, True]
