"""The folders depend on each other in one direction, and the command starts light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_USE = {
    "registry": {"registry"},
    "eval": {"registry", "eval"},
    "builders": {"registry", "eval", "builders"},
    "trainers": {"registry", "eval", "trainers"},
}
CLI = ROOT / "registry" / "cli.py"
FILES = [file for folder in MAY_USE for file in sorted((ROOT / folder).rglob("*.py"))]


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_downward(file):
    folder = file.relative_to(ROOT).parts[0]
    if file == CLI:
        folder = "eval"  # the command alone may look upward: test_the_command_starts_without_heavy_modules says when
    ours = {name.split(".")[0] for name in imported(file)} & MAY_USE.keys()
    assert ours <= MAY_USE[folder]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_module_hides_the_builtin_eval(file):
    assert not any(
        isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "eval" for alias in node.names)
        for node in ast.walk(ast.parse(file.read_text()))
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_ever_evaluated_as_python(file):
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


def test_the_command_starts_without_heavy_modules():
    heavy = {"polars", "duckdb", "pyarrow", "datasets", "torch", "transformers", "pydantic", "numpy", "yaml"}
    assert not modules_after("import registry.cli") & heavy


def test_a_plan_needs_no_model_libraries():
    code = "from registry.catalog import read\nfrom registry.plan import plan\nfrom registry.store import Store\nfrom pathlib import Path\n"
    code += "plan(read(Path('catalog.yaml')), Store(Path('nowhere')))"
    assert not modules_after(code) & {"datasets", "torch", "transformers", "vllm", "sympy", "matplotlib"}


def test_the_command_works_in_a_folder_with_an_eval_and_a_registry_of_its_own(tmp_path):
    for name in ("eval", "registry", "builders"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    rft = Path(sys.executable).with_name("rft")
    subprocess.run([rft, "init"], cwd=tmp_path, check=True, capture_output=True)
    planned = subprocess.run([rft, "plan"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "gsm8k-train@1" in planned
