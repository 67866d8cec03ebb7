"""The tree of a random PromQL query, and how it becomes text.

Each node knows how near two correct engines must come to each other on it:

  EXACT  the same operations on the same doubles in the same order: equal to the bit;
  CLOSE  the order of additions, or the library behind exp and ln, may differ: equal within 1e-12;
  LOOSE  as CLOSE, but sums may cancel: equal within 1e-12 of the size of what was added. Only at the root.

A function that turns a rounding error into another answer (floor, ==, changes, topk ...) takes EXACT operands
only. So that sums do not end that road, values that are multiples of a power of two (`grain`) stay EXACT through
sums: no addition of them rounds.
"""

import random
import re
from dataclasses import dataclass, replace

from promql_data import INF

EXACT, CLOSE, LOOSE = range(3)

# Binding strengths, as in the grammar.
P_OR, P_AND, P_COMPARE, P_ADD, P_MUL, P_POW, P_ATOM = range(1, 8)
PRECEDENCE = {
    "or": P_OR, "and": P_AND, "unless": P_AND,
    "==": P_COMPARE, "!=": P_COMPARE, "<": P_COMPARE, "<=": P_COMPARE, ">": P_COMPARE, ">=": P_COMPARE,
    "+": P_ADD, "-": P_ADD, "*": P_MUL, "/": P_MUL, "%": P_MUL, "atan2": P_MUL, "^": P_POW,
}
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Dialects:
    """Text that differs between 2.42 and 3.x."""

    two: tuple
    three: tuple


@dataclass(eq=False)
class Node:
    type: str  # scalar, vector, matrix, string
    parts: tuple  # of str, Node, Dialects
    near: int = EXACT
    bound: float = INF  # no finite value is larger
    grain: float = 0.0  # values are multiples of this power of two; 0: not known
    nonneg: bool = False  # no value is below 0 or is -0
    minus_zero: bool = True  # a value may be -0
    labels: frozenset = frozenset()
    many_names: bool = False  # series of several metric names
    distinct: bool = False  # no two values are equal
    prec: int = P_ATOM
    scale: object = None  # LOOSE: a node with the size of what was added, or a function of the value
    op: str = ""
    series: int = 1
    special: bool = False  # may hold NaN, infinities or numbers near the end of the range
    tiny: bool = False  # may hold subnormal numbers
    window: tuple = ()  # of a range vector: its length, and the time of @ or how much earlier than the query it ends

    def text(self, version):
        return text_of(self.parts, version)

    def nodes(self):
        """All nodes of the tree, this one first."""
        yield self
        for part in self.parts:
            inside = part.three if isinstance(part, Dialects) else (part,)
            for child in inside:
                if isinstance(child, Node):
                    yield from child.nodes()

    @property
    def dyadic(self):
        """Whether sums of it are exact."""
        return (self.grain > 0 and not self.minus_zero and self.near == EXACT
                and self.bound * 4096 / self.grain < 2.0 ** 52)


def text_of(parts, version):
    out = []
    for part in parts:
        if isinstance(part, Dialects):
            out.append(text_of(part.two if version == 2 else part.three, version))
        elif isinstance(part, Node):
            out.append(part.text(version))
        else:
            out.append(part)
    return "".join(out)


@dataclass(frozen=True)
class Context:
    """When an expression is evaluated: from lo to hi, `evals` times, at `fracs` ms within the second."""

    lo: int
    hi: int
    fracs: frozenset
    evals: int
    range_query: bool
    nested: bool = False
    query: tuple = ()  # start and end of the query
    lookback: int = 0


@dataclass
class Query:
    node: Node
    kind: str  # instant, range
    start: int
    end: int
    step: int
    noise: int = 0  # seed of blanks, comments and upper-case words

    def text(self, version):
        text = self.node.text(version)
        return noisy(random.Random(self.noise), text) if self.noise else text

    def with_node(self, node):
        return replace(self, node=node)


def quoted(rng, text):
    style = rng.random()
    if style < 0.15 and "`" not in text:
        return "`" + text + "`"
    if style < 0.4 and "'" not in text:
        return "'" + text.replace("\\", "\\\\").replace("\n", "\\n") + "'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def duration(rng, ms):
    """Units only: 2.42 knows no numbers as durations."""
    if ms % 1000 or rng.random() < 0.5:
        out = ""
        for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
            if ms >= size:
                out += f"{ms // size}{unit}"
                ms %= size
        return out or "0s"
    return f"{ms // 1000}s"


def seconds(ms):
    return f"{ms // 1000}" + (f".{ms % 1000:03d}" if ms % 1000 else "")


REGEX_SPECIAL = set("\\.+*?()|[]{}^$")


def regex_quote(text):
    return "".join("\\" + c if c in REGEX_SPECIAL else c for c in text)


# Words that may be written in any case, outside braces; `quantile` is a label's name, too.
KEYWORDS = {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "by",
            "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "and", "or", "unless", "atan2",
            "start", "end", "inf", "nan"}
TOKEN = re.compile(r"""\s+ | `[^`]*` | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \[[^]]*\] | [A-Za-z_:][\w:]*
                       | [0-9.][\w.]*(?:(?<=[eE])[+-]\d+)? | [=!<>]=|=~|!~ | .""", re.X | re.S)


def noisy(rng, text):
    """The same expression in other words: blanks, line ends and comments between tokens, keywords in upper case."""
    out, depth = [], 0
    for token in TOKEN.findall(text):
        depth += (token == "{") - (token == "}")
        if token.lower() in KEYWORDS and not depth and rng.random() < 0.3:
            token = token.upper() if rng.random() < 0.7 else token.capitalize()
        out.append(token)
        if rng.random() < 0.15:
            out.append(rng.choice([" ", "  ", "\t", "\n", "\r\n"]))
        elif not depth and rng.random() < 0.02:
            out.append(rng.choice(["# comment\n", " #) \"\n"]))
    return "".join(out)
