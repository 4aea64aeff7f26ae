"""The first page of a report: every artifact with its counts, and the lineage of the whole catalog."""

from typing import Any

from markupsafe import Markup

from registry.names import parse_id
from registry.text import number, size
from rft.reports.site.graph import Node, pictures
from rft.reports.site.pages import KINDS, Site
from rft.reports.table import Table, literal

ARTIFACTS = """select name, version, kind, maker, rows, dropped, questions, solved, paths, bytes
from artifacts
left join (select name, version, sum(rows)::bigint as dropped from drops_by_reason group by all) using (name, version)
left join (
  select
    name,
    version,
    count(*) as questions,
    count(*) filter (right_answers > 0) as solved,
    avg(paths_canonical) as paths
  from path_stats
  group by all
) using (name, version){where}
order by name, version"""
COLUMNS = ["artifact", "kind", "made by", "rows", "not kept", "questions", "solved", "paths/question", "size", "made from"]


def overview(site: Site) -> dict[str, Any]:
    """Return what the template of the first page takes."""
    built: list[tuple[list[Node], Markup]] = []
    unbuilt: list[tuple[list[Node], Markup]] = []
    for part in pictures(site.nodes, "Lineage of what is built and of what the catalog lists"):
        (built if any(node.href for node in part[0]) else unbuilt).append(part)
    return {
        "title": "Report of chosen artifacts" if site.chosen else "Report of the store",
        "summary": _summary(site),
        "artifacts": _artifacts(site),
        "damaged": list(site.damaged.values()),
        "kinds": KINDS,
        "built": built,
        "unbuilt": unbuilt,
        "unbuilt_count": number(sum(len(part) for part, _ in unbuilt), "line"),
    }


def _summary(site: Site) -> str:
    kinds: list[str] = [site.records[id].kind for id in site.here]
    counts = [number(kinds.count(kind), kind) for kind in ("dataset", "model", "eval") if kind in kinds]
    listed = [f"{number(len(site.entries), 'line')} of the catalog not built"] if site.entries else []
    known = (
        [f"{number(len(site.records) - len(site.here), 'artifact')} known by record only"]
        if len(site.records) > len(site.here)
        else []
    )
    return f"{'; '.join([', '.join(counts) or 'No artifact', *known, *listed])}."


def _artifacts(site: Site) -> Table:
    ids = sorted(site.here)
    where = ""
    if site.chosen:
        pairs = ", ".join(f"({literal(id.name)}, {id.version})" for id in map(parse_id, ids))
        where = f"\nwhere (name, version) in ({pairs})"
    sql = ARTIFACTS.format(where=where)
    rows = []
    for row in site.registry.sql(sql).iter_rows(named=True):
        id = f"{row['name']}@{row['version'] or 'dev'}"
        if id not in site.records:
            continue  # built since
        inputs = [site.link(given.id) for given in site.records[id].inputs]
        rows.append(
            [
                site.link(id),
                row["kind"],
                row["maker"],
                None if row["kind"] == "model" else row["rows"],
                row["dropped"],
                row["questions"],
                row["solved"],
                row["paths"],
                size(row["bytes"]),
                inputs,
            ]
        )
    note = "Paths are distinct ones of accepted samples, by the canonical key; a question is solved that has a right sample."
    return Table("all artifacts" if not site.chosen else "the artifacts and what they were made from", COLUMNS, rows, sql, note)
