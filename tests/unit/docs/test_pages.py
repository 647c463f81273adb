"""The pages for troubleshooting: complete, true to the code, with working links."""

import re
from pathlib import Path

import pytest

from ostiary_core.mcp import codes
from ostiary_operator.api.conditions import REASONS
from ostiary_operator.cli.commands import COMMANDS
from ostiary_operator.doctor.endpoint import UPSTREAM_REMEDIES
from ostiary_tools.common.errors import ToolError
from ostiary_tools.generate import pages

ROOT = pages.ROOT
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("helm/*/README.md"), *ROOT.glob("examples/*.md")]


def test_what_is_generated_of_pages_is_up_to_date() -> None:
    # The sentences of the index may be older than their pages; the set of its pages may not (below).
    assert set(pages.stale()) <= {pages.LLMS}, "run: make generate"


def test_no_first_sentence_of_a_page_ends_within_code_or_parentheses(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nTools (kstatus: `x: Y`) and\n`tenancy: Multi` agree. More.\n")
    assert pages.first_sentence(page) == "Tools (kstatus: `x: Y`) and `tenancy: Multi` agree."


def test_every_reason_of_every_condition_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", pages.TROUBLESHOOTING.read_text(), re.MULTILINE)
    explained = {(reason, meaning, remedy) for reason, meaning, remedy in rows}
    for reasons in REASONS.values():
        for reason in reasons:
            assert (reason.value, reason.meaning, reason.remedy) in explained


def test_every_fault_of_a_server_is_explained() -> None:
    assert all(f"| `{reason}` |" in pages.TROUBLESHOOTING.read_text() for reason in UPSTREAM_REMEDIES)


@pytest.mark.parametrize("page", [*PAGES, pages.LLMS], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


def test_every_page_is_in_the_index_for_machines() -> None:
    index = pages.LLMS.read_text()
    wanted = [path for path in PAGES if path.parent in {ROOT, *(ROOT / "docs").rglob("*"), ROOT / "docs"}]
    assert [path for path in wanted if f"]({path.relative_to(ROOT)})" not in index] == [], "run: make generate"


def test_every_tutorial_guide_and_reference_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    wanted = [path for kind in ("tutorials", "guides", "reference") for path in (ROOT / "docs" / kind).glob("*.md")]
    assert [path.name for path in wanted if f"]({path.relative_to(ROOT)})" not in readme] == []


def test_a_page_that_lost_its_marks_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n")
    with pytest.raises(ToolError, match=r"page\.md lacks the lines <!-- reasons: begin -->"):
        pages.filled(page, "reasons", "text")


def promised() -> list[str]:
    """The rows of the table of troubleshooting that begins with what one sees."""
    return re.findall(r"^\| (?:HTTP|Error|It connects|No traces).*\|$", pages.TROUBLESHOOTING.read_text(), re.MULTILINE)


def test_every_answer_that_troubleshooting_explains_is_one_of_the_gateway() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "sidecar" / "src").rglob("*.py"))
    rows = promised()
    assert len(rows) > 8
    for row in rows:
        for reason in re.findall(r"`([A-Z][A-Za-z]+[a-z])`", row.split(" | ")[0]):
            assert f'"{reason}"' in source, row
        for code in re.findall(r"-3\d{4}", row.split(" | ")[0]):
            assert int(code) in vars(codes).values(), row


def test_every_command_flag_and_metric_that_troubleshooting_names_exists() -> None:
    text = pages.TROUBLESHOOTING.read_text()
    code = "\n".join(
        path.read_text() for part in ("sidecar", "operator") for path in (ROOT / part / "src").rglob("*.py")
    )
    names = {*re.findall(r"`(ostiary_\w+)`", text), *re.findall(r"`(--[a-z-]+)`", text)}
    assert {"ostiary_spans_lost_total", "--via", "--bearer-file"} <= names
    metric = re.compile(r"^ostiary_|_total$")
    assert [name for name in names if metric.sub("", metric.sub("", name)) not in code] == []
    known = {command.name for command in COMMANDS}
    assert [word for word in re.findall(r"`?ostiary ([a-z]+)\b", text) if word not in known] == []
