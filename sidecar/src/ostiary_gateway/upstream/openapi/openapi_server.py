"""An MCP server within the gateway, whose tools are the operations of a REST service.

It gets the bytes that any server would get, and gives a response as any server gives one: so policies, limits, guards,
merging, audit and traces see a server like every other. It speaks both eras, keeps no sessions, and sends only
requests that its tools describe. What it sends has the context of the trace and the credentials that a server gets,
never what MCP's own headers say.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from yarl import URL

from ostiary_core import strict_json
from ostiary_core.contract.documents import ServerConfig
from ostiary_core.errors import OpenApiError, StrictJSONError
from ostiary_core.mcp import codes
from ostiary_core.mcp.meta_keys import META_PROTOCOL_VERSION, META_SERVER_INFO
from ostiary_core.mcp.methods import METHODS, NOTIFICATION_PREFIX
from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS, MODERN_REVISIONS, NEWEST_LEGACY_REVISION
from ostiary_core.upstream_faults import GATEWAY_ERRORS
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults, redirects
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.made_document import made_document, made_status
from ostiary_gateway.upstream.openapi.described_tools import DescribedTool, DescribedTools
from ostiary_gateway.upstream.openapi.rest_heads import rest_lines
from ostiary_gateway.upstream.openapi.rest_results import AnswerRoom, Result, read_result, told
from ostiary_gateway.upstream.server import UpstreamServer

#: Statuses that say something of the server or of the gateway's credential, not of the operation.
_OF_THE_SERVER: Final = GATEWAY_ERRORS | {401, 407}
#: Headers that say more of a status.
_TELLING: Final = ("location", "retry-after", "www-authenticate")
#: How long clients and the gateway may keep the list: it changes with the config only.
_TTL_MS: Final = 60_000
_LIST: Final = METHODS["tools/list"]
_CAPABILITIES: Final[Mapping[str, Any]] = {"tools": {}}


class OpenApiServer(UpstreamServer):
    """The server of an OpenAPI document, see :class:`.UpstreamServer`.

    Raises:
        ValueError: its config cannot be used.
    """

    sends_calls_only = True
    #: The bytes of an answer count for its caller while they are read.
    needs_caller = True

    def __init__(self, document: ServerConfig, **given: Any) -> None:
        if document.openapi is None:
            raise ValueError("it has no operations")
        super().__init__(document, **given)
        url = URL(document.url)
        self._rest_url = url
        self._tools = DescribedTools(document.openapi, url.raw_path.rstrip("/"))
        self._query = url.raw_query_string
        self._room = AnswerRoom()
        self._info = {"name": document.name, "title": document.openapi.title, "version": document.openapi.version}
        self._instructions = document.openapi.instructions
        self._learn_tools()

    def _learn_tools(self) -> None:
        """Learn what other servers say in their lists only.

        That is the names of tools, and which of them may be called again.
        """
        message = {"result": {"tools": self._tools.hints}}
        self.known.learn(_LIST, message)
        if self.retry is not None and self.retry.tools is not None:
            self.retry.tools.learn(_LIST.name, message)

    def has_tool(self, name: str) -> bool:
        """Return whether an operation has this name."""
        return self._tools.get(name) is not None

    async def request(
        self,
        method: str,
        lines: bytes,
        body: bytes | None,
        *,
        passed: Sequence[str] = (),
        repeatable: bool = False,
        caller: UpstreamCaller | None = None,
        transmission: http1.Transmission | None = None,
        endpoint: UpstreamEndpoint | None = None,
    ) -> UpstreamResponse:
        """Answer a request in MCP; see :meth:`.UpstreamServer.request`.

        Raises:
            UpstreamFault: the REST server failed.
        """
        if body is None or method != "POST":
            return made_status(405)
        message = _read(body)
        params = message.get("params") or {}
        if message.get("method") != "tools/call":
            return _made_here(self._answer(message, params))
        call = self._prepared(message, params, body)
        if isinstance(call, UpstreamResponse):
            return _made_here(call)
        body = None  # it would be in memory until the answer arrives
        send = partial(
            super().request,
            passed=passed,
            repeatable=repeatable,
            caller=caller,
            transmission=transmission,
            endpoint=endpoint,
        )
        lines = rest_lines(lines, call.lines)
        response = await send(call.request_line, lines, call.body)
        moved = self._moved(response, call.request_line)
        if moved is not None:
            response.close()
            response = await send(moved, lines, call.body)
        if response.status in _OF_THE_SERVER or 300 <= response.status < 400:
            return _head_of(response)
        return await self._shaped(message, call.tool, response, caller)

    def _prepared(self, message: dict[str, Any], params: Mapping[str, Any], body: bytes) -> "_Call | UpstreamResponse":
        """Return the request of a call, or the response to one that cannot be made."""
        tool = self._tools.get(params.get("name"))
        if tool is None:
            return _error(message, codes.INVALID_PARAMS, codes.unknown("tool", str(params.get("name", ""))))
        arguments = params.get("arguments")
        arguments = {} if arguments is None else arguments
        if isinstance(arguments, dict):
            arguments = tool.builder.without_nulls(arguments)
        wrong = self._tools.fault(tool, arguments, body)
        if wrong is not None:
            return _result(message, told(wrong, is_error=True))
        try:
            return self._call(tool, arguments)
        except OpenApiError as error:
            return _result(message, told(str(error), is_error=True))

    def _answer(self, message: dict[str, Any], params: Mapping[str, Any]) -> UpstreamResponse:
        """Answer what needs no request to the REST server."""
        name = str(message.get("method"))
        if name.startswith(NOTIFICATION_PREFIX) or "id" not in message:
            return made_status(202)
        if name == "tools/list":
            return self._listed(message, params)
        if name == "ping":
            return _result(message, {})
        if name == "initialize":
            return _result(message, self._handshake(params))
        if name == "server/discover" and _is_modern(message):
            return _result(message, self._described())
        status = 404 if _is_modern(message) else 200
        return _error(message, codes.METHOD_NOT_FOUND, f"Method not found: {name[:64]}", status=status)

    def _handshake(self, params: Mapping[str, Any]) -> Result:
        asked = params.get("protocolVersion")
        revision = asked if asked in LEGACY_REVISIONS else NEWEST_LEGACY_REVISION
        return {"protocolVersion": revision, "serverInfo": self._info, **self._declared()}

    def _declared(self) -> Result:
        said = {"instructions": self._instructions} if self._instructions else {}
        return {"capabilities": dict(_CAPABILITIES), **said}

    def _described(self) -> Result:
        return {
            "supportedVersions": [*sorted(MODERN_REVISIONS, reverse=True), *sorted(LEGACY_REVISIONS, reverse=True)],
            **self._declared(),
            "ttlMs": _TTL_MS,
            "cacheScope": "public",
            "_meta": {META_SERVER_INFO: self._info},
        }

    def _listed(self, message: dict[str, Any], params: Mapping[str, Any]) -> UpstreamResponse:
        if params.get("cursor") is not None:
            return _error(message, codes.INVALID_PARAMS, "There is no such page")
        hints = f',"resultType":"complete","ttlMs":{_TTL_MS},"cacheScope":"public"' if _is_modern(message) else ""
        identifier = strict_json.dumps(message["id"])
        return made_document(
            b'{"jsonrpc":"2.0","id":%b,"result":{"tools":%b%b}}' % (identifier, self._tools.listed, hints.encode())
        )

    def _call(self, tool: DescribedTool, arguments: Mapping[str, Any]) -> "_Call":
        """Return the request of a call with valid arguments.

        Raises:
            OpenApiError: an argument cannot be sent.
        """
        path, query, headers, content = tool.builder.build(arguments)
        joined = f"{self._query}&{query}" if self._query and query else self._query or query
        target = f"{path or '/'}?{joined}" if joined else path or "/"
        try:
            return _Call(tool, f"{tool.method} {target}", http1.lines(headers), content)
        except UpstreamFault as error:
            raise OpenApiError(error.message) from None

    def _moved(self, response: UpstreamResponse, request_line: str) -> str | None:
        """Return the request line to which a redirect leads.

        None unless it is one that is followed.
        """
        if response.status not in redirects.FOLLOWED:
            return None
        method, _, target = request_line.partition(" ")
        path, _, query = target.partition("?")
        url = self._rest_url.with_path(path, encoded=True).with_query(None)
        url = url.join(URL.build(path=path, query_string=query, encoded=True)) if query else url
        moved = redirects.target(response.header("location"), url, host=self.host)
        return f"{method} {moved.raw_path_qs}" if moved is not None else None

    async def _shaped(
        self, message: dict[str, Any], tool: DescribedTool, response: UpstreamResponse, caller: UpstreamCaller | None
    ) -> UpstreamResponse:
        reserve = partial(self._room.take, of=caller)
        try:
            result = await read_result(tool, response, reserve, seconds=self.request_seconds)
        finally:
            response.close()
        made = _result(message, self._redacted(result))
        made.endpoint = response.endpoint
        return made

    def _redacted(self, result: Result) -> Result:
        """Return an error without the credential, which a server may repeat."""
        if result.get("isError"):
            for each in result["content"]:
                each["text"] = self.credential.redacted(each["text"])
        return result


class _Call(NamedTuple):
    """One request to the REST server."""

    tool: DescribedTool
    request_line: str
    lines: bytes
    body: bytes | None


def _head_of(response: UpstreamResponse) -> UpstreamResponse:
    """Return the status of a response, with the headers that say more of it.

    So it is judged as that of any server.
    """
    kept = {name.encode(): value.encode("latin-1") for name in _TELLING if (value := response.header(name)) is not None}
    response.close()
    made = made_status(response.status, kept)
    made.endpoint = response.endpoint
    return made


def _made_here(response: UpstreamResponse) -> UpstreamResponse:
    """Return a response that says nothing of the REST server: it was not asked."""
    response.is_made_here = True
    return response


def _read(body: bytes) -> dict[str, Any]:
    try:
        message = strict_json.loads(body)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"the message cannot be read: {error}") from None
    return message if isinstance(message, dict) else {}


def _is_modern(message: Mapping[str, Any]) -> bool:
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return isinstance(meta, dict) and meta.get(META_PROTOCOL_VERSION) in MODERN_REVISIONS


def _result(message: Mapping[str, Any], result: Result) -> UpstreamResponse:
    if _is_modern(message):
        result = {"resultType": "complete", **result}
    return made_document(strict_json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": result}))


def _error(message: Mapping[str, Any], code: int, words: str, *, status: int = 200) -> UpstreamResponse:
    answer = {"jsonrpc": "2.0", "id": message.get("id"), "error": {"code": code, "message": words}}
    return made_document(strict_json.dumps(answer), status=status)
