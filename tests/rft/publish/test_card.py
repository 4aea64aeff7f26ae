"""The dataset card: what it says of an artifact, its pictures, and what a push leaves alone of a card that is there."""

import ast
import hashlib
import os
import re
import struct
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard, DatasetCardData
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from registry import open_registry
from registry.errors import InputError
from registry.rows import ROW_SHAPES, TABLES
from registry.store.lineage import ancestors
from registry.store.record import InputRecord, Record
from registry.text import escaped
from rft.publish import Finding
from rft.publish.card.card import Published, markdown, readme
from rft.publish.card.pictures import pictures
from rft.publish.gate.contamination import Compared
from rft.publish.gate.licences import Term
from rft.reports.figures.lineage import _laid_out, _words, width
from rft.reports.layers import BOX, CHARACTERS, GAP, LANE
from rft.reports.paths import statistics
from tests.fakehub import read_card
from tests.workspace import ROOT, SIX, Workspace, samples_of

REPOSITORY = "someone/paths"
HUMAN = [row["answer"] for row in SIX]
OTHER_WAY = "She has 12+3*8=<<12+3*8=36>>36.\n#### 36"
SHAPES = {"gsm8k": "QUESTIONS", "samples": "SAMPLES", "rejection": "TRAINING", "union": "TRAINING"}


# -- what is published ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A home with the six questions, samples of two models, a rejection set of each, their union, and an eval."""
    made = Workspace(tmp_path_factory.mktemp("card"))
    made.write("six.jsonl", SIX)
    made.write("one.jsonl", samples_of({0: [HUMAN[0], "It is 3.\n#### 3"], 1: [HUMAN[1], OTHER_WAY]}, model="one"))
    made.write("two.jsonl", samples_of({1: [OTHER_WAY, OTHER_WAY], 2: [HUMAN[2], HUMAN[2]]}, model="two"))
    made.add("six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?, licence: mit}}")
    for name in ("one", "two"):
        made.add(f"samples-{name}@1: {{builder: samples_file, inputs: [six@1], params: {{path: {name}.jsonl, sha256: ?}}}}")
        made.add(f"rft-{name}@1: {{builder: rejection, inputs: [six@1, samples-{name}@1], params: {{mode: paper}}}}")
    made.add("rft-both@1: {builder: union, inputs: [rft-one@1, rft-two@1]}")
    made.add("scores-one@1: {eval: gsm8k, inputs: [six@1, samples-one@1], params: {k: 2}}")
    made.build("rft-both@1", "scores-one@1")
    return made


def published(built: Any, name: str, **changes: Any) -> Published:
    """Return an artifact of the home as `rft push` hands it to the card."""
    artifact = open_registry(built.store.home).load(name)
    m = artifact.record
    configs = {m.name: [{"split": "train", "path": f"{m.name}/train-00000-of-00001.parquet"}]}
    for file in m.files:
        if (table := file.name.removesuffix(".parquet")) in TABLES:
            configs[f"{m.name}_{table}"] = [{"split": "train", "path": f"{m.name}/{file.name}"}]
    counted = statistics(artifact) if artifact.stored.file("verdicts.parquet") else None
    if counted:
        configs["statistics"] = [{"split": "train", "path": "*/statistics.parquet"}]
    values: dict[str, Any] = {
        "record": m,
        "ancestors": ancestors(built.store, m),
        "split": "train",
        "tag": f"{m.name}-v{m.version}",
        "configs": configs,
        "lines": "datasets:\n  six@1: {builder: questions_file}\n",
        "statistics": counted,
        "terms": [Term("six@1", "questions", "six.jsonl", "mit", "https://opensource.org/license/mit")],
    }
    return Published(**(values | changes))


@pytest.fixture(scope="module")
def both(built: Any) -> Any:
    return published(built, "rft-both@1")


@pytest.fixture(scope="module")
def one(built: Any) -> Any:
    return published(built, "rft-one@1")


def like_the_paper(makers: int = 5) -> tuple[Record, dict[str, Record]]:
    """Return records like those of the paper's U33B: so many base models, SFT models, sample and rejection sets, one union."""
    records: dict[str, Record] = {}

    def add(name: str, maker: str, *inputs: str) -> str:
        model = maker in ("hub", "sft")
        records[f"{name}@1"] = Record(
            name=name,
            version=1,
            kind="model" if model else "dataset",
            maker=maker,
            edition=1,
            inputs=[InputRecord(id=id, content="0" * 64) for id in inputs],
            params={"repo": "openai/gsm8k"} if maker == "gsm8k" else {},
            rows_are=SHAPES.get(maker),
            content="0" * 64,
            rows=0 if model else 747_300,
            drops={},
            facts={},
            files=[],
            provenance={},
            built_at=datetime(2026, 1, 1),
        )
        return f"{name}@1"

    train, sets = add("gsm8k-train", "gsm8k"), []
    for i in range(makers):
        sft = add(f"llama{i}-13b-sft", "sft", add(f"llama{i}-13b", "hub"), train)
        sets.append(
            add(f"gsm8k-rft-llama{i}-13b", "rejection", train, add(f"gsm8k-samples-llama{i}-13b", "samples", train, sft))
        )
    add("gsm8k-rft-u33b", "union", add("gsm8k-rft-u13b", "union", *sets[:-1]), sets[-1])
    return records.pop("gsm8k-rft-u33b@1"), records


