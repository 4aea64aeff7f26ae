"""Samples: every draw is made once, kept at once, and the same whoever was killed on the way."""

import errno
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from builders.samples import build, preview
from inference.draws import DrawKey, DrawStore, stores
from inference.engines import Completion, Request, Sampling
from inference.engines.choice import open_engine
from inference.prompts import FEW_SHOT_STOP, TEMPLATES, load_tokenizer
from registry.catalog.bind import location_hash
from registry.errors import InputError, OutOfResources, RemoteError, UsageError
from registry.maker import Model, Options, Run, Tables
from registry.rows import SAMPLES, question_id
from tests.tiny_models import tiny_model
from tests.workspace import IDS, SIX, Workspace

QUESTIONS = pl.DataFrame(
    {
        "question_id": IDS,
        "question": [row["question"] for row in SIX],
        "response": [row["answer"] for row in SIX],
        "answer": [row["answer"].partition("#### ")[2] for row in SIX],
        "source_row": range(len(SIX)),
    }
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tiny_model(tmp_path_factory.mktemp("model"), context=256)
    TEMPLATES["plain"].save(folder)
    return Model("tiny@1", "c0ffee" * 10, folder)


class Parrot:
    """An engine whose draw is told from the request alone, and that does as it is told by `acts`, a list at a time."""

    name = version = "parrot 1"

    def __init__(self, acts: Sequence[Any] = (), at_once: int = 4) -> None:
        self.acts = list(acts)  # for each list: None, an exception to raise, or a function that changes it
        self.at_once = at_once
        self.asked: list[Request] = []
        self.sampling: Sampling | None = None
        self.opened = self.closed = 0

    def open(self, model: Model, options: Options, tokenizer: Any) -> "Parrot":
        self.opened += 1
        return self

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        self.asked += requests
        self.sampling = sampling
        for start in range(0, len(requests), self.at_once):
            act = self.acts.pop(0) if self.acts else None
            if isinstance(act, BaseException):
                raise act
            answers = [answer(request) for request in requests[start : start + self.at_once]]
            yield act(answers) if act else answers

    def close(self) -> None:
        self.closed += 1


def answer(request: Request) -> Completion:
    tokens = (request.seed % 300, len(request.prompt), 1)
    return Completion(request.place, tokens, f"seed {request.seed}\n#### 72", "stop" if request.seed % 2 else "length")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "folder", tmp_path / "work", tmp_path / "home")


@pytest.fixture
def sample(model: Model, run: Run) -> Callable[..., Tables]:
    """Build samples with a parrot (a new one if none is given); return the tables."""

    def built(parrot: Parrot | None = None, questions: pl.DataFrame = QUESTIONS, *others: Any, **params: Any) -> Tables:
        parrot = parrot or Parrot()
        made = build(questions, model, *others, run=run, _open=parrot.open, **{"k": 2} | params)
        assert isinstance(made, Tables)
        assert parrot.opened == parrot.closed
        return made

    return built


def test_every_question_has_k_draws_each_with_a_seed_of_its_own(sample: Callable[..., Tables], run: Run) -> None:
    parrot = Parrot()
    made = sample(parrot, k=3, seed=7)
    rows = made.rows.drop("drop")
    assert SAMPLES.fit(rows, "test").equals(rows.select(SAMPLES.wide(rows.columns)))
    assert rows.select("question_id", "draw").rows() == [(id, draw) for id in sorted(IDS) for draw in range(3)]
    assert rows["seed"].n_unique() == 18
    assert rows["seed"].min() >= 0  # type: ignore[operator]
    assert all(response == f"seed {seed}\n#### 72" for seed, response in rows.select("seed", "response").iter_rows())
    assert set(rows["model"]) == {"tiny@1"}
    assert set(rows["engine"]) == {"parrot 1"}
    assert set(rows["tokens"]) == {3}
    facts = dict(made.facts)
    assert facts.pop("seconds") >= 0
    assert facts == {
        "engines": ["parrot 1"],
        "cut_at_max_tokens": (rows["finish_reason"] == "length").mean(),
        "draws_made": 18,
        "draws_reused": 0,
        "draw_store": stores(run.home)[0].key,
        "prompt_tokens": 3 * sum(len(request.prompt) for request in parrot.asked[:6]),
        "tokens": 18 * 3,
        "tokens_made": 18 * 3,
    }


