"""Licences follow what was made from a source, are printed, and stop a set only where two clauses contradict each other."""

from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from registry.catalog import read as catalog
from registry.catalog.bind import bind, recorded
from registry.names import parse_id
from registry.store.record import InputRecord, Record
from rft.publish.gate.licences import Table, Term, conflicts, hub_license, table, terms
from tests.workspace import ROOT, SIX, Workspace, samples_of


def record(
    id: str, maker: str, *inputs: str, kind: str = "dataset", rows_are: str | None = "QUESTIONS", **params: Any
) -> Record:
    name, version = parse_id(id)
    return Record(
        name=name, version=version, kind=kind, maker=maker, edition=1, params=params, rows_are=rows_are, content="0" * 64, rows=1,  # type: ignore[arg-type]
        inputs=[InputRecord(id=given, content="0" * 64) for given in inputs],
        drops={}, facts={}, files=[], provenance={}, built_at=datetime(2026, 1, 1),
    )  # fmt: skip


def by_id(*records: Record) -> dict[str, Record]:
    return {str(m.id): m for m in records}


def lineage(*lines: str) -> tuple[Record, dict[str, Record]]:
    """Return the records that these lines of the project's own catalog would leave, with those of all their ancestors."""
    listed = catalog.read(ROOT / "catalog.yaml")
    found: dict[str, Record] = {}

    def add(id: str) -> None:
        recipe = bind(listed.entries[parse_id(id)], listed)
        entry, shape = recipe.entry, recipe.maker.makes
        if id not in found:
            found[id] = record(
                id,
                entry.maker,
                *map(str, entry.inputs),
                kind=entry.kind,
                rows_are=shape and shape.name,  # type: ignore[arg-type]
                **recorded(recipe),
            )
            for given in entry.inputs:
                add(str(given))

    for line in lines:
        add(line)
    return found[lines[0]], by_id(*(m for id, m in found.items() if id != lines[0]))


def names(found: list[Term]) -> set[tuple[str, str, str | None]]:
    return {(term.what, term.name, term.licence) for term in found}


def test_the_papers_union_is_made_of_gsm8k_and_five_models() -> None:
    found = terms(*lineage("gsm8k-rft-u33b@1"))
    assert names(found) == {
        ("questions", "openai/gsm8k", "mit"),
        ("model", "huggyllama/llama-7b", "llama1"),
        ("model", "huggyllama/llama-13b", "llama1"),
        ("model", "huggyllama/llama-30b", "llama1"),
        ("model", "meta-llama/Llama-2-7b-hf", "llama2"),
        ("model", "meta-llama/Llama-2-13b-hf", "llama2"),
    }
    assert {term.name for term in found if term.inside} == {"openai/gsm8k"}
    assert conflicts(found) == []
    assert hub_license(found) == ["llama2", "mit", "other"]


def test_what_llama_2_asks_of_its_outputs_is_a_note_and_does_not_stop() -> None:
    (llama,) = (term for term in terms(*lineage("gsm8k-rft-llama2-7b@1")) if term.what == "model")
    assert "improve any other large language model (excluding Llama 2 or derivative works thereof)" in llama.note
    assert llama.note.startswith("Llama 2 Community License Agreement, section 1(b)(v): ")
    assert llama.url.startswith("https://")  # type: ignore[union-attr]


def test_data_we_invented_is_under_the_projects_own_licence() -> None:
    found = terms(*lineage("mini-rft-large@1"))
    assert ("questions", "made by story_problems", "apache-2.0") in names(found)
    assert ("text", "made by story_text", "apache-2.0") in names(found)


def test_every_repository_of_the_catalog_has_a_licence() -> None:
    listed = catalog.read(ROOT / "catalog.yaml")
    repos = {bind(entry, listed).params.get("repo") for entry in listed.entries.values()} - {None}
    assert repos == set(table().sources)


