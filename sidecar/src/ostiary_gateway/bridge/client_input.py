"""Ask a legacy client what a modern server needs to know.

(2026-07-28, Multi Round-Trip Requests.) A modern server cannot send requests: it answers ``input_required``, and gets
the answers with the request repeated. A legacy client gets each as a request of the server on the stream of its own
request, and what it responds becomes the server's answer. A client is only asked for what it declared in its session.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.upstream_faults import INVALID
from ostiary_gateway.errors import UpstreamFault

#: The most rounds of one request, and how long a client may take for one, in seconds.
ROUNDS: Final = 8
ROUND_SECONDS: Final = 600.0
#: Seconds to wait before a request is repeated for a server that asked for nothing but that.
PAUSE_SECONDS: Final = 0.25
#: The methods whose server may ask for input.
ASKING_METHODS: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
#: The most requests of one round, and of characters in one of their keys and in the state.
_REQUESTS: Final = 16
_KEY_LENGTH: Final = 256
_WORDS_LENGTH: Final = 200
STATE_LENGTH: Final = 1024 * 1024

ELICITATION: Final = "elicitation/create"
SAMPLING: Final = "sampling/createMessage"
ROOTS: Final = "roots/list"
#: The first revision whose clients know modes of elicitation.
_WITH_MODES: Final = "2025-11-25"


class InputRefusedError(Exception):
    """What a server asks for cannot be had of this client.

    The message is for its user and model.
    """


@dataclass(frozen=True, slots=True)
class InputRequired:
    """What one round asks.

    These are ``requests`` by the server's keys, and the ``state`` to send back, None without one.
    """

    requests: Mapping[str, Mapping[str, Any]]
    state: str | None


def input_required(result: Mapping[str, Any]) -> InputRequired:
    """Read a result of the type ``input_required``.

    Raises:
        UpstreamFault: it asks for nothing, for too much, or for what the revision does not define.
    """
    requests, state = result.get("inputRequests"), result.get("requestState")
    if requests is None and state is None:
        raise _invalid("has neither inputRequests nor requestState")
    if state is not None and (not isinstance(state, str) or len(state) > STATE_LENGTH):
        raise _invalid(f"has a requestState that is no text of at most {STATE_LENGTH} characters")
    if requests is not None and not isinstance(requests, dict):
        raise _invalid("has inputRequests that are no object")
    if len(requests or {}) > _REQUESTS:
        raise _invalid(f"asks for more than {_REQUESTS} inputs at once")
    return InputRequired({key: _checked(key, each) for key, each in (requests or {}).items()}, state)


def _checked(key: str, request: Any) -> Mapping[str, Any]:
    if len(key) > _KEY_LENGTH:
        raise _invalid(f"has a key of more than {_KEY_LENGTH} characters")
    if not isinstance(request, dict) or request.get("method") not in (ELICITATION, SAMPLING, ROOTS):
        raise _invalid("asks for an input that the revision does not define")
    params = request.get("params")
    if not isinstance(params, dict) and (params is not None or request["method"] != ROOTS):
        raise _invalid("asks for an input without params")
    return request


def _invalid(words: str) -> UpstreamFault:
    return UpstreamFault(INVALID, f"the result of the type input_required {words}")


def client_requests(
    asked: InputRequired, *, capabilities: Mapping[str, Any], revision: str, new_id: Callable[[], str]
) -> dict[str, dict[str, Any]]:
    """Return the method and params of each request to the client, by the server's key.

    ``revision`` is that of the client's session. ``new_id`` makes the id of an elicitation by URL, which the legacy
    form requires and the modern one does not have.

    Raises:
        InputRefusedError: the client has not declared that it can be asked this.
    """
    return {
        key: _client_request(each, capabilities=capabilities, revision=revision, new_id=new_id)
        for key, each in asked.requests.items()
    }


def _client_request(
    request: Mapping[str, Any], *, capabilities: Mapping[str, Any], revision: str, new_id: Callable[[], str]
) -> dict[str, Any]:
    method, params = request["method"], request.get("params")
    missing = missing_capability(method, params or {}, capabilities)
    if missing:
        raise InputRefusedError(f"the server asks for {method}, and this client has not declared {missing}")
    if method == ELICITATION and params is not None:
        params = _elicitation(params, revision=revision, new_id=new_id)
    return {"method": method} if params is None else {"method": method, "params": params}


def missing_capability(method: str, params: Mapping[str, Any], capabilities: Mapping[str, Any]) -> str:
    """Return the capability that a client lacks for a request, empty if it lacks none."""
    name = method.partition("/")[0]
    declared = capabilities.get(name)
    if not isinstance(declared, dict):
        return name
    if method == ELICITATION:
        # Without modes a client declares forms (2025-11-25, Elicitation Capabilities).
        mode = "url" if params.get("mode") == "url" else "form"
        return "" if mode in declared or (mode == "form" and not declared) else f"elicitation.{mode}"
    needs_tools = method == SAMPLING and ("tools" in params or "toolChoice" in params)
    return "sampling.tools" if needs_tools and "tools" not in declared else ""


def _elicitation(params: Mapping[str, Any], *, revision: str, new_id: Callable[[], str]) -> dict[str, Any]:
    if params.get("mode") == "url":
        return {**params, "elicitationId": new_id()}
    if revision < _WITH_MODES:
        return {name: each for name, each in params.items() if name != "mode"}
    return dict(params)


def input_response(method: str, response: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a client's response tells the server that asked with ``method``.

    Raises:
        InputRefusedError: the client refused, or failed; the server cannot be told that otherwise.
    """
    result, error = response.get("result"), response.get("error")
    if isinstance(result, dict):
        return result
    words = error.get("message") if isinstance(error, dict) else ""
    raise InputRefusedError(f"the client did not answer {method}: {str(words)[:_WORDS_LENGTH]}")


def repeated_params(
    params: Mapping[str, Any], responses: Mapping[str, Mapping[str, Any]], state: str | None
) -> dict[str, Any]:
    """Return the params of the next round.

    They are the same ones, with the answers, and with the server's state as it sent it.
    """
    repeated = {name: each for name, each in params.items() if name not in ("inputResponses", "requestState")}
    if responses:
        repeated["inputResponses"] = dict(responses)
    if state is not None:
        repeated["requestState"] = state
    return repeated
