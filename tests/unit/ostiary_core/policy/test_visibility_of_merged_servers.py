"""One catalogue of several servers: Deny applies to either form of a name, Allow to the exposed one."""

from typing import Any
from unittest import mock

import pytest
from gateways import policy
from hypothesis import given
from hypothesis import strategies as st
from visibilities import visibility_of

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.documents import EntryDocument
from ostiary_core.errors import ContractError
from ostiary_core.mcp.methods import USE, Primitive, Verb
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.decision import DecisionReason
from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_core.policy.uri_readings import read_uri, rule_names
from ostiary_core.policy.visibility import Visibility

TOOLS, RESOURCES, PROMPTS = Primitive.TOOLS, Primitive.RESOURCES, Primitive.PROMPTS
NAMES = CatalogueNames([("crm", "crm_"), ("web", "web.")])
WITH_REST = CatalogueNames([("crm", "crm_"), ("rest", "")])


def merged(*rules: dict[str, Any], names: CatalogueNames = NAMES, **rest: Any) -> Visibility:
    return visibility_of(*([policy("p", *rules)] if rules else []), names=names, **rest)


def rule(effect: str, *names: str, primitive: str = "tools", **rest: Any) -> dict[str, Any]:
    return {"name": effect.lower(), "effect": effect, primitive: {"names": list(names)}, **rest}


def may_call(view: Visibility, name: str) -> bool:
    return view.decide(TOOLS, Verb.CALL, name).allowed


def test_deny_matches_the_exposed_name_and_the_servers_own() -> None:
    for denied in ("delete_user", "crm_delete_user", "*_user"):
        view = merged(rule("Deny", denied))
        assert not may_call(view, "crm_delete_user")
        assert not view.shows(TOOLS, "crm_delete_user")
        assert may_call(view, "crm_list")
    assert not may_call(merged(rule("Deny", "delete_user")), "web.delete_user")
    assert may_call(merged(rule("Deny", "crm_delete_user")), "web.delete_user")


def test_allow_matches_the_exposed_name_alone() -> None:
    view = merged(rule("Allow", "crm_list", "read"))

    assert may_call(view, "crm_list")
    assert not may_call(view, "crm_read")
    assert not may_call(view, "web.list")


def test_a_deny_of_a_servers_own_name_wins_over_an_allow_of_the_exposed_one() -> None:
    view = merged(rule("Allow", "crm_*"), rule("Deny", "delete_*"))

    decision = view.decide(TOOLS, Verb.CALL, "crm_delete_user")

    assert (decision.allowed, decision.rule) == (False, "deny")
    assert may_call(view, "crm_read")


def test_a_deny_with_a_condition_applies_to_either_name_too() -> None:
    view = merged(rule("Deny", "delete_user", when="!authenticated"))
    from ostiary_core.policy.principal import ANONYMOUS, Principal  # noqa: PLC0415

    assert not may_call(view.for_principal(ANONYMOUS), "crm_delete_user")
    assert may_call(view.for_principal(Principal(id="a", method="jwt")), "crm_delete_user")


def test_a_name_of_no_server_does_not_exist_whatever_rules_allow() -> None:
    for view in (merged(), merged(rule("Allow", "*"))):
        for primitive in (TOOLS, PROMPTS):
            decision = view.decide(primitive, USE[primitive], "delete_user")
            assert (decision.allowed, decision.reason) == (False, DecisionReason.NOT_IN_CATALOGUE)
        assert not view.could_allow(RESOURCES, Verb.READ, "file:///a")
    assert may_call(merged(names=WITH_REST), "delete_user")


def test_the_catalogue_excludes_either_name_and_includes_the_exposed_one() -> None:
    view = merged(catalogue={"tools": {"include": ["crm_*", "read"], "exclude": ["delete_user"]}})

    assert may_call(view, "crm_read")
    assert not may_call(view, "crm_delete_user")
    assert not may_call(view, "web.read")


