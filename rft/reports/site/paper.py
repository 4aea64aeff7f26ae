"""The paper's Tables 1 to 5 and its laws, and beside each number what the models and sets of this store have.

Whose, base, setting, k and share of one's own are those of the view `settings`. Of models that differ only in their seed the mean is
shown; of others with the same labels, the best.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from registry.errors import RftError
from registry.names import parse_id
from rft.reports.laws import laws, tables
from rft.reports.models import scaling, side_by_side
from rft.reports.site.html import Link, drawn
from rft.reports.site.pages import Site
from rft.reports.table import Table, literal

Labels = tuple[Any, ...]
Value = tuple[Labels, str, str, str]  # labels of its line, the column, the number, and the artifact that has it

# One's own scores in the terms of published_scores; {chosen} keeps to the artifacts of the report.
OWN = """select base, setting, k, share, epochs, loss, metric, avg(value) as value, min(name || '@' || if(version = 0, 'dev', version::varchar)) as artifact
  from settings
  where {metric} and (metric <> 'maj1@1' or temperature = 0){chosen}
  group by base, setting, data, k, share, epochs, loss, metric, dataset, temperature, shots"""
TABLE_1 = """with own as (
  {own}
)
select whose, what, base, value, artifact
from (
  select 1 as place, rowid as line, 'paper' as whose, 'pre-training loss' as what, base, loss as value, null as artifact
  from published_scores
  where setting = 'icl' and metric = 'maj1@1' and source = 'Table 5'
  union all
  select 1, null, 'yours', 'pre-training loss', base, max(loss), min(artifact) from own where loss is not null group by base
  union all
  select 2, rowid, 'paper', upper(setting) || if(k is null, '', ', k = ' || k), base, 100 * value, null
  from published_scores
  where metric = 'maj1@1' and source = 'Table 5'
    and (setting = 'icl' or setting = 'sft' and share = 1 and epochs = 3 or setting = 'rft' and k = 100)
  union all
  select 2, null, 'yours', upper(setting) || if(k is null, '', ', k = ' || k), base, 100 * value, artifact from own
  union all
  select 3, rowid, 'paper', statistic || ' paths per question, k = ' || k, base, value, null
  from published_paths
  where temperature = 0.7 and k = 100 and statistic in ('correct', 'distinct')
)
order by place, line, value desc"""
TABLE_2 = """select 'paper' as whose, k, base, value, null as artifact
from published_paths
where statistic = 'distinct' and coalesce(temperature, 0.7) = 0.7
order by rowid"""
TABLE_3 = """with own as (
  {own}
)
select whose, base, setting, k, metric, 100 * value as value, artifact
from (
  select rowid as line, 'paper' as whose, base, setting, k, metric, value, null as artifact
  from published_scores
  where mark = 'P' and coalesce(share, 1) = 1 and (setting <> 'rft' or k = 100) and setting <> 'rft-no-dedup'
  union all
  select null, 'yours', base, setting, k, metric, value, artifact from own
)
order by line, value desc"""
TABLE_4 = """with own as (
  select distinct name, version, base, if(setting = 'sft', 'sft', setting || ' training') as what
  from settings
  where setting <> 'icl'{chosen}
), told as (
  select
    name,
    version,
    max(value) filter (fact = 'parameters')::double as parameters,
    max(value) filter (fact = 'tokens')::double as tokens,
    max(value) filter (fact = 'seconds')::double / 3600 as hours,
    max(value) filter (fact = 'device') as device
  from facts
  group by name, version
), trained as (
  select *, name || '@' || if(version = 0, 'dev', version::varchar) as artifact from own join told using (name, version)
)
select whose, what, unit, base, value, artifact
from (
  select rowid as line, 'paper' as whose, what, unit, base, value, null as artifact from published_costs
  union all
  select null, 'yours', what, 'FLOPs', base, 6 * parameters * tokens, artifact from trained
  union all
  select
    null,
    'yours',
    what,
    if(device like 'cpu%', 'CPU hours', 'GPU hours'),
    base,
    hours * coalesce(try_cast(split_part(device, ' x ', 1) as integer), 1),
    artifact
  from trained
)
where value is not null
order by line, artifact"""
TABLE_5 = """with own as (
  {own}
)
select whose, setting, k, share, epochs, base, 100 * value as value, artifact
from (
  select rowid as line, 'paper' as whose, setting, k, share, epochs, base, value, null as artifact
  from published_scores
  where metric = 'maj1@1' and source = 'Table 5'
  union all
  select null, 'yours', setting, k, share, epochs, base, value, artifact from own
)
order by line, value desc"""

SIZE = """select s.setting, s.base, log10({x}) as x, 100 * s.value as accuracy
from published_scores as s join published_costs as c using (base)
where c.what = 'pre-training' and c.unit = 'FLOPs' and s.metric = 'maj1@1'
  and s.source = 'Table 5' and (s.setting = 'icl' or s.setting = 'sft' and s.share = 1)
