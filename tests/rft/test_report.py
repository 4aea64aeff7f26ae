"""The report of a store: what its pages show, where their links lead, and that nothing a model wrote is more than text."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.catalog import read as catalog
from registry.errors import Conflict
from registry.names import parse_id
from registry.query.api import Registry
from rft.reports.paths import statistics, tables
from rft.reports.site.graph import Node, pictures
from rft.reports.site.html import figure, is_number
from rft.reports.site.questions import MOST, MOST_PATHS, questions
from rft.reports.site.steps import side_by_side
from rft.reports.site.write import Written, write
from tests.report_store import IMAGE, LATEX, SCRIPT, no_licences, planted
from tests.rft.test_cli import rft, start_project
from tests.workspace import IDS, Workspace, json_lines

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Read(HTMLParser):
    """A page as a reader's program sees it: tags with their attributes, headings, text, the SQL below its tables."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.sql: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "pre" and "details" in self.open:
            self.sql.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "pre" in self.open and "details" in self.open:
            self.sql[-1] += data

    def all(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.tags if attribute in attributes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return planted(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def written(store: Workspace) -> Written:
    return write(store.registry, catalog.read(store.file), None, store.folder / "site", no_licences)


@pytest.fixture(scope="module")
def pages(written: Written) -> dict[str, Read]:
    return {file.name: Read(file) for file in sorted(Path(written.path).parent.glob("*.html"))}


def test_there_is_a_page_for_each_artifact_an_overview_and_the_laws(written: Written, pages: dict[str, Read]) -> None:
    ids = ("six@1", "one@1", "two@1", "rft-one@1", "rft-two@1", "rft-both@1", "rft-standard@1", "half@1", "scores@2")
    assert sorted(pages) == sorted(["index.html", "laws.html", *(f"{id}.html" for id in ids)])
    assert written.pages == len(pages)
    assert "not-built@1" in pages["index.html"].text
    assert "6 datasets" not in pages["index.html"].text
    assert "8 datasets, 1 eval; 2 lines of the catalog not built." in pages["index.html"].text


def test_every_link_leads_to_a_place_in_the_report(written: Written, pages: dict[str, Read]) -> None:
    folder = Path(written.path).parent
    ids = {name: set(shown.all("id")) for name, shown in pages.items()}
    for name, shown in pages.items():
        for address in shown.all("href"):
            file, _, place = unquote(address).partition("#")
            assert file in ("data:,", "") or (folder / file).is_file(), (name, address)
            assert not place or place in ids[file or name], (name, address)
    linked = {address for shown in pages.values() for address in shown.all("href")}
    assert set(pages) <= linked


def test_nothing_comes_from_elsewhere_and_nothing_runs(pages: dict[str, Read]) -> None:
    for name, shown in pages.items():
        assert {tag for tag, _ in shown.tags}.isdisjoint({"script", "iframe", "object", "embed", "form", "base", "style"}), name
        assert all(source.startswith("data:image/svg+xml;base64,") for source in shown.all("src")), name
        assert not any(attribute.startswith("on") for _, attributes in shown.tags for attribute in attributes), name
        policy = next(str(a["content"]) for tag, a in shown.tags if tag == "meta" and a.get("http-equiv"))
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy


def test_what_a_model_wrote_stays_text(store: Workspace, pages: dict[str, Read]) -> None:
    for name in ("six@1.html", "one@1.html", "rft-one@1.html", "rft-both@1.html"):
        assert SCRIPT in pages[name].text, name
        assert all("taken" not in str(a.get("src")) for _, a in pages[name].tags)
    for name in ("six@1.html", "rft-one@1.html", "rft-both@1.html"):
        assert "\\u202egnp.exe\\u202c" in pages[name].text, name
    assert LATEX in pages["rft-one@1.html"].text
    assert IMAGE in pages["one@1.html"].text
    for file in (store.folder / "site").iterdir():
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", file.read_text(encoding="utf-8"))


def test_pages_have_a_language_one_title_and_headings_in_order(pages: dict[str, Read]) -> None:
    for name, shown in pages.items():
        assert shown.tags[0] == ("html", {"lang": "en"}), name
        levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1, name
        assert levels[0] == 1, name
        assert all(after <= before + 1 for before, after in pairwise(levels)), name
        ids = shown.all("id")
        assert len(ids) == len(set(ids)), name


def test_every_picture_says_what_it_is(pages: dict[str, Read]) -> None:
    for name, shown in pages.items():
        for tag, attributes in shown.tags:
            if tag == "svg":
                assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true", name
            if tag == "img":
                assert attributes.get("alt"), name
            if attributes.get("role") == "region":
                assert attributes.get("aria-label"), name
                assert attributes.get("tabindex") == "0", name
    assert any(tag == "img" for tag, _ in pages["rft-both@1.html"].tags)
    drawn = figure(b'<svg width="48pt" height="30pt"><script/></svg>', "what <it> shows", 'A "line" that rises')
    assert 'alt="A &#34;line&#34; that rises" width="64" height="40"' in drawn
    assert "<figcaption>What &lt;it&gt; shows.</figcaption>" in drawn
    assert "<script" not in drawn


def test_every_query_below_a_table_runs(store: Workspace, pages: dict[str, Read]) -> None:
    for shown in pages.values():
        for query in shown.sql:
            assert store.registry.sql(query) is not None
    assert len(pages["rft-both@1.html"].sql) > 10
    assert pages["laws.html"].sql


@pytest.mark.parametrize("name", ["rft-one", "rft-both", "rft-standard", "scores"])
def test_the_query_below_a_statistic_gives_its_numbers(store: Workspace, name: str) -> None:
    counted = statistics(store.registry.load(f"{name}@{store.registry.resolve(name).version}"))
    first, histogram, *others = tables(counted)
    given = store.registry.sql(first.sql).to_dicts()  # of an eval it counts a human path too, and finds none
    assert [
        {column: row[column] for column in first_row} for row, first_row in zip(given, counted.at_k, strict=True)
    ] == counted.at_k
    assert store.registry.sql(histogram.sql).to_dicts() == counted.histogram
    assert store.registry.sql(others[0].sql).to_dicts() == counted.sources
    for shared in others[1:]:
        assert store.registry.sql(shared.sql).to_dicts() == counted.overlap


def test_the_paths_of_a_question_stand_side_by_side(store: Workspace) -> None:
    found = questions(store.registry.load("rft-both@1"))
    assert found is not None
    assert found.of == 6
    pencils = next(q for q in found.shown if q.id == IDS[1])
    assert pencils.paths[0].who == "human"
    assert len(pencils.paths) == pencils.count
    steps = {tuple(line[column].text for line in pencils.lines if line[column].text) for column in range(len(pencils.paths))}
    assert ("3*8=24", "12+24=36") in steps
    assert ("8+8=16", "16+8=24", "24+12=36") in steps
    pages_read = next(q for q in found.shown if q.id == IDS[4])
    assert (len(pages_read.paths), pages_read.more) == (MOST_PATHS, pages_read.count - MOST_PATHS)
    assert pages_read.count > MOST_PATHS
    rolls = next(q for q in found.shown if q.question and SCRIPT in q.question)
    assert rolls.wrong == [("33", 2), ("24", 1)]
    assert rolls.answer == "15"
    assert rolls.count == 3


def test_an_eval_shows_the_paths_that_were_drawn(store: Workspace) -> None:
    found = questions(store.registry.load("scores@2"))
    assert found is not None
    pencils = next(q for q in found.shown if q.id == IDS[1])
    assert pencils.count == 2
    assert [path.samples for path in pencils.paths] == [1, 1]
    assert pencils.question is not None


def test_sets_without_verdicts_show_their_rows_and_others_have_no_paths(store: Workspace) -> None:
    found = questions(store.registry.load("half@1"))
    assert found is not None
    assert all(question.wrong == [] and question.wrong_sql == "" for question in found.shown)
    assert questions(store.registry.load("six@1")) is None


def test_twenty_questions_are_spread_from_the_fewest_paths_to_the_most(workspace: Workspace) -> None:
    asked = [f"Question {n} of many, please?" for n in range(45)]
    workspace.write("many.jsonl", [{"question": q, "answer": "1+2=<<1+2=3>>3\n#### 3"} for q in asked])
    draws = [(q, f"{'0+' * i}1+2=<<{'0+' * i}1+2=3>>3\n#### 3") for n, q in enumerate(asked) for i in range(1, 1 + n // 15)]
    workspace.write("drawn.jsonl", json_lines({"question": q, "completion": c, "model": "m"} for q, c in draws))
    workspace.add(
        "many@1: {builder: questions_file, params: {path: many.jsonl, sha256: ?}}",
        "drawn@1: {builder: samples_file, inputs: [many@1], params: {path: drawn.jsonl, sha256: ?}}",
        "rft@1: {builder: rejection, inputs: [many@1, drawn@1], params: {mode: paper}}",
    )
    workspace.build("rft")
    found = questions(workspace.registry.load("rft@1"))
    assert found is not None
    counts = [question.count for question in found.shown]
    assert (found.of, len(counts)) == (45, MOST)
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 3)
    assert found == questions(workspace.registry.load("rft@1"))


# -- steps ----------------------------------------------------------------------------------------------------------------


def test_equal_steps_stand_on_one_line_and_others_are_marked() -> None:
    lines = side_by_side([["2*3=6", "6+1=7"], ["3*2=6", "6+1=7"], ["2*3+1=7"], ["1+1=2", "2*3=6", "6+1=7"]])
    assert [[cell.mark for cell in line] for line in lines] == [
        ["none", "none", "none", "differs"],
        ["", "otherwise", "none", ""],
        ["", "", "differs", ""],
    ]
    assert side_by_side([[], []]) == []


paths = st.lists(st.lists(st.sampled_from(["1+1=2", "2*3=6", "3*2=6", "6+1=7", "<b>", ""]), max_size=6), max_size=5)


@given(paths)
def test_no_step_is_lost_or_moved(found: list[list[str]]) -> None:
    lines = side_by_side(found)
    for column, path in enumerate(found):
        assert [line[column].text for line in lines if line[column].mark != "none"] == path
    assert all(any(cell.mark != "none" for cell in line) for line in lines)


def test_numbers_are_known_by_their_looks() -> None:
    assert all(map(is_number, [3, 2.5, "1,319", "12.5%", "-3.1", "4.2e+22", "41.8 kB"]))
    assert not any(map(is_number, [None, True, "gsm8k", "1 to 2", "", "1.5 x"]))


def test_each_part_of_the_graph_is_a_picture_and_a_ring_is_cut() -> None:
    def node(id: str, *inputs: str) -> Node:
        return Node(id, ("maker",), "other", inputs, f"{id}.html")

    nodes = [node("a@1"), node("b@1", "a@1", "gone@1"), node("c@1", "e@1"), node("d@1", "c@1"), node("e@1", "d@1"), node("f@1")]
    found = pictures({each.id: each for each in [*nodes, node("g@1", "g@1")]}, "Lineage")
    assert [{each.id for each in part} for part, _ in found] == [{"a@1", "b@1"}, {"c@1", "d@1", "e@1"}, {"f@1", "g@1"}]
    assert [svg.count('class="arrow"') for _, svg in found] == [1, 2, 0]
    assert 'href="a@1.html"' in found[0][1]


# -- which artifacts, and where they go -----------------------------------------------------------------------------------


def test_with_names_there_are_those_and_what_they_were_made_from(store: Workspace, tmp_path: Path) -> None:
    done = write(store.registry, catalog.read(store.file), [parse_id("rft-two@1")], tmp_path / "site", no_licences)
    files = {file.stem for file in (tmp_path / "site").glob("*@*.html")}
    assert files == {"rft-two@1", "six@1", "two@1"}
    assert done.pages == 5
    first = Read(tmp_path / "site" / "index.html").text
    assert "not-built@1" not in first
    assert "rft-one@1" not in first


def test_the_same_store_gives_the_same_bytes(store: Workspace, written: Written, tmp_path: Path) -> None:
    write(store.registry, catalog.read(store.file), None, tmp_path / "again", no_licences)
    first, second = (
        {file.name: file.read_bytes() for file in folder.iterdir()} for folder in (store.folder / "site", tmp_path / "again")
    )
    assert first == second


def test_a_report_is_replaced_whole_and_nothing_else_is(store: Workspace, tmp_path: Path) -> None:
    def again(folder: Path) -> Written:
        return write(store.registry, None, [parse_id("six@1")], folder, no_licences)

    folder = tmp_path / "deep" / "site"
    write(store.registry, None, [parse_id("two@1")], folder, no_licences)
    again(folder)
    assert sorted(file.name for file in folder.glob("*.html")) == ["index.html", "laws.html", "six@1.html"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(Conflict, match=r"files beside a report in it: notes.txt. Move them away"):
        again(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    other = tmp_path / "other"
    other.mkdir()
    again(other)
    for name in ("a", "b", "c", "d"):
        (tmp_path / "full").mkdir(exist_ok=True)
        (tmp_path / "full" / name).touch()
    with pytest.raises(Conflict, match=r"files that are no report in it: a, b, c and 1 more"):
        again(tmp_path / "full")
    with pytest.raises(Conflict, match="is a file"):
        again(tmp_path / "full" / "a")
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(Conflict, match="is a link"):
        again(tmp_path / "link")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["deep", "full", "link", "other"]


def test_what_is_damaged_or_gone_is_said_and_hides_nothing_else(tmp_path: Path) -> None:
    made = planted(tmp_path)
    (made.store.folder(parse_id("rft-two@1")) / "artifact.json").chmod(0o644)
    (made.store.folder(parse_id("rft-two@1")) / "artifact.json").write_text("{}")
    rows = made.store.folder(parse_id("one@1")) / "rows.parquet"
    rows.chmod(0o644)
    rows.write_bytes(rows.read_bytes()[:-1])
    made.store.remove(parse_id("half@1"))
    write(made.registry, catalog.read(made.file), None, tmp_path / "site", no_licences)
    first = Read(tmp_path / "site" / "index.html").text
    assert "rft-two@1" in first
    assert "rft rm rft-two@1" in first
    assert not (tmp_path / "site" / "rft-two@1.html").exists()
    assert "rows.parquet has" in Read(tmp_path / "site" / "one@1.html").text
    assert "its input rft-two@1" in Read(tmp_path / "site" / "rft-both@1.html").text
    assert "Questions and their paths" in Read(tmp_path / "site" / "rft-both@1.html").text


def test_the_command_prints_where_it_is_and_says_what_an_empty_store_needs(tmp_path: Path) -> None:
    start_project(tmp_path)
    out, _ = rft("report", "-o", "pages", cwd=tmp_path)
    assert Path(out.strip()) == tmp_path / "pages" / "index.html"
    assert "Nothing is built yet" in Read(tmp_path / "pages" / "index.html").text
    rft("build", "toys", "-q", cwd=tmp_path)
    out, _ = rft("report", "toys", "-o", "pages", "--json", cwd=tmp_path)
    assert json.loads(out) == {"path": str(tmp_path / "pages" / "index.html"), "pages": 3}
    toys = Read(tmp_path / "pages" / "toys@1.html").text
    assert "questions.jsonl" in toys
    assert "builder: questions_file" in toys
    _, said = rft("report", "toyz", "-o", "pages", cwd=tmp_path, code=1)
    assert "Did you mean toys?" in said
    assert (tmp_path / "pages" / "toys@1.html").exists()
    _, said = rft("report", "-o", ".", cwd=tmp_path, code=3)
    assert "name another folder with -o" in said


def test_a_registry_opened_elsewhere_is_enough(store: Workspace, tmp_path: Path) -> None:
    registry = Registry(store.store.home)
    assert write(registry, None, [parse_id("six@1")], tmp_path / "site", no_licences).pages == 3
