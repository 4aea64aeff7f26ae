"""How long a rejection set takes, against the reference algorithm written plainly, and whether both keep the same samples.

    python -m benchmarks.rejection                     7,473 questions x 100 samples, as in the paper
    python -m benchmarks.rejection --check             1,500 questions; exit code 1 unless identical and 3 times as fast

The data is made up (benchmarks/stories.py). Every part runs in a process of its own, so that its memory is its own:
- import: `samples_file` reads the JSON lines into the store.
- rejection: grade, select and register, as `rft build` does it, with its defaults (a worker for each core).
- stages: the same on one core, with a clock on each part.
- baseline: the reference script's method (the paper's Algorithm 1) on texts that are in memory already: `re`, one Python
  evaluation for each equation, `editdistance`, both sums of distances calculated anew for every text. One core, as the
  script itself. It writes nothing.
"""

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.stories import QUESTIONS, SAMPLES, json_lines, question_rows, sample_rows, stories

CHECKED_QUESTIONS = 1_500
LEAST_RATIO = 3.0
MODEL = "made-up"


# -- the reference algorithm ------------------------------------------------------------------------------------------

ANSWER = re.compile(r"#### (\-?[0-9\.\,]+)")
EQUATION = re.compile(r"<<([^>]*)>>")
ARITHMETIC = re.compile(r"[0-9+\-*/(). ]+")


def reference_answer(text: str) -> float | None:
    found = ANSWER.search(text.split("\0")[0])
    if found is None:
        return None
    try:
        return float(found[1].replace(",", ""))
    except ValueError:
        return None


def reference_check(equation: str) -> bool:
    """Return whether Python's evaluation of the left side gives the right side, as the script does it.

    Only texts of our own generator get here, and only those of digits and operators are evaluated.
    """
    if "=" not in equation:
        return False
    left, right = equation.split("=")[:2]
    if not ARITHMETIC.fullmatch(left):
        return False
    try:
        return bool(abs(eval(left, {"__builtins__": {}}, {}) - float(right)) < 1e-3)  # noqa: S307
    except Exception:
        return False


def reference_select(texts: list[str]) -> list[str]:
    """Return the texts that Algorithm 1 keeps of a question's right ones, in the order of their first paths."""
    import editdistance

    chosen: dict[str, str] = {}
    for text in texts:
        equations = EQUATION.findall(text)
        if not all(reference_check(equation) for equation in equations):
            continue
        key = "|".join(equations).replace(" ", "")
        if key not in chosen:
            chosen[key] = text
            continue
        rival = chosen[key]
        others = [other for other in chosen.values() if other != rival]
        new, old = sum(editdistance.eval(text, o) for o in others), sum(editdistance.eval(rival, o) for o in others)
        if new > old:
            chosen[key] = text
    return list(chosen.values())


# -- the parts, each in a process of its own --------------------------------------------------------------------------


def make(folder: Path, questions: int, samples: int) -> dict[str, Any]:
    started = time.monotonic()
    told = stories(questions)
    with (folder / "questions.jsonl").open("wb") as file:
        file.writelines(json_lines(question_rows(told)))
    with (folder / "samples.jsonl").open("wb") as file:
        file.writelines(json_lines(sample_rows(told, samples, MODEL, skill=0.537, seed=0)))
    digests = {name: _sha256(folder / f"{name}.jsonl") for name in ("questions", "samples")}
    (folder / "catalog.yaml").write_text(f"""datasets:
  questions@1: {{builder: questions_file, params: {{path: questions.jsonl, sha256: "{digests["questions"]}"}}}}
  samples@1:   {{builder: samples_file, inputs: [questions@1], params: {{path: samples.jsonl, sha256: "{digests["samples"]}"}}}}
  set@1:       {{builder: rejection, inputs: [questions@1, samples@1], params: {{mode: paper, select: farthest}}}}
""")
    return {"seconds": time.monotonic() - started, "bytes": (folder / "samples.jsonl").stat().st_size}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _build(folder: Path, home: Path, *names: str, workers: int = 0) -> dict[str, float]:
    """Build lines of the catalog as `rft build` does; return the seconds of each."""
    from registry.build.build import build_one
    from registry.catalog import read as catalog
    from registry.catalog.plan import plan
    from registry.maker import Options
    from registry.names import parse_id
    from registry.store.store import Store

    lines, store = catalog.read(folder / "catalog.yaml"), Store(home)
    steps = plan(lines, store)
    seconds = {}
    for name in names:
        started = time.monotonic()
        build_one(steps[parse_id(name)].recipe, store, lines.folder, options=Options(workers=workers))
        seconds[name] = time.monotonic() - started
    return seconds


def import_(folder: Path) -> dict[str, Any]:
    return {"seconds": _build(folder, folder / "home", "questions@1", "samples@1")["samples@1"]}


