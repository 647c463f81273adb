"""What rules about content found: masks, guards, validation and locks.

Findings are counted for each proxy and rule, and logged. Neither shows a value, nor the name of what was called: a URI
may hold what a mask hides.
"""

import logging
from collections.abc import Iterable, Mapping, Set
from itertools import islice
from typing import Final

from ostiary_core.content.finding import ContentFinding
from ostiary_gateway.telemetry import semantic_conventions
from ostiary_gateway.telemetry.span import Span
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
_FOUND: Final = "proxy %s: policy %s, rule %s, found %s in %s of %s by %.256s: %s"
_WOULD: Final = "proxy %s: policy %s, rule %s, in Shadow mode, found %s in %s of %s by %.256s: would %s"
#: Series of one process. Policies bound them far below; beyond, findings are counted without rule and detector.
MOST_SERIES: Final = 10_000
#: The most findings that a span lists.
_MOST_SHOWN: Final = 32


def report_findings(span: Span, findings: Mapping[ContentFinding, int]) -> None:
    """Set the attributes of a span that show what was found, with the number of places of each."""
    if not span.recording:
        return
    shown = list(islice(findings.items(), _MOST_SHOWN))
    in_force = [finding for finding, _ in shown if not finding.is_shadow]
    span.set(semantic_conventions.OSTIARY_CONTENT_FINDINGS, [_text(finding, count) for finding, count in shown])
    span.set(semantic_conventions.OSTIARY_CONTENT_DETECTORS, sorted({each.detector for each in in_force}) or None)
    span.set(semantic_conventions.OSTIARY_CONTENT_ACTIONS, sorted({each.action for each in in_force}) or None)


def _text(finding: ContentFinding, count: int) -> str:
    mode = " Shadow" if finding.is_shadow else ""
    return f"{finding.origin} {finding.direction} {finding.detector} {finding.action} {count}{mode}"


class ContentFindings:
    """The counts of this process."""

    def __init__(self) -> None:
        #: Places by proxy, policy, rule, detector, action, direction and mode.
        self.counts: dict[tuple[str, ...], float] = {}
        self._limiters: dict[tuple[str, str, str], WarningLimiter] = {}

    def note(self, proxy: str, findings: Iterable[ContentFinding], *, method: str, caller: str) -> None:
        """Count what was found in a message, and log it once a minute for each rule."""
        for finding in findings:
            key = self._key(proxy, finding)
            self.counts[key] = self.counts.get(key, 0.0) + finding.count
            self._log(proxy, finding, method, caller)

    def _key(self, proxy: str, finding: ContentFinding) -> tuple[str, ...]:
        done = (finding.action, finding.direction, finding.mode)
        key = (proxy, finding.policy, finding.rule, finding.detector, *done)
        if key in self.counts or len(self.counts) < MOST_SERIES:
            return key
        return (proxy, finding.policy, "", "", *done)

    def _log(self, proxy: str, finding: ContentFinding, method: str, caller: str) -> None:
        rule = (proxy, finding.policy, finding.rule)
        limiter = self._limiters.get(rule)
        if limiter is None:
            if len(self._limiters) >= MOST_SERIES:
                return
            limiter = self._limiters[rule] = WarningLimiter(_log, level=logging.INFO)
        words = _WOULD if finding.is_shadow else _FOUND
        limiter.warn(words, *rule, finding.detector, finding.direction, method or "-", caller, finding.action)

    def keep(self, policies: Mapping[str, Set[str]]) -> None:
        """Forget what other policies than these found at proxies that changed.

        ``policies`` are identities, by the identity of the proxy; none for one that is gone.
        """
        for key in [key for key in self.counts if key[0] in policies and key[1] not in policies[key[0]]]:
            del self.counts[key]
        for rule in [rule for rule in self._limiters if rule[0] in policies and rule[1] not in policies[rule[0]]]:
            del self._limiters[rule]


#: The findings of this process.
CONTENT_FINDINGS: Final = ContentFindings()
