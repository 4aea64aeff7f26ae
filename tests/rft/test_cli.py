"""The command as a user types it: what it prints where, and with which exit code it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

RFT = Path(sys.executable).with_name("rft")
QUESTIONS = [
    {"question": "Ann has 3 boxes of 4 pens. How many pens?", "answer": "3*4=<<3*4=12>>12 pens\n#### 12"},
    {"question": "Bo had 10 plums and ate 4. How many are left?", "answer": "10-4=<<10-4=6>>6 plums\n#### 6"},
    {
        "question": "Cy walks 2 km on each of 5 days, then 3 km. How far?",
        "answer": "2*5=<<2*5=10>>10\n10+3=<<10+3=13>>13\n#### 13",
    },
]
SAMPLES = [
    (0, 0, "4*3=<<4*3=12>>12\n#### 12", "red"),
    (0, 1, "4+4+4=<<4+4+4=12>>12\n#### 12", "red"),
    (0, 2, "3+4=<<3+4=7>>7\n#### 7", "red"),
    (1, 0, "10-4=<<10-4=6>>6 left\n#### 6", "red"),
    (1, 1, "10-4=<<10-4=5>>6 left\n#### 6", "red"),
    (1, 2, "I do not know", "red"),
    (2, 0, "5*2=<<5*2=10>>10, 3+10=<<3+10=13>>13\n#### 13", "red"),
    (2, 1, "2*5+3=<<2*5+3=13>>13\n#### 13", "red"),
    (2, 2, "2*5+3=<<2*5+3=13>>13 km in all\n#### 13", "red"),
]


def rft(*words: Any, cwd: Any, code: Any = 0, **environment: Any) -> Any:
    """Run the command; return (stdout, stderr) and check its exit code."""
    ran = subprocess.run([RFT, *map(str, words)], cwd=cwd, text=True, capture_output=True, env=os.environ | environment)
    assert ran.returncode == code, f"rft {' '.join(map(str, words))} exited {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout, ran.stderr


def write_jsonl(file: Any, rows: Any) -> Any:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_data(folder: Any) -> Any:
    write_jsonl(folder / "questions.jsonl", QUESTIONS)
    samples = [
        {"question": QUESTIONS[q]["question"], "draw": d, "completion": text, "model": model} for q, d, text, model in SAMPLES
    ]
    write_jsonl(folder / "samples.jsonl", samples)


def start_project(folder: Any) -> Any:
    """Make a new project whose catalog has the toy questions (not yet built)."""
    write_data(folder)
    rft("init", cwd=folder)
    rft("import", "questions.jsonl", "--as", "toys", cwd=folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a catalog made by `rft import`, everything built."""
    folder = tmp_path_factory.mktemp("built")
    write_data(folder)
    (folder / "catalog.yaml").write_text("# mine\n")
    rft("import", "questions.jsonl", "--as", "toys", cwd=folder)
    rft(
        "import",
        "samples.jsonl",
        "--as",
        "toy-samples",
        "--questions",
        "toys",
        "--rejection",
        "toy-rft",
        "--eval",
        "toy-eval",
        cwd=folder,
    )
    rft("build", "toy-rft", "toy-eval", cwd=folder)
    return folder


def test_two_commands_lead_from_a_file_of_completions_to_a_rejection_set(tmp_path: Path) -> None:
    start_project(tmp_path)
    out, err = rft("import", "samples.jsonl", "--as", "s", "--questions", "toys", "--rejection", "r", cwd=tmp_path)
    assert "9 rows, 0 refused" in out
    assert "r@1: {builder: rejection, inputs: [toys@1, s@1]}" in err
    out, err = rft("build", "r", cwd=tmp_path)
    assert "r@1" in err
    assert out == ""
    out, _ = rft("sql", "select origin, count(*) as n from r group by all order by all", "--json", cwd=tmp_path)
    assert json.loads(out) == [{"origin": "human", "n": 3}, {"origin": "red", "n": 2}]


