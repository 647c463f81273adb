"""How the program of a gateway was obtained, which decides what its figures say of the gateway that others run."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

#: The file next to a program in which who built it says how, in one line.
SUFFIX: Final = ".origin"
UNKNOWN: Final = "not said"


def origin_of(program: Path) -> str:
    """Return in one line how a program was obtained.

    That is what the file `PROGRAM.origin` next to it says, or the package of Python or of Debian that it is a file of.
    """
    said = program.with_name(program.name + SUFFIX)
    if said.is_file():
        return " ".join(said.read_text().split())
    return _python_package(program) or _debian_package(program.resolve()) or UNKNOWN


def checkout(root: Path) -> str:
    """Return the commit of a checkout of ours, and whether files of it were changed."""
    commit = _printed("git", "-C", str(root), "rev-parse", "--short=12", "HEAD")
    if not commit:
        return "this checkout"
    changed = _printed("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return f"this checkout, commit {commit}{', with changes' if changed else ''}"


def _python_package(program: Path) -> str:
    """Return the distribution that installed a command into an environment of Python."""
    for record in program.parent.parent.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        if f"../../../bin/{program.name}," in record.read_text(errors="replace"):
            name, _, version = record.parent.name.removesuffix(".dist-info").partition("-")
            return f"release {version} of {name.replace('_', '-')}, installed by pip"
    return ""


def _debian_package(program: Path) -> str:
    owner = _printed("dpkg-query", "--search", str(program)).partition(":")[0]
    if not re.fullmatch(r"[a-z0-9.+-]+", owner):
        return ""
    version = _printed("dpkg-query", "--show", "--showformat=${Version}", owner)
    return f"Debian's package {owner} {version}"


def _printed(*command: str) -> str:
    """Return what a command prints, or nothing where it is absent or fails."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
