"""Decode: turn bytes into one message that every later stage reads in the same way.

The body is parsed once, strictly, and decides the era: an envelope with a version is modern, ``initialize`` without one
is legacy, and a header that contradicts the body is refused. Where the body leaves it open, the era is that of the
version header, so that a missing envelope is reported in the terms of that revision. Batches are refused in every
revision (a documented deviation from 2025-03-26): a rule that must judge each element could miss one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp import codes
from ostiary_core.mcp.meta_keys import META_CLIENT_CAPABILITIES, META_PROTOCOL_VERSION
from ostiary_core.mcp.methods import METHODS, NOTIFICATION_PREFIX, UNKNOWN_NOTIFICATION, AuthorizationKind, Method
from ostiary_core.mcp.protocol_revisions import (
    LEGACY,
    LEGACY_REVISIONS,
    MODERN,
    MODERN_REVISIONS,
    NEWEST_LEGACY_REVISION,
    Era,
)
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.large_messages import Steps
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import bad_params, check_params, invalid, read_id, read_meta, read_name
from ostiary_gateway.pipeline.mirrored_headers import mismatch, require_agreement, require_name_agreement
from ostiary_gateway.session_ids import UpstreamSession

_VERSION: Final = "MCP-Protocol-Version"
_METHOD: Final = "Mcp-Method"
_NAME: Final = "Mcp-Name"
#: The keys under which a request's headers are stored.
_VERSION_KEY: Final = _VERSION.lower()
_METHOD_KEY: Final = _METHOD.lower()
_MEMBERS: Final = frozenset({"jsonrpc", "id", "method", "params"})
#: The number of a caller's characters that an error message repeats.
_SHOWN: Final = 128
#: The methods whose name is mirrored in a header, besides those on tasks.
_MIRRORED: Final = frozenset({"tools/call", "prompts/get", "resources/read"})

#: Opens the session that a request names; None if it names none.
OpenSession = Callable[[], UpstreamSession | None]


class UnsupportedRevisionError(Refusal):
    """An unknown revision.

    The error lists our revisions, or those of the server behind the proxy (:mod:`.server_revisions`).

    ``era`` is that of the message: modern if it has an envelope, whatever revision that names.
    """

    def __init__(self, revision: str, era: Era) -> None:
        # A header may hold bytes that are not UTF-8, and a JSON response cannot repeat those.
        requested = revision[:_SHOWN].encode("utf-8", "replace").decode()
        data = {"supported": sorted(MODERN_REVISIONS | LEGACY_REVISIONS, reverse=True), "requested": requested}
        code, words = codes.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version"
        super().__init__(400, "UnsupportedProtocolVersion", words, code=code, data=data)
        self.era = era


def parse(body: bytes) -> dict[str, Any]:
    """Parse a body, which must be one message.

    Raises:
        Refusal: -32700 for text that is not strict JSON, -32600 for a batch or anything else that is not an object.
    """
    try:
        value = strict_json.loads(body)
    except StrictJSONError as error:
        raise _no_json(error) from None
    return value if type(value) is dict else _message(value)


def parsing(body: bytes) -> Steps[dict[str, Any]]:
    """Parse as :func:`parse` does, in steps: for a large body."""
    try:
        return _message((yield from strict_json.loading(body)))
    except StrictJSONError as error:
        raise _no_json(error) from None


def _no_json(error: StrictJSONError) -> Refusal:
    return invalid(f"Parse error: {error}", code=codes.PARSE_ERROR)


def _message(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        raise invalid("Batches are not accepted: send one message a request")
    if not isinstance(value, dict):
        raise invalid("A message is a JSON object")
    return value


def request_id(body: dict[str, Any]) -> str | int | None:
    """Return the id that the response to this body must have, even if the body is invalid.

    It is None if it has none.
    """
    try:
        return read_id(body) if "method" in body else None
    except Refusal:
        return None


def decode(body: dict[str, Any], headers: Mapping[str, str], open_session: OpenSession) -> Message:
    """Make a message of a parsed body.

    ``open_session`` is called in the legacy era only: later eras have no sessions.

    Raises:
        Refusal: with the code and HTTP status that the specification gives for the fault.
    """
    if body.get("jsonrpc") != "2.0":
        raise invalid('"jsonrpc" must be "2.0"')
    if "method" not in body:
        return _client_response(body, headers, open_session())
    name, params = body["method"], body.get("params")
    if not isinstance(name, str):
        raise invalid('"method" must be a string')
    if params is not None:
        check_params(params)
    if not body.keys() <= _MEMBERS:
        raise invalid("A request may have jsonrpc, id, method and params, and nothing else")
    identifier, meta = read_id(body), read_meta(params)
    if META_PROTOCOL_VERSION in meta or (headers.get(_VERSION_KEY) in MODERN_REVISIONS and name != "initialize"):
        return _modern(body, identifier, headers, meta)
    return _legacy(body, identifier, headers, open_session())


def _modern(
    body: dict[str, Any], identifier: str | int | None, headers: Mapping[str, str], meta: dict[str, Any]
) -> Message:
    if identifier is not None:
        _require_envelope(meta)
    # A notification need not have the envelope: the revision requires neither headers nor an envelope for it.
    revision = meta.get(META_PROTOCOL_VERSION, headers.get(_VERSION_KEY))
    if not isinstance(revision, str):
        raise _bad_envelope(META_PROTOCOL_VERSION, "a string")
    require_agreement(headers, _VERSION, revision)
    if revision not in MODERN_REVISIONS:
        raise UnsupportedRevisionError(revision, MODERN)
    if identifier is not None or _METHOD_KEY in headers:
        require_agreement(headers, _METHOD, body["method"])
    method = _method(body, identifier, era=MODERN)
    name = read_name(method, body, MODERN)
    if method.name in _MIRRORED or method.authorization is AuthorizationKind.TASK:
        require_name_agreement(headers, _NAME, name)
    return Message(body, MODERN, revision, method, identifier, name)


def _require_envelope(meta: dict[str, Any]) -> None:
    """Check the two fields of every request (specification, Per-request protocol fields).

    Raises:
        Refusal: -32602 with HTTP 400, naming the field.
    """
    if META_PROTOCOL_VERSION not in meta:
        raise _bad_envelope(META_PROTOCOL_VERSION, "present, and a string")
    if not isinstance(meta.get(META_CLIENT_CAPABILITIES), dict):
        raise _bad_envelope(META_CLIENT_CAPABILITIES, "present, and an object")


def _bad_envelope(field: str, what: str) -> Refusal:
    return invalid(f'"params._meta" must hold "{field}": it must be {what}', code=codes.INVALID_PARAMS)


def _legacy(
    body: dict[str, Any], identifier: str | int | None, headers: Mapping[str, str], session: UpstreamSession | None
) -> Message:
    method = _method(body, identifier, era=LEGACY)
    if method.name == "initialize":
        _offer_handshake_revision(body)
        # The body negotiates the revision. The version header is for later requests; clients that send it here name
        # their previous or preferred revision, so none is sent to the server.
        revision = ""
    else:
        revision = legacy_revision(headers, session)
    # Mcp-Method and Mcp-Name mean nothing here: only the body decides, and no header of a caller is forwarded.
    return Message(body, LEGACY, revision, method, identifier, read_name(method, body, LEGACY))


def legacy_revision(headers: Mapping[str, str], session: UpstreamSession | None) -> str:
    """Return the revision of a legacy request: that of the session, which no header overrides.

    Some clients name another legacy revision in a session (for example the conformance suite 0.1.16), and servers
    accept that; we send the server the revision that was negotiated.

    Raises:
        Refusal: 400 for a header that names no legacy revision.
    """
    header = headers.get(_VERSION_KEY)
    if header is None:
        return session.revision if session is not None else ""
    if header in MODERN_REVISIONS:
        raise mismatch(f"The header {_VERSION} names {header}, but the body has no envelope of that revision")
    if header not in LEGACY_REVISIONS:
        raise UnsupportedRevisionError(header, LEGACY)
    return session.revision if session is not None else header


def bodiless_revision(headers: Mapping[str, str], session: UpstreamSession | None) -> str:
    """Return the revision of a GET or DELETE, which 2026-07-28 no longer has.

    Raises:
        Refusal: 405 for that revision; 400 as for a message.
    """
    if headers.get(_VERSION_KEY) in MODERN_REVISIONS:
        raise Refusal(405, "MethodNotAllowed", "This revision of MCP supports POST only", headers={"Allow": "POST"})
    return legacy_revision(headers, session)


def _offer_handshake_revision(body: dict[str, Any]) -> None:
    """Offer the newest handshake revision to an initialize that asks for one without."""
    params = body.get("params")
    if not isinstance(params, dict) or not isinstance(params.get("protocolVersion"), str):
        raise bad_params('"params.protocolVersion" must be a string', LEGACY)
    if params["protocolVersion"] not in LEGACY_REVISIONS:
        params["protocolVersion"] = NEWEST_LEGACY_REVISION


def _method(body: dict[str, Any], identifier: str | int | None, *, era: Era) -> Method:
    """Return the method of a message.

    Raises:
        Refusal: -32601 for a method that the era does not have, with the HTTP status of the era; -32600 for a
            notification with an id, or a request without one.
    """
    method = METHODS.get(body["method"])
    if method is None or not (method.modern if era is MODERN else method.legacy):
        if identifier is None and body["method"].startswith(NOTIFICATION_PREFIX):
            return UNKNOWN_NOTIFICATION
        legacy_status = 200 if identifier is not None else 400
        raise invalid(
            f"Method not found: {body['method'][:_SHOWN]}",
            code=codes.METHOD_NOT_FOUND,
            status=404 if era is MODERN else legacy_status,
        )
    if method.notification == (identifier is not None):
        raise invalid(
            f"{method.name} is {'a notification and takes no' if method.notification else 'a request and needs an'} id"
        )
    return method


def _client_response(body: dict[str, Any], headers: Mapping[str, str], session: UpstreamSession | None) -> Message:
    """Decode a client's response to a server's request.

    There are such responses only in the legacy era, and only in an open session.
    """
    identifier = read_id(body)
    shapes = ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    payload = body.get("result", body.get("error"))
    if identifier is None or body.keys() not in shapes or not isinstance(payload, dict):
        raise invalid("Neither a request, nor a notification, nor a response")
    if session is None:
        raise invalid("A response is accepted only in the session of the server's request")
    return Message(body, LEGACY, legacy_revision(headers, session), None, identifier)