# -- what a card says -----------------------------------------------------------------------------------------------------


def test_the_front_matter_is_what_the_hub_client_reads_back(both: Any, one: Any) -> None:
    data = DatasetCard(readme(REPOSITORY, [both, one], None)).data
    assert isinstance(data, DatasetCardData)
    assert data.pretty_name == "paths"
    assert data.license == ["mit"]
    for key in ("language", "license", "tags", "size_categories", "source_datasets", "task_categories"):
        assert data[key]
        assert all(isinstance(value, str) for value in data[key])
    assert data.size_categories == ["n<1K"]
    assert data.source_datasets == ["original"]


def test_the_hub_would_take_the_card(built: Any, both: Any, one: Any) -> None:
    strange = [Term("a@1", "model", "m", "house-rules", "https://example.org/rules"), Term("b@1", "model", "n", None)]
    for pushed in ([both, one], [published(built, "scores-one@1")], [replace(both, terms=strange)]):
        card = readme(REPOSITORY, pushed, None)
        assert read_card(card)[1:] == ([], [])
        assert read_card(readme(REPOSITORY, pushed, BY_HAND))[1:] == ([], [])
        assert read_card(readme(REPOSITORY, [one], card))[1:] == ([], [])


def test_datasets_reads_the_configs_and_the_first_artifact_is_the_default(both: Any, one: Any) -> None:
    from datasets.utils.metadata import MetadataConfigs

    configs = MetadataConfigs.from_dataset_card_data(DatasetCard(readme(REPOSITORY, [both, one], None)).data)
    assert configs.get_default_config_name() == "rft-both"
    assert configs["rft-both"]["data_files"] == [{"split": "train", "path": "rft-both/train-00000-of-00001.parquet"}]
    assert {"rft-both_verdicts", "rft-both_path_stats", "rft-one", "rft-one_verdicts", "statistics"} <= configs.keys()


def test_the_sources_are_the_hubs_data_sets_of_the_lineage(both: Any) -> None:
    union, records = like_the_paper()
    paper = replace(both, record=union, ancestors=records, configs={union.name: both.configs["rft-both"]})
    data = DatasetCard(readme(REPOSITORY, [paper], None)).data
    assert data.source_datasets == ["openai/gsm8k"]  # type: ignore[attr-defined]
    assert data.size_categories == ["100K<n<1M"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("licences", "ids", "name"),
    [
        (["mit"], ["mit"], None),
        (["mit", "cc-by-4.0"], ["cc-by-4.0", "mit"], None),
        (["mit", None], ["mit", "unknown"], None),
        ([], ["unknown"], None),
        (["mit", "house-rules"], ["mit", "other"], "house-rules"),
        (["house-rules", "club-rules"], ["other"], None),
    ],
)
def test_licences_are_the_hubs_ids_and_what_is_not_known_is_said(both: Any, licences: Any, ids: Any, name: Any) -> None:
    terms = [Term("a@1", "questions", f"file {i}", licence) for i, licence in enumerate(licences)]
    text = readme(REPOSITORY, [replace(both, terms=terms)], None)
    data = DatasetCard(text).data
    assert (data.license, data.get("license_name")) == (ids, name)  # type: ignore[attr-defined]
    assert ("| **unknown** |" in text) == (None in licences)


