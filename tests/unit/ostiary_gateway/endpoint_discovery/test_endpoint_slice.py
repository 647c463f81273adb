"""A slice as it is read, also where it is malformed."""

from typing import Any

import pytest
from endpoint_slices import endpoint, endpoint_slice

from ostiary_gateway.endpoint_discovery.endpoint_slice import EndpointSlice, SliceEndpoint, read_slice, slice_key


def one(found: dict[str, Any]) -> SliceEndpoint | None:
    read = read_slice(endpoint_slice("crm-1", [found]))
    assert read is not None
    return read.endpoints[0] if read.endpoints else None


def test_what_is_needed_of_a_slice_is_read() -> None:
    found = endpoint("10.0.0.1", pod="uid-a", pod_name="a", node="n1", zone="z1", zones=["z1"], nodes=["n1"])
    assert read_slice(endpoint_slice("crm-1", [found], version="42")) == EndpointSlice(
        namespace="team",
        name="crm-1",
        service="crm",
        is_managed=True,
        is_ipv6=False,
        version=42,
        ports={"http": 8080},
        endpoints=(SliceEndpoint("10.0.0.1", "uid-a", "a", "n1", "z1", ("z1",), ("n1",)),),
    )


def test_only_the_first_address_of_an_endpoint_is_used() -> None:
    found = one(endpoint("10.0.0.1") | {"addresses": ["10.0.0.1", "10.0.0.2"]})
    assert found is not None
    assert found.address == "10.0.0.1"


@pytest.mark.parametrize(
    "address",
    ["", "crm.example", "10.0.0", "10.0.0.01", "0x7f.1", "::1", "10.0.0.1%eth0", "10.0.0.1 ", 167772161, None, ["a"]],
)
def test_what_is_no_address_of_the_family_of_the_slice_is_left_out(address: Any) -> None:
    assert one(endpoint("10.0.0.1") | {"addresses": [address]}) is None


@pytest.mark.parametrize(
    ("address", "read"), [("fd00:0:0::1", "fd00::1"), ("::ffff:10.0.0.1", ""), ("fe80::1%eth0", ""), ("10.0.0.1", "")]
)
def test_an_address_of_ipv6_is_read_in_its_usual_form_and_hides_none_of_ipv4(address: str, read: str) -> None:
    found = read_slice(endpoint_slice("crm-1", [endpoint(address)], family="IPv6"))
    assert found is not None
    assert [each.address for each in found.endpoints] == ([read] if read else [])


@pytest.mark.parametrize("port", [0, -1, 65536, True, "80", 80.0, None, [80]])
def test_what_is_no_port_is_left_out(port: Any) -> None:
    found = read_slice(endpoint_slice("crm-1", [], ports={"http": port, "admin": 9000}))
    assert found is not None
    assert found.ports == {"admin": 9000}


def test_ports_of_another_protocol_are_left_out() -> None:
    found = endpoint_slice("crm-1", [])
    found["ports"] = [{"name": "dns", "protocol": "UDP", "port": 53}, {"name": None, "port": 80}]
    read = read_slice(found)
    assert read is not None
    assert read.ports == {"": 80}


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        "slice",
        {},
        {"metadata": None},
        {"metadata": {"name": "a", "labels": ["crm"]}, "addressType": "IPv4"},
        {"metadata": {"name": "a", "labels": {"kubernetes.io/service-name": 1}}, "addressType": "IPv4"},
        endpoint_slice("crm-1", [], family="FQDN"),
        endpoint_slice("crm-1", []) | {"addressType": ["IPv4"]},
        endpoint_slice("crm-1", [], service="x" * 254),
    ],
)
def test_what_is_no_slice_of_a_service_with_addresses_of_ip_is_left_out(found: Any) -> None:
    assert read_slice(found) is None


def test_a_slice_without_anything_in_it_is_empty() -> None:
    found = endpoint_slice("crm-1", []) | {"ports": None, "endpoints": None}
    read = read_slice(found)
    assert read is not None
    assert (dict(read.ports), read.endpoints) == ({}, ())


def test_the_name_of_a_slice_is_found_without_reading_it() -> None:
    assert slice_key(endpoint_slice("crm-1", [])) == ("team", "crm-1")
    assert slice_key({"metadata": [1]}) == slice_key(None) == ("", "")