def test_a_licence_follows_fractions_samples_and_rejection_sets(workspace: Workspace) -> None:
    workspace.write("samples.jsonl", samples_of({0: [SIX[0]["answer"]], 1: [SIX[1]["answer"]]}))
    workspace.add(
        "six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?, licence: cc-by-sa-4.0}}",
        "half@1: {builder: fraction, inputs: [six@1], params: {denominator: 1, seed: 1}}",
        "samples@1: {builder: samples_file, inputs: [half@1], params: {path: samples.jsonl, sha256: ?, licence: cc-by-nc-4.0}}",
        "rft@1: {builder: rejection, inputs: [half@1, samples@1]}",
        "both@1: {builder: union, inputs: [rft@1]}",
    )
    workspace.build("both@1")
    built = {name: workspace.stored(f"{name}@1").record for name in ("six", "half", "samples", "rft", "both")}
    found = terms(built.pop("both"), by_id(*built.values()))
    assert [(t.source, t.what, t.name, t.licence) for t in found] == [  # nearest first
        ("samples@1", "samples", "samples.jsonl", "cc-by-nc-4.0"),
        ("six@1", "questions", "six.jsonl", "cc-by-sa-4.0"),
    ]
    (finding,) = conflicts(found)
    assert (finding.gate, finding.name, finding.stops) == ("licence", "licence/cc-by-sa-4.0+cc-by-nc-4.0", True)
    assert "questions six.jsonl (of six@1): cc-by-sa-4.0" in finding.says
    assert "samples samples.jsonl (of samples@1): cc-by-nc-4.0" in finding.says
    assert 'section 3(b)(1): "The Adapter’s License You apply must be' in finding.says
    assert "for NonCommercial purposes only" in finding.says


def test_the_lines_own_licence_wins_over_what_its_repository_is_known_for() -> None:
    (found,) = terms(record("q@1", "gsm8k", repo="openai/gsm8k", licence="cc-by-4.0"), {})
    assert found.licence == "cc-by-4.0"
    (found,) = terms(record("q@1", "gsm8k", repo="openai/gsm8k", licence=None), {})
    assert found.licence == "mit"
    # A record from before there was such a parameter.
    (found,) = terms(record("q@1", "gsm8k", repo="openai/gsm8k"), {})
    assert found.licence == "mit"


@pytest.mark.parametrize(
    ("model", "licence", "known"),
    [("gpt-9", None, None), ("gpt-9", "cc-by-4.0", "cc-by-4.0"), ("meta-llama/Llama-2-7b-hf", None, "llama2")],
)
def test_a_model_that_is_only_a_name_is_a_source_too(model: Any, licence: Any, known: Any) -> None:
    found = terms(record("s@1", "samples_file", rows_are="SAMPLES", path="s.jsonl", model=model, licence=licence), {})
    assert names(found) == {("samples", "s.jsonl", licence), ("model", model, known)}


def test_unknown_licences_are_said_with_what_to_do_and_do_not_stop() -> None:
    found = terms(
        record("s@1", "samples_file", "q@1", rows_are="SAMPLES", path="s.jsonl", model="gpt-9"),
        by_id(record("q@1", "questions_file", path="q.jsonl", licence="unknown")),
    )
    (finding,) = conflicts(found)
    assert (finding.name, finding.stops) == ("licence/unknown", False)
    for named in ("samples s.jsonl (of s@1)", "model gpt-9 (of s@1)", "questions q.jsonl (of q@1)", "`licence`"):
        assert named in finding.says
    assert hub_license(found) == "unknown"


def test_a_new_kind_of_source_that_nobody_reviewed_is_unknown() -> None:
    (found,) = terms(record("new@1", "scraped"), {})
    assert found.licence is None


def test_a_licence_that_the_hub_does_not_know_is_said_and_is_other_on_the_card() -> None:
    found = terms(record("q@1", "questions_file", path="q.jsonl", licence="cc-by-sa-4"), {})
    (finding,) = conflicts(found)
    assert (finding.name, finding.stops) == ("licence/cc-by-sa-4", False)
    assert "Did you mean cc-by-sa-4.0" in finding.says
    assert hub_license(found) == "other"


def term(licence: str | None, what: str = "questions", inside: bool = True) -> Term:
    return Term(f"{what}@1", what, f"{what}.jsonl", licence, inside=inside)