def test_a_section_has_what_it_is_and_the_papers_statistics(both: Any) -> None:
    text = readme(REPOSITORY, [both], None)
    s = both.statistics
    assert "A union of rft-one@1, rft-two@1, from 2 sets of samples" in text
    assert "one text was kept for each distinct reasoning path" in text
    assert f"{s.human_rows:,} human solutions, {s.kept:,} kept samples" in text
    last = s.at_k[-1]
    assert f"| {last['k']} | {last['draws']:.2f} | {last['right_answers']:.2f} | {last['accepted']:.2f} |" in text
    for row in s.sources:
        assert f"| {row['source']} | {row['draws']} | {row['right_answers']} |" in text
    assert "Paths that two sources share" in text
    assert '<img src="rft-both/paths.png"' in text
    assert '<img src="rft-both/lineage.png"' in text
    assert both.record.content in text
    assert "https://arxiv.org/abs/2308.01825" in text
    for id in (str(both.record.id), *both.ancestors):
        assert f"\n| {id} |" in text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("six@1", "6 questions, with final answers"),
        ("samples-one@1", "4 solutions that models wrote, right and wrong, from six@1."),
        ("rft-one@1", "A rejection set from 1 set of samples"),
        ("scores-one@1", "Scores from six@1, samples-one@1"),
    ],
)
def test_each_kind_of_artifact_has_a_card(built: Any, name: Any, says: Any) -> None:
    p = published(built, name)
    text = readme(REPOSITORY, [p], None)
    assert says in text
    for column in ROW_SHAPES[p.record.rows_are].columns:  # type: ignore[index]
        assert f"\n| {column} |" in text
    assert ("### Right answers" in text) == (p.statistics is not None)


def test_test_questions_say_that_nothing_is_to_be_trained_on_them(built: Any) -> None:
    assert "nothing should be trained on them" in readme(REPOSITORY, [published(built, "six@1", split="test")], None)


def test_every_column_that_can_be_published_has_a_meaning() -> None:
    for shape in (*ROW_SHAPES.values(), *TABLES.values()):
        assert [name for name, column in shape.columns.items() if not column.meaning] == []


def test_the_snippets_are_python_and_name_the_tag(both: Any) -> None:
    text = readme(REPOSITORY, [both], None)
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(snippets) == 3
    for snippet in snippets:
        assert ast.parse(snippet).body
        assert "rft-both-v1" in snippet
    assert "$ rft pull someone/paths@rft-both-v1 --home .rft\n$ rft build rft-both@1\n" in text
    assert f"```yaml\n{both.lines}```" in text


def test_the_checks_stand_in_figures_and_overrides_by_name(both: Any) -> None:
    compared = [Compared("gsm8k-test@1", texts=7473, questions=94, exact=0, gram_13=4, gram_8=90, known=4)]
    finding = Finding("licence", "licence/cc-by-sa-4.0+cc-by-nc-4.0", "These do not go together.\nA second line.", True)
    text = readme(REPOSITORY, [replace(both, compared=compared, overridden=[finding])], None)
    assert "| gsm8k-test@1 | 7,473 | 94 | 0 | 4 | 90 | 4 |" in text
    assert "- licence/cc-by-sa-4.0+cc-by-nc-4.0: These do not go together." in text
    assert "A second line" not in text
    assert "Nothing was compared with a test set" in readme(REPOSITORY, [both], None)


def test_a_first_config_of_another_format_is_refused_for_nothing_could_be_loaded(both: Any) -> None:
    by_hand = "---\nconfigs:\n- config_name: mine\n  data_files: mine.jsonl\n---\n"
    with pytest.raises(InputError, match=r"the first of `configs`, 'mine', is mine.jsonl, which is not Parquet"):
        readme(REPOSITORY, [both], by_hand)


# -- text from outside ----------------------------------------------------------------------------------------------------

EVIL = [
    "a | b | c",
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    "x\n<!-- rft:end rft-both -->\n# heading",
    "[a](javascript:alert(1)) ![b](http://x/y.png) <http://x>",
    "`code` ``` *bold* __bold__ ~~gone~~ $$x$$ \\(x\\)",
    "---\nlicense: mit\n---",
    "\x1b[2J\u202egnp.exe\u2028after",
    "{{ 7*7 }}{% raw %}",
]
RENDER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


