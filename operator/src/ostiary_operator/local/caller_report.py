"""Who a live gateway takes a caller for, and what that caller sees and may use.

The gateway answers at the endpoint with `/whoami` after it; the lists come from the endpoint itself. All responses are
untrusted input.
"""

import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_operator.local import refused_token
from ostiary_operator.local.console import printable
from ostiary_operator.local.mcp_probe import McpClientSession, McpReply

_SUFFIX: Final = "/whoami"
_PAGES: Final = 50
_MOST_NAMES: Final = 5000
_MOST_SERVERS: Final = 16
#: A request about names has at most 8 KiB.
_BATCH_CHARACTERS: Final = 6000
_SHOWN: Final = 80
_METHOD_NOT_FOUND: Final = -32601
#: Where a list of several servers says whose names are missing.
_UNAVAILABLE: Final = "dev.ostiary/unavailable"
#: Reasons of refusals by `blocked` in the gateway's settings.
_BLOCKED: Final = frozenset({"PrincipalBlocked", "ProxyBlocked", "UpstreamBlocked"})


class ListedKind(NamedTuple):
    """A list of a server: the method, members of its result, and what the gateway judges."""

    method: str
    member: str
    name: str
    primitive: str
    noun: str


_KINDS: Final = (
    ListedKind("tools/list", "tools", "name", "tools", "tool"),
    ListedKind("resources/list", "resources", "uri", "resources", "resource"),
    ListedKind("resources/templates/list", "resourceTemplates", "uriTemplate", "resources", "template"),
    ListedKind("prompts/list", "prompts", "name", "prompts", "prompt"),
)


class CallerRefused(OstiaryError):
    """The gateway refuses the caller; the message is its reason and the remedy."""


class NoIdentity(OstiaryError):
    """The endpoint does not say who the caller is; the message says why."""


class NamedAccess(NamedTuple):
    """A name that the caller sees, and what it may do with it."""

    name: str
    access: str


class CallerReport(NamedTuple):
    """Who a caller is, and the names that it sees by kind, each with its access.

    ``notes`` say which lists could not be read.
    """

    url: str
    principal: Mapping[str, Any]
    names: Mapping[str, Sequence[NamedAccess]]
    notes: Sequence[str]

    def as_object(self) -> dict[str, Any]:
        """The report as a JSON object."""
        lists = {kind: [each._asdict() for each in names] for kind, names in self.names.items()}
        return {"url": self.url, "principal": dict(self.principal), **lists, "notes": list(self.notes)}


def endpoint_of(text: str) -> str:
    """Return the URL of an endpoint.

    Raises:
        NoIdentity: it is not one.
    """
    try:
        parts = urlsplit(text)
        is_bare = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_bare = is_bare and parts.username is None and not parts.query and not parts.fragment
    except ValueError:
        is_bare = False
    if not is_bare:
        words = "give the URL that clients use, without user, query and fragment: https://mcp.example.com/tickets/mcp"
        raise NoIdentity(words)
    return text.rstrip("/")


async def ask(url: str, *, headers: Mapping[str, str], tls: ssl.SSLContext | None = None) -> CallerReport:
    """Ask an endpoint who sends these headers, and what it sees.

    Raises:
        CallerRefused: the gateway does not admit the caller.
        NoIdentity: there is no response, or not one of a gateway.
    """
    try:
        async with McpClientSession(url, headers=headers, tls=tls) as session:
            reply = await session.post(_SUFFIX, {})
            principal = await _principal(reply, url, headers, tls)
            names, notes = await _listed(session)
            return CallerReport(url, principal, await _with_access(session, names), notes)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        # The text of an error about headers could contain their values.
        raise NoIdentity(f"no response from {printable(url)}: {_cause(error)}") from None


def _cause(error: Exception) -> str:
    """Return why there is no response, and what to check."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {printable(str(error.certificate_error))}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "it does not speak TLS; is it an http:// URL?"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name of the host does not resolve"
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "nothing accepts connections there; check host and port, and that the gateway runs"
    if isinstance(error, ValueError):
        return type(error).__name__
    return printable(str(error)) or type(error).__name__


async def _principal(
    reply: McpReply, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None
) -> Mapping[str, Any]:
    principal = reply.message.get("principal")
    if reply.status == 200 and isinstance(principal, Mapping):
        return principal
    refusal = _refusal(reply, url)
    claims = refused_token.claims_of(headers) if reply.status == 401 else None
    if claims is not None:
        refusal = CallerRefused("\n".join([str(refusal), *await refused_token.compare(url, claims, tls=tls)]))
    raise refusal


def _refusal(reply: McpReply, url: str) -> OstiaryError:
    """Return why there is no principal in a response."""
    message = printable(str(reply.message.get("message") or reply.error.get("message") or ""))
    if reply.status in (401, 403) or reply.reason in _BLOCKED:
        reason = f" {printable(reply.reason)}" if reply.reason else ""
        return CallerRefused(f"HTTP {reply.status}{reason}: {message or 'the caller is refused'}")
    if reply.reason in ("NoSuchProxy", "NotTheEndpoint"):
        ending = "" if url.endswith("/mcp") else ", and ends in /mcp"
        return NoIdentity(f"there is no MCPProxy at {printable(url)}; `ostiary get proxies` shows each URL{ending}")
    if reply.reason == "IdentityProviderUnavailable":
        message += "; the gateway's log names the URL that it could not read, and why"
    if reply.reason:
        return NoIdentity(f"HTTP {reply.status} {printable(reply.reason)}: {message}")
    return NoIdentity(f"HTTP {reply.status}: this is not an endpoint of an Ostiary gateway, or an older one")


async def _listed(session: McpClientSession) -> tuple[dict[ListedKind, list[str]], list[str]]:
    """Return the names in each list, and why lists or names are missing."""
    hello = await session.initialize()
    if hello.result is None:
        session.use_stateless_revision()
    names: dict[ListedKind, list[str]] = {}
    notes: list[str] = []
    for kind in _KINDS:
        found, last = await _all_names(session, kind)
        if found:
            names[kind] = found
        if last.result is None and last.error.get("code") != _METHOD_NOT_FOUND:
            # A server that refuses both ways of beginning is described by the error of the first.
            notes.append(f"{kind.method}: {_fault(last if hello.result is not None else hello)}")
        notes += [f"{kind.method}: {words}" for words in _missing(last.result or {})]
    return names, notes


def _missing(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield whose names are not in a list of several servers, and why."""
    meta = result.get("_meta")
    servers = meta.get(_UNAVAILABLE) if isinstance(meta, Mapping) else None
    for each in servers[:_MOST_SERVERS] if isinstance(servers, list) else ():
        if isinstance(each, Mapping):
            prefix = str(each.get("prefix") or "")
            names = f"names that begin with {prefix}" if prefix else "names of the server without a prefix"
            yield printable(f"{names} may be missing or old: {each.get('reason')}", limit=_SHOWN * 2)