@pytest.mark.parametrize(
    ("found", "stopped"),
    [
        ([term("cc-by-sa-4.0"), term("cc-by-nc-4.0", "samples")], ["cc-by-sa-4.0+cc-by-nc-4.0"]),
        ([term("cc-by-nc-4.0"), term("cc-by-sa-4.0", "samples")], ["cc-by-sa-4.0+cc-by-nc-4.0"]),
        ([term("cc-by-sa-4.0"), term("cc-by-nc-sa-4.0", "samples")], ["cc-by-sa-4.0+cc-by-nc-sa-4.0"]),
        ([term("cc-by-nd-4.0"), term("mit", "samples")], ["cc-by-nd-4.0+any"]),
        ([term("cc-by-nd-4.0"), term(None, "model", inside=False)], ["cc-by-nd-4.0+any"]),
        ([term("cc-by-nc-nd-4.0"), term("cc-by-nd-4.0", "samples")], ["cc-by-nd-4.0+any", "cc-by-nc-nd-4.0+any"]),
        ([term("cc-by-nd-4.0")], []),  # published as it is
        ([term("cc-by-sa-4.0"), term("cc-by-sa-4.0", "samples")], []),
        ([term("cc-by-sa-4.0"), term("cc-by-4.0", "samples"), term("mit", "samples")], []),
        ([term("cc-by-nc-4.0"), term("cc-by-nc-sa-4.0", "samples")], []),
        ([term("mit"), term("llama2", "model", inside=False), term("llama1", "model", inside=False)], []),
        # What a model learned from does not stand in what it writes.
        ([term("cc-by-sa-4.0"), term("cc-by-nc-4.0", "text", inside=False)], []),
    ],
)
def test_only_listed_pairs_stop(found: Any, stopped: Any) -> None:
    assert [f.name.removeprefix("licence/") for f in conflicts(found) if f.stops] == stopped


def test_rows_that_only_a_model_learned_from_are_not_inside() -> None:
    base = record("base@1", "hub", kind="model", rows_are=None, repo="meta-llama/Llama-2-7b-hf")
    learned = record("learned@1", "questions_file", path="learned.jsonl", licence="cc-by-nc-4.0")
    tuned = record("tuned@1", "sft", "base@1", "learned@1", kind="model", rows_are=None)
    asked = record("asked@1", "questions_file", path="asked.jsonl", licence="cc-by-sa-4.0")
    samples = record("samples@1", "samples", "asked@1", "tuned@1", rows_are="SAMPLES")
    found = terms(record("rft@1", "rejection", "asked@1", "samples@1"), by_id(base, learned, tuned, asked, samples))
    assert {term.name: term.inside for term in found} == {
        "asked.jsonl": True,
        "learned.jsonl": False,
        "meta-llama/Llama-2-7b-hf": False,
    }
    assert conflicts(found) == []
    # The same rows, asked as well as learned from, are.
    found = terms(record("rft@1", "rejection", "learned@1", "samples@1"), by_id(base, learned, tuned, asked, samples))
    assert len(conflicts(found)) == 1


@pytest.mark.parametrize(
    ("licences", "card"),
    [
        (["mit"], "mit"),
        (["mit", "mit"], "mit"),
        (["mit", "apache-2.0"], ["apache-2.0", "mit"]),
        ([], "unknown"),
        ([None], "unknown"),
        ([None, "mit"], ["mit", "unknown"]),
        (["llama1"], "other"),
        (["llama1", "llama2", None, "home-made"], ["llama2", "other", "unknown"]),
    ],
)
def test_the_cards_license_is_one_the_hub_knows(licences: Any, card: Any) -> None:
    assert hub_license([term(licence) for licence in licences]) == card


def test_the_cards_license_is_taken_by_the_hubs_client() -> None:
    from huggingface_hub import DatasetCardData

    assert DatasetCardData(license=hub_license([term("mit"), term("llama2")])).to_dict()["license"] == ["llama2", "mit"]  # type: ignore[no-untyped-call]


def test_what_licences_yaml_says_is_checked_when_it_is_read() -> None:
    good = table().model_dump()
    assert Table.model_validate(good) == table()
    for bad in (
        good | {"more": 1},
        good | {"sources": {"a/b": {"licence": "mit-0", "seen": "README.md"}}},
        good | {"made_here": {"story_text": "mit-0"}},
        good | {"conflicts": [{"pair": ["mit", "cc-by-nc-4.0"], "why": "no clause says so"}]},
        good | {"conflicts": [{"pair": ["cc-by-nc-4.0"], "why": "no pair"}]},
    ):
        with pytest.raises(ValidationError):
            Table.model_validate(bad)
