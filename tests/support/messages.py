"""Generated MCP messages: as specified or with a few changes, in any JSON spelling, with matching headers or not."""

import base64
import json
from typing import Any

from hypothesis import strategies as st
from json_texts import any_text, mangled, strings, values
from mcp_caller import envelope

from ostiary_core.mcp.methods import METHODS, AuthorizationKind, Method

REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2027-01-01", "", "DRAFT"]
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
_NAMES = ["get_users", "delete_users", "get_ü", " get_x ", "=?base64?Z2V0?=", "=?base64?", "get\nx", "\x00", "x" * 4096]
#: Names of different case or alphabet that careless readers take for the same.
_LOOK_ALIKES = ["Name", "NAME", "URI", "taskid", "ta\u017fkId", "_Meta", "Ref", "notification\u017f", "Arguments", "x"]

#: Names that a tool may have, odd ones too.
names = st.sampled_from(_NAMES) | any_text.filter(bool)
#: Values of JSON, as Python has them.
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)
_ids: st.SearchStrategy[Any] = st.sampled_from([1, 0, -1, 2**63, "a", "", "ü", "x" * 1025, None, 1.5, True, [], {}])
_trace = st.dictionaries(
    st.sampled_from(["traceparent", "tracestate", "baggage"]),
    st.sampled_from([f"00-{'1' * 32}-{'2' * 16}-01", "a=1", "\r\nX: y"]) | plain,
    max_size=2,
)


@st.composite
def truthful(draw: st.DrawFn) -> dict[str, Any]:
    """A message that keeps the specification, of either era."""
    row = METHODS[draw(st.sampled_from(sorted(METHODS)))]
    modern = row.modern and (not row.legacy or draw(st.booleans()))
    body: dict[str, Any] = {"jsonrpc": "2.0", "method": row.name, "params": draw(_params(row))}
    if not row.notification:
        body["id"] = draw(st.sampled_from([1, "a", 0, -5, 2**63, ""]))
    if modern and not row.notification:
        body["params"]["_meta"] = {**envelope(), **draw(_trace)}
    elif draw(st.booleans()):
        body["params"]["_meta"] = draw(_trace)
    return dict(draw(st.permutations(list(body.items()))))


@st.composite
def _params(draw: st.DrawFn, row: Method) -> dict[str, Any]:
    params: dict[str, Any] = {"arguments": draw(plain)} if draw(st.booleans()) else {}
    if row.name_key:
        params[row.name_key] = draw(names)
    if row.name == "initialize":
        params["protocolVersion"] = draw(st.sampled_from(REVISIONS))
    if row.authorization is AuthorizationKind.COMPLETION:
        params["ref"] = {"type": "ref/prompt", "name": draw(names)}
    if row.authorization is AuthorizationKind.LISTEN:
        params["notifications"] = {"resourceSubscriptions": draw(st.lists(names, max_size=2))}
    return params


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Such a message with none, one or two things changed; or a client's answer, or nearly one."""
    if not draw(st.integers(0, 11)):
        return draw(_answers())
    body = draw(truthful())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        _change(body, draw)
    return body


def _answers() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0"), "id": _ids}, optional={"result": st.just({}) | plain, "error": plain}
    )


def _change(body: dict[str, Any], draw: st.DrawFn) -> None:
    params, change = body.get("params"), draw(st.integers(0, 9))
    meta = params.get("_meta") if isinstance(params, dict) else None
    if change == 0:
        body["id"] = draw(_ids)
    elif change == 1:
        body["method"] = draw(st.sampled_from([*sorted(METHODS), "TOOLS/CALL", "tools/call ", "x", ""]) | plain)
    elif change == 2:
        body["params"] = draw(plain)
    elif change == 3:
        body.pop(draw(st.sampled_from(["jsonrpc", "method", "id", "params"])), None)
    elif change == 4:
        body[draw(st.sampled_from(["result", "error", "Method", "extra", "jsonrpc"]))] = draw(plain)
    elif change == 5 and isinstance(meta, dict):
        meta[VERSION_KEY] = draw(st.sampled_from(REVISIONS) | plain)
    elif change == 6 and isinstance(params, dict):
        params["_meta"] = draw(plain)
    elif isinstance(params, dict):
        key = draw(st.sampled_from(["name", "uri", "taskId", "ref", "notifications", *_LOOK_ALIKES]))
        params[key] = draw(names | plain)


@st.composite
def spelt(draw: st.DrawFn, body: Any) -> bytes:
    """A body in some spelling; sometimes with a duplicate key, or with mangled bytes."""
    text = json.dumps(body, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 1])))
    trick = draw(st.integers(0, 15))
    if trick == 0:
        text = text.replace('"name"', f'"name": {draw(values)}, {draw(strings(st.just("name")))}', 1)
    elif trick == 1:
        key = draw(strings(st.sampled_from(["method", "id", "jsonrpc", "x"])))
        text = f"{text[:-1]}, {key}: {draw(values)}}}"
    elif trick == 2:
        return draw(mangled(st.just(text)))
    return text.encode("utf-8", "surrogatepass")


def encoded(value: str) -> str:
    """A header's value in base64, which is always allowed."""
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def _text_at(body: Any, *path: str) -> str:
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return body if isinstance(body, str) else ""


@st.composite
def headers(draw: st.DrawFn, body: dict[str, Any]) -> dict[str, str]:
    """The headers that mirror a body, in any encoding; in one of three sets, one is wrong or missing."""
    method = _text_at(body, "method")
    name = _text_at(body, "params", METHODS[method].name_key) if method in METHODS else draw(names)
    made = {"Mcp-Method": method, "Mcp-Name": draw(_mirrored(name))}
    if version := _text_at(body, "params", "_meta", VERSION_KEY):
        made["MCP-Protocol-Version"] = version
    lies = st.sampled_from([*REVISIONS, *_NAMES[:-1], "tools/list", encoded(method), "=?base64?YQ=?=", "ü\udcff"])
    if not draw(st.integers(0, 2)):
        made[draw(st.sampled_from(["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"]))] = draw(lies)
    if not draw(st.integers(0, 7)):
        made.pop(draw(st.sampled_from(["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])), None)
    return made


def _mirrored(name: str) -> st.SearchStrategy[str]:
    spellings = [encoded(name), f"\t{encoded(name)} "]
    if name.isascii() and name.isprintable():
        spellings.append(name)
    return st.sampled_from(spellings)
