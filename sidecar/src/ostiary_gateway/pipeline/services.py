"""What the stages after the selection share: one of each for a gateway process."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.content.mask_keys import ContentKeys
from ostiary_gateway.content.scorer_client import Scorers
from ostiary_gateway.pipeline.bridged.legacy_sessions import LegacySessions
from ostiary_gateway.pipeline.continuations.continuations import Continuations
from ostiary_gateway.pipeline.continuations.hop_endpoint import HopEndpoint
from ostiary_gateway.pipeline.continuations.replica_hops import ReplicaHops
from ostiary_gateway.pipeline.continuations.request_states import RequestStates
from ostiary_gateway.pipeline.exchange import Taken
from ostiary_gateway.pipeline.limit_stage import LimitStage
from ostiary_gateway.pipeline.merged_sessions.server_sessions import ServerSessions
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey, SessionNotes
from ostiary_gateway.pipeline.merged_sessions.session_places import SessionPlaces
from ostiary_gateway.pipeline.open_streams import OpenStreams
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import FoundEndpoints
from ostiary_gateway.pipeline.request_ids import RequestIds
from ostiary_gateway.pipeline.shape import ResponseShaper
from ostiary_gateway.seal import Sealer
from ostiary_gateway.server.request import Request

if TYPE_CHECKING:
    from ostiary_gateway.pipeline.bridged.subscribed_resources import SubscribedResources

#: The bytes of a message between replicas before there is a config.
_SMALLEST_HOP: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class PipelineServices:
    """The state of a gateway that the stages after the selection use.

    ``snapshot`` returns the config in force, None while the gateway drains; ``is_cut_off`` says whether a request was
    cancelled because the drain period is over. ``sessions`` are those of callers with several servers,
    ``continuations`` what waits for an answer. ``cancellable`` are the bridged requests in flight, which their callers
    may cancel; ``subscribed`` follow what sessions with open streams subscribe to, by session and server; ``places``
    finds both in other replicas. ``scorers`` are asked by guards, ``content_keys`` make hashes and tokens in place of
    values, and ``found_endpoints`` have sessions whose ids do not say so.
    """

    sealer: Sealer
    shaper: ResponseShaper
    request_ids: RequestIds
    streams: OpenStreams
    snapshot: Callable[[], Snapshot | None]
    is_cut_off: Callable[[Request], bool]
    sessions: ServerSessions
    continuations: Continuations
    states: RequestStates
    legacy_sessions: LegacySessions
    hops: ReplicaHops
    hop_endpoint: HopEndpoint
    limits: LimitStage
    places: SessionPlaces
    scorers: Scorers
    content_keys: ContentKeys = field(default_factory=ContentKeys)
    found_endpoints: FoundEndpoints = field(default_factory=FoundEndpoints)
    cancellable: dict[Taken, asyncio.Timeout] = field(default_factory=dict)
    subscribed: "dict[tuple[SessionKey, bytes], list[SubscribedResources]]" = field(default_factory=dict)

    async def close(self) -> None:
        """End what waits, and the sessions that the gateway has opened."""
        await self.places.close()
        self.continuations.close()
        await self.legacy_sessions.close()
        await self.hops.close()
        self.scorers.close()


def services_of(
    sealer: Sealer,
    request_ids: RequestIds,
    streams: OpenStreams,
    snapshot: Callable[[], Snapshot | None],
    is_cut_off: Callable[[Request], bool],
    limits: LimitStage,
    scorers: Scorers,
) -> PipelineServices:
    """Return the services of one gateway."""

    def limit() -> int:
        return hop_limit(snapshot())

    hops = ReplicaHops(sealer, limit=limit)
    continuations = Continuations(sealer, hops=hops)
    notes = SessionNotes()
    shaper = ResponseShaper(sealer=sealer, streams=streams, snapshot=snapshot, is_cut_off=is_cut_off)
    return PipelineServices(
        sealer,
        shaper,
        request_ids,
        streams,
        snapshot,
        is_cut_off,
        ServerSessions(notes),
        continuations,
        RequestStates(sealer),
        LegacySessions(),
        hops,
        HopEndpoint(sealer, continuations, limit=limit),
        limits,
        SessionPlaces(notes, continuations),
        scorers,
    )


def hop_limit(snapshot: Snapshot | None) -> int:
    """Return the most bytes of a message between replicas.

    Nothing may be larger that comes from a caller or server.
    """
    if snapshot is None:
        return _SMALLEST_HOP
    bounds = snapshot.settings.bounds
    return max(bounds.message_bytes, bounds.request_bytes)
