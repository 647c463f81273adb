"""Authorization of a caller, a method and a name; refusals depend on the name alone."""

from typing import Any

import pytest
from gateways import policy
from mcp_caller import legacy, modern, modern_headers
from multidict import CIMultiDict
from visibilities import visibility_by_rules, visibility_of

from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.decision import DecisionReason
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.authorize import DeniedError, judge
from ostiary_gateway.pipeline.decode import decode
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.refusal_responses import message_for
from ostiary_gateway.session_ids import UpstreamSession

ONE_TOOL = {"name": "one", "effect": "Allow", "tools": {"names": ["get_users"]}}
LIST_ALL = {"name": "look", "effect": "Allow"}
LIST_TOOLS = {"name": "look", "effect": "Allow", "tools": {"verbs": ["List"]}}
READ_DOCS = {"name": "docs", "effect": "Allow", "resources": {"names": ["doc://*"]}}
GET_PROMPT = {"name": "prompt", "effect": "Allow", "prompts": {"names": ["hello"], "verbs": ["Get"]}}
OPEN = visibility_of()
INVALID = visibility_of(invalid=True)
NOTHING = visibility_of(default="Deny")
EMPTY = visibility_of(policy("none"))


def message(method: str, params: dict[str, Any] | None = None, *, identifier: Any = 1) -> Message:
    return decode(legacy(method, params, id=identifier), CIMultiDict(), lambda: None)


def modern_message(method: str, params: dict[str, Any] | None = None) -> Message:
    body = modern(method, params)
    return decode(body, CIMultiDict(modern_headers(body)), lambda: None)


def denied(message: Message, visibility: Visibility) -> DeniedError:
    with pytest.raises(DeniedError) as found:
        judge(message, visibility)
    return found.value


def code(message: Message, visibility: Visibility) -> int | None:
    refusal = denied(message, visibility)
    assert refusal.status == 200
    return refusal.code


LIFECYCLE = [
    ("initialize", {"protocolVersion": "2025-11-25"}, 1),
    ("ping", None, 1),
    ("logging/setLevel", {"level": "debug"}, 1),
    ("notifications/initialized", None, None),
    ("notifications/cancelled", {"requestId": 1}, None),
    ("notifications/progress", {"progressToken": 1, "progress": 1}, None),
    ("notifications/roots/list_changed", None, None),
]


@pytest.mark.parametrize(("method", "params", "identifier"), LIFECYCLE)
@pytest.mark.parametrize("visibility", [OPEN, EMPTY, NOTHING, INVALID])
def test_the_lifecycle_passes_under_every_policy(
    method: str, params: dict[str, Any] | None, identifier: int | None, visibility: Visibility
) -> None:
    assert judge(message(method, params, identifier=identifier), visibility) is None
    assert judge(modern_message("server/discover"), visibility) is None


def test_an_answer_to_the_server_is_not_judged() -> None:
    body = {"jsonrpc": "2.0", "id": 1, "result": {}}

    assert judge(decode(body, CIMultiDict(), lambda: UpstreamSession("x", "2025-11-25")), EMPTY) is None


@pytest.mark.parametrize("method", ["tools/list", "resources/list", "resources/templates/list", "prompts/list"])
def test_a_list_passes_to_be_filtered_but_not_under_an_invalid_policy(method: str) -> None:
    for visibility in (OPEN, EMPTY, NOTHING):
        assert judge(message(method), visibility) is None
    assert code(message(method), INVALID) == -31007


NAMED = [
    ("tools/call", "name", "tool"),
    ("resources/read", "uri", "resource"),
    ("resources/subscribe", "uri", "resource"),
    ("resources/unsubscribe", "uri", "resource"),
    ("prompts/get", "name", "prompt"),
]


@pytest.mark.parametrize(("method", "key", "noun"), NAMED)
def test_what_is_hidden_answers_as_what_is_unknown_and_without_a_reason(method: str, key: str, noun: str) -> None:
    refusal = denied(message(method, {key: "secret"}), EMPTY)

    assert (refusal.code, refusal.message, refusal.data) == (-32602, f"Unknown {noun}: secret", None)
    assert refusal.decision.reason is DecisionReason.NOT_ALLOWED


