"""Reasons of the condition Effective of an MCPPolicy: what looks like a mistake in it."""

from ostiary_operator.api.reasons import NOTHING, WAIT, Reason


class EffectiveReason(Reason):
    """Reasons of Effective, of an MCPPolicy: does it probably do what its author meant?

    It is not part of Ready.
    """

    EFFECTIVE = ("Effective", "It governs at least one MCPProxy, and nothing in it looks like a mistake.", NOTHING)
    PENDING = ("Pending", "The operator has not seen it yet.", WAIT)
    PROTECTS_NOTHING = (
        "ProtectsNothing",
        "No MCPProxy is targeted, so the policy protects nothing.",
        "Correct the names in targetRefs or the selector, or remove the policy.",
    )
    RULE_MATCHES_NOTHING = (
        "RuleMatchesNothing",
        "A rule names a tool or prompt that no target offers, according to the lists that the gateways have seen.",
        "Correct the name; the message suggests a similar one.",
    )
    NAME_WITHOUT_PREFIX = (
        "NameWithoutPrefix",
        "A name in an Allow rule begins with the prefix of no server of the targets, so it allows nothing.",
        "Write the prefix of its server before it. Only a Deny matches the name that the server itself uses.",
    )
    SERVER_MATCHES_NOTHING = (
        "ServerMatchesNothing",
        "A rule about contents is for a server that no target has, so it applies to nothing there.",
        "Correct the name in servers to that of a server of the MCPProxy; the message suggests a similar one.",
    )
    TOKENS_SHARED = (
        "TokensShared",
        "Tokens of callers are passed through to several servers of an MCPProxy: each could use them at the others.",
        "Give each server an MCPProxy, or authenticate callers at the gateway and set `credential` of the servers.",
    )
    SUBJECT_MATCHES_NOTHING = (
        "SubjectMatchesNothing",
        "A consumer in subjects is written with the policy's namespace before it, so it matches no caller.",
        "Write the name of the consumer alone: its namespace is that of the policy.",
    )
    NO_AUDIENCE = (
        "NoAudience",
        "Every access token is refused at an MCPProxy: its URL is not known, and the policy names no audiences.",
        "Set externalURL in the gateway's settings, hostnames in the MCPProxy, or audiences in the policy.",
    )
    CALLERS_COUNTED_TOGETHER = (
        "CallersCountedTogether",
        "A limit is to count callers apart, but no policy authenticates them, so all of them share one counter.",
        "Set authentication in a policy of the MCPProxy, or count per Proxy, Server or Tool.",
    )
    EVADABLE = (
        "Evadable",
        "A platform policy selects MCPProxies by their own labels, which their owners can change.",
        "Select the namespaces with namespaceSelector, or leave the selector empty: it then governs every MCPProxy.",
    )