order by s.rowid"""
GAIN = """select r.base, {x} as x, 100 * (r.value - s.value) as gain
from published_scores as r
join published_scores as s using (base, metric){more}
where r.metric = 'maj1@1' and r.setting = 'rft' and s.setting = 'sft' and s.share = 1 and s.source = 'Table 5'
order by r.base, r.k"""
POINTS = {  # of the tables of laws, by title
    "accuracy against loss": """select setting, base, loss as x, 100 * value as accuracy
from published_scores
where metric = 'maj1@1' and source <> 'Table 3' and coalesce(share, 1) = 1 and (setting <> 'rft' or k = 100) and setting <> 'rft-no-dedup'
order by rowid""",
    "accuracy against log10 parameters": SIZE.format(x="c.parameters"),
    "accuracy against log10 pre-training FLOPs": SIZE.format(x="c.value"),
    "accuracy against log2 share of human data": """select base, log2(share) as x, max(100 * value) as accuracy
from published_scores
where setting = 'sft' and metric = 'maj1@1' and source = 'Table 5' and share >= 0.125
group by all
order by base, x""",
    "accuracy against log2 k: gain over sft": GAIN.format(x="log2(r.k)", more=""),
    "accuracy against loss: gain over sft": """select r.setting, r.base, r.loss as x, 100 * (r.value - s.value) as gain
from published_scores as r
join published_scores as s using (base, metric)
where r.metric = 'maj1@1' and r.setting in ('rft-u13b', 'rft-u33b')
  and s.setting = 'sft' and s.share = 1 and s.source = 'Table 5' and s.epochs = 3
order by r.rowid""",
    "accuracy against distinct paths per question: gain over sft": GAIN.format(
        x="p.value",
        more="\njoin published_paths as p on p.base = r.base and p.k = r.k and p.statistic = 'distinct' and p.temperature = 0.7",
    ),
}
SETTINGS = ("icl", "sft", "rft")  # come first, in this order


def laws_page(site: Site) -> dict[str, Any]:
    """Return what the template of the page of laws takes."""
    models = [parse_id(id) for id in sorted(site.here) if site.records[id].kind == "model" and id not in site.damaged]
    try:
        rows, missing = scaling(site.registry, models), []
    except RftError as error:  # what a score rests on is damaged or gone: the paper's numbers stand without
        rows, missing = [], [str(error)]
    scored = [parse_id(id) for row in rows if row.maj1 is not None for id in row.models]
    found = laws(site.registry, [parse_id(row.models[0]) for row in rows if row.maj1 is not None])
    # Without ids a figure is of all models that there are.
    figures, undrawn = drawn(("loss", "share", "k") if scored or not site.chosen else (), site.registry, scored)
    columns, cells = side_by_side(rows)
    linked = [[Link(str(row[0]), site.link(each.models[0]).href), *row[1:]] for each, row in zip(rows, cells, strict=True)]
    return {
        "title": "Laws and the paper's tables",
        "models": Table("models, side by side", columns, linked),
        "paper": paper_tables(site),
        "laws": [replace(table, sql=POINTS.get(table.title, "")) for table in tables(found)],
        "missing": [*missing, *found.missing, *undrawn],
        "figures": figures,
    }


def paper_tables(site: Site) -> list[Table]:
    """Return Tables 1 to 5, with lines of one's own below those of the paper."""
    chosen = f" and (name, version) in ({_pairs(site)})" if site.chosen else ""
    greedy, votes = (OWN.format(metric=m, chosen=chosen) for m in ("metric = 'maj1@1'", "metric like 'maj1@%'"))
    sets = list(_sets(site))
    by_k = [((k,), base, f"{row['paths_with_human']:.2f}", id) for base, id, at_k in sets for k, row in at_k.items()]
    return [
        _pivot(site, "Table 1: SFT and RFT", ["what"], "base", TABLE_1.format(own=greedy), _short, own=_last(sets)),
        _pivot(
            site,
            "Table 2: distinct paths per question, by draws",
            ["k"],
            "base",
            TABLE_2,
            "{:.2f}".format,
            _place,
            by_k,
            "rft-u13b and rft-u33b are the paper's unions, of 4 and 5 models. Yours count the human path, as the paper's must, and are "
            "those of the statistics of each set: its page has their SQL.",
        ),
        _pivot(
            site,
            "Table 3: greedy accuracy and majority votes",
            ["base", "setting", "k"],
            "metric",
            TABLE_3.format(own=votes),
            "{:.1f}".format,
        ),
        _pivot(site, "Table 4: what it costs", ["what", "unit"], "base", TABLE_4.format(chosen=chosen), _amount),
        _pivot(
            site,
            "Table 5: accuracy by setting",
            ["setting", "k", "share", "epochs"],
            "base",
            TABLE_5.format(own=greedy),
            "{:.1f}".format,
            _place,
        ),
    ]


