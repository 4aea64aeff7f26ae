r"""Word problems of our own making, and answers to them of the kind that a fine-tuned model samples.

Everything is made from a seed: names, numbers, sentences, mistakes. No data set and no model had a part in it.

    story = stories(1, seed=0)[0]
    story.question               ->  "Ines buys 9 boxes of pencils, and every box holds 12 pencils. ..."
    story.answer                 ->  "The 9 boxes hold 9*12=<<9*12=108>>108 pencils.\n...\n#### 64"
    completions(story, 100)      ->  100 texts; about 52 are right, and the right ones follow about 5 different paths

    python -m benchmarks.stories --examples examples     writes the data of the examples
    python -m benchmarks.stories [--check] [--json]      makes 7,473 x 100 samples and says what is in them

The file is long because it is one table: each small function in its middle is one event of a story, its sentences and its arithmetic.
"""

import argparse
import math
import random
import statistics
import sys
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import orjson

QUESTIONS, SAMPLES = 7_473, 100  # as many as the training set of GSM8K has, and as the paper draws for each

# -- what a solution is made of ---------------------------------------------------------------------------------------

Number = int | float


@dataclass(eq=False, slots=True)
class Node:
    """One calculation of a solution: an operator, two operands (numbers or other calculations), ways to say it."""

    op: str
    left: "Node | Number"
    right: "Node | Number"
    says: tuple[tuple[str, str], ...]  # what stands before and after the calculation
    money: bool = False
    fact: str = ""  # what the question says that this follows from: "There are 4 boxes"

    def said(self, sentences: str) -> "Node":
        """Take the ways to say it, one a line; @ is the place of the calculation."""
        self.says = _says(*(line.strip() for line in sentences.strip().splitlines()))
        return self


class Line(NamedTuple):
    """One calculation as it is written: 48/2 and 24."""

    says: tuple[tuple[str, str], ...]
    left: str
    right: str
    money: bool
    fact: str


class Derivation(NamedTuple):
    """The lines that lead to an answer, and the equations in them without spaces: what makes a path."""

    lines: tuple[Line, ...]
    answer: str
    path: str


@dataclass(frozen=True)
class Story:
    """A word problem, a human's solution to it, and what other solutions are derived from."""

    question: str
    answer: str
    gold: str
    root: Node
    facts: tuple[str, ...]  # sentences of the question that a solution may repeat


_GENERIC = {
    "+": ("Together that is @.", "Adding these gives @.", "The sum of the two is @."),
    "-": ("That leaves @.", "Taking that away leaves @.", "The difference is @."),
    "*": ("That makes @ in all.", "The product of these is @.", "In all that is @."),
    "/": ("That comes to @.", "Each part is @.", "This works out to @."),
}


def _says(*sentences: str) -> tuple[tuple[str, str], ...]:
    """Return the sentences split at the place of the calculation."""
    return tuple((before, after) for before, _, after in (sentence.partition("@") for sentence in sentences))


_PLAIN_SAYS = {op: _says(*sentences) for op, sentences in _GENERIC.items()}


def written(value: Number) -> str:
    """Return a number as it stands in an equation: 12, 0.5, 2.25."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value == int(value) else f"{value:.4f}".rstrip("0").rstrip(".")


def _price(value: Number) -> str:
    return f"${value}" if isinstance(value, int) else f"${value:.2f}"


def _calculated(op: str, x: Number, y: Number) -> Number:
    if op == "+":
        value = x + y
    elif op == "-":
        value = x - y
    elif op == "*":
        value = x * y
    else:
        value = x / y
    if isinstance(value, int):
        return value
    return int(value) if value == int(value) else round(value, 2)


_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2}


def derive(
    root: Node, inside: frozenset[int] = frozenset(), late: frozenset[int] = frozenset(), slip: tuple[int, int] = (0, 0)
) -> Derivation:
    """Return the calculations of `root` in the order in which a solution writes them.

    Nodes whose id is in `inside` get no line of their own but stand within the next one; those in `late` have their
    right side written first; the node `slip[0]` is calculated wrongly, by `slip[1]`. Raises ZeroDivisionError.
    """
    lines: list[Line] = []
    done: dict[int, tuple[str, Number, int]] = {}

    def visit(node: Node | Number) -> tuple[str, Number, int]:
        if not isinstance(node, Node):
            return written(node), node, 3
        if (known := done.get(id(node))) is not None:
            return known
        if id(node) in late:
            right = visit(node.right)
            left = visit(node.left)
        else:
            left = visit(node.left)
            right = visit(node.right)
        binding = _BINDING[node.op]
        before = left[0] if left[2] >= binding else f"({left[0]})"
        after = right[0] if right[2] > binding or (right[2] == binding and node.op in "+*") else f"({right[0]})"
        if after[0] == "-":
            after = f"({after})"
        text, value = before + node.op + after, _calculated(node.op, left[1], right[1])
        if id(node) in inside:
            return text, value, binding
        if id(node) == slip[0]:
            value += slip[1]
        shown = written(value)
        lines.append(Line(node.says, text, shown, node.money, node.fact))
        known = done[id(node)] = shown, value, 3
        return known

    _, value, _ = visit(root)
    return Derivation(tuple(lines), written(value), "|".join([f"{line.left}={line.right}" for line in lines]))


def _nodes(root: Node) -> list[Node]:
    """Return every calculation below `root`, once."""
    found: dict[int, Node] = {}
    stack: list[Node | Number] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and id(node) not in found:
            found[id(node)] = node
            stack += [node.left, node.right]
    return list(found.values())


# -- telling a story --------------------------------------------------------------------------------------------------


def _words(text: str) -> list[str]:
    return text.split()


_SHE = _words("""Amina Beatriz Chiara Dalia Esme Farah Greta Hana Ines Jamila Katya Lucia Maren Nadia Odette Priya Ruth Saskia Talia
Uma Vera Wanda Xenia Yara Zoe Adela Bronwyn Corinne Delphine Eilidh""")
_HE = _words("""Anton Bilal Casper Dmitri Emeka Felix Goran Hugo Ivan Jonas Kofi Luca Mateo Nils Omar Pavel Quentin Rafael Stefan
Tomas Umar Viktor Wim Xavier Yusuf Zoltan Alasdair Benoit Cyril Dewi""")
_THINGS = _words("""pencils marbles stickers seashells postcards buttons beads cookies muffins apples oranges lemons plums eggs candles
crayons ribbons badges coins stamps walnuts tomatoes carrots tulips roses bulbs balloons bracelets magnets puzzles comics keychains
bookmarks notebooks erasers acorns pinecones cupcakes pretzels dumplings""")
_PACKS = (("box", "boxes"), ("bag", "bags"), ("jar", "jars"), ("basket", "baskets"), ("crate", "crates"), ("carton", "cartons"))
_ITEMS = _words("""scarves lamps mugs cushions paperbacks kites umbrellas caps hammers brushes plates tickets records jigsaws belts
flutes sketchbooks lanterns blankets thermoses""")
_SHOPS = ("market", "school fair", "flea market", "village shop", "summer festival", "charity sale")
_JOBS = (
    "at a bakery",
    "at a garage",
    "in a library",
    "on a farm",
    "at a flower shop",
    "in a bicycle workshop",
    "at a cinema",
    "in a print shop",
)
_NAMES = frozenset(_SHE + _HE)
_TIMES = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}


class _Teller:
    """A story that is being told: the sentences so far, and the quantity that the next turn starts from."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        women = dice.random() < 0.5
        self.name = dice.choice(_SHE if women else _HE)
        self.he, self.his = ("she", "her") if women else ("he", "his")
        self.friend = dice.choice([name for name in (_SHE + _HE) if name != self.name])
        self.things = dice.choice(_THINGS)
        self.pack, self.packs = dice.choice(_PACKS)
        self.shop = dice.choice(_SHOPS)
        self.sentences: list[str] = []
        self.facts: list[str] = []
        self.unused: list[str] = []  # facts that no calculation has used yet
        self.kind = "things"  # or "money", "miles", "pages"
        self.node: Node = Node("+", 0, 0, ())
        self.ask = ""  # the question at the end, once a turn has decided it

    def number(self, low: int, high: int) -> int:
        return self.dice.randint(low, high)

    def price(self, low: int, high: int) -> Number:
        whole = self.number(low, high)
        return whole + 0.5 if self.dice.random() < 0.15 else whole

    def tell(self, sentence: str, *facts: str) -> None:
        self.sentences.append(sentence)
        self.facts += facts
        self.unused = [fact.removesuffix(".") for fact in facts]

    def step(self, op: str, left: Node | Number, right: Node | Number, *, money: bool | None = None) -> Node:
        fact = self.unused.pop() if self.unused else ""
        self.node = Node(op, left, right, (), self.kind == "money" if money is None else money, fact)
        return self.node

    def value(self) -> Number:
        return _value(self.node)

    def divisors(self, low: int, high: int) -> list[int]:
        value = self.value()
        return [d for d in range(low, high + 1) if value % d == 0] if isinstance(value, int) else []