def rejection(folder: Path) -> dict[str, Any]:
    import polars as pl

    seconds = _build(folder, folder / "home", "set@1")["set@1"]
    made = folder / "home" / "artifacts" / "set" / "1"
    verdicts = pl.read_parquet(made / "verdicts.parquet", columns=["right_answer"])
    rows = pl.read_parquet(made / "rows.parquet")
    kept: dict[str, list[str]] = {}
    for question, origin, response in rows.select("question", "origin", "response").iter_rows():
        kept.setdefault(question, [])
        if origin != "human":
            kept[question].append(response)
    (folder / "kept.json").write_text(json.dumps(kept))
    return {
        "seconds": seconds,
        "right": int(verdicts["right_answer"].sum()),
        "kept": sum(map(len, kept.values())),
        "rows": rows.height,
    }


STAGES = {  # what is timed: the functions, wherever they are used
    "reading the samples": ("registry.tables:read_wide",),
    "answers": ("eval.grading.rules:PAPER.read_answers",),
    "comparing answers": ("eval.grading.grade:is_right",),
    "equations and paths": ("eval.grading.paths:read_paths",),
    "choosing (edit distances)": ("builders._selection:keep",),
    "counting paths": ("eval.grading.paths:count_paths",),
    "writing and hashing": ("registry.build.writer:Writer.write", "registry.build.writer:Writer.close"),
    "file hashes and fsync": ("registry.store.draft:Draft.files", "registry.store.draft:Draft.publish"),
}


def stages(folder: Path) -> dict[str, Any]:
    """Build the set again, on one core and in this process, with a clock on each part."""
    _build(folder, folder / "home", "questions@1")  # there already: this imports everything that will be timed
    import importlib

    import builders.rejection
    from eval.grading.rules import Rules

    assert builders.rejection
    clock: dict[str, float] = defaultdict(float)
    for stage, places in STAGES.items():
        for place in places:
            module, _, path = place.partition(":")
            owner: Any = importlib.import_module(module)
            *outer, name = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            original = getattr(owner, name)
            timed = _timed(original, clock, stage)
            # Rules are values, and frozen.
            (object.__setattr__ if isinstance(owner, Rules) else setattr)(owner, name, timed)
            for other in list(sys.modules.values()):  # `from eval.grading.answers import read_answers` made names of their own
                if getattr(other, name, None) is original:
                    setattr(other, name, timed)
    home = folder / "home-of-stages"
    home.mkdir()
    (home / "artifacts").mkdir()
    for name in ("questions", "samples"):
        (home / "artifacts" / name).symlink_to(folder / "home" / "artifacts" / name)
    started, worked = time.monotonic(), time.process_time()
    _build(folder, home, "set@1", workers=1)
    total, worked = time.monotonic() - started, time.process_time() - worked
    clock["the rest"] = total - sum(clock.values())
    return {"seconds": total, "work": worked, "stages": {name: round(seconds, 2) for name, seconds in clock.items()}}


def _timed(function: Callable[..., Any], clock: dict[str, float], stage: str) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            clock[stage] += time.monotonic() - started

    return timed


def baseline(folder: Path) -> dict[str, Any]:
    started = time.monotonic()
    with (folder / "questions.jsonl").open() as file:
        solutions = {row["question"]: row["answer"] for row in map(json.loads, file)}
    samples: dict[str, list[str]] = {question: [] for question in solutions}
    with (folder / "samples.jsonl").open() as file:
        for row in map(json.loads, file):
            samples[row["question"]].append(row["completion"])
    read = time.monotonic() - started
    import editdistance

    assert editdistance

    started, worked = time.monotonic(), time.process_time()
    right = {}
    for question, texts in samples.items():
        gold = reference_answer(solutions[question])
        right[question] = [text for text in texts if gold is not None and reference_answer(text) == gold]
    graded = time.monotonic() - started
    kept = {question: reference_select(texts) for question, texts in right.items()}
    seconds, worked = time.monotonic() - started, time.process_time() - worked
    (folder / "kept-by-baseline.json").write_text(json.dumps(kept))
    return {"seconds": seconds, "work": worked, "answers": graded, "reading": read, "right": sum(map(len, right.values()))}


PARTS = {"import": import_, "rejection": rejection, "stages": stages, "baseline": baseline}


class _Memory:
    """The greatest resident memory of this process and of each of its workers, in MB, looked up while it runs.

    getrusage would do for this process; for children it counts what they share with us before they begin.
    """

    def __init__(self) -> None:
        self.workers: dict[str, float] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            for worker in _workers():
                self.workers[worker] = max(self.workers.get(worker, 0), _resident(worker))
            time.sleep(0.1)

    def peak(self) -> dict[str, Any]:
        unit = 1 if sys.platform == "darwin" else 1024
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
        return {"process": round(own), "workers": [round(size) for size in self.workers.values()]}


def _workers() -> list[str]:
    """Return the ids of this process's workers; none where there is no /proc."""
    found = []
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                if b"multiprocessing.spawn" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
    return found


