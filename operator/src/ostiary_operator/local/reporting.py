"""How ``ostiary run`` tells what became of the files: what is broken and what holds meanwhile, what is live now."""

from collections.abc import Iterable, Mapping
from typing import Final

from ostiary_core.policy.slips import Slip
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.local import changes
from ostiary_operator.local.console import Console, Style, printable
from ostiary_operator.local.findings import Finding, Severity
from ostiary_operator.local.manifests import Key, Manifest, key_of
from ostiary_operator.local.project import ProjectState

_TOLD: Final = 12


class Reporter:
    """Remembers what it told last, so that mended files and moved doors are told, too."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._broken = False
        self._urls: Mapping[Key, str] = {}
        self._open: frozenset[Key] = frozenset()
        self._slips: frozenset[Slip] = frozenset()

    def faults(self, state: ProjectState) -> None:
        """Tell what is wrong with the files."""
        for finding in state.findings[:_TOLD]:
            error = finding.severity is Severity.ERROR
            text = f"{finding.place}: {finding.fault}"
            self._console.event("broken" if error else "warning", text, Style.BAD if error else Style.WARN)
        if len(state.findings) > _TOLD:
            self._console.more(f"and {len(state.findings) - _TOLD} more; `ostiary validate` tells all")

    def meanwhile(self, state: ProjectState, before: Mapping[Key, Manifest]) -> None:
        """Tell what holds until the faults are mended."""
        concerning = [it for it in state.findings if it.severity is Severity.ERROR or key_of(it) in state.faulty]
        for line in dict.fromkeys(_meanwhile(finding, state, before) for finding in concerning):
            self._console.more(line)

    def news(self, state: ProjectState, before: Mapping[Key, Manifest], after: Mapping[Key, Manifest]) -> None:
        """Tell what is in force now that was not before."""
        lines = changes.describe(before.values(), after.values())
        mended = self._broken and not state.errors
        if mended:
            self._console.event("fixed", "all files are good again", Style.GOOD)
        for line in lines:
            self._console.event("live", line, Style.GOOD)
        opened = self._opened(state)
        if not lines and not mended and not state.errors and not opened:
            self._console.event("saved", "nothing that is in force changed", Style.DIM)
        self.remember(state)

    def slips(self, found: Iterable[Slip]) -> None:
        """Tell which rules name what no server offers, each once for as long as it stays so."""
        now = frozenset(found)
        for slip in sorted(now - self._slips):
            self._console.event("warning", f"MCPPolicy {slip.exact.policy}: {printable(slip.words)}", Style.WARN)
        self._slips = now

    def _opened(self, state: ProjectState) -> bool:
        """Tell which proxies no policy governs any more; say whether there are any."""
        new = sorted(state.open_to_all() - self._open)
        for key in new:
            words = "no policy governs it any more: it is now" if key in self._urls else "no policy governs it: it is"
            self._console.event("open", f"{changes.title(key)}: {words} open to everyone", Style.WARN)
        return bool(new)

    def remember(self, state: ProjectState) -> None:
        """Take a state as told; tell the endpoints that are new or moved."""
        urls = state.urls()
        for key, url in urls.items():
            if self._urls and self._urls.get(key) != url:
                self._console.more(f"{changes.title(key)} is at {url}")
        self._urls = urls
        self._open = state.open_to_all()
        self._broken = bool(state.errors)


def _meanwhile(finding: Finding, state: ProjectState, before: Mapping[Key, Manifest]) -> str:
    """Say what holds until a fault is mended."""
    key = key_of(finding)
    status = state.status(key)
    if key.kind == POLICY_KIND and key in before and status is not None and not status.related:
        return "It governs nothing, and so protects nothing, until it is mended."
    if key in before or (status is None and any(manifest.file == finding.file for manifest in before.values())):
        return "What was live before stays live until it is mended."
    if status is None:
        return "Nothing of it is in force until it is mended."
    if key.kind == PROXY_KIND:
        return f"{changes.title(key)} is not served until it is mended."
    closed = ", ".join(f"{namespace}/{name}" for namespace, name in status.related)
    return f"Until it is mended, every call is refused at {closed}." if closed else "It governs nothing until then."
