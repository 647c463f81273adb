"""Work that goes on as long as the process, such as watching the sources of config."""

import asyncio
import logging
from typing import Final, Protocol

_log = logging.getLogger(__name__)
_RESTART_SECONDS: Final = 1.0


class EndlessWork(Protocol):
    """Something that runs until it is cancelled."""

    async def run(self) -> None:
        """Work."""


async def run_for_ever(work: EndlessWork) -> None:
    """Run work for ever.

    Its failure is a bug of ours, but a gateway that ignores policy edits would be worse.
    """
    while True:
        try:
            await work.run()
        except Exception:  # noqa: BLE001  any failure is logged, and the work is started again
            _log.critical("%s failed and is restarted: this is a bug", type(work).__name__, exc_info=True)
        await asyncio.sleep(_RESTART_SECONDS)
