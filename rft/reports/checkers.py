"""Two readings side by side: the samples on which the data's own label, a simpler mode, or two stages of comparing differ.

A disagreement is data: nothing here says who is right.
"""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from eval.grading import symbolic
from eval.grading.grade import STAGES, gold_answers, opinions
from eval.grading.rules import RULES
from registry.build.decisions import decided
from registry.maker import Progress, nothing
from registry.query.api import Artifact, Registry
from registry.store.lineage import flat, lineage
from registry.text import escaped, table

OTHERS = {"label": "the data's label", "right_by_paper": "mode: paper", "right_by_standard": "mode: standard"}
SHOWN, LENGTH = 5, 60


@dataclass(frozen=True)
class Checkers:
    """All that `rft stats --checkers` prints about one artifact.

    `agreement`: for each judge that says something, how many samples both call right, only this artifact, only the other, neither.
    `samples`: those on which a judge differs: question_id, source, model, draw, gold, answer, right_answer, compared_by, what the
    judges say, and the response. `stages`: gold and answer of the pairs on which two stages of mode: math differ, and what each
    says (null: nothing); compared anew, whatever stage decided.
    """

    id: str
    mode: str
    agreement: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    stages: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def checkers(artifact: Artifact, progress: Progress = nothing) -> Checkers:
    """Return where the verdicts of a set or an eval and other judges differ.

    Raises as `Artifact.graded` does: InputError if nothing was graded, NotFound or Drifted if the samples are not here as they were.
    """
    graded = artifact.graded()
    rules = RULES[artifact.record.facts["mode"]]
    graded = graded.join(_golds(artifact), on="question_id", how="left", maintain_order="left")
    differs = pl.any_horizontal(pl.col("right_answer") != pl.col(other) for other in OTHERS).fill_null(False)
    columns = ["question_id", "source", "model", "draw", "gold", "answer", "right_answer", "compared_by", *OTHERS, "response"]
    pairs = list(graded.select("gold", "answer").drop_nulls().unique(maintain_order=True).iter_rows())
    by_checker = decided(artifact.store.home, symbolic, pairs, 0, progress) if rules.structures else {}
    said = [
        {"gold": gold, "answer": answer, **opinions(gold, answer), "symbolic": by_checker.get((gold, answer))}
        for gold, answer in (pairs if rules.structures else [])
    ]
    return Checkers(
        id=artifact.id,
        mode=rules.name,
        agreement=[_agreement(graded, other) for other in OTHERS if graded[other].null_count() < graded.height],
        samples=graded.filter(differs).select(columns).to_dicts(),
        stages=[row for row in said if {True, False} <= {row[stage] for stage in STAGES}],
    )


def _golds(artifact: Artifact) -> pl.DataFrame:
    """Return question_id and gold of the questions that an artifact rests on, as far as they are here."""
    registry, rules = Registry(artifact.store.home), RULES[artifact.record.facts["mode"]]
    ids = [node["id"] for node in flat(lineage(artifact.store, artifact.stored.id)) if not node["state"]]
    stored = (artifact.store.get(registry.resolve(str(id))) for id in dict.fromkeys(ids))
    frames = [registry.load(str(one.id)).polars() for one in stored if one and one.record.rows_are == "QUESTIONS"]
    golds = [rows.select("question_id", gold=gold_answers(rows, rules)) for rows in frames]
    empty = pl.DataFrame(schema={"question_id": pl.String, "gold": pl.String})
    return pl.concat([empty, *golds]).unique("question_id", keep="first", maintain_order=True)


def _agreement(graded: pl.DataFrame, other: str) -> dict[str, Any]:
    said = graded.filter(pl.col(other).is_not_null())
    ours, theirs = said["right_answer"], said[other]
    return {
        "judge": other,
        "both_right": int((ours & theirs).sum()),
        "only_here": int((ours & ~theirs).sum()),
        "only_there": int((~ours & theirs).sum()),
        "neither": int((~ours & ~theirs).sum()),
    }


# -- for people ---------------------------------------------------------------------------------------------------------


def report(found: Checkers) -> str:
    """Return the disagreements of one artifact as text: a count for each judge, then examples of each."""
    if not found.agreement:
        return f"{found.id} (mode: {found.mode}): nobody else judged its samples. They have no label, and no simpler mode was asked."
    rows = [[OTHERS[a["judge"]], a["both_right"], a["only_here"], a["only_there"], a["neither"]] for a in found.agreement]
    parts = [
        f"{found.id} (mode: {found.mode}) and others on the same samples\n"
        + table(["judge", "both right", "right only here", "right only there", "both wrong"], rows)
    ]
    for other, name in OTHERS.items():
        for here in (True, False):
            samples = [s for s in found.samples if s["right_answer"] is here and s[other] is (not here)]
            if samples:
                side = f"right here, wrong by {name}" if here else f"wrong here, right by {name}"
                more = f", {SHOWN} of {len(samples):,}" if len(samples) > SHOWN else ""
                lines = [
                    [s["question_id"], s["model"], s["draw"], s["gold"], s["answer"], _ending(s["response"])]
                    for s in samples[:SHOWN]
                ]
                parts.append(f"{side}{more}\n" + table(["question", "model", "draw", "gold", "answer", "it ends"], lines))
    if found.stages:
        lines = [[row["gold"], row["answer"], *(row[stage] for stage in STAGES)] for row in found.stages[:SHOWN]]
        more = f", {SHOWN} of {len(found.stages):,}" if len(found.stages) > SHOWN else ""
        parts.append(f"answers that two stages judge otherwise{more}\n" + table(["gold", "answer", *STAGES], lines))
    return "\n\n".join(parts)


def _ending(text: str | None) -> str | None:
    line = None if text is None else escaped(text.replace("\n", "\\n"))
    return line if line is None or len(line) <= LENGTH else f"...{line[3 - LENGTH :]}"
