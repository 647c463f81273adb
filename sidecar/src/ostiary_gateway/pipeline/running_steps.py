"""Runs work in steps within the event loop, and provides what the steps ask for."""

import asyncio
from time import monotonic
from typing import Any, Final, Generic, TypeVar, cast

from ostiary_core.steps import Awaited, InThread, Step, Steps
from ostiary_gateway.threads import in_search_thread

Result = TypeVar("Result")

_NOTHING: Final = object()


class RunningSteps(Generic[Result]):
    """Work that has begun. It must be run to its end, or dropped."""

    __slots__ = ("_result", "_steps", "_waits_for")

    def __init__(self, steps: Steps[Result]) -> None:
        self._steps = steps
        self._waits_for: Step = None
        self._result: Any = _NOTHING

    @property
    def is_done(self) -> bool:
        """Whether there is a result."""
        return self._result is not _NOTHING

    def result(self) -> Result:
        """Return the result, once there is one."""
        return cast("Result", self._result)

    def advance(self) -> bool:
        """Do light work until it is done, or waits for something; return whether it is done."""
        while not self.is_done and self._waits_for is None:
            self._step()
        return self.is_done

    async def soon(self) -> Result:
        """Do light work at once, except for what it waits for, and return its result."""
        while not self.is_done:
            if self._waits_for is None:
                self._step()
            else:
                await self.awaited()
        return self.result()

    async def slices(self, seconds: float) -> None:
        """Do work until it is done, or awaits something.

        After each slice of time, other tasks run.
        """
        while not self.is_done:
            if self._waits_for is None:
                self._one_slice(monotonic() + seconds)
            if isinstance(self._waits_for, Awaited):
                return
            if self._waits_for is not None:
                await self.awaited()
            elif not self.is_done:
                await asyncio.sleep(0)

    def _one_slice(self, until: float) -> None:
        while monotonic() < until:
            self._step()
            if self._waits_for is not None or self.is_done:
                return

    async def awaited(self) -> None:
        """Wait for what the work waits for, and go on with it."""
        waits_for = self._waits_for
        try:
            if isinstance(waits_for, InThread):
                answer = await in_search_thread(waits_for.work)
            else:
                answer = await waits_for.start() if waits_for is not None else None
        except Exception as error:  # noqa: BLE001  the work handles what it asked for
            self._step(error=error)
        else:
            self._step(answer)

    def _step(self, answer: Any = None, *, error: Exception | None = None) -> None:
        try:
            self._waits_for = self._steps.send(answer) if error is None else self._steps.throw(error)
        except StopIteration as stop:
            self._waits_for, self._result = None, stop.value
