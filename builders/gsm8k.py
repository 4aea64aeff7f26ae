"""GSM8K from the Hugging Face Hub, at a pinned revision.

{"question": "Natalia sold clips to 48 ...", "answer": "Natalia sold 48/2 = <<48/2=24>>24 ...\\n#### 72"}
"""

from collections.abc import Callable
from typing import Any, Literal

import polars as pl

from eval.grading.rules import STANDARD
from registry.errors import InputError
from registry.hub_client import Repo, Revision, snapshot
from registry.maker import Licence, Questions, Role
from registry.rows import QUESTIONS, question_id

EDITION = 1

ROWS = {"train": 7473, "test": 1319}  # of the official release


def _from_hub(repo: str, split: str, revision: str) -> pl.DataFrame:
    from datasets import Dataset, disable_progress_bars  # 0.7 s to import

    # Not load_dataset(repo, revision=...): without a network that gives the latest revision in the cache, whichever it is.
    pattern = f"main/{split}-*.parquet"
    folder = snapshot(repo, revision, [pattern], kind="dataset")
    disable_progress_bars()
    frame: pl.DataFrame = Dataset.from_parquet([str(file) for file in sorted(folder.glob(pattern))]).to_polars()
    return frame


def build(
    *,
    split: Literal["train", "test"],
    revision: Revision,
    repo: Repo = "openai/gsm8k",
    role: Role | None = None,
    licence: Licence | None = None,
    _load: Callable[[str, str, str], Any] = _from_hub,
) -> Questions:
    """Return QUESTIONS in the order of the release (7473 train, 1319 test rows).

    `role` is what the questions are for (default: what the split is), `licence` the repository's where it is not known.

    Raises InputError if the rows are not that many or one has no final answer, RemoteError if they cannot be had.
    """
    rows = _load(repo, split, revision)
    if rows.height != ROWS[split]:
        raise InputError(
            f"{repo} {split} at {revision[:12]} has {rows.height} rows; the release has {ROWS[split]}. Pin another revision."
        )
    answers = STANDARD.read_answers(rows["answer"])["answer"]
    if missing := answers.null_count():
        raise InputError(f"{repo} {split} at {revision[:12]}: {missing} solutions have no final answer. Pin another revision.")
    return QUESTIONS.fit(
        rows.with_row_index("source_row").select(
            pl.col("question").map_elements(question_id, return_dtype=pl.String).alias("question_id"),
            "question",
            pl.col("answer").alias("response"),
            answers.alias("answer"),
            "source_row",
        ),
        f"{repo} {split}",
    )
