"""Which module belongs to which stage of the pipeline, for profiles."""

from collections.abc import Iterator
from types import FrameType
from typing import Final

#: The modules of each stage, in the order of the pipeline; a module belongs to the first that names its beginning.
STAGES: Final = {
    "receive": ("server/", "pipeline/http_checks"),
    "route": ("pipeline/route", "config/snapshot", "config/runtime"),
    "authenticate": ("identity/",),
    "in-flight limits": ("limits/",),
    "session": ("seal", "session_ids", "pipeline/session", "pipeline/merged_sessions"),
    "decode": (
        "pipeline/body",
        "pipeline/decode",
        "pipeline/message",
        "pipeline/mirrored_headers",
        "pipeline/request_reader",
    ),
    "authorize": ("pipeline/authorize", "pipeline/blocks"),
    "limits of policies": ("policy_limits/", "pipeline/limit"),
    "select": ("pipeline/select", "pipeline/leg", "pipeline/plans", "pipeline/carry_out", "pipeline/request_ids"),
    "forward": (
        "pipeline/forward",
        "pipeline/send_and_shape",
        "pipeline/response_head",
        "pipeline/retries",
        "pipeline/circuit",
        "upstream/",
    ),
    "shape": (
        "pipeline/shape",
        "pipeline/list",
        "pipeline/json_response",
        "pipeline/sse_",
        "pipeline/server_answer",
        "pipeline/content",
        "sse",
    ),
    "audit": ("audit/", "pipeline/audit"),
    "spans": ("telemetry/", "pipeline/record"),
    "metrics": ("metrics", "pipeline/request_counts", "pipeline/request_labels"),
    "evidence": ("evidence/", "pipeline/evidence"),
    "the pipeline itself": ("pipeline/",),
    "event loop and kernel": ("asyncio", "process", "app"),
    "not of a call: config, endpoints": ("config/", "endpoint_discovery/", "admin/"),
}
OTHER: Final = "other"
#: The writer of audit records and the exporter of spans: what the event loop does not wait for.
OTHER_THREADS: Final = "other threads: audit, spans"
#: All of them, in the order of a table.
ORDER: Final = (*STAGES, OTHER, OTHER_THREADS)
_PACKAGE: Final = "ostiary_gateway/"


def stage(module: str) -> str:
    """Return the stage that a module of the gateway belongs to, such as ``pipeline/decode``."""
    for name, prefixes in STAGES.items():
        if module.startswith(prefixes):
            return name
    return OTHER


def module_of(path: str) -> str:
    """Return the module of the gateway in a source file, empty for any other file."""
    return path.partition(_PACKAGE)[2].removesuffix(".py")


def callers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that called it, the innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back