def _value(node: Node | Number) -> Number:
    return _calculated(node.op, _value(node.left), _value(node.right)) if isinstance(node, Node) else node


def _buys_packs(t: _Teller) -> None:
    a, b = t.number(3, 14), t.number(4, 24)
    t.tell(
        f"{t.name} buys {a} {t.packs} of {t.things}, and every {t.pack} holds {b} {t.things}.",
        f"There are {a} {t.packs} with {b} {t.things} in each {t.pack}.",
    )
    t.step("*", a, b).said(f"""
        The {a} {t.packs} that {t.name} buys hold @ {t.things} altogether.
        {t.name} starts out with {a} {t.packs} of {b}, which is @ {t.things}.
        With {b} {t.things} in every {t.pack}, {t.he} has @ {t.things} to begin with.
        In the {t.packs} there are @ {t.things}.
    """)


def _every_day(t: _Teller) -> None:
    a, d = t.number(6, 40), t.number(3, 14)
    t.tell(f"{t.name} makes {a} {t.things} every day for {d} days.", f"{t.name} makes {a} {t.things} a day.")
    t.step("*", a, d).said(f"""
        In {d} days {t.name} makes a total of @ {t.things}.
        {t.name} makes {a} {t.things} a day, so in {d} days that is @ {t.things}.
        After {d} days {t.he} has made @ {t.things}.
        The number of {t.things} made in the {d} days is @.
    """)


def _two_days(t: _Teller) -> None:
    a, m = t.number(8, 45), t.number(2, 4)
    t.tell(
        f"On Saturday {t.name} brings {a} {t.things} to the {t.shop}. On Sunday {t.he} brings {_TIMES[m]} as many.",
        f"{t.name} brings {a} {t.things} on Saturday.",
    )
    sunday = t.step("*", a, m).said(f"""
        On Sunday {t.name} brings @ {t.things} to the {t.shop}.
        {t.name} brings {_TIMES[m]} as many on Sunday, which is @ {t.things}.
        The number of {t.things} on Sunday is @.
    """)
    t.step("+", a, sunday).said(f"""
        Over the two days {t.he} brings a total of @ {t.things}.
        Altogether {t.name} has brought @ {t.things} to the {t.shop}.
        In the two days that makes @ {t.things}.
    """)


def _two_people(t: _Teller) -> None:
    a, b = t.number(10, 60), t.number(3, 25)
    t.tell(
        f"{t.name} has {a} {t.things}, and {t.friend} has {b} more than {t.name}. They put all of their {t.things} together for {t.name} to sort.",
        f"{t.name} has {a} {t.things}.",
    )
    other = t.step("+", a, b).said(f"""
        {t.friend} has {b} more, which is @ {t.things}.
        The number of {t.things} that {t.friend} has is @.
        {t.friend} brings @ {t.things}.
    """)
    t.step("+", a, other).said(f"""
        Together {t.name} and {t.friend} have @ {t.things} to sort.
        They have @ {t.things} between the two of them.
        All of the {t.things} together come to @.
    """)


