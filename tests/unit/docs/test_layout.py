"""Where things are: `tests/unit` mirrors the source, and modules have the sizes and names of CONTRIBUTING.md."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "tests" / "unit"
#: Each folder of `tests/unit` that mirrors a source, and that source.
SOURCES = {
    "ostiary_core": ROOT / "sidecar" / "src" / "ostiary_core",
    "ostiary_gateway": ROOT / "sidecar" / "src" / "ostiary_gateway",
    "ostiary_operator": ROOT / "operator" / "src" / "ostiary_operator",
    "ostiary_tools": ROOT / "tools" / "ostiary_tools",
    "ostiary_bench": ROOT / "benchmarks" / "ostiary_bench",
    "ostiary_compare": ROOT / "benchmarks" / "ostiary_compare",
    "support": ROOT / "tests" / "support",
}
#: What documents and charts state, which no module does.
WITHOUT_SOURCE = {"chart", "docs"}
#: Tests of more than one module, and why they are not split.
OF_SEVERAL_MODULES = {
    "ostiary_core/contract/test_version_skew.py": "operator and gateway of different versions share one config",
    "ostiary_tools/toolchain/test_command_lines.py": "one property of every command of the toolchain",
}
PRODUCT = sorted(path for folder in ("operator/src", "sidecar/src", "tools") for path in (ROOT / folder).rglob("*.py"))
MOST_LINES = 300
#: A module of more lines, until it is split.
LONG: set[str] = set()
#: A module of fewer lines has three importers, or its reason is here. (CONTRIBUTING.md says "about 60".)
FEW_LINES = 50
SHORT = {
    "operator/src/ostiary_operator/console/wizard/surroundings.py": "boundary: what of others may change a verdict",
    "sidecar/src/ostiary_core/content/masks/escaped_json.py": "boundary: bytes that are not parsed",
    "sidecar/src/ostiary_core/content/detection/social_security_numbers.py": "one module a kind",
    "sidecar/src/ostiary_gateway/endpoint_discovery/known_slices.py": "one index, which lists and watches share",
    "sidecar/src/ostiary_gateway/server/http_servers.py": "boundary: names no other part of the server may know",
    "sidecar/src/ostiary_gateway/endless_work.py": "one way to keep what must not end",
    "sidecar/src/ostiary_gateway/worker_main.py": "boundary: the module that a worker process runs",
    "sidecar/src/ostiary_gateway/workers/worker_log.py": "boundary: the log of a worker process",
    "sidecar/src/ostiary_gateway/audit/stdout_turn.py": "boundary: locks between processes",
    "sidecar/src/ostiary_gateway/pipeline/worker_parts.py": "boundary: what of a pipeline is shared by workers",
    "sidecar/src/ostiary_gateway/open_files.py": "boundary: limits of the process, which benchmarks raise, too",
    "sidecar/src/ostiary_gateway/waiting_readers.py": "one way to wait, which evidence and debug captures share",
    "sidecar/src/ostiary_gateway/audit/published_checkpoints.py": "boundary: what leaves the process besides the trail",
    "operator/src/ostiary_operator/console/evaluation.py": "boundary: threads of a bounded number and time",
    "operator/src/ostiary_operator/cli/commands.py": "joins the lists of sub-commands",
    "operator/src/ostiary_operator/cli/completion.py": "one module a command",
    "operator/src/ostiary_operator/cli/crds.py": "one module a command",
    "operator/src/ostiary_operator/cli/suggest.py": "one module a command",
    "operator/src/ostiary_operator/console/access_log.py": "boundary: the log, which shows no query",
    "operator/src/ostiary_operator/compile/unknown_servers.py": "one mistake that policies make",
    "operator/src/ostiary_operator/demo/mock_server/tools/products.py": "one module a category of tools",
    "operator/src/ostiary_operator/local/die_with_parent.py": "boundary: a script, run without site-packages",
    "operator/src/ostiary_operator/status/debug_captures.py": "one module a condition that gateways observe",
    "sidecar/src/ostiary_core/audit/line_splitter.py": "boundary: bytes of any size",
    "sidecar/src/ostiary_core/audit/trail_keys.py": "one question of a verification: which keys are trusted",
    "sidecar/src/ostiary_gateway/upstream/made_document.py": "boundary: responses that no server sent",
    "sidecar/src/ostiary_core/contract/compression.py": "boundary: zlib with limits",
    "sidecar/src/ostiary_core/policy/authentication_in_force.py": "one rule, which every method uses",
    "sidecar/src/ostiary_core/policy/principal_memo.py": "one cache, which rules and routes use",
    "sidecar/src/ostiary_core/policy/cel_engine.py": "boundary: the CEL engine, which is imported late",
    "sidecar/src/ostiary_gateway/pipeline/select_stage.py": "one stage of the pipeline",
    "sidecar/src/ostiary_gateway/catalogue/cursors.py": "boundary: what callers keep and send back",
    "sidecar/src/ostiary_gateway/catalogue/unavailable.py": "boundary: what callers read in _meta",
    "sidecar/src/ostiary_gateway/catalogue/joined_instructions.py": "one module each thing that servers declare",
    "sidecar/src/ostiary_gateway/pipeline/merged/merged_plan.py": "one way to use several servers",
    "sidecar/src/ostiary_gateway/metrics/debug_capture_state.py": "one module a group of metrics",
    "operator/src/ostiary_operator/api/audit_reasons.py": "one module the reasons of a condition that gateways observe",
    "operator/src/ostiary_operator/status/telemetry_ready.py": "one module a condition that gateways observe",
    "operator/src/ostiary_operator/status/limit_store_ready.py": "one module a condition that gateways observe",
    "sidecar/src/ostiary_gateway/admin/routes.py": "one list: what the admin port answers, and who may ask",
    "sidecar/src/ostiary_gateway/metrics/event_loop_lag.py": "one module a group of metrics",
    "sidecar/src/ostiary_gateway/metrics/export_health.py": "one module each thing that the operator is told",
    "sidecar/src/ostiary_gateway/telemetry/console_exporter.py": "boundary: standard output",
    "sidecar/src/ostiary_gateway/policy_limits/counter_script.py": "boundary: a script in another language",
}
LONGEST_FIRST_LINE = 89


def source_of(test: str) -> Path | None:
    """The module or package of a test: `test_<module>.py`, or `test_<module>_<topic>.py` if one file is too long."""
    path = Path(test)
    package, *folders = path.parts[:-1]
    source = SOURCES[package].joinpath(*folders)
    words = path.stem.removeprefix("test_").split("_")
    names = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    found = (source / each for name in names for each in (f"{name}.py", f"{name}/__init__.py"))
    return next((module for module in found if module.exists()), None)


def mirroring_tests() -> list[str]:
    """The test modules that mirror a source, by their paths within `tests/unit`."""
    paths = [path.relative_to(UNIT) for path in sorted(UNIT.rglob("test_*.py"))]
    return [str(path) for path in paths if path.parts[0] not in WITHOUT_SOURCE]


def test_every_folder_of_unit_tests_mirrors_a_source() -> None:
    # Folders of before stay on a developer's disk, with nothing but bytecode in them.
    assert {path.relative_to(UNIT).parts[0] for path in UNIT.rglob("*.py")} == {*SOURCES, *WITHOUT_SOURCE}


@pytest.mark.parametrize("test", mirroring_tests())
def test_a_unit_test_is_named_after_the_module_that_it_tests(test: str) -> None:
    assert source_of(test) or test in OF_SEVERAL_MODULES, "rename it to test_<module>.py, or split it by module"


@pytest.mark.parametrize("test", OF_SEVERAL_MODULES)
def test_an_exception_is_still_needed(test: str) -> None:
    assert (UNIT / test).exists()
    assert source_of(test) is None


def test_a_test_finds_its_module_by_the_longest_name() -> None:
    config = SOURCES["ostiary_gateway"] / "config"
    assert source_of("ostiary_gateway/config/test_store.py") == config / "store.py"
    assert source_of("ostiary_gateway/config/test_store_with_both_sources.py") == config / "store.py"
    assert source_of("ostiary_gateway/test_config.py") == config / "__init__.py"
    assert source_of("ostiary_gateway/config/test_nothing.py") is None


def test_a_class_name_means_one_thing() -> None:
    places = defaultdict(list)
    for path in PRODUCT:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}, "name each by what it is"


def test_no_module_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PRODUCT}
    long = {path for path, lines in lengths.items() if lines > MOST_LINES}
    assert long - LONG == set(), "split each by concept"
    assert LONG - long == set(), "remove each from LONG"


def name_of(path: Path) -> str:
    """The name by which a module of the product is imported."""
    names = path.with_suffix("").parts
    return ".".join(names[next(i for i, name in enumerate(names) if name.startswith("ostiary_")) :])


def imports() -> dict[str, set[Path]]:
    """By name: the modules of the product that import it."""
    importers = defaultdict(set)
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            for name in names:
                importers[name].add(path)
    return importers


def test_a_short_module_has_three_importers_or_a_reason() -> None:
    importers = imports()
    short = {
        str(path.relative_to(ROOT))
        for path in PRODUCT
        if not path.name.startswith("__")
        and len(path.read_text().splitlines()) < FEW_LINES
        and len(importers[name_of(path)]) < 3
    }
    assert short - set(SHORT) == set(), "join each with its neighbour"
    assert set(SHORT) - short == set(), "remove each from SHORT"


def test_the_first_line_of_a_docstring_is_short() -> None:
    long = []
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                if len(first) > LONGEST_FIRST_LINE:
                    long.append(f"{path.relative_to(ROOT)}: {first}")
    assert long == [], "begin each with a sentence of less than 90 characters"
