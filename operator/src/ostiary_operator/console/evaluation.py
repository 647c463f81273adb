"""Evaluates policies for pages, in threads and with a bound.

An evaluation runs in one of a few threads of its own: what a viewer types may be slow to judge, and must not stop the
pages of others. A thread cannot be stopped, so those that take too long use up a place until they end.
"""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from ostiary_operator.console.errors import TooBusy

_SECONDS: Final = 1.0
_THREADS: Final = 2
P = ParamSpec("P")
T = TypeVar("T")


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="evaluation")


async def evaluated(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a pure function in a thread; return its result.

    Raises:
        TooBusy: it takes longer than a second, with the wait for a thread.
    """
    loop = asyncio.get_running_loop()
    call = loop.run_in_executor(_threads(), functools.partial(function, *args, **kwargs))
    try:
        return await asyncio.wait_for(call, _SECONDS)
    except TimeoutError:
        raise TooBusy("judging this took longer than a second: try again, or use `ostiary explain`") from None
