"""What the verdicts of a set or an eval say at a glance: all the same is most likely a text that is not read."""

from registry.query.api import Artifact
from registry.tables import read
from registry.text import escaped

FEWEST = 10  # samples below which one verdict for all may be chance
SHOWN, LENGTH = 3, 120
CURES = {
    "no_answer": "`answer_pattern`, a regular expression with one group, says in the line where the answer stands (docs/grading.md).",
    "cut": "`max_tokens` of the samples may be too few, or what ends a text was taken off.",
    "wrong_answer": "Are these the questions that were asked? `answer_pattern` in the line says where the answer stands (docs/grading.md).",
    "no_path": "No calculation is read in them. `no_path: keep` keeps one of them for each question.",
}


def of_one_kind(artifact: Artifact) -> str:
    """Return a warning with three endings if no sample was kept or is right, and all have one verdict; else an empty string."""
    verdicts = read(artifact.stored, "verdicts")
    if verdicts is None or verdicts.height < FEWEST or verdicts["verdict"].n_unique() > 1:
        return ""
    verdict = verdicts["verdict"][0]
    if verdict not in CURES:
        return ""
    texts = artifact.graded(verdict)["response"].drop_nulls().head(SHOWN)
    endings = "\n".join(f"  ...{escaped(text[-LENGTH:]).replace(chr(10), chr(92) + 'n')}" for text in texts)
    return f"all {verdicts.height:,} samples are {verdict}. They end like this:\n{endings}\n{CURES[verdict]}"
