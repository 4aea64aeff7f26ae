"""The draw store: what was acknowledged is there, once, whatever happened to the processes that wrote it."""

import errno
import fcntl
import json
import multiprocessing
import os
import random
import struct
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from inference.draws import PAYLOAD, DrawKey, DrawStore, prompt_hash, stores
from registry.errors import OutOfResources

KEY = DrawKey("tiny@1", "c0ffee" * 10, temperature=0.7, top_p=1.0, max_tokens=8, stop=(), seed=0)


def draws(prompts: list[str], draw: int = 0, text: str = "4+4=8\n#### 8", engine: str = "test 1") -> pl.DataFrame:
    rows = len(prompts)
    return pl.DataFrame(
        {
            "prompt": prompts,
            "draw": [draw] * rows,
            "seed": [2**63 - 1] * rows,
            "tokens": [[0, 319, 2]] * rows,
            "text": [text] * rows,
            "finish_reason": ["stop"] * rows,
            "token_count": [3] * rows,
            "engine": [engine] * rows,
        },
        schema_overrides={"draw": pl.Int32, "tokens": pl.List(pl.Int32), "token_count": pl.Int32},
    )


def fill(store: DrawStore, *batches: pl.DataFrame) -> None:
    with store.writer() as writer:
        for batch in batches:
            writer.append(batch)


@pytest.fixture
def store(tmp_path: Path) -> DrawStore:
    return DrawStore(tmp_path, KEY)


def test_what_was_appended_is_read_back(store: DrawStore) -> None:
    known = draws(["a", "b"], text="½ \0 and a long text " * 50)
    unknown = draws(["c"]).with_columns(tokens=pl.lit(None, pl.List(pl.Int32)), token_count=pl.lit(None, pl.Int32))
    fill(store, known, unknown)
    assert store.read().equals(pl.concat([known, unknown]))
    assert store.read().columns == PAYLOAD.names
    assert store.read(columns=["text", "draw"]).equals(pl.concat([known, unknown]).select("text", "draw"))


def test_only_the_prompts_and_draws_that_are_asked_for_are_read(store: DrawStore) -> None:
    fill(store, *(draws(["a", "b"], draw) for draw in range(3)))
    assert store.read({"b", "z"}, 2).select("prompt", "draw").rows() == [("b", 0), ("b", 1)]


