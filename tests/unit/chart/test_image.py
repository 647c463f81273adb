import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import yaml

from ostiary_tools.generate import sbom
from ostiary_tools.generate.chart import CHART, DEMO, ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(word: str) -> list[str]:
    return re.findall(rf"^{word} (.*)$", DOCKERFILE, re.MULTILINE)


def test_all_that_is_copied_is_there_and_reaches_the_builder() -> None:
    sources = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert {source, source.partition("/")[0]} & admitted


def test_the_image_installs_extras_that_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (default,) = re.findall(r"^ARG EXTRAS=(.*)$", DOCKERFILE, re.MULTILINE)
    assert set(default.split(",")) <= project["optional-dependencies"].keys()


def test_nothing_is_installed_that_is_not_locked() -> None:
    for command in re.findall(r"pip (?:--python \S+ )?(?:install|wheel|download) [^&\n]*", DOCKERFILE):
        assert "--require-hashes" in command or "--no-index" in command


def test_the_image_has_the_user_that_the_chart_asks_for() -> None:
    for chart in (CHART, DEMO):
        asked = yaml.safe_load((chart / "values.yaml").read_text())["podSecurityContext"]
        assert instructions("USER") == [f"{asked['runAsUser']}:{asked['runAsGroup']}"]


def test_the_bill_of_materials_names_all_that_is_installed_and_every_hash_is_locked() -> None:
    lock = (ROOT / "requirements" / "dev.txt").read_text()
    command = [sys.executable, sbom.__file__, "--lock", str(ROOT / "requirements" / "dev.txt")]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    document = json.loads(text)
    assert document["metadata"]["component"]["name"] == "ostiary"
    named = {(each["name"], each["version"]): each for each in document["components"]}
    for package in distributions():
        name = sbom.normal(package.metadata["Name"])
        assert name == "ostiary" or (name, package.version) in named
    aiohttp = next(each for each in document["components"] if each["name"] == "aiohttp")
    hashes = [each["value"] for each in aiohttp["properties"]]
    assert hashes
    assert all(f"sha256:{each}" in lock for each in hashes)
    ours = next(each for each in document["dependencies"] if each["ref"].startswith("pkg:pypi/ostiary@"))
    assert aiohttp["bom-ref"] in ours["dependsOn"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == text, "reproducible"


def test_the_bill_needs_nothing_but_python() -> None:
    imported = re.findall(r"^(?:from|import) (\w+)", Path(sbom.__file__).read_text(), re.MULTILINE)
    assert set(imported) <= sys.stdlib_module_names


def test_the_ports_of_kind_and_of_its_values_meet() -> None:
    kind = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
    (gateway,) = yaml.safe_load((CHART / "ci" / "kind-values.yaml").read_text())["gateways"]
    (mapping,) = kind["nodes"][0]["extraPortMappings"]
    assert mapping["containerPort"] == gateway["service"]["nodePort"]
    assert gateway["settings"]["externalURL"] == f"http://localhost:{mapping['hostPort']}"
    assert mapping["listenAddress"] == "127.0.0.1"