def test_resources_are_denied_by_either_uri_however_it_is_spelled() -> None:
    for denied in ("file:///secret/*", "file://crm//secret/*"):
        view = merged(rule("Deny", denied, primitive="resources"))
        for uri in ("file://crm//secret/key", "file://crm//docs/../secret/key", "file://crm//secr%65t/key"):
            assert not view.decide(RESOURCES, Verb.READ, uri).allowed, uri
        assert view.decide(RESOURCES, Verb.READ, "file://crm//docs/key").allowed
    view = merged(rule("Deny", "https://crm/example.com/*", primitive="resources"))
    assert not view.decide(RESOURCES, Verb.READ, "https://crm/EXAMPLE.com:443/a").allowed


def test_policies_in_shadow_mode_judge_both_names_too() -> None:
    document = policy("p", rule("Deny", "delete_user")).model_copy(update={"mode": "Shadow"})
    view = visibility_of(document, names=NAMES)

    assert may_call(view, "crm_delete_user")
    refusal = view.would_deny(TOOLS, Verb.CALL, "crm_delete_user")
    assert refusal is not None
    assert refusal.rule == "deny"


def test_what_a_caller_may_use_of_each_server_is_known_before_any_list() -> None:
    view = merged(rule("Allow", "crm_*"), rule("Allow", "ui://web/*", primitive="resources"))

    assert [view.may_use_some(TOOLS, Verb.CALL, server=each) for each in (0, 1)] == [True, False]
    assert [view.may_use_some(RESOURCES, Verb.READ, server=each) for each in (0, 1)] == [False, True]
    assert view.may_use_some(TOOLS, Verb.CALL)
    assert not view.may_use_some(PROMPTS, Verb.GET)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (merged(), True),
        (merged(rule("Allow", "*_users")), True),
        (merged(rule("Deny", "a*")), True),
        (merged(rule("Allow", "list")), False),
        (merged(rule("Deny", "*")), False),
        (merged(rule("Deny", "crm_*"), rule("Deny", "web.*")), False),
    ],
)
def test_some_name_may_be_used_only_where_a_server_could_own_it(view: Visibility, expected: bool) -> None:
    assert view.may_use_some(TOOLS, Verb.CALL) is expected


MANY = CatalogueNames([(f"s{index}", f"s{index:02}_") for index in range(16)])


def test_rules_that_write_out_thousands_of_names_hide_no_server() -> None:
    rules = [rule("Allow", *[f"s{number % 16:02}_t{each}_{number}" for number in range(128)]) for each in range(64)]
    view = merged(*[{**each, "name": f"r{number}"} for number, each in enumerate(rules)], names=MANY)

    assert all(view.may_use_some(TOOLS, Verb.CALL, server=each) for each in range(16))
    assert not any(view.may_use_some(PROMPTS, Verb.GET, server=each) for each in range(16))


def test_names_are_tried_once_for_all_servers_and_fewer_the_more_rules_judge_them() -> None:
    rules = [
        {
            "name": f"r{each}",
            "effect": effect,
            "tools": {"names": [f"s{each % 16:02}_p{each // 2}*", f"*_s{each // 2}"]},
        }
        for each, effect in enumerate(("Allow", "Deny") * 120)
    ]
    view = merged(*rules, names=MANY)
    with mock.patch.object(AccessEvaluator, "judge", autospec=True, side_effect=AccessEvaluator.judge) as judged:
        found = [view.may_use_some(TOOLS, Verb.CALL, server=each) for each in range(16)]

    assert any(found)
    assert 16 < judged.call_count < 4_000


def test_lists_differ_where_prefixes_do() -> None:
    same = CatalogueNames([("crm", "crm_"), ("web", "web.")])
    assert merged().lists_like(merged(names=same), TOOLS)
    assert not merged().lists_like(merged(names=WITH_REST), TOOLS)


SERVER = {"url": "http://s", "timeouts": {"connect": 1, "request": 2, "idle": 3}}
ENTRY = {"namespace": "ns", "name": "e", "uid": "u", "generation": 1, "path": "/e"}


