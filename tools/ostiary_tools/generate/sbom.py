"""Prints the bill of materials of the running Python.

CycloneDX 1.6, the same bytes for the same packages.

/opt/ostiary/bin/python sbom.py --lock requirements/dev.txt

It uses only the standard library, since it runs in an image that has nothing else. The base image is not covered.
"""

import argparse
import json
import re
import sys
import uuid
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)|--hash=sha256:(?P<hash>[0-9a-f]{64})", re.MULTILINE
)
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ROOT = "ostiary"


def bill(found: Iterable[Distribution], hashes: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the whole document.

    Args:
        found: the installed packages, including our own.
        hashes: SHA-256 of the files that the lock file allows, by `name==version`.

    Raises:
        LookupError: our own package is not installed.
    """
    packages = {normal(each.metadata["Name"]): each for each in found}
    if _ROOT not in packages:
        raise LookupError(f"{_ROOT} is not installed here")
    names = sorted(packages)
    components = {name: _component(packages[name], hashes) for name in names}
    root = components.pop(_ROOT)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**root, "type": "application"}},
        "components": list(components.values()),
        "dependencies": [_depends(packages[name], packages) for name in names],
    }
    # Derived from the content, without a time: the same packages result in the same document.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return {**document, "serialNumber": f"urn:uuid:{serial}"}


def normal(name: str) -> str:
    """Return a package's name in normalized form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _purl(package: Distribution) -> str:
    return f"pkg:pypi/{normal(package.metadata['Name'])}@{package.version}"


def _component(package: Distribution, hashes: Mapping[str, list[str]]) -> dict[str, Any]:
    name = normal(package.metadata["Name"])
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(package),
        "name": name,
        "version": package.version,
        "purl": _purl(package),
    }
    described = package.metadata.json
    if licence := described.get("license_expression"):
        component["licenses"] = [{"expression": licence}]
    elif licence := str(described.get("license") or ""):
        component["licenses"] = [{"license": {"name": licence.splitlines()[0][:200]}}]
    if locked := hashes.get(f"{name}=={package.version}"):
        # The lock allows several files of one release, one for each platform; which one was installed is unknown.
        component["properties"] = [{"name": "ostiary:locked:sha256", "value": each} for each in sorted(locked)]
    return component


def _depends(package: Distribution, packages: Mapping[str, Distribution]) -> dict[str, Any]:
    wanted = {normal(found[0]) for each in package.requires or () if (found := _REQUIREMENT.match(each))}
    return {"ref": _purl(package), "dependsOn": [_purl(packages[name]) for name in sorted(wanted & packages.keys())]}


def locked_hashes(text: str) -> dict[str, list[str]]:
    """Return the hashes in a lock file of pip, by `name==version`."""
    found: dict[str, list[str]] = {}
    pin = ""
    for match in _PIN.finditer(text):
        if match["name"]:
            pin = f"{normal(match['name'])}=={match['version']}"
            found[pin] = []
        elif pin:
            found[pin].append(match["hash"])
    return found


def main() -> int:
    """Print the bill of this Python's packages."""
    parser = argparse.ArgumentParser(description="Print a bill of materials (CycloneDX) of this Python's packages.")
    parser.add_argument("--lock", type=Path, required=True, metavar="FILE", help="lock file with the admitted hashes")
    arguments = parser.parse_args()
    try:
        document = bill(distributions(), locked_hashes(arguments.lock.read_text()))
    except LookupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