def _rows(t: _Teller) -> None:
    a, b, c, d = t.number(3, 9), t.number(5, 16), t.number(2, 8), t.number(4, 12)
    t.tell(
        f"{t.name} lays out {a} rows of {b} {t.things} on one table and {c} rows of {d} {t.things} on another.",
        f"One table has {a} rows and the other has {c} rows.",
    )
    first = t.step("*", a, b).said(f"""
        The first table has {a} rows of {b}, which is @ {t.things}.
        On the first table there are @ {t.things}.
        {t.name} lays @ {t.things} on the first table.
    """)
    second = t.step("*", c, d).said(f"""
        The other table has {c} rows of {d}, which is @ {t.things}.
        On the other table there are @ {t.things}.
        {t.name} lays @ {t.things} on the other table.
    """)
    t.step("+", first, second).said(f"""
        On both tables together there are @ {t.things}.
        Altogether {t.name} has laid out @ {t.things}.
        The two tables hold @ {t.things} in total.
    """)


def _wages(t: _Teller) -> None:
    t.kind, job = "money", t.dice.choice(_JOBS)
    a, b, d = t.number(9, 28), t.number(3, 8), t.number(2, 6)
    t.tell(
        f"{t.name} works {job} and earns ${a} an hour. {t.he.capitalize()} works {b} hours a day on {d} days of the week.",
        f"{t.name} earns ${a} an hour.",
    )
    hours = t.step("*", b, d, money=False).said(f"""
        {t.name} works for a total of @ hours in a week.
        In one week {t.he} works {d} days of {b} hours, which is @ hours.
        The hours of a whole week come to @.
    """)
    t.step("*", hours, a).said(f"""
        At ${a} an hour {t.name} earns @ in a week.
        In a week {t.he} is paid @ for this work.
        The pay for the whole week is @.
        {t.name} gets ${a} for each of these hours, so the week brings in @.
    """)


def _two_jobs(t: _Teller) -> None:
    t.kind = "money"
    a, b, c, d = t.number(8, 20), t.number(2, 9), t.number(6, 18), t.number(2, 9)
    t.tell(
        f"{t.name} mows lawns for ${a} an hour and walks dogs for ${c} an hour. "
        f"This week {t.he} mowed lawns for {b} hours and walked dogs for {d} hours.",
        f"{t.name} worked {b} hours on lawns and {d} hours with dogs.",
    )
    first = t.step("*", a, b).said(f"""
        Mowing lawns for {b} hours pays {t.name} @.
        For the lawns {t.he} gets @.
        The lawns bring in ${a} an hour, which is @ this week.
    """)
    second = t.step("*", c, d).said(f"""
        Walking dogs for {d} hours pays {t.name} @.
        For the dogs {t.he} gets @.
        The dogs bring in ${c} an hour, which is @ this week.
    """)
    t.step("+", first, second).said(f"""
        From the two jobs {t.name} earns @ in total.
        Altogether {t.he} makes @ this week.
        The two jobs together pay @.
    """)


def _commute(t: _Teller) -> None:
    t.kind = "miles"
    a, d = t.number(4, 30), t.number(3, 6)
    t.tell(
        f"{t.name} drives {a} miles to work and {a} miles back home again. {t.he.capitalize()} does this {d} days a week.",
        f"The way to work is {a} miles long.",
    )
    day = t.step("*", a, 2).said(f"""
        There and back {t.name} drives @ miles a day.
        Each day {t.he} drives to work and home, which is @ miles.
        One day of driving is @ miles.
    """)
    t.step("*", day, d).said(f"""
        In the {d} days of a week {t.name} drives @ miles.
        With {d} days a week {t.he} drives @ miles in a week.
        The driving of one week adds up to @ miles.
    """)


def _reading(t: _Teller) -> None:
    t.kind = "pages"
    a, b, d = t.number(5, 25), t.number(8, 35), t.number(3, 10)
    t.tell(
        f"{t.name} reads {a} pages of a novel each morning and {b} pages each evening. {t.he.capitalize()} keeps this up for {d} days.",
        f"{t.name} reads {a} pages in the morning and {b} in the evening.",
    )
    day = t.step("+", a, b).said(f"""
        Each day {t.name} reads @ pages.
        {t.name} reads @ pages in one day.
        The pages of one day come to @.
    """)
    t.step("*", day, d).said(f"""
        In {d} days {t.name} reads a total of @ pages.
        After {d} days {t.he} has read @ pages of the novel.
        Over all {d} days that is @ pages.
    """)


# A turn takes the story on by some calculations; it returns False, having done nothing, where it does not fit.


def _gives(t: _Teller) -> bool:
    top = int(t.value() * 0.7)
    if top < 3:
        return False
    g = t.number(2, top)
    t.tell(f"Then {t.he} gives {g} of the {t.things} to {t.friend}.", f"{t.friend} gets {g} of the {t.things}.")
    t.step("-", t.node, g).said(f"""
        After giving {g} to {t.friend}, {t.name} has @ {t.things} left.
        {t.friend} gets {g} of them, so {t.name} is left with @ {t.things}.
        That leaves {t.name} with @ {t.things}.
        Taking away the {g} that {t.friend} gets, there are @ {t.things}.
    """)
    return True


def _gives_friends(t: _Teller) -> bool:
    value = t.value()
    k = t.number(2, 6)
    top = int(value * 0.8) // k
    if top < 2:
        return False
    g = t.number(2, min(top, 15)) if top > 2 else 2
    t.tell(f"{t.he.capitalize()} hands out {g} {t.things} to each of {k} cousins.", f"There are {k} cousins.")
    rest = t.node
    out = t.step("*", k, g).said(f"""
        The {k} cousins get a total of @ {t.things}.
        {t.name} hands out {g} {t.things} to each of {k} cousins, which is @ {t.things}.
        Altogether {t.he} hands out @ {t.things}.
    """)
    t.step("-", rest, out).said(f"""
        After that {t.name} has @ {t.things} left.
        That means {t.he} still has @ {t.things}.
        Without those, {t.name} is left with @ {t.things}.
    """)
    return True