@pytest.mark.parametrize(("method", "key", "noun"), NAMED)
def test_what_may_be_seen_but_not_used_is_denied_with_its_reason(method: str, key: str, noun: str) -> None:
    listing = {f"{noun}s": {"verbs": ["List"]}, "name": "look", "effect": "Allow"}
    refusal = denied(message(method, {key: "shown"}), visibility_by_rules(listing))

    assert (refusal.code, refusal.message, refusal.data) == (
        -31001,
        f"Denied by policy: {noun} shown",
        {"reason": "Denied"},
    )


@pytest.mark.parametrize(("method", "key", "noun"), NAMED)
def test_under_an_invalid_policy_nothing_passes(method: str, key: str, noun: str) -> None:
    assert code(message(method, {key: "any"}), INVALID) == -31007


def test_an_allowed_call_carries_the_rule_that_let_it_pass() -> None:
    decision = judge(message("tools/call", {"name": "get_users"}), visibility_by_rules(ONE_TOOL))

    assert decision is not None
    assert (decision.allowed, decision.policy, decision.rule) == (True, "default/p", "one")


def test_a_refusal_names_neither_policy_nor_rule() -> None:
    refusal = denied(message("tools/call", {"name": "x"}), visibility_by_rules({"name": "r-secret", "effect": "Deny"}))

    assert "r-secret" not in f"{refusal.message}{refusal.data}"
    assert (refusal.decision.policy, refusal.decision.rule) == ("default/p", "r-secret")


def test_a_long_name_is_shortened_in_messages() -> None:
    assert len(denied(message("tools/call", {"name": "x" * 4000}), EMPTY).message) < 300


def test_the_catalogue_hides_what_the_policy_allows() -> None:
    visibility = visibility_of(policy("p", LIST_ALL), catalogue={"tools": {"exclude": ["get_*"]}})

    assert code(message("tools/call", {"name": "get_users"}), visibility) == -32602
    assert judge(message("tools/call", {"name": "echo"}), visibility) is not None


@pytest.mark.parametrize(
    ("reference", "passes"),
    [
        ({"type": "ref/prompt", "name": "hello"}, True),
        ({"type": "ref/prompt", "name": "other"}, False),
        ({"type": "ref/resource", "uri": "doc://{id}"}, True),
        ({"type": "ref/resource", "uri": "mock://{id}"}, False),
    ],
)
def test_completion_needs_the_right_to_use_what_it_completes(reference: dict[str, str], passes: bool) -> None:
    visibility = visibility_by_rules(READ_DOCS, GET_PROMPT)
    asking = message("completion/complete", {"ref": reference, "argument": {"name": "id", "value": ""}})

    if passes:
        assert judge(asking, visibility) is not None
    else:
        assert code(asking, visibility) == -32602


@pytest.mark.parametrize(
    "reference",
    [
        *[None, "x", [], {}, {"type": "ref/tool", "name": "x"}, {"type": "ref/prompt"}, {"type": ["x"], "name": "x"}],
        *[{"type": "ref/prompt", "uri": "doc://a"}, {"type": "ref/resource", "uri": 1}],
    ],
)
def test_completion_of_something_else_is_refused_and_not_forwarded(reference: Any) -> None:
    with pytest.raises(Refusal) as found:
        judge(message("completion/complete", {"ref": reference}), OPEN)
    assert (found.value.status, found.value.code) == (200, -32602)
    with pytest.raises(Refusal) as found:
        judge(modern_message("completion/complete", {"ref": reference}), OPEN)
    assert (found.value.status, found.value.code) == (400, -32602)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "hello", "Name": "secret"}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "hello", "Type": "ref/resource", "uri": "a"}}),
        ("subscriptions/listen", {"notifications": {"RESOURCESUBSCRIPTIONS": ["mock://a"]}}),
        ("subscriptions/listen", {"notifications": {"taskIds": [], "TaskIds": ["t-1"]}}),
    ],
)
def test_a_reference_that_some_readers_read_otherwise_is_refused(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        judge(modern_message(method, params), OPEN)
    assert (refused.value.status, refused.value.code) == (400, -32602)


def listen(**wanted: Any) -> Message:
    return modern_message("subscriptions/listen", {"notifications": wanted})


def test_each_resource_that_a_listen_asks_for_is_judged() -> None:
    visibility = visibility_by_rules(READ_DOCS)

    assert judge(listen(resourceSubscriptions=["doc://a", "doc://b"]), visibility) is not None
    assert code(listen(resourceSubscriptions=["doc://a", "mock://b"]), visibility) == -32602


def test_a_listen_for_lists_alone_passes_and_under_an_invalid_policy_nothing_does() -> None:
    assert judge(listen(toolsListChanged=True), EMPTY) is None
    assert code(listen(toolsListChanged=True), INVALID) == -31007


def test_a_listen_for_tasks_needs_the_right_to_call_some_tool() -> None:
    assert judge(listen(taskIds=["t-1"]), OPEN) is None
    assert code(listen(taskIds=["t-1"]), EMPTY) == -31001


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"notifications": None},
        {"notifications": []},
        {"notifications": {"resourceSubscriptions": "doc://a"}},
        {"notifications": {"resourceSubscriptions": [1]}},
        {"notifications": {"resourceSubscriptions": ["doc://a"] * 1025}},
        {"notifications": {"taskIds": {}}},
    ],
)
def test_a_filter_of_another_shape_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as found:
        judge(modern_message("subscriptions/listen", params), OPEN)
    assert (found.value.status, found.value.code) == (400, -32602)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel"])
