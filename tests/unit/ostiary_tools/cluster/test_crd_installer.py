"""Definitions are found in files of many documents."""

from pathlib import Path

from ostiary_tools.cluster import crd_installer


def test_definitions_are_found_among_other_documents(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("kind: CustomResourceDefinition\nname: b\n---\n---\nkind: Service\n")
    (tmp_path / "a.yaml").write_text("kind: CustomResourceDefinition\nname: a\n")
    (tmp_path / "c.txt").write_text("kind: CustomResourceDefinition\nname: c\n")
    assert [definition["name"] for definition in crd_installer.read(tmp_path)] == ["a", "b"]
    assert [definition["name"] for definition in crd_installer.read(tmp_path / "b.yml")] == ["b"]