def _finds(t: _Teller) -> bool:
    g = t.number(5, 60)
    t.tell(
        f"The next day {t.friend} brings {t.name} another {g} {t.things}.",
        f"{t.friend} brings {g} more {t.things} the next day.",
    )
    t.step("+", t.node, g).said(f"""
        With the {g} from {t.friend}, {t.name} has @ {t.things}.
        {t.friend} brings {g} more, so now there are @ {t.things}.
        Adding the {g} that {t.friend} brings makes @ {t.things}.
        The next day {t.he} has @ {t.things}.
    """)
    return True


def _buys_more(t: _Teller) -> bool:
    a, b = t.number(2, 7), t.number(3, 15)
    t.tell(
        f"At the {t.shop} {t.he} gets {a} more {t.packs} with {b} {t.things} each.",
        f"{t.name} gets {a} more {t.packs} at the {t.shop}.",
    )
    rest = t.node
    more = t.step("*", a, b).said(f"""
        The {a} new {t.packs} hold @ {t.things}.
        At the {t.shop} {t.name} gets another @ {t.things}.
        {t.name} adds {a} {t.packs} of {b}, which is @ {t.things}.
    """)
    t.step("+", rest, more).said(f"""
        Now {t.name} has a total of @ {t.things}.
        Together with the others that makes @ {t.things}.
        After the {t.shop} there are @ {t.things}.
    """)
    return True


def _loses_half(t: _Teller) -> bool:
    if not t.divisors(2, 2):
        return False
    t.tell(
        f"Half of the {t.things} turn out to be too old, and {t.name} throws those away.", f"Half of the {t.things} are kept."
    )
    t.step("/", t.node, 2).said(f"""
        {t.name} keeps only half of them, which is @ {t.things}.
        After throwing half of them away {t.he} has @ {t.things}.
        Half of the {t.things} is @.
    """)
    return True


def _percent_bad(t: _Teller) -> bool:
    value = t.value()
    rates = [p for p in (10, 20, 25, 30, 40, 50, 60, 75) if isinstance(value, int) and value * p % 100 == 0]
    if not rates:
        return False
    p = t.dice.choice(rates)
    t.tell(f"It turns out that {p}% of the {t.things} are damaged and cannot be used.", f"{p}% of the {t.things} are damaged.")
    whole = t.node
    rate = t.step("/", p, 100).said(f"""
        Written as a decimal, {p}% is @.
        {p}% is the same as @.
        The share of damaged ones is @.
    """)
    bad = t.step("*", whole, rate).said(f"""
        The number of damaged {t.things} is @.
        There are @ {t.things} that are damaged.
        That means @ of the {t.things} cannot be used.
    """)
    t.step("-", whole, bad).said(f"""
        That leaves @ {t.things} that are good.
        After taking out the damaged ones there are @ {t.things}.
        {t.name} can use the other @ {t.things}.
    """)
    return True


def _times_as_many(t: _Teller) -> bool:
    m = t.number(2, 4)
    t.tell(
        f"{t.friend} has {_TIMES[m]} as many as {t.name} now has, and the two of them put everything together.",
        f"{t.friend} has {_TIMES[m]} as many {t.things}.",
    )
    own = t.node
    other = t.step("*", own, m).said(f"""
        {t.friend} has {_TIMES[m]} as many, which is @ {t.things}.
        The number of {t.things} that {t.friend} has is @.
        {t.friend} owns @ {t.things}.
    """)
    t.step("+", own, other).said(f"""
        Together {t.name} and {t.friend} have @ {t.things}.
        Between them they have @ {t.things}.
        The two of them put together @ {t.things}.
    """)
    return True


def _sells_each(t: _Teller) -> bool:
    p = t.price(2, 12)
    t.tell(
        f"{t.name} sells all of them at the {t.shop} for {_price(p)} each.", f"Each of the {t.things} is sold for {_price(p)}."
    )
    t.kind = "money"
    t.step("*", t.node, p).said(f"""
        Selling them for {_price(p)} each, {t.name} makes @.
        At the {t.shop} {t.he} earns @ for the {t.things}.
        All of the {t.things} together sell for @.
        {t.name} takes in @ at the {t.shop}.
    """)
    return True


def _sells_packs(t: _Teller) -> bool:
    sizes = t.divisors(3, 12)
    if not sizes:
        return False
    k, p = t.dice.choice(sizes), t.price(4, 18)
    t.tell(
        f"{t.name} packs all of them into {t.packs} of {k} and sells each {t.pack} for {_price(p)}.",
        f"Each {t.pack} of {k} {t.things} costs {_price(p)}.",
    )
    filled = t.step("/", t.node, k, money=False).said(f"""
        {t.name} can fill @ {t.packs} with {k} {t.things} each.
        The {t.things} are enough for @ {t.packs}.
        The number of {t.packs} is @.
    """)
    t.kind = "money"
    t.step("*", filled, p).said(f"""
        Selling every {t.pack} for {_price(p)} brings in @.
        {t.name} earns @ by selling the {t.packs}.
        At {_price(p)} for a {t.pack} that makes @.
    """)
    return True


def _into_packs(t: _Teller) -> bool:
    sizes = t.divisors(3, 12)
    if not sizes:
        return False
    k = t.dice.choice(sizes)
    t.tell(f"{t.name} spreads all of the {t.things} evenly over {k} {t.packs}.", f"There are {k} {t.packs}.")
    t.step("/", t.node, k).said(f"""
        Each of the {k} {t.packs} gets @ {t.things}.
        Spread evenly, that is @ {t.things} in each {t.pack}.
        In every {t.pack} there are @ {t.things}.
    """)
    t.ask = f"How many {t.things} are in each {t.pack}?"
    return True


def _spends(t: _Teller) -> bool:
    top = int(t.value() * 0.7)
    if top < 5:
        return False
    s = t.number(4, top)
    item = t.dice.choice(("coat", "radio", "rucksack", "desk", "pair of boots", "watch", "bicycle helmet"))
    t.tell(f"With that money {t.he} buys a {item} for ${s}.", f"The {item} costs ${s}.")
    t.step("-", t.node, s).said(f"""
        After paying for the {item}, {t.name} has @ left.
        The {item} costs ${s}, so {t.he} is left with @.
        Taking off the price of the {item} leaves @.
        That leaves {t.name} with @.
    """)
    return True


