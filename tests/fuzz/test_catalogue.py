"""What servers of one catalogue list and answer: no item and no URI leaves the space of its server."""

import json
from typing import Any

from hypothesis import event, example, given
from hypothesis import strategies as st

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.mcp.methods import LISTS, METHODS, Primitive
from ostiary_gateway.catalogue.exposed_content import ExposedContent
from ostiary_gateway.catalogue.merged_list import MergedPage, merging
from ostiary_gateway.catalogue.raw_list import RawList, RawPages
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.large_messages import at_once

NAMES = CatalogueNames([("crm", "crm_"), ("web", ""), ("crm-2", "crm2.")])
METHOD_NAMES = sorted(row.name for row in LISTS.values())
PIECES = [
    "crm_",
    "crm2.",
    "get",
    "ui:",
    "urn:",
    "//",
    "/",
    "crm",
    "crm-2",
    "web",
    "{x}",
    "{+s}",
    "%2F",
    "..",
    "\x00",
    "ü",
]
names = st.builds("".join, st.lists(st.sampled_from(PIECES), max_size=6)) | st.text(max_size=8) | st.just("x" * 130)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
metas = st.dictionaries(
    st.sampled_from(["ui", "ui/resourceUri", "openai/outputTemplate", "other"]),
    names | st.dictionaries(st.sampled_from(["resourceUri", "csp"]), values, max_size=2) | values,
    max_size=3,
)
items = st.fixed_dictionaries(
    {},
    optional={"name": names, "uri": names, "uriTemplate": names, "NAME": names, "_meta": metas | values, "x": values},
)
resources = st.fixed_dictionaries({}, optional={"uri": names | values, "text": names, "_meta": metas})
contents = st.one_of(
    values,
    st.fixed_dictionaries({"type": st.just("resource_link")}, optional={"uri": names | values, "_meta": metas}),
    st.fixed_dictionaries({"type": st.just("resource")}, optional={"resource": resources | values}),
    st.fixed_dictionaries({"type": st.just("text")}, optional={"text": names}),
)
results = st.fixed_dictionaries(
    {},
    optional={
        "content": contents | st.lists(contents, max_size=4),
        "contents": st.lists(resources | values, max_size=3),
        "messages": st.lists(st.fixed_dictionaries({"content": contents | st.lists(contents, max_size=2)}), max_size=2),
        "structuredContent": values,
        "_meta": metas | values,
    },
)


def merged(method: str, lists: list[list[Any]]) -> MergedPage:
    raw = [RawList.of(json.dumps(each).encode(), len(each)) for each in lists]
    return at_once(merging(NAMES, METHODS[method], raw, 0))


@given(st.sampled_from(METHOD_NAMES), st.lists(st.lists(items, max_size=5), min_size=3, max_size=3))
def test_every_item_is_in_the_space_of_the_server_that_lists_it(method: str, lists: list[list[Any]]) -> None:
    row = METHODS[method]
    assert row.primitive is not None
    page = merged(method, lists)

    shown = [item[row.item_key] for item in page.items]
    assert len(set(shown)) == len(shown)
    places = [server for server, part in enumerate(page.parts) if part is not None for _ in range(part.shown)]
    for server, name in zip(places, shown, strict=True):
        owned = NAMES.owner_of(row.primitive, name)
        assert owned is not None
        assert owned.server == server
        assert owned.name in [item.get(row.item_key) for item in lists[server] if isinstance(item, dict)]
    assert sum(part.shown + part.reasons.total() for part in page.parts if part is not None) == sum(map(len, lists))


@given(st.integers(0, 2), results)
@example(0, {"structuredContent": [float("inf")], "content": {"type": "resource_link", "uri": ""}})
@example(0, {"structuredContent": [float("-inf")], "content": {"type": "resource_link", "uri": "ui://a"}})
def test_every_uri_of_an_answer_leads_back_to_its_server_and_data_stays(server: int, result: dict[str, Any]) -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
    message = jsonrpc.read(text)
    try:
        shown = json.loads(ExposedContent(NAMES, server).response(text, message))["result"]
    except UpstreamFault:
        event("refused")
        return
    assert shown == message["result"]
    assert shown.get("structuredContent") == result.get("structuredContent")
    for uri in uris_of(shown):
        owned = NAMES.owner_of(Primitive.RESOURCES, uri)
        assert owned is not None
        assert owned.server == server


def uris_of(result: dict[str, Any]) -> list[str]:
    found = [each.get("uri") for each in result.get("contents", []) if isinstance(each, dict)]
    content = result.get("content")
    for item in content if isinstance(content, list) else [content]:
        if isinstance(item, dict) and item.get("type") == "resource_link":
            found.append(item.get("uri"))
        if isinstance(item, dict) and item.get("type") == "resource" and isinstance(item.get("resource"), dict):
            found.append(item["resource"].get("uri"))
    return [uri for uri in found if isinstance(uri, str) and uri]


@given(st.lists(st.fixed_dictionaries({}, optional={"tools": st.lists(items | values), "nextCursor": names | values})))
def test_pages_of_any_shape_are_joined_or_refused(pages: list[dict[str, Any]]) -> None:
    joined = RawPages(METHODS["tools/list"], most_bytes=10_000)
    for page in pages:
        try:
            if joined.add(page, size=len(json.dumps(page))) is None:
                break
        except ValueError:
            event("refused")
            return
    raw = joined.list()
    assert len(raw.items()) == raw.count
    assert all(isinstance(item, dict) for item in raw.items())
