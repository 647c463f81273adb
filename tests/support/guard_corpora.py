"""Labelled texts that guards are measured by: attacks and harmless ones, of corpora under the MIT licence.

Half of them is held out: signatures were written with the other half in view. The half of a text is that of its digest,
so it stays the same when a corpus grows.
"""

import hashlib
import importlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

#: Modules whose functions say what they do, as tools do, and whose authors thought of no model.
_DOCUMENTED = (
    "argparse ast asyncio calendar codecs collections copy csv datetime decimal difflib email.message fractions ftplib "
    "functools hashlib heapq hmac html.parser http.client imaplib inspect itertools json locale logging mailbox os "
    "pathlib pickle random re secrets shutil smtplib socket sqlite3 ssl statistics string subprocess tarfile tempfile "
    "textwrap threading urllib.parse urllib.request zipfile aiohttp aiohttp.web kubernetes.client redis yaml"
)
#: A shorter docstring says too little.
_SHORTEST = 40


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text, and whether it attacks an agent."""

    text: str
    is_attack: bool

    @property
    def is_held_out(self) -> bool:
        """Whether it was not in view when signatures were written."""
        return hashlib.sha256(self.text.encode()).digest()[0] % 2 == 1


def labelled_texts() -> list[LabelledText]:
    """All texts of the corpora."""
    rows = [
        LabelledText(row["text"], row["label"] == "malicious") for row in _rows("bastioncorpus", "corpus/injections")
    ]
    bench = [LabelledText(row["injected"], row["family"] != "control") for row in _rows("aib", "data/attacks")]
    return [*rows, *bench]


def _rows(package: str, name: str) -> Iterator[dict[str, str]]:
    lines = (files(package) / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return (json.loads(line) for line in lines if line.strip())


def harmless_definitions() -> dict[str, str]:
    """What functions and methods of well-known modules say of themselves, by their names."""
    found: dict[str, str] = {}
    for module in _DOCUMENTED.split():
        for name, member in sorted(vars(importlib.import_module(module)).items()):
            inner = sorted(vars(member).items()) if inspect.isclass(member) else []
            for path, each in [(name, member), *((f"{name}.{key}", value) for key, value in inner)]:
                text = inspect.getdoc(each) if callable(each) and not name.startswith("_") else None
                if text is not None and len(text) >= _SHORTEST:
                    found.setdefault(text, f"{module}.{path}")
    return {name: text for text, name in found.items()}
