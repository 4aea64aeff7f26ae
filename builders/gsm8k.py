"""GSM8K from the Hugging Face Hub, at a pinned revision.

{"question": "Natalia sold clips to 48 ...", "answer": "Natalia sold 48/2 = <<48/2=24>>24 ...\\n#### 72"}
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import StringConstraints

from eval.answers import read_answers
from registry.errors import InputError, RemoteError
from registry.rows import QUESTIONS, Questions, question_id

EDITION = 1

Revision = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")]  # a commit: a branch would move

ROWS = {"train": 7473, "test": 1319}  # of the official release


def _from_hub(repo: str, split: str, revision: str) -> pl.DataFrame:
    from datasets import Dataset, disable_progress_bars  # 0.7 s to import

    # Not load_dataset(repo, revision=...): without a network that gives the latest revision in the cache, whichever it is.
    files = _cached(repo, split, revision) or _downloaded(repo, split, revision)
    if not files:
        raise RemoteError(f"{repo} at {revision[:12]} has no {_pattern(split)}. Check the revision.")
    disable_progress_bars()
    frame: pl.DataFrame = Dataset.from_parquet([str(file) for file in files]).to_polars()
    return frame


def _pattern(split: str) -> str:
    return f"main/{split}-*.parquet"


def _cached(repo: str, split: str, revision: str) -> list[Path]:
    try:
        return _snapshot(repo, split, revision, local_files_only=True)
    except FileNotFoundError:  # nothing of this revision was ever downloaded
        return []


def _downloaded(repo: str, split: str, revision: str) -> list[Path]:
    try:
        return _snapshot(repo, split, revision, local_files_only=False)
    except OSError as error:  # the Hub client's errors are OSErrors
        raise RemoteError(
            f"{repo} at {revision[:12]} could not be loaded: {str(error).rstrip('.')}. Check the network and the revision; once loaded, it is read from the cache."
        ) from error


def _snapshot(repo: str, split: str, revision: str, *, local_files_only: bool) -> list[Path]:
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        repo, repo_type="dataset", revision=revision, allow_patterns=_pattern(split), local_files_only=local_files_only
    )
    return sorted(Path(folder).glob(_pattern(split)))


def build(
    *,
    split: Literal["train", "test"],
    revision: Revision,
    repo: str = "openai/gsm8k",
    _load: Callable[[str, str, str], Any] = _from_hub,
) -> Questions:
    """Return QUESTIONS in the order of the release (7473 train, 1319 test rows).

    Raises InputError if the rows are not that many or one has no final answer, RemoteError if they cannot be had.
    """
    rows = _load(repo, split, revision)
    if rows.height != ROWS[split]:
        raise InputError(
            f"{repo} {split} at {revision[:12]} has {rows.height} rows; the release has {ROWS[split]}. Pin another revision."
        )
    answers = read_answers(rows["answer"], "standard")["answer"]
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
