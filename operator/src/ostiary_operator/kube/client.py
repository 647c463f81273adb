"""The verbs of the Kubernetes API that the operator uses, as a protocol.

Everything above it can run against an in-memory cluster.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ostiary_operator.api.objects import Object, Objects
from ostiary_operator.kube.kinds import Kind


class KubernetesClient(Protocol):
    """A client of the Kubernetes API.

    All methods raise :class:`~ostiary_operator.kube.errors.ClusterError`.
    """

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        """Return all objects of a kind, in a namespace or cluster-wide, in a consistent read.

        Raises:
            KindMissing: the kind is not installed.
        """
        ...

    async def get(self, kind: Kind, *, name: str, namespace: str | None = None) -> Object:
        """Return one object.

        Raises:
            NotFound: it does not exist.
        """
        ...

    async def apply(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Apply an object with server-side apply, and return the result.

        ``manager`` is the field manager; conflicts with other managers are forced. A ``resourceVersion`` or ``uid`` in
        the body is a precondition.

        Raises:
            Conflict: the precondition does not hold.
        """
        ...

    async def apply_status(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Apply only the status subresource of an existing object.

        Raises:
            NotFound: the object is gone.
            Conflict: another object has this name now.
        """
        ...

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Object:
        """Create an object, and return it with what the API server added."""
        ...

    async def patch(self, kind: Kind, body: Mapping[str, Any], *, name: str, namespace: str | None = None) -> Object:
        """Merge a JSON patch (RFC 7396) into an object."""
        ...
