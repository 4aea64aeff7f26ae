r"""Write an artifact as a file that others train on: TRL, Alpaca's descendants, the paper's own code, anything that reads tables.

A row of `prompt-completion`, and what lies beside its file (rft-union.jsonl.rft.json). A Parquet file has it in its metadata:
    {"prompt": "Below is an instruction ... ### Response:", "completion": "4*6=<<4*6=24>>24 ...\n#### 15"}
    {"artifact": "demo-rft-union@1", "content": "0d769ac2eb52...", "format": "prompt-completion", "rows": 333, ...}

Questions and the rows of sets become solved questions, one for each response. `kto` and `dpo` are made of the samples that a
set graded. Right is a sample it kept, one for each distinct path; wrong is one with a wrong answer or none. A right answer with
an equation that does not hold is neither: as right it would teach the bad calculation, as wrong it would speak against the
right answer. Nor are the samples whose path another one stands for: they would give easy questions a hundredfold weight.
"""

import errno
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow.parquet as pq

from registry.errors import InputError, NotFound, UsageError, near
from registry.files import no_space_is_an_error, replaced, sha256_file, sync
from registry.names import parse_id
from registry.query.api import Artifact, Registry
from registry.store.lineage import flat, lineage

SOLVED = ("prompt-completion", "messages", "alpaca", "query-response")  # of rows with a question and a response
GRADED = ("kto", "dpo")  # of the samples that a set graded
AS_STORED = ("parquet", "jsonl", "csv")  # the artifact's own columns
FORMATS = SOLVED + GRADED + AS_STORED
PROMPTED = ("prompt-completion", *GRADED)  # those whose rows hold the whole prompt, and not the question alone
SFT = {"prompt-completion": "completion_only_loss", "messages": "assistant_only_loss"}  # TRL's own names for what is learned

WRONG = ("wrong_answer", "no_answer", "cut")
ROWS_AT_ONCE = 25_000

Encoding = Literal["parquet", "jsonl", "csv"]
SUFFIXES: dict[str, Encoding] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl"}
COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".zip")


@dataclass(frozen=True)
class Exported:
    """A file that was written, and what it is: `record` is what the file's metadata or its sidecar says.

    `prompt` is the text around a question, `skipped` the number of questions or rows that are not in the file, by reason.
    """

    file: Path
    artifact: str
    content: str
    format: str
    rows: int
    columns: list[str]
    sha256: str
    skipped: dict[str, int]
    seed: int | None = None
    prompt: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "file" and value is not None}