def test_a_seed_is_the_first_63_bits_of_a_hash_that_anyone_can_take(sample: Callable[..., Tables], model: Model) -> None:
    rows = sample(seed=7).rows
    [ids] = TEMPLATES["plain"].encode(load_tokenizer(model.folder, "tiny@1"), [SIX[2]["question"]])
    prompt = hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest()[:16]
    seed = int(hashlib.sha256(f"7:{prompt}:1".encode()).hexdigest()[:16], 16) >> 1
    assert rows.filter((pl.col("question_id") == IDS[2]) & (pl.col("draw") == 1))["seed"].item() == seed


def test_requests_come_in_order_of_draw_and_question(sample: Callable[..., Tables]) -> None:
    parrot = Parrot()
    sample(parrot, k=2)
    assert [request.place for request in parrot.asked] == list(range(12))
    assert parrot.asked[1].prompt == parrot.asked[7].prompt != parrot.asked[2].prompt
    assert parrot.sampling == Sampling(0.7, 1.0, 256)


def test_more_draws_ask_only_for_the_new_ones(sample: Callable[..., Tables]) -> None:
    two = sample(k=2).rows
    parrot = Parrot()
    made = sample(parrot, k=4)
    assert [request.place for request in parrot.asked] == list(range(12, 24))
    assert made.rows.filter(pl.col("draw") < 2).equals(two)
    assert (made.facts["draws_made"], made.facts["draws_reused"]) == (12, 12)
    assert (made.facts["tokens"], made.facts["tokens_made"]) == (24 * 3, 12 * 3)


def test_tokens_that_an_engine_does_not_tell_are_not_counted(sample: Callable[..., Tables]) -> None:
    made = sample(Parrot([lambda answers: [one._replace(tokens=()) for one in answers]]))
    assert (made.facts["tokens"], made.facts["tokens_made"]) == (None, None)


def test_other_questions_reuse_what_is_there(sample: Callable[..., Tables]) -> None:
    some = sample(questions=QUESTIONS[[4, 1]]).rows
    parrot = Parrot()
    rows = sample(parrot).rows
    assert len(parrot.asked) == 8
    assert rows.join(some, on=["question_id", "draw"], how="semi").equals(some)
    none = Parrot()
    assert sample(none, QUESTIONS[[1]], k=1).rows.equals(some.filter(question_id=IDS[1], draw=0))
    assert none.opened == 0


@pytest.mark.parametrize("change", [{"temperature": 1.0}, {"top_p": 0.9}, {"max_tokens": 9}, {"seed": 1}, {"prompt": "alpaca"}])
def test_other_parameters_are_other_draws(sample: Callable[..., Tables], change: dict[str, Any]) -> None:
    sample(k=1)
    parrot = Parrot()
    sample(parrot, **{"k": 1, "max_tokens": 256} | change)
    assert len(parrot.asked) == 6


def test_another_model_of_the_same_content_has_the_same_draws(sample: Callable[..., Tables], model: Model, run: Run) -> None:
    sample()
    again = Model("renamed@2", model.content, model.folder)
    parrot = Parrot()
    made = build(QUESTIONS, again, k=2, run=run, _open=parrot.open)
    assert parrot.opened == 0
    assert set(made.rows["model"]) == {"renamed@2"}


def test_two_questions_with_one_prompt_share_its_draws(sample: Callable[..., Tables]) -> None:
    twin = QUESTIONS[[0]].with_columns(question_id=pl.lit("twin"))
    parrot = Parrot()
    rows = sample(parrot, pl.concat([QUESTIONS[[0, 1]], twin])).rows
    assert len(parrot.asked) == 4
    first, second = (rows.filter(question_id=id).drop("question_id") for id in (IDS[0], "twin"))
    assert first.equals(second)


def test_an_engine_that_does_not_tell_tokens_leaves_them_unknown(sample: Callable[..., Tables], run: Run) -> None:
    parrot = Parrot([lambda answers: [a._replace(tokens=()) for a in answers]] * 3)
    assert sample(parrot).rows["tokens"].null_count() == 12


# -- what cannot be ----------------------------------------------------------------------------------------------------


def asked(words: int) -> dict[str, Any]:
    text = "How many? " * words
    return {"question_id": question_id(text), "question": text, "response": None, "answer": "1", "source_row": 0}


