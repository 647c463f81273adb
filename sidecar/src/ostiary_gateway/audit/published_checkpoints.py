"""Checkpoints on another way than the trail: who cuts a trail's end cannot take them back.

Each is logged. The last one is in the report of the admin port with the public keys, and the operator keeps it
where it outlives this process. Sinks that are copies get checkpoints with all other records.
"""

import logging
from typing import Any, Final

from ostiary_core.audit.chain import ChainPosition
from ostiary_gateway.audit.audit_keys import AuditKeys

_log: Final = logging.getLogger(__name__)


class PublishedCheckpoints:
    """The last checkpoint of this process; the thread of the trail publishes."""

    def __init__(self, keys: AuditKeys) -> None:
        self._keys = keys
        #: Replaced as a whole, so that any thread may read it.
        self._last: tuple[ChainPosition, str, bool] | None = None

    def publish(self, position: ChainPosition, key: str, closing: bool) -> None:
        """Log and keep a checkpoint: the position of its record, and the key that signed it."""
        self._last = (position, key, closing)
        what = "closing checkpoint" if closing else "checkpoint"
        _log.info("audit %s: chain %s seq %d hash %s key %s", what, position.id, position.seq, position.hash, key)

    def report(self) -> dict[str, Any] | None:
        """Return what the admin port says of the trail; None where there is none yet."""
        if self._last is None:
            return None
        position, key, closing = self._last
        checkpoint = {"chain": position.id, "seq": position.seq, "hash": position.hash, "key": key, "closing": closing}
        return {"publicKeys": list(self._keys.published()), "checkpoint": checkpoint}
