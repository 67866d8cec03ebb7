"""Functions of PromQL over random arguments."""

from dataclasses import replace

from promql_data import INF, Metric
from promql_tree import CLOSE, Dialects, EXACT, LOOSE, Node, P_ATOM, quoted


class Functions:
    """A part of Generator."""

    def function(self, ctx, depth):
        rng = self.rng
        child = self.vector(ctx, depth - 1)
        name = rng.choice(["abs", "ceil", "floor", "sgn", "sqrt", "round", "round", "clamp", "clamp_min", "clamp_max",
                           "exp", "ln", "deg", "rad", "acos", "asin", "atan", "sinh", "cosh", "tanh", "asinh", "acosh",
                           "atanh", "timestamp", "timestamp", "sort", "sort_desc", "histogram"])
        done = dict(prec=P_ATOM, op=name, distinct=False, many_names=False)
        if name == "timestamp":
            if rng.random() < 0.7:
                # 2.42 forgets the offset of a selector that has both @ and offset.
                child = self.selector(ctx) or child
                if child.op == "selector" and all(any(w in part for part in child.parts) for w in ("@", "offset")):
                    return None
            elif child.op in ("selector", "parens"):
                return None  # parentheses around a selector matter to 2.42 only
            return replace(child, parts=("timestamp(", child, ")"), near=EXACT, bound=2e9, grain=0.0, nonneg=True,
                           minus_zero=False, **done)
        if name in ("sort", "sort_desc"):
            return replace(child, parts=(name, "(", child, ")"), **{**done, "many_names": child.many_names})
        if name == "histogram":
            # Of floats nothing comes; 3.x takes a fraction of classic buckets, too.
            if "le" in child.labels:
                return None
            name = rng.choice(["histogram_count(", "histogram_sum(", "histogram_fraction(0, 0.5, "])
            return replace(child, parts=(name, child, ")"), near=EXACT, **done)
        if name in ("clamp", "clamp_min", "clamp_max"):
            return self.clamp(name, child, ctx, depth, done)
        parts = (name, "(", child, ")")
        if name == "ln" and child.tiny:
            return None  # Go's logarithm of a subnormal number is wrong: -709 for 5e-324, which is -744
        if name == "abs":
            return replace(child, parts=parts, nonneg=True, minus_zero=False, **done)
        if name == "sqrt":
            return replace(child, parts=parts, grain=0.0, minus_zero=child.minus_zero, **done)
        if name in ("deg", "rad"):
            return replace(child, parts=parts, grain=0.0, bound=INF, **done)
        if child.near != EXACT:
            return None
        if name == "sgn":
            return replace(child, parts=parts, bound=1.0, grain=1.0, **done)
        if name == "floor":
            return replace(child, parts=parts, bound=child.bound + 1, grain=1.0 if child.grain else 0.0, **done)
        if name == "ceil":
            return replace(child, parts=parts, bound=child.bound + 1, grain=1.0 if child.grain else 0.0,
                           minus_zero=not child.nonneg, **done)
        if name == "round":
            if rng.random() < 0.5:
                return replace(child, parts=parts, bound=child.bound + 1, grain=1.0 if child.grain else 0.0,
                               minus_zero=not child.nonneg, **done)
            to = self.scalar(ctx, depth - 1)
            if to.near != EXACT:
                return None
            return replace(child, parts=("round(", child, ", ", to, ")"), bound=INF, grain=0.0, minus_zero=True,
                           nonneg=child.nonneg and to.nonneg, special=True, **done)
        # The rest is exp, ln and kin: Go's own library against the C library.
        if name in ("sinh", "cosh") and child.bound > 700:
            # Go halves exp(x), which overflows before the result does.
            child = replace(child, parts=("clamp(", child, ", -700, 700)"))
            parts = (name, "(", child, ")")
        return replace(child, parts=parts, near=CLOSE, bound=INF, grain=0.0,
                       nonneg=name in ("exp", "cosh", "acosh", "acos"), minus_zero=True, special=True, **done)

    def clamp(self, name, child, ctx, depth, done):
        low, high = self.scalar(ctx, depth - 1), self.scalar(ctx, depth - 1)
        done["special"] = child.special or low.special or high.special
        done["tiny"] = child.tiny or low.tiny or high.tiny
        bounds = (low, high) if name == "clamp" else (low,)
        if any(b.near == LOOSE for b in bounds) or (name == "clamp" and any(b.near != EXACT for b in bounds)):
            return None  # whether max < min must not hang on a rounding
        parts = (name, "(", child)
        for bound in bounds:
            parts += (", ", bound)
        return replace(child, parts=parts + (")",), near=max(child.near, *(b.near for b in bounds)),
                       bound=max(child.bound, *(b.bound for b in bounds)),
                       grain=min(child.grain, *(b.grain for b in bounds)),
                       nonneg=child.nonneg and all(b.nonneg for b in bounds),
                       minus_zero=child.minus_zero or any(b.minus_zero for b in bounds), **done)

    def date(self, ctx, depth):
        rng = self.rng
        name = rng.choice(["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month",
                           "year"])
        facts = dict(bound=4096.0, grain=1.0, nonneg=True, minus_zero=False, op=name)
        pick = rng.random()
        if pick < 0.3:
            return Node("vector", (name, "()"), **facts)
        if pick < 0.7:
            child = self.selector(ctx, lambda m: m.dates)
        elif pick < 0.85:
            child = self.selector(ctx, plain=True)
            if child is not None and child.op == "selector":
                child = replace(child, parts=("timestamp(", child, ")"))
        else:
            child = self.vector(ctx, depth - 1)
            # NaN and infinities have no date: what a conversion makes of them is the machine's affair.
            if (child.near != EXACT or not child.grain or child.bound > 2.0 ** 33
                    or any(n.op == "scalar" for n in child.nodes())):
                child = None
        if child is None:
            return None
        return replace(child, parts=(name, "(", child, ")"), near=EXACT, prec=P_ATOM, distinct=False, many_names=False,
                       **facts)

    def label_function(self, ctx, depth):
        rng = self.rng
        child = self.vector(ctx, depth - 1)
        known = sorted(child.labels | {"absent_label"})
        target = rng.choice(["new", "other", *known])
        if rng.random() < 0.6:
            source = rng.choice(known + (["__name__"] if rng.random() < 0.3 else []))
            pattern, text = rng.choice([
                ("(.*)", "$1"), ("(.*)", "x-$1-y"), ("(.+)-(.*)", "$2/$1"), ("", "empty"), (".*", ""),
                ("(?P<p>[a-z]+).*", "${p}"), ("(.).*", "$1$1"), ("nothing", "changed"), ("(.*):(.*)", "$1"),
                ("(.*)", "$$1"), ("(.*)", "$2"), ("(a|b)?.*", "<$1>")])
            parts = ("label_replace(", child, f", {quoted(rng, target)}, {quoted(rng, text)}, {quoted(rng, source)}, "
                     f"{quoted(rng, pattern)})")
        else:
            sources = [rng.choice(known) for _ in range(rng.choice([0, 1, 2, 2, 3]))]
            parts = ("label_join(", child, f", {quoted(rng, target)}, {quoted(rng, rng.choice(['-', '', ', ']))}"
                     + "".join(f", {quoted(rng, s)}" for s in sources) + ")")
        return replace(child, parts=parts, labels=child.labels | {target}, prec=P_ATOM, op="label")

    def absence(self, ctx, depth):
        facts = dict(near=EXACT, bound=1.0, grain=1.0, nonneg=True, minus_zero=False, prec=P_ATOM, many_names=False)
        if self.rng.random() < 0.5:
            child = self.vector(ctx, depth - 1)
            return replace(child, parts=("absent(", child, ")"), op="absent", **facts)
        child = self.matrix(ctx, depth)
        return child and replace(child, type="vector", parts=("absent_over_time(", child, ")"), op="absent", **facts)

    # -- functions of a range vector

    def over_time(self, ctx, depth):
        rng = self.rng
        name = rng.choice(["rate", "rate", "rate", "increase", "increase", "delta", "irate", "idelta", "deriv",
                           "predict_linear", "holt_winters", "sum", "avg", "avg", "min", "max", "count", "last",
                           "present", "quantile", "stddev", "stdvar", "changes", "resets"])
        if name in ("rate", "increase"):
            return self.rate(name, ctx, depth)
        if name in ("delta", "irate", "idelta", "deriv", "changes", "resets"):
            child = self.matrix(ctx, depth, accept=lambda n: n.near == EXACT)
            if child is None:
                return None
            if name == "deriv" and child.special:
                return None  # as with stddev, below
            counts = name in ("changes", "resets")
            return self.ranged(child, (name, "(", child, ")"), bound=8192.0 if counts else INF,
                               grain=1.0 if counts else 0.0, minus_zero=not counts,
                               nonneg=counts or (name == "irate" and child.nonneg))
        child = self.matrix(ctx, depth, accept=lambda n: n.near == EXACT)
        if child is None:
            return None
        if name in ("predict_linear", "holt_winters", "quantile"):
            return self.with_parameter(name, child, ctx, depth)
        if name == "avg":
            return self.average_over_time(child)
        parts = (f"{name}_over_time(", child, ")")
        if name in ("count", "present"):
            return self.ranged(child, parts, bound=8192.0, grain=1.0, nonneg=True, minus_zero=False)
        if name in ("stddev", "stdvar"):
            # Where the square of a deviation overflows, compensation makes NaN of it in 2.42; 3.x stops to compensate.
            return None if child.special else self.ranged(child, parts, nonneg=True, minus_zero=False)
        if name == "sum":
            # Both compensate, in the same order.
            return self.ranged(child, parts, bound=child.bound * 4096, grain=child.grain if child.dyadic else 0.0,
                               nonneg=child.nonneg, minus_zero=child.minus_zero)
        keeps = {}
        if name == "last":
            keeps = dict(many_names=child.many_names, distinct=child.distinct and child.op == "selector")
        return self.ranged(child, parts, bound=child.bound, grain=child.grain, nonneg=child.nonneg,
                           minus_zero=child.minus_zero, **keeps)

    def ranged(self, child, parts, **facts):
        return replace(child, **{**dict(type="vector", parts=parts, near=EXACT, bound=INF, grain=0.0, nonneg=False,
                                        minus_zero=True, distinct=False, many_names=False, prec=P_ATOM, op="over_time"),
                                 **facts})

    def rate(self, name, ctx, depth):
        if depth > 1 and self.rng.random() < 0.2:
            # Births and gaps in a subquery are anywhere (see Metric.rate_from). Below zero there is no limit at zero.
            child = self.subquery(ctx, depth - 1, lambda n: n.near == EXACT and n.bound < 1e9, below_zero=True)
        else:
            child = self.matrix(ctx, 1, want=lambda m: m.kind != "gauge" and not m.special, rate=True)
        if child is None:
            return None
        return self.ranged(child, (name, "(", child, ")"), nonneg=child.nonneg, minus_zero=False)

    def with_parameter(self, name, child, ctx, depth):
        rng = self.rng
        # Where a call depends on the time of evaluation but its range vector is pinned by @, 2.42 moves the window
        # from step to step all the same.
        moves = self.pins(child) and ctx.evals > 1
        parameter = self.scalar(ctx, depth - 1) if rng.random() < 0.3 and not moves else self.number(odd=0.02)
        if parameter.near != EXACT or (name == "predict_linear" and (moves or child.special)):
            return None
        if name == "quantile":
            # 0 and -0 are equal to a sort that is not stable.
            return self.ranged(child, ("quantile_over_time(", self.share(parameter), ", ", child, ")"), minus_zero=True,
                               near=CLOSE if child.minus_zero else EXACT)
        if name == "predict_linear":
            return self.ranged(child, ("predict_linear(", child, ", ", parameter, ")"))
        a, b = (self.number(dyadic=False) if rng.random() < 0.1 else Node("scalar", (f"{rng.uniform(0.01, 0.99):.3f}",))
                for _ in range(2))
        # 3.x calls it double_exponential_smoothing.
        name = Dialects(("holt_winters",), ("double_exponential_smoothing",))
        return self.ranged(child, (name, "(", child, ", ", a, ", ", b, ")"))

    def share(self, scalar):
        """A quantile's parameter: mostly one within 0 and 1."""
        if self.rng.random() < 0.85:
            return Node("scalar", (self.rng.choice(["0", "0.5", "0.9", "0.99", "1", f"{self.rng.random():.4f}"]),))
        return scalar

    def average_over_time(self, child):
        facts = dict(bound=child.bound, nonneg=child.nonneg, minus_zero=True)
        direct = ("avg_over_time(", child, ")")
        # 2.42 keeps a running mean, 3.x divides the compensated sum. Sum and count ask 2.42 for the latter.
        divided = Dialects(("(sum_over_time(", child, ") / count_over_time(", child, "))"), direct)
        if self.rng.random() < 0.5 and len(list(child.nodes())) < 6 and not child.special:
            return self.ranged(child, (divided,), near=EXACT if child.dyadic else CLOSE, **facts)
        if child.nonneg:
            return self.ranged(child, direct, near=CLOSE, **facts)
        return None

    # -- classic histograms

    def quantile_of_buckets(self, ctx, depth):
        rng = self.rng
        bucket = (lambda m: m.kind == "bucket")
        pick = rng.random()
        if pick < 0.35:
            child = self.selector(ctx, bucket, strict=True)
        else:
            source = self.selector(ctx, bucket, self.range_ms(ctx), rate=True, strict=True)
            if source is None:
                return None
            name = rng.choice(["rate", "increase"])
            child = self.ranged(source, (name, "(", source, ")"), nonneg=True, minus_zero=False)
        if child is None:
            return None
        if rng.random() < 0.6:
            keep = sorted(child.labels - {"le"})
            keep = rng.sample(keep, min(len(keep), rng.choice([0, 0, 1, 2]))) + ["le"]
            child = replace(child, parts=("sum", f" by ({', '.join(keep)}) (", child, ")"),
                            near=EXACT if child.dyadic else CLOSE, labels=frozenset(keep), many_names=False)
        pick = rng.random()
        if pick < 0.9:
            # Irregular: where a rank falls on the count of a bucket exactly, a rounding picks the next one.
            round_one = child.near == EXACT and pick < 0.5
            parameter = Node("scalar", (rng.choice(["0.5", "0.9", "0.99", "0", "1"]) if round_one
                                        else f"{rng.uniform(0.01, 0.99):.5f}",))
        else:
            parameter = self.scalar(ctx, depth - 1)
        if parameter.near != EXACT:
            return None
        return replace(child, parts=("histogram_quantile(", parameter, ", ", child, ")"), bound=INF, grain=0.0,
                       nonneg=False, minus_zero=True, labels=child.labels - {"le"}, prec=P_ATOM,
                       op="histogram_quantile", distinct=False, many_names=False)
