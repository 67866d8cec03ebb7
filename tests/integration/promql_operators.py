"""Operators and aggregations of PromQL over random operands."""

from dataclasses import replace

from promql_data import INF
from promql_tree import CLOSE, COMPARISONS, Dialects, EXACT, LOOSE, Node, PRECEDENCE, P_ATOM, P_COMPARE, P_MUL, quoted


class Operators:
    """A part of Generator."""

    # -- binary operators

    def binary(self, ctx, depth):
        rng = self.rng
        op = rng.choice(["+", "+", "-", "-", "*", "*", "/", "/", "%", "^", "atan2", *COMPARISONS, *COMPARISONS,
                         "and", "or", "unless"])
        if rng.random() < 0.4 and op not in ("and", "or", "unless"):
            left, right = self.vector(ctx, depth - 1), self.scalar(ctx, depth - 1)
            if rng.random() < 0.35:
                left, right = right, left
            return self.binary_of(left, right, op, ctx)
        left = self.vector(ctx, depth - 1)
        if rng.random() < 0.45:
            right = self.like(left, ctx)
        else:
            right = self.vector(ctx, depth - 1)
        return self.binary_of(left, right, op, ctx, self.matching(left, right, op))

    def like(self, node, ctx):
        """Something with mostly the same series: the same expression, filtered or changed in value."""
        rng = self.rng
        pick = rng.random()
        base = node if node.prec == P_ATOM else self.parens(node)
        if pick < 0.25:
            return node
        if pick < 0.5 and node.near == EXACT:
            limit = self.number(odd=0)
            return replace(base, parts=(base, f" {rng.choice(COMPARISONS)} ", limit), prec=P_COMPARE, op="filter")
        if pick < 0.75:
            return replace(base, parts=("abs(", base, ")"), nonneg=True, minus_zero=False, op="abs", many_names=False)
        return replace(base, parts=(base, " * 2"), bound=base.bound * 2, prec=P_MUL, op="*", many_names=False)

    def matching(self, left, right, op):
        """Text of on, ignoring and group, and the labels of the result."""
        rng = self.rng
        known = sorted(left.labels | right.labels)
        common = sorted(left.labels & right.labels)
        pick = rng.random()
        if pick < 0.45:
            return "", left.labels, False
        if pick < 0.75:
            some = rng.sample(common, min(len(common), rng.choice([0, 1, 2, 2, 3])))
            if rng.random() < 0.05:
                some.append(rng.choice(["absent_label", "__name__"]))
            text, keys, labels = f" on ({', '.join(some)})", set(some), frozenset(some)
        else:
            differing = sorted(left.labels ^ right.labels) if rng.random() < 0.6 else known
            some = rng.sample(differing, min(len(differing), rng.choice([0, 1, 2])))
            text, keys, labels = f" ignoring ({', '.join(some)})", set(known) - set(some), left.labels - frozenset(some)
        if op in ("and", "or", "unless") or rng.random() < 0.5:
            return text, labels, False
        side = rng.choice(["left", "right"])
        extra = [name for name in known if name not in keys]
        if text.startswith(" on"):
            extra = rng.sample(extra, min(len(extra), rng.choice([0, 0, 1, 2])))
        else:
            extra = extra[:rng.choice([0, 1])]
        text += f" group_{side}" + (f" ({', '.join(extra)})" if extra or rng.random() < 0.3 else "")
        return text, (left if side == "left" else right).labels | frozenset(extra), True

    def grouped_join(self, ctx, depth):
        """many * on (keys) group_left (label) one."""
        rng = self.rng
        many = self.vector(ctx, depth - 1)
        if self.data.name == "synthetic" and {"job", "instance"} <= many.labels and rng.random() < 0.6:
            one = self.selector(ctx, lambda m: m.name == "build_info", strict=True)
            if one is None:
                return None
            keys = ["job", "instance"]
            extra = rng.sample(["version", "revision"], rng.choice([0, 1, 2]))
        else:
            keys = sorted(many.labels)
            keys = rng.sample(keys, min(len(keys), rng.choice([0, 1, 2])))
            child = self.vector(ctx, depth - 1)
            name = rng.choice(["max", "min", "count"])
            if child.near != EXACT or child.minus_zero:
                return None
            one = replace(child, parts=(name, f" by ({', '.join(keys)}) (", child, ")"), prec=P_ATOM, op=name,
                          labels=frozenset(keys), distinct=False, many_names=False,
                          **(dict(bound=4096.0, grain=1.0, nonneg=True) if name == "count" else {}))
            extra = []
        op = rng.choice(["*", "+", "/", "-", "*", rng.choice(COMPARISONS)])
        text = f" on ({', '.join(keys)}) group_"
        extra_text = f" ({', '.join(extra)})" if extra or rng.random() < 0.3 else ""
        labels = many.labels | frozenset(extra)
        if rng.random() < 0.3:
            return self.binary_of(one, many, op, ctx, (text + "right" + extra_text, labels, True))
        return self.binary_of(many, one, op, ctx, (text + "left" + extra_text, labels, True))

    def binary_of(self, left, right, op, ctx, matching=("", None, False), force_bool=False):
        rng = self.rng
        text, labels, grouped = matching
        vectors = left.type == "vector" and right.type == "vector"
        is_scalar = left.type == "scalar" and right.type == "scalar"
        if labels is None:
            labels = left.labels | right.labels
        facts = self.result_of(left, right, op)
        if facts is None:
            return None
        many = left.many_names or right.many_names
        if op == "atan2" and many:
            return None  # see below: with the names 2.42 keeps series apart
        prec = PRECEDENCE[op]
        right_first = op == "^"
        a = self.under(left, prec, tight=right_first)
        b = self.under(right, prec, right=not right_first)
        middle = f" {op}"
        keeps_name = op in ("and", "or", "unless")
        if keeps_name:
            labels = left.labels | right.labels if op == "or" else left.labels
        if op in COMPARISONS:
            flag = force_bool or is_scalar or rng.random() < 0.35
            if flag:
                middle += " bool"
                facts = dict(near=EXACT, bound=1.0, grain=1.0, nonneg=True, minus_zero=False)
            else:
                keeps_name = True
                # The vector's value is kept; of two vectors the left one's.
                source = right if left.type == "scalar" else left
                facts = dict(near=source.near, bound=source.bound, grain=source.grain, nonneg=source.nonneg,
                             minus_zero=source.minus_zero)
        if grouped and text.endswith(("group_left", "group_right")) and any(b.text(v).startswith("(") for v in (2, 3)):
            text += " ()"  # else the parenthesis is read as the list of labels
        parts = (a, middle + text + " ", b)
        node = Node("scalar" if is_scalar else "vector", parts, labels=frozenset(() if is_scalar else labels),
                    prec=prec, op=op, many_names=many and keeps_name, series=max(left.series, right.series),
                    special=left.special or right.special or op in ("/", "%", "^"),
                    tiny=left.tiny or right.tiny or op in ("/", "%", "^", "*"), **facts)
        if op == "or":
            node.many_names = True
        if op == "atan2" and not is_scalar:
            # 2.42 keeps the metric name at atan2; 3.x drops it as at other arithmetic.
            two = ('label_replace(', a, middle + text + " ", b, ', "__name__", "", "", "")')
            node.parts, node.prec = (Dialects(two, ("(",) + parts + (")",)),), P_ATOM
        return node

    def result_of(self, left, right, op):
        """What is known of the values of `left op right`; None where roundings would show."""
        near = max(left.near, right.near)
        nonneg = left.nonneg and right.nonneg
        grain = min(left.grain, right.grain)
        known = left.dyadic and right.dyadic
        if op in ("and", "unless"):
            return dict(near=left.near, bound=left.bound, grain=left.grain, nonneg=left.nonneg,
                        minus_zero=left.minus_zero)
        if op == "or":
            return dict(near=near, bound=max(left.bound, right.bound), grain=grain, nonneg=nonneg,
                        minus_zero=left.minus_zero or right.minus_zero)
        if op in ("+", "-"):
            if near != EXACT and not (nonneg and op == "+"):
                return None
            return dict(near=near, bound=left.bound + right.bound, grain=grain if known else 0.0,
                        nonneg=nonneg and op == "+", minus_zero=not known and not (nonneg and op == "+"))
        if op == "*":
            product = left.grain * right.grain if known and nonneg else 0.0
            return dict(near=near, bound=left.bound * right.bound if product else INF, grain=product, nonneg=nonneg,
                        minus_zero=not nonneg)
        if op == "/":
            # The sign of a zero that was summed is not the same to both.
            if right.near != EXACT and not right.nonneg:
                return None
            return dict(near=near, nonneg=nonneg, minus_zero=not nonneg)
        if op in COMPARISONS and (self.far(left) or self.far(right)):
            return dict(near=near)
        if near != EXACT:
            return None
        if op == "%":
            return dict(near=EXACT, bound=left.bound, nonneg=left.nonneg, minus_zero=not left.nonneg)
        if op == "^":
            # Go multiplies up; with large exponents the digits differ more.
            if right.bound > 8 or right.op not in ("number", "sgn") or left.tiny:
                return None  # of a subnormal number it takes the logarithm, see ln
            return dict(near=CLOSE, nonneg=left.nonneg, minus_zero=not left.nonneg)
        if op == "atan2":
            # Go divides first: where that underflows, the sign of a half turn is lost.
            return None if left.tiny else dict(near=CLOSE)
        return dict(near=EXACT)

    def far(self, number):
        """A literal that no computed value comes near by design."""
        return number.op == "number" and not number.grain and number.bound != INF

    def parens(self, node):
        return replace(node, parts=("(", node, ")"), prec=P_ATOM, op="parens")

    def under(self, node, prec, right=False, tight=False):
        """A child of an operator, in parentheses where it needs them and at times where not."""
        if node.prec < prec or (node.prec == prec and (right or tight)):
            return self.parens(node)
        return self.parens(node) if node.prec < P_ATOM and self.rng.random() < 0.3 else node

    def minus(self, ctx, depth):
        return self.unary(self.vector(ctx, depth - 1), ctx)

    def unary(self, child, ctx):
        sign = self.rng.choice("---+")
        # 2.42 looks for equal label sets over all steps at once where 3.x merges series that do not meet.
        if sign == "-" and child.type == "vector" and child.many_names and ctx.range_query:
            return None
        facts = {} if sign == "+" else dict(nonneg=False, minus_zero=True, many_names=False)
        return replace(child, parts=(sign, self.under(child, P_MUL, tight=True)), prec=P_MUL, op="unary", **facts)

    # -- aggregations

    def grouping(self, child):
        rng = self.rng
        known = sorted(child.labels - {"le"})
        some = rng.sample(known, min(len(known), rng.choice([0, 1, 1, 2, 2, 3])))
        if rng.random() < 0.04:
            some.append(rng.choice(["absent_label", *self.data.values]))
        pick = rng.random()
        if pick < 0.25:
            return "", frozenset()
        if pick < 0.7:
            if rng.random() < 0.05 and not child.many_names:
                some.append("__name__")
            return f"by ({', '.join(some)})", frozenset(some) & child.labels
        return f"without ({', '.join(some)})", child.labels - frozenset(some)

    def aggregated(self, name, child, grouping, parameter=()):
        arguments = tuple(parameter) + (child, ")")
        if grouping and self.rng.random() < 0.5:
            return (name, "(") + arguments + (" " + grouping,)
        return (name, " " + grouping + " (" if grouping else "(") + arguments

    def aggregate(self, ctx, depth, simple=False):
        rng = self.rng
        child = self.vector(ctx, depth - 1)
        if child.near == LOOSE:
            return None
        names = ["sum", "sum", "sum", "avg", "avg", "min", "max", "count", "group", "quantile", "count_values", "topk",
                 "bottomk"]
        name = rng.choice(names[:9] if simple else names)
        grouping, labels = ("", frozenset()) if simple else self.grouping(child)
        done = dict(prec=P_ATOM, op=name, labels=labels, distinct=False, many_names="__name__" in grouping)
        parts = self.aggregated(name, child, grouping)
        if name in ("count", "group"):
            return replace(child, parts=parts, near=EXACT, bound=4096.0, grain=1.0, nonneg=True, minus_zero=False,
                           **done)
        if name in ("min", "max"):
            # Of 0 and -0 the first is kept, and the order of series is not defined.
            return replace(child, parts=parts, near=max(child.near, CLOSE if child.minus_zero else EXACT), **done)
        if name == "sum":
            near = EXACT if child.dyadic else CLOSE
            if near == CLOSE and not child.nonneg:
                return None
            return replace(child, parts=parts, near=near, bound=child.bound * 4096,
                           grain=child.grain if near == EXACT else 0.0, **done)
        if name == "avg":
            return self.average(child, grouping, parts, done)
        if child.near != EXACT:
            return None
        if name == "quantile":
            # 2.42 calls an aggregation the same at all steps, its parameter included, where what it aggregates is.
            fixed = self.pins(child) or not any(n.op == "selector" for n in child.nodes())
            parameter = self.share(self.number(odd=0.1) if fixed else self.scalar(ctx, depth - 1))
            # Nor does 2.42 know what @ means within a parameter.
            if parameter.near != EXACT or self.pins(parameter):
                return None
            return replace(child, parts=self.aggregated(name, child, grouping, (parameter, ", ")), grain=0.0,
                           minus_zero=True, near=CLOSE if child.minus_zero else EXACT, **done)
        if name == "count_values":
            if child.minus_zero or not child.grain:
                return None
            label = rng.choice(["value", "value", *sorted(child.labels)[:1]])
            if grouping.startswith("by") and ctx.evals > 1:
                # 2.42 sorts the label into the list of by, which then lacks its last name from the second step on.
                label = "zzz"
            done["labels"] = labels | {label}
            return replace(child, parts=self.aggregated(name, child, grouping, (quoted(rng, label), ", ")),
                           bound=4096.0, grain=1.0, nonneg=True, minus_zero=False, **done)
        return self.top(name, child, grouping, ctx, depth)

    def average(self, child, grouping, parts, done):
        facts = dict(bound=child.bound, grain=0.0, minus_zero=True)
        small = self.rng.random() < 0.5 and len(list(child.nodes())) < 6
        if small and "__name__" not in grouping and not child.special:
            if not child.dyadic and not child.nonneg:
                return None
            # As with avg_over_time: a running mean in 2.42, a divided sum in 3.x.
            two = ("((", *self.plain("sum", child, grouping), ") / (", *self.plain("count", child, grouping), "))")
            return replace(child, parts=(Dialects(two, parts),), near=EXACT if child.dyadic else CLOSE, **facts, **done)
        if not child.nonneg:
            return None
        return replace(child, parts=parts, near=CLOSE, **facts, **done)

    def plain(self, name, child, grouping):
        return (name, f" {grouping} (", child, ")")

    def top(self, name, child, grouping, ctx, depth):
        """Which of equal values topk keeps is not defined: below other operators only where no two are equal."""
        if not child.distinct:
            return None
        k = self.rng.choice(["1", "1", "2", "3", "5", "100", "0", "-1", "1.7"])
        return replace(child, parts=self.aggregated(name, child, grouping, (k, ", ")), prec=P_ATOM, op="topk")