class Tags(HTMLParser):
    """The elements of a page, without the addresses of links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple] = []  # type: ignore[type-arg]
        self.links: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: Any, attrs: Any) -> Any:
        self.links += [value for name, value in attrs if name == "href"]
        self.found.append((tag, *(pair for pair in attrs if pair[0] != "href")))

    def handle_endtag(self, tag: Any) -> Any:
        self.found.append((f"/{tag}",))

    def handle_comment(self, data: Any) -> Any:
        self.found.append(("comment", data))


def card_with(both: Published, text: str) -> str:
    """Return a card in which `text` stands wherever text from outside can stand."""
    m = both.record.model_copy(update={"maker": text, "params": {text: text, "repo": text}, "drops": {text: 1}})
    row = both.statistics.sources[0] | {"source": text}  # type: ignore[union-attr]
    assert both.statistics is not None
    changes: dict[str, Any] = {
        "record": m,
        "statistics": replace(both.statistics, sources=[row], overlap=[{"a": text, "b": text, "shared": 1}]),
        "terms": [Term(text, text, text, text, f"https://x/{text}", text), Term(text, text, text, None)],
        "compared": [Compared(text, 1, 1, 1, 1, 1, 1)],
        "overridden": [Finding("licence", text, text, True)],
        "lines": f"datasets:\n{text}\n```\n",
    }
    p = replace(both, **changes)
    card = readme(REPOSITORY, [p], None)
    assert readme(REPOSITORY, [p], card) == card  # its section is still one
    return card


@pytest.mark.parametrize("evil", EVIL)
def test_text_from_outside_shows_as_it_is_and_ends_nothing(both: Any, evil: Any) -> None:
    card = card_with(both, evil)
    page, plain = (Tags(RENDER.render(DatasetCard(text).text)) for text in (card, card_with(both, "plain")))
    assert page.found == plain.found  # the same tables, rows and cells; no element more
    assert all(link.startswith("https://") for link in page.links)  # type: ignore[union-attr]
    assert not re.search(r"[\x00-\x08\x1b\u202e\u2028]", card)


@given(st.text(alphabet=st.characters(codec="utf-8")))
@settings(deadline=None)
def test_escaped_text_renders_as_the_text(text: Any) -> None:
    line = f"x {markdown(text)}"
    html = RENDER.render(line)
    shown = re.sub(r"</?p>", "", html).strip()
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        shown = shown.replace(entity, char)
    assert "<a" not in html
    assert "<!--" not in line
    assert shown == ("x " + " ".join(escaped(text).split())).strip()


# -- a card that is there -------------------------------------------------------------------------------------------------

BY_HAND = """---
# what the Hub shows
license: mit  # my choice
tags:
- mine  # first of all
# a comment between
- rft
language: [de, 'fr',]  # flow
dataset_info: {features: [{name: a, dtype: string}]}
configs:
# the table I drew
- config_name: mine
  data_files: mine.parquet  # by hand
  default: true
- config_name: rft-both
  data_files: [{split: train, path: old.parquet}]
- config_name: rft-both_gone
  data_files: gone.parquet
# after
annotations_creators:
- found
---
# My paths

Before.

<!-- rft:begin rft-both -->
old text
<!-- rft:end rft-both -->

