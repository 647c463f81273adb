"""What counts in a gateway process: alone, or together with the other workers of its pod.

Floods are counted by connection, and so by the worker that has it.
"""

from collections.abc import Callable

from ostiary_gateway.errors import Refusal
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.limits.pod_grants import Grants
from ostiary_gateway.limits.pod_limiter import PodLimiter
from ostiary_gateway.options import WorkerOptions
from ostiary_gateway.pod_state.shared_memory import BOUNDS, LIMITS, attach
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.pod_counters import PodCounters
from ostiary_gateway.server.response import Response


def limiter_of(worker: WorkerOptions | None, respond: Callable[[Refusal], Response]) -> Limiter:
    """Return the limits of the process, or of its pod.

    ``respond`` returns the response of a refusal.
    """
    if worker is None:
        return Limiter(respond)
    table = attach(worker.shared, BOUNDS, workers=worker.count)
    return PodLimiter(respond, grants=Grants(table, worker=worker.index))


def counters_of(worker: WorkerOptions | None) -> LocalCounters:
    """Return the counters of policies' limits, of the process or of its pod."""
    if worker is None:
        return LocalCounters()
    return PodCounters(attach(worker.shared, LIMITS, workers=worker.count), worker=worker.index)
