"""The dataset card of a repository: README.md, with a section for each artifact that was pushed to it.

    ---
    license:
    - mit
    configs:
    - config_name: demo-rft-union
      ...
    ---
    # My paths
    Written by hand.
    <!-- rft:begin demo-rft-union -->
    ...
    <!-- rft:end demo-rft-union -->

A push writes the sections and configs of what it pushes, and adds to lists of the front matter. The rest is the author's.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from registry.graph import Graph
from registry.rows import TABLES, TYPE_NAMES
from registry.store.record import Record
from registry.tables import columns_of, shape_of
from registry.text import cell, escaped, number
from rft.publish import Finding
from rft.publish.card.merge import merged
from rft.publish.card.pictures import HISTOGRAM
from rft.publish.gate.contamination import Compared
from rft.publish.gate.licences import OTHER, Term, hub_license
from rft.reports.figures.lineage import width
from rft.reports.paths import Statistics

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

TEMPLATE = Path(__file__).with_name("card.md.jinja")
PAPER = "https://arxiv.org/abs/2308.01825"


@dataclass(frozen=True)
class Published:
    """What a card says of one artifact.

    `ancestors`: the record of everything it was made from, by id. `configs`: by name the split and path of each file; that of
    the artifact's own name are its rows, one file. `lines`: the catalog lines that make it. `terms`: the licences of its
    lineage. `compared`: how its texts overlap with test sets. `overridden`: what would have stopped the push. `first`: where
    it was published before it was pulled. `language`: codes as the Hub has them.
    """

    record: Record
    ancestors: Mapping[str, Record]
    split: str
    tag: str
    configs: Mapping[str, Sequence[Mapping[str, str]]]
    lines: str
    statistics: Statistics | None
    terms: Sequence[Term]
    compared: Sequence[Compared] = ()
    overridden: Sequence[Finding] = ()
    first: str = ""
    language: Sequence[str] = ("en",)

    @property
    def name(self) -> str:
        return self.record.name


def readme(repository: str, published: Sequence[Published], existing: str | None) -> str:
    """Return `existing`, the README that is there, with the sections and configs of `published` put in, or in place of theirs.

    All else stays byte for byte (merge.py), so `license: mit` by hand stays whatever the sources say. The default config is the one
    first pushed, and no push moves it. Raises what `merged` does.
    """
    from huggingface_hub import DatasetCard

    card = DatasetCard.from_template(
        _data(repository, published),
        template_path=str(TEMPLATE),
        title=markdown(repository.rpartition("/")[2]),
        paper=PAPER,
        sections=[_section(repository, p) for p in published],
    )
    if existing is None or not existing.strip("\ufeff \t\r\n"):
        return str(card)
    return merged(existing, card.data.to_dict(), card.text, [p.name for p in published])


def license_note(card: str, published: Sequence[Published]) -> str:
    """Return what to say of a license that was written into the card by hand and is not the sources'; else an empty string."""
    from huggingface_hub import DatasetCard

    said = DatasetCard(card, ignore_metadata_errors=True).data.get("license")
    ours = hub_license([term for p in published for term in p.terms])
    if not isinstance(said, str) or ours == said:
        return ""
    sources = ours if isinstance(ours, str) else ", ".join(ours)
    return f"note: the card says license: {said}, by hand; the sources are {sources}"


# -- front matter ---------------------------------------------------------------------------------------------------------


def _data(repository: str, published: Sequence[Published]) -> "DatasetCardData":
    from huggingface_hub import DatasetCardData

    # A list even of one: a later push can add to it, and tells it from a word that was written by hand.
    licences = hub_license([term for p in published for term in p.terms])
    others = {t.licence: _link(t.url) for p in published for t in p.terms if t.licence and hub_license([t]) == OTHER}
    name, link = next(iter(others.items())) if len(others) == 1 else (None, None)  # the Hub has room for one
    return DatasetCardData(
        license=[licences] if isinstance(licences, str) else licences,
        license_name=name if re.fullmatch("[a-z0-9.-]+", name or "") else None,
        license_link=link,
        language=_once(code for p in published for code in p.language),
        tags=_once(tag for p in published for tag in _tags(p.record)),
        size_categories=_once(_size(p.record.rows) for p in published),
        source_datasets=_once(source for p in published for source in _sources(p)),
        task_categories=_once("text-generation" for p in published if p.record.rows_are != "SCORES") or None,
        pretty_name=repository.rpartition("/")[2],
        configs=_configs(published),
    )