def test_reading_creates_nothing(store: DrawStore, tmp_path: Path) -> None:
    assert store.read().is_empty()
    assert store.read().columns == PAYLOAD.names
    assert stores(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_record_cut_anywhere_or_changed_anywhere_is_passed_over(store: DrawStore) -> None:
    fill(store, draws(["a"], text="first"), draws(["b"], text="second"))
    [segment] = store.folder.glob("*.seg")
    whole = segment.read_bytes()
    (first_length,) = struct.unpack_from("<I", whole, 4)
    first_end = 12 + first_length
    for end in (*range(0, len(whole), 7), first_end, len(whole) - 1):
        segment.write_bytes(whole[:end])
        assert store.read()["prompt"].to_list() == ["a"] * (end >= first_end)
    for place in (*range(first_end, first_end + 12), *range(first_end + 12, len(whole), 7)):
        segment.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert store.read()["prompt"].to_list() == ["a"]


def test_segments_after_a_torn_or_empty_one_are_read(store: DrawStore) -> None:
    for prompt in "abc":
        fill(store, draws([prompt]))
    first, second, _ = sorted(store.folder.glob("*.seg"))
    first.write_bytes(first.read_bytes()[:-1])
    second.write_bytes(b"")
    assert store.read()["prompt"].to_list() == ["c"]
    fill(store, draws(["a"]), draws(["b"]))
    assert sorted(store.read()["prompt"]) == ["a", "b", "c"]
    assert len(list(store.folder.glob("*.seg"))) == 4


def test_of_two_copies_the_one_that_was_written_first_counts(store: DrawStore) -> None:
    with store.writer() as late, store.writer() as early:
        late.append(draws(["c"]))  # the lower segment
        early.append(draws(["b"], text="early"))
        late.append(draws(["a", "b"], text="late"))
        early.append(draws(["a"], text="too late"))
        early.append(draws(["a"], text="too late again"))
    assert dict(store.read(["a", "b"], columns=["prompt", "text"]).rows()) == {"a": "late", "b": "early"}


def test_a_store_may_have_ten_thousand_segments(store: DrawStore) -> None:
    fill(store, draws(["a"]))
    (store.folder / "0000.seg").rename(store.folder / "9999.seg")
    fill(store, draws(["b"]))
    assert (store.folder / "10000.seg").exists()
    assert sorted(store.read()["prompt"]) == ["a", "b"]


def test_a_full_disk_takes_nothing_that_was_acknowledged(store: DrawStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def nearly_full(handle: int, data: bytes) -> int:
        if len(data) < 40:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[: len(data) // 2])  # as Linux does: what fits is written, and the rest refused

    with store.writer() as writer:
        writer.append(draws(["a"]))
        monkeypatch.setattr(os, "write", nearly_full)
        with pytest.raises(OutOfResources, match="disk is full"):
            writer.append(draws(["b"]))
        monkeypatch.undo()
        assert store.read()["prompt"].to_list() == ["a"]
        writer.append(draws(["c"]))  # once there is space again
    assert store.read()["prompt"].to_list() == ["a", "c"]


def test_an_interrupted_append_spoils_nothing_that_follows(store: DrawStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def interrupted(handle: int, data: bytes) -> int:
        write(handle, data[:20])
        raise KeyboardInterrupt

    with store.writer() as writer:
        monkeypatch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.append(draws(["a"]))
        monkeypatch.undo()
        writer.append(draws(["a"]))
    assert store.read()["prompt"].to_list() == ["a"]


@pytest.mark.parametrize(
    "change", [{"content": "d" * 64}, {"temperature": 0.8}, {"top_p": 0.9}, {"max_tokens": 9}, {"stop": ("\n",)}, {"seed": 1}]
)
def test_a_key_is_the_models_content_and_how_it_is_sampled(change: dict[str, Any]) -> None:
    known = {name: getattr(KEY, name) for name in KEY.__dataclass_fields__}
    assert DrawKey(**known | change).hash != KEY.hash
    assert DrawKey(**known | {"model": "renamed@3"}).hash == KEY.hash


def test_the_names_of_keys_and_prompts_stay_what_they_are() -> None:
    # Stores that exist are found by these: another value here means that every draw would be made again.
    assert KEY.hash == "b1bd11a429cf5455ffa73e7bc4caa257"
    assert prompt_hash([1, 2, 31999]) == "e50d2e43c8cc3e4f"


def test_stores_say_what_they_hold(store: DrawStore, tmp_path: Path) -> None:
    fill(store, draws(["a", "b"]), draws(["a"]))
    [kept] = stores(tmp_path)
    assert (kept.key, kept.draws) == (KEY.hash, 2)
    assert kept.bytes == sum(file.stat().st_size for file in store.folder.iterdir())
    assert kept.words == "tiny@1 (c0ffeec0ffee), temperature 0.7, top_p 1.0, max_tokens 8, seed 0"
    (store.folder / "key.json").unlink()
    assert stores(tmp_path)[0].words == "a store that lost its key.json"
    with store.writer():
        assert json.loads((store.folder / "key.json").read_text())["content"] == KEY.content


# -- several processes, killed -----------------------------------------------------------------------------------------


def numbered(writer: int, batch: int) -> pl.DataFrame:
    """Return a batch that can be told from its numbers alone, too large and too random to be written in no time."""
    made = random.Random(f"{writer} {batch}")
    prompts = [f"{writer}-{batch}-{n}" for n in range(made.randint(1, 20))]
    return draws(prompts, draw=batch, text=made.randbytes(made.randint(1, 40_000)).hex(), engine=f"writer {writer}")


def append_for_ever(home: Path, writer: int) -> None:
    acknowledged = os.open(home / f"{writer}.acknowledged", os.O_CREAT | os.O_WRONLY)
    with DrawStore(home, KEY).writer() as draw_writer:
        for batch in range(1_000_000):
            draw_writer.append(numbered(writer, batch))
            os.write(acknowledged, struct.pack("<I", batch))


def test_writers_that_are_killed_lose_nothing_they_acknowledged(store: DrawStore, tmp_path: Path) -> None:
    chance = random.Random(5)
    spawn = multiprocessing.get_context("spawn")  # polars has threads, and a forked child of it hangs
    running: dict[int, multiprocessing.process.BaseProcess] = {}
    for writer in range(7):
        running[writer] = spawn.Process(target=append_for_ever, args=(tmp_path, writer))
        running[writer].start()
        if len(running) < 3 and writer < 6:
            continue
        while not all((tmp_path / f"{n}.acknowledged").exists() for n in running):
            time.sleep(0.01)
        time.sleep(chance.random() / 5)
        victim = running.pop(chance.choice(list(running)))
        victim.kill()
        victim.join()
        store.read()  # while others write
    for process in running.values():
        process.kill()
        process.join()
    found = store.read()
    assert found.height == store.read(columns=["prompt", "draw"]).n_unique()
    by_batch = {(rows["engine"][0], rows["draw"][0]): rows for rows in found.partition_by("engine", "draw")}
    batches = 0
    for writer in range(7):
        noted = (tmp_path / f"{writer}.acknowledged").read_bytes()
        for (batch,) in struct.iter_unpack("<I", noted):
            assert by_batch[f"writer {writer}", batch].equals(numbered(writer, batch))
            batches += 1
    assert batches > 50
    assert len(by_batch) - batches <= 7  # at most the last one of each was written and not yet acknowledged


def test_of_two_writers_the_one_that_wrote_first_counts_even_if_the_other_began_earlier(
    store: DrawStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that is held up between its stamp and its write must not come before one that wrote meanwhile."""
    with store.writer() as slow, store.writer() as quick:
        held: list[bool] = []
        write = os.write

        def interrupted(segment: int, data: bytes) -> Any:
            if not held:
                held.append(True)
                with pytest.raises(BlockingIOError):  # the other one waits for its turn
                    fcntl.flock(os.open(store.folder / "lock", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return write(segment, data)

        monkeypatch.setattr(os, "write", interrupted)
        slow.append(draws(["a"], text="slow"))
        quick.append(draws(["a"], text="quick"))
    assert held
    assert store.read()["text"].to_list() == ["slow"]


def test_a_clock_that_goes_back_does_not_change_the_order_of_a_writer(
    store: DrawStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([2_000, 1_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    fill(store, draws(["a"], text="first"), draws(["a"], text="second"))
    assert store.read()["text"].to_list() == ["first"]


def test_one_damaged_record_takes_no_other_with_it(store: DrawStore, caplog: pytest.LogCaptureFixture) -> None:
    fill(store, *(draws([f"p{n}"]) for n in range(50)))
    (segment,) = store.folder.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[40] ^= 1
    segment.write_bytes(data)
    (store.folder / "0000 copy.seg").write_bytes(b"")
    assert store.read().height == 49
    assert "is damaged: its draws are made again" in caplog.text
