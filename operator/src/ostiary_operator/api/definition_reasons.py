"""Reasons of the condition DefinitionsMatch: does a server show only what is approved?"""

from ostiary_operator.api.reasons import NOTHING, Reason


class DefinitionsMatchReason(Reason):
    """Reasons of DefinitionsMatch: do servers show only definitions that are approved?

    An MCPLock has it, and an MCPProxy whose definitions are pinned. It is not part of Ready.
    """

    DEFINITIONS_MATCH = (
        "DefinitionsMatch",
        "Every definition that gateways have seen is approved by an MCPLock.",
        NOTHING,
    )
    PENDING = (
        "Pending",
        "Definitions are pinned, and no list of the server has passed a gateway yet.",
        "List the tools once with any client.",
    )
    DEFINITIONS_CHANGED = (
        "DefinitionsChanged",
        "A server shows a definition that no MCPLock approves. With Block callers do not see it and cannot use it.",
        "Read status.drift of the MCPProxy. Approve the difference in the MCPLock, or ask the owner of the server.",
    )
    NOT_PINNED = (
        "NotPinned",
        "The MCPLock has no effect: definitions of its MCPProxy are not pinned.",
        "Set catalogue.pinning of the MCPProxy to Warn, then to Block.",
    )