def _configs(published: Sequence[Published]) -> list[dict[str, Any]]:
    files = {name: [dict(file) for file in files] for p in published for name, files in p.configs.items()}
    entries = [{"config_name": name, "data_files": files[name]} for name in files]
    return [entry | {"default": True} if entry["config_name"] == published[0].name else entry for entry in entries]


def _once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _size(rows: int) -> str:
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    place = sum(rows >= 10 ** (3 + i) for i in range(len(bounds)))
    return "n<1K" if place == 0 else "n>1T" if place == len(bounds) else f"{bounds[place - 1]}<n<{bounds[place]}"


def _sources(p: Published) -> list[str]:
    """Return the Hub's data sets that it was made from, or "original"."""
    repos = {str(m.params.get("repo", "")) for m in (p.record, *p.ancestors.values()) if m.kind == "dataset"}
    return sorted(repo for repo in repos if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repo, re.ASCII)) or ["original"]


def _tags(m: Record) -> list[str]:
    return ["rft", "math", "reasoning", *(["synthetic"] if m.rows_are in ("SAMPLES", "TRAINING") else [])]


# -- the section of an artifact -------------------------------------------------------------------------------------------

HOLDS = {
    "verdicts": "every sample, with its verdict",
    "path_stats": "counts of each question",
    "drops": "rows that were refused",
    "statistics": "paths by k, of every set in this repository",
}
SELECTED = {
    "farthest": "one text was kept for each distinct reasoning path, the one least like the others",
    "first": "one text was kept for each distinct reasoning path, the first that was drawn",
    "random_text": "one text was kept for each distinct reasoning path, at random",
    "random_rows": "as many were kept as there are distinct reasoning paths, drawn without looking at paths",
    "all": "every one was kept, without looking at paths",
}
SAME_PATH = {
    "paper": "Two solutions follow the same path if they write the same equations in the same order (the paper's key).",
    "canonical": "Two solutions follow the same path if they write the same equations, in any order and notation (the canonical key).",
}
QUIET = {"sha256", "role", "licence", "loss_source"}  # parameters that the lineage table leaves out
HEADS = {
    "right_answers": "right answers",
    "paths_canonical": "canonical paths",
    "paths_with_human": "paths with human",
    "paths_canonical_with_human": "canonical paths with human",
}


def _section(repository: str, p: Published) -> dict[str, Any]:
    """Return what the template puts in: ready Markdown, and Python literals."""
    m, s = p.record, p.statistics
    path = p.configs[m.name][0]["path"]
    return {
        "name": m.name,
        "id": str(m.id),
        "version": m.version,
        "tag": p.tag,
        "content": m.content,
        "what": _what(p),
        "configs": _table(("config", "split", "holds"), [(name, *_holds(p, name)) for name in p.configs]),
        "lineage_width": width(m, p.ancestors),
        "lineage": _lineage(p),
        "drops": _drops(m),
        "questions": number(s.questions, "question") if s else "",
        "at_k": _table([HEADS.get(c, c) for c in s.at_k[0]], [tuple(row.values()) for row in s.at_k]) if s and s.at_k else "",
        "histogram": bool(s and s.histogram),
        "histogram_width": HISTOGRAM[0],
        "sources": _sources_table(s) if s and s.sources else "",
        "overlap": _overlap_table(s) if s and s.overlap else "",
        "columns": [{"config": name, "columns": _columns(p.record, table)} for name, table in _tables(p)],
        "repository": json.dumps(repository),
        "config": json.dumps(m.name),
        "split": json.dumps(p.split),
        "revision": json.dumps(p.tag),
        "path": json.dumps(path),
        "address": json.dumps(f"datasets/{repository}@{p.tag}/{path}"),
        "pull": f"{repository}@{p.tag}",
        "first": markdown(p.first),
        "lines": _code(p.lines, "yaml"),
        "licences": _licences(p.terms),
        "checks": _checks(p),
    }