---
Between `<!-- rft:begin X -->` and after.
"""


def sections(text: str) -> dict[str, str]:
    found = re.findall(r"<!-- rft:begin (\S+) -->\r?\n(.*?)<!-- rft:end \1 -->", text, flags=re.DOTALL)
    return dict(found)


def test_a_card_by_hand_keeps_every_line_that_is_not_ours(both: Any) -> None:
    text = readme(REPOSITORY, [both], BY_HAND)
    lines = text.splitlines()
    ours = {"- config_name: rft-both", "  data_files: [{split: train, path: old.parquet}]", "old text"}
    ours |= {"- config_name: rft-both_gone", "  data_files: gone.parquet", "language: [de, 'fr',]  # flow"}
    place = 0
    for line in BY_HAND.splitlines():
        if line not in ours:
            place = lines.index(line, place) + 1  # ValueError: it is gone, or not in order
    assert "language: [de, 'fr', \"en\",]  # flow" in lines
    assert text.endswith("---\nBetween `<!-- rft:begin X -->` and after.\n")
    data = yaml.safe_load(text.split("---\n")[1])
    assert data["license"] == "mit"
    assert data["tags"] == ["mine", "rft", "math", "reasoning", "synthetic"]
    names = [entry["config_name"] for entry in data["configs"]]
    assert names == ["mine", "rft-both", "rft-both_path_stats", "rft-both_verdicts", "statistics"]
    assert [entry["config_name"] for entry in data["configs"] if entry.get("default")] == ["mine"]
    assert data["configs"][1]["data_files"] == [dict(file) for file in both.configs["rft-both"]]


def test_the_same_push_again_changes_nothing(both: Any, one: Any) -> None:
    fresh = readme(REPOSITORY, [both, one], None)
    assert fresh.endswith("-->\n")
    assert readme(REPOSITORY, [both, one], fresh) == fresh
    assert readme(REPOSITORY, [one], fresh) == fresh
    once = readme(REPOSITORY, [both], BY_HAND)
    assert readme(REPOSITORY, [both], once) == once


def test_the_order_of_pushes_changes_no_section_and_no_config(both: Any, one: Any) -> None:
    first, second = ([both], [one]), ([one], [both])
    a, b = (readme(REPOSITORY, after, readme(REPOSITORY, before, None)) for before, after in (first, second))
    assert sections(a) == sections(b) == sections(readme(REPOSITORY, [both, one], None))
    configs = [{e["config_name"]: e["data_files"] for e in DatasetCard(text).data.configs} for text in (a, b)]  # type: ignore[attr-defined]
    assert configs[0] == configs[1]
    defaults = [[e["config_name"] for e in DatasetCard(text).data.configs if e.get("default")] for text in (a, b)]  # type: ignore[attr-defined]
    assert defaults == [["rft-both"], ["rft-one"]]


def test_a_new_section_follows_the_last_one_and_what_is_by_hand_stays_behind_it(both: Any, one: Any) -> None:
    text = readme(REPOSITORY, [one], BY_HAND)
    assert text.index("rft:end rft-both") < text.index("rft:begin rft-one") < text.index("Between `")
    assert sections(text)["rft-both"] == "old text\n"


def test_a_later_version_replaces_its_own_section_only(both: Any, one: Any) -> None:
    fresh = readme(REPOSITORY, [both, one], None)
    later = both.record.model_copy(update={"version": 2})
    text = readme(REPOSITORY, [replace(both, record=later, tag="rft-both-v2")], fresh)
    assert "rft-both-v2" in sections(text)["rft-both"]
    assert sections(text)["rft-one"] == sections(fresh)["rft-one"]


def test_a_push_without_statistics_leaves_those_of_others(built: Any, both: Any) -> None:
    text = readme(REPOSITORY, [published(built, "six@1")], readme(REPOSITORY, [both], None))
    names = [entry["config_name"] for entry in DatasetCard(text).data.configs]  # type: ignore[attr-defined]
    assert names == ["rft-both", "rft-both_path_stats", "rft-both_verdicts", "statistics", "six"]


def test_a_list_of_licences_gains_what_a_later_push_brings(both: Any, one: Any) -> None:
    fresh = readme(REPOSITORY, [both], None)
    assert DatasetCard(fresh).data.license == ["mit"]  # type: ignore[attr-defined]
    unknown = replace(one, terms=[Term("a@1", "model", "m", None)])
    assert DatasetCard(readme(REPOSITORY, [unknown], fresh)).data.license == ["mit", "unknown"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("existing", ["", "\n \n", "\ufeff"])
def test_an_empty_readme_is_none(both: Any, existing: Any) -> None:
    assert readme(REPOSITORY, [both], existing) == readme(REPOSITORY, [both], None)


def test_a_readme_with_front_matter_only_gets_a_text(both: Any) -> None:
    text = readme(REPOSITORY, [both], "---\nlicense: cc0-1.0\n---")
    assert text.startswith("---\nlicense: cc0-1.0\nlanguage:\n- en\n")
    assert "\n# paths\n" in text
    assert readme(REPOSITORY, [both], text) == text


def test_a_readme_without_front_matter_gets_one_and_keeps_its_rules(both: Any) -> None:
    by_hand = "# Title\n---\nlicense: no yaml\n---\nThe end"
    text = readme(REPOSITORY, [both], by_hand)
    assert f"\n---\n{by_hand}\n\n<!-- rft:begin rft-both -->\n" in text
    assert DatasetCard(text).data.license == ["mit"]  # type: ignore[attr-defined]
    assert readme(REPOSITORY, [both], text) == text


def test_line_ends_and_byte_order_mark_stay(both: Any) -> None:
    by_hand = "\ufeff" + BY_HAND.replace("\n", "\r\n")
    text = readme(REPOSITORY, [both], by_hand)
    assert text.startswith("\ufeff---\r\n")
    assert "\n" not in text.replace("\r\n", "")
    assert text.removeprefix("\ufeff").replace("\r\n", "\n") == readme(REPOSITORY, [both], BY_HAND)


@pytest.mark.parametrize(
    ("front", "key", "value"),
    [
        ("tags:", "tags", ["rft", "math", "reasoning", "synthetic"]),
        ("tags:  # none yet", "tags", ["rft", "math", "reasoning", "synthetic"]),
        ("tags: []", "tags", ["rft", "math", "reasoning", "synthetic"]),
        ("tags: null\nother: 1", "tags", ["rft", "math", "reasoning", "synthetic"]),
        ("tags:\n    - a\n\n\nother: 1", "tags", ["a", "rft", "math", "reasoning", "synthetic"]),
        ("tags: [a,\n  b]", "tags", ["a", "b", "rft", "math", "reasoning", "synthetic"]),
        ("tags: words", "tags", "words"),
        ("tags:\n- |\n  a\n  b\n- >-\n  c\nother: 1", "tags", ["a\nb\n", "c", "rft", "math", "reasoning", "synthetic"]),
        ("pretty_name: Mine", "pretty_name", "Mine"),
        ("pretty_name: ''", "pretty_name", ""),
        ("pretty_name:", "pretty_name", "paths"),
        ("  tags: [a]\n  pretty_name: Mine", "tags", ["a", "rft", "math", "reasoning", "synthetic"]),
        ("license: other\nlicense_name: mine", "license_name", "mine"),
        ("size_categories: [1K<n<10K]", "size_categories", ["1K<n<10K", "n<1K"]),
        ("released: 2026-01-01", "released", datetime(2026, 1, 1).date()),
    ],
)
def test_front_matter_in_every_style_keeps_its_values(both: Any, front: Any, key: Any, value: Any) -> None:
    text = readme(REPOSITORY, [both], f"---\n{front}\n---\nText\n")
    data = yaml.safe_load(text.split("---\n")[1])
    assert data[key] == value
    assert data["configs"][0]["config_name"] == "rft-both"
    assert data["configs"][0]["default"] is True
    assert readme(REPOSITORY, [both], text) == text


@pytest.mark.parametrize(
    "configs",
    [
        "[{config_name: default, data_files: a.parquet}]",
        "[]",
        "\n  - config_name: rft-both\n    data_files: x\n  - config_name: default\n    data_files: y",
    ],
)
def test_configs_in_every_style_gain_ours_and_have_one_default(both: Any, configs: Any) -> None:
    text = readme(REPOSITORY, [both], f"---\nconfigs: {configs}\nother: 1\n---\nText\n")
    found = yaml.safe_load(text.split("---\n")[1])["configs"]
    assert {"rft-both", "rft-both_verdicts", "statistics"} <= {e["config_name"] for e in found}
    defaults = [e["config_name"] for e in found if e.get("default") or e["config_name"] == "default"]
    assert defaults == (["default"] if "default" in configs else ["rft-both"])
    assert readme(REPOSITORY, [both], text) == text


@pytest.mark.parametrize(
    ("front", "line", "says"),
    [
        ("license: [mit", 3, "expected ',' or ']'"),
        ("license: mit\n\ttags: a", 3, "cannot start any token"),
        ("just text", 2, "not a mapping"),
        ("license: mit\nlicense: gpl", 2, "twice"),
        ("configs: all", 2, "configs is not a list"),
        ("a: &x [b]\ntags: *x", 2, "tags"),
        ("{license: mit}", 2, "plain `name: value` lines"),
        ("released: 2026-13-45", 2, "month must be in 1"),
    ],
)
def test_front_matter_that_cannot_be_used_is_refused_with_its_line(both: Any, front: Any, line: Any, says: Any) -> None:
    with pytest.raises(InputError, match=rf"README.md, line {line}: .*{re.escape(says)}"):
        readme(REPOSITORY, [both], f"---\n{front}\n---\n# Title\n")


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        ("<!-- rft:begin a -->\ntext", 5, "a begins and does not end"),
        (
            "<!-- rft:begin a -->\n<!-- rft:begin b -->\n<!-- rft:end b -->",
            5,
            "a begins and does not end before b begins in line 6",
        ),
        ("text\n<!-- rft:end a -->", 6, "a ends and did not begin"),
        ("<!-- rft:begin a -->\n<!-- rft:end b -->", 6, "b ends and did not begin"),
        ("<!-- rft:begin a -->\n<!-- rft:end a -->\n<!-- rft:begin a -->\n<!-- rft:end a -->", 7, "begins a second time"),
        ("<!-- rft:begin a -->\n<!-- rft:end a --> text", 6, "alone on its line"),
        ("<!--rft:begin a-->", 5, "is not <!-- rft:begin NAME -->"),
    ],
)
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_damaged_comments_are_refused_with_their_line_and_the_cure(
    both: Any, body: Any, line: Any, says: Any, eol: Any
) -> None:
    with pytest.raises(InputError, match=rf"README.md, line {line}: .*{re.escape(says)}.*\. Put the comments"):
        readme(REPOSITORY, [both], f"---\nlicense: mit\n---\n\n{body}\n".replace("\n", eol))


def test_a_comment_that_is_shown_as_code_is_no_section(both: Any) -> None:
    text = readme(REPOSITORY, [both], "# T\n\n    <!-- rft:begin a -->\n\nSee `<!-- rft:begin a -->`.\n")
    assert list(sections(text)) == ["rft-both"]


FRONT = {
    "license": ["license: mit  # mine", "license:\n- mit", "license: [cc0-1.0]", "license:"],
    "tags": ["tags:\n  - a  # x\n  # y\n  - rft", "tags: [a, b]", "tags: words", "tags:\n- 1\n- null"],
    "language": ["language: de", "language:\n- no\n- 'no'", "language: [de]  # z"],
    "configs": [
        "configs:\n- config_name: mine\n  data_files: m.parquet\n# c\n- config_name: rft-both_old\n  data_files: o.parquet",
        "configs:\n- config_name: rft-both\n  data_files: m.parquet\n  default: true",
        "configs: [{config_name: default, data_files: a.parquet}]",
        "configs: []",
    ],
    "pretty_name": ["pretty_name: 'Mine: all'", "pretty_name: >\n  folded\n  text"],
    "text": ["text: |\n  - a\n  # b\n\n", "text: {a: [b, {c: d}]}"],
    "comment": ["# only a comment", ""],
}
BODY = ["# Title", "", "---", "Some text.", "```\n# code\n```", "<!-- a comment -->", "<details>", "| a |\n| - |", "   ", "\t"]


@st.composite
def readmes(draw: Any) -> str:
    """READMEs as people write them: with and without front matter, in any order, with both kinds of line ends."""
    keys = draw(st.lists(st.sampled_from(sorted(FRONT)), unique=True))
    front = "\n".join(draw(st.sampled_from(FRONT[key])) for key in keys)
    lines = draw(st.lists(st.sampled_from(BODY) | st.text(st.characters(codec="utf-8"), max_size=20), max_size=6))
    text = (f"---\n{front}\n---\n" if draw(st.booleans()) else "# T\n") + "\n".join(lines)
    if draw(st.booleans()):
        text = text.replace("\r", "").replace("\n", "\r\n")
    return draw(st.sampled_from(["", "\ufeff"])) + text + draw(st.sampled_from(["", "\n", "\n\n"]))  # type: ignore[no-any-return]


@given(existing=readmes())
@settings(max_examples=50, deadline=None)
def test_whatever_is_there_stays_and_a_second_push_changes_nothing(both: Any, one: Any, existing: Any) -> None:
    text = readme(REPOSITORY, [both], existing)
    assert readme(REPOSITORY, [both], text) == text
    after = readme(REPOSITORY, [one], text)
    assert readme(REPOSITORY, [both], after) == after
    assert readme(REPOSITORY, [one], after) == after
    assert sections(readme(REPOSITORY, [both], readme(REPOSITORY, [one], existing))) == sections(after)

    plain = existing.removeprefix("\ufeff")
    front = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", plain, flags=re.DOTALL)
    body = plain[front.end() :] if front else plain
    assert existing.startswith("\ufeff") == text.startswith("\ufeff") or not plain.strip()
    if body.strip():
        assert body in text
    if front:
        before, now = yaml.safe_load(front[1] + "\n") or {}, DatasetCard(text.removeprefix("\ufeff")).data.to_dict()  # type: ignore[no-untyped-call]
        place = 0
        for comment in re.findall(r"#[^\r\n]*", front[1]):
            place = text.index(comment, place) + 1  # ValueError: it is gone, or not in order
        for key, value in before.items():
            if key == "configs":
                kept = [entry for entry in value if not entry["config_name"].startswith("rft-both")]
                assert [entry for entry in now[key] if entry in kept] == kept
            elif isinstance(value, list):
                assert now[key][: len(value)] == value
            elif value is not None:
                assert now[key] == value
    configs = DatasetCard(after.removeprefix("\ufeff")).data.configs  # type: ignore[attr-defined]
    assert sum(bool(e.get("default")) or e["config_name"] == "default" for e in configs) == 1


# -- pictures -------------------------------------------------------------------------------------------------------------


def png_chunks(data: bytes) -> dict[bytes, bytes]:
    """Return the chunks of a PNG by their type."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks[data[place + 4 : place + 8]] = data[place + 8 : place + 8 + length]
        place += 12 + length
    return chunks


