"""The paper's Tables 1 to 5 and its laws, and beside each number what the models and sets of this store have.

What is "yours" has the base, the setting, k and the share of the human data that its lineage says.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eval.fits.costs import training
from registry.errors import RftError
from registry.names import parse_id
from registry.store.record import Record
from rft.reports.laws import Law, laws
from rft.reports.models import Row, scaling, side_by_side
from rft.reports.site.html import Link
from rft.reports.site.pages import Site
from rft.reports.table import Table

Labels = tuple[Any, ...]
Value = tuple[Labels, str, str, str]  # labels of its line, base, the number, and the artifact that has it

TABLE_1 = """select what, base, value
from (
  select 1 as place, rowid as line, 'pre-training loss' as what, base, loss as value
  from published_scores
  where setting = 'icl' and metric = 'maj1@1'
  union all
  select 2, rowid, upper(setting) || if(k is null, '', ', k = ' || k), base, 100 * value
  from published_scores
  where metric = 'maj1@1' and mark = 'P' and (setting = 'icl' or setting = 'sft' and share = 1 or setting = 'rft' and k = 100)
  union all
  select 3, rowid, statistic || ' paths per question, k = ' || k, base, value
  from published_paths
  where temperature = 0.7 and k = 100
)
order by place, line"""
TABLE_2 = """select k, base, value
from published_paths
where statistic = 'distinct' and coalesce(temperature, 0.7) = 0.7
order by rowid"""
TABLE_3 = """select setting, k, metric, base, 100 * value as value
from published_scores
where mark = 'P' and coalesce(share, 1) = 1 and (setting <> 'rft' or k = 100) and setting <> 'rft-no-dedup'
order by rowid"""
TABLE_4 = """select what, unit, base, value
from published_costs
order by rowid"""
TABLE_5 = """select setting, k, share, epochs, base, 100 * value as value
from published_scores
where metric = 'maj1@1' and mark = 'P'
order by rowid"""

SIZE = """select s.setting, s.base, log10({x}) as x, 100 * s.value as accuracy
from published_scores as s join published_costs as c using (base)
where c.what = 'pre-training' and c.unit = 'FLOPs' and s.metric = 'maj1@1'
  and (s.setting = 'icl' or s.setting = 'sft' and s.share = 1 and s.mark = 'P')
order by s.rowid"""
GAIN = """select r.base, {x} as x, 100 * (r.value - s.value) as gain
from published_scores as r
join published_scores as s using (base, metric){more}
where r.metric = 'maj1@1' and r.setting = 'rft' and s.setting = 'sft' and s.share = 1 and s.mark = 'P'
order by r.base, r.k"""
POINTS = {  # of the laws, by what accuracy is put against
    "loss": """select setting, base, loss as x, 100 * value as accuracy
from published_scores
where metric = 'maj1@1' and coalesce(share, 1) = 1 and (setting <> 'rft' or k = 100) and setting <> 'rft-no-dedup'
order by rowid""",
    "log10 parameters": SIZE.format(x="c.parameters"),
    "log10 pre-training FLOPs": SIZE.format(x="c.value"),
    "log2 share of human data": """select base, log2(share) as x, max(100 * value) as accuracy
