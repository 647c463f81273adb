"""Plans: how a request that passed all checks is carried out.

The select stage makes one for each request, without I/O (:mod:`.select_stage`), and :mod:`.carry_out` follows it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan


@dataclass(slots=True)
class One:
    """One server gets the request, and its response is the caller's."""

    leg: Leg


#: Answers a request with what several servers respond; None where the response was sent as a stream.
FanOut: TypeAlias = Callable[[Exchange, ServerSpan, PipelineServices], Awaitable[Response | None]]


@dataclass(slots=True)
class Fan:
    """Several servers get requests of their own, of which one response is made."""

    answer: FanOut


@dataclass(slots=True)
class Local:
    """The gateway answers by itself."""

    answer: Callable[[Exchange], Awaitable[Response]]


Plan: TypeAlias = One | Fan | Local
