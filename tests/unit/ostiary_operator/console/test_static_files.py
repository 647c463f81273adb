"""What browsers load: one stylesheet and one short module of our own, with nothing from elsewhere."""

import re
from pathlib import Path

import pytest

from ostiary_operator.console import static_files
from ostiary_operator.console.static_files import StaticFiles

FOLDER = Path(static_files.__file__).parent
STATIC = sorted((FOLDER / "static").iterdir())
TEMPLATES = sorted((FOLDER / "templates").iterdir())
#: What makes markup or code of a text, which Trusted Types would stop at run time.
SINKS = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "Function(",
    "srcdoc",
    'setTimeout("',
)


def test_there_are_one_stylesheet_one_module_and_one_icon() -> None:
    assert [path.name for path in STATIC] == ["console.css", "console.mjs", "icon.svg"]


def test_the_module_is_short_and_makes_no_markup_of_texts() -> None:
    module = (FOLDER / "static" / "console.mjs").read_text()

    assert len(module.splitlines()) < 200
    assert [sink for sink in SINKS if sink in module] == []
    assert "import " not in module


@pytest.mark.parametrize("path", STATIC, ids=lambda path: path.name)
def test_a_file_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?://|url\(|@import", text) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_code_no_styles_and_no_text_that_is_not_escaped(path: Path) -> None:
    found = re.findall(
        r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src=)|\|\s*safe\b|autoescape", path.read_text()
    )
    assert found == []


def test_an_address_changes_with_the_content_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "console.css").write_text("a {}")
    before = StaticFiles(tmp_path).url("console.css")
    (tmp_path / "console.css").write_text("b {}")

    assert StaticFiles(tmp_path).url("console.css") != before
    assert before.startswith("/static/console.css?")
