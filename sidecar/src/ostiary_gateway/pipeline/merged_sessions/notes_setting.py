"""Where session notes lie: the setting ``sessionNotes`` of a gateway, as new settings come.

The library for Redis is imported when the first settings share notes: a gateway without a store does not load it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.options import WorkerOptions
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionNotes
from ostiary_gateway.pod_state.notes_server import NotesLink
from ostiary_gateway.seal import Sealer

if TYPE_CHECKING:
    from ostiary_gateway.policy_limits.store_link import StoreLink


class NotesSetting:
    """Follows the settings in force.

    ``link`` returns the connection to the store of limits, None where the settings name no store. Notes that replicas
    were to share, and cannot, are kept by each replica: calls go on, and servers are initialized more often. The
    workers of one replica share theirs in any case: ``worker`` says where.
    """

    def __init__(
        self,
        notes: SessionNotes,
        sealer: Sealer,
        link: "Callable[[], StoreLink | None]",
        *,
        worker: WorkerOptions | None = None,
    ) -> None:
        self._notes = notes
        self._sealer = sealer
        self._link = link
        self._pod = None if worker is None else NotesLink(worker.folder)
        self._linked: StoreLink | NotesLink | None = None
        self._max_age = 0

    def on_swap(self, snapshot: Snapshot, _changed: frozenset[str]) -> None:
        """Keep notes as new settings say, and forget those of proxies that are gone."""
        setting = snapshot.settings.session_notes
        self._max_age = snapshot.settings.bounds.session_max_age
        self._notes.are_kept = setting != "None"
        link = self._link() if setting == "Shared" else None
        self._share((link or self._pod) if self._notes.are_kept else None)
        self._notes.forget_proxies(frozenset(snapshot.proxies))

    def _share(self, link: "StoreLink | NotesLink | None") -> None:
        if link is self._linked:
            return
        self._linked, self._notes.shared = link, None
        if link is not None:
            from ostiary_gateway.pipeline.merged_sessions.shared_notes import SharedNotes  # noqa: PLC0415  see above

            self._notes.shared = SharedNotes(link, self._sealer, max_age=lambda: self._max_age)

    async def close(self) -> None:
        """Close the connection to the notes of the pod."""
        if self._pod is not None:
            await self._pod.close()
