r"""Find the place in a response where its answer stands: the last one, whatever its form.

    hash     #### 72   also as a heading with words: #### Final Answer: 72
    boxed    \boxed{72}
    phrase   the answer is 72 · Answer: 72 · A: 72 at the start of a line
    tag      [ANS] 72 · <answer>72</answer> · {"answer": "72"}
    line     a last line in bold or ###, or one that ends in "= 72."

What stands there is taken whole, to the end of its line; eval/grading/numbers.py reads it. Of a model that thinks, only what
comes after its thinking is looked at, and nothing that comes after a second "Question:". Bounded: every search is linear.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

MAX_FOUND = 2_000  # characters of what stands at a place
LOOK_BACK = 8  # places that are looked at, from the last


class Place(NamedTuple):
    """Where an answer stands: what stands there, in which form, and where it begins. `text` is None in a text that was cut off."""

    text: str | None
    form: str
    at: int


CUT = Place(None, "cut", 0)

_OPENS = re.compile(r"<(?:think|thinking|thought|reasoning)>|<\|begin_of_thought\|>", re.IGNORECASE)
_CLOSES = re.compile(r"</(?:think|thinking|thought|reasoning)>|<\|end_of_thought\|>|◁/think▷", re.IGNORECASE)
_SPECIAL = re.compile(r"<\|[a-z_]+\|>|</s>|<eos>|<end_of_turn>|\[/?INST\]", re.IGNORECASE)
_NEXT = re.compile(
    r"\n[ \t]*(?:[#*]+[ \t]*)?(?:Question|Problem|Instruction|User|Human)[ \t]*\d*[ \t]*(?:\*\*)?:|\n[ \t]*\n[ \t]*Q:"
)
_ANY = re.compile(r"####|\\boxed|\banswer\b[^\n]{0,60}?(?:\bis\b|:)|^A:|\[ANS\]", re.IGNORECASE | re.MULTILINE)


def final_part(text: str) -> str | None:
    """Return what a model says after its thinking; None if it never stops to think, or says nothing after."""
    if "<" not in text and "◁" not in text:
        return text
    closes = list(_CLOSES.finditer(text))
    if closes and (after := text[closes[-1].end() :]).strip():
        return after
    if _OPENS.search(text):
        return None
    # Without a beginning: a stray mark at the end, of a model that was not told to think.
    return text[: closes[-1].start()] if closes else text


def _own(text: str) -> str:
    """Return the text up to where it goes on with another question."""
    if ":" in text and _NEXT.search(text) and (first := _ANY.search(text)) and (other := _NEXT.search(text, first.end())):
        return text[: other.start()]
    return text


def find(response: str, reads: Callable[[str, bool], bool]) -> Place | None:
    """Return the place of the answer; CUT for a text that stops before it gives one, None if there is none.

    `reads` says whether a text can be read as an answer, and is also told whether nothing may follow it: some forms
    count as a place only if it can.
    """
    text = final_part(response)
    if text is None:
        return CUT
    text = _own(text)
    text = (_SPECIAL.sub("", text) if "<" in text or "[" in text else text).rstrip()
    if text.startswith(("{", "```")) and (found := _json(text)):
        return found
    last: Place | None = None
    for form in (_hash, _boxed, _said):
        for place in form(text, reads):
            if last is None or place.at > last.at:
                last = place
            break
    last = _last_line(text, reads, -1 if last is None else last.at) or last
    if last is None:
        return CUT if text.rfind("<<") > text.rfind(">>") or re.search(r"[\w,:=+*/(<\\&-]$|####$", text[-4:]) else None
    if last.text is None:
        return CUT
    if last.form != "tag" and _takes_back(text[last.at :]):
        return Place(last.text, "none", last.at)
    return last


_LINE = re.compile(r"[^\n]*")


def _line_from(text: str, at: int) -> str:
    found = _LINE.match(text, at)
    return found[0][:MAX_FOUND] if found else ""


_HEADING = re.compile(r"\s*(?:\d+[.)]\s+[A-Za-z*\"]|(?:step|part|case|method)\b)", re.IGNORECASE)
_LABEL = re.compile(
    r"[\s*_#]*(?:[A-Z][A-Za-z ]{0,40}|<[a-z]+>)\s*[*_]*:\s*[*_]*\s*|[\s*_]*(?:final\s+)?answer\s*(?:is\b)?\s*|\s*<[a-z]+>\s*",
    re.IGNORECASE,
)


def _hash(text: str, reads: Callable[[str, bool], bool]) -> Iterator[Place]:
    at = len(text)
    for _ in range(LOOK_BACK):
        at = text.rfind("####", 0, at)
        if at < 0:
            return
        line = _line_from(text, at).lstrip("#")
        more = text[at:].partition("\n")[2].strip()
        if line.strip(" *_:$") and not re.search(r"\w", line):
            continue
        if _HEADING.match(line):
            continue
        if (label := _LABEL.match(line)) and not reads(line, False):
            line = line[label.end() :]
        if not line.strip(" *_:$"):
            # The number stands under its mark, if nothing else does.
            if not re.search(r"\w", more):
                if "\\boxed" in text[text.rfind("\n", 0, at) + 1 : at]:
                    continue  # a mark that was left behind its answer
                yield CUT._replace(at=at)
            elif "\n" not in more:
                yield Place(more, "hash", at)
            continue
        if more and not reads(line, False):
            continue  # a heading
        yield Place(line, "hash", at)


_GAP = r"(?:[\s$]|\\quad|\\[,; ()\[\]])*"
_AND = re.compile(rf"{_GAP}(?:,|;|(?:,\s*)?(?:and|or|\\text\{{\s*(?:and|or)\s*\}})){_GAP}(?:[a-z]\s*=\s*)?")
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*")
_EXAMPLE = re.compile(
    r"(?:e\.g\.|for example|such as|in the form|in the format|like this|inside|within)[^.\n]*\Z|\blike\s*\$?\Z", re.IGNORECASE
)


def _boxed(text: str, reads: Callable[[str, bool], bool]) -> Iterator[Place]:
    boxes = list(_BOX.finditer(text))[-LOOK_BACK:] if "\\" in text else []
    for number, box in enumerate(reversed(boxes)):
        inside = _balanced(text, box.end())
        if inside is None:
            if not number:
                yield CUT._replace(at=box.start())
            continue
        if not inside.strip() or _EXAMPLE.search(text[max(0, box.start() - 60) : box.start()]):
            continue
        first = box
        for before in reversed(boxes[: len(boxes) - number - 1]):  # boxes in one breath are one answer of several parts
            other = _balanced(text, before.end())
            if other is None or not _AND.fullmatch(text[before.end() + len(other) + 2 : first.start()]):
                break
            inside, first = f"{other}, {inside}", before
        yield Place(inside[:MAX_FOUND], "boxed", box.start())


def _balanced(text: str, at: int) -> str | None:
    """Return what stands in the braces that open at `at` (without them: the next word), or None if they are not closed."""
    if text[at : at + 1] != "{":
        found = re.compile(r"\\?\w+").match(text, at)
        return found[0] if found else ""
    depth, place = 0, at
    end = min(len(text), at + MAX_FOUND)
    while place < end:
        c = text[place]
        if c == "\\":
            place += 2
            continue
        depth += (c == "{") - (c == "}")
        if not depth:
            return text[at + 1 : place]
        place += 1
    return None


_SAID = re.compile(
    r"""(?<![-\w])answers?\b(?:[ \t]*\([^()\n]{0,40}\))?[*_]{0,3}
        (?: [ \t]*[:=][*_ \t]*
          | (?:(?:,|[ ](?:to|for|of|in|as|here|then|therefore|thus)\b)[^.:\n=]{0,60}?)?[ \t]*\b(?:is|are|was|equals|would[ ]be|will[ ]be|should[ ]be|must[ ]be|to[ ]be)\b[*_]{0,3}:?
        )
      | ^[ \t]*[*_]{0,3}A[*_]{0,3}:
      | ^[ \t]*(?:Final[ ])?Answer[ \t]*(?=\\[(\[]|\$)
      | \[ANS\]:? | <answer>
      | "(?:final_)?answer"[ \t]*:
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_DOUBT = re.compile(
    r"\b(?:if|wrong|incorrect|not|isn't|unless|suppose|assume|cannot|can't|whether|check that|verify that|guess)\b[^.\n]{0,60}\Z",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\s*(?:not\b|n't|wrong\b|incorrect\b|clear|as follows|given by|obtained|found|correct\b|to be\s*$)", re.IGNORECASE
)


def _said(text: str, reads: Callable[[str, bool], bool]) -> Iterator[Place]:
    low = text.lower()
    if not any(word in low for word in ("answer", "a:", "a*", "a_", "[ans]")):
        return  # looking for these is far quicker than matching
    for found in list(_SAID.finditer(text))[: -LOOK_BACK - 1 : -1]:
        sentence = text[max(0, found.start() - 100) : found.start()]
        mark = found[0].lstrip('"[<* \t').upper()
        tag = mark.startswith(("ANS]", "ANSWER>")) or found[0].startswith('"')
        if not tag and _DOUBT.search(sentence):
            continue
        rest = text[found.end() : found.end() + MAX_FOUND]
        if mark.startswith("ANSWER>"):
            rest = rest.partition("</answer>")[0]
        elif found[0].startswith('"'):
            string = re.match(r'\s*"((?:[^"\\]|\\.)*)"|\s*([^,}\n]*)', rest)
            rest = (string[1] or string[2] or "") if string else ""
        elif rest.strip(" \t*_$:\\[(").startswith("\n") or not rest.split("\n")[0].strip(" *_$:\\[("):
            rest = rest.lstrip(" \t*_$:\\[(\n")
            if re.match(r"\d+[.)]\s+[A-Za-z]", rest):
                continue  # a list follows
            rest = re.sub(r"^[-*•]\s+", "", rest).split("\n")[0]
        else:
            rest = rest.split("\n")[0]
        if not rest.strip(" *_$:."):
            continue
        if not tag and (_NOT.match(rest) or not (re.search(r"[\d\\$]", rest) or len(rest.split()) <= 6)):
            continue
        if not tag and not reads(rest, False) and len(rest.split()) > 12:
            continue
        yield Place(rest, "tag" if tag else "phrase", found.start())


def _json(text: str) -> Place | None:
    body = re.sub(r"^```\w*\s*|\s*```$", "", text)
    try:
        found = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    answer = next((found[name] for name in ("answer", "final_answer", "Answer") if name in found), None)
    if isinstance(answer, str | int | float) and not isinstance(answer, bool) and str(answer).strip():
        return Place(str(answer)[:MAX_FOUND], "tag", 0)
    return None


_MARKED = re.compile(r"[ \t]*(?:\*\*(?P<bold>[^*\n]+)\*\*[.:]?|#{1,3}(?P<head>[^\n#]+))[ \t]*")
_DIGIT = re.compile(r"\d")


def _last_line(text: str, reads: Callable[[str, bool], bool], after: int) -> Place | None:
    start = text.rfind("\n") + 1
    line = text[start:]
    if start <= after or len(line) > MAX_FOUND:
        return None
    if found := _MARKED.fullmatch(line):
        inside = found["bold"] or found["head"]
        label = re.match(r"[^:]{1,60}:\s*", inside)
        for part in (inside, inside[label.end() :] if label else ""):
            if part and reads(part, False):
                return Place(part, "line", start)
    if after < 0 and _shows_result(line) and reads(line, True):
        return Place(line, "line", start)
    return None


def _shows_result(line: str) -> bool:
    """Return whether a line ends like "... = 72 clips." or in a formula."""
    if not line.rstrip().endswith((".", "$")) or line.rfind("<<") > line.rfind(">>"):
        return False
    result = line.rpartition("=")[2] if "=" in line else line.partition("≈")[2]
    return _DIGIT.search(result) is not None


_TAKEN_BACK = re.compile(
    r"\b(?:wait\b|hmm\b|no, that|actually,|that(?:'s| is) (?:not (?:right|correct)|wrong|incorrect)|this is (?:wrong|incorrect|not (?:right|correct))|"
    r"i made (?:a|an) (?:mistake|error)|let me (?:re|try again|start over))",
    re.IGNORECASE,
)


def _takes_back(rest: str) -> bool:
    """Return whether the text takes an answer back after it gave it, and gives no other."""
    return (
        _TAKEN_BACK.search(rest.partition("\n")[2] or rest[rest.find(". ") + 1 :] if ". " in rest or "\n" in rest else "")
        is not None
    )
