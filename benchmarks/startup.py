"""How long `rft` takes before it does anything: --help, plan on 1,000 lines, ls on 10,000 artifacts.

    python -m benchmarks.startup [--check] [--json]

Each is the median wall time of 9 runs of the installed command, in a process of its own, after one run that is not
counted. The one before the first `ls` writes the index; its time is shown on a line of its own.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

RUNS = 9
LINES, ARTIFACTS = 1_000, 10_000
BOUNDS = {"help": 0.2, "plan": 1.0, "plan, all built": 1.0, "ls": 1.0}  # seconds
SHA256 = "0" * 64


def catalog_text(lines: int) -> str:
    """Return a catalog of about `lines` lines as a user's would be: questions, samples, rejection sets, unions, evals."""
    datasets, evals = [], []
    for n in range(lines // 10):
        datasets += [
            f'q{n}@1: {{builder: questions_file, params: {{path: q{n}.jsonl, sha256: "{SHA256}"}}}}',
            f"q{n}-1of8@1: {{builder: fraction, inputs: [q{n}@1], params: {{denominator: 8, seed: 42}}}}",
        ]
        for m in range(3):
            file = f'path: s{n}-{m}.jsonl, sha256: "{SHA256}", model: model-{m}'
            datasets += [
                f"q{n}-samples-{m}@1: {{builder: samples_file, inputs: [q{n}@1], params: {{{file}}}}}",
                f"q{n}-rft-{m}@1: {{builder: rejection, inputs: [q{n}@1, q{n}-samples-{m}@1], params: {{select: farthest}}}}",
            ]
        sets = ", ".join(f"q{n}-rft-{m}@1" for m in range(3))
        datasets.append(f"q{n}-rft-all@1: {{builder: union, inputs: [{sets}], params: {{select: farthest}}}}")
        evals.append(f"q{n}-score@1: {{eval: gsm8k, inputs: [q{n}@1, q{n}-samples-0@1], params: {{k: 1}}}}")
    return "".join(["datasets:\n", *(f"  {line}\n" for line in datasets), "evals:\n", *(f"  {line}\n" for line in evals)])


def fill(folder: Path, home: Path, artifacts: int) -> None:
    """Register the lines of the catalog, and more artifacts of made-up lines until there are `artifacts`; all have the same rows."""
    import polars as pl

    from registry.catalog import read as catalog
    from registry.catalog.bind import recorded
    from registry.catalog.plan import plan
    from registry.files import sha256_file
    from registry.names import ArtifactId
    from registry.store import draft as drafts
    from registry.store.record import FileRecord, InputRecord, Record
    from registry.store.store import Store

    drafts.sync = lambda path: None  # type: ignore[attr-defined]  # nothing here must survive a power cut
    rows = folder / "rows.parquet"
    pl.DataFrame({"question_id": ["0" * 16], "question": ["?"]}).write_parquet(rows)
    file = FileRecord(name="rows.parquet", bytes=rows.stat().st_size, sha256=sha256_file(rows))
    where = Store(home)
    steps = plan(catalog.read(folder / "catalog.yaml"), where)
    recipes = [(step.id, step.recipe) for step in steps.values()]
    some = [recipe for id, recipe in recipes if not recipe.entry.inputs]
    ids = [ArtifactId(f"more-{n // 10}", n % 10 + 1) for n in range(artifacts - len(recipes))]
    recipes += [(id, some[n % len(some)]) for n, id in enumerate(ids)]
    for id, recipe in recipes:
        inputs = [InputRecord(id=str(given), content=SHA256) for given in recipe.entry.inputs]
        with where.draft(id) as draft:
            os.link(rows, draft.folder / "rows.parquet")
            draft.publish(
                Record(
                    name=id.name,
                    version=id.version,
                    kind=recipe.entry.kind,
                    maker=recipe.maker.name,
                    edition=recipe.maker.edition,
                    inputs=inputs,
                    params=recorded(recipe),
                    rows_are="QUESTIONS",
                    content=SHA256,
                    rows=1,
                    drops={"empty_text": 2, "missing_field": 1},
                    facts={},
                    files=[file],
                    provenance={"git_commit": "0" * 40, "git_dirty": False, "python": "3.11", "seconds": 0.1},
                    built_at=datetime(2024, 1, 1),
                )
            )


def timed(*words: str) -> tuple[float, list[float]]:
    """Return the seconds of the first run of `rft` with these words, and those of the next ones."""
    rft = Path(sys.executable).parent / "rft"
    command = [str(rft) if rft.exists() else shutil.which("rft") or "rft", *words]
    seconds = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds[0], seconds[1:]


def measure(lines: int, artifacts: int) -> dict[str, Any]:
    found: dict[str, Any] = {"lines": lines, "artifacts": artifacts, "runs": RUNS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        catalog = folder / "catalog.yaml"
        catalog.write_text(catalog_text(lines))
        empty, full = folder / "empty", folder / "full"
        place = ("--catalog", str(catalog), "--home")
        runs = {"help": timed("--help"), "plan": timed(*place, str(empty), "plan")}
        started = time.monotonic()
        fill(folder, full, artifacts)
        found["seconds_to_fill"] = time.monotonic() - started
        runs |= {"plan, all built": timed(*place, str(full), "plan"), "ls": timed(*place, str(full), "ls")}
        found["index_bytes"] = (full / "registry.duckdb").stat().st_size
    for name, (first, seconds) in runs.items():
        found[name] = {"median": statistics.median(seconds), "least": min(seconds), "most": max(seconds), "first": first}
    found["load_average"] = os.getloadavg()
    return found


def report(found: dict[str, Any]) -> str:
    what = {
        "help": "rft --help",
        "plan": f"rft plan, {found['lines']:,} lines",
        "plan, all built": f"rft plan, {found['lines']:,} lines, all built",
        "ls": f"rft ls, {found['artifacts']:,} artifacts",
    }
    lines = [
        f"{what[name]:36} {found[name]['median']:6.3f} s  (least {found[name]['least']:.3f}, most {found[name]['most']:.3f}; "
        f"bound {bound} s)"
        for name, bound in BOUNDS.items()
    ]
    lines.append(
        f"{'first rft ls, which writes the index':36} {found['ls']['first']:6.3f} s  ({found['index_bytes'] / 1e6:.1f} MB)"
    )
    return "\n".join([*lines, f"medians of {found['runs']}; load {found['load_average'][0]:.1f}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--artifacts", type=int, default=ARTIFACTS)
    parser.add_argument("--check", action="store_true", help="exit with 1 if a median is above its bound")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.lines, given.artifacts)
    print(json.dumps(found, indent=1) if given.json else report(found))
    slow = [name for name, bound in BOUNDS.items() if found[name]["median"] >= bound]
    if given.check and slow:
        print(f"above the bound: {', '.join(slow)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
