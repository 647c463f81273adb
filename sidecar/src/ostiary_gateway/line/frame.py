"""Frame: from bytes to one message that everybody after this reads alike.

Parsed once, strictly. The era is decided by the body: an envelope with a version is modern, ``initialize`` without one
is legacy, and a header that says otherwise is refused. Batches are refused in every revision (a documented deviation
from 2025-03-26): a rule that must judge each element is a rule that can miss one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import METHODS, Judgement, Method
from ostiary_core.mcp.revisions import (
    LEGACY_REVISIONS,
    META_CLIENT_CAPABILITIES,
    META_PROTOCOL_VERSION,
    MODERN_REVISIONS,
    NEWEST_LEGACY_REVISION,
    Era,
)
from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.exchange import Message
from ostiary_gateway.line.headers import mismatch, refuse_disagreement, require_agreement
from ostiary_gateway.session import Session

_VERSION_HEADER: Final = "MCP-Protocol-Version"
_ID_LIMIT: Final = 1024
_NAME_LIMIT: Final = 4096
_MODERN_NAME_KEYS: Final = frozenset({"tools/call", "prompts/get", "resources/read"})


def invalid(message: str, *, code: int = codes.INVALID_REQUEST, status: int = 400) -> Refusal:
    """Return the answer to a message that is not one."""
    return Refusal(status, "InvalidMessage", message, code=code)


def parse(body: bytes) -> dict[str, Any]:
    """Parse the one message of a body.

    Raises:
        Refusal: -32700 for what is not strict JSON, -32600 for a batch or anything else that is no object.
    """
    try:
        value = strict_json.loads(body)
    except StrictJSONError as error:
        raise invalid(f"Parse error: {error}", code=codes.PARSE_ERROR) from None
    if isinstance(value, list):
        raise invalid("Batches are not accepted: send one message a request")
    if not isinstance(value, dict):
        raise invalid("A message is a JSON object")
    return value


def frame(body: dict[str, Any], headers: Mapping[str, str], open_session: Callable[[], Session | None]) -> Message:
    """Make a message of a parsed body. ``open_session`` is asked in the legacy era only: later ones have no sessions.

    Raises:
        Refusal: with the code and HTTP status that the specification gives for what is wrong.
    """
    if body.get("jsonrpc") != "2.0":
        raise invalid('"jsonrpc" must be "2.0"')
    if "method" not in body:
        return _answer(body, headers, open_session())
    name, params = body["method"], body.get("params")
    if not isinstance(name, str):
        raise invalid('"method" must be a string')
    if params is not None and not isinstance(params, dict):
        raise invalid('"params" must be an object', code=codes.INVALID_PARAMS)
    if body.keys() - {"jsonrpc", "id", "method", "params"}:
        raise invalid("A request holds jsonrpc, id, method and params, and nothing else")
    meta = _meta(params)
    if META_PROTOCOL_VERSION in meta:
        return _modern(body, headers, meta)
    return _legacy(body, headers, open_session())


def _meta(params: dict[str, Any] | None) -> dict[str, Any]:
    meta = params.get("_meta") if params is not None else None
    if meta is None:
        return {}
    if not isinstance(meta, dict):
        raise invalid('"params._meta" must be an object', code=codes.INVALID_PARAMS)
    return meta


def _modern(body: dict[str, Any], headers: Mapping[str, str], meta: dict[str, Any]) -> Message:
    revision = meta[META_PROTOCOL_VERSION]
    if not isinstance(revision, str):
        raise invalid(f'"_meta.{META_PROTOCOL_VERSION}" must be a string', code=codes.INVALID_PARAMS)
    require_agreement(headers, _VERSION_HEADER, revision)
    if revision not in MODERN_REVISIONS:
        raise unsupported(revision)
    if not isinstance(meta.get(META_CLIENT_CAPABILITIES), dict):
        raise invalid(f'"_meta.{META_CLIENT_CAPABILITIES}" must be an object', code=codes.INVALID_PARAMS)
    method, identifier = _method(body, era=Era.MODERN)
    name = _name(method, body)
    if identifier is not None:
        require_agreement(headers, "Mcp-Method", method.name)
    if method.name in _MODERN_NAME_KEYS or method.judgement is Judgement.TASK:
        require_agreement(headers, "Mcp-Name", name)
    return Message(body, Era.MODERN, revision, method, identifier, name)


def _legacy(body: dict[str, Any], headers: Mapping[str, str], session: Session | None) -> Message:
    method, identifier = _method(body, era=Era.LEGACY)
    revision = legacy_revision(headers, session)
    if method.name == "initialize":
        _settle_on_a_handshake(body)
    name = _name(method, body)
    refuse_disagreement(headers, "Mcp-Method", method.name)
    if name:
        refuse_disagreement(headers, "Mcp-Name", name)
    return Message(body, Era.LEGACY, revision, method, identifier, name)


def legacy_revision(headers: Mapping[str, str], session: Session | None) -> str:
    """Return the revision of a legacy request: the session's, which a header may repeat but never replace.

    Raises:
        Refusal: 400 for a header that names no legacy revision or contradicts the session.
    """
    header = headers.get(_VERSION_HEADER)
    if header is None:
        return session.revision if session is not None else ""
    if header in MODERN_REVISIONS:
        raise mismatch(f"The header {_VERSION_HEADER} names {header}, but the body has no envelope of that revision")
    if header not in LEGACY_REVISIONS:
        raise unsupported(header)
    if session is not None and header != session.revision:
        raise mismatch(f"The header {_VERSION_HEADER} does not name the revision of the session")
    return header


def unsupported(revision: str) -> Refusal:
    """Return the answer to a revision that we do not know."""
    data = {"supported": sorted(MODERN_REVISIONS | LEGACY_REVISIONS, reverse=True), "requested": revision[:64]}
    code = codes.UNSUPPORTED_PROTOCOL_VERSION
    return Refusal(400, "UnsupportedProtocolVersion", "Unsupported protocol version", code=code, data=data)


def _settle_on_a_handshake(body: dict[str, Any]) -> None:
    """An initialize that asks for a revision without a handshake is offered the newest one that has it."""
    params = body.get("params")
    if not isinstance(params, dict) or not isinstance(params.get("protocolVersion"), str):
        raise invalid('"params.protocolVersion" must be a string', code=codes.INVALID_PARAMS)
    if params["protocolVersion"] not in LEGACY_REVISIONS:
        params["protocolVersion"] = NEWEST_LEGACY_REVISION


def _method(body: dict[str, Any], *, era: Era) -> tuple[Method, str | int | None]:
    """Look the method up and check its id.

    Raises:
        Refusal: -32601 for a method that the era does not know, with the HTTP status of the era.
    """
    name, identifier = body["method"], _id(body)
    method = METHODS.get(name)
    if method is None or not (method.modern if era is Era.MODERN else method.legacy):
        status = 404 if era is Era.MODERN and identifier is not None else 200 if identifier is not None else 400
        raise invalid(f"Method not found: {name[:128]}", code=codes.METHOD_NOT_FOUND, status=status)
    if method.notification == (identifier is not None):
        raise invalid(
            f"{method.name} is {'a notification and takes no' if method.notification else 'a request and needs an'} id"
        )
    return method, identifier


def _id(body: dict[str, Any]) -> str | int | None:
    if "id" not in body:
        return None
    identifier = body["id"]
    if isinstance(identifier, bool) or not isinstance(identifier, str | int):
        raise invalid('"id" must be a string or an integer')
    if isinstance(identifier, str) and len(identifier) > _ID_LIMIT:
        raise invalid(f'"id" must not be longer than {_ID_LIMIT} characters')
    return identifier


def _name(method: Method, body: dict[str, Any]) -> str:
    if not method.name_key:
        return ""
    name = (body.get("params") or {}).get(method.name_key)
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LIMIT:
        words = f'"params.{method.name_key}" must be a string of 1 to {_NAME_LIMIT} characters'
        raise invalid(words, code=codes.INVALID_PARAMS)
    return name


def _answer(body: dict[str, Any], headers: Mapping[str, str], session: Session | None) -> Message:
    """Frame a client's answer to a request of the server: legacy only, and only within a session that opened."""
    identifier = _id(body)
    shapes = ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    if identifier is None or body.keys() not in shapes or not isinstance(body.get("error", {}), dict):
        raise invalid("Neither a request, nor a notification, nor an answer")
    if session is None:
        raise invalid("An answer is taken only within the session in which the server asked")
    return Message(body, Era.LEGACY, legacy_revision(headers, session), None, identifier)