def test_the_pictures_say_nothing_of_when_and_by_what_they_were_drawn(both: Any) -> None:
    drawn = pictures(both.record, both.ancestors, both.statistics)
    assert drawn.keys() == {"lineage.png", "paths.png"}
    for png in drawn.values():
        assert png_chunks(png).keys() <= {b"IHDR", b"pHYs", b"IDAT", b"IEND"}
    wide, _ = struct.unpack(">II", png_chunks(drawn["lineage.png"])[b"IHDR"][:8])
    assert wide == 2 * width(both.record, both.ancestors)
    assert pictures(both.record, both.ancestors, None).keys() == {"lineage.png"}


def test_the_pictures_are_the_same_whatever_the_users_settings(built: Any, both: Any, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\naxes.facecolor: red\nsavefig.dpi: 33\n")
    script = (
        "import sys, hashlib\nfrom registry import open_registry\nfrom registry.store.lineage import ancestors\n"
        "from rft.publish.card.pictures import pictures\nfrom rft.reports.paths import statistics\n"
        f"a = open_registry({str(built.store.home)!r}).load('rft-both@1')\n"
        "drawn = pictures(a.record, ancestors(a.store, a.record), statistics(a))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print(hashlib.sha256(b''.join(drawn[name] for name in sorted(drawn))).hexdigest())"
    )
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path), "PYTHONHASHSEED": "7"}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    drawn = pictures(both.record, both.ancestors, both.statistics)
    assert ran.stdout.strip() == hashlib.sha256(b"".join(drawn[name] for name in sorted(drawn))).hexdigest()


