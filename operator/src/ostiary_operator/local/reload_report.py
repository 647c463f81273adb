"""Reports of ``ostiary run`` when files change: errors, and which versions are in force."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ostiary_core.policy.unmatched_names import Slip
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.local.console import Console, Style, printable
from ostiary_operator.local.findings import Finding, Severity
from ostiary_operator.local.manifests import ManifestKey, ObjectManifest, key_of
from ostiary_operator.local.project import ProjectState

_MAX_FIELDS = 4
_MAX_FINDINGS: Final = 12


class Reporter:
    """Writes reports, and remembers the last state to report fixed files and changed endpoints.

    ``records``: the run has a file for audit records.
    """

    def __init__(self, console: Console, *, records: bool = False) -> None:
        self._console = console
        self._records = records
        self._unrecorded: list[str] = []
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
        lines = describe(before.values(), after.values())
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
            self._console.event("open", f"{title(key)}: {words} open to everyone", Style.WARN)
        return bool(new)

    def remember(self, state: ProjectState) -> None:
        """Remember a state as reported; report endpoints that are new or have another URL."""
        urls = state.urls()
        for key, url in urls.items():
            if self._urls and self._urls.get(key) != url:
                self._console.more(f"{title(key)} is at {url}")
        unrecorded = [] if self._records else state.unrecorded()
        if unrecorded and unrecorded != self._unrecorded:
            words = f"MCPPolicy {', '.join(unrecorded)}: nothing is recorded: give `ostiary run` --audit-file FILE"
            self._console.event("note", words)
        self._unrecorded = unrecorded
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
        return f"{title(key)} is not served until it is fixed."
    closed = ", ".join(f"{namespace}/{name}" for namespace, name in status.related)
    return f"Until it is fixed, every call is refused at {closed}." if closed else "It governs nothing until then."


def describe(before: Iterable[ObjectManifest], after: Iterable[ObjectManifest]) -> list[str]:
    """Return a line for each object that was added, removed or changed.

    It names fields, never values.
    """
    old, new = _by_key(before), _by_key(after)
    lines = []
    for key, renamed in _renamed(old, new).items():
        lines.append(f"{title(key)}: renamed to {renamed.name}")
        del old[key], new[renamed]
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            lines.append(f"{title(key)}: added")
        elif key not in new:
            lines.append(f"{title(key)}: removed")
        elif fields := list(_differences(old[key], new[key])):
            lines.append(f"{title(key)}: {_listing(fields)}")
    return lines


def _renamed(
    old: Mapping[ManifestKey, Mapping[str, Any]], new: Mapping[ManifestKey, Mapping[str, Any]]
) -> dict[ManifestKey, ManifestKey]:
    """Pair removed and added objects of one kind and namespace with equal, unique specs."""
    gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    found = {}
    for key in gone:
        before = [each for each in gone if _alike(each, old[each], key, old[key])]
        after = [each for each in come if _alike(each, new[each], key, old[key])]
        if len(before) == len(after) == 1:
            found[key] = after[0]
    return found


def _alike(key: ManifestKey, value: Mapping[str, Any], other: ManifestKey, wanted: Mapping[str, Any]) -> bool:
    return (key.kind, key.namespace) == (other.kind, other.namespace) and value.get("spec") == wanted.get("spec")


def title(key: ManifestKey) -> str:
    """Return the name of an object as lines show it."""
    return f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"


def _by_key(manifests: Iterable[ObjectManifest]) -> dict[ManifestKey, Mapping[str, Any]]:
    return {manifest.key: manifest.value for manifest in manifests}


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the deepest fields that differ.

    Lists of different lengths differ as a whole.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif type(old) is not type(new) or old != new:
        yield path


def _listing(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MAX_FIELDS} more" if len(paths) > _MAX_FIELDS else ""
    return f"{', '.join(paths[:_MAX_FIELDS])}{more} changed"
