"""`rft stats` for people."""

from registry.statistics import Statistics
from registry.text import table

_SHORT = {
    "right_answers": "right",
    "paths_canonical": "canonical paths",
    "paths_with_human": "paths + human",
    "paths_canonical_with_human": "canonical + human",
}


def report(s: Statistics) -> str:
    """Return the statistics of one artifact as text: a summary, then a table for each question they answer."""
    per = f"{s.solved:,} of {s.questions:,} questions solved" + (f" ({s.solved / s.questions:.1%})" if s.questions else "")
    summary = f"{s.id}: {per}"
    if s.rows:
        summary += f"; {s.rows:,} rows: {s.human_rows:,} human, {s.kept:,} kept samples"
    parts = [summary]
    if s.at_k:
        columns = list(s.at_k[0])
        parts.append("per question, by draws of each source below k (paths are distinct, of accepted samples)")
        parts.append(table([_SHORT.get(c, c) for c in columns], [list(row.values()) for row in s.at_k]))
    parts.append(f"questions by number of distinct paths ({s.key} key)")
    parts.append(_histogram(s.histogram))
    if s.sources:
        total = sum(row["added"] for row in s.sources) or 1
        rows = [
            [
                r["source"],
                r["draws"],
                r["right_answers"],
                r["accepted"],
                r["own"],
                r["only"],
                f"{r['only'] / total:.1%}",
                r["added"],
            ]
            for r in s.sources
        ]
        parts.append(f"distinct paths by source ({s.key} key): its own, those only it has, those new after the ones above")
        parts.append(table(["source", "draws", "right", "accepted", "own", "only", "of all", "added"], rows))
    if s.overlap:
        names = [r["source"] for r in s.sources]
        shared = {(r["a"], r["b"]): r["shared"] for r in s.overlap}
        parts.append("paths that two sources share")
        parts.append(table(["", *names], [[a, *(shared[a, b] for b in names)] for a in names]))
    return "\n\n".join([parts[0], *(f"{head}\n{body}" for head, body in zip(parts[1::2], parts[2::2], strict=True))])


def _histogram(rows: list[dict[str, int]]) -> str:
    most = max((row["questions"] for row in rows), default=1)
    return table(
        ["paths", "questions", ""],
        [[r["paths"], r["questions"], "█" * max(1, round(40 * r["questions"] / most))] for r in rows],
    )
