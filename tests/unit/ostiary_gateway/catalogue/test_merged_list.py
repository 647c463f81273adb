"""Lists of several servers become one, and no server can take what belongs to another."""

import json
from typing import Any

import pytest

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.catalogue.drops import Drop, DropReason
from ostiary_gateway.catalogue.merged_list import MOST_NAMES, PAGE_ITEMS, MergedPage, digest_of, digesting, merging
from ostiary_gateway.catalogue.raw_list import RawList
from ostiary_gateway.pipeline.large_messages import at_once

NAMES = CatalogueNames([("crm", "crm_"), ("web", ""), ("shop", "shop_")])


def raw(*items: dict[str, Any], **more: Any) -> RawList:
    return RawList.of(json.dumps(items).encode(), len(items), **more)


def merged(method: str, *lists: RawList | None, offset: int = 0) -> MergedPage:
    return at_once(merging(NAMES, METHODS[method], [*lists, *[None] * (3 - len(lists))], offset))


def names(found: MergedPage, key: str = "name") -> list[str]:
    return [item[key] for item in found.items]


@pytest.mark.parametrize("method", ["tools/list", "prompts/list"])
def test_items_come_in_the_order_of_the_spec_and_then_of_their_server(method: str) -> None:
    found = merged(method, raw({"name": "b"}, {"name": "a"}), raw({"name": "c"}), raw({"name": "a", "title": "A"}))
    assert names(found) == ["crm_b", "crm_a", "c", "shop_a"]
    assert found.items[3] == {"name": "shop_a", "title": "A"}
    assert [part.reasons for part in found.parts if part is not None] == [{}] * 3


@pytest.mark.parametrize(("method", "key"), [("resources/list", "uri"), ("resources/templates/list", "uriTemplate")])
def test_resources_and_templates_are_marked_behind_their_scheme(method: str, key: str) -> None:
    found = merged(method, raw({key: "ui://a"}), raw({key: "ui://a"}), raw({key: "urn:x"}))
    assert names(found, key) == ["ui://crm/a", "ui://a", "urn:shop/x"]


@pytest.mark.parametrize(
    ("method", "lists", "drop"),
    [
        ("tools/list", [None, raw({"name": "crm_delete"})], Drop(DropReason.FOREIGN, "crm_delete")),
        ("tools/list", [raw({"name": "a"}, {"name": "a"})], Drop(DropReason.DUPLICATE, "a")),
        ("tools/list", [raw({"name": "x" * 125})], Drop(DropReason.TOO_LONG, "x" * 125)),
        ("tools/list", [raw({"name": ""})], Drop(DropReason.NO_NAME)),
        ("tools/list", [raw({"title": "a"})], Drop(DropReason.NO_NAME)),
        ("tools/list", [raw({"name": 7})], Drop(DropReason.NO_NAME)),
        ("tools/list", [raw({"name": "a", "NAME": "b"})], Drop(DropReason.NO_NAME, "a")),
        ("tools/list", [raw(unwritable=1)], Drop(DropReason.UNWRITABLE)),
        ("tools/list", [raw(is_cut=True)], Drop(DropReason.BEYOND_LIMIT)),
        ("resources/list", [None, raw({"uri": "ui://shop/a"})], Drop(DropReason.FOREIGN, "ui://shop/a")),
        ("resources/list", [raw({"uri": "plain"})], Drop(DropReason.NO_SCHEME, "plain")),
        ("resources/list", [raw({"uri": "a:" + "x" * 4096})], Drop(DropReason.TOO_LONG, "a:" + "x" * 126)),
        ("resources/templates/list", [raw({"uriTemplate": "{+uri}"})], Drop(DropReason.NO_SCHEME, "{+uri}")),
    ],
)
def test_what_has_no_place_in_the_catalogue_is_dropped_with_a_reason(
    method: str, lists: list[RawList | None], drop: Drop
) -> None:
    found = merged(method, *lists)
    server = next(place for place, each in enumerate(lists) if each is not None)
    part = found.parts[server]
    assert part is not None
    assert (part.reasons, part.samples) == ({drop.reason: 1}, [drop])
    assert part.shown == len(found.items) == sum(each.count for each in lists if each) - (drop.reason not in KEPT)


