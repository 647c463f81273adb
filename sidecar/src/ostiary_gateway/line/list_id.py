"""Find the request id in a response, to compare the rest with another response."""

import re
from dataclasses import dataclass
from typing import Final

_SPACE: Final = rb"[ \t\n\r]*"
_VERSION: Final = rb'"jsonrpc"' + _SPACE + rb":" + _SPACE + rb'"2\.0"'
_ID: Final = rb'"id"' + _SPACE + rb":" + _SPACE
#: The start of a response up to its id, with only the version before it ...
_START: Final = re.compile(_SPACE + rb"\{" + _SPACE + rb"(?:" + _VERSION + _SPACE + rb"," + _SPACE + rb")?" + _ID)
#: ... or its end from the id on, with only the version after it.
_LAST: Final = re.compile(rb"[,{]" + _SPACE + _ID)
_END: Final = re.compile(_SPACE + rb"(?:," + _SPACE + _VERSION + _SPACE + rb")?\}" + _SPACE)
#: The id is searched within this many bytes of the end, in addition to its own length.
_REACH: Final = 64


@dataclass(frozen=True, slots=True)
class Around:
    """A message without its id: the bytes before it, and those after it."""

    before: bytes
    after: bytes

    @property
    def size(self) -> int:
        """The number of bytes of both."""
        return len(self.before) + len(self.after)

    def is_whole(self, text: bytes, identifier: bytes) -> bool:
        """Say whether a text is this message with this id, written as our serializer writes it."""
        before, after = self.before, self.after
        return (
            len(text) == len(before) + len(identifier) + len(after)
            and text.startswith(before)
            and text.startswith(identifier, len(before))
            and text.endswith(after)
        )

    def joined(self, identifier: bytes) -> bytes:
        """Return the message with this id."""
        return b"".join((self.before, identifier, self.after))


def around_id(text: bytes, identifier: bytes) -> Around | None:
    """Split a response at its id.

    It is None where that is not certainly the id, or not written as ``identifier``.

    ``text`` must be strict JSON, an object whose id is ``identifier``. Then the place is certain, whatever the server
    wrote around it. At the start, only the version precedes the key. At the end, the quote before ``id`` is not
    escaped, since no backslash precedes it, and it closes no string, since a bare ``id`` would follow; so it opens a
    key, and as the brace after its value is the last byte, it is a key of the outermost object. The value is the id; a
    longer value with the same beginning would be a different id. Another complete value in its place leaves the rest
    unchanged.
    """
    start = _START.match(text)
    if start is not None:
        end = start.end() + len(identifier)
        return Around(text[: start.end()], text[end:]) if text.startswith(identifier, start.end()) else None
    for key in _LAST.finditer(text, max(0, len(text) - len(identifier) - _REACH)):
        end = key.end() + len(identifier)
        if text.startswith(identifier, key.end()) and _END.fullmatch(text, end) is not None:
            return Around(text[: key.end()], text[end:])
    return None