def entry(*prefixes: str, selection: str | None = "Merge") -> EntryDocument:
    servers = [{**SERVER, "name": f"s{index}", "prefix": prefix} for index, prefix in enumerate(prefixes)]
    return EntryDocument.model_validate({**ENTRY, "servers": servers, "serverSelection": selection})


def test_an_entry_that_merges_servers_has_their_names() -> None:
    view = Visibility.of_entry(entry("a_", ""), AccessEvaluator([]))
    assert view.names == CatalogueNames([("s0", "a_"), ("s1", "")])
    assert Visibility.of_entry(entry("", selection=None), AccessEvaluator([])).names is None


def test_an_entry_with_overlapping_prefixes_is_refused() -> None:
    with pytest.raises(ContractError, match="'a' and 'ab' overlap: correct the prefixes"):
        Visibility.of_entry(entry("a", "ab"), AccessEvaluator([]))


globs = st.lists(st.sampled_from(["a", "b*", "*a", "p_*", "p_a", "q_b", "*"]), min_size=1, max_size=3)
rules = st.lists(st.builds(lambda effect, names: rule(effect, *names), st.sampled_from(["Allow", "Deny"]), globs))


@given(rules, st.sampled_from(["p_", "q_"]), st.sampled_from(["a", "b", "p_a", "bb", "ca"]))
def test_a_call_passes_if_the_exposed_name_passes_and_no_deny_matches_the_own_name(
    found: list[dict[str, Any]], prefix: str, own: str
) -> None:
    subject = policy("p", *found)
    denials = policy("p", *[each for each in found if each["effect"] == "Deny"])
    both = visibility_of(subject, names=CatalogueNames([("one", "p_"), ("two", "q_")]))
    without_denials = not [each for each in found if each["effect"] == "Deny"]

    expected = may_call(visibility_of(subject), prefix + own) and (
        without_denials or may_call(visibility_of(denials), own)
    )

    assert may_call(both, prefix + own) is expected


uris = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(
            ["file:///", "FILE:/", "https://h/", "HTTPS://H:443/", "https://u@h./", "ui://", "urn:", "db://"]
        ),
        st.sampled_from(["", "docs/", "docs/../", "./", "docs/%2e%2e/", "{t}/", "//"]),
        st.sampled_from(["secret", "secr%65t", "SECRET", "secret%2Fkey", "open"]),
        st.sampled_from(["", "/key", "?a", "#f", "/../secret/key"]),
    ),
)
denied_uris = st.sampled_from(
    ["file:///secret*", "https://h/secret*", "ui://secret", "urn:secret", "db://secret*", "*secret*"]
)


@given(st.lists(denied_uris, min_size=1, max_size=3), uris)
def test_a_uri_that_is_denied_at_one_server_is_denied_in_the_catalogue_of_several_too(
    denied: list[str], uri: str
) -> None:
    subject = policy("p", rule("Deny", *denied, primitive="resources"))
    exposed = NAMES.exposed(RESOURCES, 0, uri)
    assert exposed is not None

    alone, one_of_several = visibility_of(subject), visibility_of(subject, names=NAMES)

    if not alone.decide(RESOURCES, Verb.READ, uri).allowed:
        assert not one_of_several.decide(RESOURCES, Verb.READ, exposed).allowed


@given(denied_uris, uris)
def test_a_uri_is_allowed_in_a_catalogue_only_where_all_that_the_server_may_read_is_allowed(
    allowed: str, uri: str
) -> None:
    exposed, own = NAMES.exposed(RESOURCES, 0, uri), NAMES.exposed(RESOURCES, 0, allowed) or allowed
    assert exposed is not None
    view = merged(rule("Allow", own, primitive="resources"))
    if not view.decide(RESOURCES, Verb.READ, exposed).allowed:
        return
    matcher = NameMatcher.build(rule_names([own], denies=False), None)
    assert all(matcher.matches(NAMES.uris.exposed(0, each) or "") for each in read_uri(uri).looked_up)
