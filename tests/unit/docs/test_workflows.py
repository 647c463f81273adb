"""The GitHub workflows call only what exists: make targets, and files of this repository."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
_CALL = re.compile(r"\bmake\s+(?:-\S+\s+)*([a-z][a-z-]*)")


def commands(workflow: Path) -> list[str]:
    """What the steps of a workflow run."""
    jobs: dict[str, Any] = yaml.safe_load(workflow.read_text())["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


def test_there_are_workflows_for_ci_release_and_fuzzing() -> None:
    assert [workflow.stem for workflow in WORKFLOWS] == ["ci", "fuzz", "release"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_calls_only_make_targets_that_exist(workflow: Path) -> None:
    called = {target for command in commands(workflow) for target in _CALL.findall(command)}

    assert called
    assert called - TARGETS == set()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_grants_reading_by_default_and_no_job_runs_without_a_time_limit(workflow: Path) -> None:
    document = yaml.safe_load(workflow.read_text())

    assert document["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 120 for job in document["jobs"].values())


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_no_command_of_a_workflow_is_built_from_what_others_may_write(workflow: Path) -> None:
    # An expression inside `run` becomes part of the script: the name of a branch could contain commands.
    assert [command for command in commands(workflow) if "${{" in command] == []


def test_ci_tests_the_oldest_python_that_we_promise() -> None:
    document = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    promised = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())

    assert promised is not None
    assert document["jobs"]["test"]["strategy"]["matrix"]["python"][0] == promised[1]


def test_the_hooks_before_a_commit_run_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert lint is not None
    programs = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks}
    assert programs == set(re.findall(r"\$\(BIN\)/([a-z-]+)", lint[1]))