def test_import_writes_what_questions_are_for_and_under_which_licence_a_file_comes(tmp_path: Path) -> None:
    start_project(tmp_path)
    _, err = rft("import", "questions.jsonl", "--as", "exam", "--role", "test", "--licence", "cc-by-4.0", cwd=tmp_path)
    assert 'role: "test", licence: "cc-by-4.0"}' in err
    _, err = rft("import", "questions.jsonl", "--as", "other", "--role", "exam", cwd=tmp_path, code=1)
    assert "role is 'exam'" in err
    _, err = rft("import", "samples.jsonl", "--as", "s", "--questions", "toys", "--role", "test", cwd=tmp_path, code=2)
    assert "--role is about questions" in err


def test_a_second_build_builds_nothing_and_says_so(built: Any) -> None:
    _, err = rft("build", "toy-rft", "toy-eval", cwd=built)
    assert "0 built, 2 were there already" in err


def test_build_without_a_name_is_a_usage_error(built: Any) -> None:
    _, err = rft("build", cwd=built, code=2)
    assert "--all" in err


def test_an_unknown_command_is_a_usage_error(built: Any) -> None:
    rft("bild", cwd=built, code=2)


def test_an_unknown_name_offers_near_ones(built: Any) -> None:
    _, err = rft("build", "toy-rtf", cwd=built, code=1)
    assert "toy-rft" in err
    _, err = rft("show", "toy-evil", cwd=built, code=1)
    assert "toy-eval" in err


def test_a_dry_run_builds_nothing(tmp_path: Path) -> None:
    start_project(tmp_path)
    out, _ = rft("build", "toys", "--dry-run", cwd=tmp_path)
    assert out == "toys@1\n"
    out, _ = rft("ls", "--json", cwd=tmp_path)
    assert json.loads(out) == []