KEPT = (DropReason.UNWRITABLE, DropReason.BEYOND_LIMIT)


def test_a_server_that_lists_names_of_another_takes_none_over() -> None:
    found = merged("tools/list", raw({"name": "a", "title": "true"}), raw({"name": "crm_a", "title": "false"}))
    assert found.items == [{"name": "crm_a", "title": "true"}]


@pytest.mark.parametrize(
    ("meta", "shown"),
    [
        ({"ui": {"resourceUri": "ui://app", "x": 1}}, {"ui": {"resourceUri": "ui://crm/app", "x": 1}}),
        ({"ui/resourceUri": "ui://app"}, {"ui/resourceUri": "ui://crm/app"}),
        ({"openai/outputTemplate": "ui://app"}, {"openai/outputTemplate": "ui://crm/app"}),
        ({"ui": {"resourceUri": "no uri"}}, {"ui": {}}),
        ({"ui": {"resourceUri": 5}, "other": "ui://app"}, {"ui": {"resourceUri": 5}, "other": "ui://app"}),
        ({"ui": "ui://app"}, {"ui": "ui://app"}),
        (["ui"], ["ui"]),
    ],
)
def test_the_page_of_a_tool_is_found_at_its_server(meta: Any, shown: Any) -> None:
    assert merged("tools/list", raw({"name": "a", "_meta": meta})).items[0]["_meta"] == shown


def test_schemas_and_texts_stay_as_they_are() -> None:
    item = {"name": "a", "description": "see ui://app", "inputSchema": {"properties": {"uri": {"const": "ui://app"}}}}
    assert merged("tools/list", raw(item)).items == [{**item, "name": "crm_a"}]


def test_pages_have_a_thousand_items() -> None:
    lists = raw(*({"name": f"t{i}"} for i in range(2 * PAGE_ITEMS))), raw({"name": "last"})

    first, last = merged("tools/list", *lists), merged("tools/list", *lists, offset=2 * PAGE_ITEMS)

    assert (len(first.items), first.following, first.listed) == (PAGE_ITEMS, PAGE_ITEMS, 2 * PAGE_ITEMS + 1)
    assert merged("tools/list", *lists, offset=PAGE_ITEMS).following == 2 * PAGE_ITEMS
    assert (names(last), last.following) == (["last"], None)
    beyond = merged("tools/list", *lists, offset=9 * PAGE_ITEMS)
    assert (beyond.items, beyond.following) == ([], None)
    assert first.names == last.names == [f"crm_t{i}" for i in range(MOST_NAMES)]


def test_the_digest_tells_lists_apart_and_by_their_server() -> None:
    a = raw({"name": "a"})
    digests = [digest_of(lists) for lists in ([a.digest], [None, a.digest], [a.digest] * 2, [raw().digest], [None] * 2)]
    assert len(set(digests)) == len(digests)
    assert digest_of([a.digest]) == digest_of([raw({"name": "a"}).digest])


def test_what_a_caller_sees_has_another_digest_only_if_something_that_it_sees_changed() -> None:
    def digest(*lists: RawList | None) -> bytes:
        return at_once(digesting(NAMES, METHODS["tools/list"], lists, lambda name: name != "crm_secret"))

    before = digest(raw({"name": "a"}), raw({"name": "b"}))

    assert digest(raw({"name": "a"}, {"name": "secret"}), raw({"name": "b"})) == before
    assert digest(raw({"name": "a"}), raw({"name": "b"}), None) == before
    assert digest(raw({"name": "a", "title": "A"}), raw({"name": "b"})) != before
    assert digest(raw({"name": "a"}), None) != before
    assert digest(raw({"name": "a"}, {"name": "c"}), raw({"name": "b"})) != before