from published_scores
where setting = 'sft' and metric = 'maj1@1' and mark = 'P' and share >= 0.125
group by all
order by base, x""",
    "log2 k: gain over sft": GAIN.format(x="log2(r.k)", more=""),
    "distinct paths per question: gain over sft": GAIN.format(
        x="p.value",
        more="\njoin published_paths as p on p.base = r.base and p.k = r.k and p.statistic = 'distinct' and p.temperature = 0.7",
    ),
}
SETTINGS = ("icl", "sft", "rft")  # come first, in this order


@dataclass(frozen=True)
class Own:
    """What the lineage of one model says: which base, trained how."""

    base: str
    setting: str
    k: int | None
    share: float
    epochs: Any
    model: str


def laws_page(site: Site) -> dict[str, Any]:
    """Return what the template of the page of laws takes."""
    models = [parse_id(id) for id in sorted(site.here) if site.records[id].kind == "model" and id not in site.damaged]
    try:
        rows, missing = scaling(site.registry, models), []
    except RftError as error:  # what a score rests on is damaged or gone: the paper's numbers stand without
        rows, missing = [], [str(error)]
    found = laws(site.registry, [parse_id(row.models[0]) for row in rows if row.maj1 is not None])
    columns, cells = side_by_side(rows)
    linked = [[Link(str(row[0]), site.link(each.models[0]).href), *row[1:]] for each, row in zip(rows, cells, strict=True)]
    return {
        "title": "Laws and the paper's tables",
        "models": Table("models, side by side", columns, linked),
        "paper": paper_tables(site, rows),
        "laws": law_tables(found.laws),
        "missing": [*missing, *found.missing],
        "figures": [],
    }


def law_tables(found: Sequence[Law]) -> list[Table]:
    """Return a table for each thing that accuracy is put against."""
    made = []
    for against in dict.fromkeys(law.against for law in found):
        rows = [
            [
                law.of,
                law.who,
                law.line.n,
                f"{law.line.intercept:.2f} {'-' if law.line.slope < 0 else '+'} {abs(law.line.slope):.2f} x",
                f"{law.line.low:.1f} to {law.line.high:.1f}",
                f"{law.line.r:.3f}",
                f"{law.line.r2:.3f}",
                f"{law.line.left_out:.1f}",
                f"{law.line.start:.4g} to {law.line.end:.4g}",
                law.note,
            ]
            for law in found
            if law.against == against
        ]
        columns = ["points", "of", "n", "accuracy", "slope, 95 %", "r", "R2", "left out", "x", "note"]
        shown = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
        made.append(
            Table(f"accuracy against {against}", columns[:shown], [row[:shown] for row in rows], POINTS.get(against, ""))
        )
    return made


def paper_tables(site: Site, rows: Sequence[Row]) -> list[Table]:
    """Return Tables 1 to 5, with lines of one's own below those of the paper."""
    own = [(found, row) for row in rows if (found := _own(site, row)) is not None]
    scored = [(one, row) for one, row in own if row.maj1 is not None]
    sets = list(_sets(site))
    losses = [
        (("pre-training loss",), o.base, f"{row.loss:.3f}", row.base or o.model) for o, row in own if row.loss is not None
    ]
    greedy = [((_named(o),), o.base, _points(row.maj1), o.model) for o, row in scored if o.share == 1 or o.setting != "sft"]
    counted = list(_last(sets))
    by_metric = [((o.setting, o.k, "maj1@1"), o.base, _points(row.maj1), o.model) for o, row in scored]
    fives = [((o.setting, o.k, o.share, o.epochs), o.base, _points(row.maj1), o.model) for o, row in scored]
    return [
        _pivot(site, "Table 1: SFT and RFT", ["what"], TABLE_1, [*losses, *greedy, *counted], _short),
        _pivot(
            site,
            "Table 2: distinct paths per question, by draws",
            ["k"],
            TABLE_2,
            [((k,), base, f"{row['paths_with_human']:.2f}", id) for base, id, at_k in sets for k, row in at_k.items()],
            "{:.2f}".format,
            _place,
            "rft-u13b and rft-u33b are the paper's unions, of 4 and 5 models. Yours count the human path, as the paper's must.",
        ),
        _pivot(
            site,
            "Table 3: greedy accuracy and majority votes",
            ["setting", "k", "metric"],
            TABLE_3,
            [*by_metric, *_votes(site, own)],
            "{:.1f}".format,
            _place,
            "The paper's table also lists models of others; those are not among the tables of rft sql.",
        ),
        _pivot(site, "Table 4: what it costs", ["what", "unit"], TABLE_4, list(_costs(site, own)), _amount),
        _pivot(
            site, "Table 5: accuracy by setting", ["setting", "k", "share", "epochs"], TABLE_5, fives, "{:.1f}".format, _place
        ),
    ]


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _amount(value: float) -> str:
    return f"{value:.1e}" if value >= 1e15 else f"{value:,.2g}" if value < 100 else f"{value:,.0f}"


def _place(labels: Labels) -> tuple[Any, ...]:
    """Return what orders the lines of a table: settings as the paper has them, then numbers, the unknown first."""
    known = {setting: place for place, setting in enumerate(SETTINGS)}
    return tuple(
        (known.get(label, len(known)), label) if isinstance(label, str) else (-1, "") if label is None else (0, "", label)
        for label in labels
    )


