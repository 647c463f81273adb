"""An exposed URI keeps its scheme, and has one owner and one spelling."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary_core.exposed_names import Owned
from ostiary_core.exposed_uris import LONGEST_URI, ExposedURIs
from ostiary_core.policy.cost_limits import NAME_LENGTH

URIS = ExposedURIs(["crm", "web", "shop"], unmarked=1)
ALL_MARKED = ExposedURIs(["crm", "web"], unmarked=None)
PIECES = ["ui:", "urn:", "//", "/", "crm", "web", "shop", "{x}", "%2F", "."]
uris = st.builds("".join, st.lists(st.sampled_from(PIECES)))


@pytest.mark.parametrize(
    ("own", "exposed"),
    [
        ("ui://a", "ui://crm/a"),
        ("urn:x", "urn:crm/x"),
        ("file:///etc/hosts", "file://crm//etc/hosts"),
        ("https://crm.example/a?b#c", "https://crm/crm.example/a?b#c"),
        ("mailto:", "mailto:crm/"),
        ("ui://", "ui://crm/"),
        ("ui:/a", "ui:crm//a"),
        ("UI://crm/a", "UI://crm/crm/a"),
        ("ui://{host}/{+path}", "ui://crm/{host}/{+path}"),
    ],
)
def test_the_mark_stands_behind_the_scheme(own: str, exposed: str) -> None:
    assert URIS.exposed(0, own) == exposed
    assert URIS.owner_of(exposed) == Owned(0, own)


@pytest.mark.parametrize("own", ["{scheme}://a", "{+uri}", "u{x}i://a", "a b://c", "://a", "", "no-scheme", "//a"])
def test_what_has_no_scheme_cannot_be_marked(own: str) -> None:
    assert URIS.exposed(0, own) is None


def test_a_server_without_a_prefix_is_unmarked() -> None:
    assert URIS.exposed(1, "ui://a") == "ui://a"
    assert URIS.owner_of("ui://a") == Owned(1, "ui://a")
    assert URIS.owner_of("ui://web/a") == Owned(1, "ui://web/a")
    assert URIS.owner_of("{+uri}") == Owned(1, "{+uri}")
    assert ALL_MARKED.owner_of("ui://a") is None


def test_what_an_unmarked_server_lists_in_the_space_of_another_is_of_the_other() -> None:
    assert URIS.exposed(1, "ui://crm/a") == "ui://crm/a"
    assert URIS.owner_of("ui://crm/a") == Owned(0, "ui://a")


@pytest.mark.parametrize("uri", ["ui:crm///a", "urn:shop///"])
def test_a_second_spelling_of_a_marked_uri_belongs_to_none(uri: str) -> None:
    assert URIS.owner_of(uri) is None


@given(st.sampled_from([0, 2]), uris)
@example(0, "ui:////")
def test_a_marked_uri_leads_back_to_its_server(server: int, own: str) -> None:
    exposed = URIS.exposed(server, own)
    assert exposed is None or URIS.owner_of(exposed) == (server, own)


@given(uris)
def test_no_uri_has_two_exposed_spellings(exposed: str) -> None:
    found = URIS.owner_of(exposed)
    assert found is None or URIS.exposed(*found) == exposed


def test_a_request_can_name_the_longest_uri() -> None:
    assert LONGEST_URI == NAME_LENGTH
