"""Answers as mathematics: one way of writing, part by part, and by algebra in processes that may die."""

import os
import signal
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from eval.grading.grade import UNDECIDED, compare
from eval.grading.rules import MATH, STANDARD
from eval.grading.structures import plain_latex, same_structure
from eval.grading.symbolic import _forbid, decide, version
from registry.maker import Decided
from tests.workspace import least_seconds


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("(1, 2)", "(1, 2.0)", True),
        ("(1, 2)", "(2, 1)", False),  # an order
        ("1,2,3", r"\{3,2,1\}", True),  # and none
        ("3,5,7", "3,5", False),
        ("(0,9)", "[0,9)", False),
        ("(-2,1)", "-2,1", False),  # a point is no list of two solutions
        (r"3 < \lambda \le 4", "(3,4]", True),
        (r"x \ge 5", r"[5,\infty)", True),
        (r"5 \ge x", r"x\leq 5", True),
        (r"x \in [-2,7]", r"-2 \le x \le 7", True),
        (r"(2, \infty)", "(2,3)", False),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\dfrac{\pi}2)", True),
        (r"\text{(B)}", "B", True),
        ("B.", "(C)", None),
        (r"\text{Even}", "even", True),
        (r"\frac{20000}{\pi}", r"\frac{20,000}{\pi}", True),
        ("y=2x+3", "2x+3", True),
        ("(p,q)=(3,2)", "(3,2)", True),
        ("21, 16 or 11", "11,16,21", True),
        ("2516", "2516_8", True),  # the question names the base
        ("40_9", "40", False),
        (r"\sqrt{8}", r"2\sqrt{2}", None),
        ("x=1,y=2", "(1,2)", None),
    ],
)
def test_what_can_be_told_part_by_part(answer: str, gold: str, same: bool | None) -> None:
    assert same_structure(answer, gold) is same


@pytest.mark.parametrize(
    "text", ["", "(", ")", "((((", "{" * 5_000, r"\frac{1}{", r"\left(", "x=" * 500, ",,,,", r"\text{" * 300, "1_2_3"]
)
def test_no_text_stops_the_comparison_of_structures(text: str) -> None:
    assert isinstance(plain_latex(text), str)
    for other in (text, "(1,2)", r"\frac{1}{2}"):
        assert same_structure(text, other) in (True, False, None)


@pytest.mark.parametrize(
    "text", ["9" * 900, "9" * 400 + "<x", "a" * 900 + "!", "{9}" * 300, "((1,2)," * 100, ",".join("ab" * 200)]
)
def test_no_text_takes_the_comparison_of_structures_long(text: str) -> None:
    def compare_anew() -> None:
        plain_latex.cache_clear()
        same_structure(text, text + "1")

    assert least_seconds(compare_anew) < 0.2


def test_what_the_parser_cannot_read_is_different_and_not_undecided() -> None:
    pairs = [("٣", "5"), ("(10)!", "٣"), ("((((1", "1")]
    assert dict(decide(pairs, workers=1)) == dict.fromkeys(pairs, False)


@pytest.mark.parametrize(
    "event",
    [("os.system", ("ls",)), ("subprocess.Popen", ()), ("socket.connect", ()), ("open", ("file", "w", 0)), ("os.remove", ())],
)
def test_a_checker_may_start_write_and_reach_nothing(event: tuple[str, tuple[object, ...]]) -> None:
    with pytest.raises(PermissionError):
        _forbid(*event)


@pytest.mark.parametrize(
    "event", [("open", ("file", "r", 0)), ("open", (3, None, 0)), ("import", ("os",)), ("os.listdir", (".",))]
)
def test_a_checker_may_read_and_import(event: tuple[str, tuple[object, ...]]) -> None:
    _forbid(*event)


def test_algebra_decides_what_is_left() -> None:
    pairs = {
        (r"\sqrt{8}", r"2\sqrt{2}"): True,
        ("x^2+2x+1", "(x+1)^2"): True,
        (r"\frac{\pi r}{h+r}", r"\pi r/(h+r)"): True,
        ("x+1", "x-1"): False,
        (r"\sqrt{13}", r"3\sqrt{13}"): False,
    }
    assert dict(decide(pairs)) == pairs
    assert "math-verify" in version()


def test_a_pair_that_comes_to_its_limit_twice_is_not_decided() -> None:
    endless, plain = ("10^{10^{10^{10}}}", "9^{9^{9^{9^{9}}}}+x"), ("x+1", "1+x")
    assert dict(decide([endless, plain], 1, seconds=1)) == {endless: None, plain: True}


def children() -> list[int]:
    """Return the worker processes of this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, command = (folder / "stat").read_text(), (folder / "cmdline").read_text()
        except OSError:
            continue
        if int(status.rpartition(")")[2].split()[1]) == os.getpid() and "spawn_main" in command:
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc, on Linux")
def test_killing_a_checker_changes_no_verdict() -> None:
    pairs = {(rf"\sqrt{{{2 * n * n}}}+x", rf"x+{n}\sqrt{{2}}" if n % 3 else f"x+{n}"): bool(n % 3) for n in range(1, 300)}
    over = threading.Event()
    killed = 0

    def kill() -> None:
        nonlocal killed
        while not over.wait(2.0) and killed < 4:
            for pid in children()[:1]:
                os.kill(pid, signal.SIGKILL)
                killed += 1

    threading.Thread(target=kill, daemon=True).start()
    start = time.monotonic()
    while not killed and time.monotonic() - start < 60:
        assert dict(decide(pairs, 2)) == pairs
    over.set()
    assert killed
    assert children() == []


def judged(answer: str, gold: str, equal: bool | None = None) -> tuple[bool, str | None, bool]:
    return compare(pl.Series([answer]), pl.Series([gold]), MATH, tolerance=0.0, decided=Decided({(gold, answer): equal})).row(0)


def test_the_stage_that_told_is_named() -> None:
    assert judged("3/4", "0.75") == (True, "number", True)
    assert judged("Evelyn", "evelyn") == (True, "text", True)
    assert judged("(1, 2)", "(1,2)") == (True, "structure", True)
    assert judged("x+1", "1+x", True) == (True, "symbolic", True)
    assert judged("x+1", "1-x", False) == (False, "symbolic", True)
    assert judged("x+1", "1+x", None) == (False, UNDECIDED, True)
    assert judged("Navin", "Evelyn") == (False, None, True)
    assert compare(pl.Series(["x+1"]), pl.Series(["1+x"]), STANDARD, tolerance=0.0).row(0) == (False, None, False)
