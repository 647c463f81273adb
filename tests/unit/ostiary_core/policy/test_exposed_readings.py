"""What rules judge of a name in the catalogue of several servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.errors import AmbiguousURIError
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.exposed_readings import readings_of, sample_names
from ostiary_core.policy.uri_readings import Readings, read_uri

NAMES = CatalogueNames([("crm", "crm_"), ("web", "web."), ("rest", "")])
CLOSED = CatalogueNames([("crm", "crm_"), ("web", "web.")])
TOOLS, RESOURCES = Primitive.TOOLS, Primitive.RESOURCES


def test_the_exposed_name_must_be_allowed_and_the_servers_own_only_not_denied() -> None:
    assert readings_of(TOOLS, "crm_delete", NAMES) == Readings(("crm_delete",), ("delete",))
    assert readings_of(Primitive.PROMPTS, "web.a", NAMES) == Readings(("web.a",), ("a",))


def test_a_name_of_a_server_without_a_prefix_has_one_form() -> None:
    assert readings_of(TOOLS, "delete", NAMES) == Readings(("delete",))
    assert readings_of(RESOURCES, "file:///a", NAMES) == read_uri("file:///a")


def test_a_name_that_no_server_owns_has_no_reading() -> None:
    assert readings_of(TOOLS, "delete", CLOSED) is None
    assert readings_of(RESOURCES, "file:///a", CLOSED) is None


def test_without_several_servers_names_are_read_as_ever() -> None:
    assert readings_of(TOOLS, "crm_delete", None) == Readings(("crm_delete",))
    assert readings_of(RESOURCES, "FILE:///a", None) == read_uri("FILE:///a")


def test_what_a_server_makes_of_its_own_uri_must_be_allowed_as_it_would_be_exposed() -> None:
    found = readings_of(RESOURCES, "https://crm/EXAMPLE.com:443/a", NAMES)

    assert found is not None
    assert "https://crm/example.com/a" in found.looked_up
    assert {"https://example.com/a", "https://EXAMPLE.com:443/a"} <= {*found.ends_at}


def test_a_uri_whose_owner_may_read_it_in_unforeseeable_ways_is_refused() -> None:
    with pytest.raises(AmbiguousURIError):
        readings_of(RESOURCES, "file://crm//C:/a/../b", NAMES)


@given(st.sampled_from(["file:///", "https://h/", "HTTPS://H:443/", "ui://", "urn:"]), st.text(max_size=20))
def test_no_reading_of_a_server_is_left_unjudged(front: str, text: str) -> None:
    uri = front + text
    exposed = NAMES.exposed(RESOURCES, 0, uri)
    assert exposed is not None
    try:
        own, found = read_uri(uri), readings_of(RESOURCES, exposed, NAMES)
    except AmbiguousURIError:
        return
    assert found is not None
    assert {*own.looked_up, *own.ends_at} <= {*found.looked_up, *found.ends_at}
    assert {NAMES.uris.exposed(0, each) for each in own.looked_up} <= {*found.looked_up}
    assert not {*found.looked_up} & {*found.ends_at}


def test_samples_are_names_that_some_server_owns() -> None:
    found = list(sample_names(TOOLS, ["crm_a", "b"], ["x"], CLOSED))
    assert found == [(0, "crm_a"), (0, "crm_x"), (1, "web.x")]
    assert (2, "x") in list(sample_names(TOOLS, [], ["x"], NAMES))
    assert (0, "ui://crm/x") in list(sample_names(RESOURCES, [], ["x"], CLOSED))
