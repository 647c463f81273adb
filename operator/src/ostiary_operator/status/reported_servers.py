"""The servers of a proxy in a replica's report, which is untrusted input."""

from typing import Annotated, Final

from pydantic import Field, StrictBool, StrictStr

from ostiary_operator.status.report_types import Line, ReasonWord, ReportPart, ShortName, SmallNumber

#: The most lists of a server, reasons why an item is dropped, and tools whose circuits are named.
_KINDS: Final = 16
#: The source of endpoints that are not known.
_BY_NAME: Final = "Service"
_ListName = Annotated[StrictStr, Field(pattern=r"^[a-zA-Z]{1,32}$")]
_DropReason = Annotated[StrictStr, Field(pattern=r"^[A-Z][a-zA-Z]{0,31}$")]


class ReportedFault(ReportPart):
    """The last fault that a replica had with a server."""

    kind: ReasonWord
    message: Line = ""


class ReportedCircuit(ReportPart):
    """A circuit breaker that does not admit every request.

    ``state`` is that of the server, None where all of its own requests pass. ``tools`` are some of its ``open_tools``.
    """

    state: ReasonWord | None = None
    open_tools: Annotated[SmallNumber, Field(alias="openTools")] = 0
    tools: Annotated[tuple[ShortName, ...], Field(max_length=_KINDS)] = ()


class ReportedEndpoints(ReportPart):
    """The endpoints of a server by state, and why they are not, or not all, observed.

    With the source ``Service`` they are not known: the one that is counted is the Service's address.
    """

    source: ReasonWord = _BY_NAME
    ready: SmallNumber = 0
    draining: SmallNumber = 0
    ejected: SmallNumber = 0
    unhealthy: SmallNumber = 0
    blocked: SmallNumber = 0
    reason: ReasonWord | None = None
    message: Line = ""

    @property
    def is_known(self) -> bool:
        """Whether they are counted at all."""
        return self.source != _BY_NAME

    @property
    def usable(self) -> int:
        """How many there are that may get requests now or again."""
        return self.ready + self.draining + self.ejected + self.unhealthy


class ReportedServer(ReportPart):
    """A server of a proxy: whether it ever responded, its current fault, and what it lists.

    ``listed`` are numbers of names by list, ``dropped`` numbers of items that the catalogue does not show, by reason.
    """

    answered: StrictBool = False
    fault: ReportedFault | None = None
    circuit: ReportedCircuit | None = None
    endpoints: ReportedEndpoints | None = None
    revision: Annotated[StrictStr, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None
    listed: Annotated[dict[_ListName, SmallNumber], Field(max_length=_KINDS)] = Field(default_factory=dict)
    dropped: Annotated[dict[_DropReason, SmallNumber], Field(max_length=_KINDS)] = Field(default_factory=dict)
