"""``ostiary test``: runs the tests in MCPPolicies of YAML files."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ostiary_operator.cli.common_arguments import add_namespaces, counted

if TYPE_CHECKING:
    from ostiary_operator.compile.policy_test_runner import PolicyTestResult
    from ostiary_operator.local.findings import Finding
    from ostiary_operator.local.manifests import ObjectManifest, Read
    from ostiary_operator.local.validation import ValidationResult

PASSED, FAILED, UNUSABLE = 0, 1, 2
"""The exit codes."""


class _Case(NamedTuple):
    """One test, and the policy in a file that has it."""

    manifest: "ObjectManifest"
    result: "PolicyTestResult"

    @property
    def finding(self) -> "Finding":
        """The place of the test."""
        return self.manifest.finding(self.result.field, self.result.cause, "")

    def __str__(self) -> str:
        name = f" ({self.result.test.name})" if self.result.test.name is not None else ""
        if self.result.passed:
            return f"pass  {self.result.field}{name}: {self.result.outcome}: {self.result.cause}"
        return f"FAIL  {self.result.field}{name}: {self.result.failure}\n        {self.finding.place}"

    def as_object(self) -> dict[str, Any]:
        """The case as a JSON object."""
        decision, test, place = self.result.decision, self.result.test, self.finding
        return {
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "namespace": place.namespace,
            "policy": place.name,
            "field": self.result.field,
            "name": test.name,
            "passed": self.result.passed,
            "expected": test.expect,
            "expectedRule": test.rule,
            "decision": self.result.outcome,
            "rule": decision.rule or None,
            "reason": decision.reason,
            "cause": self.result.cause,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a file, a folder (all *.yaml and *.yml below it), or - for stdin"
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="lines for people, or a JSON array of objects"
    )
    add_namespaces(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the tests; return the exit code.

    It is 1 if a test fails or a policy is invalid, 2 for paths that cannot be used.
    """
    from ostiary_operator.local import files, manifests, validation  # noqa: PLC0415  help needs none of it

    try:
        read = manifests.read_all(arguments.paths, namespace=arguments.namespace)
    except files.PathError as error:
        sys.stderr.write(f"ostiary test: {error}\n")
        return UNUSABLE
    result = validation.validate_objects(read.manifests, validation.ValidationContext(arguments.operator_namespace))
    cases = list(_cases(result))
    errors = _errors(read, result, {(case.manifest.key, case.result.field) for case in cases})
    sys.stderr.writelines(f"{error}\n" for error in errors)
    if arguments.output == "json":
        sys.stdout.write(json.dumps([case.as_object() for case in cases], indent=2) + "\n")
    else:
        sys.stdout.writelines(_lines(cases))
    return PASSED if not errors and all(case.result.passed for case in cases) else FAILED


def _cases(result: "ValidationResult") -> Iterator[_Case]:
    from ostiary_operator.compile.model import ObjectKey  # noqa: PLC0415  likewise

    for manifest in result.manifests:
        status = result.compiled.statuses.get(ObjectKey(*manifest.key))
        yield from (_Case(manifest, each) for each in (status.tests if status is not None else ()))


def _errors(read: "Read", result: "ValidationResult", tests: set[tuple[Any, str]]) -> "list[Finding]":
    """Return what keeps tests from being run: unreadable files and invalid policies."""
    from ostiary_operator.api.resources import POLICY_KIND  # noqa: PLC0415  likewise
    from ostiary_operator.local.findings import Severity, in_order  # noqa: PLC0415  likewise
    from ostiary_operator.local.manifests import key_of  # noqa: PLC0415  likewise

    found = [*read.findings, *(it for it in result.findings if it.kind == POLICY_KIND)]
    return in_order([it for it in found if it.severity is Severity.ERROR and (key_of(it), it.field) not in tests])


def _lines(cases: Sequence[_Case]) -> Iterable[str]:
    if not cases:
        yield "no tests: no MCPPolicy here has spec.tests\n"
        return
    policies = list(dict.fromkeys(case.manifest.key for case in cases))
    for policy in policies:
        yield f"MCPPolicy {policy.namespace}/{policy.name}\n"
        yield from (f"  {case}\n" for case in cases if case.manifest.key == policy)
    failed = sum(not case.result.passed for case in cases)
    total = f"{counted(len(cases), 'test')} in {len(policies)} {'policy' if len(policies) == 1 else 'policies'}"
    yield f"{total}: {f'{failed} failed' if failed else 'all passed'}\n"