def _buys_items(t: _Teller) -> bool:
    item = t.dice.choice(_ITEMS)
    k = t.number(2, 6)
    top = int(t.value() * 0.8) // k
    if top < 2:
        return False
    c = t.number(2, min(top, 25)) if top > 2 else 2
    t.tell(f"{t.he.capitalize()} buys {k} {item} that cost ${c} each.", f"{t.name} buys {k} {item}.")
    rest = t.node
    cost = t.step("*", k, c).said(f"""
        The {k} {item} cost {t.name} a total of @.
        For the {item} {t.he} pays @.
        {t.name} spends @ on {k} {item}.
    """)
    t.step("-", rest, cost).said(f"""
        After buying the {item}, {t.name} has @ left.
        That means {t.he} still has @.
        The rest of {t.his} money is @.
    """)
    return True


def _more_weeks(t: _Teller) -> bool:
    w = t.number(2, 8)
    same = {"miles": "drives just as much", "pages": "reads just as much"}.get(t.kind, "has just as much left over")
    unit = {"miles": " miles", "pages": " pages"}.get(t.kind, "")
    t.tell(f"{t.name} {same} in every one of {w} such periods.", f"There are {w} periods in all.")
    t.step("*", t.node, w).said(f"""
        In {w} such periods that makes @{unit}.
        Over all {w} periods {t.name} gets to @{unit}.
        After {w} of them the total is @{unit}.
    """)
    return True


def _gift(t: _Teller) -> bool:
    g = t.number(10, 80)
    t.tell(f"{t.his.capitalize()} aunt gives {t.name} another ${g} as a present.", f"The present of {t.his} aunt is ${g}.")
    t.step("+", t.node, g).said(f"""
        With the ${g} from {t.his} aunt, {t.name} has @.
        The present brings it to @.
        Adding the present of {t.his} aunt, {t.he} has @.
    """)
    return True


def _half_as_much(t: _Teller) -> bool:
    if not t.divisors(2, 2):
        return False
    t.tell(
        f"{t.friend} has half as much money as {t.name}, and the two of them save together.",
        f"{t.friend} has half as much as {t.name}.",
    )
    own = t.node
    other = t.step("/", own, 2).said(f"""
        {t.friend} has half of that, which is @.
        The savings of {t.friend} are @.
        {t.friend} adds @ to the savings.
    """)
    t.step("+", own, other).said(f"""
        Together {t.name} and {t.friend} have @.
        Their savings together are @.
        The two of them have saved @ in total.
    """)
    return True


def _shares_money(t: _Teller) -> bool:
    counts = t.divisors(3, 8)
    if not counts:
        return False
    k = t.dice.choice(counts)
    t.tell(f"{t.name} splits the money equally among {k} people.", f"The money is split among {k} people.")
    t.step("/", t.node, k).said(f"""
        Split among {k} people, each of them gets @.
        Each of the {k} people gets @.
        That is @ for every person.
    """)
    t.ask = "How many dollars does each person get?"
    return True


def _fuel(t: _Teller) -> bool:
    c = t.dice.choice((0.2, 0.25, 0.4, 0.5))
    if (_calculated("*", t.value(), c) * 100) % 100:
        return False
    t.tell(f"Every mile costs {t.name} {_price(c)} for fuel.", f"The fuel for one mile costs {_price(c)}.")
    t.kind = "money"
    t.step("*", t.node, c).said(f"""
        At {_price(c)} a mile the fuel costs {t.name} @.
        {t.name} spends @ on fuel for this.
        The fuel for all those miles is @.
    """)
    t.ask = f"How much does {t.name} pay for fuel, in dollars?"
    return True


def _detour(t: _Teller) -> bool:
    g = t.number(6, 90)
    t.tell(
        f"On the weekend {t.he} also drives {g} miles to visit {t.friend}.",
        f"The trip to {t.friend} adds {g} miles to the driving.",
    )
    t.step("+", t.node, g).said(f"""
        With the trip to {t.friend} that is @ miles.
        Adding the {g} miles of the weekend gives @ miles.
        Altogether {t.name} drives @ miles.
    """)
    return True


def _rest_of_book(t: _Teller) -> bool:
    whole = int(t.value()) + t.number(20, 300)
    t.tell(f"The novel has {whole} pages in all.", f"The whole novel has {whole} pages.")
    t.step("-", whole, t.node).said(f"""
        That leaves @ pages that {t.name} has not read yet.
        Of the {whole} pages {t.he} still has to read @ pages.
        The pages that are left come to @.
    """)
    t.ask = f"How many pages does {t.name} still have to read?"
    return True


def _second_book(t: _Teller) -> bool:
    a, b = t.number(3, 9), t.number(6, 30)
    t.tell(
        f"{t.he.capitalize()} also reads {a} short stories of {b} pages each.", f"Each of the {a} short stories has {b} pages."
    )
    rest = t.node
    more = t.step("*", a, b).said(f"""
        The {a} short stories have @ pages.
        {t.name} reads another @ pages of short stories.
        The short stories add @ pages.
    """)
    t.step("+", rest, more).said(f"""
        Altogether {t.name} reads @ pages.
        That makes @ pages in total.
        With the novel that is @ pages.
    """)
    return True


_OPENINGS: tuple[Callable[[_Teller], None], ...] = (
    _buys_packs,
    _every_day,
    _two_days,
    _two_people,
    _rows,
    _wages,
    _two_jobs,
    _commute,
    _reading,
)
_TURNS: dict[str, tuple[tuple[int, Callable[[_Teller], bool]], ...]] = {  # by kind: how many calculations, and the turn
    "things": (
        (1, _gives),
        (2, _gives_friends),
        (1, _finds),
        (2, _buys_more),
        (1, _loses_half),
        (3, _percent_bad),
        (2, _times_as_many),
        (1, _sells_each),
        (2, _sells_packs),
        (1, _into_packs),
    ),
    "money": ((1, _spends), (2, _buys_items), (1, _more_weeks), (1, _gift), (2, _half_as_much), (1, _shares_money)),
    "miles": ((1, _more_weeks), (1, _fuel), (1, _detour)),
    "pages": ((1, _more_weeks), (1, _rest_of_book), (2, _second_book)),
}
_ASK = {
    "things": "How many {things} does {name} have in the end?",
    "money": "How much money does {name} have in the end, in dollars?",
    "miles": "How many miles does {name} drive in all?",
    "pages": "How many pages does {name} read in all?",
}
_STEPS = ((2, 3, 4, 5, 6), (30, 29, 21, 13, 7))  # numbers of calculations, and how often