def test_plan_exits_6_when_a_line_was_edited_and_build_refuses_with_3(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("build", "toys", cwd=tmp_path)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(catalog.read_text().replace('"questions.jsonl", sha256', '"questions.jsonl", max_refused: 0.5, sha256'))
    out, _ = rft("plan", cwd=tmp_path, code=6)
    assert "edited" in out
    assert "max_refused is 0.5, it was built with 0.05" in out
    _, err = rft("build", "toys", cwd=tmp_path, code=3)
    assert "add toys@2" in err
    out, _ = rft("head", "toys", "--json", cwd=tmp_path)  # reading still works
    assert len(json.loads(out)) == 3


def test_plan_of_some_names_shows_those(built: Any) -> None:
    out, _ = rft("plan", "toy-*", "--json", cwd=built)
    assert {row["id"]: row["state"] for row in json.loads(out)} == {
        "toy-samples@1": "ok",
        "toy-rft@1": "ok",
        "toy-eval@1": "ok",
    }


def test_ls_lists_what_is_built(built: Any) -> None:
    out, _ = rft("ls", cwd=built)
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["toy-eval@1", "toy-rft@1", "toy-samples@1", "toys@1"]
    out, _ = rft("ls", "toy-*", "--json", cwd=built)
    assert [row["name"] for row in json.loads(out)] == ["toy-eval", "toy-rft", "toy-samples"]


def test_show_prints_the_recipe_with_every_parameter(built: Any) -> None:
    out, _ = rft("show", "toy-rft", cwd=built)
    assert "same_as_human" in out
    record = json.loads(rft("show", "toy-rft@1", "--json", cwd=built)[0])
    assert record["params"]["select"] == "farthest"
    assert record["drops"] == {"bad_equation": 1, "cut": 1, "same_as_human": 3, "same_path": 1, "wrong_answer": 1}
    assert str(built) not in json.dumps(record)


def test_lineage_is_a_tree_for_people_and_a_list_for_programs(built: Any) -> None:
    out, _ = rft("lineage", "toy-rft", cwd=built)
    assert out.splitlines()[0].startswith("toy-rft@1  rejection  5 rows")
    assert "└─ toy-samples@1" in out
    rows = json.loads(rft("lineage", "toy-rft", "--json", cwd=built)[0])
    assert [row["id"] for row in rows] == ["toy-rft@1", "toys@1", "toy-samples@1"]


def test_head_shows_rows(built: Any) -> None:
    out, _ = rft("head", "toy-rft", "-n", "1", cwd=built)
    assert "Ann has 3 boxes" in out
    assert len(json.loads(rft("head", "toy-rft", "-n", "2", "--json", cwd=built)[0])) == 2


def test_stats_counts_paths_with_and_without_the_human_one(built: Any) -> None:
    (found,) = json.loads(rft("stats", "toy-rft", "--json", cwd=built)[0])
    assert (found["questions"], found["solved"], found["kept"], found["human_rows"]) == (3, 3, 2, 3)
    at = {row["k"]: row for row in found["at_k"]}
    assert sorted(at) == [1, 3]
    # k=1: three right samples; one writes the human's equations, the other two the same calculations in another order.
    assert at[1]["paths"] == pytest.approx(3 / 3)
    assert at[1]["paths_with_human"] == pytest.approx(5 / 3)
    assert at[1]["paths_canonical_with_human"] == pytest.approx(3 / 3)
    assert at[3]["paths"] == pytest.approx(5 / 3)
    assert at[3]["right_answers"] == pytest.approx(7 / 3)
    assert at[3]["accepted"] == pytest.approx(6 / 3)
    out, _ = rft("stats", "toy-rft", cwd=built)
    assert out.startswith("toy-rft@1: 3 of 3 questions solved (100.0%); 5 rows: 3 human, 2 kept samples")


def test_stats_of_something_without_verdicts_says_what_has_them(built: Any) -> None:
    _, err = rft("stats", "toys", cwd=built, code=1)
    assert "rejection sets, unions and evals" in err


def test_scores_are_a_table_and_json(built: Any) -> None:
    rows = json.loads(rft("scores", "toy-eval", "--json", cwd=built)[0])
    values = {row["metric"]: row["value"] for row in rows}
    assert values["maj1@1"] == pytest.approx(1.0)
    assert values["pass@1"] == pytest.approx(7 / 9)
    assert values["maj1@3"] == pytest.approx(1.0)
    assert all(row["low"] <= row["value"] <= row["high"] and row["n"] == 3 for row in rows)
    out, _ = rft("scores", cwd=built)
    assert "toy-eval@1" in out


def test_sql_prints_tables_json_and_csv(built: Any) -> None:
    query = "select name, version from artifacts order by name limit 1"
    assert rft("sql", query, cwd=built)[0].splitlines() == ["name      version", "toy-eval        1"]
    assert json.loads(rft("sql", query, "--json", cwd=built)[0]) == [{"name": "toy-eval", "version": 1}]
    assert rft("sql", query, "--csv", cwd=built)[0] == "name,version\ntoy-eval,1\n"


def test_catalog_and_home_may_be_named_before_and_after_the_command(built: Any, tmp_path: Path) -> None:
    catalog, home = built / "catalog.yaml", built / ".rft"
    assert "toys@1" in rft("ls", "--catalog", catalog, cwd=tmp_path)[0]
    assert "toys@1" in rft("--catalog", catalog, "ls", cwd=tmp_path)[0]
    assert "toys@1" in rft("ls", "--home", home, cwd=tmp_path)[0]
    assert "toys@1" in rft("ls", cwd=tmp_path, RFT_HOME=str(home))[0]
    _, err = rft("ls", cwd=tmp_path, code=1)
    assert "rft init" in err


def test_diff_of_a_set_with_itself_is_identical(built: Any) -> None:
    assert "identical" in rft("diff", "toy-rft", "toy-rft@1", cwd=built)[0]
    _, err = rft("diff", "toys", "toy-rft", cwd=built, code=1)
    assert "cannot be compared" in err


def test_diff_counts_rows_paths_and_solved_questions(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("import", "samples.jsonl", "--as", "s", "--questions", "toys", "--rejection", "r", cwd=tmp_path)
    with (tmp_path / "catalog.yaml").open("a") as catalog:
        catalog.write("  one@1: {builder: rejection, inputs: [toys@1, s@1], params: {k: 1, same_as_human: keep}}\n")
        catalog.write("  three@1: {builder: rejection, inputs: [toys@1, s@1], params: {k: 3, same_as_human: keep}}\n")
    rft("build", "one", "three", cwd=tmp_path)
    found = json.loads(rft("diff", "one", "three", "--json", cwd=tmp_path)[0])
    assert (found["rows_removed"], found["rows_added"], found["identical"]) == (0, 2, False)
    assert (found["counts"]["paths_added"], found["counts"]["paths_removed"], found["counts"]["solved_gained"]) == (2, 0, 0)


def test_a_flipped_byte_is_corrupt_for_verify_plan_and_load(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("build", "toys", cwd=tmp_path)
    rft("verify", cwd=tmp_path)
    file = tmp_path / ".rft/artifacts/toys/1/rows.parquet"
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    out, _ = rft("verify", cwd=tmp_path, code=6)
    assert "rft rm toys@1" in out
    assert "corrupt" in rft("plan", "toys", cwd=tmp_path, code=6)[0]
    rft("head", "toys", cwd=tmp_path, code=6)
    rft("build", "toys", cwd=tmp_path, code=6)
    rft("rm", "toys@1", cwd=tmp_path)
    rft("build", "toys", cwd=tmp_path)
    rft("verify", cwd=tmp_path)


def test_rm_refuses_what_something_depends_on(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("import", "samples.jsonl", "--as", "s", "--questions", "toys", cwd=tmp_path)
    rft("build", "s", cwd=tmp_path)
    _, err = rft("rm", "toys@1", cwd=tmp_path, code=3)
    assert "s@1" in err
    rft("rm", "toys@1", "s@1", cwd=tmp_path)
    assert json.loads(rft("ls", "--json", cwd=tmp_path)[0]) == []


def test_gc_lists_first_and_removes_with_yes(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("build", "toys", cwd=tmp_path)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("\n".join(line for line in catalog.read_text().splitlines() if "toys" not in line))
    out, err = rft("gc", "--unlisted", cwd=tmp_path)
    assert "1 unlisted artifact," in out
    assert "nothing was removed" in err
    rft("gc", cwd=tmp_path)
    assert len(json.loads(rft("ls", "--json", cwd=tmp_path)[0])) == 1
    rft("gc", "--unlisted", "--yes", cwd=tmp_path)
    assert json.loads(rft("ls", "--json", cwd=tmp_path)[0]) == []


def test_reindex_makes_the_index_anew(built: Any) -> None:
    (built / ".rft/registry.duckdb").write_bytes(b"not a database")
    assert "toys@1" in rft("ls", cwd=built)[0]
    rft("reindex", cwd=built)
    assert "toys@1" in rft("ls", cwd=built)[0]


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text("mine")
    rft("init", cwd=tmp_path, code=1)
    assert (tmp_path / "catalog.yaml").read_text() == "mine"


def test_import_of_a_bad_file_writes_no_line(tmp_path: Path) -> None:
    rft("init", cwd=tmp_path)
    before = (tmp_path / "catalog.yaml").read_text()
    (tmp_path / "bad.jsonl").write_text("not json\n" * 10)
    _, err = rft("import", "bad.jsonl", "--as", "bad", cwd=tmp_path, code=1)
    assert "line 1: not_json" in err
    assert (tmp_path / "catalog.yaml").read_text() == before


def test_import_takes_the_next_free_version(built: Any, tmp_path: Path) -> None:
    start_project(tmp_path)
    _, err = rft("import", "questions.jsonl", "--as", "toys", cwd=tmp_path)
    assert "toys@2:" in err
    _, err = rft("import", "questions.jsonl", "--as", "toys@2", cwd=tmp_path, code=1)
    assert "taken" in err


def test_model_text_cannot_move_the_cursor(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "q.jsonl", [{"question": "2+2?\x1b[2J\u202e", "answer": "#### 4"}])
    rft("init", cwd=tmp_path)
    rft("import", "q.jsonl", "--as", "q", cwd=tmp_path)
    rft("build", "q", cwd=tmp_path)
    for out in (rft("head", "q", cwd=tmp_path)[0], rft("sql", "select * from q", cwd=tmp_path)[0]):
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "\\x1b[2J" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_build_leaves_nothing_half_made_and_goes_on_later(tmp_path: Path, number: Any, code: Any) -> None:
    questions = [
        {"question": f"What is {n} + 1?", "answer": f"{n}+1=<<{n}+1={n + 1}>>{n + 1}\n#### {n + 1}"} for n in range(400)
    ]
    write_jsonl(tmp_path / "q.jsonl", questions)
    rows = [
        {"question": f"What is {n} + 1?", "completion": f"try {d}: 1+{n}=<<1+{n}={n + 1}>>{n + 1}\n#### {n + 1}"}
        for n in range(400)
        for d in range(200)
    ]
    write_jsonl(tmp_path / "s.jsonl", rows)
    rft("init", cwd=tmp_path)
    rft("import", "q.jsonl", "--as", "q", cwd=tmp_path)
    rft("import", "s.jsonl", "--as", "s", "--questions", "q", "--rejection", "r", cwd=tmp_path)
    rft("build", "s", cwd=tmp_path)
    # One question at a time takes long enough to be stopped in the middle.
    process = subprocess.Popen(
        [RFT, "build", "r"],
        cwd=tmp_path,
        env=os.environ | {"RFT_CHUNK": "1", "RFT_WORKERS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    drafts = tmp_path / ".rft/tmp"
    deadline = time.monotonic() + 30
    while not any(drafts.glob("r@1.*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "goes on from there" in err
    assert not list(drafts.iterdir())
    assert "r@1" not in rft("ls", cwd=tmp_path)[0]
    rft("build", "r", cwd=tmp_path)
    assert rft("sql", "select count(*) as n from r", "--csv", cwd=tmp_path)[0] == "n\n400\n"


def test_a_closed_pipe_is_no_traceback(built: Any) -> None:
    ran = subprocess.run(
        f"{RFT} sql 'select * from range(200000)' --csv | head -n 1", shell=True, cwd=built, capture_output=True, text=True
    )
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to 'x.csv'",
        "explain analyze copy (select 1) to 'x.csv'",
        "attach 'x.duckdb'",
        "pragma version",
        "select 1; select 2",
        "create table t (a int)",
        "set threads = 1",
        "install httpfs",
        "",
    ],
)
def test_sql_runs_one_select_and_nothing_else(built: Any, query: Any) -> None:
    _, err = rft("sql", query, cwd=built, code=1)
    assert "exactly one SELECT" in err
    assert not (built / "x.csv").exists()


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/hosts'",
        "select * from glob('/etc/*')",
        "select * from read_csv('../*')",
    ],
)
def test_sql_reads_artifacts_and_no_other_file(built: Any, query: Any) -> None:
    _, err = rft("sql", query, cwd=built, code=1)
    assert "SQL:" in err


def test_globs_name_what_is_built(built: Any) -> None:
    assert [s["id"] for s in json.loads(rft("stats", "toy-[er]*", "--json", cwd=built)[0])] == ["toy-eval@1", "toy-rft@1"]
    assert rft("scores", "*-eval", cwd=built)[0] == rft("scores", "toy-eval", cwd=built)[0]
    assert "2 artifacts checked" in rft("verify", "toy-[er]*", cwd=built)[1]
    assert "nothing that is built is called like z*" in rft("stats", "z*", cwd=built, code=1)[1]
    assert "nothing that is built is called like z*" in rft("ls", "z*", cwd=built)[1]


def test_scores_of_something_that_is_no_eval_says_so(built: Any) -> None:
    assert "no eval" in rft("scores", "toy-rft", cwd=built, code=1)[1]


def test_drops_can_be_asked_for_where_nothing_was_dropped(built: Any) -> None:
    for name in ("toys", "toy-samples", "toy-rft"):
        rows = json.loads(rft("sql", f'select count(*) as n from "{name}@1/drops"', "--json", cwd=built)[0])
        assert rows == [{"n": 7 if name == "toy-rft" else 0}]


def test_numbers_are_numbers_in_json(built: Any) -> None:
    out, _ = rft("sql", "select 1.5 as a, sum(rows) as b, 2::decimal(9, 2) as c from artifacts", "--json", cwd=built)
    assert json.loads(out) == [{"a": 1.5, "b": 23, "c": 2}]


def test_an_unquoted_artifact_name_gets_a_hint(built: Any) -> None:
    assert "in double quotes" in rft("sql", "select * from toy-rft@1", cwd=built, code=1)[1]


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert rft("--version", cwd=tmp_path)[0].startswith("rft 0.")


def test_a_catalog_that_is_not_there_is_an_error_even_if_only_its_folder_is_needed(built: Any) -> None:
    assert "nofile.yaml does not exist" in rft("--catalog", "nofile.yaml", "ls", cwd=built, code=1)[1]
    assert "is a file" in rft("--home", "catalog.yaml", "ls", cwd=built, code=1)[1]


def test_settings_that_are_no_numbers_are_usage_errors(tmp_path: Path) -> None:
    start_project(tmp_path)
    _, err = rft("build", "toys", cwd=tmp_path, code=2, RFT_WORKERS="many")
    assert "RFT_WORKERS is 'many'" in err


def test_a_damaged_artifact_can_be_made_again_under_those_made_from_it(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("import", "samples.jsonl", "--as", "s", "--questions", "toys", cwd=tmp_path)
    rft("build", "s", cwd=tmp_path)
    (tmp_path / ".rft/artifacts/toys/1/rows.parquet").unlink()
    rft("rm", "toys@1", cwd=tmp_path)
    rft("build", "toys", cwd=tmp_path)
    out, _ = rft("plan", "toys", "s", cwd=tmp_path)
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["ok", "ok"]


def test_a_build_that_fails_says_what_was_done_before(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("import", "samples.jsonl", "--as", "s", "--questions", "toys", cwd=tmp_path)
    rft("rm", "toys@1", cwd=tmp_path)
    (tmp_path / "samples.jsonl").write_text("changed\n")
    _, err = rft("build", "s", cwd=tmp_path, code=1)
    assert "1 of 2 built; what follows was not tried" in err
    assert "s@1: samples.jsonl is not the file the line means" in err


@pytest.mark.parametrize("draws", [(0, 2, 4), (1, 2, 3), (10**6, 10**6 + 1, 10**6 + 2)])
def test_an_eval_of_draws_that_are_not_numbered_from_0_is_not_written(tmp_path: Path, draws: Any) -> None:
    write_data(tmp_path)
    rows = [{"question": QUESTIONS[q]["question"], "draw": draws[d], "completion": text} for q, d, text, _ in SAMPLES]
    write_jsonl(tmp_path / "odd.jsonl", rows)
    rft("init", cwd=tmp_path)
    rft("import", "questions.jsonl", "--as", "toys", cwd=tmp_path)
    before = (tmp_path / "catalog.yaml").read_text()
    _, err = rft("import", "odd.jsonl", "--as", "s", "--questions", "toys", "--eval", "e", cwd=tmp_path, code=1)
    assert "Number the draws of each question from 0" in err
    assert (tmp_path / "catalog.yaml").read_text() == before
    rft("import", "odd.jsonl", "--as", "s", "--questions", "toys", cwd=tmp_path)  # a set can be made of them
    _, err = rft("build", "s", cwd=tmp_path)
    assert ("note: draws begin at" in err) == (draws[0] > 0)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--as", "human"], "the name human is taken"),
        (["--as", "toy-eval"], "toy-eval is a"),
        (["--as", "s", "--rejection", "toy-eval"], "toy-eval is a"),
        (["--as", "s@dev", "--rejection", "r"], "is released and cannot use s@dev"),
    ],
)
def test_an_import_never_writes_a_line_that_the_catalog_would_refuse(tmp_path: Path, built: Any, words: Any, why: Any) -> None:
    write_data(tmp_path)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text((built / "catalog.yaml").read_text())
    before = catalog.read_text()
    _, err = rft("import", "samples.jsonl", "--questions", "toys", *words, cwd=tmp_path, code=1)
    assert why in err
    assert catalog.read_text() == before
    rft("plan", cwd=tmp_path)


def test_small_shares_are_written_as_numbers(tmp_path: Path) -> None:
    write_data(tmp_path)
    rft("init", cwd=tmp_path)
    rft("import", "questions.jsonl", "--as", "toys", "--max-refused", "0.00001", cwd=tmp_path)
    assert "max_refused: 0.00001" in (tmp_path / "catalog.yaml").read_text()
    rft("build", "toys", cwd=tmp_path)


def test_text_from_files_cannot_move_the_cursor_in_notes(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "q.jsonl", [{"question": "2+2?", "answer": "#### 4", "\x1b[31mRED": 1}])
    rft("init", cwd=tmp_path)
    printed = (
        rft("import", "q.jsonl", "--as", "q", cwd=tmp_path) + rft("build", "q", cwd=tmp_path) + rft("show", "q", cwd=tmp_path)
    )
    assert not any("\x1b" in text for text in printed)
    assert any("\\x1b[31mRED" in text for text in printed)


def test_a_home_whose_path_is_a_pattern_is_refused(built: Any) -> None:
    assert "its path has * in it" in rft("ls", "--home", "a*b", cwd=built, code=1)[1]


def test_head_by_verdict_refuses_texts_that_were_not_graded(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("import", "samples.jsonl", "--as", "s@dev", "--questions", "toys", cwd=tmp_path)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(catalog.read_text() + "  r@dev: {builder: rejection, inputs: [toys@1, s@dev]}\n")
    rft("build", "r", cwd=tmp_path)
    rft("head", "r", "--verdict", "kept", cwd=tmp_path)
    lines = (tmp_path / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "samples.jsonl").write_text("".join(reversed(lines)).replace("12", "13"))
    import hashlib

    old, new = (
        hashlib.sha256(data).hexdigest() for data in ("".join(lines).encode(), (tmp_path / "samples.jsonl").read_bytes())
    )
    catalog.write_text(catalog.read_text().replace(old, new))
    rft("build", "s@dev", cwd=tmp_path)
    assert "s@dev is changed" in rft("head", "r", "--verdict", "kept", cwd=tmp_path, code=6)[1]


def test_ctrl_c_while_workers_start_prints_no_traceback(tmp_path: Path) -> None:
    # A chunk for each of 1,500 questions: far more work than can be over when the signal comes.
    numbers = range(1500)
    write_jsonl(tmp_path / "q.jsonl", [{"question": f"What is {n} + 1?", "answer": f"#### {n + 1}"} for n in numbers])
    write_jsonl(tmp_path / "s.jsonl", [{"question": f"What is {n} + 1?", "completion": f"#### {n + 1}"} for n in numbers])
    rft("init", cwd=tmp_path)
    rft("import", "q.jsonl", "--as", "q", cwd=tmp_path)
    rft("import", "s.jsonl", "--as", "s", "--questions", "q", "--rejection", "r", cwd=tmp_path)
    rft("build", "s", cwd=tmp_path)
    for wait in (0.0, 0.1, 0.3, 0.6):
        process = subprocess.Popen(
            [RFT, "build", "r"],
            cwd=tmp_path,
            env=os.environ | {"RFT_CHUNK": "1", "RFT_WORKERS": "2"},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while not any((tmp_path / ".rft/tmp").glob("r@1.*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the command and its workers
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert "Fatal" not in err


def test_a_store_that_cannot_be_made_is_named(built: Any) -> None:
    _, err = rft("build", "toy-rft", "--home", "/proc/nowhere/rft", cwd=built, code=1)
    assert "/proc/nowhere/rft cannot be written" in err
    assert "Traceback" not in err


def test_head_shows_samples_by_their_verdict(built: Any) -> None:
    (row,) = json.loads(rft("head", "toy-rft", "--verdict", "bad_equation", "--json", cwd=built)[0])
    assert row["response"] == "10-4=<<10-4=5>>6 left\n#### 6"
    assert (row["source"], row["model"], row["draw"]) == ("toy-samples@1", "red", 1)
    assert len(json.loads(rft("head", "toy-rft", "--verdict", "same_as_human", "-n", "9", "--json", cwd=built)[0])) == 3
    assert "4+4+4" in rft("head", "toy-rft", "--verdict", "kept", cwd=built)[0]
    assert "wrong_answer" in rft("head", "toy-rft", "--verdict", "odd", cwd=built, code=1)[1]
    assert "graded no samples" in rft("head", "toys", "--verdict", "kept", cwd=built, code=1)[1]


def test_a_pool_in_which_nothing_is_read_is_a_loud_warning(tmp_path: Path) -> None:
    start_project(tmp_path)
    rows = [{"question": "q1", "completion": f"I would say {n}!"} for n in range(12)]
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "q1", "answer": "5"}) + "\n")
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rft("import", "q.jsonl", "--as", "q", cwd=tmp_path)
    rft("import", "odd.jsonl", "--as", "odd", "--questions", "q", "--rejection", "odd-rft", cwd=tmp_path)
    _, err = rft("build", "odd-rft", cwd=tmp_path)
    assert "warning: all 12 samples are no_answer. They end like this:\n  ...I would say 0!" in err
    assert "`answer_pattern`" in err
    file = tmp_path / "catalog.yaml"
    line = "odd-rft@2: {builder: rejection, inputs: [q@1, odd@1], params: {answer_pattern: 'say ([0-9]+)', no_path: keep}}"
    file.write_text(file.read_text().rstrip() + f"\n  {line}\n")
    _, err = rft("build", "odd-rft@2", cwd=tmp_path)
    assert "warning" not in err
    assert "11 wrong_answer" in err
    file.write_text(file.read_text().replace("odd-rft@2", "odd-rft@3").replace("'say ([0-9]+)'", "'say [0-9]+'"))
    _, err = rft("build", "odd-rft@3", cwd=tmp_path, code=1)
    assert "answer_pattern" in err
    assert "it must have one group" in err


def test_an_eval_of_draws_that_were_never_made_is_an_error(tmp_path: Path) -> None:
    start_project(tmp_path)
    rft("import", "samples.jsonl", "--as", "s", "--questions", "toys", "--eval", "e", cwd=tmp_path)
    file = tmp_path / "catalog.yaml"
    file.write_text(
        file.read_text().replace("{k: 3}", "{k: 1000}").replace("{k: 2}", "{k: 1000}").replace("{k: 1}", "{k: 1000}")
    )
    _, err = rft("build", "e", cwd=tmp_path, code=1)
    assert "k is 1000, but no question has more than" in err
