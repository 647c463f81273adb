from pathlib import Path

import pytest

from ostiary_operator.local.source_files import SourceFiles

POLICY = "apiVersion: ostiary.dev/v1alpha1\nkind: MCPPolicy\nmetadata: {name: %s}\nspec: {targetSelector: {}}\n"


@pytest.fixture
def sources(tmp_path: Path) -> SourceFiles:
    (tmp_path / "a.yaml").write_text(POLICY % "a")
    (tmp_path / "b.yaml").write_text(POLICY % "b")
    return SourceFiles([tmp_path], namespace="default")


def names(sources: SourceFiles) -> list[str]:
    return sorted(manifest.key.name for manifest in sources.read().manifests)


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        (POLICY % "a").replace("MCPPolicy", "MCPolicy"),
        (POLICY % "a").replace("{name: a}", "{}"),
        "no object",
    ],
)
def test_a_file_that_names_no_object_keeps_its_last_good_content(
    text: str, sources: SourceFiles, tmp_path: Path
) -> None:
    assert names(sources) == ["a", "b"]
    (tmp_path / "a.yaml").write_text(text)
    read = sources.read()
    assert [finding.file for finding in read.findings] == [str(tmp_path / "a.yaml")]
    assert names(sources) == ["a", "b"]


def test_readable_objects_of_a_broken_file_count_only_without_a_last_good_version(
    sources: SourceFiles, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(POLICY % "c" + "---\nkind: x\n")
    assert names(sources) == ["a", "b", "c"]


def test_a_fixed_file_counts_again(sources: SourceFiles, tmp_path: Path) -> None:
    names(sources)
    (tmp_path / "a.yaml").write_text("a: [")
    names(sources)
    (tmp_path / "a.yaml").write_text(POLICY % "a2")
    assert names(sources) == ["a2", "b"]
    assert sources.read().findings == []


def test_an_empty_or_deleted_file_says_nothing(sources: SourceFiles, tmp_path: Path) -> None:
    names(sources)
    (tmp_path / "a.yaml").write_text("")
    (tmp_path / "b.yaml").unlink()
    assert names(sources) == []


def test_a_deleted_file_is_not_remembered(sources: SourceFiles, tmp_path: Path) -> None:
    names(sources)
    (tmp_path / "a.yaml").unlink()
    names(sources)
    (tmp_path / "a.yaml").write_text("a: [")
    assert names(sources) == ["b"]


def test_a_folder_that_disappears_at_once_keeps_its_last_good_content(sources: SourceFiles, tmp_path: Path) -> None:
    names(sources)
    for path in tmp_path.iterdir():
        path.unlink()
    read = sources.read()
    assert sorted(manifest.key.name for manifest in read.manifests) == ["a", "b"]
    remedy = "Restore it; what it held stays live until then."
    assert [str(finding) for finding in read.findings] == [
        f"{tmp_path}: There is no YAML file in this folder (*.yaml or *.yml). {remedy}"
    ]
    (tmp_path / "a.yaml").write_text(POLICY % "a")
    assert names(sources) == ["a"]