async def _all_names(session: McpClientSession, kind: ListedKind) -> tuple[list[str], McpReply]:
    """Return the names in all pages of a list, and the last reply."""
    names: list[str] = []
    cursor: dict[str, Any] = {}
    reply = await session.request(kind.method, cursor)
    for _ in range(_PAGES):
        if reply.result is None:
            break
        items = reply.result.get(kind.member)
        names += [item[kind.name] for item in items if _has_name(item, kind)] if isinstance(items, list) else []
        if not isinstance(reply.result.get("nextCursor"), str) or len(names) >= _MOST_NAMES:
            break
        cursor = {"cursor": reply.result["nextCursor"]}
        reply = await session.request(kind.method, cursor)
    return names[:_MOST_NAMES], reply


def _has_name(item: Any, kind: ListedKind) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get(kind.name), str)


def _fault(reply: McpReply) -> str:
    error = reply.error
    words = error.get("message") or reply.message.get("message") or f"HTTP {reply.status}"
    code = ", ".join(filter(None, (str(error.get("code", "")), reply.reason)))
    return printable(f"{words} ({code})" if code else str(words))


async def _with_access(
    session: McpClientSession, names: Mapping[ListedKind, Sequence[str]]
) -> dict[str, list[NamedAccess]]:
    return {kind.member: await _judged(session, kind, found) for kind, found in names.items()}


async def _judged(session: McpClientSession, kind: ListedKind, names: Sequence[str]) -> list[NamedAccess]:
    """Return the names with what the caller may do; with `?` where the gateway does not say."""
    known: dict[str, str] = {}
    for batch in _batches(names):
        access = (await session.post(_SUFFIX, {kind.primitive: batch})).message.get("access")
        found = access.get(kind.primitive) if isinstance(access, Mapping) else None
        if isinstance(found, Mapping):
            known |= {name: str(found[name]) for name in batch if name in found}
    return [NamedAccess(name, known.get(name, "?")) for name in names]


def _batches(names: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for name in names:
        length = len(json.dumps(name)) + 2
        if batch and size + length > _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += length
    if batch:
        yield batch


def lines(report: CallerReport) -> Iterator[str]:
    """Yield the description of the caller as lines of text."""
    principal = report.principal
    yield f"caller    {_caller(principal)}"
    yield f"id        {_text(principal.get('id'))}"
    yield f"groups    {_words(principal.get('groups'))}"
    yield f"scopes    {_words(principal.get('scopes'))}"
    yield f"expires   {_text(principal.get('expiresAt')) if principal.get('expiresAt') else 'never'}"


def table(report: CallerReport) -> tuple[list[str], list[list[str]]]:
    """Return the names that the caller sees as header and rows."""
    nouns = {kind.member: kind.noun for kind in _KINDS}
    rows = [
        [nouns[kind], printable(name, limit=_SHOWN), printable(access, limit=_SHOWN)]
        for kind, names in report.names.items()
        for name, access in names
    ]
    return ["", "NAME", "ACCESS"], rows


_METHODS: Final = {
    "apiKey": "by an API key",
    "jwt": "by an access token",
    "introspection": "by an opaque access token",
    "clientCertificate": "by a client certificate",
}


def _caller(principal: Mapping[str, Any]) -> str:
    method = principal.get("method")
    if method == "anonymous":
        return "anonymous: no credential was sent, and none is needed"
    if method == "passthrough":
        return "unknown to the gateway: the server authenticates callers (passthrough)"
    who = principal.get("consumer") or "a caller without a consumer name"
    return f"{_text(who)}, {_METHODS.get(str(method), _text(method))}"


def _words(value: Any) -> str:
    return ", ".join(_text(each) for each in value) if isinstance(value, list) and value else "-"


def _text(value: Any) -> str:
    return printable(str(value))
