"""The corpus of good and bad manifests, which the models and the real API server must judge alike.

`tests/corpus/{good,bad}/{mcpproxy,mcppolicy}/<sentence>.yaml`. The first line of a bad one is a comment that names the
field that both must blame.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary_operator.api.yaml_reader import read_documents

_ROOT = Path(__file__).parent.parent / "corpus"


@dataclass(frozen=True)
class Case:
    """One manifest; `field` is empty for a good one."""

    name: str
    kind: str
    document: dict[str, Any]
    field: str = ""


def cases(verdict: str) -> list[Case]:
    """All manifests of a verdict, `good` or `bad`, in order of their names."""
    return [_case(path) for path in sorted((_ROOT / verdict).rglob("*.yaml"))]


def _case(path: Path) -> Case:
    text = path.read_text()
    (document,) = read_documents(text)
    first = text.splitlines()[0]
    field = first.removeprefix("#").strip() if first.startswith("#") else ""
    return Case(f"{path.parent.name}/{path.stem}", document.value["kind"], document.value, field)
