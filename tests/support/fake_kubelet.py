"""Marks every Pod as running and ready, as a kubelet would: for a control plane without nodes.

with PretendKubelet(control_plane): …
"""

import contextlib
import threading
from types import TracebackType
from typing import Any, Self

from ostiary_tools.cluster.api import ApiError
from ostiary_tools.cluster.control_plane import ControlPlane

_PERIOD = 0.1  # seconds between two looks


class FakeKubelet:
    """Only the status is made up; whether a Pod is admitted, and what becomes of its Deployment, is Kubernetes' own."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            with contextlib.suppress(ApiError, OSError):  # not up yet, or the Pod has gone meanwhile
                for pod in self._control_plane.api.request("GET", "/api/v1/pods")["items"]:
                    if pod.get("status", {}).get("phase") == "Pending":
                        self._start(pod["metadata"])

    def _start(self, metadata: dict[str, Any]) -> None:
        conditions = [{"type": each, "status": "True"} for each in ("Ready", "ContainersReady", "Initialized")]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        self._control_plane.api.request("PATCH", path, {"status": {"phase": "Running", "conditions": conditions}})
