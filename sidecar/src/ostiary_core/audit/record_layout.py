"""What every line of an audit trail has in common.

A line is one JSON object without line breaks. ``apiVersion`` and ``kind`` are its first members and ``chain`` is its
last one, so that a line's kind and its place in the chain can be read without parsing the rest.
"""

from typing import Final

#: The version of the record. A reader refuses another one.
API_VERSION: Final = "audit.ostiary.dev/v1"
#: The most bytes of a line with its line break: container runtimes split a longer line of stdout.
MAX_LINE_BYTES: Final = 16 * 1024
#: The most bytes that :mod:`ostiary_core.audit.chain` adds to a record.
MAX_CHAIN_BYTES: Final = 512

#: One request of a caller: a decision, or how it ended.
EVENT: Final = "Event"
#: The first record of each chain.
GATEWAY_STARTED: Final = "GatewayStarted"
#: The last record of a process that ended in order; only the closing checkpoint follows.
GATEWAY_STOPPED: Final = "GatewayStopped"
CONFIGURATION_CHANGED: Final = "ConfigurationChanged"
#: Records that were lost, and why.
GAP: Final = "Gap"
#: A signature over all records before it.
CHECKPOINT: Final = "Checkpoint"
KINDS: Final = (EVENT, GATEWAY_STARTED, GATEWAY_STOPPED, CONFIGURATION_CHANGED, GAP, CHECKPOINT)


def head_of(kind: str) -> bytes:
    """Return the bytes with which every record of a kind begins; more members follow."""
    return f'{{"apiVersion":"{API_VERSION}","kind":"{kind}",'.encode()


#: The kinds, by the first bytes of a line.
KIND_BY_HEAD: Final = {head_of(kind): kind for kind in KINDS}
_LONGEST_HEAD: Final = max(map(len, KIND_BY_HEAD))
#: What stands before the name of the kind.
_BEFORE_KIND: Final = f'{{"apiVersion":"{API_VERSION}","kind":"'.encode()


def kind_of(line: bytes) -> str | None:
    """Return the kind of a record by its first bytes; None if it is no audit record."""
    if not line.startswith(_BEFORE_KIND):
        return None
    end = line.find(b'",', len(_BEFORE_KIND), _LONGEST_HEAD) + 2
    return KIND_BY_HEAD.get(line[:end])
