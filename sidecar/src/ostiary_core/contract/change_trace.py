"""The trace context of a change, delivered with the manifest that the change made.

It is a file of its own, and not a member of the manifest: an earlier gateway refuses a manifest with a member that it
does not know, and ignores other files. It carries a MAC by the key that signs the manifest, and names the manifest's
revision, so it cannot be moved to another one. A context that cannot be proved is ignored, and the config is still
used: a trace decides nothing.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import StringConstraints, ValidationError

from ostiary_core.contract import mac
from ostiary_core.contract.base import ContractDocument, Count
from ostiary_core.contract.manifest import Mac
from ostiary_core.errors import ContractError

TRACE_FILE: Final = "trace.json"
#: The limit of the file: a revision, 55 characters of context, the name of a key, and a MAC.
MAX_TRACE_BYTES: Final = 1024
_DOMAIN: Final = b"ostiary change trace v1\n"
#: Version 00 of W3C Trace Context, with lower-case ids that are not all zero.
_TRACEPARENT: Final = r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"


class ChangeTrace(ContractDocument):
    """The W3C ``traceparent`` of the change that made this revision of the manifest."""

    revision: Count
    traceparent: Annotated[str, StringConstraints(pattern=_TRACEPARENT)]
    mac: Mac

    def covered(self) -> bytes:
        """Return the bytes that the MAC covers."""
        return b"%d\n%b" % (self.revision, self.traceparent.encode())


def write(traceparent: str, *, revision: int, key_name: str, key: bytes) -> dict[str, bytes]:
    """Return the file with the trace context of a change.

    It is signed with a key of the gateway's Secret.
    """
    blank = ChangeTrace(revision=revision, traceparent=traceparent, mac=Mac(key=key_name, value=""))
    value = mac.value_of(blank.covered(), key, domain=_DOMAIN)
    return {TRACE_FILE: blank.model_copy(update={"mac": Mac(key=key_name, value=value)}).canonical()}


def read(files: Mapping[str, bytes], keys: Mapping[str, bytes], *, revision: int) -> str | None:
    """Return the ``traceparent`` that was delivered with this revision, or None.

    ``keys`` are the gateway's MAC keys by name. A file that is too large, invalid, of another revision or without a
    valid MAC counts as absent.
    """
    text = files.get(TRACE_FILE)
    if text is None or len(text) > MAX_TRACE_BYTES:
        return None
    try:
        found = ChangeTrace.model_validate_json(text)
        mac.check(found.mac, found.covered(), keys, what="trace context", domain=_DOMAIN)
    except (ValidationError, ContractError):
        return None
    return found.traceparent if found.revision == revision else None


def kept(files: Mapping[str, bytes], keys: Mapping[str, bytes], *, revision: int) -> dict[str, bytes]:
    """Return the file as it is, where it belongs to this revision.

    A manifest that stays keeps its trace.
    """
    return {TRACE_FILE: files[TRACE_FILE]} if read(files, keys, revision=revision) is not None else {}
