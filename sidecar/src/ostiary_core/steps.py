"""Work in steps, as generators that say where others may run, and what they wait for.

The event loop of a gateway does one thing at a time, so work on a large message is cut into steps. Pure code states
what it needs by what it yields, and knows nothing of loops or threads: the caller that runs the steps provides it.
"""

import heapq
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

Result = TypeVar("Result")
Item = TypeVar("Item")

#: A text of fewer bytes is searched at once: handing it to a thread would take longer.
THREAD_BYTES: Final = 64 * 1024
#: Items that are sorted in one step.
_SORTED_AT_ONCE: Final = 512
#: Items that are freed in one step.
_FREED_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True)
class InThread:
    """Asks for a function to be run in a thread while other work goes on.

    It is for what frees the interpreter's lock, such as a search with RE2 in more than ``THREAD_BYTES``. The result of
    ``work`` is sent into the generator, and its exception raised there.
    """

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Awaited:
    """Asks for something to be awaited, such as the verdict of a service.

    The result of what ``start`` returns is sent into the generator, and its exception raised there.
    """

    start: Callable[[], Awaitable[Any]]


#: What a generator yields: None where other work may be done, or what it waits for.
Step: TypeAlias = InThread | Awaited | None
#: Work in steps, each of which yields a :data:`Step`, and its result. (Type checkers want a value in each ``yield`` of
#: a generator of more than None, so it says Any.)
Steps: TypeAlias = Generator[Any, Any, Result]


def sorting(items: Iterable[Item], key: Callable[[Item], Any]) -> Steps[list[Item]]:
    """Return items in the order of their keys, in steps; equal ones keep their order."""
    parts: list[list[Item]] = [[]]
    for item in items:
        parts[-1].append(item)
        if len(parts[-1]) == _SORTED_AT_ONCE:
            parts[-1].sort(key=key)
            parts.append([])
            yield
    parts[-1].sort(key=key)
    if len(parts) == 1:
        return parts[0]
    found: list[Item] = []
    for item in heapq.merge(*parts, key=key):
        found.append(item)
        if len(found) % _SORTED_AT_ONCE == 0:
            yield
    return found


def freeing(items: list[Any]) -> Steps[None]:
    """Empty a list in steps, since many objects take long to free."""
    while len(items) > _FREED_AT_ONCE:
        del items[-_FREED_AT_ONCE:]
        yield
    items.clear()


def run_steps(steps: Steps[Result]) -> Result:
    """Do all steps of the work now; what is for a thread is done here.

    Raises:
        RuntimeError: it awaits something, which only an event loop can.
    """
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as stop:
            made: Result = stop.value
            return made
        if isinstance(step, Awaited):
            steps.close()
            raise RuntimeError("work that awaits something was not run by an event loop")  # noqa: TRY004  a bug
        answer = step.work() if step is not None else None
