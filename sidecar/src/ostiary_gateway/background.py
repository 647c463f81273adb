"""Work beside the event loop, in threads of our own.

Not in the loop's default ones: those resolve the names of upstream servers, and a few names that hang would hold up a
new policy, or a scrape, for as long.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

#: One for config, which takes turns, and one that is free for everything else. They start with their first work.
_THREADS: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ostiary")


async def in_background(work: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
    """Do work that takes long enough to delay requests, and return its result; what it raises, this raises."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(work, *arguments, **options))


def uncancel() -> None:
    """Let the current task, which was cancelled, go on: it has something to say before it ends."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
