"""The loop stage: an agent that repeats one call is warned, slowed down, or refused.

Each replica watches the calls that it sees. A request without loop detection costs one comparison.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.contract.limits import LOOP_ACTIONS
from ostiary_core.errors import StrictJSONError
from ostiary_core.limits.loop_detection import CallHistory, LoopRules, Repetition, digest_of, key_of
from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.refusal_responses import tool_error

#: The member of ``_meta`` in results that tells of a loop.
META: Final = "dev.ostiary/loop"
REASON: Final = "LoopDetected"
#: What records name in the place of a limit; no limit can have this name.
RECORDED: Final = "loopDetection"
#: A larger request is not watched: nothing repeats it by accident, and comparing it would delay others.
_LARGEST: Final = 256 * 1024
#: Calls that wait at a time, in all and of one caller; further ones are refused.
_WAITING: Final = 256
_WAITING_EACH: Final = 16
_POLICIES: Final = 4_096
_SHOWN_NAME: Final = 256


class LoopError(Refusal):
    """A refused call of an agent that repeats itself."""

    def __init__(self, found: Repetition, message: Message) -> None:
        self.found = found
        data = _data(found)
        words = (
            f"Loop detected: {message.name[:_SHOWN_NAME]} was called {found.rule.repeats + found.beyond} times with "
            "the same arguments. Calling it again will not give another result. Do not repeat this call: change the "
            "arguments, use another tool, or go on without the result."
        )
        super().__init__(200, REASON, words, code=codes.LIMITED, data=data)
        self.limit = (found.rule.policy, RECORDED)
        if "task" not in message.params:
            self.result = {**tool_error(words, message.era), "_meta": {META: data}}


class LoopStage:
    """Watches the calls of this process.

    ``clock`` returns epoch seconds, ``sleep`` waits for seconds.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], Any] = asyncio.sleep
    ) -> None:
        self.history = CallHistory()
        #: What was done, by policy and by what: warned, slowed, denied, or only seen in Shadow mode.
        self.outcomes: dict[tuple[str, ...], float] = {}
        self._clock = clock
        self._sleep = sleep
        self._waiting: Counter[str] = Counter()

    @property
    def remembered(self) -> int:
        """The different calls that are remembered."""
        return len(self.history)

    async def check(self, exchange: Exchange, rules: LoopRules) -> None:
        """Note a call, and act where it repeats others; other requests pass.

        Raises:
            LoopError: the call is refused.
        """
        found = self._find(exchange, rules)
        if found is None or exchange.message is None:
            return
        exchange.repetition = found
        action = "Shadow" if found.rule.shadow else found.rule.action
        if action == "Slow" and not self._may_wait(exchange.principal.id):
            action = "Deny"
        self._count(found.rule.policy, action)
        if action == "Deny":
            raise LoopError(found, exchange.message)
        if action == "Slow":
            await self._wait(exchange.principal.id, found.delay)

    def _find(self, exchange: Exchange, rules: LoopRules) -> Repetition | None:
        """Return the strictest repetition; all rules note the call."""
        message = exchange.message
        if message is None or message.method is None or message.method.name != "tools/call":
            return None
        watching = rules.matching(exchange.principal, message.name)
        arguments = message.params.get("arguments") or {}
        if not watching or exchange.request_bytes > _LARGEST or not isinstance(arguments, dict):
            return None
        now, caller, digest = self._clock(), exchange.principal.id, digest_of(arguments)
        found = []
        for rule in watching:
            key = key_of(rule, proxy=rules.proxy, principal=caller, tool=message.name, arguments=digest)
            repetition = self.history.note(rule, key, now)
            found += [repetition] if repetition is not None else []
        return max(found, key=_strictness, default=None)

    def _may_wait(self, caller: str) -> bool:
        return self._waiting.total() < _WAITING and self._waiting[caller] < _WAITING_EACH

    async def _wait(self, caller: str, seconds: float) -> None:
        self._waiting[caller] += 1
        try:
            await self._sleep(seconds)
        finally:
            self._waiting[caller] -= 1
            if not self._waiting[caller]:
                del self._waiting[caller]

    def _count(self, policy: str, action: str) -> None:
        if len(self.outcomes) < _POLICIES or (policy, action) in self.outcomes:
            self.outcomes[policy, action] = self.outcomes.get((policy, action), 0) + 1


def _strictness(found: Repetition) -> tuple[bool, int, int]:
    return not found.rule.shadow, LOOP_ACTIONS.index(found.rule.action), found.beyond


def _data(found: Repetition) -> dict[str, Any]:
    window = round(found.rule.window * 1000)
    return {"repeats": found.rule.repeats + found.beyond, "windowMs": window, "retryAfterMs": window}


def _warning(found: Repetition, tool: str) -> str:
    """Return the sentences for a model, which sees no ``_meta``."""
    return (
        f"Note of the gateway: {tool[:_SHOWN_NAME]} was called {found.rule.repeats + found.beyond} times with the same "
        "arguments. If the result does not help, change the arguments, use another tool, or go on without it."
    )


def with_warning(exchange: Exchange, text: bytes, message: dict[str, Any]) -> bytes:
    """Return the response to a call that repeats others, with a warning in its result.

    ``message`` is the parsed ``text``. Responses without a result, and those of other calls, are returned unchanged.
    """
    found, result = exchange.repetition, message.get("result")
    if found is None or found.rule.shadow or not isinstance(result, dict):
        return text
    meta = result.get("_meta")
    warned = {**result, "_meta": {**(meta if isinstance(meta, dict) else {}), META: _data(found)}}
    content, called = result.get("content"), exchange.message
    if isinstance(content, list) and called is not None:
        warned["content"] = [*content, {"type": "text", "text": _warning(found, called.name)}]
    try:
        return strict_json.dumps({**message, "result": warned})
    except StrictJSONError:
        return text  # text that is not strict JSON keeps its bytes
