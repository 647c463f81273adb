"""The owner of a name gets the message with its own name, and nothing else of it changes."""

from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import Era
from ostiary_gateway.catalogue.exposed_content import ExposedContent
from ostiary_gateway.config.server_selection import MergeRuntime
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged.owner_leg import owner_leg
from ostiary_gateway.pipeline.message import Message

NAMES = CatalogueNames([("crm", "crm_"), ("wiki", "wiki."), ("rest", "")])
MERGE = MergeRuntime(NAMES, tuple(ExposedContent(NAMES, place) for place in range(3)))


class Server(str):
    """A server, of which only the name matters here."""

    __slots__ = ()

    def has_tool(self, name: str) -> bool:  # noqa: ARG002  it is not known which it has
        return True


PROXY = SimpleNamespace(servers=(Server("crm"), Server("wiki"), Server("rest")))

methods = st.sampled_from(["tools/call", "prompts/get", "resources/read", "resources/subscribe"])
names = st.builds(
    str.__add__, st.sampled_from(["", "crm_", "wiki.", "ui://crm/", "urn:wiki/"]), st.text(min_size=1, max_size=60)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def leg_of(method: str, params: dict[str, Any], name: str = "") -> tuple[Leg | None, Message]:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    message = Message(body, Era.MODERN, "2026-07-28", METHODS[method], 1, name)
    anything = cast("Any", PROXY)
    return owner_leg(Exchange(anything, anything, anything, message=message), message, MERGE), message


@given(methods, names, st.dictionaries(st.text(max_size=8), json_values, max_size=4))
def test_only_the_name_changes_and_the_callers_message_stays(method: str, name: str, more: dict[str, Any]) -> None:
    key = METHODS[method].name_key
    params = {**more, key: name}
    before = deepcopy(params)
    try:
        leg, message = leg_of(method, params, name)
    except Refusal:
        return  # it is in no server's space

    assert leg is not None and leg.message is not None  # noqa: PT018
    assert message.body["params"] == before == params
    assert message.name == name
    sent = leg.message.body["params"]
    assert {**sent, key: name} == before
    assert leg.message.name == sent[key]
    place = PROXY.servers.index(cast("Any", leg.server))
    primitive = METHODS[method].primitive
    assert primitive is not None
    assert NAMES.owner_of(primitive, name) == (place, sent[key])


@given(names)
def test_a_completion_goes_to_the_owner_of_its_reference(name: str) -> None:
    assume(len(name) <= 124)
    reference = {"type": "ref/prompt", "name": "crm_" + name, "title": "x"}
    argument = {"name": "crm_a", "value": "crm_b"}
    leg, _ = leg_of("completion/complete", {"ref": reference, "argument": argument})

    assert leg is not None and leg.message is not None  # noqa: PT018
    assert leg.message.body["params"] == {"ref": {**reference, "name": name}, "argument": argument}
    assert cast("Any", leg.server) == "crm"
    assert reference["name"] == "crm_" + name


@pytest.mark.parametrize("method", ["tools/list", "ping", "server/discover", "tasks/get", "subscriptions/listen"])
def test_what_names_nothing_of_one_server_has_no_owner(method: str) -> None:
    assert leg_of(method, {})[0] is None


@pytest.mark.parametrize("name", ["crm_", "wiki.", "crm_" + "x" * 125, "x" * 129])
def test_a_name_that_no_list_can_hold_is_unknown(name: str) -> None:
    with pytest.raises(Refusal, match="Unknown tool"):
        leg_of("tools/call", {"name": name}, name)
