from pathlib import Path

import yaml
from command_line import Ostiary

from ostiary_operator.api.crd import render_crds
from ostiary_operator.api.field_reference import render_reference
from ostiary_operator.api.json_schema import render_json_schemas


def test_all_definitions_are_printed_as_one_stream(ostiary: Ostiary) -> None:
    answer = ostiary("crds")
    names = [document["metadata"]["name"] for document in yaml.safe_load_all(answer.out)]
    assert names == ["mcplocks.ostiary.dev", "mcppolicies.ostiary.dev", "mcpproxies.ostiary.dev"]


def test_definitions_and_reference_are_written_to_folders(ostiary: Ostiary, tmp_path: Path) -> None:
    answer = ostiary("crds", "--write", str(tmp_path / "crds"), "--docs", str(tmp_path / "docs" / "reference"))
    assert answer.code == 0
    written = {path.name: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {**render_crds(), **render_reference()}
    assert sorted(answer.out.splitlines()) == sorted(str(path) for path in tmp_path.rglob("*") if path.is_file())


def test_the_schemas_for_editors_are_written_below_their_group(ostiary: Ostiary, tmp_path: Path) -> None:
    answer = ostiary("crds", "--json-schema", str(tmp_path / "schemas"))
    assert answer.code == 0
    below = tmp_path / "schemas"
    written = {str(path.relative_to(below)): path.read_text() for path in below.rglob("*") if path.is_file()}
    assert written == render_json_schemas()
    kinds = {f"ostiary.dev/{kind}_v1alpha1.json" for kind in ("mcpproxy", "mcppolicy", "mcplock")}
    evidence = {f"evidence-{name}" for name in ("traffic", "calls", "refusals", "definitions")}
    documents = {"audit-record", "scorer-request", "scorer-response", *evidence}
    assert set(written) == {*kinds, *(f"{name}.schema.json" for name in documents)}


def test_a_folder_that_cannot_be_created_is_reported(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = ostiary("crds", "--write", str(tmp_path / "file"))
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"ostiary crds: {tmp_path / 'file'}: File exists\n"
