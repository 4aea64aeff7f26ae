"""How much processor time `rft push` takes of its own, beside what the Hub's client needs to send the same files.

    python -m benchmarks.publishing                     a union of about 110,000 rows
    python -m benchmarks.publishing --check             exit code 1 if it takes 10 s or more

The data is made up (benchmarks/stories.py): 7,473 questions, two models with 14 samples each, all right ones pooled, and 1,319 test
questions of the same kind. The Hub is that of tests/fakehub, in a process of its own.
- push: checks, statistics, pictures, card, one commit, every file read back, the tag.
- baseline: `huggingface_hub.HfApi.create_commit` with the same files, and nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.stories import QUESTIONS, json_lines, question_rows, sample_rows, stories

TESTS = 1_319
MOST = 10.0  # seconds
ROOT = Path(__file__).parent.parent
REPO = "someone/family"
SERVE = "from tests.fakehub import running, environment; from pathlib import Path; import json, time\n"
SERVE += "with running(page=1000) as hub: print(json.dumps(environment(hub, Path({home!r}))), flush=True); time.sleep(3600)"
LINES = """\
datasets:
  train@1: {builder: questions_file, params: {path: train.jsonl, sha256: "%s", licence: apache-2.0}}
  exam@1: {builder: questions_file, params: {path: exam.jsonl, sha256: "%s", role: test}}
  one@1: {builder: samples_file, inputs: [train@1], params: {path: one.jsonl, sha256: "%s", licence: apache-2.0}}
  two@1: {builder: samples_file, inputs: [train@1], params: {path: two.jsonl, sha256: "%s", licence: apache-2.0}}
  one-all@1: {builder: rejection, inputs: [train@1, one@1], params: {select: all}}
  two-all@1: {builder: rejection, inputs: [train@1, two@1], params: {select: all}}
  union@1: {builder: union, inputs: [one-all@1, two-all@1], params: {select: all}}
"""


def prepare(folder: Path) -> None:
    """Write the data and the catalog, and build the union."""
    from registry.files import sha256_file

    told = stories(QUESTIONS + TESTS, seed=3)
    train, exam = told[:QUESTIONS], told[QUESTIONS:]
    files = {"train": question_rows(train), "exam": question_rows(exam)}
    files |= {name: sample_rows(train, 14, name, 0.5, seed) for name, seed in (("one", 1), ("two", 2))}
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_bytes(b"".join(json_lines(rows)))
    (folder / "catalog.yaml").write_text(LINES % tuple(sha256_file(folder / f"{name}.jsonl") for name in files))
    rft = Path(sys.executable).with_name("rft")
    subprocess.run([rft, "build", "union", "exam", "--quiet"], cwd=folder, check=True)


def seconds(script: str) -> float:
    """Return the processor time of a Python program, its threads included."""
    before = os.times()
    subprocess.run([sys.executable, "-c", script], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


PUSH = """
from registry.catalog import read as catalog
from registry.query.api import Registry
from registry.names import parse_id
from rft.publish.gate.check import check
from rft.publish.remote.layout import lay_out
from rft.publish.remote.push import push
from pathlib import Path
folder = Path({folder!r})
found = check(Registry(folder / ".rft"), catalog.read(folder / "catalog.yaml"), [parse_id("union@1")], overrides=["contamination/*"])
assert not found[0].stops, found[0].report()
push([lay_out(one) for one in found], {repo!r})
"""
BASELINE = """
from huggingface_hub import CommitOperationAdd, HfApi
from pathlib import Path
files = Path({files!r})
sent = [file for file in sorted(files.glob("*/*")) + [files / "README.md"] if not file.parent.name.startswith(".")]
api = HfApi()
api.create_repo({repo!r}, repo_type="dataset", private=True)
add = [CommitOperationAdd(str(file.relative_to(files)), file) for file in sent]
api.create_commit({repo!r}, add, commit_message="all", repo_type="dataset")
"""
FETCH = """
from huggingface_hub import snapshot_download
snapshot_download({repo!r}, repo_type="dataset", revision="union-v1", local_dir={files!r})
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help=f"fail if the push takes {MOST:.0f} s or more")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        serve = SERVE.format(home=str(folder / "hf"))
        with subprocess.Popen([sys.executable, "-c", serve], stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                os.environ |= json.loads(server.stdout.readline())
                started = time.monotonic()
                push = seconds(PUSH.format(folder=str(folder), repo=REPO))
                wall = time.monotonic() - started
                again = seconds(PUSH.format(folder=str(folder), repo=REPO))
                files = folder / "files"
                seconds(FETCH.format(repo=REPO, files=str(files)))
                plain = seconds(BASELINE.format(repo=f"{REPO}-plain", files=str(files)))
            finally:
                server.kill()
        size = sum(file.stat().st_size for file in files.glob("union/*"))
        print(
            f"{size / 1e6:.1f} MB; push {push:.1f} s of processor time ({wall:.1f} s in all), again {again:.1f} s; client alone {plain:.1f} s"
        )
        print(f"of its own: {push - plain:.1f} s; {push / plain:.2f} times the client alone")
        if given.check and push - plain >= MOST:
            sys.exit(f"a push takes {push - plain:.1f} s of its own")


if __name__ == "__main__":
    main()
