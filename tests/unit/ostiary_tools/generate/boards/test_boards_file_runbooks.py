"""What runbooks tell to run and to look at is there."""

import re
import shlex
import subprocess
import sys

import pytest

from ostiary_tools.generate.boards.boards_file import read_boards_file

FILE = read_boards_file()
TEXTS = [text for alert in FILE.alerts for text in (*alert.check, *alert.remedy)]
COMMANDS = sorted({found for text in TEXTS for found in re.findall(r"`(ostiary [^`]+)`", text)})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_runbooks_are_complete(command: str) -> None:
    """Each option is known, and each argument that is required is there, in capitals."""
    words = [word for word in shlex.split(command)[1:] if not word.isupper()]
    asked = [sys.executable, "-m", "ostiary_operator.cli", *words, "--help"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    usage = done.stdout.partition("\n\n")[0]
    required = re.sub(r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", usage))
    wanted = re.findall(r"(?<!\w)[A-Z]{3,}(?!\w)", required.partition("[-h]")[2])
    assert len(wanted) <= sum(word.isupper() for word in shlex.split(command)), usage


def test_panels_that_runbooks_name_are_on_a_board() -> None:
    titles = {panel.title for board in FILE.boards for panel in board.panels}
    named = {found for text in TEXTS if "anel" in text for found in re.findall(r"\*([^*]+)\*", text)}
    assert named
    assert named - titles == set()