def test_a_prompt_that_does_not_fit_is_refused_and_counted(sample: Callable[..., Tables]) -> None:
    questions = pl.concat([QUESTIONS, pl.DataFrame([asked(100)], schema=QUESTIONS.schema)])
    rows = sample(questions=questions, k=3).rows
    [refused] = rows.filter(pl.col("drop").is_not_null()).to_dicts()
    assert (refused["question_id"], refused["drop"], refused["model"]) == (
        asked(100)["question_id"],
        "prompt_too_long",
        "tiny@1",
    )
    assert "the model has room for 256" in refused["detail"]
    assert rows.height == 18 + 1


def test_a_prompt_fits_if_one_token_can_follow(sample: Callable[..., Tables], model: Model) -> None:
    tokenizer = load_tokenizer(model.folder, model.id)
    lengths = {n: len(TEMPLATES["plain"].encode(tokenizer, ["?" * n])[0]) for n in range(1, 400)}
    longest = max(n for n, length in lengths.items() if length < 256)
    assert {lengths[longest], lengths[longest + 1]} == {255, 256}
    questions = pl.DataFrame(
        [asked(1) | {"question_id": str(n), "question": "?" * n} for n in (longest, longest + 1)], schema=QUESTIONS.schema
    )
    rows = sample(questions=questions, k=1).rows
    assert dict(rows.select("question_id", "drop").iter_rows()) == {
        str(longest): None,
        str(longest + 1): "prompt_too_long",
    }


def test_no_question_that_fits_is_an_error(sample: Callable[..., Tables]) -> None:
    with pytest.raises(InputError, match=r"no question fits: the shortest prompt has .* room for 256"):
        sample(questions=pl.DataFrame([asked(100), asked(101)], schema=QUESTIONS.schema))
    with pytest.raises(InputError, match="there are no questions"):
        sample(questions=QUESTIONS.clear())


