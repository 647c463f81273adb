"""The readings of a resource's URI by servers: a rule judges more than the spelling.

The official SDKs pass a URI to a URL parser of the WHATWG standard before they look the resource up (`new URL` in
TypeScript, `AnyUrl` in Python), and servers of files or web pages decode the path as well. A server with templates
decodes each part that fills an expression, even where a URL has its host. So one resource has many spellings:
``file:///docs/../secret/key``, ``FILE:/secret/key`` and ``file:///secr%65t/key`` may all be the same.

A caller passes only if every reading that a server may look up is allowed, and none that it may resolve to is denied.
The names in rules are read in the same way, so a rule applies to a resource however the rule or the caller spells it.

The parser is that of pydantic, which servers on the Python SDK use; where Node.js reads a URI differently, its reading
is added (`tests/protocol/test_resource_spellings.py` compares them).
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from pydantic_core import Url

from ostiary_core.errors import AmbiguousURIError


class Readings(NamedTuple):
    """The possible readings of one URI.

    ``looked_up`` are the keys under which servers may look it up, the spelling first: all must be allowed.
    ``ends_at`` are further forms of what it may resolve to, decoded: none may be denied.
    """

    looked_up: tuple[str, ...]
    ends_at: tuple[str, ...] = ()


#: The parts of a parsed URL: scheme, authority, path, query, fragment (RFC 3986, appendix B).
_PARTS: Final = re.compile(r"([a-z][a-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
#: The schemes whose URLs the standard rewrites most, in any case, and with leading characters that parsers strip.
_SPECIAL: Final = re.compile(r"[\x00-\x20]*(?:https?|wss?|ftp|file)[\t\n\r]*:", re.IGNORECASE)
_EXPRESSION: Final = re.compile(r"\{[^{}]*\}")
_HEX: Final = "0123456789abcdefABCDEF"
#: Percent-escapes and their characters, without the star: in the name of a rule it would become a wildcard.
_OCTETS: Final = {
    pair.encode(): bytes.fromhex(pair) for pair in (a + b for a in _HEX for b in _HEX) if pair.upper() != "2A"
}
#: Characters that parsers remove from a URL at any position.
_STRIPPED: Final = re.compile(r"[\t\n\r]")
#: A segment that begins like a Windows drive.
_DRIVE: Final = re.compile(r"[/\\:][\t\n\r]*[A-Za-z][\t\n\r]*[:|]")
_DRIVE_WITH_BAR: Final = re.compile(r"^(file:///[A-Za-z])\|")
_UNSAFE: Final = re.compile(r"^\x20|\x20$|[\x00-\x1f\x7f\\]")
#: Newer parsers percent-encode these in places where older ones keep them.
_ENCODED_BY_SOME: Final = ("^", "|", " ")


def read_uri(uri: str) -> Readings:
    """Return the readings of a URI or of a URI template.

    The braces of a template are judged as they are, even where parsers would percent-encode them.

    Raises:
        AmbiguousURIError: servers' readings cannot be predicted; the message says why.
    """
    looked_up, *ends = _read(uri)
    return Readings(looked_up, tuple(dict.fromkeys(end for end in ends if end not in looked_up)))


def rule_names(names: Iterable[str] | None, *, denies: bool) -> list[str] | None:
    """Return the names of a rule on resources, and their readings, to which it applies, too.

    A name with ``*`` is read like any URI, its stars as letters; one that is not a URL is kept as it is spelled.
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
            found |= dict.fromkeys(ends[:1])  # the bare form would apply to other hosts as well
    return list(found)


def _read(uri: str) -> tuple[tuple[str, ...], *tuple[str, ...]]:
    """Return the keys under which servers may look a URI up, then what it resolves to.

    The latter is given whole, bare, and only decoded.
    """
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
        raise AmbiguousURIError("it cannot be represented in a form that can be judged")
    path = _decoded(parts[3])
    if _climbs(path) or _climbs(_decoded(parts[2] or "")):
        raise AmbiguousURIError('it has a ".." segment that is encoded, after a backslash, or not part of a path')
    if parts[1] == "file" and (parts[4] or parts[5]):
        looked_up.append(parsed[: parts.end(3)])  # query and fragment are not part of a file's path
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
    """Accept a URI that is not a URL if no server could read it differently.

    Raises:
        AmbiguousURIError: a server could.
    """
    if _SPECIAL.match(uri):
        filled = _EXPRESSION.sub("0", uri)  # a template may be where a URL has a number: its port
        if filled == uri or _parse(filled) != filled:
            raise AmbiguousURIError("it has the scheme of a URL and is not a valid one")
    if _UNSAFE.search(uri):
        raise AmbiguousURIError(
            "it is not an absolute URI, and has a backslash, a control character or a space at an end"
        )
    if _climbs(_decoded(uri)):
        raise AmbiguousURIError('it is not an absolute URI, and has a ".." segment')


def _of_other_parsers(uri: str, parsed: str) -> Iterable[str]:
    """Return the readings of a URI by other parsers than ours."""
    stripped = _STRIPPED.sub("", uri)
    if stripped != uri:
        yield _parse(stripped) or uri  # our parser takes a drive letter before one of these for a segment
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
        yield parsed[: parts.start(3)] + parsed[parts.end(3) :]  # Node.js 20 removes the whole path for a final ".."


def _end(parts: re.Match[str], path: str, *, bare: bool) -> str:
    """Return what a URL resolves to once its path is decoded and resolved.

    ``bare`` omits what servers tend to ignore: user information, the fragment, and for a file its host and query.
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
    """Return a decoded path without empty and ``.`` segments; a file's without a last slash."""
    path = path.replace("\\", "/")
    if not (of_file or "//" in path or "." in path):
        return path
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    start = "/" if path.startswith("/") else ""
    end = "/" if segments and not of_file and path.endswith(("/", "/.")) else ""
    return start + "/".join(segments) + end


def _decoded(text: str) -> str:
    """Decode percent-escapes except ``*``, which would become a wildcard in a rule's name."""
    if "%" not in text:
        return text
    first, *others = text.encode("utf-8", "replace").split(b"%")
    pieces = [first]
    for piece in others:
        octet = _OCTETS.get(piece[:2])
        pieces += (octet, piece[2:]) if octet is not None else (b"%", piece)
    return b"".join(pieces).decode("utf-8", "replace")
