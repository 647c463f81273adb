"""Generates the parts of pages between marks from the code, and `llms.txt`.

    docs/troubleshooting.md     every reason of every condition; every fault of a server
    llms.txt                    every page, with its first sentence

`python -m ostiary_tools.generate.pages` writes them; a test fails when they are out of date.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ostiary_operator.api.conditions import REASONS, ConditionType
from ostiary_operator.api.reasons import Reason
from ostiary_operator.doctor.endpoint import UPSTREAM_REMEDIES
from ostiary_tools.common.errors import ToolError

ROOT = Path(__file__).parents[3]
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
LLMS = ROOT / "llms.txt"

_QUESTIONS = {
    ConditionType.ACCEPTED: "Is it valid, and is it permitted to use what it names?",
    ConditionType.RESOLVED_REFS: "Can everything that it refers to be read and used?",
    ConditionType.PROGRAMMED: "Does every ready replica of its gateways run it?",
    ConditionType.READY: "Are all three True? While one of them is not, Ready has its reason.",
    ConditionType.UPSTREAM_HEALTHY: (
        "Only an MCPProxy has it, and it is not part of Ready: did the server respond to the gateways?"
    ),
    ConditionType.UPSTREAMS_HEALTHY: (
        "An MCPProxy with several servers has it in place of UpstreamHealthy, and it is not part of Ready: did all of "
        "them respond to the gateways? `status.servers` has each of them."
    ),
    ConditionType.AUTH_DISCOVERY: (
        "Only an MCPProxy with `authentication.passthrough` has it, and it is not part of Ready: can OAuth clients "
        "find the server's authorization server? Gateways check the server as a client without a token does."
    ),
    ConditionType.GOVERNED: "Only an MCPProxy has it, and it is not part of Ready: does any policy govern it?",
    ConditionType.EFFECTIVE: (
        "Only an MCPPolicy has it, and it is not part of Ready: does it probably do what its author meant?"
    ),
    ConditionType.UNBLOCKED: "Only an MCPProxy that a gateway's settings block has it: who blocks it?",
    ConditionType.UNCAPTURED: "Only an MCPProxy whose exchanges gateways capture has it: until when?",
    ConditionType.TELEMETRY_READY: (
        "Only an MCPProxy whose gateways export over OTLP has it, and it is not part of Ready: do spans and metrics "
        "reach the collector?"
    ),
    ConditionType.TESTS_PASSED: "Only an MCPPolicy with tests has it: do they have the expected results?",
    ConditionType.LIMIT_STORE_READY: (
        "Only an MCPPolicy with limits has it, where a gateway's settings name a `limitStore`, and it is not part of "
        "Ready: do all replicas count in that store?"
    ),
    ConditionType.ENDPOINTS_OBSERVED: (
        "Only an MCPProxy with a `service` whose endpoints gateways observe has it, and it is not part of Ready: do "
        "they know where its Pods are?"
    ),
    ConditionType.DEFINITIONS_MATCH: (
        "An MCPLock has it, and an MCPProxy whose definitions are pinned; it is not part of Ready: do servers show "
        "only definitions that are approved?"
    ),
    ConditionType.AUDIT_READY: (
        "Only an MCPPolicy with `audit` has it, and it is not part of Ready: can all replicas write its records?"
    ),
}
_SECTIONS = (
    ("Tutorials", "docs/tutorials/*.md"),
    ("Guides", "docs/guides/*.md"),
    ("Reference", "docs/reference/*.md"),
    ("More", "docs/*.md"),
    ("Project", "*.md"),
    ("Decisions", "docs/decisions/*.md"),
)


def render() -> dict[Path, str]:
    """The current contents of all generated files.

    Raises:
        ToolError: a page lacks its marks.
    """
    page = filled(TROUBLESHOOTING, "reasons", "\n".join(_reasons()))
    return {TROUBLESHOOTING: filled_text(TROUBLESHOOTING, page, "faults", "\n".join(_faults())), LLMS: _llms()}


def filled(path: Path, mark: str, text: str) -> str:
    """A page with this text between the marks of that name.

    Raises:
        ToolError: the marks are missing.
    """
    return filled_text(path, path.read_text(), mark, text)


def filled_text(path: Path, page: str, mark: str, text: str) -> str:
    """The same for the text of a page."""
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
    if begin not in page or end not in page:
        raise ToolError(f"{path} lacks the lines {begin.strip()} and {end.strip()}: restore them")
    return f"{page.partition(begin)[0]}{begin}\n{text}\n\n{end}{page.partition(end)[2]}"


def rewrite(path: Path, text: str) -> None:
    """Write a generated page, and print its path, if it changed."""
    if path.read_text() != text:
        path.write_text(text)
        print(path.relative_to(ROOT))


def _reasons() -> Iterator[str]:
    for number, (kind, reasons) in enumerate(REASONS.items()):
        if number:
            yield ""
        yield f"### {kind}"
        yield ""
        yield _QUESTIONS[kind]
        yield ""
        yield "| Reason | What it means | What to do |"
        yield "|---|---|---|"
        yield from (_row(reason) for reason in reasons)


def _row(reason: Reason) -> str:
    return f"| `{reason.value}` | {reason.meaning} | {reason.remedy} |"


def _faults() -> Iterator[str]:
    yield "| `data.reason` | What to do |"
    yield "|---|---|"
    for reason, remedy in UPSTREAM_REMEDIES.items():
        yield f"| `{reason}` | {remedy} |"


def _llms() -> str:
    parts = [f"# Ostiary\n\n> {first_sentence(ROOT / 'README.md')}\n"]
    for title, pattern in _SECTIONS:
        lines = [_entry(path) for path in sorted(ROOT.glob(pattern))]
        parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _entry(path: Path) -> str:
    return f"- [{heading(path)}]({path.relative_to(ROOT)}): {first_sentence(path)}"


def heading(path: Path) -> str:
    """The title of a page."""
    found = re.search(r"^# (.+)$", path.read_text(), re.MULTILINE)
    return found[1] if found else path.stem


def first_sentence(path: Path) -> str:
    """The first sentence below the title of a page, without links; the title if there is none."""
    text = re.sub(r"<!--.*?-->|^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    body = f"\n{text}".partition("\n# ")[2] or text
    paragraphs = (" ".join(each.split()) for each in body.partition("\n")[2].split("\n\n"))
    prose = next((each for each in paragraphs if re.match(r"[A-Z*\[]", each)), heading(path))
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", prose)
    # No sentence ends within code or parentheses.
    joined = re.sub(r"`[^`]*`|\([^)]*\)", lambda part: part[0].replace(" ", "\0"), plain)
    return re.split(r"(?<=[.:])\s+(?=[A-Z*`])", joined)[0].replace("\0", " ").rstrip(":")


def stale() -> list[Path]:
    """Generated files that are out of date."""
    return sorted(path for path, text in render().items() if not path.exists() or path.read_text() != text)


def main() -> int:
    """Write the generated files; print the paths of those that changed."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.generate.pages", description=main.__doc__)
    parser.parse_args()
    try:
        for path in stale():
            path.write_text(render()[path])
            print(path.relative_to(ROOT))
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