@pytest.mark.parametrize(
    ("params", "exemplars", "message"),
    [
        ({"temperature": 0.0, "k": 2}, None, "all draws of a question are equal"),
        ({"shots": 2}, None, "shots and exemplars go together"),
        ({}, QUESTIONS, "shots and exemplars go together"),
        ({"shots": 2, "prompt": "plain"}, QUESTIONS, "two prompts"),
        ({"shots": 4}, QUESTIONS, "only 3 of 6 exemplars have a solution and are not asked"),
        ({"prompt": "plane"}, None, "Did you mean plain"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(
    sample: Callable[..., Tables], params: dict[str, Any], exemplars: Any, message: str
) -> None:
    parrot = Parrot()
    with pytest.raises(InputError, match=message):
        sample(parrot, QUESTIONS[:3], exemplars, **params)
    assert parrot.opened == 0


def test_greedy_asks_for_one_draw(sample: Callable[..., Tables]) -> None:
    parrot = Parrot()
    assert sample(parrot, k=1, temperature=0.0).rows.height == 6
    assert parrot.sampling == Sampling(0.0, 1.0, 256)


# -- exemplars ---------------------------------------------------------------------------------------------------------


def test_exemplars_are_the_same_for_all_questions_and_never_asked_themselves(model: Model, run: Run) -> None:
    large = Model("large@1", model.content, model.folder)
    shown = {}
    for seed in range(8):
        shown[seed] = preview(QUESTIONS[:2], large, QUESTIONS, **plain(shots=1, prompt=None, seed=seed), run=run)
        assert not any(f"Question: {SIX[n]['question']}\nAnswer: He" in shown[seed] for n in (0, 1))
        assert shown[seed].count("Question: ") == 2
    assert len(set(shown.values())) > 1
    assert shown[3] == preview(QUESTIONS[:2], large, QUESTIONS[::-1], **plain(shots=1, prompt=None, seed=3), run=run)


def test_a_completion_after_exemplars_ends_where_the_model_asks_itself(sample: Callable[..., Tables]) -> None:
    parrot = Parrot()
    short = [("1+1?", "1+1=2\n#### 2"), ("2+2?", "2+2=4\n#### 4"), ("3+3?", None)]
    exemplars = pl.DataFrame(
        [asked(1) | {"question_id": question_id(q), "question": q, "response": r} for q, r in short], schema=QUESTIONS.schema
    )
    sample(parrot, QUESTIONS[:2], exemplars, shots=2, k=1)
    assert parrot.sampling == Sampling(0.7, 1.0, 256, (FEW_SHOT_STOP,))
    begins = [request.prompt[:20] for request in parrot.asked]
    assert begins[0] == begins[1]


def plain(**changes: Any) -> dict[str, Any]:
    """Every parameter of a line, as the plan binds it."""
    bound = {"k": 2, "temperature": 0.7, "top_p": 1.0, "max_tokens": 256, "seed": 0, "shots": 0, "prompt": None}
    return bound | changes


def test_the_preview_shows_the_first_prompt_and_what_is_to_come(sample: Callable[..., Tables], model: Model, run: Run) -> None:
    questions = QUESTIONS.with_columns(question="\x1b[1m" + pl.col("question"))
    shown = preview(questions, model, run=run, **plain())
    assert f"\\x1b[1m{SIX[0]['question']}\n" in shown
    assert "0 are there, 12 to come (at most 3,072 new tokens" in shown
    assert stores(run.home) == []
    sample(questions=questions, k=1)
    assert "6 are there, 6 to come" in preview(questions, model, run=run, **plain())


# -- engines that fail -------------------------------------------------------------------------------------------------


def died() -> RemoteError:
    return RemoteError("the engine died.")


def test_an_engine_that_dies_midway_is_opened_again_for_the_rest(
    sample: Callable[..., Tables], caplog: pytest.LogCaptureFixture, tmp_path: Path, model: Model
) -> None:
    parrot = Parrot([None, died(), None, None, died(), died(), died()])
    disturbed = sample(parrot, k=4)
    assert parrot.opened == 5
    assert [request.place for request in parrot.asked] == [
        *range(24),
        *range(4, 24),
        *range(12, 24),
        *range(12, 24),
        *range(12, 24),
    ]
    other = Run(tmp_path, tmp_path, tmp_path / "other")
    assert build(QUESTIONS, model, k=4, run=other, _open=Parrot().open).rows.equals(disturbed.rows)
    assert disturbed.facts["draws_made"] == 24
    assert caplog.text.count("opened again") == 4


def test_an_engine_that_fails_again_and_again_is_given_up_and_what_it_drew_stays(sample: Callable[..., Tables]) -> None:
    parrot = Parrot([None, *(died() for _ in range(4))])
    with pytest.raises(RemoteError, match="the engine died"):
        sample(parrot)
    assert parrot.opened == parrot.closed == 4
    again = Parrot()
    sample(again)
    assert [request.place for request in again.asked] == list(range(4, 12))


def test_an_engine_that_cannot_be_opened_is_tried_a_few_times(sample: Callable[..., Tables]) -> None:
    tries = []

    class Unreachable(Parrot):
        def open(self, *given: Any) -> Parrot:
            tries.append(given)
            raise died()

    with pytest.raises(RemoteError):
        sample(Unreachable())
    assert len(tries) == 4


@pytest.mark.parametrize(
    ("garble", "message"),
    [
        (lambda answers: [*answers, answers[0]], "one twice"),
        (lambda answers: [*answers, answers[0]._replace(place=99)], "not asked for"),
        (lambda answers: [answers[0]._replace(finish_reason="abort"), *answers[1:]], "for the reason 'abort'"),
        (lambda answers: [answers[0]._replace(text=None), *answers[1:]], "is no text"),
        (lambda answers: [answers[0]._replace(text="\ud800"), *answers[1:]], "is no text"),
        (lambda answers: answers[:-1], "ended with 1 of 1 draws not made"),
    ],
)
def test_what_was_not_asked_for_is_not_kept(sample: Callable[..., Tables], run: Run, garble: Any, message: str) -> None:
    parrot = Parrot([None, *[garble] * 20])
    with pytest.raises(RemoteError, match=message):
        sample(parrot)
    [kept] = stores(run.home)
    assert kept.draws in (4, 11)


def test_an_error_that_is_no_engines_failure_goes_out_at_once(sample: Callable[..., Tables]) -> None:
    parrot = Parrot([None, InputError("a prompt the engine cannot take")])
    with pytest.raises(InputError):
        sample(parrot)
    assert parrot.opened == parrot.closed == 1


def test_an_interrupted_build_keeps_what_was_drawn_and_closes_the_engine(sample: Callable[..., Tables]) -> None:
    class Stopped(BaseException):
        pass

    parrot = Parrot([None, Stopped()])
    with pytest.raises(Stopped):
        sample(parrot)
    assert parrot.opened == parrot.closed == 1
    again = Parrot()
    sample(again)
    assert [request.place for request in again.asked] == list(range(4, 12))


def test_a_full_disk_ends_the_build_and_keeps_what_was_drawn(
    sample: Callable[..., Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    written = []

    def nearly_full(handle: int, data: bytes) -> int:
        written.append(len(data))
        if len(written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[: len(data) if len(written) == 1 else 100])

    monkeypatch.setattr(os, "write", nearly_full)
    parrot = Parrot()
    with pytest.raises(OutOfResources, match="disk is full"):
        sample(parrot)
    assert parrot.opened == parrot.closed == 1
    monkeypatch.undo()
    again = Parrot()
    sample(again)
    assert [request.place for request in again.asked] == list(range(4, 12))


def test_draws_that_another_process_makes_meanwhile_are_taken_from_it(sample: Callable[..., Tables], run: Run) -> None:
    key = DrawKey("tiny@1", "c0ffee" * 10, 0.7, 1.0, 256, (), 0)

    def meanwhile(answers: list[Completion]) -> list[Completion]:
        sample(Parrot(), k=4)
        return answers

    made = sample(Parrot([meanwhile]), k=2)
    assert made.rows.select("question_id", "draw").rows() == [(id, draw) for id in sorted(IDS) for draw in range(2)]
    assert DrawStore(run.home, key).read().height == 24


def test_progress_says_how_fast_how_right_and_how_long(model: Model, tmp_path: Path) -> None:
    said: list[tuple[int, int, str, str]] = []
    run = Run(tmp_path, tmp_path, tmp_path, progress=lambda *words: said.append(words))
    build(QUESTIONS, model, k=2, run=run, _open=Parrot().open)
    assert said[0] == (0, 12, "draws", "")
    done, of, unit, words = said[-1]
    assert (done, of, unit) == (12, 12, "draws")
    share = (QUESTIONS["answer"] == "72").mean()
    assert f"{share:.1%} right, 0:00:00 left" in words  # type: ignore[str-bytes-safe]
    assert "draws/s" in words


# -- which engine ------------------------------------------------------------------------------------------------------


def test_an_engine_that_does_not_exist_is_a_usage_error(model: Model) -> None:
    with pytest.raises(UsageError, match="Did you mean transformers"):
        open_engine(model, Options(engine="transformer"), None)
    with pytest.raises(UsageError, match="--base-url"):
        open_engine(model, Options(engine="openai"), None)


# -- with a real model: killed, interrupted, two at once ------------------------------------------------------------------

REAL: dict[str, Any] = {"k": 32, "temperature": 1.0, "max_tokens": 16, "seed": 3}  # 192 draws, in 48 lists of 4


class Noting:
    """A real engine, and a note of every draw that was acknowledged: who asks for more has kept what it was given."""

    def __init__(self, model: Model, options: Options, tokenizer: Any, notes: Path) -> None:
        self._engine = open_engine(model, options, tokenizer)
        self.name, self.version, self.close = self._engine.name, self._engine.version, self._engine.close
        self._notes = notes

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        for completions in self._engine.complete(requests, sampling):
            yield completions
            with self._notes.open("ab") as notes:
                notes.write(b"".join(struct.pack("<I", completion.place) for completion in completions))


def sample_for_real(home: Path, model: Model) -> None:
    """Build samples in a process that may be killed; write them where the test finds them."""
    import torch

    torch.set_num_threads(1)
    options = Options(engine="transformers", batch=4)
    notes = home / f"{os.getpid()}.notes"
    made = build(QUESTIONS, model, run=Run(home, home, home, options), _open=lambda *given: Noting(*given, notes=notes), **REAL)  # type: ignore[misc]
    scratch = home / f"{os.getpid()}.scratch"
    made.rows.write_parquet(scratch)
    scratch.rename(home / f"{os.getpid()}.parquet")


@pytest.fixture(scope="module")
def undisturbed(model: Model, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    home = tmp_path_factory.mktemp("undisturbed")
    sample_for_real(home, model)
    return results(home)[0]


def results(home: Path) -> list[pl.DataFrame]:
    return [pl.read_parquet(file) for file in sorted(home.glob("*.parquet"))]


def acknowledged(home: Path) -> list[int]:
    return [place for notes in sorted(home.glob("*.notes")) for (place,) in struct.iter_unpack("<I", notes.read_bytes())]


@pytest.fixture(scope="module")
def start() -> Callable[[Path, Model], Any]:
    """Start a process that samples. torch is imported once, in the server they are forked from; polars in each."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["transformers.models.llama.modeling_llama", "transformers.generation.utils"])

    def started(home: Path, model: Model) -> Any:
        home.mkdir(exist_ok=True)
        process = processes.Process(target=sample_for_real, args=(home, model))
        process.start()
        return process

    return started


def stored(home: Path) -> int:
    return sum(file.stat().st_size for file in home.glob("draws/*/*.seg"))


def test_draws_of_a_real_model_depend_on_nothing_but_their_seed(
    undisturbed: pl.DataFrame, model: Model, tmp_path: Path
) -> None:
    run = Run(tmp_path, tmp_path, tmp_path, Options(engine="transformers", batch=192))
    rows = build(QUESTIONS[::-1], model, run=run, **REAL).rows
    assert rows.equals(undisturbed)
    assert rows["response"].n_unique() > 96


def test_sampling_that_is_killed_again_and_again_loses_nothing_and_draws_nothing_twice(
    start: Callable[[Path, Model], Any], undisturbed: pl.DataFrame, model: Model, tmp_path: Path
) -> None:
    home = tmp_path / "killed"
    chance = random.Random(2)
    killed = 0
    for turn in range(13):
        process, before = start(home, model), stored(home)
        while process.is_alive() and stored(home) == before:
            time.sleep(0.002)
        time.sleep(chance.random() / 60)
        os.kill(process.pid, signal.SIGINT if turn % 7 == 3 else signal.SIGKILL)
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    assert killed >= 10
    assert results(home) == []
    process = start(home, model)
    process.join()
    assert process.exitcode == 0
    [rows] = results(home)
    assert rows.equals(undisturbed)
    places = acknowledged(home)
    assert len(places) == len(set(places)) > 40


def test_two_processes_at_once_give_the_same_samples(
    start: Callable[[Path, Model], Any], undisturbed: pl.DataFrame, model: Model, tmp_path: Path
) -> None:
    home = tmp_path / "two"
    for process in [start(home, model), start(home, model)]:
        process.join()
        assert process.exitcode == 0
    first, second = results(home)
    assert first.equals(undisturbed)
    assert second.equals(undisturbed)
    assert stores(home)[0].draws == 192


def test_a_line_of_the_catalog_samples_a_model(workspace: Workspace, model: Model) -> None:
    long = {"question": "How many? " * 100, "answer": "#### 1"}
    workspace.write("some.jsonl", [*SIX[:2], long])
    shutil.copytree(model.folder, workspace.folder / "tiny")
    digest = location_hash(workspace.folder / "tiny")
    workspace.add(
        "some@1: {builder: questions_file, params: {path: some.jsonl, sha256: ?}}",
        f'tiny@1: {{trainer: local, params: {{path: tiny, sha256: "{digest}"}}}}',
        "two@1: {builder: samples, inputs: [some@1, tiny@1], params: {k: 2, max_tokens: 16}}",
        "three@1: {builder: samples, inputs: [some@1, tiny@1], params: {k: 3, max_tokens: 16}}",
        "paths@1: {builder: rejection, inputs: [some@1, three@1]}",
    )
    workspace.build("two@1", "paths@1", options=Options(engine="transformers"))
    two, three = workspace.made("two@1"), workspace.made("three@1")
    assert three.rows.filter(pl.col("draw") < 2).equals(two.rows)
    assert three.record.facts["draws_reused"] == 4
    assert three.record.facts["engines"][0].startswith("transformers ")
    assert three.record.drops == {"prompt_too_long": 1}
    assert three.drops["question_id"].to_list() == [question_id(long["question"])]  # type: ignore[index]
    assert workspace.made("paths@1").verdicts["model"].unique().to_list() == ["tiny@1"]  # type: ignore[index]
