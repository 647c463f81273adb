"""Ask a modern caller what a legacy server asks in the midst of a call.

See Multi Round-Trip Requests of 2026-07-28. A legacy server sends a request on the stream of the call and waits. Its
caller gets a result ``input_required`` with the request in it, and repeats the call with its response, which becomes
the response to the server.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.meta_keys import META_SERVER_INFO, without_own_keys
from ostiary_gateway.bridge.client_input import ASKING_METHODS, ELICITATION, ROOTS, SAMPLING, missing_capability
from ostiary_gateway.bridge.from_modern import INPUT_REQUIRED

#: The members of a request's params that only the legacy era has.
_LEGACY_MEMBERS: Final = frozenset({"elicitationId", "task"})
#: What a user may decide of an elicitation.
_ACTIONS: Final = frozenset({"accept", "decline", "cancel"})


def input_request(asked: Mapping[str, Any], *, method: str, capabilities: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a server's request as its caller is asked; None where it cannot be.

    ``method`` is that of the call: only some may be answered ``input_required``. ``capabilities`` are those that the
    caller declares: a server that asks for more is refused.
    """
    wanted, params = asked.get("method"), asked.get("params", {})
    if method not in ASKING_METHODS or wanted not in (ELICITATION, SAMPLING, ROOTS) or not isinstance(params, dict):
        return None
    if missing_capability(str(wanted), params, capabilities):
        return None
    kept = {name: each for name, each in params.items() if name not in _LEGACY_MEMBERS}
    meta = without_own_keys(kept.pop("_meta", None))
    meta.pop("progressToken", None)
    kept |= {"_meta": meta} if meta else {}
    return {"method": wanted} if wanted == ROOTS and not kept else {"method": wanted, "params": kept}


def lacking_capability(asked: Mapping[str, Any], *, method: str, capabilities: Mapping[str, Any]) -> str:
    """Return the capability without which a caller cannot be asked this.

    Empty where another reason forbids it.
    """
    wanted, params = asked.get("method"), asked.get("params", {})
    if method not in ASKING_METHODS or wanted not in (ELICITATION, SAMPLING, ROOTS) or not isinstance(params, dict):
        return ""
    return missing_capability(str(wanted), params, capabilities)


def capability_error(names: Iterable[str]) -> dict[str, Any]:
    """Return the error of a call that failed for want of capabilities: ``sampling.tools``."""
    required: dict[str, Any] = {}
    for name in names:
        inner = required
        for part in name.split("."):
            inner = inner.setdefault(part, {})
    words = "The server needs input that this client has not declared that it can give"
    return {"code": codes.MISSING_CLIENT_CAPABILITY, "message": words, "data": {"requiredCapabilities": required}}


def own_answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response to a server's request that its caller is not asked.

    A ping is answered, and everything else is refused.
    """
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": asked.get("id")}
    if asked.get("method") == "ping":
        return {**answer, "result": {}}
    words = "This client has not declared that it can be asked this, or not during this call"
    return {**answer, "error": {"code": codes.METHOD_NOT_FOUND, "message": words}}


def input_required_result(
    key: str, request: Mapping[str, Any], *, state: str, info: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the result that asks a caller for one input.

    ``key`` names the request within it, ``state`` is what the caller sends back, and ``info`` names the server.
    """
    return {
        "resultType": INPUT_REQUIRED,
        "inputRequests": {key: dict(request)},
        "requestState": state,
        "_meta": {META_SERVER_INFO: dict(info)},
    }


def server_response(identifier: str | int, given: Any, *, asked: str) -> dict[str, Any]:
    """Return the response to a server's request with this id.

    ``given`` is what the caller sent, ``asked`` is the method of the server's request. Where the caller sent nothing of
    its form, an elicitation is cancelled, and others fail: the server must not wait for ever.
    """
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier}
    if isinstance(given, dict) and (asked != ELICITATION or given.get("action") in _ACTIONS):
        return {**answer, "result": {name: each for name, each in given.items() if name != "resultType"}}
    if asked == ELICITATION:
        return {**answer, "result": {"action": "cancel"}}
    return {**answer, "error": {"code": codes.INTERNAL_ERROR, "message": "The client gave no answer"}}


def given_inputs(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the inputs that a repeated call carries, by the keys that were asked."""
    given = params.get("inputResponses")
    return given if isinstance(given, dict) else {}
