"""Run work in threads of our own, in parallel with the event loop.

The loop's default threads resolve the names of upstream servers, and a few names that hang would delay a new policy, or
a scrape, for as long.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

#: One thread for config, which is serial, and one for everything else. They start with their first work.
_THREADS: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ostiary")
#: For searches in large messages: a few at a time, which are requests of different callers.
_SEARCHES: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ostiary-search")


async def in_search_thread(work: Callable[[], _T]) -> _T:
    """Search a large message in a thread, while the loop serves others.

    Return its result or raise its exception.
    """
    return await asyncio.get_running_loop().run_in_executor(_SEARCHES, work)


async def in_background(work: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
    """Do work in a thread, since it would delay requests.

    Return its result or raise its exception.
    """
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(work, *arguments, **options))


def uncancel() -> None:
    """Uncancel the current task, which still has a response to send before it ends."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
