"""Reports of ``ostiary run`` on a change of the files.

They have the errors, what stays in force, and what is live now.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ostiary_core.policy.slips import Slip
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.local import changes
from ostiary_operator.local.console import Console, Style, printable
from ostiary_operator.local.findings import Finding, Severity
from ostiary_operator.local.manifests import ManifestKey, ObjectManifest, key_of
from ostiary_operator.local.project import ProjectState

_MAX_FINDINGS: Final = 12


class Reporter:
    """Writes reports, and remembers the last state to report fixed files and changed endpoints."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._broken = False
        self._urls: Mapping[ManifestKey, str] = {}
        self._open: frozenset[ManifestKey] = frozenset()
        self._slips: frozenset[Slip] = frozenset()

    def faults(self, state: ProjectState) -> None:
        """Report what is wrong with the files."""
        for finding in state.findings[:_MAX_FINDINGS]:
            error = finding.severity is Severity.ERROR
            text = f"{finding.place}: {finding.fault}"
            self._console.event("broken" if error else "warning", text, Style.BAD if error else Style.WARN)
        if len(state.findings) > _MAX_FINDINGS:
            self._console.more(f"and {len(state.findings) - _MAX_FINDINGS} more; `ostiary validate` lists all")

    def meanwhile(self, state: ProjectState, before: Mapping[ManifestKey, ObjectManifest]) -> None:
        """Report what is in force until the errors are fixed."""
        concerning = [it for it in state.findings if it.severity is Severity.ERROR or key_of(it) in state.faulty]
        for line in dict.fromkeys(_meanwhile(finding, state, before) for finding in concerning):
            self._console.more(line)

    def news(
        self,
        state: ProjectState,
        before: Mapping[ManifestKey, ObjectManifest],
        after: Mapping[ManifestKey, ObjectManifest],
    ) -> None:
        """Report what is newly in force."""
        lines = changes.describe(before.values(), after.values())
        fixed = self._broken and not state.errors
        if fixed:
            self._console.event("fixed", "all files are good again", Style.GOOD)
        for line in lines:
            self._console.event("live", line, Style.GOOD)
        opened = self._opened(state)
        if not lines and not fixed and not state.errors and not opened:
            self._console.event("saved", "nothing that is in force changed", Style.DIM)
        self.remember(state)

    def slips(self, found: Iterable[Slip]) -> None:
        """Report the rules that name something that no server offers, each once until that changes."""
        now = frozenset(found)
        for slip in sorted(now - self._slips):
            self._console.event("warning", f"MCPPolicy {slip.exact.policy}: {printable(slip.words)}", Style.WARN)
        self._slips = now

    def _opened(self, state: ProjectState) -> bool:
        """Report the proxies that no policy governs any more; return whether there are any."""
        new = sorted(state.open_to_all() - self._open)
        for key in new:
            words = "no policy governs it any more: it is now" if key in self._urls else "no policy governs it: it is"
            self._console.event("open", f"{changes.title(key)}: {words} open to everyone", Style.WARN)
        return bool(new)

    def remember(self, state: ProjectState) -> None:
        """Remember a state as reported; report endpoints that are new or have another URL."""
        urls = state.urls()
        for key, url in urls.items():
            if self._urls and self._urls.get(key) != url:
                self._console.more(f"{changes.title(key)} is at {url}")
        self._urls = urls
        self._open = state.open_to_all()
        self._broken = bool(state.errors)


def _meanwhile(finding: Finding, state: ProjectState, before: Mapping[ManifestKey, ObjectManifest]) -> str:
    """Return what is in force until an error is fixed."""
    key = key_of(finding)
    status = state.status(key)
    if key.kind == POLICY_KIND and key in before and status is not None and not status.related:
        return "It governs nothing, and so protects nothing, until it is fixed."
    if key in before or (status is None and any(manifest.file == finding.file for manifest in before.values())):
        return "What was live before stays live until it is fixed."
    if status is None:
        return "Nothing of it is in force until it is fixed."
    if key.kind == PROXY_KIND:
        return f"{changes.title(key)} is not served until it is fixed."
    closed = ", ".join(f"{namespace}/{name}" for namespace, name in status.related)
    return f"Until it is fixed, every call is refused at {closed}." if closed else "It governs nothing until then."
