"""The reasons of AuditReady: what becomes of the records that a policy demands."""

from ostiary_operator.api.reasons import NOTHING, WAIT, Reason

_CHECK = (
    "Check what `auditTrail` of the gateway's `/config` and its log name: a full volume, a folder that is missing, "
    "output that is not read, or a receiver that is away."
)


class AuditReadyReason(Reason):
    """Reasons of AuditReady: can every replica write the audit records that a policy demands?

    Only MCPPolicies with `audit` have the condition, and it is not part of Ready.
    """

    READY = ("AuditReady", "Every gateway replica writes its audit records to all sinks.", NOTHING)
    PENDING = ("Pending", "A gateway replica has not reported on its audit trail yet.", WAIT)
    NOT_WRITTEN = (
        "RecordsNotWritten",
        (
            "A gateway replica cannot write audit records. With `failurePolicy: Fail` calls are refused meanwhile; "
            "with `Ignore` records wait, and are dropped and counted once the queue is full."
        ),
        _CHECK,
    )
    COPY_FAILING = (
        "CopyFailing",
        "A gateway replica writes its audit records, and a copy of them, to a webhook or over OTLP, is not taken.",
        _CHECK,
    )
