"""A client that only writes while this replica leads."""

from collections.abc import Callable, Mapping
from typing import Any

from ostiary_operator.kube.client import KubernetesClient, Object, Objects
from ostiary_operator.kube.errors import Fenced
from ostiary_operator.kube.kinds import Kind


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
