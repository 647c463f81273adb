"""Finds what a change of a proxy's servers weakens.

That is where requests go, and whose names rules allow. Servers are compared by name, the only server of a proxy with
the only one of before. Rules name what is exposed, so another prefix, or a prefix less next to a server without one,
changes whose tools they allow.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from ostiary_core.contract.documents import EntryDocument, ServerConfig
from ostiary_operator.compile.weakening import Weakening, listed, weakening

_CHANGED = "UpstreamChanged"


def of_servers(old: EntryDocument, new: EntryDocument) -> Iterator[Weakening]:
    """Yield what of a proxy's servers, and of how they are used, is not as before."""
    before = _matched(old, new)
    for position, server in enumerate(new.servers):
        was = before.get(server.name)
        field = f"spec.servers[{position}]"
        if was is None:
            yield weakening(new, _CHANGED, field, "none", f"adds {_described(server)}")
        else:
            yield from _of_server(was, server, new, field)
    yield from _freed_names(old, new)
    selections = [entry.server_selection or "one server" for entry in (old, new)]
    if selections[0] != selections[1]:
        yield weakening(new, _CHANGED, "spec.serverSelection", *selections)
    if old.routing != new.routing:
        yield weakening(new, "RoutingChanged", "spec.routing", _routing(old), _routing(new))


def _matched(old: EntryDocument, new: EntryDocument) -> dict[str, ServerConfig]:
    """Return the servers of before, by the names that they have now."""
    if len(old.servers) == len(new.servers) == 1:
        return {new.servers[0].name: old.servers[0]}
    return {server.name: server for server in old.servers}


def _of_server(before: ServerConfig, after: ServerConfig, proxy: EntryDocument, where: str) -> Iterator[Weakening]:
    for field, was, now in (
        ("url", _url(before), _url(after)),
        ("url (query)", *_queries(before, after)),
        ("endpoints", _endpoints(before), _endpoints(after)),
        ("host", before.host or "", after.host or ""),
        ("tls.hostname", _tls_hostname(before), _tls_hostname(after)),
        ("headers", _headers(before), _headers(after)),
        ("prefix", before.prefix or "", after.prefix or ""),
        ("retry.tools", *_newly_repeated(before, after)),
    ):
        if was != now:
            yield weakening(proxy, _CHANGED, f"{where}.{field}", was or "none", now or "none")


def _freed_names(old: EntryDocument, new: EntryDocument) -> Iterator[Weakening]:
    """Yield the prefixes whose names now belong to the server without a prefix."""
    heirs = [server.name for server in new.servers if server.prefix == ""]
    kept = {server.prefix for server in new.servers}
    freed = [server.prefix for server in old.servers if server.prefix and server.prefix not in kept]
    for prefix in freed if heirs else ():
        yield weakening(
            new, _CHANGED, "spec.servers", f"{prefix}* has a server of its own", f"{prefix}* is of {heirs[0]}"
        )


def _described(server: ServerConfig) -> str:
    prefix = f" with the prefix {server.prefix!r}" if server.prefix is not None else ""
    return f"{server.name} at {_url(server)}{prefix}"


def _routing(entry: EntryDocument) -> str:
    rules = [
        f"{rule.name}: {rule.when or 'every request'} to {', '.join(rule.servers)}" for rule in entry.routing or ()
    ]
    return "; ".join(rules) or "none"


def _url(server: ServerConfig) -> str:
    """Return a server's URL without its query."""
    return urlunsplit(urlsplit(server.url)._replace(query="", fragment=""))


def _queries(before: ServerConfig, after: ServerConfig) -> tuple[str, str]:
    """Return whether two URLs differ in the query alone, which may hold a secret."""
    differ = _url(before) == _url(after) and before.url != after.url
    return ("as before", "changed") if differ else ("", "")


def _endpoints(server: ServerConfig) -> str:
    """Return the places that are connected to instead of the host of the URL."""
    return listed([f"{each.address} port {each.port}" for each in server.endpoints or ()]) if server.endpoints else ""


def _newly_repeated(before: ServerConfig, after: ServerConfig) -> tuple[str, str]:
    """Return the tools whose calls may run twice, where there are more of them than before."""
    was, now = _repeated(before), _repeated(after)
    return (listed(was), listed(now)) if now - was else ("", "")


def _repeated(server: ServerConfig) -> set[str]:
    tools = server.retry.tools if server.retry is not None and server.retry.attempts else None
    return {*(tools.hints or ()), *(tools.names or ())} if tools is not None else set()


def _headers(server: ServerConfig) -> str:
    """Return the headers that are added to each request: a server may choose a tenant by one."""
    return listed([f"{header.name}: {header.value}" for header in server.headers or ()])


def _tls_hostname(server: ServerConfig) -> str:
    return (server.tls.hostname if server.tls is not None else None) or ""
