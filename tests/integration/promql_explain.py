"""Why an answer of Narthex may differ from that of Prometheus 2.42: what 3.x does otherwise, each rule as narrow as it
can be. A rule does not say that two answers look as if; it computes what each of the two must say."""

import json
import math
from dataclasses import replace

import promql_tree as pt


def rows(result):
    """label set -> [(time, value text)]"""
    out = {}
    for series in result.value:
        key = json.dumps(series["metric"], sort_keys=True)
        if key in out:
            raise ValueError(f"twice in an answer: {key}")
        out[key] = series["values"] if "values" in series else [series["value"]]
    return out


def explanation(query, want, got, reference, difference):
    """Why the answers may differ; None if nothing is known. difference(want, got) is None where answers agree."""
    for name, rule in RULES:
        if rule(query, want, got, reference):
            return name
    return "a subquery ends with the last step" if beyond_last_step(query, want, got, reference, difference) else None


def with_times(query, text):
    """Text of the query with its start and end in numbers."""
    return text.replace("start()", pt.seconds(query.start)).replace("end()", pt.seconds(query.end))


def beyond_last_step(query, want, got, reference, difference):
    """2.42 evaluates a subquery up to the end of a range query even where its last step is earlier, and may meet an
    error there that no step has. Asked up to the last step it must agree."""
    subquery = any(node.op == "subquery" for node in query.node.nodes())
    if query.kind != "range" or not subquery or not want.failed or got.failed:
        return False
    last = query.end - (query.end - query.start) % query.step
    again = reference.run(replace(query, end=last), with_times(query, query.node.text(2)))
    return last != query.end and difference(again, got) is None


# --- a match that is not unique ----------------------------------------------------------------------------------


def with_bool(node, target):
    """The tree with the comparison `target` as bool; None where it is none, or is one already."""
    if node is target:
        plain = len(node.parts) == 3 and isinstance(node.parts[1], str) and node.parts[1].startswith(f" {node.op}")
        if node.op not in pt.COMPARISONS or not plain or " bool" in node.parts[1]:
            return None
        return replace(node, parts=(node.parts[0], node.parts[1].replace(node.op, f"{node.op} bool", 1), node.parts[2]))

    def rewrite(part):
        if isinstance(part, pt.Node):
            return replace(part, parts=tuple(map(rewrite, part.parts))) if part is not target else with_bool(part, part)
        if isinstance(part, pt.Dialects):
            return pt.Dialects(tuple(map(rewrite, part.two)), tuple(map(rewrite, part.three)))
        return part
    return rewrite(node) if with_bool(target, target) else None


def filtered_match(query, want, got, reference):
    """3.x refuses a match that is not unique even where the comparison drops what would not be; 2.42 only where both
    stay (prometheus/prometheus#17668), so that it goes on and may meet another error. With bool none is dropped, and
    2.42 must say the same."""
    if not got.failed or not got.error.startswith("multiple matches for labels: "):
        return False
    for target in query.node.nodes():
        tree = with_bool(query.node, target)
        if tree is not None:
            again = reference.run(query.with_node(tree))
            if again.failed and again.error == got.error:
                return True
    return False


# --- functions of a range vector whose formula has changed --------------------------------------------------------


def recomputed(names, formula):
    """A rule: where the answers differ, the samples of the window give both, each by its version's formula.
    formula(samples, start, end, name, three) is a number, or None where there is no answer."""
    def rule(query, want, got, reference):
        node = query.node
        if node.op not in names or want.failed or got.failed:
            return False
        inner = node.parts[1]
        length, at, earlier = inner.window
        text = with_times(query, inner.text(2))
        left, right = rows(want), rows(got)
        if left.keys() != right.keys():
            return False
        for time in {t for key in left for (t, a), (_, b) in zip(left[key], right[key]) if a != b}:
            now = round(float(time) * 1000)
            end = now - earlier if at is None else at
            asked = replace(query.with_node(inner), kind="instant", start=now, end=now, step=0)
            windows = unnamed(reference.run(asked, text))
            for key in left:
                a, b = (dict(map(tuple, side[key])).get(time) for side in (left, right))
                samples = [(round(float(t) * 1000), float(v)) for t, v in windows.get(key, ())]
                two, three = (formula(samples, end - length, end, node.op, version) for version in (False, True))
                if not same(a, two) or not same(b, three):
                    return False
        return True
    return rule


