"""Blocks of settings that are invalid as a whole: valid ones are added, and none is removed."""

import pytest

from ostiary_core.contract.blocks import BlockedConfig
from ostiary_operator.api.blocks import MOST_BLOCKED, Blocked
from ostiary_operator.api.load import MAX_SETTINGS_CHARACTERS, InvalidSettings, parse_settings
from ostiary_operator.api.settings import GatewaySettings
from ostiary_operator.compile.blocks import blocked_config, readable_blocks, unknown_proxies, with_blocks_of

LAST = GatewaySettings(blocked=Blocked(principals=("support/first",), proxies=("sales/crm",)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("withoutPolicy: Perhaps\nblocked: {principals: [support/agent]}", {"principals": ["support/agent"]}),
        ("tenancy: [\nblocked:\n  principals:\n  - support/agent\n", {"principals": ["support/agent"]}),
        ("blocked:\n  proxies: [sales/crm]\n\tbad", {}),
        ("blocked: {proxies: [sales/crm]}\nblocked: {proxies: [sales/erp]}", {"proxies": ["sales/crm", "sales/erp"]}),
        ("blocked: {principals: [wrong, support/agent], users: [x]}", {"principals": ["support/agent"]}),
        ("blocked: {principals: support/agent}", {}),
        ("blocked: [support/agent]", {}),
        ("- blocked", {}),
        ("", {}),
    ],
)
def test_the_valid_lines_are_found_whatever_is_wrong_elsewhere(text: str, found: dict[str, list[str]]) -> None:
    assert readable_blocks(text) == found


def test_a_text_that_is_too_long_is_not_read() -> None:
    assert readable_blocks("blocked: {proxies: [sales/crm]}\n" + "#" * MAX_SETTINGS_CHARACTERS) == {}


def test_valid_lines_are_added_to_the_blocks_in_force_and_remove_none() -> None:
    settings, message = with_blocks_of(LAST, "tenancy: Perhaps\nblocked: {principals: [support/second]}")
    assert settings.blocked == Blocked(principals=("support/second", "support/first"), proxies=("sales/crm",))
    assert message == "the last good settings stay, and what the current settings block is blocked too"
    assert with_blocks_of(settings, "tenancy: Perhaps\nblocked: {principals: [support/second]}")[0] == settings


def test_what_was_blocked_stays_blocked_where_invalid_settings_block_nothing() -> None:
    assert with_blocks_of(LAST, "tenancy: Perhaps") == (LAST, "the last good settings stay")


def test_the_combined_blocks_have_a_limit_and_the_newest_count() -> None:
    last = GatewaySettings(blocked=Blocked(proxies=tuple(f"sales/old-{index}" for index in range(MOST_BLOCKED))))
    settings, message = with_blocks_of(last, "tenancy: Perhaps\nblocked: {proxies: [sales/new]}")
    assert settings.blocked is not None
    assert (len(settings.blocked.proxies), settings.blocked.proxies[0]) == (MOST_BLOCKED, "sales/new")
    assert f"only the newest {MOST_BLOCKED}" in message


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("blocked: {principals: [agent]}", "blocked.principals[0]"),
        ("blocked: {principals: [token:abc]}", "blocked.principals[0]"),
        ("blocked: {proxies: [crm]}", "blocked.proxies[0]"),
        ("blocked: {upstreams: [http://crm.example.com]}", "blocked.upstreams[0]"),
        ("blocked: {upstreams: ['*']}", "blocked.upstreams[0]"),
        ("blocked: {subjects: [{issuer: https://id.example.com}]}", "blocked.subjects[0].subject"),
        ("blocked: {principal: [support/agent]}", "blocked.principal"),
    ],
)
def test_a_wrong_line_is_named_by_its_field(text: str, field: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        parse_settings(text)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_a_line_that_is_there_twice_is_no_error_and_counts_once() -> None:
    settings = parse_settings("blocked: {proxies: [sales/crm, sales/crm]}")
    config = blocked_config(settings.blocked)
    assert config is not None
    assert config.proxies == ["sales/crm"]


def test_a_blocked_proxy_that_is_not_served_is_reported_with_the_nearest_name() -> None:
    blocked = BlockedConfig(proxies=["sales/crm", "sales/crn", "other/thing"])
    found = [it.message for it in unknown_proxies("system/default", blocked, ["sales/crm", "sales/wiki"])]
    assert found == [
        "settings: blocked.proxies: it serves no MCPProxy sales/crn: did you mean sales/crm?",
        "settings: blocked.proxies: it serves no MCPProxy other/thing; correct the name, or remove the line",
    ]


def test_settings_that_block_nothing_compile_to_nothing() -> None:
    assert blocked_config(None) is None
    assert blocked_config(parse_settings("blocked: {}").blocked) is None
