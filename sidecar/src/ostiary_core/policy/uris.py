"""What servers make of a resource's URI: its readings, so that a rule judges more than the spelling.

The official SDKs hand a URI to a URL parser of the WHATWG standard before they look the resource up (`new URL` in
TypeScript, `AnyUrl` in Python), and what serves files or fetches pages decodes the path as well. A server with
templates decodes each part that fills an expression, also where a URL has its host. So one resource has many spellings:
``file:///docs/../secret/key``, ``FILE:/secret/key`` and ``file:///secr%65t/key`` may all be one.

A caller passes only if every reading that a server may look up is allowed, and none that it may end at is denied.
The names of rules are read in the same way, so a rule speaks of a resource however the rule or the caller spells it.

The parser is the one of pydantic, which is the one that servers on the Python SDK use; where Node.js reads otherwise,
that reading is added (`tests/protocol/test_resource_spellings.py` compares them).
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from pydantic_core import Url

from ostiary_core.errors import AmbiguousURIError


class Readings(NamedTuple):
    """What servers may make of one URI.

    ``looked_up`` are the keys under which servers may look it up, the spelling first: all must be allowed.
    ``ends_at`` are further forms of what it may lead to, decoded: none may be denied.
    """

    looked_up: tuple[str, ...]
    ends_at: tuple[str, ...] = ()


#: The parts of a parsed URL: scheme, authority, path, query, fragment (RFC 3986, appendix B).
_PARTS: Final = re.compile(r"([a-z][a-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
#: The schemes whose URLs the standard rewrites most, in any letters and with what parsers strip in front.
_SPECIAL: Final = re.compile(r"[\x00-\x20]*(?:https?|wss?|ftp|file)[\t\n\r]*:", re.IGNORECASE)
_EXPRESSION: Final = re.compile(r"\{[^{}]*\}")
_HEX: Final = "0123456789abcdefABCDEF"
#: What percent-escapes stand for. That of a star is none: it would become a wildcard in the name of a rule.
_OCTETS: Final = {
    pair.encode(): bytes.fromhex(pair) for pair in (a + b for a in _HEX for b in _HEX) if pair.upper() != "2A"
}
#: What parsers take out of a URL wherever it stands.
_STRIPPED: Final = re.compile(r"[\t\n\r]")
#: A segment that begins as a drive of Windows does.
_DRIVE: Final = re.compile(r"[/\\:][\t\n\r]*[A-Za-z][\t\n\r]*[:|]")
_DRIVE_WITH_BAR: Final = re.compile(r"^(file:///[A-Za-z])\|")
_UNSAFE: Final = re.compile(r"^\x20|\x20$|[\x00-\x1f\x7f\\]")
#: Newer parsers percent-encode these in places where older ones leave them.
_ENCODED_BY_SOME: Final = ("^", "|", " ")


def read_uri(uri: str) -> Readings:
    """Return what servers may make of a URI or of a URI template.

    The braces of a template are judged as they stand, also where parsers would percent-encode them.

    Raises:
        AmbiguousURIError: no one can say what a server makes of it; the message says why.
    """
    looked_up, *ends = _read(uri)
    return Readings(looked_up, tuple(dict.fromkeys(end for end in ends if end not in looked_up)))


def rule_names(names: Iterable[str] | None, *, denies: bool) -> list[str] | None:
    """Return the names of a rule on resources with their readings: the rule speaks of these as well.

    A name with ``*`` is read like any URI, its stars as letters; one that is no URL stands as it is spelled.
    """
    if names is None:
        return None
    found: dict[str, None] = {}
    for name in names:
        found[name] = None
        try:
            looked_up, *ends = _read(name)
        except AmbiguousURIError:
            continue
        found |= dict.fromkeys(looked_up)
        if denies:
            found |= dict.fromkeys(ends[:1])  # the bare form would speak of other hosts as well
    return list(found)


def _read(uri: str) -> tuple[tuple[str, ...], *tuple[str, ...]]:
    """Return the keys under which servers may look a URI up, then where it leads: whole, bare, and decoded as it is."""
    parsed = _parse(uri)
    if parsed is None:
        _require_plain(uri)
        return (uri,), _decoded(uri)
    if _DRIVE.search(uri) and ".." in _decoded(_STRIPPED.sub("", uri)):
        raise AmbiguousURIError('it has a drive letter and a ".." segment, which parsers resolve differently')
    if "{" in uri or "}" in uri:
        parsed = parsed.replace("%7B", "{").replace("%7D", "}")
    looked_up = [uri, parsed, *_of_other_parsers(uri, parsed)]
    parts = _PARTS.fullmatch(parsed)
    if parts is None:
        raise AmbiguousURIError("it has no form that could be judged")
    path = _decoded(parts[3])
    if _climbs(path) or _climbs(_decoded(parts[2] or "")):
        raise AmbiguousURIError('it has a ".." segment that is encoded, behind a backslash, or no part of a path')
    if parts[1] == "file" and (parts[4] or parts[5]):
        looked_up.append(parsed[: parts.end(3)])  # a query and a fragment are no part of a file's path
    bare = _end(parts, path, bare=True)
    directory = f"{bare}/" if parts[1] == "file" and path.endswith(("/", "\\")) else bare
    return tuple(dict.fromkeys(looked_up)), _end(parts, path, bare=False), bare, directory, _decoded(parsed)


def _climbs(text: str) -> bool:
    return ".." in text and ".." in text.replace("\\", "/").split("/")


def _parse(uri: str) -> str | None:
    try:
        return str(Url(uri))
    except ValueError:
        return None


def _require_plain(uri: str) -> None:
    """Let pass what is no URL if nothing that serves it could make something else of it.

    Raises:
        AmbiguousURIError: something could.
    """
    if _SPECIAL.match(uri):
        filled = _EXPRESSION.sub("0", uri)  # a template may stand where a URL has a number: its port
        if filled == uri or _parse(filled) != filled:
            raise AmbiguousURIError("it has the scheme of a URL and is not a valid one")
    if _UNSAFE.search(uri):
        raise AmbiguousURIError(
            "it is no absolute URI, and holds a backslash, a control character or a space at an end"
        )
    if _climbs(_decoded(uri)):
        raise AmbiguousURIError('it is no absolute URI, and has a ".." segment')


def _of_other_parsers(uri: str, parsed: str) -> Iterable[str]:
    """Return what parsers other than ours may make of a URI."""
    stripped = _STRIPPED.sub("", uri)
    if stripped != uri:
        yield _parse(stripped) or uri  # ours takes a drive letter before one of these for a segment of its own
    drive = _DRIVE_WITH_BAR.sub(r"\1:", parsed)
    if drive != parsed:
        yield drive
    form = parsed
    for character in _ENCODED_BY_SOME:
        if character in form:
            form = form.replace(character, f"%{ord(character):02X}")
            yield form
    parts = _PARTS.fullmatch(parsed)
    if parts is not None and parts[3] == "/" and parsed != uri and not _SPECIAL.match(parsed):
        yield parsed[: parts.start(3)] + parsed[parts.end(3) :]  # Node.js 20 takes the whole path away with a last ".."


def _end(parts: re.Match[str], path: str, *, bare: bool) -> str:
    """Return where a URL leads once its path is decoded and resolved.

    ``bare`` leaves out what servers tend to ignore: who asks, the fragment, and of a file its host and query.
    """
    scheme, authority, query, fragment = parts[1], parts[2], parts[4] or "", parts[5] or ""
    is_file = scheme == "file"
    if authority is not None:
        authority = _decoded(authority).lower().rstrip(".")
        authority = "" if bare and is_file else authority.rpartition("@")[2] if bare else authority
    if bare:
        query, fragment = "" if is_file else query, ""
    front = f"{scheme}:" if authority is None else f"{scheme}://{authority}"
    return front + _resolved(path, of_file=is_file) + _decoded(query) + _decoded(fragment)


def _resolved(path: str, *, of_file: bool) -> str:
    """Return a decoded path without empty and ``.`` segments, and that of a file without its last slash."""
    path = path.replace("\\", "/")
    if not (of_file or "//" in path or "." in path):
        return path
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    start = "/" if path.startswith("/") else ""
    end = "/" if segments and not of_file and path.endswith(("/", "/.")) else ""
    return start + "/".join(segments) + end


def _decoded(text: str) -> str:
    """Decode percent-escapes but that of ``*``, which would become a wildcard in the name of a rule."""
    if "%" not in text:
        return text
    first, *others = text.encode("utf-8", "replace").split(b"%")
    pieces = [first]
    for piece in others:
        octet = _OCTETS.get(piece[:2])
        pieces += (octet, piece[2:]) if octet is not None else (b"%", piece)
    return b"".join(pieces).decode("utf-8", "replace")