def _what(p: Published) -> str:
    """Return in plain words what the rows are."""
    m, s = p.record, p.statistics
    given = markdown(", ".join(each.id for each in m.inputs) or str(m.params.get("repo") or m.maker))
    if m.rows_are == "TRAINING":
        drawn = number(len(m.facts.get("sources", ())), "set") + " of samples"
        kinds = {"rejection": f"A rejection set from {drawn}", "union": f"A union of {given}, from {drawn}"}
        words = [f"{kinds.get(m.maker, f'A training set from {given}')}: human solutions, and solutions that models wrote."]
        if m.maker in kinds:
            kept = SELECTED.get(str(m.params.get("select")), "some were kept")
            words.append(f"Samples were graded by their final answer and their calculations; of the right ones, {kept}.")
        words.append(SAME_PATH.get(str(m.facts.get("key")), ""))
        words.append(
            f"{number(m.rows, 'row')}" + (f": {s.human_rows:,} human solutions, {s.kept:,} kept samples." if s else ".")
        )
        if s and s.questions:
            words.append(f"{s.solved:,} of {s.questions:,} questions ({s.solved / s.questions:.1%}) have a right sample.")
    elif m.rows_are == "QUESTIONS":
        part = f", a part of {given}" if m.maker == "fraction" else f" of {given}" if m.params.get("repo") else ""
        words = [f"{number(m.rows, 'question')}{part}, with final answers and, where there are any, human solutions."]
    elif m.rows_are == "SAMPLES":
        k, heat = m.params.get("k"), m.params.get("temperature")
        each = f", {number(k, 'draw')} of each question at temperature {heat}" if k and heat is not None else ""
        words = [f"{number(m.rows, 'solution')} that models wrote, right and wrong, from {given}{each}."]
    elif m.rows_are == "SCORES":
        words = [f"Scores from {given}: {number(m.rows, 'row')}, with 95 % bootstrap intervals over questions."]
    elif m.rows_are == "TEXT":
        words = [f"{number(m.rows, 'line')} of text to pre-train a model on."]
    else:
        words = [f"{number(m.rows, 'row')}, made by {markdown(m.maker)}."]
    if p.split == "test" and m.rows_are in ("QUESTIONS", "SAMPLES"):
        words.append("The questions are for testing: nothing should be trained on them.")
    return " ".join(filter(None, words))


def _holds(p: Published, config: str) -> tuple[str, str]:
    splits = ", ".join(_once(file["split"] for file in p.configs[config]))
    return splits, number(p.record.rows, "row") if config == p.name else HOLDS.get(_table_of(config), "")


def _table_of(config: str) -> str:
    """Return which table a config is: verdicts of demo-rft-union_verdicts (no artifact's name has an underscore)."""
    return config.partition("_")[2] or config


def _tables(p: Published) -> Iterator[tuple[str, str]]:
    """Yield the configs that are tables of the artifact, with the tables."""
    for config in p.configs:
        if config == p.name:
            yield config, "rows"
        elif (table := _table_of(config)) in TABLES:
            yield config, table


def _columns(record: Record, table: str) -> str:
    known = shape_of(record, table).columns
    columns = [(name, known.get(name)) for name in columns_of(record, table)]
    rows = [(name, TYPE_NAMES[c.type] if c else "", c.meaning if c else "") for name, c in columns]
    return _table(("column", "type", "meaning"), rows)


def _lineage(p: Published) -> str:
    """Return a table of the artifact and all it was made from, nearest first."""
    records = {**p.ancestors, str(p.record.id): p.record}
    graph = Graph({id: [given.id for given in m.inputs] for id, m in records.items()})
    rows = [
        (
            id,
            m.maker,
            ", ".join(given.id for given in m.inputs),
            ", ".join(f"{name} {_value(value)}" for name, value in m.params.items() if value is not None and name not in QUIET),
            "model" if m.kind == "model" else m.rows,
            m.content[:12],
        )
        for id, m in ((id, records[id]) for id in graph.nearest(str(p.record.id)))
    ]
    return _table(("artifact", "made by", "from", "parameters", "rows", "content"), rows)


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:12] if re.fullmatch("[0-9a-f]{40}", text) else cell(text, 80)


