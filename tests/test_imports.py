"""The folders depend on each other in one direction, and the command starts light."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workspace import ROOT

# What a room may import of ours, besides itself. Nobody imports the command but the benchmarks.
MAY_USE = {
    "registry": set(),
    "eval": {"registry"},
    "inference": {"registry", "eval"},
    "builders": {"registry", "eval", "inference"},
    "trainers": {"registry", "eval", "inference"},
    "rft/app.py": {"registry", "eval", "inference"},
    "rft/progress.py": {"registry", "eval", "inference"},
    "rft/reports": {"registry", "eval", "inference"},
    "rft/export": {"registry", "eval", "inference", "rft/reports"},
    "rft/publish": {"registry", "eval", "inference", "rft/reports"},
    "rft/import_file.py": {"registry", "eval", "inference", "builders", "rft/reports"},
    "rft/removal.py": {"registry", "eval", "inference"},
    "rft/renewal.py": {"registry", "eval", "inference"},
    "rft/commands": {"registry", "eval", "inference", "builders", "trainers"}
    | {
        f"rft/{room}"
        for room in ("app.py", "progress.py", "reports", "export", "publish", "import_file.py", "removal.py", "renewal.py")
    },
    "rft/main.py": {"registry", "rft/app.py", "rft/commands"},
    "rft/__main__.py": {"rft/main.py"},
    "rft/__init__.py": set(),
}
PACKAGES = ["registry", "eval", "inference", "builders", "trainers", "rft"]
FILES = [file for folder in PACKAGES for file in sorted((ROOT / folder).rglob("*.py"))]


def room(path: str) -> str:
    """Return the room of a file of ours; those below rft/ are rooms of their own."""
    first, _, rest = path.partition("/")
    return f"rft/{rest.partition('/')[0]}" if first == "rft" else first


def room_of_module(name: str) -> str:
    first, *rest = name.split(".")
    if first != "rft" or not rest:
        return "rft/__init__.py" if first == "rft" else first
    return f"rft/{rest[0]}" if (ROOT / "rft" / rest[0]).is_dir() else f"rft/{rest[0]}.py"


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_downward(file: Any) -> None:
    here = room(file.relative_to(ROOT).as_posix())
    used = {room_of_module(name) for name in imported(file) if name.split(".")[0] in PACKAGES}
    assert used <= MAY_USE[here] | {here}


@pytest.mark.parametrize("folder", ["builders", "trainers", "eval"])
def test_a_file_without_an_underscore_is_a_maker(folder: Any) -> None:
    for file in (ROOT / folder).glob("[!_]*.py"):
        assert re.search(r"^EDITION = \d+", file.read_text(), flags=re.MULTILINE), file


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_module_hides_the_builtin_eval(file: Any) -> None:
    assert not any(
        isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "eval" for alias in node.names)
        for node in ast.walk(ast.parse(file.read_text()))
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_ever_evaluated_as_python(file: Any) -> None:
    calls = [
        node.func.id
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert not {"eval", "exec", "compile"} & set(calls)


def modules_after(code: str, cwd: Path = ROOT) -> set[str]:
    script = f"import sys\nsys.argv = ['rft']\n{code}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cwd).stdout.split()
    )


def test_the_command_starts_without_heavy_modules() -> None:
    heavy = {"polars", "duckdb", "pyarrow", "datasets", "torch", "transformers", "pydantic", "numpy", "yaml"}
    assert not modules_after("import rft.main") & heavy


def test_a_plan_needs_no_model_libraries() -> None:
    code = "from registry.catalog.read import read\nfrom registry.catalog.plan import plan\nfrom registry.store.store import Store\nfrom pathlib import Path\n"
    code += "plan(read(Path('catalog.yaml')), Store(Path('nowhere')))"
    assert not modules_after(code) & {"datasets", "torch", "transformers", "vllm", "sympy", "matplotlib"}


def test_the_command_works_in_a_folder_with_an_eval_and_a_registry_of_its_own(tmp_path: Path) -> None:
    for name in ("eval", "registry", "builders"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    rft = Path(sys.executable).with_name("rft")
    subprocess.run([rft, "init"], cwd=tmp_path, check=True, capture_output=True)
    planned = subprocess.run([rft, "plan"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "gsm8k-train@1" in planned
