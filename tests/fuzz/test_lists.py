"""Lists of any server under any policy: hidden items are removed, visible ones stay, the rest is unchanged."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateways import policy
from hypothesis import event, given
from hypothesis import strategies as st
from json_texts import any_text, identical, read_strictly
from messages import plain, spelt
from visibilities import visibility_of

from ostiary_core.errors import AmbiguousURIError
from ostiary_core.mcp.methods import LISTS, METHODS, AuthorizationKind, Method, Primitive, Verb
from ostiary_core.policy.uri_readings import read_uri
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.list_filter import read_for, shape_result, shape_streamed

NAMES = [
    "get_users",
    "get_",
    "delete_users",
    "GET_users",
    "get_ü",
    "a*b",
    "",
    "get\nx",
    "\x00",
    "mock://a",
    "doc://{id}",
]
SELECTORS = ["*", "get_*", "*_users", "*e*u*", "get_users", "a*b", "", "doc://*", "GET_*", "\x00", "get\n*"]
LIST_METHODS = sorted(row.name for row in METHODS.values() if row.authorization is AuthorizationKind.LIST)


@dataclass(frozen=True, slots=True)
class Rule:
    """What of a rule decides on being seen."""

    tier: str
    number: int
    effect: str
    primitive: str | None
    names: tuple[str, ...] | None
    lists: bool

    def applies_to(self, primitive: str, name: str) -> bool:
        if self.primitive is None:
            return True
        matches = self.names is None or any(like(selector, name) for selector in self.names)
        return self.primitive == primitive and self.lists and matches


def like(selector: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, selector.split("*"))), name, re.DOTALL) is not None


rules = st.builds(
    Rule,
    st.sampled_from(["platform", "owner"]),
    st.integers(0, 1),
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["tools", "resources", "prompts", None]),
    st.none() | st.lists(st.sampled_from(SELECTORS), min_size=1, max_size=2).map(tuple),
    st.booleans(),
)


@dataclass(frozen=True, slots=True)
class Policies:
    """Two policies in each tier, those that have rules; an empty one, which denies everything, may come with them."""

    rules: tuple[Rule, ...]
    empty: str | None

    def shows(self, primitive: str, name: str) -> bool:
        """Whether a name is visible, by a plain reading of the rules; a URI is judged in all its readings."""
        if primitive != "resources" or not self._governs_resources():
            return self._shows_spelling(primitive, name)
        try:
            readings = read_uri(name)
        except AmbiguousURIError:
            return False
        if any(
            rule.effect == "Deny" and rule.applies_to(primitive, end) for end in readings.ends_at for rule in self.rules
        ):
            return False
        return all(self._shows_spelling(primitive, uri) for uri in readings.looked_up)

    def _governs_resources(self) -> bool:
        closed = self.empty is not None or any(rule.effect == "Allow" for rule in self.rules)
        return closed or any(rule.primitive in {"resources", None} for rule in self.rules)

    def _shows_spelling(self, primitive: str, name: str) -> bool:
        return all(self._tier_shows(tier, primitive, name) for tier in ("platform", "owner"))

    def _tier_shows(self, tier: str, primitive: str, name: str) -> bool:
        here = [rule for rule in self.rules if rule.tier == tier]
        if any(rule.effect == "Deny" and rule.applies_to(primitive, name) for rule in here):
            return False
        closed = self.empty == tier or any(rule.effect == "Allow" for rule in here)
        return not closed or any(rule.effect == "Allow" and rule.applies_to(primitive, name) for rule in here)

    def compiled(self) -> Visibility:
        found: dict[tuple[Any, int], list[dict[str, Any]]] = {}
        for rule in self.rules:
            found.setdefault((rule.tier, rule.number), []).append(_document(rule))
        if self.empty is not None:
            found[(self.empty, 2)] = []
        return visibility_of(*(policy(f"p{number}-{tier}", *made, tier=tier) for (tier, number), made in found.items()))


def _document(rule: Rule) -> dict[str, Any]:
    document: dict[str, Any] = {"name": "r", "effect": rule.effect}
    if rule.primitive is not None:
        uses = {"tools": "Call", "resources": "Read", "prompts": "Get"}[rule.primitive]
        document[rule.primitive] = {"verbs": [uses, *(["List"] if rule.lists else [])]}
        if rule.names is not None:
            document[rule.primitive]["names"] = list(rule.names)
    return document


policies = st.builds(
    Policies, st.lists(rules, max_size=4).map(tuple), st.sampled_from([None, None, None, "platform", "owner"])
)


@st.composite
def items(draw: st.DrawFn, key: str) -> Any:
    """One item of a list, or an invalid value in its place."""
    if not draw(st.integers(0, 14)):
        return draw(plain)
    item: dict[str, Any] = {key: draw(st.sampled_from(NAMES) | any_text)}
    for more in draw(
        st.lists(st.sampled_from(["title", "_meta", "annotations", "name", "uri", "Name", "x"]), max_size=3)
    ):
        item[more] = draw(plain)
    if not draw(st.integers(0, 9)):
        item.pop(key, None)
    return dict(draw(st.permutations(list(item.items()))))


@st.composite
def results(draw: st.DrawFn, row: Method) -> Any:
    """The result of a list request, or an invalid value in its place."""
    if not draw(st.integers(0, 19)):
        return draw(plain)
    result: dict[str, Any] = {row.list_key: draw(st.lists(items(row.item_key), max_size=5))}
    for more in draw(
        st.lists(st.sampled_from(["nextCursor", "ttlMs", "cacheScope", "_meta", "x", *LISTS]), max_size=3)
    ):
        result[more] = draw(plain | st.sampled_from(["", "public"]))
    return dict(draw(st.permutations(list(result.items()))))


def expected(result: dict[str, Any], lists: Iterable[Method], held: Policies) -> dict[str, Any]:
    """A result without its hidden items; everything else is unchanged and in its order."""
    shaped = dict(result)
    for row in lists:
        assert row.primitive is not None
        primitive = row.primitive.value
        shaped[row.list_key] = [
            item
            for item in result[row.list_key]
            if isinstance(item.get(row.item_key), str)
            and held.shows(primitive, item[row.item_key])
            and not any(key != row.item_key and key.casefold() == row.item_key.casefold() for key in item)
        ]
        if "cacheScope" in shaped:
            shaped["cacheScope"] = "private"
    return shaped


def check_pieces(shaped: bytes, lists: Iterable[Method], held: Policies) -> None:
    """Of what could be read in two ways there is one list of each kind, and its items have one name, which is seen."""
    whole: Any = json.loads(shaped, object_pairs_hook=tuple, parse_int=float)
    result = only([value for key, value in whole if key == "result"])
    for row in lists:
        assert row.primitive is not None
        for item in only([value for key, value in result if key == row.list_key]):
            name = only([value for key, value in item if key.casefold() == row.item_key.casefold()])
            assert held.shows(row.primitive.value, name)


def only(values: list[Any]) -> Any:
    (value,) = values
    return value


def is_list(result: Any, row: Method) -> bool:
    found = result.get(row.list_key) if isinstance(result, dict) else None
    return isinstance(found, list) and all(isinstance(item, dict) for item in found)


def read(text: bytes) -> Any:
    """What every reader reads; None where there could be two readings, or none."""
    try:
        return read_strictly(text)
    except ValueError:
        return None


@given(st.sampled_from(LIST_METHODS), policies, st.data())
def test_a_list_loses_what_is_hidden_and_nothing_else(method: str, held: Policies, data: st.DataObject) -> None:
    row, visibility = METHODS[method], held.compiled()
    message = {"jsonrpc": "2.0", "id": 1, "result": data.draw(results(row)), "x": data.draw(plain)}
    text = data.draw(spelt(message))
    original = read(text)
    try:
        shaped = shape_result(row, text, read_for(row, text, visibility), visibility).body
    except UpstreamFault:
        event("fault")
        assert row.primitive is not None
        assert original is None or not isinstance(original, dict) or not is_list(original.get("result"), row)
        return
    if shaped is text:
        event("untouched")
        assert row.primitive is not None
        assert visibility.shows_all(row.primitive)
        return
    if original is None:
        event("by pieces")
        check_pieces(shaped, [row], held)
        return
    event("filtered")
    assert identical(read_strictly(shaped), {**original, "result": expected(original["result"], [row], held)})


@given(policies, st.data())
def test_a_list_of_unknown_origin_is_filtered_by_its_shape(held: Policies, data: st.DataObject) -> None:
    row, visibility = METHODS[data.draw(st.sampled_from(LIST_METHODS))], held.compiled()
    message = {"jsonrpc": "2.0", "id": 1, "result": data.draw(results(row))}
    text = data.draw(spelt(message))
    original = read(text)
    result = original.get("result") if isinstance(original, dict) else None
    governed = [each for each in LISTS.values() if isinstance(result, dict) and each.list_key in result]
    governed = [each for each in governed if each.primitive is not None and not visibility.shows_all(each.primitive)]
    try:
        found = shape_streamed(text, jsonrpc.read(text), visibility)
    except UpstreamFault:
        event("fault")
        assert not isinstance(original, dict) or not all(is_list(result, each) for each in governed)
        return
    assert found is not None
    shaped = found.body
    if shaped is text:
        event("untouched")
        assert not governed
        if original is None and not all(map(visibility.shows_all, Primitive)):
            whole: Any = json.loads(text.decode("utf-8-sig"), object_pairs_hook=tuple, parse_int=float)
            held_in_result = only([value for key, value in whole if key == "result"] or [()])
            assert not {key for key, _ in held_in_result} & {
                row.list_key
                for row in LISTS.values()
                if row.primitive is not None and not visibility.shows_all(row.primitive)
            }
        return
    if original is None:
        event("by pieces")
        whole = json.loads(shaped, parse_int=float)
        check_pieces(
            shaped,
            [
                each
                for each in LISTS.values()
                if each.list_key in whole["result"] and each.primitive and not visibility.shows_all(each.primitive)
            ],
            held,
        )
        return
    event("filtered")
    assert isinstance(result, dict)
    assert identical(read_strictly(shaped), {**original, "result": expected(result, governed, held)})


@given(policies, st.sampled_from(list(Primitive)), st.sampled_from(NAMES) | any_text)
def test_where_lists_pass_as_they_are_there_is_no_name_that_a_rule_hides(
    held: Policies, primitive: Primitive, name: str
) -> None:
    visibility = held.compiled()

    assert visibility.shows(primitive, name) == held.shows(primitive.value, name)
    assert held.shows(primitive.value, name) or not visibility.shows_all(primitive)


uris = st.sampled_from(NAMES) | any_text | plain


@given(policies, uris, st.data())
def test_a_notice_of_a_resource_passes_only_where_it_may_be_subscribed_to(
    held: Policies, uri: Any, data: st.DataObject
) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}
    text, visibility = data.draw(spelt(message)), held.compiled()
    read_alike = read(text)
    try:
        found = shape_streamed(text, jsonrpc.read(text), visibility)
    except UpstreamFault:
        assert not isinstance(read_alike, dict)
        return
    shaped = found.body if found is not None else None
    if shaped is text and not all(map(visibility.shows_all, Primitive)):
        assert isinstance(read_alike, dict)
        assert (
            read_alike.get("method") != message["method"]
            or visibility.decide(Primitive.RESOURCES, Verb.SUBSCRIBE, uri).allowed
        )
    if shaped is None:
        assert not (isinstance(uri, str) and visibility.decide(Primitive.RESOURCES, Verb.SUBSCRIBE, uri).allowed)
