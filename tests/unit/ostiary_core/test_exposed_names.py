"""An exposed name has one owner, whatever servers list."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ostiary_core.exposed_names import ExposedNames, Owned, could_own, overlapping_prefixes

NAMES = ExposedNames(["crm_", "", "shop.", "crm-old_"])
#: Few letters, so that prefixes of prefixes come up often.
text = st.text(alphabet="ab_", max_size=4)
prefixes = st.lists(text, min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("crm_get_users", Owned(0, "get_users")),
        ("shop.crm_x", Owned(2, "crm_x")),
        ("crm-old_x", Owned(3, "x")),
        ("crm-", Owned(1, "crm-")),
        ("CRM_x", Owned(1, "CRM_x")),
        ("get_users", Owned(1, "get_users")),
        ("crm_", None),
        ("", None),
    ],
)
def test_a_name_belongs_to_the_server_of_its_prefix(name: str, owner: Owned | None) -> None:
    assert NAMES.owner_of(name) == owner


def test_a_name_without_a_prefix_belongs_to_none_where_every_server_has_one() -> None:
    assert ExposedNames(["a_", "b_"]).owner_of("c_x") is None


@pytest.mark.parametrize("overlapping", [["a_", "a_"], ["a_b", "a_"], ["", "x", ""]])
def test_prefixes_that_overlap_are_refused(overlapping: list[str]) -> None:
    with pytest.raises(ValueError, match="overlap"):
        ExposedNames(overlapping)


@given(prefixes, st.integers(min_value=0), text.filter(bool))
def test_an_exposed_name_leads_back_to_its_server_or_is_in_the_space_of_another(
    prefixes: list[str], place: int, name: str
) -> None:
    assume(overlapping_prefixes(prefixes) is None)
    names, server = ExposedNames(prefixes), place % len(prefixes)

    found = names.owner_of(names.exposed(server, name))

    if prefixes[server]:
        assert found == (server, name)
    else:
        own = [other for other, prefix in enumerate(prefixes) if prefix and name.startswith(prefix)]
        assert (found.server if found is not None else own[0]) == (own[0] if own else server)


@given(prefixes, text)
def test_a_name_has_one_exposed_form(prefixes: list[str], exposed: str) -> None:
    assume(overlapping_prefixes(prefixes) is None)
    names = ExposedNames(prefixes)
    found = names.owner_of(exposed)
    assert found is None or names.exposed(*found) == exposed


@given(prefixes)
def test_overlapping_prefixes_are_those_that_leave_a_name_with_two_owners(prefixes: list[str]) -> None:
    spaces = [prefix for prefix in prefixes if prefix]
    shared = any(one.startswith(other) for i, one in enumerate(spaces) for j, other in enumerate(spaces) if i != j)
    assert (overlapping_prefixes(prefixes) is not None) == (shared or prefixes.count("") > 1)


@pytest.mark.parametrize(
    ("name", "possible"),
    [("crm_a", True), ("crm_*", True), ("c*", True), ("*_a", True), ("crm_", False), ("a", False), ("a*", False)],
)
def test_a_name_of_a_rule_may_or_may_not_be_of_a_server(name: str, possible: bool) -> None:
    assert could_own("crm_", name) is possible
    assert could_own("", name)
