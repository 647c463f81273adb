"""The rounds of one call: its caller repeats it with what its server asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ostiary_core import strict_json
from ostiary_gateway.bridge.to_legacy import log_level, progress_token
from ostiary_gateway.pipeline.exchange import Exchange


@dataclass(frozen=True, slots=True)
class CallRound:
    """What one round of a call has of its own.

    ``reply_id`` is the id of its response, ``token`` its progress token and ``level`` the log level that it wants.
    """

    reply_id: str | int
    token: str | int | None = None
    level: str = ""

    @classmethod
    def of(cls, exchange: Exchange) -> "CallRound":
        """Return the round that a request of a modern caller is."""
        params = exchange.message.params if exchange.message is not None else {}
        identifier = exchange.upstream_id
        if identifier is None:
            raise AssertionError("a call has an id")
        return cls(identifier, progress_token(params), log_level(params))


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What a caller sends with the next round of a parked call.

    Its inputs, and what the round has of its own. ``authorization`` is the credential that it presents now, where its
    server is sent one that depends on it.
    """

    round_: CallRound
    inputs: Mapping[str, Any] = field(default_factory=dict)
    authorization: str = field(default="", repr=False)

    def written(self) -> bytes:
        """Return it for the replica where the call is parked."""
        found = {
            "id": self.round_.reply_id,
            "token": self.round_.token,
            "level": self.round_.level,
            "inputs": dict(self.inputs),
            "authorization": self.authorization,
        }
        return strict_json.dumps(found)

    @classmethod
    def read(cls, payload: bytes) -> "CallAnswer":
        """Return an answer that a replica has written."""
        found = strict_json.loads(payload)
        return cls(CallRound(found["id"], found["token"], found["level"]), found["inputs"], found["authorization"])