def boxes(record: Record, records: dict[str, Record]) -> Any:
    """Return the layout of a lineage with the boxes of each layer, in order: (from, to) along the layer."""
    _, inputs, layout = _laid_out(record, records)
    at = layout.at
    size = BOX if layout.down else layout.height
    rows: dict[int, list[tuple[float, float]]] = {}
    for (id, layer), middle in layout.middle.items():
        half = (size if at[id] == layer else LANE) / 2
        rows.setdefault(layer, []).append((middle - half, middle + half))
    return layout, inputs, at, {layer: sorted(row) for layer, row in rows.items()}


def test_the_papers_largest_lineage_fits_a_page(both: Any) -> None:
    union, records = like_the_paper()
    layout, inputs, at, rows = boxes(union, records)
    assert len(inputs) == 23
    assert layout.size[0] <= 1000
    # Like stands with like: bases, fine-tuned models, samples and rejection sets are a layer each.
    assert [len(row) for _, row in sorted(rows.items())] == [6, 5, 5, 5, 2, 1]
    # What another input was made from needs no arrow of its own.
    assert inputs["gsm8k-rft-llama0-13b@1"] == ["gsm8k-samples-llama0-13b@1"]
    middle = {id: layout.middle[id, at[id]] for id in inputs}
    for i in range(5):
        chain = [f"llama{i}-13b-sft@1", f"gsm8k-samples-llama{i}-13b@1", f"gsm8k-rft-llama{i}-13b@1"]
        assert max(middle[id] for id in chain) - min(middle[id] for id in chain) < 0.01
    many, more = like_the_paper(20)
    assert width(many, more) <= 1200


