"""Range and instant selectors, their matchers, @, offset, and subqueries."""

import math
from dataclasses import replace

from promql_data import Metric
from promql_tree import CLOSE, Context, EXACT, LOOSE, Node, P_ADD, P_ATOM, duration, quoted, regex_quote, seconds

class Selectors:
    """A part of Generator."""

    def metric(self, want=None, ctx=None, range_ms=0):
        """A metric that `want` accepts and that is not too dear to read."""
        for _ in range(40):
            metric = self.rng.choice(self.data.metrics)
            if want and not want(metric):
                continue
            if ctx and metric.series * ctx.evals * max(1, range_ms // metric.interval) > self.COST:
                continue
            return metric
        return None

    def matchers(self, metric, strict=False):
        rng, out = self.rng, []
        names = [n for n in metric.labels if n != "le"] or list(metric.labels)
        count = 0 if rng.random() < (0.45 if metric.series > 2 else 0.8) or not names else rng.choice([1, 1, 2, 3])
        picked = rng.sample(names, min(count, len(names)))
        for name in picked if rng.random() < 0.9 else picked * 2:
            values = metric.labels[name]
            value = rng.choice(values)
            pick = rng.random()
            if pick < 0.3:
                op, text = "=", value
            elif pick < 0.5:
                op, text = "!=", value
            elif pick < 0.75:
                op, text = "=~", self.pattern(values)
            elif pick < 0.92:
                op, text = "!~", self.pattern(values)
            elif strict:
                continue
            elif pick < 0.96:
                op, text = rng.choice([("=", "nothing"), ("!=", "nothing"), ("=~", "no.*"), ("!~", "no.*")])
            else:
                name = rng.choice([*self.data.values, "absent_label"])
                op, text = rng.choice([("=", ""), ("!=", ""), ("=~", ".*"), ("=~", ".+"), ("!~", ".+"), ("=~", "|a")])
            out.append(f"{name}{op}{quoted(rng, text)}")
        return out

    def pattern(self, values):
        rng = self.rng
        some = [regex_quote(v) for v in rng.sample(values, min(len(values), rng.choice([1, 2, 2, 3])))]
        pick = rng.random()
        if pick < 0.5:
            return "|".join(some)
        head = regex_quote(rng.choice(values)[:rng.choice([1, 2, 3])])
        tail = ".*" + some[0][-1:] if some[0][-1:].isalnum() else some[0]
        return rng.choice([head + ".*", head + ".+", "(" + "|".join(some) + ")", tail,
                           "(?i:" + head.upper() + ").*", "[a-h].*", ".{2,}", some[0] + "?"])

    def time_shift(self, ctx):
        """Text of @ and offset, and the times that they make: (parts, lo, hi, fracs, at)."""
        rng = self.rng
        lo, hi, fracs, texts, fixed = ctx.lo, ctx.hi, ctx.fracs, [], False
        if rng.random() < 0.12:
            pick = rng.random()
            if pick < 0.3:
                where, at = "start()", ctx.query[0]
            elif pick < 0.6:
                where, at = "end()", ctx.query[1]
            else:
                at = rng.randrange(self.data.start // 1000, self.data.end // 1000 + 120) * 1000
                at += rng.choice([137, 137, 500, 0])
                where = seconds(at)
            texts.append(f" @ {where}")
            lo = hi = at
            fracs, fixed = {at % 1000}, True
        if rng.random() < 0.22:
            shift = rng.choice([1, 5, 30, 60, 61, 120, 300, 600, 900]) * 1000 + rng.choice([0, 0, 0, 500, 250])
            if rng.random() < 0.25:
                shift = -shift
            texts.append(f" offset {'-' if shift < 0 else ''}{duration(rng, abs(shift))}")
            lo, hi = lo - shift, hi - shift
            fracs = {(frac - shift) % 1000 for frac in fracs}
        rng.shuffle(texts)
        return tuple(texts), lo, hi, frozenset(fracs), lo if fixed else None

    def selector(self, ctx, want=None, range_ms=0, rate=False, plain=False, strict=False):
        """An instant selector, or a range selector of this length; None where ends would matter."""
        rng = self.rng
        for _ in range(30):
            metric = self.metric(want, ctx, range_ms)
            if metric is None:
                return None
            mods, lo, hi, fracs, at = ((), ctx.lo, ctx.hi, ctx.fracs, None) if plain else self.time_shift(ctx)
            # A sample on the left end is in for 2.42 and out for 3.x; the right end is in for both.
            if any((frac - (range_ms or ctx.lookback)) % 1000 in self.data.fractions for frac in fracs):
                continue
            if rate and lo - range_ms < metric.rate_from:
                continue
            # Most answers are to hold something.
            if (hi < self.data.start or lo > self.data.end + ctx.lookback) and rng.random() < 0.9:
                continue
            break
        else:
            return None
        matchers = self.matchers(metric, strict)
        pick = rng.random()
        many = False
        if pick < 0.80:
            text = metric.name + ("{" + ",".join(matchers) + "}" if matchers or rng.random() < 0.1 else "")
        elif pick < 0.93 or not ctx.evals < 50 or self.data.name != "synthetic" or want or rate:
            text = "{" + ",".join([f"__name__={quoted(rng, metric.name)}"] + matchers) + "}"
        else:
            # Two metrics by a pattern.
            other = self.metric(want, ctx, range_ms)
            metrics = [metric, other]
            text = "{" + ",".join([f'__name__=~"{metric.name}|{other.name}"'] + matchers) + "}"
            many = metric is not other
            if many:
                metric = Metric("", {**metric.labels, **other.labels}, metric.series + other.series, "gauge",
                                metric.interval, grain=min(m.grain for m in metrics),
                                bound=max(m.bound for m in metrics),
                                nonneg=all(m.nonneg for m in metrics), minus_zero=any(m.minus_zero for m in metrics),
                                special=any(m.special for m in metrics), tiny=any(m.tiny for m in metrics))
        parts = (text,)
        if range_ms:
            parts += (f"[{duration(rng, range_ms)}]",)
        return Node("matrix" if range_ms else "vector", parts + mods, EXACT, metric.bound, metric.grain, metric.nonneg,
                    metric.minus_zero, frozenset(metric.labels), many, metric.distinct, op="selector",
                    series=metric.series, special=metric.special, tiny=metric.tiny, window=(range_ms, at, ctx.lo - lo))

    def range_ms(self, ctx):
        return self.rng.choice([20, 31, 60, 90, 120, 300, 300, 600, 901, 2400]) * 1000 + self.rng.choice([0, 0, 0, 500])

    def matrix(self, ctx, depth, want=None, rate=False, accept=None):
        """A range vector: a selector, or a subquery over an EXACT or CLOSE expression that `accept` takes."""
        rng = self.rng
        if depth > 1 and rng.random() < 0.3:
            node = self.subquery(ctx, depth - 1, accept)
            if node is not None:
                return node
        for _ in range(10):
            node = self.selector(ctx, want, self.range_ms(ctx), rate)
            if node is not None:
                return node
        return None

    def subquery(self, ctx, depth, accept=None, below_zero=False):
        rng = self.rng
        mods, lo, hi, fracs, at = self.time_shift(ctx)
        range_ms = rng.choice([60, 120, 300, 600, 900]) * 1000 + rng.choice([0, 500, 137])
        step = rng.choice([10_000, 15_000, 30_000, 60_000, 60_000, 7000, 7500, 12_250])
        grain = math.gcd(step, 1000)
        # A grid point on the left end is in for 2.42 and out for 3.x.
        if any((frac - range_ms) % grain == 0 for frac in fracs):
            range_ms += 61
            if any((frac - range_ms) % grain == 0 for frac in fracs):
                return None
        if (hi < self.data.start or lo > self.data.end + ctx.lookback) and rng.random() < 0.9:
            return None
        text = f"[{duration(rng, range_ms)}:{duration(rng, step)}]"
        if step == 60_000 and rng.random() < 0.5:
            text = f"[{duration(rng, range_ms)}:]"
        evals = (hi - lo + range_ms) // step + 1
        if evals > 120 or evals * ctx.evals > 4000:
            return None
        inner = Context(lo - range_ms, hi, frozenset(range(0, 1000, grain)), evals, True, True, ctx.query, ctx.lookback)
        child = self.vector(inner, depth)
        if child.near == LOOSE or (accept and not accept(child)):
            return None
        if ctx.nested and mods and any("@" in m for m in mods) and self.pins(child):
            return None  # 2.42: what it finds depends on the length of the outer window
        if below_zero:
            child = replace(child, parts=("(", self.under(child, P_ADD), f" - {2 * child.bound + 1:.0f})"),
                            nonneg=False, grain=0.0, minus_zero=False)
        elif child.prec < P_ATOM:
            child = self.parens(child)
        return replace(child, type="matrix", parts=(child, text) + mods, prec=P_ATOM, op="subquery", distinct=False,
                       window=(range_ms, at, ctx.lo - lo))

    def pins(self, node):
        return any("@" in part for n in node.nodes() for part in n.parts if isinstance(part, str))
