"""Remedies for a server that a gateway cannot use, by the reason in its error responses."""

from typing import Final

from ostiary_core import upstream_faults as faults
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason

#: The reasons are those of :mod:`ostiary_core.upstream_faults`; a test compares them.
UPSTREAM: Final = {
    **{str(reason): reason.remedy for reason in UpstreamHealthyReason if reason in faults.KINDS},
    faults.FULL: "All connections to this server are in use: check why it is slow, and how many calls it gets.",
    faults.DRAINING: "Call again; if tools take longer than a gateway drains, raise the chart's gateway.drain.seconds.",
    faults.NO_ROOM: (
        "This replica buffers as many bytes of responses as it may: add replicas, or raise its bounds in the settings."
    ),
}
