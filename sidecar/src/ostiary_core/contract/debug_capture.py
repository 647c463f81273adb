"""The debug capture of a proxy, in its entry."""

from typing import Final, Literal

from ostiary_core.contract.base import ContractDocument, Positive

#: Milliseconds that a gateway captures at most from when it first sees a capture, whatever ``until`` says.
LONGEST_MS: Final = 24 * 3600 * 1000


class DebugCaptureConfig(ContractDocument):
    """Keep the latest exchanges of the proxy in memory until a time, in epoch milliseconds.

    ``contents`` says what is kept of arguments and results: their redacted beginning, or nothing.
    """

    until: Positive
    contents: Literal["Redacted", "None"]