@st.composite
def lineages(draw: Any) -> tuple[Record, dict[str, Record]]:
    """Any lineage of up to 16 artifacts in which the last is made from all others, by way of others or not."""
    union, _ = like_the_paper(1)
    count = draw(st.integers(1, 16))
    records: dict[str, Record] = {}
    used: set[str] = set()
    for i in range(count):
        known = list(records)
        chosen = draw(st.lists(st.sampled_from(known), unique=True, max_size=4)) if known else []
        if i == count - 1:
            chosen = [*chosen, *(id for id in known if id not in used and id not in chosen)]
        used |= set(chosen)
        name = f"{draw(st.sampled_from(['a', 'some-longer-name-with-parts', 'x' * 60]))}{i}"
        inputs = [InputRecord(id=id, content="0" * 64) for id in chosen]
        records[f"{name}@1"] = union.model_copy(update={"name": name, "inputs": inputs})
    last = list(records)[-1]
    return records.pop(last), records


@given(lineages())
@settings(max_examples=40, deadline=None)
def test_in_any_lineage_no_boxes_overlap_and_every_arrow_goes_on(lineage: Any) -> None:
    layout, inputs, at, rows = boxes(*lineage)
    for row in rows.values():
        for (_, end), (start, _) in pairwise(row):
            assert start - end >= GAP - 0.01
        assert row[0][0] >= -0.01
        assert row[-1][1] <= layout.extent + 0.01
    for id, given_to in inputs.items():
        assert all(at[source] < at[id] for source in given_to)
    assert sorted(rows) == list(range(layout.layers))


def test_no_line_of_a_box_is_wider_than_the_box() -> None:
    union, _ = like_the_paper()
    for name in ("a", "gsm8k-test-greedy-llama2-13b-rft-u33b", "x" * 96, "a.b-c" * 19):
        record = union.model_copy(update={"name": name, "maker": "a_maker_of_a_very_long_name", "rows": 10**15})
        lines, about = _words(record)
        assert "".join(lines) == str(record.id)
        assert all(len(line) <= CHARACTERS for line in lines + about)


def test_strange_names_and_many_paths_are_drawn(both: Any) -> None:
    record = both.record.model_copy(update={"maker": "$x^2$ \u4e2d\u6587\n"})
    wide = replace(both.statistics, id="$a$@1", histogram=[{"paths": p, "questions": 9} for p in range(0, 400, 3)])
    assert pictures(record, both.ancestors, wide)["paths.png"]
    none = replace(both.statistics, histogram=[{"paths": 0, "questions": 1}])
    assert pictures(record, both.ancestors, none)["paths.png"]