def test_a_caller_that_may_call_nothing_has_no_tasks(method: str) -> None:
    asking = message(method, {"taskId": "t-1"})

    assert judge(asking, OPEN) is None
    assert judge(asking, visibility_by_rules(ONE_TOOL)) is None
    assert code(asking, visibility_by_rules(LIST_TOOLS)) == -31001
    assert code(asking, EMPTY) == -31001
    assert code(asking, NOTHING) == -31001
    assert code(asking, INVALID) == -31007


def test_a_list_of_tasks_cannot_be_filtered_so_it_passes_only_where_tools_are_not_governed() -> None:
    asking = message("tasks/list")

    assert judge(asking, OPEN) is None
    assert judge(asking, visibility_by_rules({"name": "docs", "effect": "Deny", "resources": {}})) is None
    assert code(asking, visibility_by_rules(ONE_TOOL)) == -31001
    assert code(asking, INVALID) == -31007


# -- the message of a denial


def test_a_tool_that_may_be_seen_and_not_called_answers_a_result_that_a_model_can_read() -> None:
    refusal = denied(message("tools/call", {"name": "shown"}), visibility_by_rules(LIST_TOOLS))
    answer = message_for(refusal, 7)

    assert (answer["jsonrpc"], answer["id"], answer["result"]["isError"]) == ("2.0", 7, True)
    [content] = answer["result"]["content"]
    assert content["type"] == "text"
    assert content["text"].startswith("Denied by policy: tool shown. ")
    assert "error" not in answer
    assert "resultType" not in answer["result"]


def test_in_2026_07_28_that_result_is_marked_complete() -> None:
    refusal = denied(modern_message("tools/call", {"name": "shown"}), visibility_by_rules(LIST_TOOLS))

    assert message_for(refusal, 1)["result"]["resultType"] == "complete"


def test_a_refused_task_request_gets_an_error_since_it_awaits_another_result() -> None:
    refusal = denied(message("tools/call", {"name": "shown", "task": {"ttl": 1000}}), visibility_by_rules(LIST_TOOLS))

    assert message_for(refusal, 7)["error"]["code"] == -31001


@pytest.mark.parametrize(("visibility", "told"), [(EMPTY, -32602), (INVALID, -31007)])
def test_a_hidden_tool_and_an_invalid_policy_stay_errors(visibility: Visibility, told: int) -> None:
    assert message_for(denied(message("tools/call", {"name": "x"}), visibility), 7)["error"]["code"] == told


# -- other spellings of a URI

DENY_SECRET = {"name": "no", "effect": "Deny", "resources": {"names": ["file:///secret/*"]}}
EVASIVE = ["file:///docs/../secret/key", "FILE:/secret/key", "file:///secr%65t/key", "file:///a/../secret/{id}"]
WITH_URIS = {
    "resources/read": lambda uri: message("resources/read", {"uri": uri}),
    "resources/subscribe": lambda uri: message("resources/subscribe", {"uri": uri}),
    "resources/unsubscribe": lambda uri: message("resources/unsubscribe", {"uri": uri}),
    "completion/complete": lambda uri: message("completion/complete", {"ref": {"type": "ref/resource", "uri": uri}}),
    "subscriptions/listen": lambda uri: modern_message(
        "subscriptions/listen", {"notifications": {"resourceSubscriptions": ["file:///docs/a", uri]}}
    ),
}


