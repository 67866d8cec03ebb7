"""Prometheus's chunk encodings and the frames of streamed remote read, read straight from their descriptions."""

import math
import struct

XOR, HISTOGRAM, FLOAT_HISTOGRAM = 1, 2, 3
STALE_BITS = 0x7FF0000000000002


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_CRC = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def frames(body):
    """The data of every frame, checked."""
    at = 0
    while at < len(body):
        length, shift = 0, 0
        while True:
            byte = body[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        (crc,) = struct.unpack_from(">I", body, at)
        data = body[at + 4 : at + 4 + length]
        assert len(data) == length, "the last frame is cut"
        assert crc32c(data) == crc, "the checksum does not match"
        at += 4 + length
        yield data


class Bits:
    def __init__(self, data):
        self.value = int.from_bytes(data, "big")
        self.left = len(data) * 8

    def read(self, n):
        assert n <= self.left, "the chunk ends too early"
        self.left -= n
        return (self.value >> self.left) & ((1 << n) - 1)

    def float(self):
        return self.read(64)

    def uvarint(self):
        value, shift = 0, 0
        while True:
            byte = self.read(8)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def varint(self):
        value = self.uvarint()
        return (value >> 1) ^ -(value & 1)

    def ones(self, most):
        count = 0
        while count < most and self.read(1):
            count += 1
        return count

    def signed(self, n):
        value = self.read(n)
        if n == 64:
            return value - (1 << 64) if value >> 63 else value
        return value - (1 << n) if value > 1 << (n - 1) else value

    _CLASSES = (0, 3, 6, 9, 12, 18, 25, 56, 64)

    def varbit_uint(self):
        n = self._CLASSES[self.ones(8)]
        return self.read(n) if n else 0

    def varbit_int(self):
        n = self._CLASSES[self.ones(8)]
        return self.signed(n) if n else 0


class XorValue:
    """A float coded by its difference from the one before; values are bit patterns."""

    def __init__(self, bits):
        self.bits = bits.float()
        self.leading = self.trailing = None

    def next(self, bits):
        if bits.read(1):
            if bits.read(1):
                self.leading = bits.read(5)
                significant = bits.read(6) or 64
                self.trailing = 64 - self.leading - significant
            self.bits ^= bits.read(64 - self.leading - self.trailing) << self.trailing
        return self.bits


def to_float(pattern):
    return struct.unpack(">d", struct.pack(">Q", pattern))[0]


def to_bits(value):
    return struct.unpack(">Q", struct.pack(">d", value))[0]


def decode_xor(data):
    """[(time, bit pattern)]"""
    (count,) = struct.unpack_from(">H", data)
    bits, out = Bits(data[2:]), []
    t = delta = 0
    value = None
    for n in range(count):
        if n == 0:
            t, value = bits.varint(), XorValue(bits)
        else:
            if n == 1:
                delta = bits.uvarint()
            else:
                size = (0, 14, 17, 20, 64)[bits.ones(4)]
                delta += bits.signed(size) if size else 0
            t += delta
            value.next(bits)
        out.append((t, value.bits))
    assert bits.left < 8
    return out


class Second:
    """An integer coded by the difference of its differences."""

    def __init__(self, value):
        self.value, self.step = value, 0

    def next(self, bits):
        self.step += bits.varbit_int()
        self.value += self.step
        return self.value


def _spans(bits):
    spans = []
    for _ in range(bits.varbit_uint()):
        length = bits.varbit_uint()
        spans.append((bits.varbit_int(), length))
    return spans


def indexes(spans):
    at, out = 0, []
    for offset, length in spans:
        at += offset
        out += range(at, at + length)
        at += length
    return out


def decode_histograms(data, integers):
    """(flags, [(time, histogram)]); a histogram is a dict as normal_histogram makes it."""
    count, flags = struct.unpack_from(">HB", data)
    bits, out = Bits(data[3:]), []
    threshold = bits.read(8)
    if threshold == 255:
        threshold = to_float(bits.float())
    else:
        threshold = math.ldexp(0.5, threshold - 243) if threshold else 0.0
    schema = bits.varbit_int()
    positive, negative, bounds = indexes(_spans(bits)), indexes(_spans(bits)), []
    if schema == -53:
        for _ in range(bits.varbit_uint()):
            v = bits.varbit_uint()
            bounds.append((v - 1) / 1000 if v else to_float(bits.float()))
    coders = []
    for n in range(count):
        if n == 0:
            t = Second(bits.varbit_int())
            if integers:
                totals = [Second(bits.varbit_uint()), Second(bits.varbit_uint()), XorValue(bits)]
            else:
                totals = [XorValue(bits) for _ in range(3)]
        else:
            for coder in (t, *totals):
                coder.next(bits)
        stale = totals[2].bits == STALE_BITS
        if not stale:
            for i in range(len(positive) + len(negative)):
                if n == 0:
                    coders.append(Second(bits.varbit_int()) if integers else XorValue(bits))
                else:
                    coders[i].next(bits)
        sides = []
        for index, part in ((positive, coders[: len(positive)]), (negative, coders[len(positive) :])):
            if integers:
                values, total = [], 0
                for coder in part:
                    total += coder.value
                    values.append(float(total))
            else:
                values = [to_float(coder.bits) for coder in part]
            sides.append({i: v for i, v in zip(index, values) if v})
        number = (lambda c: float(c.value)) if integers else (lambda c: to_float(c.bits))
        out.append((t.value, {"stale": True} if stale else {
            "schema": schema, "threshold": threshold, "count": number(totals[0]),
            "zero": number(totals[1]), "sum": totals[2].bits, "positive": sides[0],
            "negative": sides[1], "bounds": bounds}))
    assert bits.left < 8
    return flags, out


def normal_histogram(h):
    """A remote_pb2.Histogram with absolute counts, empty buckets left out."""
    if to_bits(h.sum) == STALE_BITS:
        return {"stale": True}
    integer = h.WhichOneof("count") == "count_int"

    def side(spans, deltas, counts):
        values, total = [], 0
        for delta in deltas:
            total += delta
            values.append(float(total))
        index = indexes([(s.offset, s.length) for s in spans])
        return {i: v for i, v in zip(index, values if integer else counts) if v}

    return {
        "schema": h.schema, "threshold": h.zero_threshold,
        "count": float(h.count_int) if integer else h.count_float,
        "zero": float(h.zero_count_int) if integer else h.zero_count_float, "sum": to_bits(h.sum),
        "positive": side(h.positive_spans, h.positive_deltas, h.positive_counts),
        "negative": side(h.negative_spans, h.negative_deltas, h.negative_counts),
        "bounds": list(h.custom_values),
    }
