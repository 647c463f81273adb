"""Agents that repeat themselves.

A loop is a number of calls of one tool with the same arguments by one caller within a window. Rules come from policies.
The history of calls is the only state, and bounded: it holds digests and times, no arguments.
"""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from ostiary_core.canonical import canonical
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.limits import LoopActionName
from ostiary_core.limits.limited_servers import LimitedServers
from ostiary_core.limits.request_matcher import RequestMatcher
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.subjects import Subject, evaluate_subjects

#: Different calls that are remembered, and times of all of them together: about 20 MB at most.
_CALLS: Final = 20_000
_TIMES: Final = 200_000
#: A call that waits is delayed by a second for each repetition, up to so many.
_LONGEST_DELAY: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class LoopRule:
    """The loop detection of one policy.

    The ``repeats``-th equal call within ``window`` seconds makes a loop.
    """

    policy: str
    uid: str
    shadow: bool
    repeats: int
    window: float
    action: LoopActionName
    matcher: RequestMatcher
    subjects: tuple[Subject, ...] | None

    @classmethod
    def build(cls, policy: PolicyDocument, subjects: tuple[Subject, ...] | None) -> "LoopRule | None":
        """Compile the loop detection of a policy; None where it has none.

        Raises:
            PatternError: a pattern is invalid.
        """
        config = policy.loop_detection
        if config is None:
            return None
        return cls(
            policy=policy.identity,
            uid=policy.uid,
            shadow=policy.mode == "Shadow",
            repeats=config.repeats,
            window=config.window / 1000,
            action=config.action,
            matcher=RequestMatcher.build({Primitive.TOOLS: config.tools}),
            subjects=subjects,
        )


class HasLoopRule(Protocol):
    """A compiled policy, as far as loop detection reads it."""

    @property
    def loop_rule(self) -> LoopRule | None:
        """Its loop detection; None where it has none."""


class LoopRules:
    """The loop rules of one proxy, by caller."""

    def __init__(self, rules: Iterable[LoopRule], proxy: str, servers: LimitedServers) -> None:
        self.proxy = proxy
        self._servers = servers
        self._rules = tuple(sorted(rules, key=lambda rule: rule.policy))
        self._of: WeakKeyDictionary[Principal, tuple[LoopRule, ...]] = WeakKeyDictionary()

    @classmethod
    def build(cls, policies: Iterable[HasLoopRule], *, proxy: str, servers: LimitedServers) -> "LoopRules | None":
        """Return the rules of a proxy, by its uid; None where no policy of it watches calls."""
        found = [policy.loop_rule for policy in policies if policy.loop_rule is not None]
        return cls(found, proxy, servers) if found else None

    def matching(self, principal: Principal, tool: str) -> list[LoopRule]:
        """Return the rules that watch a caller's calls of a tool."""
        found = self._of.get(principal)
        if found is None:
            known = PrincipalConditions(principal)
            found = self._of[principal] = tuple(rule for rule in self._rules if _governs(rule, known))
        names = self._servers.spellings(Primitive.TOOLS, tool)
        return [rule for rule in found if rule.matcher.matches(Primitive.TOOLS, Verb.CALL, names)]


def _governs(rule: LoopRule, known: PrincipalConditions) -> bool:
    """Return whether a rule watches a caller: where its subjects cannot be judged, it does."""
    return rule.subjects is None or evaluate_subjects(rule.subjects, known) is not ExpressionResult.FALSE


class Repetition(NamedTuple):
    """A call that makes a loop, or goes on with one.

    ``beyond`` calls of the loop came before it.
    """

    rule: LoopRule
    beyond: int

    @property
    def delay(self) -> float:
        """The seconds that the call waits where the action is Slow."""
        return float(min(self.beyond + 1, _LONGEST_DELAY))


@dataclass(slots=True)
class _History:
    times: deque[float]
    beyond: int = 0


@dataclass(slots=True)
class CallHistory:
    """The calls of this process; those that were not repeated for longest are forgotten first."""

    calls: int = _CALLS
    times: int = _TIMES
    held: int = field(default=0, init=False)
    _known: OrderedDict[bytes, _History] = field(default_factory=OrderedDict, init=False)

    def __len__(self) -> int:
        return len(self._known)

    def note(self, rule: LoopRule, key: bytes, now: float) -> Repetition | None:
        """Note a call; return whether it makes a loop. ``key`` is that of :func:`key_of`."""
        history = self._known.get(key)
        if history is None or history.times.maxlen != rule.repeats:
            self._forget(key)
            history = self._known[key] = _History(deque(maxlen=rule.repeats))
        self._known.move_to_end(key)
        times = history.times
        while times and not now - rule.window < times[0] <= now:
            times.popleft()
            self.held -= 1
        self.held += len(times) < rule.repeats
        times.append(now)
        if len(times) < rule.repeats:
            history.beyond = 0
            self._make_room()
            return None
        history.beyond += 1
        return Repetition(rule, history.beyond - 1)

    def _make_room(self) -> None:
        while len(self._known) > self.calls or (self.held > self.times and len(self._known) > 1):
            self._forget(next(iter(self._known)))

    def _forget(self, key: bytes) -> None:
        history = self._known.pop(key, None)
        if history is not None:
            self.held -= len(history.times)


def digest_of(arguments: Mapping[str, Any]) -> bytes:
    """Return the digest of arguments as JSON, whatever the order of members is."""
    return hashlib.blake2b(canonical(arguments), digest_size=16).digest()


def key_of(rule: LoopRule, *, proxy: str, principal: str, tool: str, arguments: bytes) -> bytes:
    """Return the digest of what makes calls equal for a rule; ``arguments`` is a digest, too."""
    found = hashlib.blake2b(arguments, digest_size=16)
    for part in (rule.uid, proxy, principal, tool):
        text = part.encode("utf-8", "surrogatepass")
        found.update(len(text).to_bytes(4) + text)
    return found.digest()
