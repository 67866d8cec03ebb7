"""Random, well-typed PromQL that Prometheus 2.42 and 3.x must answer alike.

What 3.x changed on purpose is avoided, written in two ways (Dialects), or explained afterwards (promql_explain), each
place with its reason. The ends of ranges: 2.42 takes both, 3.x leaves the left one out. No sample and no subquery
step lies on a left end: every context carries the milliseconds within the second at which it is evaluated.
"""

import random
from dataclasses import replace

from promql_data import INF
from promql_functions import Functions
from promql_operators import Operators
from promql_selectors import Selectors
from promql_tree import CLOSE, COMPARISONS, Context, Dialects, EXACT, LOOSE, Node, P_ATOM, P_MUL, Query, quoted


class Generator(Selectors, Functions, Operators):
    """An endless stream of queries over a data set; the same seed gives the same stream."""

    COST = 400_000  # samples that an expression may read

    def __init__(self, dataset, seed, lookback, max_depth=4):
        self.data = dataset
        self.lookback = lookback  # ms, of both servers
        self.rng = random.Random(f"queries {seed} {dataset.name}")
        self.max_depth = max_depth

    # -- the whole query

    def query(self):
        rng = self.rng
        span = self.data.end - self.data.start
        while True:
            at = self.data.start + int(span * rng.uniform(0.2, 1.0)) + (rng.randrange(-200, 500) * 1000
                                                                       if rng.random() < 0.15 else 0)
            # At times upon a sample: the right end of a window.
            frac = rng.choice([137, 137, 0, 500, rng.randrange(1000), rng.choice(sorted(self.data.fractions))])
            at = at - at % 1000 + frac
            if rng.random() < 0.5:
                start, end, step, kind = at, at, 0, "instant"
            else:
                step = rng.choice([1000, 7000, 15_000, 15_000, 30_000, 60_000, 61_000, 137_000, 500, 2250,
                                   rng.randrange(1, 30_000)])
                count = rng.choice([1, 2, 5, 10, 10, 20, 40, 40, 150])
                start, end, kind = at - step * (count - 1), at, "range"
                if rng.random() < 0.3:
                    end += rng.randrange(step)
                start = max(start, self.data.start - 600_000 + frac - self.data.start % 1000)
                if end < start:
                    continue
            evals = 1 if step == 0 else (end - start) // step + 1
            fracs = frozenset((start + step * n) % 1000 for n in range(min(evals, 1000)))
            ctx = Context(start, end, fracs, evals, kind == "range", query=(start, end), lookback=self.lookback)
            node = self.root(ctx, rng.choice([1, 2, 2, 3, 3, 4][:self.max_depth + 2]))
            if node is not None:
                noise = rng.randrange(1, 1 << 30) if rng.random() < 0.15 else 0
                return Query(node, kind, start, end, step, noise)

    def root(self, ctx, depth):
        rng = self.rng
        pick = rng.random()
        if pick < 0.06:
            return self.scalar(ctx, depth)
        if pick < 0.10 and not ctx.range_query:
            return self.matrix(ctx, depth)
        if pick < 0.105 and not ctx.range_query:
            return Node("string", (quoted(rng, rng.choice(["", "a b", "größe", 'q"\\', "<&>"])),), op="string")
        if pick < 0.20:
            return self.loose(ctx, depth)
        if pick < 0.24:
            return self.sorted(ctx, depth)
        return self.vector(ctx, depth)

    def sorted(self, ctx, depth):
        child = self.vector(ctx, depth - 1)
        if child.near != EXACT:
            return child
        name = self.rng.choice(["sort", "sort_desc"])
        return replace(child, parts=(name, "(", child, ")"), prec=P_ATOM, op="sort")

    # -- vectors

    def vector(self, ctx, depth):
        """Any instant vector that is EXACT or CLOSE."""
        rng = self.rng
        for _ in range(60):
            if depth <= 0:
                node = self.selector(ctx)
            else:
                make = rng.choices(
                    [self.selector, self.function, self.over_time, self.binary, self.aggregate,
                     self.quantile_of_buckets, self.label_function, self.absence, self.minus, self.date,
                     self.of_scalar, self.grouped_join],
                    [6, 16, 24, 20, 18, 4, 6, 2, 2, 2, 2, 4])[0]
                node = self.selector(ctx) if make == self.selector else make(ctx, depth)
            if node is not None and node.near != LOOSE and node.type == "vector":
                return self.parens(node) if rng.random() < 0.03 else node
        return self.selector(ctx, plain=True) or Node("vector", ("vector(1)",), bound=1.0, grain=1.0, nonneg=True,
                                                      minus_zero=False)

    def of_scalar(self, ctx, depth):
        child = self.scalar(ctx, depth - 1)
        return replace(child, type="vector", parts=("vector(", child, ")"), prec=P_ATOM, op="vector",
                       labels=frozenset())

    # -- scalars

    def number(self, dyadic=None, odd=0.04):
        """A number literal."""
        rng = self.rng
        if rng.random() < odd:
            text = rng.choice(["NaN", "Inf", "+Inf", "-Inf", "0", "1e300", "1e-300"])
            value = float(text)
            return Node("scalar", (text,), bound=abs(value) if value == value and abs(value) != INF else INF,
                        minus_zero=False, op="number", nonneg=value == value and value >= 0, special=True,
                        prec=P_MUL if text[0] in "+-" else P_ATOM)
        if dyadic is None:
            dyadic = rng.random() < 0.6
        if dyadic:
            value = rng.choice([0, 1, 1, 2, 2, 3, 4, 5, 7, 10, 60, 100, 0.5, 0.25, 1.5, 1000])
            texts = [repr(value), repr(float(value))]
            texts += [hex(value)] if isinstance(value, int) and value < 1000 else []
            text = rng.choice(texts[:2] if rng.random() < 0.9 else texts)
        else:
            value = round(rng.choice([rng.uniform(0, 1), rng.uniform(0, 100), rng.uniform(0, 1e5)]), 4)
            text = repr(value)
        negative = rng.random() < 0.15 and value
        return Node("scalar", (("-" if negative else "") + text,), bound=abs(value), grain=0.25 if dyadic else 0.0,
                    nonneg=not negative, minus_zero=False, op="number", prec=P_MUL if negative else P_ATOM)

    def scalar(self, ctx, depth):
        rng = self.rng
        for _ in range(20):
            pick = rng.random()
            if depth <= 1 or pick < 0.35:
                if rng.random() < 0.15:
                    name = rng.choice(["time()", "pi()"])
                    return Node("scalar", (name,), bound=2e9, nonneg=True, minus_zero=False, op=name)
                return self.number()
            if pick < 0.6:
                child = self.vector(ctx, depth - 1)
                if rng.random() < 0.7 and child.near != LOOSE:
                    child = self.aggregate(ctx, depth - 1, simple=True) or child
                if child.near == LOOSE:
                    continue
                return replace(child, type="scalar", parts=("scalar(", child, ")"), prec=P_ATOM, op="scalar",
                               labels=frozenset(), many_names=False)
            node = self.unary(self.scalar(ctx, depth - 1), ctx) if pick < 0.68 else self.binary_of(
                self.scalar(ctx, depth - 1), self.scalar(ctx, depth - 1), rng.choice(
                    ["+", "-", "*", "/", "%", "^", "atan2", *COMPARISONS]), ctx, force_bool=True)
            if node is not None:
                return node
        return self.number()

    # -- what only the root may hold

    def loose(self, ctx, depth):
        """What only the root may hold: answers whose terms may cancel, and topk with ties."""
        rng = self.rng
        pick = rng.random()
        if pick < 0.25:
            child = self.vector(ctx, depth - 1)
            if child.near != EXACT:
                return child
            grouping, labels = self.grouping(child)
            name = rng.choice(["topk", "bottomk"])
            k = rng.choice(["1", "2", "3", "5", "100", "0", "2.9"])
            return replace(child, parts=self.aggregated(name, child, grouping, (k, ", ")), prec=P_ATOM, op="topk")
        if pick < 0.4:
            return self.trigonometry(ctx, depth)
        if pick < 0.47:
            return self.any_rate(ctx, depth)
        if pick < 0.5:
            return self.overflowing(ctx, depth)
        if pick < 0.6:
            child = self.matrix(ctx, depth, accept=lambda n: n.near == EXACT)
            if child is None:
                return None
            size = self.ranged(child, ("(abs(max_over_time(", child, ") / 2) + abs(min_over_time(", child, ") / 2))"))
            return self.ranged(child, ("avg_over_time(", child, ")"), near=LOOSE, scale=size)
        child = self.vector(ctx, depth - 1)
        grouping, labels = self.grouping(child)
        if "__name__" in grouping:
            return child
        if pick < 0.85:
            name = rng.choice(["sum", "avg"])
            size = replace(child, parts=self.aggregated("max", replace(child, parts=("abs(", child, ")")), grouping))
            return replace(child, parts=self.aggregated(name, child, grouping), near=LOOSE, scale=size,
                           prec=P_ATOM, op=name, labels=labels)
        name = rng.choice(["stddev", "stdvar"])
        aggregated = self.plain(name, child, grouping)
        # A group of one NaN or infinity: 2.42 says 0, 3.x NaN. Anything else that is not finite is NaN to both.
        two = ("((",) + aggregated + (") + 0 * (",) + self.plain("sum", child, grouping) + ("))",)
        squares = replace(child, parts=("(", child, ") ^ 2"))
        size = replace(child, parts=self.plain("max", squares, grouping))
        return replace(child, parts=(Dialects(two, aggregated),), near=LOOSE, scale=size, prec=P_ATOM, op=name,
                       labels=labels)

    def any_rate(self, ctx, depth):
        """rate and kin of anything. 3.x extrapolates otherwise than 2.42 (see promql_explain), hence below nothing."""
        name = self.rng.choice(["rate", "rate", "increase"])
        child = self.matrix(ctx, depth, accept=lambda n: n.near == EXACT and not n.many_names)
        return child and replace(child, type="vector", parts=(name + "(", child, ")"), near=EXACT, prec=P_ATOM, op=name)

    def overflowing(self, ctx, depth):
        """Sums of squares and products that may overflow (see promql_explain), hence below nothing."""
        child = self.matrix(ctx, depth, want=lambda m: m.special, accept=lambda n: n.near == EXACT and n.special)
        name = self.rng.choice(["stddev_over_time", "stdvar_over_time", "deriv"])
        return child and replace(child, type="vector", parts=(name + "(", child, ")"), near=EXACT, prec=P_ATOM, op=name)

    def trigonometry(self, ctx, depth):
        child = self.vector(ctx, depth - 1)
        if child.near != EXACT:
            return child
        name = self.rng.choice(["sin", "cos", "tan", "log2", "log10"])
        # Reduced by multiples of pi in different ways; the logarithms add the exponent in Go.
        scale = {"tan": lambda v: 1 + v * v}.get(name, lambda v: 1 + abs(v))
        if name.startswith("log") and child.tiny:
            return child  # as with ln
        if name in ("sin", "cos", "tan") and child.bound > 1e6:
            child = replace(child, parts=("clamp(", child, ", -1000, 1000)"), many_names=False)
        return replace(child, parts=(name, "(", child, ")"), near=LOOSE, scale=scale, prec=P_ATOM, op=name)
