"""Asks the API server what a viewer may see, by SubjectAccessReview.

The console itself may read every MCPProxy, so it must never show one by its own rights. An answer counts for 30
seconds. For many objects the widest question is asked first: who may see all objects of the cluster, or of a namespace,
needs no question for each. Where the console serves only some namespaces, a LocalSubjectAccessReview in each takes the
place of the cluster-wide one.
"""

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from ostiary_operator.console.access.rights import Right, Viewer, ViewerRights
from ostiary_operator.kube.kinds import GROUP, LOCAL_SUBJECT_REVIEW, SUBJECT_REVIEW, Kind

#: Seconds for which an answer counts: a right that is withdrawn is gone after that.
SECONDS: Final = 30.0
#: Questions at the API server at once, of all viewers.
_AT_ONCE: Final = 32
#: Answers that are remembered, of all viewers: about 20 MiB.
_REMEMBERED: Final = 65_536
#: The name of an object, or the namespace, in a question about all of them.
_ALL: Final = ""

T = TypeVar("T")


class ReviewClient(Protocol):
    """The one verb of a Kubernetes client that reviews need.

    A review is created, and not stored.
    """

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a review, and return it with its answer.

        Raises:
            ClusterError: there is no answer.
        """
        ...


class SubjectReviews:
    """The answers for all viewers.

    ``namespaces`` are those that the console serves; None for the whole cluster. Must be used within one event loop.
    """

    def __init__(
        self,
        cluster: ReviewClient,
        *,
        namespaces: Iterable[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._namespaces = frozenset(namespaces) if namespaces is not None else None
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._answers: OrderedDict[tuple[object, ...], tuple[float, asyncio.Task[bool]]] = OrderedDict()

    def of(self, viewer: Viewer) -> ViewerRights:
        """Return the rights of a viewer."""
        return ReviewedRights(self, viewer)

    @property
    def is_cluster_wide(self) -> bool:
        """Whether one question can be about all namespaces."""
        return self._namespaces is None

    def known(self, viewer: Viewer, right: Right, namespace: str, name: str) -> bool | None:
        """Return the answer to a question if it is known, without asking."""
        task = self._current((viewer.key, right, namespace, name))
        return task.result() if task is not None and task.done() else None

    async def allows(self, viewer: Viewer, right: Right, namespace: str, name: str) -> bool:
        """Return whether a viewer has a right. Several that ask at once share one question.

        Without a ``name`` it is about all objects of the namespace, without a ``namespace`` about all of the cluster.

        Raises:
            ClusterError: the API server does not answer, or the console may not ask.
        """
        if self._namespaces is not None and namespace not in self._namespaces:
            return False
        key = (viewer.key, right, namespace, name)
        task = self._current(key)
        if task is None:
            task = asyncio.ensure_future(self._ask(viewer, right, namespace, name))
            self._remember(key, task)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up the questions that are still open."""
        for _, task in self._answers.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._answers.values()), return_exceptions=True)
        self._answers.clear()

    def _current(self, key: tuple[object, ...]) -> "asyncio.Task[bool] | None":
        until, task = self._answers.get(key, (0.0, None))
        if task is None or self._clock() >= until or _failed(task):
            return None
        return task

    def _remember(self, key: tuple[object, ...], task: "asyncio.Task[bool]") -> None:
        self._answers[key] = (self._clock() + SECONDS, task)
        self._answers.move_to_end(key)
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)

    async def _ask(self, viewer: Viewer, right: Right, namespace: str, name: str) -> bool:
        attributes = {"group": GROUP, "resource": right.resource, "verb": "get", "namespace": namespace, "name": name}
        if right.subresource:
            attributes["subresource"] = right.subresource
        body: dict[str, Any] = {"spec": {"resourceAttributes": attributes, **_subject(viewer)}}
        kind = SUBJECT_REVIEW
        if self._namespaces is not None:
            kind = LOCAL_SUBJECT_REVIEW
            body["metadata"] = {"namespace": namespace}
        async with self._slots:
            answer = await self._cluster.create(kind, body)
        return (answer.get("status") or {}).get("allowed") is True


class ReviewedRights:
    """The rights of one viewer, as the API server judges them."""

    def __init__(self, reviews: SubjectReviews, viewer: Viewer) -> None:
        self._reviews = reviews
        self._viewer = viewer

    async def may(self, right: Right, *, namespace: str, name: str) -> bool:
        """Return whether the viewer has a right to one object.

        A wider right that is known already answers it.
        """
        if not (namespace and name):
            return False
        if any(self._reviews.known(self._viewer, right, *wider) for wider in ((_ALL, _ALL), (namespace, _ALL))):
            return True
        return await self._reviews.allows(self._viewer, right, namespace, name)

    async def visible(self, right: Right, identities: Sequence[str]) -> frozenset[str]:
        """Return those objects to which the viewer has the right."""
        if not identities:
            return frozenset()
        if self._reviews.is_cluster_wide and await self._reviews.allows(self._viewer, right, _ALL, _ALL):
            return frozenset(identities)
        by_namespace: dict[str, list[str]] = defaultdict(list)
        for identity in identities:
            by_namespace[identity.partition("/")[0]].append(identity)
        found = await _together(self._in_namespace(right, *each) for each in by_namespace.items())
        return frozenset().union(*found)

    async def _in_namespace(self, right: Right, namespace: str, identities: Sequence[str]) -> frozenset[str]:
        if await self._reviews.allows(self._viewer, right, namespace, _ALL):
            return frozenset(identities)
        names = [identity.partition("/")[2] for identity in identities]
        found = await _together(self._reviews.allows(self._viewer, right, namespace, name) for name in names)
        return frozenset(identity for identity, allowed in zip(identities, found, strict=True) if allowed)


def _subject(viewer: Viewer) -> dict[str, Any]:
    extra = {name: list(values) for name, values in viewer.extra.items()}
    return {"user": viewer.username, "groups": list(viewer.groups), "uid": viewer.uid, "extra": extra}


def _failed(task: "asyncio.Task[bool]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _together(questions: Iterable[Awaitable[T]]) -> list[T]:
    return list(await asyncio.gather(*questions))
