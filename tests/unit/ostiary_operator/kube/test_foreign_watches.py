"""Kinds of other operators are looked for while proxies refer to them, and a pass follows where one came or went."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from operator_objects import SYSTEM, until

from ostiary_operator.api.objects import Object
from ostiary_operator.api.server_kinds import BUILT_IN
from ostiary_operator.compile.foreign_servers import ServerKey, WantedServer
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.errors import NotFound, Unreachable
from ostiary_operator.kube.event_filter import EventFilter
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.foreign_watches import ForeignWatches
from ostiary_operator.kube.kinds import ACCESS_REVIEW, REFERENCE_GRANTS, Kind
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.server_reader import ForeignServerReader, kind_of

TOOLHIVE = next(kind_of(kind) for kind in BUILT_IN if kind.group == "toolhive.stacklok.dev")
KEY = ServerKey(TOOLHIVE.group, TOOLHIVE.name, "crm", "crm")


class DiscoveringCluster(FakeClient):
    """A cluster in memory that serves some kinds, and gives no right to watch them, so that no watch is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.missing_kinds |= {TOOLHIVE, *REFERENCE_GRANTS}
        self.asked: list[str] = []
        self.is_away = False

    async def document(self, path: str) -> Object:
        self.asked.append(path)
        if self.is_away:
            raise Unreachable("no answer")
        kinds = {TOOLHIVE, *REFERENCE_GRANTS} - self.missing_kinds
        found = [{"name": each.plural} for each in kinds if path == f"/apis/{each.group}/{each.version}"]
        if not found:
            raise NotFound(path)
        return {"resources": [*found, {"name": "others"}, 7]}

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Object:
        if kind != ACCESS_REVIEW:
            return await super().create(kind, body)
        return {"status": {"allowed": False}}


class Looking:
    """Watches that look whenever a test says so, and the passes that they asked for."""

    def __init__(self) -> None:
        self.cluster = DiscoveringCluster()
        self.reader = ForeignServerReader(self.cluster, BUILT_IN)
        self.passes: list[str] = []
        options = OperatorOptions(operator_namespace=SYSTEM)
        filtering = EventFilter(lambda _uid, _status: True)
        self.watches = ForeignWatches(self.cluster, options, filtering, self._enqueue, self.reader)
        self.reader.on_wanted = self.watches.look

    def _enqueue(self, reason: str, changed: ChangedNamespaces) -> None:
        assert changed == EVERYTHING
        self.passes.append(reason)

    async def look(self) -> None:
        """Look, and wait until that is over."""
        before = len(self.cluster.asked)
        self.watches.look()
        await until(lambda: len(self.cluster.asked) > before)
        await until(lambda: not self.watches.is_looking)

    async def wants(self, *namespaces: str) -> None:
        """Read as a pass would: proxies of these namespaces refer to the server."""
        await self.reader.read([WantedServer(each, KEY) for each in namespaces])


@asynccontextmanager
async def looking() -> AsyncIterator[Looking]:
    it = Looking()
    task = asyncio.create_task(it.watches.run())
    try:
        yield it
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_asked_while_nothing_is_referred_to() -> None:
    async with looking() as it:
        it.watches.look()
        await until(lambda: not it.watches.is_looking)
        assert it.cluster.asked == []


async def test_a_kind_that_comes_or_goes_makes_one_pass() -> None:
    async with looking() as it:
        await it.wants("crm")
        await it.look()
        assert it.passes == []
        it.cluster.missing_kinds.discard(TOOLHIVE)
        await it.look()
        assert it.passes == ["definitions"]
        await it.wants("crm")
        await it.look()
        assert it.passes == ["definitions"]
        it.cluster.missing_kinds.add(TOOLHIVE)
        await it.look()
        assert it.passes == ["definitions"] * 2


async def test_a_kind_that_a_pass_found_and_that_went_before_the_next_look_makes_a_pass() -> None:
    async with looking() as it:
        await it.wants("crm")
        await it.look()
        it.cluster.missing_kinds.discard(TOOLHIVE)
        await it.wants("crm")
        it.cluster.missing_kinds.add(TOOLHIVE)
        await it.look()
        assert it.passes == ["definitions"]


async def test_an_unreachable_api_server_changes_nothing() -> None:
    async with looking() as it:
        it.cluster.missing_kinds.discard(TOOLHIVE)
        await it.wants("crm")
        await it.look()
        it.cluster.is_away = True
        await it.look()
        it.cluster.is_away = False
        await it.look()
        assert it.passes == ["definitions"]


async def test_reference_grants_are_looked_for_in_both_versions() -> None:
    async with looking() as it:
        await it.wants("team-a")
        await it.look()
        assert {f"/apis/{each.group}/{each.version}" for each in REFERENCE_GRANTS} <= set(it.cluster.asked)
        it.cluster.missing_kinds -= set(REFERENCE_GRANTS)
        await it.look()
        await it.wants("team-a")
        await it.look()
        assert it.passes == ["definitions"]
