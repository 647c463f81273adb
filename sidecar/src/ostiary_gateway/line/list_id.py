"""Where in an answer the id of its request stands, so that the rest of it can be told from that of another."""

import re
from dataclasses import dataclass
from typing import Final

_SPACE: Final = rb"[ \t\n\r]*"
_VERSION: Final = rb'"jsonrpc"' + _SPACE + rb":" + _SPACE + rb'"2\.0"'
_ID: Final = rb'"id"' + _SPACE + rb":" + _SPACE
#: The start of an answer up to its id, with nothing before but the version ...
_START: Final = re.compile(_SPACE + rb"\{" + _SPACE + rb"(?:" + _VERSION + _SPACE + rb"," + _SPACE + rb")?" + _ID)
#: ... or its end from the id, with nothing after but the version.
_LAST: Final = re.compile(rb"[,{]" + _SPACE + _ID)
_END: Final = re.compile(_SPACE + rb"(?:," + _SPACE + _VERSION + _SPACE + rb")?\}" + _SPACE)
#: So near to the end, besides its own length, is the id looked for.
_REACH: Final = 64


@dataclass(frozen=True, slots=True)
class Around:
    """A message without its id: what stands before that, and what after."""

    before: bytes
    after: bytes

    @property
    def size(self) -> int:
        """The bytes of both."""
        return len(self.before) + len(self.after)

    def is_whole(self, text: bytes, identifier: bytes) -> bool:
        """Say whether a text is this message with this id, an id as our serializer writes it."""
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
    """Split an answer at its id; None where that is not surely the id, or is not written as ``identifier``.

    ``text`` must be strict JSON, an object whose id is ``identifier``. Then the place is certain, whatever the server
    wrote around it. At the start nothing but the version stands before the key. At the end the quote before ``id`` is
    no escaped one, since no backslash stands before it, and it closes no string, since a bare ``id`` would follow; so
    it opens a key, and as the brace behind its value is the last byte, it is a key of the whole. The value is the id;
    a longer one that begins alike would be another. Another whole value in its place leaves the rest as it was.
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
