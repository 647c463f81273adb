"""What a replica has seen of pinned definitions, for one proxy under its present locks.

It is bounded whatever servers send: sightings are kept of approved names only, drift of a few definitions. Both belong
to the compiled locks, so another lock begins with nothing seen, and a call after it asks the server first.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from time import time
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.canonical import canonical, digest
from ostiary_core.definitions.definition_rules import DefinitionRules
from ostiary_gateway.catalogue.raw_list import RawList

#: Drifted definitions that are kept of one proxy, and bytes of each that are reported.
MOST_DRIFTS: Final = 64
MOST_BYTES: Final = 16 * 1024
_LONGEST_NAME: Final = 512
#: Lists of one proxy, by server and credential, of which sightings are kept.
_MOST_LISTS: Final = 512
#: Merged lists that are kept without what is not approved.
#: Seconds for which drift is reported after the definition was seen as approved, or after nothing was seen of it: a
#: server that alternates would else be reported as well every other second.
_DWELL: Final = 600.0
_FORGOTTEN: Final = 6 * 3600.0
#: The monotonic time of a sighting that was drift: long ago.
_DRIFTED: Final = float("-inf")
INSTRUCTIONS: Final = "instructions"


@dataclass(slots=True)
class SeenDrift:
    """A definition that was seen and is not approved.

    ``definition`` is its canonical JSON, None where that is too large. ``at`` and ``well_at`` are epoch seconds: when
    it was last seen, and when the name was last seen as approved, or gone.
    """

    server: str
    primitive: str
    name: str
    digest: str
    definition: bytes | None
    at: float
    well_at: float = 0.0

    def report(self) -> dict[str, Any]:
        """Return it as the admin port shows it."""
        found: dict[str, Any] = {"server": self.server, "primitive": self.primitive, "name": self.name}
        found |= {"digest": self.digest, "at": int(self.at)}
        return found | ({"definition": self.definition.decode()} if self.definition is not None else {})


@dataclass(slots=True)
class PinnedDefinitions:
    """What was seen of the pinned definitions of one proxy."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often definitions drifted, by server and primitive."""
    raw: OrderedDict[tuple[int, str, bytes], RawList] = field(default_factory=OrderedDict)
    """Merged lists without what is not approved, by server, list and digest."""
    has_seen: bool = False
    """Whether any list was compared."""
    _lists: OrderedDict[tuple[int, Hashable, str], dict[str, float]] = field(default_factory=OrderedDict)
    _drifts: OrderedDict[tuple[str, str, str], SeenDrift] = field(default_factory=OrderedDict)

    @property
    def has_drifted(self) -> bool:
        """Whether any definition is known that drifted."""
        return bool(self._drifts)

    def sightings(self, server: int, context: Hashable, list_key: str) -> dict[str, float]:
        """Return when each approved name was last seen as approved, in monotonic seconds."""
        key = (server, context, list_key)
        found = self._lists.get(key)
        if found is None:
            found = self._lists[key] = {}
            while len(self._lists) > _MOST_LISTS:
                self._lists.popitem(last=False)
        self._lists.move_to_end(key)
        return found

    def is_seen(self, server: int, context: Hashable, list_key: str, name: str, *, since: float) -> bool:
        """Return whether a name was seen as approved since then, and not as drifted after that."""
        found = self._lists.get((server, context, list_key))
        return found is not None and found.get(name, _DRIFTED) >= since

    def note_drift(self, server: str, primitive: str, name: str, found: str | None, definition: Any) -> None:
        """Note a definition that is not approved, with its digest; the oldest one makes room."""
        self.counts[server, primitive] = self.counts.get((server, primitive), 0) + 1
        shown, text = name[:_LONGEST_NAME], _reported(definition) if found is not None else None
        self._drifts[server, primitive, shown] = SeenDrift(server, primitive, shown, found or "", text, time())
        self._drifts.move_to_end((server, primitive, shown))
        while len(self._drifts) > MOST_DRIFTS:
            self._drifts.popitem(last=False)

    def note_well(self, server: str, primitive: str, name: str) -> None:
        """Note that a name is as approved, or gone."""
        found = self._drifts.get((server, primitive, name[:_LONGEST_NAME]))
        if found is not None:
            found.well_at = time()

    def note_gone(self, server: str, primitive: str, names: set[str]) -> None:
        """Note all names that a server listed: others are gone."""
        for drift in self._drifts.values():
            if (drift.server, drift.primitive) == (server, primitive) and drift.name not in names:
                drift.well_at = time()

    def drifts(self) -> Iterator[SeenDrift]:
        """Yield what drifted and is not known to be well again for a while, the newest first."""
        now = time()
        for drift in reversed(self._drifts.values()):
            is_well = drift.well_at > drift.at and now - drift.at > _DWELL
            if not is_well and now - drift.at < _FORGOTTEN:
                yield drift


def _reported(definition: Any) -> bytes | None:
    text = canonical(definition)
    return text if len(text) <= MOST_BYTES else None


#: By the compiled locks of a proxy: what was seen under them.
_STATES: Final[WeakKeyDictionary[DefinitionRules, PinnedDefinitions]] = WeakKeyDictionary()


def drift_summary(rules: DefinitionRules) -> dict[str, Any]:
    """Return how many definitions drifted, and a digest that changes with them."""
    state = _STATES.get(rules) or PinnedDefinitions()
    found = list(state.drifts())
    names = sorted([drift.server, drift.primitive, drift.name, drift.digest] for drift in found)
    return {"seen": state.has_seen, "drifted": len(found), "digest": digest(canonical(names))}


def drift_report(rules: DefinitionRules) -> list[dict[str, Any]]:
    """Return the definitions that drifted, whole where they are small."""
    state = _STATES.get(rules)
    return [drift.report() for drift in state.drifts()] if state is not None else []


def drift_counts(rules: DefinitionRules) -> dict[tuple[str, str], int]:
    """Return how often definitions drifted, by server and primitive."""
    state = _STATES.get(rules)
    return dict(state.counts) if state is not None else {}


def pinned_state(rules: DefinitionRules) -> PinnedDefinitions:
    """Return what was seen under these rules."""
    found = _STATES.get(rules)
    if found is None:
        found = _STATES[rules] = PinnedDefinitions()
    return found