def _pairs(site: Site) -> str:
    return ", ".join(f"({literal(id.name)}, {id.version})" for id in map(parse_id, sorted(site.here))) or "(null, null)"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _amount(value: float) -> str:
    return f"{value:.1e}" if value >= 1e9 else f"{value:,.2g}" if value < 100 else f"{value:,.0f}"


def _place(labels: Labels) -> tuple[Any, ...]:
    """Return what orders the lines of a table: settings as the paper has them, then numbers, the unknown first."""
    known = {setting: place for place, setting in enumerate(SETTINGS)}
    return tuple(
        (known.get(label, len(known)), label) if isinstance(label, str) else (-1, "") if label is None else (0, "", label)
        for label in labels
    )


def _pivot(
    site: Site,
    title: str,
    labels: list[str],
    across: str,
    sql: str,
    written: Callable[[float], str],
    place: Callable[[Labels], Any] | None = None,
    own: Iterable[Value] = (),
    note: str = "",
) -> Table:
    """Return a table with a column for each value of `across`; a line of one's own stands below the paper's of the same labels.

    `sql` gives whose, the labels, `across`, value and artifact; `own` are more lines of one's own. `place` orders the lines; without it they
    stand as they are given.
    """
    lines: dict[tuple[Labels, str], dict[str, Any]] = {}

    def add(whose: str, key: Labels, column: str, value: Any) -> None:
        lines.setdefault((key, whose), {}).setdefault(column, value)

    for row in site.registry.sql(sql).iter_rows(named=True):
        value, artifact = written(row["value"]), row["artifact"]
        number = value if artifact is None else Link(value, site.link(artifact).href)
        add(row["whose"], tuple(row[label] for label in labels), row[across], number)
    for key, column, value, artifact in own:
        add("yours", key, column, Link(value, site.link(artifact).href))
    order = list(dict.fromkeys(key for key, _ in lines))
    columns = list(dict.fromkeys(column for cells in lines.values() for column in cells))
    rows = [
        [*map(_label, key), whose, *(cells.get(column) for column in columns)]
        for key in (sorted(order, key=place) if place else order)
        for whose in ("paper", "yours")
        if (cells := lines.get((key, whose))) is not None
    ]
    return Table(title, [*labels, "whose", *columns], rows, sql, note)


def _label(value: Any) -> Any:
    if isinstance(value, float) and 0 < value < 1:
        return f"1/{1 / value:g}"
    return int(value) if isinstance(value, float) and value == int(value) else value


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
