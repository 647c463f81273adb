"""Dashboards, checked against the types that Grafana and Perses publish, by the TypeScript compiler.

assert faults(tmp_path, {"GrafanaBoard": [dashboard], "PersesBoard": []}) == ""
"""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from node_packages import installed_package

from ostiary_tools.toolchain import node

_PACKAGE = Path(__file__).parents[1] / "dashboards"


def faults(folder: Path, dashboards: Mapping[str, Sequence[Any]]) -> str:
    """Return what the compiler says of dashboards, by the name of their type in `tests/dashboards/types.ts`."""
    modules = installed_package(_PACKAGE) / "node_modules"
    (folder / "node_modules").symlink_to(modules)
    for file in ("types.ts", "tsconfig.json"):
        shutil.copyfile(_PACKAGE / file, folder / file)
    values = [(kind, value) for kind, each in dashboards.items() for value in each]
    lines = [
        f"const value{number}: {kind} = {json.dumps(value, indent=1)};" for number, (kind, value) in enumerate(values)
    ]
    imported = f"import type {{ {', '.join(dashboards)} }} from './types';"
    (folder / "dashboards.ts").write_text("\n".join([imported, *lines, "export {};"]))
    command = [str(node.ensure().node), str(modules / "typescript" / "bin" / "tsc"), "--project", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode == 0) is (not done.stdout), done.stderr
    return done.stdout
