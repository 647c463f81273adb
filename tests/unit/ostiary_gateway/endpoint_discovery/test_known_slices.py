"""Slices are found by their Services, and a change says which Services have changed."""

from typing import Any

from endpoint_slices import NAMESPACE, endpoint, endpoint_slice

from ostiary_gateway.endpoint_discovery.endpoint_slice import EndpointSlice, ServiceKey, read_slice
from ostiary_gateway.endpoint_discovery.known_slices import KnownSlices

CRM, WIKI = (NAMESPACE, "crm"), (NAMESPACE, "wiki")
KEY = (NAMESPACE, "one")


def made(**more: Any) -> EndpointSlice | None:
    return read_slice(endpoint_slice("one", [endpoint("10.0.0.1")], **more))


def names(known: KnownSlices, service: ServiceKey) -> list[str]:
    return list(known.of(service))


def test_a_change_names_the_service_and_no_change_names_none() -> None:
    known = KnownSlices(frozenset({CRM, WIKI}))
    assert known.replace(KEY, made()) == {CRM}
    assert known.replace(KEY, made()) == frozenset()
    assert known.replace(KEY, made(version="2")) == {CRM}
    assert known.replace(KEY, None) == {CRM}
    assert known.replace(KEY, None) == frozenset()


def test_a_slice_may_come_to_belong_to_another_service() -> None:
    known = KnownSlices(frozenset({CRM, WIKI}))
    known.replace(KEY, made())
    assert known.replace(KEY, made(service="wiki")) == {CRM, WIKI}
    assert (names(known, CRM), names(known, WIKI)) == ([], ["one"])


def test_slices_of_services_that_are_not_needed_are_left_out() -> None:
    known = KnownSlices(frozenset({CRM}))
    assert known.replace(KEY, made(service="wiki")) == frozenset()
    known.replace(KEY, made())
    assert known.replace(KEY, made(service="wiki")) == {CRM}
    assert names(known, WIKI) == []


def test_what_is_needed_no_more_is_dropped() -> None:
    known = KnownSlices(frozenset({CRM, WIKI}))
    known.replace(KEY, made())
    assert names(known.restricted(frozenset({WIKI})), CRM) == []
    assert names(known.restricted(frozenset({CRM})), CRM) == ["one"]
