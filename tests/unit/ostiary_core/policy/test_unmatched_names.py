from typing import Any

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.access import AccessRuleConfig, AccessRulesConfig, SelectionConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.unmatched_names import MOST_REPORTED, SpelledNames, exact_names, find

TOOLS = ["delete_user", "get_users", "echo"]


def policy(*names: str, primitive: str = "tools", effect: Any = "Deny") -> CompiledPolicy:
    selection: dict[str, Any] = {primitive: SelectionConfig(names=list(names))}
    rule = AccessRuleConfig(name="no-delete", effect=effect, **selection)
    access = AccessRulesConfig(rules=[rule])
    return CompiledPolicy.build(
        PolicyDocument(namespace="a", name="p", uid="u", generation=1, tier="owner", access=access)
    )


def words(*names: str, offered: dict[Primitive, list[str]] | None = None) -> list[str]:
    known = {Primitive.TOOLS: TOOLS} if offered is None else offered
    return [slip.words for slip in find(exact_names([policy(*names)]), known)]


def test_a_name_that_no_tool_has_is_reported_with_the_one_that_was_probably_meant() -> None:
    assert words("delete_usr", "echo") == ["rule no-delete: no tool is called delete_usr; did you mean delete_user?"]


def test_an_unknown_name_without_a_similar_one_is_reported_alone() -> None:
    assert words("zzz") == ["rule no-delete: no tool is called zzz"]


def test_wildcards_wait_for_what_is_to_come_and_resources_need_no_list() -> None:
    assert words("drop_*") == []
    assert exact_names([policy("file:///a", primitive="resources")]) == ()


def test_nothing_is_reported_for_an_unknown_list() -> None:
    assert words("delete_usr", offered={Primitive.PROMPTS: []}) == []


def test_at_most_a_few_of_many_names_are_reported() -> None:
    assert len(words(*(f"x{number}" for number in range(100)))) == MOST_REPORTED


def test_the_names_that_rules_write_out_are_those_of_tools_and_prompts_of_all_policies() -> None:
    spelled = SpelledNames([policy("get_users", "drop_*"), policy("ask", primitive="prompts", effect="Allow")])

    assert [name for name in ("get_users", "ask", "drop_x", "drop_*", "") if name in spelled] == ["get_users", "ask"]
    assert "file:///a" not in SpelledNames([policy("file:///a", primitive="resources")])


MERGED = CatalogueNames([("crm", "crm_"), ("rest", "")])


def merged_words(effect: str, *names: str) -> list[str]:
    found = exact_names([policy(*names, effect=effect)], MERGED)
    return [slip.words for slip in find(found, {Primitive.TOOLS: ["crm_delete_user", "echo"]})]


def test_where_servers_are_merged_a_deny_may_name_what_a_server_calls_it() -> None:
    assert merged_words("Deny", "delete_user", "crm_delete_user", "echo") == []
    (found,) = merged_words("Deny", "delete_usr")
    assert found == "rule no-delete: no tool is called delete_usr; did you mean crm_delete_user?"


def test_where_servers_are_merged_an_allow_must_name_what_is_exposed() -> None:
    assert merged_words("Allow", "delete_user") == [
        "rule no-delete: no tool is called delete_user; did you mean crm_delete_user?"
    ]