def _story(dice: random.Random, steps: int) -> Story:
    t = _Teller(dice)
    dice.choice(_OPENINGS)(t)
    while (room := steps - len(_nodes(t.node))) > 0 and not t.ask:
        fitting = [turn for needs, turn in _TURNS[t.kind] if needs <= room]
        if not dice.choice(fitting)(t):
            continue
    question = " ".join([*t.sentences, t.ask or _ASK[t.kind].format(things=t.things, name=t.name)])
    right = derive(t.node)
    style = dice.choice((0, 0, 1))
    answer = "\n".join([_sentence(line, dice, style) for line in right.lines] + [f"#### {right.answer}"])
    return Story(question, answer, right.answer, t.node, tuple(t.facts))


def stories(n: int, seed: int = 0, *, steps: tuple[int, ...] | None = None) -> list[Story]:
    """Return `n` different stories; the first ones are the same for every `n`. `steps` limits their calculations."""
    dice = random.Random(f"stories:{seed}")
    numbers, weights = zip(*[(s, w) for s, w in zip(*_STEPS, strict=True) if steps is None or s in steps], strict=True)
    told: dict[str, Story] = {}
    while len(told) < n:
        story = _story(dice, dice.choices(numbers, weights)[0])
        told.setdefault(story.question, story)
    return list(told.values())


# -- sampling answers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Habits:
    """How the samples behave; the defaults give the counts that the paper reports for one model of 7B."""

    spread: float = 1.6  # of the questions' difficulty (standard deviation of the log odds)
    favour: float = 2.4  # how strongly the likeliest path is favoured: the r-th has the weight r ** -favour
    paths: int = 30  # paths of right answers that a question has at most
    wrong_paths: int = 24
    repeats: float = 0.06  # samples that are an earlier text again
    odd: float = 0.06  # right answers with a flaw: a wrong calculation, no ####, "#### $18"
    bare: float = 0.01  # samples without any << >>


DEFAULT = Habits()
_CONNECTORS = ("So ", "Then ", "Next, ", "Now ", "Thus, ", "This means ")


def _calculation(line: Line, style: int) -> str:
    left, right, sign = line.left, line.right, "$" if line.money else ""
    if style == 0:
        return f"{left}={sign}<<{left}={right}>>{right}"
    if style == 1:
        return f"{_spaced(left)} = {sign}<<{left}={right}>>{right}"
    if style == 2:
        return f"{_spaced(left).replace('*', 'x')} = {sign}<<{left}={right}>>{right}"
    if style == 3:
        return f"{left} = <<{_spaced(left)} = {right}>>{sign}{right}"
    return f"{_spaced(left)} = {sign}{right}"


_SPACED = str.maketrans({"+": " + ", "*": " * ", "/": " / ", "-": " - "})


def _spaced(expression: str) -> str:
    return expression if "(-" in expression or expression[0] == "-" else expression.translate(_SPACED)


_STYLES = (0.5, 0.75, 0.92, 1.0)  # how often each way of writing, added up


def _after(lead: str, before: str) -> str:
    """Return what stands before a calculation, led in by "So " or the like: only names keep their capital then."""
    word, space, rest = before.partition(" ")
    return lead + (before if word in _NAMES else word.lower() + space + rest)


def _sentence(line: Line, dice: random.Random, style: int) -> str:
    before, after = line.says[int(len(line.says) * dice.random())]
    if line.fact and dice.random() < 0.8:
        before = _after(f"{line.fact}, so ", before)
    return before + _calculation(line, style) + after


