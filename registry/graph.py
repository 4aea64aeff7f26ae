"""Things that were made from others, or will be: the graph that plans, removals, pictures and pulls walk.

    Graph({"b": ["a"], "c": ["a", "b"]}).order()   ->   ["a", "b", "c"]

No walk recurses: a chain of thousands must not end Python.
"""

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Cycle(Exception):
    """Something was made from itself; `ring` is the way round, its first node at its end again."""

    def __init__(self, ring: Sequence[Any]) -> None:
        super().__init__(" -> ".join(map(str, ring)))
        self.ring = ring


@dataclass(frozen=True)
class Graph(Generic[T]):
    """`inputs`: of each node, what it was made from; what is no node itself is passed over."""

    inputs: Mapping[T, Sequence[T]]

    def order(self, *starts: T) -> list[T]:
        """Return all nodes, or those that `starts` were made from and they, inputs first; else in the order they came in.

        Raises Cycle.
        """
        done: dict[T, None] = {}
        for start in starts or self.inputs:
            stack: list[tuple[T, bool]] = [(start, False)]
            within: dict[T, None] = {}
            while stack:
                node, leave = stack.pop()
                if leave:
                    within.pop(node)
                    done[node] = None
                elif node in within:
                    raise Cycle([*list(within)[list(within).index(node) :], node])
                elif node not in done and node in self.inputs:
                    within[node] = None
                    stack.append((node, True))
                    stack += [(given, False) for given in reversed(self.inputs[node])]
        return list(done)

    def nearest(self, start: T) -> list[T]:
        """Return a node and all nodes that it was made from, nearest first."""
        found = {start: None}
        waiting = deque(found)
        while waiting:
            new = [
                given for given in dict.fromkeys(self.inputs[waiting.popleft()]) if given in self.inputs and given not in found
            ]
            found.update(dict.fromkeys(new))
            waiting += new
        return list(found)

    @cached_property
    def users(self) -> dict[T, list[T]]:
        """What was made directly from each thing, nodes or not."""
        users: dict[T, list[T]] = {}
        for node, given in self.inputs.items():
            for source in dict.fromkeys(given):
                users.setdefault(source, []).append(node)
        return users

    def below(self, node: T) -> set[T]:
        """Return everything that was made from a node, directly or not."""
        found: set[T] = set()
        stack = [node]
        while stack:
            new = [user for user in self.users.get(stack.pop(), ()) if user not in found]
            found.update(new)
            stack += new
        return found
