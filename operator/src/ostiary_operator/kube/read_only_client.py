"""What a reader of the cluster needs of a client: to read, and nothing else.

It imports no Kubernetes library, so that what also runs without a cluster does not load one.
"""

from typing import Protocol

from ostiary_operator.api.objects import Object, Objects
from ostiary_operator.kube.kinds import Kind


class ReadOnlyClient(Protocol):
    """The requests of a client that only read.

    All methods raise :class:`~ostiary_operator.kube.errors.ClusterError`.
    """

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        """Return all objects of a kind."""
        ...

    async def get(self, kind: Kind, *, name: str, namespace: str | None = None) -> Object:
        """Return one object."""
        ...

    async def document(self, path: str) -> Object:
        """Return the JSON document at a path."""
        ...