def unnamed(result):
    """The rows without their metric names."""
    out = {}
    for key, points in rows(result).items():
        labels = {name: value for name, value in json.loads(key).items() if name != "__name__"}
        out[json.dumps(labels, sort_keys=True)] = points
    return out


def same(text, value):
    if text is None or value is None:
        return text is None and value is None
    number = float(text)
    return number == value or (number != number and value != value)


def extrapolated(samples, start, end, name, three):
    """rate and increase. 2.42 looks first whether a counter would begin below zero and then whether the first sample is
    far from the start of the window; 3.x the other way round."""
    if len(samples) < 2:
        return None
    (first_t, first), (last_t, last) = samples[0], samples[-1]
    result = last - first
    for (_, before), (_, value) in zip(samples, samples[1:]):
        if value < before:
            result += before
    to_start, to_end, sampled = (first_t - start) / 1000, (end - last_t) / 1000, (last_t - first_t) / 1000
    average = sampled / (len(samples) - 1)
    threshold = average * 1.1
    if three and to_start >= threshold:
        to_start = average / 2
    if result > 0 and first >= 0:
        to_start = min(to_start, sampled * (first / result))
    if not three and to_start >= threshold:
        to_start = average / 2
    if to_end >= threshold:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    if name == "rate":
        factor /= (end - start) / 1000
    return result * factor


def compensated(three):
    """A step of a compensated sum. Where it overflows, the compensation of 2.42 makes NaN of it; 3.x stops to
    compensate."""
    def add(value, total, rest):
        new = total + value
        if three and math.isinf(new):
            return new, 0.0
        return new, rest + ((total - new) + value if abs(total) >= abs(value) else (value - new) + total)
    return add


def deviation(samples, start, end, name, three):
    """stddev_over_time and stdvar_over_time."""
    add = compensated(three)
    count = mean = mean_rest = squares = squares_rest = 0.0
    for _, value in samples:
        count += 1
        delta = value - (mean + mean_rest)
        mean, mean_rest = add(delta / count, mean, mean_rest)
        squares, squares_rest = add(delta * (value - (mean + mean_rest)), squares, squares_rest)
    if not count:
        return None
    variance = (squares + squares_rest) / count
    return math.sqrt(variance) if name == "stddev_over_time" else variance


def slope(samples, start, end, name, three):
    """deriv."""
    if len(samples) < 2:
        return None
    add = compensated(three)
    sums, rests = [0.0] * 4, [0.0] * 4
    for time, y in samples:
        x = (time - samples[0][0]) / 1e3
        for i, value in enumerate((x, y, x * y, x * x)):
            sums[i], rests[i] = add(value, sums[i], rests[i])
    if all(y == samples[0][1] for _, y in samples):
        return math.nan if math.isinf(samples[0][1]) else 0.0
    x, y, xy, xx = (total + rest for total, rest in zip(sums, rests))
    return (xy - x * y / len(samples)) / (xx - x * x / len(samples))


RULES = (
    ("a filter drops what made a match ambiguous", filtered_match),
    ("a counter's limit at zero comes after the limit at half an interval",
     recomputed(("rate", "increase"), extrapolated)),
    ("a compensated sum that overflows is infinite",
     recomputed(("stddev_over_time", "stdvar_over_time"), deviation)),
    ("a compensated sum that overflows is infinite", recomputed(("deriv",), slope)),
)