@pytest.mark.parametrize("method", WITH_URIS)
@pytest.mark.parametrize("uri", EVASIVE)
def test_a_uri_is_judged_by_all_its_readings_in_every_member_that_names_it(method: str, uri: str) -> None:
    assert code(WITH_URIS[method](uri), visibility_by_rules(DENY_SECRET)) == -32602
    assert judge(WITH_URIS[method]("file:///docs/b"), visibility_by_rules(DENY_SECRET)) is not None


@pytest.mark.parametrize("method", WITH_URIS)
def test_a_uri_that_cannot_be_judged_is_refused_with_what_to_send(method: str) -> None:
    refusal = denied(WITH_URIS[method]("file:///docs/..%2fsecret"), visibility_by_rules(DENY_SECRET))

    assert (refusal.code, refusal.data) == (-32602, {"reason": "AmbiguousURI"})
    assert "send it as the server lists it" in refusal.message
    assert judge(WITH_URIS[method]("file:///docs/..%2fsecret"), OPEN) is not None


# -- what judging may cost

HEAVY = visibility_by_rules(
    {
        "name": "heavy",
        "effect": "Deny",
        "tools": {"patterns": [f"{index}[ab]{{0,200}}" for index in range(9)]},
        "resources": {"patterns": [f"{index}[ab]{{0,200}}" for index in range(9)]},
    }
)


def test_a_name_that_is_too_long_for_the_policies_is_refused_with_the_length_that_is_not() -> None:
    limit = HEAVY.name_limit(Primitive.TOOLS)
    refusal = denied(message("tools/call", {"name": "x" * (limit + 1)}), HEAVY)

    assert (refusal.code, refusal.data) == (-32602, {"reason": "NameTooLong"})
    assert f"at most {limit} bytes" in refusal.message
    assert refusal.decision.reason is DecisionReason.NAME_TOO_LONG
    assert judge(message("tools/call", {"name": "x" * limit}), HEAVY) is not None


@pytest.mark.parametrize("reference", [{"type": "ref/prompt", "name": "x" * 4097}, {"type": "ref/prompt", "name": ""}])
def test_a_reference_is_as_long_as_a_name_may_be(reference: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="in 1 to 4096 characters"):
        judge(message("completion/complete", {"ref": reference}), OPEN)


def test_a_listen_filter_is_bounded_in_number_and_length_of_its_uris() -> None:
    for uris in (["doc://a"] * 1025, ["doc://" + "a" * 4091], ["doc://" + "a" * 994] * 66):
        with pytest.raises(Refusal, match="at most 1024 strings of at most 4096 characters, 65536 in all"):
            judge(listen(resourceSubscriptions=uris), OPEN)


def test_a_listen_filter_that_would_cost_too_much_to_judge_is_refused() -> None:
    uris = [f"doc://{index:03d}" for index in range(1000)]

    assert judge(listen(resourceSubscriptions=uris[:50]), HEAVY) is not None
    assert judge(listen(resourceSubscriptions=uris), OPEN) is not None
    with pytest.raises(Refusal, match="send fewer"):
        judge(listen(resourceSubscriptions=uris), HEAVY)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel"])
@pytest.mark.parametrize(
    "nothing",
    [
        visibility_by_rules({"name": "no", "effect": "Deny", "tools": {}}),
        visibility_by_rules({"name": "no", "effect": "Deny", "tools": {"names": ["*"]}}),
        visibility_by_rules({"name": "no", "effect": "Deny", "tools": {"patterns": [".*"], "verbs": ["Call"]}}),
        visibility_of(catalogue={"tools": {"exclude": ["*"]}}),
    ],
)
def test_where_all_tools_are_denied_or_excluded_there_are_no_tasks(method: str, nothing: Visibility) -> None:
    assert code(message(method, {"taskId": "t-1"}), nothing) == -31001
    assert code(listen(taskIds=["t-1"]), nothing) == -31001