def _varied(root: Node, dice: random.Random, rate: float) -> Derivation:
    """Return the derivation of `root` with some of its parts turned round, merged, split or in another order."""
    uses: dict[int, int] = {}
    for node in _nodes(root):
        for part in (node.left, node.right):
            if isinstance(part, Node):
                uses[id(part)] = uses.get(id(part), 0) + 1
    made: dict[int, Node | Number] = {}
    inside: set[int] = set()
    late: set[int] = set()
    roll = dice.random

    def plain(op: str, left: Node | Number, right: Node | Number, money: bool) -> Node:
        return Node(op, left, right, _PLAIN_SAYS[op], money)

    def change(node: Node | Number) -> Node | Number:
        if not isinstance(node, Node):
            return node
        if (known := made.get(id(node))) is not None:
            return known
        left, right = change(node.left), change(node.right)
        op, money, says = node.op, node.money, node.says
        new: Node | Number | None = None
        alone = isinstance(left, Node) and uses.get(id(node.left), 0) == 1
        if roll() < rate / 2:
            if op == "/" and right == 100 and isinstance(left, int):
                new = left / 100  # 20% is 0.2 without a word
            elif op == "*" and right == 2:
                new = Node("+", left, left, says, money, node.fact)
            elif op == "/" and right == 2:
                new = Node("*", left, 0.5, says, money, node.fact)
            elif op == "*" and isinstance(right, int) and right > 3 and right % 2 == 0:
                new = Node("*", plain("*", left, right // 2, money), 2, says, money)
            elif op == "+" and alone and isinstance(left, Node) and left.op == "+":
                new = Node("+", left.left, plain("+", left.right, right, money), says, money)
            elif op == "-" and alone and isinstance(left, Node) and left.op == "-":
                new = Node("-", left.left, plain("+", left.right, right, money), says, money)
            elif op == "*" and alone and isinstance(left, Node) and left.op == "*":
                new = Node("*", left.left, plain("*", left.right, right, money), says, money)
            elif op == "*" and alone and isinstance(left, Node) and left.op == "+":
                parts = (plain("*", left.left, right, money), plain("*", left.right, right, money))
                new = Node("+", *parts, says, money)
        if new is None:
            if op in "+*" and roll() < rate:
                left, right = right, left
            new = Node(op, left, right, says, money, node.fact)
        made[id(node)] = new
        if isinstance(new, Node):
            if node is not root and uses[id(node)] == 1 and roll() < rate * 0.6:
                inside.add(id(new))
            if isinstance(new.left, Node) and isinstance(new.right, Node) and roll() < rate:
                late.add(id(new))
        return new

    changed = change(root)
    assert isinstance(changed, Node)
    # A calculation that is used twice has a line of its own, or it would be written twice.
    used = [id(part) for node in _nodes(changed) for part in (node.left, node.right) if isinstance(part, Node)]
    return derive(changed, frozenset(i for i in inside if used.count(i) == 1), frozenset(late))


def _mistaken(root: Node, dice: random.Random) -> Derivation:
    """Return a derivation with one mistake: a misread number, a wrong operation, a step left out, a wrong calculation."""
    nodes = _nodes(root)
    at, kind = dice.choice(nodes), dice.random()
    made: dict[int, Node | Number] = {}

    def copy(node: Node | Number) -> Node | Number:
        if not isinstance(node, Node):
            return node
        if id(node) not in made:
            op, left, right = node.op, copy(node.left), copy(node.right)
            if node is at and kind < 0.35:
                op = dice.choice([other for other in "+-*/" if other != op])
            elif node is at and kind < 0.65:
                if isinstance(right, Node):
                    left = misread(left)
                else:
                    right = misread(right)
            elif node is at and kind < 0.8:
                made[id(node)] = left if isinstance(left, Node) else right if isinstance(right, Node) else misread(right)
                return made[id(node)]
            made[id(node)] = Node(op, left, right, node.says, node.money, node.fact)
        return made[id(node)]

    def misread(number: Node | Number) -> Node | Number:
        return number if isinstance(number, Node) else max(1, int(number) + dice.choice((-10, -2, -1, 1, 2, 3, 10)))

    changed = copy(root)
    if not isinstance(changed, Node):
        return derive(root, slip=(id(root), dice.choice((-10, -1, 1, 2, 10))))
    slipping = made.get(id(at)) if kind >= 0.8 else None
    slip = (id(slipping), dice.choice((-10, -2, -1, 1, 2, 10, 100))) if isinstance(slipping, Node) else (0, 0)
    return derive(changed, slip=slip)


def _flawed(right: Derivation, dice: random.Random) -> Derivation:
    """Return `right` with one wrong result inside its << >>, though all goes on as if it were right."""
    lines = list(right.lines)
    at = int(dice.random() * len(lines))
    line = lines[at]
    # The text after the brackets belongs to the line too, so the wrong number stands there as well.
    lines[at] = line._replace(right=written(int(float(line.right)) + dice.choice((-1, 1, 2, 10))))
    return right._replace(lines=tuple(lines))


class _Pool(NamedTuple):
    """Derivations, and how likely each of them is (added up, of 1)."""

    derivations: list[Derivation]
    bounds: list[float]

    def pick(self, roll: float) -> Derivation:
        return self.derivations[min(bisect(self.bounds, roll), len(self.derivations) - 1)]


def _pool(derivations: list[Derivation], favour: float) -> _Pool:
    weights = list(accumulate((rank + 1) ** -favour for rank in range(len(derivations))))
    return _Pool(derivations, [weight / weights[-1] for weight in weights])


def _right_pool(story: Story, dice: random.Random, habits: Habits) -> _Pool:
    found: dict[str, Derivation] = {}
    if dice.random() < 0.8:  # mostly the way of the human solution is the likeliest one
        first = derive(story.root)
        found[first.path] = first
    for attempt in range(2 * habits.paths):
        other = _varied(story.root, dice, 0.15 + 0.5 * attempt / (2 * habits.paths))
        if other.answer == story.gold:
            found.setdefault(other.path, other)
        if len(found) == habits.paths:
            break
    if not found:
        found[""] = derive(story.root)
    return _pool(list(found.values()), habits.favour)


def _wrong_pool(story: Story, dice: random.Random, habits: Habits) -> _Pool:
    found: dict[str, Derivation] = {}
    for _ in range(2 * habits.wrong_paths):
        try:
            other = _mistaken(story.root, dice)
        except ZeroDivisionError:
            continue
        if other.answer != story.gold:
            found.setdefault(other.path, other)
        if len(found) == habits.wrong_paths:
            break
    if not found:
        found[""] = derive(story.root, slip=(id(story.root), 1))
    return _pool(list(found.values()), 1.0)


def _chance(story: Story, skill: float, habits: Habits) -> float:
    """Return how likely a sample is right: `skill` on average over questions, of which some are hard and some easy."""
    difficulty = statistics.NormalDist(0, habits.spread).inv_cdf(
        min(max(random.Random(story.question).random(), 1e-9), 1 - 1e-9)
    )
    centre = math.log(skill / (1 - skill)) * math.sqrt(1 + math.pi * habits.spread**2 / 8)
    return 1 / (1 + math.exp(difficulty - centre))


def completions(question: Story, n: int, skill: float = 0.537, seed: int = 0, habits: Habits = DEFAULT) -> list[str]:
    """Return `n` samples for a question, of which a share of about `skill` is right over many questions (a little less by
    the rules of the paper's script).

    The same arguments always give the same texts; another `seed` is another model, with other favourite paths.
    """
    dice = random.Random(f"{seed}:{question.question}")
    chance = _chance(question, min(max(skill, 0.001), 0.999), habits)
    right, wrong = _right_pool(question, dice, habits), _wrong_pool(question, dice, habits)
    roll = dice.random
    texts: list[str] = []
    for _ in range(n):
        if texts and roll() < habits.repeats:
            texts.append(texts[int(roll() * len(texts))])
        elif roll() < chance:
            texts.append(_right_text(question, right.pick(roll()), dice, habits))
        else:
            texts.append(_wrong_text(question, wrong.pick(roll()), dice, habits))
    return texts


def _right_text(story: Story, derivation: Derivation, dice: random.Random, habits: Habits) -> str:
    kind = dice.random()
    if kind > habits.odd:
        text = _text(story, derivation, dice, habits)
        if kind < 1 - habits.odd:
            return f"{text}\n#### {derivation.answer}"
        # As right as the others, but not as tidy.
        ends = (f"#### {derivation.answer}\n", f"#### {_thousands(derivation.answer)}", f"#### {derivation.answer} in all")
        return f"{text}\n{dice.choice(ends)}"
    if kind < habits.odd / 2:
        return f"{_text(story, _flawed(derivation, dice), dice, habits)}\n#### {derivation.answer}"
    text = _text(story, derivation, dice, habits)
    if kind < habits.odd * 0.8:
        return f"{text}\n#### ${derivation.answer}"
    return text if kind < habits.odd * 0.9 else f"{text}\nThe answer is {derivation.answer}."


def _thousands(number: str) -> str:
    return f"{int(number):,}" if number.isdecimal() else number


def _wrong_text(story: Story, derivation: Derivation, dice: random.Random, habits: Habits) -> str:
    text, kind = _text(story, derivation, dice, habits), dice.random()
    if kind < 0.92:
        return f"{text}\n#### {derivation.answer}"
    if kind < 0.94:
        return text[: int(len(text) * (0.4 + 0.6 * dice.random()))]  # cut off at the greatest length
    if kind < 0.96:
        return f"{text}\n#### {derivation.answer}\n\nQuestion: {story.facts[0]}"
    return text if kind < 0.98 else f"{text}\n#### ${derivation.answer}"


def _text(story: Story, derivation: Derivation, dice: random.Random, habits: Habits) -> str:
    """Return the derivation in sentences."""
    roll = dice.random
    style = 4 if roll() < habits.bare else bisect(_STYLES, roll())
    sentences = []
    if roll() < 0.06:
        sentences.append(story.facts[int(roll() * len(story.facts))])
    for number, line in enumerate(derivation.lines):
        chosen = roll()
        # The first ways to say it are the likelier ones.
        before, after = line.says[int(len(line.says) * chosen * math.sqrt(chosen))]
        if line.fact and roll() < 0.7:
            before = _after(f"{line.fact}, so ", before)
        elif number and roll() < 0.3:
            before = _after(_CONNECTORS[int(6 * roll())], before)
        sentences.append(before + _calculation(line, style) + after)
    return ("\n" if roll() < 0.92 else " ").join(sentences)


# -- as files, and as a program ---------------------------------------------------------------------------------------


def json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Return each row as one line of JSON."""
    return (orjson.dumps(row) + b"\n" for row in rows)


def question_rows(told: list[Story]) -> Iterator[dict[str, Any]]:
    return ({"question": story.question, "answer": story.answer} for story in told)


def sample_rows(told: list[Story], n: int, model: str, skill: float, seed: int) -> Iterator[dict[str, Any]]:
    for story in told:
        for text in completions(story, n, skill, seed):
            yield {"question": story.question, "completion": text, "model": model}


EXAMPLE_MODELS = (("small", 0.35, 1), ("medium", 0.537, 2), ("large", 0.72, 3))  # name, skill, seed


def write_examples(folder: Path) -> None:
    """Write the data of the examples: questions and test questions, and three models' samples for each."""
    folder.mkdir(parents=True, exist_ok=True)
    told = stories(180, seed=1, steps=(2, 3, 4))
    for prefix, part, n in (("", told[:120], 12), ("test-", told[120:], 8)):
        (folder / f"{prefix}questions.jsonl").write_bytes(b"".join(json_lines(question_rows(part))))
        for name, skill, seed in EXAMPLE_MODELS:
            rows = sample_rows(part, n, f"demo-{name}", skill, seed)
            (folder / f"{prefix}samples-{name}.jsonl").write_bytes(b"".join(json_lines(rows)))


def measure(questions: int, samples: int) -> dict[str, float]:
    """Return what is in generated data of that size, read as the paper's script reads it, and the seconds it took to make."""
    import polars as pl

    from eval.grading.grade import grade
    from eval.grading.rules import PAPER

    started = time.process_time()
    told = stories(questions)
    seconds = time.process_time() - started
    counts: dict[str, list[float]] = {"right": [], "accepted": [], "paths": [], "texts": [], "length": []}
    for story in told:
        started = time.process_time()
        texts = completions(story, samples)
        seconds += time.process_time() - started
        graded = grade(pl.DataFrame({"response": texts, "gold": [story.gold] * samples}), PAPER, tolerance=0.0)
        right = graded.filter("right_answer")
        accepted = right.filter(~pl.col("bad_equation"))
        found = (right.height, accepted.height, accepted["path"].n_unique(), right["response"].n_unique(), sum(map(len, texts)))
        for name, value in zip(counts, found, strict=True):
            counts[name].append(value)
    return {
        "questions": questions,
        "samples": questions * samples,
        "seconds_to_make": round(seconds, 1),
        "solution_length": round(statistics.mean(len(story.answer) for story in told), 1),
        "equations_in_solution": round(statistics.mean(story.answer.count("<<") for story in told), 2),
        "sample_length": round(sum(counts["length"]) / (questions * samples), 1),
        "right": int(sum(counts["right"])),
        "right_share": round(sum(counts["right"]) / (questions * samples), 4),
        "accepted": int(sum(counts["accepted"])),
        "paths": int(sum(counts["paths"])),
        "paths_per_question": round(statistics.mean(counts["paths"]), 2),
        "distinct_share_of_right_texts": round(sum(counts["texts"]) / max(sum(counts["right"]), 1), 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Make word problems and samples, or say what is in them.")
    parser.add_argument("--examples", type=Path, metavar="FOLDER", help="write the data of the examples and stop")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the data is not what it should be")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.examples:
        write_examples(given.examples)
        return 0
    facts = measure(given.questions, given.samples)
    print(
        orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode()
        if given.json
        else "\n".join(f"{k}: {v}" for k, v in facts.items())
    )
    sound = abs(facts["right_share"] - 0.52) < 0.03 and 4.5 < facts["paths_per_question"] < 8 and facts["seconds_to_make"] < 90
    if given.check and not sound:
        print("not as stated: 52 of 100 right, 4.5 to 8 paths for each question, made in 90 s", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
