"""The fenced blocks of the documentation, to be run or parsed.

fenced_blocks("docs/guides/sidecar.md", "yaml")[1]
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def fenced_blocks(page: str, language: str = "") -> list[str]:
    """The fenced blocks of a page that are marked as being in this language; without one, those with no mark."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