def _points(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _named(own: Own) -> str:
    return own.setting.upper() + (f", k = {own.k}" if own.k and own.setting != "sft" else "")


def _pivot(
    site: Site,
    title: str,
    labels: list[str],
    sql: str,
    own: Iterable[Value],
    written: Callable[[float], str],
    place: Callable[[Labels], Any] | None = None,
    note: str = "",
) -> Table:
    """Return a table with a column for each base; a line of one's own stands below the paper's of the same labels.

    `place` orders the lines; without it they stand as the query gives them, one's own others last.
    """
    lines: dict[tuple[Labels, str], dict[str, Any]] = {}
    for row in site.registry.sql(sql).iter_rows(named=True):
        lines.setdefault((tuple(row[label] for label in labels), "paper"), {})[row["base"]] = written(row["value"])
    for key, base, value, artifact in own:
        lines.setdefault((key, "yours"), {}).setdefault(base, Link(value, site.link(artifact).href))
    order = list(dict.fromkeys(key for key, _ in lines))
    bases = list(dict.fromkeys(base for cells in lines.values() for base in cells))
    rows = [
        [*map(_label, key), whose, *(cells.get(base) for base in bases)]
        for key in (sorted(order, key=place) if place else order)
        for whose in ("paper", "yours")
        if (cells := lines.get((key, whose))) is not None
    ]
    return Table(title, [*labels, "whose", *bases], rows, sql, note)


def _label(value: Any) -> Any:
    if isinstance(value, float) and 0 < value < 1:
        return f"1/{1 / value:g}"
    return int(value) if isinstance(value, float) and value == int(value) else value


# -- what is yours ------------------------------------------------------------------------------------------------------


def _own(site: Site, row: Row) -> Own | None:
    """Return what the lineage of a model says; None for one that was trained on other things."""
    record = site.records[row.models[0]]
    if record.maker != "sft":
        return Own(record.name, "icl", None, 1.0, None, row.models[0]) if row.loss is not None else None
    data = site.records.get(row.dataset or "")
    if data is None or row.base is None:
        return None
    setting, k, share = _setting(site, data)
    return Own(parse_id(row.base).name, setting, k, share, record.params.get("epochs"), row.models[0])


def _setting(site: Site, data: Record) -> tuple[str, int | None, float]:
    """Return the setting as published_scores calls it, the draws behind the set, and the share of the human data."""
    share, seen = 1.0, data
    while seen.maker == "fraction":
        part = 1 / seen.params["denominator"]
        share *= 1 - part if seen.params.get("part") == "out" else part
        if seen.inputs[0].id not in site.records:
            break
        seen = site.records[seen.inputs[0].id]
    if seen.rows_are != "TRAINING":
        return "sft", None, share
    k = seen.params.get("k") or sum(_draws(site, source) or 0 for source in seen.facts.get("sources", [])) or None
    if seen.maker == "union":
        known = next((name for name in ("u13b", "u33b") if seen.name.endswith(f"-{name}")), None)
        return f"rft-{known or 'union'}", k, share
    return {"all": "rft-no-dedup", "random_rows": "rft-random"}.get(str(seen.params.get("select")), "rft"), k, share


def _draws(site: Site, samples: str) -> int | None:
    known = site.records.get(samples)
    return known.params.get("k") if known else None


def _sets(site: Site) -> Iterable[tuple[str, str, dict[int, dict[str, Any]]]]:
    """Yield base, id and statistics by k of each rejection set from one model, and of each union, under its own name."""
    for id in sorted(site.here):
        record = site.records[id]
        blind = record.params.get("select") == "random_rows"
        if blind or record.maker not in ("rejection", "union") or (counted := site.statistics(id)) is None or not counted.at_k:
            continue
        sources = record.facts["sources"]
        base = record.name if len(sources) > 1 else _base(site, sources[0])
        if base is not None:
            yield base, id, {row["k"] * len(sources): row for row in counted.at_k}


def _base(site: Site, samples: str) -> str | None:
    """Return the base of the model that wrote samples, or the name that their file gives the model."""
    record = site.records.get(samples)
    if record is None or record.maker != "samples":
        return record.params.get("model") if record else None
    model = site.records.get(record.inputs[1].id)
    return parse_id(model.inputs[0].id if model and model.maker == "sft" else record.inputs[1].id).name


def _last(sets: Iterable[tuple[str, str, dict[int, dict[str, Any]]]]) -> Iterable[Value]:
    for base, id, at_k in sets:
        k = max(at_k)
        for what, column in (("correct", "right_answers"), ("distinct", "paths_with_human")):
            yield (f"{what} paths per question, k = {k}",), base, f"{at_k[k][column]:.2f}", id


def _votes(site: Site, own: Sequence[tuple[Own, Row]]) -> Iterable[Value]:
    by_model = {one.model: one for one, _ in own}
    for row in site.registry.sql("select * from scores where metric like 'maj1@%' and metric <> 'maj1@1'").iter_rows(
        named=True
    ):
        if (one := by_model.get(row["model"])) is not None:
            yield (
                (one.setting, one.k, row["metric"]),
                one.base,
                _points(row["value"]),
                f"{row['name']}@{row['version'] or 'dev'}",
            )


def _costs(site: Site, own: Sequence[tuple[Own, Row]]) -> Iterable[Value]:
    """Yield FLOPs (6 x parameters x tokens) and hours of the trainings."""
    for one, _ in own:
        facts = site.records[one.model].facts
        what = f"{one.setting} training" if one.setting != "sft" else "sft"
        if {"parameters", "tokens", "seconds", "device"} <= facts.keys() and one.setting != "icl":
            yield (what, "FLOPs"), one.base, f"{training(facts['parameters'], facts['tokens']):.1e}", one.model
            devices, _, kind = str(facts["device"]).rpartition(" x ")
            unit = "CPU hours" if kind.startswith("cpu") else "GPU hours"
            yield (what, unit), one.base, f"{facts['seconds'] * int(devices or 1) / 3600:.2g}", one.model