def _drops(m: Record) -> str:
    counts = sorted(m.drops.items(), key=lambda item: (-item[1], item[0]))
    return f"Not kept: {', '.join(f'{count:,} {markdown(reason)}' for reason, count in counts)}." if counts else ""


def _sources_table(s: Statistics) -> str:
    total = sum(row["added"] for row in s.sources) or 1
    heads = ("source", "draws", "right answers", "accepted", "own paths", "only it", "of all", "added")
    names = ("source", "draws", "right_answers", "accepted", "own", "only")
    rows = [(*(row[name] for name in names), f"{row['only'] / total:.1%}", row["added"]) for row in s.sources]
    return _table(heads, rows)


def _overlap_table(s: Statistics) -> str:
    names = [row["source"] for row in s.sources]
    shared = {(row["a"], row["b"]): row["shared"] for row in s.overlap}
    return _table(("", *names), [(a, *(shared[a, b] for b in names)) for a in names])


def _licences(terms: Sequence[Term]) -> str:
    if not terms:
        return "No source with a licence of its own is known."
    rows = [(t.what, t.name, t.source, _licence(t), t.note) for t in terms]
    return _table(("what", "source", "artifact", "licence", "what it says"), rows)


def _licence(term: Term) -> str:
    if term.licence is None:
        return Ready("**unknown**")
    link = _link(term.url)
    return Ready(f"[{markdown(term.licence)}]({link})") if link else term.licence


def _link(url: str | None) -> str | None:
    """Return an address of the web with nothing in it that could end a link; None for any other."""
    return quote(url, safe="/:?&=#%+,;@~") if url and url.startswith(("https://", "http://")) else None


def _checks(p: Published) -> str:
    parts = []
    if p.compared:
        heads = ("test set", "texts compared", "questions that overlap", "same words", "13-gram", "8-gram", "reviewed")
        rows = [(c.test_set, c.texts, c.questions, c.exact, c.gram_13, c.gram_8, c.known) for c in p.compared]
        parts.append(
            "Texts were compared with test sets. Pairs with a test question, each counted once by its worst overlap: the same words, "
            "13 words in a row, 8 words in a row. Reviewed: large enough to stop a push, read, and known to be in the source."
        )
        parts.append(_table(heads, rows))
    else:
        parts.append("Nothing was compared with a test set.")
    if p.overridden:
        parts.append("Overridden by name, though it would have stopped the push:")
        lines = [f"- {markdown(f.name)}: {markdown(cell(f.says.partition(chr(10))[0], 300))}" for f in p.overridden]
        parts.append("\n".join(lines))
    else:
        parts.append("No check was overridden.")
    return "\n\n".join(parts)


# -- Markdown -------------------------------------------------------------------------------------------------------------

# What could end a cell or a link, begin HTML, a formula or a comment of ours, or be read as markup at the start of a line.
ACTIVE = re.compile(r"[\\`*\[\]<>&|~$]|(?<![^\W_])_|_(?![^\W_])|^[-+=#]|^\d+(?=[.)](?:\s|$))")


class Ready(str):
    """Markdown that is not to be escaped again."""


def markdown(text: str) -> str:
    """Return text from outside as Markdown that shows it as it is, on one line."""
    if isinstance(text, Ready):
        return text
    line = " ".join(escaped(text).split())
    return ACTIVE.sub(lambda match: "".join(f"&#{ord(c)};" for c in match[0]), line)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in Markdown, columns of numbers to the right; a cell that is not Ready is escaped."""
    right = [any(isinstance(row[i], int | float) or str(row[i]).endswith("%") for row in rows) for i in range(len(heads))]
    cells = [[markdown(v if isinstance(v, Ready) else cell(v, 1000)) for v in row] for row in rows]
    lines = [[markdown(head) for head in heads], ["--:" if r else "---" for r in right], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str, language: str) -> str:
    """Return text as a block of code that nothing in it can end; what looks like a comment of ours is taken apart."""
    text = re.sub(r"<!--(?=\s*rft:)", "<!- -", escaped(text)).rstrip("\n")
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}{language}\n{text}\n{fence}"
