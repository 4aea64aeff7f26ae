"""A store to make reports of: sets, an eval and their samples, with texts that would be markup, script or reordering if nobody minded."""

from pathlib import Path

from registry.store.record import Record
from tests.workspace import SIX, Workspace, samples_of

SCRIPT = "<script>document.title='taken'</script>"
IMAGE = "<img src=x onerror=\"document.title='taken'\">"
OVERRIDE = "\u202egnp.exe\u202c"
LATEX = r"\( \frac{24}{1} - 9 = 15 \)"
TEXTS = {
    0: [
        "4*6=<<4*6=24>>24, 24-9=<<24-9=15>>15\n#### 15",
        "6*4=<<6*4=24>>24, 24-9=<<24-9=15>>15\n#### 15",
        f"{SCRIPT} {OVERRIDE} {LATEX}\n4*6-9=<<4*6-9=15>>15\n#### 15",
        f"<<4*6=24>> {IMAGE}\n#### 24",
        "I would say #### 33",
        "I would say #### 33",
    ],
    1: [
        "3*8=<<3*8=24>>24\n12+24=<<12+24=36>>36\n#### 36",
        "8+8=<<8+8=16>>16\n16+8=<<16+8=24>>24\n24+12=<<24+12=36>>36\n#### 36",
    ],
    4: [f"15*14=<<15*14=210>>210\n<<210+{i}-{i}=210>> and a long text about pages\n#### 210" for i in range(14)],
    2: [f"{SCRIPT}\n#### 15", "no idea", IMAGE],
}


def planted(folder: Path) -> Workspace:
    """Return a workspace with a set of each mode, a union, an eval, and lines that are not built."""
    made = Workspace(folder)
    made.write("six.jsonl", [{**SIX[0], "question": f"{SIX[0]['question']} {SCRIPT} {OVERRIDE}"}, *SIX[1:]])
    text = samples_of(TEXTS, model=f"m{SCRIPT}").replace(SIX[0]["question"], made_question())
    made.write("one.jsonl", text)
    made.write("two.jsonl", samples_of({1: TEXTS[1][1:], 4: ["14*15=<<14*15=210>>210\n#### 210"]}, model="two"))
    made.add(
        "six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}",
        "one@1: {builder: samples_file, inputs: [six@1], params: {path: one.jsonl, sha256: ?}}",
        "two@1: {builder: samples_file, inputs: [six@1], params: {path: two.jsonl, sha256: ?}}",
        "rft-one@1: {builder: rejection, inputs: [six@1, one@1], params: {mode: paper}}",
        "rft-two@1: {builder: rejection, inputs: [six@1, two@1], params: {mode: paper}}",
        "rft-both@1: {builder: union, inputs: [rft-one@1, rft-two@1], params: {}}",
        "rft-standard@1: {builder: rejection, inputs: [six@1, one@1], params: {}}",
        "half@1: {builder: fraction, inputs: [rft-both@1], params: {denominator: 2, seed: 0}}",
        "scores@2: {eval: gsm8k, inputs: [six@1, one@1], params: {k: 2}}",
        "not-built@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 0}}",
        "nor-this@1: {builder: story_problems, params: {split: train, count: 5, seed: 0}}",
    )
    made.build("rft-both", "rft-standard", "half", "scores")
    return made


def made_question() -> str:
    """Return the first question as JSON has it inside quotes, with what is planted in it."""
    return f"{SIX[0]['question']} {SCRIPT} \\u202egnp.exe\\u202c"


def no_licences(record: Record, ancestors: object) -> list[tuple[str, ...]]:
    return []
