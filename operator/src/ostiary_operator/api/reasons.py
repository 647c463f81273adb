"""The reasons of conditions: each has a name, a meaning and a remedy.

They are closed sets. The troubleshooting page is generated from them, so each has a sentence that
states its meaning and, where something is wrong, one that states the remedy.
"""

import enum
from typing import Final, Self

from ostiary_operator.api import labels

NOTHING: Final = "Nothing to do."
WAIT: Final = "Wait a few seconds. If it stays, check that the operator runs, and read its log."


class Reason(enum.StrEnum):
    """Base of the reasons of one condition type.

    A member is (reason, what it means, what to do).
    """

    meaning: str
    remedy: str

    def __new__(cls, value: str, meaning: str, remedy: str) -> Self:
        """Make a string with its meaning and remedy."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.remedy = remedy
        return member


class AcceptedReason(Reason):
    """Reasons of Accepted: is the resource valid, and is it permitted to use what it names?"""

    ACCEPTED = ("Accepted", "The resource is valid and permitted.", NOTHING)
    PENDING = ("Pending", "The operator has not checked this generation yet.", WAIT)
    INVALID = (
        "Invalid",
        "A field has an invalid value. The last accepted version stays in force.",
        "Correct the fields that the message names.",
    )
    PATH_CONFLICT = (
        "PathConflict",
        "An older MCPProxy already serves this path at an overlapping host; the older one keeps it.",
        "Choose another path or hostname, or remove the MCPProxy that the message names.",
    )
    PATH_NOT_PERMITTED = (
        "PathNotPermitted",
        "The path belongs to another namespace, or the gateway's settings do not grant it to this namespace.",
        "Use a path under /<namespace>/, or ask the platform team for a grant of the path.",
    )
    HOSTNAME_NOT_PERMITTED = (
        "HostnameNotPermitted",
        "The gateway's settings do not grant the hostname to this namespace.",
        "Remove the hostname, or ask the platform team for a grant of it.",
    )
    UPSTREAM_NOT_PERMITTED = (
        "UpstreamNotPermitted",
        "The server is outside the namespace, or its Service points outside, and the gateway's settings grant neither.",
        "Use a Service that selects Pods of the namespace, or ask the platform team for a grant of the host.",
    )
    NO_GATEWAY = (
        "NoGateway",
        "No gateway serves the resource: it names one that is not there or of another namespace, or none selects it.",
        "Correct spec.gateways or the labels, or install the gateway.",
    )
    NO_TARGET = (
        "NoTarget",
        "The policy has neither targetRefs nor targetSelector, so it governs nothing.",
        "Set one of the two; `targetSelector: {}` selects all MCPProxies of the namespace.",
    )
    TARGET_NOT_FOUND = (
        "TargetNotFound",
        "A target that the policy names does not exist in its namespace.",
        "Correct the name, or create the MCPProxy.",
    )
    SELECTOR_NOT_PERMITTED = (
        "SelectorNotPermitted",
        "Only policies in the operator's namespace may select other namespaces.",
        "Remove namespaceSelector, or ask the platform team to create the policy in the operator's namespace.",
    )
    PINNING_NOT_PERMITTED = (
        "PinningNotPermitted",
        "Only policies in the operator's namespace may set `pinning`, which is a floor for all that they govern.",
        "Remove `pinning` and set `catalogue.pinning` of the MCPProxy, or ask the platform team to create the policy.",
    )
    TRANSFORM_CONFLICT = (
        "TransformConflict",
        "Two transformations may change the same place of the same message, so that none of them can be relied on.",
        "Change different places, or select tools, resources, prompts or servers that do not overlap.",
    )
    TESTS_FAILED = (
        "TestsFailed",
        "A test in the policy has another result than expected. The last accepted version stays in force.",
        "Correct the rules or the test that the message names; `ostiary test` shows every test.",
    )


class ResolvedRefsReason(Reason):
    """Reasons of ResolvedRefs: can everything that the resource refers to be read and used?"""

    RESOLVED_REFS = ("ResolvedRefs", "Everything that the resource refers to was found.", NOTHING)
    PENDING = ("Pending", "The operator has not read the references yet.", WAIT)
    REF_NOT_FOUND = (
        "RefNotFound",
        "A ConfigMap, a Secret or a key in one of them does not exist.",
        "Create it in the namespace of the resource, or correct the reference.",
    )
    BACKEND_NOT_FOUND = (
        "BackendNotFound",
        "The Service or server that spec.servers names does not exist, or the Service does not have the port.",
        "Create it, or correct its name or port. Until then the last accepted version is served, if there is one.",
    )
    REF_INVALID = (
        "RefInvalid",
        "The object exists, but its contents cannot be used, for example a CA bundle that is not PEM.",
        "Correct the contents under the key that the message names.",
    )
    NOT_PERMITTED = (
        "NotPermitted",
        "The operator has no right to read the object, or a Secret does not have the required label.",
        f"Label the Secret with {labels.USAGE}, or bind the operator's role for Secrets in this namespace.",
    )
    INVALID_KIND = (
        "InvalidKind",
        "serverRef names a kind that is none of the operator's settings.",
        "Correct group and kind, or add the kind to serverKinds in the chart's values.",
    )
    REF_NOT_PERMITTED = (
        "RefNotPermitted",
        "serverRef names another namespace, where no ReferenceGrant permits it.",
        "Ask the owner of that namespace for a ReferenceGrant, or use a server of the MCPProxy's own namespace.",
    )
    BACKEND_NOT_READY = (
        "BackendNotReady",
        "The server that serverRef names was never ready, so its URL is not known.",
        "Wait until its own operator has started it; its own status says what is missing.",
    )
    UNSUPPORTED_TRANSPORT = (
        "UnsupportedTransport",
        "The server that serverRef names speaks HTTP+SSE, the transport that Streamable HTTP superseded.",
        "Let its operator serve it with Streamable HTTP.",
    )
    UPSTREAM_LOOP = (
        "UpstreamLoop",
        "The server that serverRef names publishes the URL of one of our own gateways.",
        "Name the server behind that gateway by service or url.",
    )
    HOST_NOT_PERMITTED = (
        "HostNotPermitted",
        "The Secret's owner does not permit that its values are sent to the host.",
        f"Add the host to the Secret's annotation {labels.HOSTS}, or correct the server's host.",
    )


class ProgrammedReason(Reason):
    """Reasons of Programmed: does every ready replica of the gateways run this generation?"""

    PROGRAMMED = ("Programmed", "Every ready replica reports that it runs this generation.", NOTHING)
    PENDING = ("Pending", "Some replicas do not run this generation yet.", WAIT)
    UNREACHABLE = (
        "Unreachable",
        "The operator could not ask some replicas for a while which generation they run.",
        "Check that their Pods are healthy and that no NetworkPolicy blocks the operator from their admin port.",
    )
    NO_REPLICAS = (
        "NoReplicas",
        "A gateway has no ready replica.",
        "Scale the gateway up, or find out why its Pods do not become ready.",
    )
    REJECTED = (
        "Rejected",
        "A replica refused this generation and still runs the previous one.",
        "Correct the field that the message names; if only one replica refused it, restart that replica.",
    )
    CONFIG_TOO_LARGE = (
        "ConfigTooLarge",
        "The resources of this namespace or the patterns at one MCPProxy exceed a budget; the last good config stays.",
        "Shorten what the message names, or ask the platform team for a gateway of the namespace's own.",
    )
    WRITE_FAILED = (
        "WriteFailed",
        "The operator could not write the gateway's config.",
        (
            "Give the operator the chart's rights, raise the quota, or delete the object that cannot be changed: the "
            "operator creates it again."
        ),
    )
    NOT_ACCEPTED = (
        "NotAccepted",
        "The resource was not accepted, so gateways cannot run this generation.",
        "See the condition Accepted.",
    )


class ReadyReason(Reason):
    """Reasons of Ready, the summary.

    While another condition fails, Ready has that condition's reason.
    """

    READY = ("Ready", "The resource is accepted, its references are resolved, and every replica runs it.", NOTHING)
    PENDING = ("Pending", "One of the other conditions is not known yet.", WAIT)


class GovernedReason(Reason):
    """Reasons of Governed, of an MCPProxy: does any policy govern it? It is not part of Ready."""

    GOVERNED = ("Governed", "At least one policy governs it.", NOTHING)
    PENDING = ("Pending", "The operator has not seen it yet.", WAIT)
    CLOSED = (
        "Closed",
        "A policy that targets it is invalid and no version of it was ever accepted, so every call is refused.",
        "Correct the policy that the message names.",
    )
    NO_AUDIENCE = (
        "NoAudience",
        "Every access token is refused, since its URL is not known and the policy names no audiences.",
        "Set externalURL in the gateway's settings, hostnames in the MCPProxy, or audiences in the policy.",
    )
    NO_POLICY = (
        "NoPolicy",
        "No policy governs it, so the gateway's withoutPolicy decides: by default every caller may use everything.",
        "Apply an MCPPolicy that targets it. If there is one, check the names in its targetRefs.",
    )


class UnblockedReason(Reason):
    """Reasons of Unblocked, of an MCPProxy that the settings of a gateway block.

    It is not part of Ready: what is blocked is blocked on purpose.
    """

    UNBLOCKED = ("Unblocked", "No gateway blocks it; then the condition is absent.", NOTHING)
    PENDING = ("Pending", "The operator has not seen it yet.", WAIT)
    BLOCKED = (
        "Blocked",
        "The settings of a gateway block it or a server of it, so every request to what is blocked is refused there.",
        "Ask the platform team; remove the line from `blocked` in the gateway's settings once the reason is gone.",
    )


class UncapturedReason(Reason):
    """Reasons of Uncaptured, of an MCPProxy: do gateways keep no exchanges for `ostiary logs`?

    It is not part of Ready: a capture is on purpose.
    """

    UNCAPTURED = ("Uncaptured", "No gateway captures its exchanges; then the condition is absent.", NOTHING)
    PENDING = ("Pending", "The operator has not seen it yet.", WAIT)
    CAPTURING = (
        "Capturing",
        "Gateways keep its latest exchanges in memory until the time in the message (spec.debugCapture).",
        "Remove spec.debugCapture once they are not needed.",
    )


class TestsPassedReason(Reason):
    """Reasons of TestsPassed, of an MCPPolicy with tests: does it pass them?

    It is not part of Ready, but a version that fails a test is not accepted.
    """

    PASSED = ("TestsPassed", "Every test in the policy has the expected result.", NOTHING)
    PENDING = ("Pending", "The tests could not run, since the policy is invalid.", "See the condition Accepted.")
    FAILED = (
        "TestsFailed",
        "A test in the policy has another result than expected, so this version is not in force.",
        "Correct the rules or the test that the message names; `ostiary test` shows every test.",
    )


class TelemetryReadyReason(Reason):
    """Reasons of TelemetryReady: do spans and metrics of the gateways reach their collectors?

    Only MCPProxies whose gateways export over OTLP have the condition, and it is not part of Ready.
    """

    EXPORTED = ("TelemetryReady", "Every gateway replica that exports spans or metrics reaches its collector.", NOTHING)
    PENDING = ("Pending", "No gateway has reported yet.", WAIT)
    EXPORT_FAILING = (
        "ExportFailing",
        "A gateway replica has not been able to send spans or metrics to its collector for half a minute.",
        (
            "Check that the collector runs and accepts both, and that the gateway's OTEL_EXPORTER_OTLP_* variables and "
            "NetworkPolicy lead to it. The gateway's log has the cause; calls are not affected."
        ),
    )
