"""What to do about a server that a gateway cannot use, by the reason that callers are told."""

from typing import Final

from ostiary_core import upstream_faults as faults
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason

#: The reasons are those of :mod:`ostiary_core.upstream_faults`; a test holds them together.
UPSTREAM: Final = {
    **{str(reason): reason.remedy for reason in UpstreamHealthyReason if reason in faults.KINDS},
    faults.FULL: "All connections to this server are in use: see why it is slow, and how many calls it is given.",
    faults.DRAINING: "Call again; if tools take longer than a gateway drains, raise the chart's gateway.drain.seconds.",
    faults.NO_ROOM: (
        "This replica holds as many bytes of answers as it may: add replicas, or raise its bounds in the settings."
    ),
}
