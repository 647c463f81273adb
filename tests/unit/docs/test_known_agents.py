"""The commands of the tutorials about callers and access, run as they are on the page."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fenced_blocks import ROOT, fenced_blocks

TUTORIALS = {
    "docs/tutorials/6-known-agents.md": ["no problems"],
    "docs/tutorials/7-allow-one-tool.md": ["ALLOW: rule users", "3 tests in 1 policy: all passed"],
    "docs/tutorials/8-access-tiers.md": ["8 tests in 2 policies: all passed", "ALLOW: rule read-and-delete"],
    "docs/tutorials/10-stop-a-runaway-agent.md": ["no problems"],
    "docs/tutorials/13-one-endpoint.md": [
        "3 tests in 1 policy: all passed",
        "DENY: rule no-deletions",
        "server   old, which calls it delete_user",
    ],
    "docs/tutorials/14-eu-route.md": ["no problems", "eu, else eu-2 (rule eu", "us (rule us"],
    "docs/tutorials/15-rollout.md": ["no problems", "2 tests in 1 policy: all passed", "DENY: rule no-deletions"],
    "docs/tutorials/16-rest-service.md": [
        "no problems",
        "2 tests in 1 policy: all passed",
        "DENY: rule no-cancellations",
    ],
    "docs/tutorials/18-hide-card-numbers.md": ["no problems"],
    "docs/tutorials/19-lock-your-tools.md": ["no problems"],
    "docs/tutorials/20-when-a-server-turns-bad.md": ["no problems"],
    "docs/tutorials/9-identity-provider.md": ["4 tests in 1 policy: all passed", "ALLOW: rule delete"],
}
RECIPES = [
    *(block for block in fenced_blocks("docs/guides/provider-recipes.md", "yaml") if "kind: MCPPolicy" in block),
    fenced_blocks("docs/guides/identity-providers.md", "yaml")[-1],
]
PROXY = """
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: tickets, namespace: support}
spec: {servers: [{name: tickets, url: "https://tickets.example.com/mcp"}]}
"""


@pytest.mark.parametrize("page", TUTORIALS)
def test_the_commands_of_a_tutorial_work_and_print_what_it_says(page: str, tmp_path: Path) -> None:
    printed = run_page(page, tmp_path)
    assert [words for words in TUTORIALS[page] if words not in printed] == [], printed


def test_the_key_that_the_tutorial_makes_is_a_secret_for_the_operator(tmp_path: Path) -> None:
    run_page("docs/tutorials/6-known-agents.md", tmp_path)
    assert "ostiary.dev/usage: api-key" in (tmp_path / "known-agents" / "support-agent.yaml").read_text()


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_for_an_identity_provider_is_valid(recipe: str, tmp_path: Path) -> None:
    proxy = "" if "kind: MCPProxy\nmetadata" in recipe else PROXY
    (tmp_path / "recipe.yaml").write_text(recipe + proxy)
    assert run("ostiary validate recipe.yaml", tmp_path).rstrip().endswith("no problems")


def run_page(page: str, folder: Path) -> str:
    """Run the shell blocks of a page in a folder that looks like the repository; return what they print."""
    (folder / "examples").symlink_to(ROOT / "examples")
    return run("".join(block for block in fenced_blocks(page, "sh") if "ostiary run" not in block), folder)


def run(script: str, folder: Path) -> str:
    """Run a script in a folder; return what it prints."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