def export(
    registry: Registry,
    name: str,
    format: str,
    file: Path,
    *,
    seed: int = 0,
    render: Callable[[str], str] = str,
    overwrite: bool = False,
    config: Path | None = None,
) -> Exported:
    """Write the artifact `name` to `file` in one of FORMATS.

    The file's name says how: `.parquet` is Parquet, else what is no table is JSON lines. `render` puts a question into the
    prompt of those in PROMPTED; `seed` pairs the samples of `dpo`. `config` is where a configuration for TRL's SFT
    goes. Nothing is seen of a file before it is whole.

    Raises UsageError if the words do not go together, InputError if the artifact has no such rows or a file is there already,
    NotFound or Drifted if the texts of graded samples are not in the store, OutOfResources if the disk is full.
    """
    encoding = _encoding(format, file)
    if config is not None:
        _check_sft(format)
    sidecar = file.with_name(file.name + ".rft.json")
    written = [file, *([config] if config is not None else []), *([sidecar] if encoding != "parquet" else [])]
    if len({path.resolve() for path in written}) < len(written):
        raise UsageError(f"{config} is where the export or its record goes. Name another file for the configuration.")
    for path in written:
        if path.is_dir() or not path.parent.is_dir():
            raise UsageError(f"{path} cannot be written: {'it is a folder' if path.is_dir() else 'its folder is not there'}.")
        if path.exists() and not overwrite:
            raise InputError(f"{path} is there already; nothing was written. --overwrite replaces it.")
    artifact = registry.load(name)
    rows, skipped = _table(artifact, format, seed, render)
    if not rows.height:
        why = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())
        raise InputError(f"{artifact.id} has nothing to export as {format}{f': {why}' if why else ''}.")
    pins: dict[str, Any] = {"artifact": artifact.id, "content": artifact.record.content, "format": format}
    pins |= {"seed": seed} if format == "dpo" else {}
    pins |= {"prompt": render("{question}")} if format in PROMPTED else {}
    with no_space_is_an_error():
        with _whole(file, outdated=sidecar) as scratch:
            _write(rows, encoding, scratch, pins | {"skipped": skipped})
        exported = Exported(file, rows=rows.height, columns=rows.columns, sha256=sha256_file(file), skipped=skipped, **pins)
        if config is not None:
            with _whole(config) as scratch:
                scratch.write_text(trl_config(exported), encoding="utf-8")
        if encoding != "parquet":
            with _whole(sidecar) as scratch:
                scratch.write_text(json.dumps(exported.record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return exported


def trl_config(exported: Exported, *, model: str = "meta-llama/Llama-2-7b-hf", devices: int = 1) -> str:
    """Return a file for `trl sft --config` that trains `model` on the export with the paper's settings.

    It names the file as `exported` does: a relative path starts where `trl` is called. Raises UsageError for a format that
    TRL's SFT does not read.
    """
    _check_sft(exported.format)
    name, _, version = exported.artifact.partition("@")
    loader = "parquet" if _encoding(exported.format, exported.file) == "parquet" else "json"
    return f"""\
# SFT with TRL on {exported.artifact}, with the settings of Yuan et al. 2023 (arXiv 2308.01825).
#   trl sft --config THIS_FILE [--model_name_or_path MODEL] [--output_dir FOLDER]
# artifact  {exported.artifact}
# content   {exported.content}
# export    {exported.format}, {exported.rows:,} rows, sha256 {exported.sha256}
datasets:
  - path: {loader}
    data_files: {json.dumps(str(exported.file))}
    split: train
model_name_or_path: {json.dumps(model)}
output_dir: {name}-v{version}-sft
run_name: "{exported.artifact} {exported.content[:12]}"

{SFT[exported.format]}: true
max_length: 512
num_train_epochs: 3
learning_rate: 2.0e-5
lr_scheduler_type: cosine
warmup_steps: 0.03  # below 1: a share of the steps
weight_decay: 0.0
optim: adamw_torch
bf16: true
seed: 0

# 128 rows a step: rows on a device at once x accumulation x devices (here {devices})
per_device_train_batch_size: 4
gradient_accumulation_steps: {128 // (4 * devices)}

save_strategy: "no"  # the model of the last epoch is saved at the end
report_to: none
"""


# -- rows -------------------------------------------------------------------------------------------------------------


def _table(artifact: Artifact, format: str, seed: int, render: Callable[[str], str]) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the rows of an export, and how many questions or rows are not among them, by reason."""
    if format in AS_STORED:
        return artifact.polars(), {}
    made = artifact.record.rows_are
    if made not in (("TRAINING", "QUESTIONS") if format in SOLVED else ("TRAINING",)):
        needed = "questions, rejection sets and unions" if format in SOLVED else "rejection sets and unions"
        raise InputError(
            f"{artifact.id} has {made or 'no'} rows; {format} is made of {needed}. {', '.join(AS_STORED)} take any rows."
        )
    if format in GRADED:
        judged, skipped = _judged(artifact, format)
        judged = judged.with_columns(_prompts(judged, render))
        return (
            _pairs(judged, seed) if format == "dpo" else judged.select("prompt", completion="response", label="right")
        ), skipped
    rows = artifact.polars()
    solved = rows.filter(pl.col("response").str.strip_chars() != "")
    silent = rows.height - solved.height
    return _solved(solved, format, render), {"no_response": silent} if silent else {}


def _solved(rows: pl.DataFrame, format: str, render: Callable[[str], str]) -> pl.DataFrame:
    """Return questions and responses in the columns of a format; the order stays."""
    if format == "prompt-completion":
        return rows.select(_prompts(rows, render), completion="response")
    if format == "messages":
        turns = [pl.struct(role=pl.lit(role), content=text) for role, text in (("user", "question"), ("assistant", "response"))]
        return rows.select(messages=pl.concat_list(turns))
    if format == "alpaca":
        return rows.select(instruction="question", input=pl.lit(""), output="response")
    return rows.select(query="question", response="response")


def _prompts(rows: pl.DataFrame, render: Callable[[str], str]) -> pl.Series:
    return pl.Series("prompt", [render(question) for question in rows["question"]], dtype=pl.String)


def _judged(artifact: Artifact, format: str) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return question_id, question, response and whether it is `right`, each text of a question once; and what is skipped."""
    _check_samples(artifact, format)
    kept, sound = pl.col("verdict") == "kept", ~pl.col("bad_equation")  # paper mode's `select: all` keeps unsound ones too
    used = (kept & sound) | pl.col("verdict").is_in(WRONG)
    judged = artifact.graded().filter(used).select("question_id", "response", right=kept)
    judged = judged.unique(["question_id", "response"], keep="first", maintain_order=True)
    judged = judged.join(_questions(artifact, judged), on="question_id", how="left", maintain_order="left")
    found = judged.group_by("question_id").agg(
        right=pl.col("right").any(), wrong=(~pl.col("right")).any(), known=pl.col("question").is_not_null().any()
    )
    asked = pl.read_parquet(artifact.stored.folder / "path_stats.parquet", columns=["question_id"])
    found = asked.join(found, on="question_id", how="left").with_columns(pl.exclude("question_id").fill_null(False))
    right, wrong = pl.col("right"), pl.col("wrong")
    if format == "dpo":
        reasons = {"no_right_sample": ~right, "no_wrong_sample": right & ~wrong}
    else:
        reasons = {"no_right_or_wrong_sample": ~right & ~wrong, "no_question_text": (right | wrong) & ~pl.col("known")}
    counts = found.select(expr.sum().alias(reason) for reason, expr in reasons.items()).row(0, named=True)
    return judged.drop_nulls("question"), {reason: count for reason, count in counts.items() if count}


def _questions(artifact: Artifact, judged: pl.DataFrame) -> pl.DataFrame:
    """Return question_id and question of what was judged; questions without any row of their own are looked up in the lineage."""
    columns = ["question_id", "question"]
    frames = [artifact.polars().select(columns)]
    if judged.join(frames[0], on="question_id", how="anti").height:
        store = artifact.store
        above = [store.get(parse_id(str(node["id"]))) for node in flat(lineage(store, artifact.stored.id)) if not node["state"]]
        frames += [
            Registry(store.home).load(str(stored.id)).polars().select(columns)
            for stored in above
            if stored is not None and stored.record.rows_are == "QUESTIONS"
        ]
    return pl.concat(frames).unique("question_id", keep="first")


def _pairs(judged: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return prompt, chosen and rejected: of each question as many pairs as it has right or wrong texts, whichever are fewer.

    Which texts meet depends on the seed, the question's id and its texts, and on nothing else.
    """
    right = pl.col("right")
    questions = judged.group_by("question_id", maintain_order=True).agg(
        pl.col("prompt").first(),
        chosen=pl.col("response").filter(right).sort(),
        rejected=pl.col("response").filter(~right).sort(),
    )
    pairs = []
    for id, prompt, chosen, rejected in questions.iter_rows():
        dice, count = random.Random(f"{seed}:{id}"), min(len(chosen), len(rejected))
        pairs += [(prompt, *pair) for pair in zip(dice.sample(chosen, count), dice.sample(rejected, count), strict=True)]
    return pl.DataFrame(pairs, schema=dict.fromkeys(("prompt", "chosen", "rejected"), pl.String), orient="row")


def _check_samples(artifact: Artifact, format: str) -> None:
    """Raise NotFound if samples that the artifact graded are not in this store: verdicts hold no texts."""
    file = artifact.stored.file("verdicts.parquet")
    sources = set() if file is None else set(pl.read_parquet(file, columns=["source"])["source"])
    if absent := [source for source in sorted(sources) if artifact.store.get(parse_id(source)) is None]:
        raise NotFound(
            f"{artifact.id} cannot be exported as {format}: the samples it graded are not in this store, and its verdicts hold "
            f"no texts. Missing are {', '.join(absent)}. `rft pull` fetches them if they were published, "
            f"`rft build {' '.join(absent)}` makes them if the catalog lists them. {', '.join(SOLVED)} need no samples."
        )


# -- files ------------------------------------------------------------------------------------------------------------


def _encoding(format: str, file: Path) -> Encoding:
    """Return how `file` is written; UsageError if there is no such format or the file's name says something else."""
    if format not in FORMATS:
        raise UsageError(f"no format is called {format}; there are {', '.join(FORMATS)}.{near(format, FORMATS)}")
    suffix = file.suffix.lower()
    if suffix in COMPRESSED:
        raise UsageError(
            f"{file.name}: exports are not compressed here. Compress the file afterwards, or write .parquet, which is."
        )
    named = SUFFIXES.get(suffix)
    encoding: Encoding = "jsonl"
    if format in AS_STORED:
        encoding = next(known for known in SUFFIXES.values() if known == format)
    elif named == "parquet":
        encoding = "parquet"
    if named not in (None, encoding):
        raise UsageError(f"{file.name} would hold {encoding}, which its name does not say. Name it *.{encoding}.")
    return encoding


def _check_sft(format: str) -> None:
    if format not in SFT:
        raise UsageError(f"TRL's SFT reads {' and '.join(SFT)}, not {format}: there is no configuration for it.")


@contextmanager
def _whole(file: Path, outdated: Path | None = None) -> Iterator[Path]:
    """Yield a path beside `file` to write to; it becomes `file` by one rename, or is gone if anything goes wrong.

    `outdated` is removed just before: what it says is of the file that is replaced.
    """
    try:
        with replaced(file) as scratch:
            yield scratch
            sync(scratch)
            if outdated is not None:
                outdated.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"{file} cannot be written ({error.strerror}). Name another place.") from error


def _write(rows: pl.DataFrame, encoding: Encoding, file: Path, pins: dict[str, Any]) -> None:
    if encoding == "parquet":
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        known = {f"rft.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in pins.items()}
        pq.write_table(table.replace_schema_metadata(known), file, compression="zstd", row_group_size=ROWS_AT_ONCE)
        return
    with file.open("xb") as out:
        for number, part in enumerate(rows.iter_slices(ROWS_AT_ONCE)):
            # Through Python's own file: an error of polars' does not say that the disk is full.
            text = part.write_ndjson() if encoding == "jsonl" else part.write_csv(include_header=not number)
            out.write(text.encode())