def _resident(process: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _rounds(folder: Path, runs: int) -> dict[str, Any]:
    """Run all parts some times and return what the fastest run of each found: other programs can only slow it down."""
    found = {"import": [_run("import", folder)]}
    for _ in range(runs):  # round by round, so that what else the machine does meets all of them
        for part in PARTS:
            if part == "import":
                continue
            shutil.rmtree(folder / "home-of-stages", ignore_errors=True)
            shutil.rmtree(folder / "home" / "artifacts" / "set", ignore_errors=True)
            found.setdefault(part, []).append(_run(part, folder))
    return {part: min(each, key=lambda run: float(run["seconds"])) for part, each in found.items()}


def _run(part: str, folder: Path, *more: str) -> dict[str, Any]:
    environment = dict(os.environ)
    if part == "stages":
        environment["POLARS_MAX_THREADS"] = "1"
    command = [sys.executable, "-m", "benchmarks.rejection", "--part", part, "--folder", str(folder), *more]
    printed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def compare(folder: Path) -> list[str]:
    """Return the questions for which the build and the baseline kept other samples, or in another order."""
    ours, theirs = (json.loads((folder / name).read_text()) for name in ("kept.json", "kept-by-baseline.json"))
    return [question for question in theirs if ours.get(question) != theirs[question]]


def measure(folder: Path, questions: int, samples: int, runs: int) -> dict[str, Any]:
    size = ("--questions", str(questions), "--samples", str(samples))
    found: dict[str, Any] = {"questions": questions, "samples": questions * samples, "cores": os.cpu_count(), "runs": runs}
    found["make"] = _run("make", folder, *size)
    found |= _rounds(folder, runs)
    different = compare(folder)
    build, reference = (found[part]["seconds"] for part in ("rejection", "baseline"))
    found["different_questions"] = len(different)
    found["first_different"] = different[:3]
    found["identical"] = not different and found["rejection"]["right"] == found["baseline"]["right"]
    found["ratio"] = reference / build
    # The same work on one core each, in CPU time, which other programs change least.
    found["ratio_of_cpu"] = found["baseline"]["work"] / found["stages"]["work"]
    found["ratio_from_the_file"] = (reference + found["baseline"]["reading"]) / (build + found["import"]["seconds"])
    found["load_average"] = os.getloadavg()
    return found


def report(found: dict[str, Any]) -> str:
    imported, build, reference, parts = found["import"], found["rejection"], found["baseline"], found["stages"]
    lines = [
        f"{found['samples']:,} samples of {found['questions']:,} questions, {found['make']['bytes'] / 1e6:,.0f} MB of JSON lines; "
        f"{found['cores']} cores, load {found['load_average'][0]:.1f}; the fastest of {found['runs']}",
        f"import      {imported['seconds']:7.1f} s   {_cost(imported)}",
        f"rejection   {build['seconds']:7.1f} s   {_cost(build)}   grade, select, write and register",
        f"  one core  {parts['seconds']:7.1f} s   {_cost(parts)}",
        *(f"    {seconds:7.1f} s  {name}" for name, seconds in parts["stages"].items()),
        f"baseline    {reference['seconds']:7.1f} s   {_cost(reference)}   the reference algorithm: grade and select; "
        f"{reference['reading']:.1f} s more to read the file",
        f"right answers {build['right']:,}; kept {build['kept']:,}; rows with the human ones {build['rows']:,}",
        "the kept samples are identical, question by question"
        if found["identical"]
        else f"DIFFERENT: {found['different_questions']} questions, {found['first_different']}",
        f"ratio {found['ratio']:.1f} ({reference['seconds']:.1f} s / {build['seconds']:.1f} s); "
        f"of CPU on one core {found['ratio_of_cpu']:.1f} ({reference['work']:.1f} s / {parts['work']:.1f} s); "
        f"from the file to the end {found['ratio_from_the_file']:.1f}",
    ]
    return "\n".join(lines)


def _cost(part: dict[str, Any]) -> str:
    peak = part["peak_mb"]
    workers = "".join(f" + {size:,}" for size in peak["workers"])
    return f"(CPU {part['cpu']:6.1f} s)   peak {peak['process']:,}{workers} MB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--runs", type=int, help="take the fastest of so many runs (default 1, with --check 3)")
    parser.add_argument(
        "--check", action="store_true", help=f"exit with 1 unless identical and {LEAST_RATIO:.0f} times as fast"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep everything in this (new) folder")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    given = parser.parse_args()
    questions = given.questions or (CHECKED_QUESTIONS if given.check else QUESTIONS)
    if given.part:
        memory = _Memory()
        found = make(given.folder, questions, given.samples) if given.part == "make" else PARTS[given.part](given.folder)
        own, of_workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        cpu = sum(usage.ru_utime + usage.ru_stime for usage in (own, of_workers))
        print(json.dumps(found | {"cpu": cpu, "peak_mb": memory.peak()}))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        found = measure(folder, questions, given.samples, given.runs or (3 if given.check else 1))
    print(json.dumps(found, indent=1) if given.json else report(found))
    if given.check and not (found["identical"] and found["ratio"] >= LEAST_RATIO):
        print(f"not as stated: identical, and at least {LEAST_RATIO:.0f} times as fast", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
