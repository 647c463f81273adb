"""What the cursor of a merged list holds.

That is the method, where the next page begins, and which lists it is a page of. It is sealed for its caller
(:mod:`ostiary_gateway.seal`), so that no caller can make one or use that of another.
"""

import struct
from typing import Final, NamedTuple

from ostiary_core.mcp.methods import LISTS

_FORM: Final = struct.Struct(">BI16s")
#: Cursors hold indexes into this list: append only.
_METHODS: Final = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")

if {row.name for row in LISTS.values()} != set(_METHODS):
    raise AssertionError("each list has a place in the cursors")


class ListCursor(NamedTuple):
    """The place of a page in a merged list.

    ``digest`` is that of the raw lists (:func:`.merged_list.digest_of`).
    """

    method: str
    offset: int
    digest: bytes

    def packed(self) -> bytes:
        """Return it as bytes, to be sealed."""
        return _FORM.pack(_METHODS.index(self.method), self.offset, self.digest)

    @classmethod
    def unpacked(cls, plain: bytes) -> "ListCursor | None":
        """Return what :meth:`packed` made; None for what a newer replica may have made."""
        if len(plain) != _FORM.size:
            return None
        method, offset, digest = _FORM.unpack(plain)
        return cls(_METHODS[method], offset, digest) if method < len(_METHODS) else None
