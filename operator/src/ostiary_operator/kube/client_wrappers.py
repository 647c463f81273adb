"""Clients that wrap another: one writes only while it leads, one counts writes."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ostiary_operator.api.objects import Object, Objects
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import ClusterError, Fenced
from ostiary_operator.kube.kinds import Kind

OnWrite = Callable[[str, str], None]
"""Called with (kind, outcome) of every write; the outcome is ``written`` or the name of the error."""

Around = Callable[[str, Mapping[str, Any]], AbstractContextManager[None]]
"""Called with (kind, body) of every write, which runs inside what it returns."""


def _plain(_kind: str, _body: Mapping[str, Any]) -> AbstractContextManager[None]:
    return nullcontext()


class FencedClient:
    """Passes requests on, and checks ``may_write`` before each write.

    Every verb raises :class:`~ostiary_operator.kube.errors.ClusterError`, those that write
    :class:`~ostiary_operator.kube.errors.Fenced` among them.
    """

    def __init__(self, inner: KubernetesClient, may_write: Callable[[], bool]) -> None:
        self._inner = inner
        self._may_write = may_write

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        """Pass on."""
        return await self._inner.list(kind, namespace=namespace, selector=selector)

    async def get(self, kind: Kind, *, name: str, namespace: str | None = None) -> Object:
        """Pass on."""
        return await self._inner.get(kind, name=name, namespace=namespace)

    async def apply(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Pass on while we lead."""
        self._check(kind)
        return await self._inner.apply(kind, body, manager=manager)

    async def apply_status(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Pass on while we lead."""
        self._check(kind)
        return await self._inner.apply_status(kind, body, manager=manager)

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Object:
        """Pass on while we lead."""
        self._check(kind)
        return await self._inner.create(kind, body)

    async def patch(self, kind: Kind, body: Mapping[str, Any], *, name: str, namespace: str | None = None) -> Object:
        """Pass on while we lead."""
        self._check(kind)
        return await self._inner.patch(kind, body, name=name, namespace=namespace)

    def _check(self, kind: Kind) -> None:
        if not self._may_write():
            raise Fenced(f"no {kind.name} is written: the lease was not renewed in time, and another replica may lead")


class MeasuredClient:
    """Passes requests on, and reports the outcome of each write. ``around`` may trace it."""

    def __init__(self, inner: KubernetesClient, on_write: OnWrite, *, around: Around = _plain) -> None:
        self._inner = inner
        self._on_write = on_write
        self._around = around

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        """Pass on."""
        return await self._inner.list(kind, namespace=namespace, selector=selector)

    async def get(self, kind: Kind, *, name: str, namespace: str | None = None) -> Object:
        """Pass on."""
        return await self._inner.get(kind, name=name, namespace=namespace)

    async def apply(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Count and pass on."""
        return await self._counted(kind.name, body, self._inner.apply(kind, body, manager=manager))

    async def apply_status(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Count and pass on."""
        return await self._counted(f"{kind.name}/status", body, self._inner.apply_status(kind, body, manager=manager))

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Object:
        """Count and pass on."""
        return await self._counted(kind.name, body, self._inner.create(kind, body))

    async def patch(self, kind: Kind, body: Mapping[str, Any], *, name: str, namespace: str | None = None) -> Object:
        """Count and pass on."""
        where = {"metadata": {"name": name, "namespace": namespace}}
        return await self._counted(kind.name, where, self._inner.patch(kind, body, name=name, namespace=namespace))

    async def _counted(self, kind: str, body: Mapping[str, Any], request: Awaitable[Object]) -> Object:
        try:
            with self._around(kind, body):
                response = await request
        except ClusterError as error:
            self._on_write(kind, type(error).__name__)
            raise
        self._on_write(kind, "written")
        return response
