// std::to_chars gives the shortest digits that round-trip; Go's notations are laid out from those
// digits here, because to_chars prints large numbers in fixed notation exactly (1e23 as
// 99999999999999991611392) where Go pads with zeros. Parsing checks Go's syntax first and leaves
// the rounding to std::from_chars.
#include "common/cxx/number_shim.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <system_error>

namespace
{

struct Decimal {
    char digits[20]; // no point; at most 17
    int count;
    int exponent; // of the first digit
    bool negative;
};

// `v` is finite.
Decimal decompose(double v)
{
    char text[40];
    Decimal d{};
    d.negative = std::signbit(v);
    std::to_chars_result end =
        std::to_chars(text, text + sizeof text, std::fabs(v), std::chars_format::scientific);
    const char *p = text;
    for (; p < end.ptr && *p != 'e'; p++)
        if (*p != '.')
            d.digits[d.count++] = *p;
    p++; // 'e'
    bool below_one = *p++ == '-';
    for (; p < end.ptr; p++)
        d.exponent = d.exponent * 10 + (*p - '0');
    if (below_one)
        d.exponent = -d.exponent;
    return d;
}

size_t finish(char *out, const char *end)
{
    size_t len = static_cast<size_t>(end - out);
    out[len] = '\0';
    return len;
}

size_t put_special(double v, char *out)
{
    const char *text = std::isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf";
    size_t len = std::strlen(text);
    std::memcpy(out, text, len + 1);
    return len;
}

size_t put_fixed(const Decimal &d, char *out)
{
    char *p = out;
    if (d.negative)
        *p++ = '-';
    if (d.exponent < 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = -1; i > d.exponent; i--)
            *p++ = '0';
    }
    for (int i = 0; i < d.count; i++) {
        if (d.exponent >= 0 && i == d.exponent + 1)
            *p++ = '.';
        *p++ = d.digits[i];
    }
    for (int i = d.count; i <= d.exponent; i++)
        *p++ = '0';
    return finish(out, p);
}

size_t put_exponent(const Decimal &d, char *out)
{
    char *p = out;
    if (d.negative)
        *p++ = '-';
    *p++ = d.digits[0];
    if (d.count > 1)
        *p++ = '.';
    for (int i = 1; i < d.count; i++)
        *p++ = d.digits[i];
    *p++ = 'e';
    *p++ = d.exponent < 0 ? '-' : '+';
    int exponent = d.exponent < 0 ? -d.exponent : d.exponent;
    if (exponent >= 100)
        *p++ = static_cast<char>('0' + exponent / 100);
    *p++ = static_cast<char>('0' + exponent / 10 % 10);
    *p++ = static_cast<char>('0' + exponent % 10);
    return finish(out, p);
}

char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool is_digit(char c, bool hex)
{
    return (c >= '0' && c <= '9') || (hex && lower(c) >= 'a' && lower(c) <= 'f');
}

bool equals_nocase(const char *p, const char *end, const char *word)
{
    for (; *word && p < end; word++, p++)
        if (lower(*p) != *word)
            return false;
    return !*word && p == end;
}

// An unsigned number without its base prefix, checked but not converted.
struct Scan {
    bool valid;
    bool zero;         // no digit but 0
    int64_t magnitude; // place of the first digit that is not 0, in digits before the point
    int64_t exponent;  // as written, saturated
};

Scan scan_number(const char *p, const char *end, bool hex)
{
    Scan s{false, true, 0, 0};
    bool any_digit = false;
    bool point = false;
    for (; p < end; p++) {
        if (*p == '.' && !point) {
            point = true;
        } else if (is_digit(*p, hex)) {
            any_digit = true;
            if (*p != '0')
                s.zero = false;
            if (!s.zero && !point)
                s.magnitude++;
            else if (s.zero && point)
                s.magnitude--;
        } else {
            break;
        }
    }
    bool has_exponent = p < end && lower(*p) == (hex ? 'p' : 'e');
    if (has_exponent) {
        p++;
        bool negative = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        if (p == end)
            return s;
        for (; p < end && is_digit(*p, false); p++)
            if (s.exponent < 1000000000)
                s.exponent = s.exponent * 10 + (*p - '0');
        if (negative)
            s.exponent = -s.exponent;
    }
    s.valid = any_digit && p == end && (has_exponent || !hex);
    return s;
}

bool parse_unsigned(const char *p, const char *end, double *out)
{
    if (equals_nocase(p, end, "inf") || equals_nocase(p, end, "infinity")) {
        *out = std::numeric_limits<double>::infinity();
        return true;
    }
    bool hex = end - p > 2 && p[0] == '0' && lower(p[1]) == 'x';
    if (hex)
        p += 2;
    Scan s = scan_number(p, end, hex);
    if (!s.valid)
        return false;
    double value = 0;
    std::from_chars_result r =
        std::from_chars(p, end, value, hex ? std::chars_format::hex : std::chars_format::general);
    if (r.ec == std::errc::result_out_of_range) {
        // from_chars says neither which side nor the rounded value.
        int64_t magnitude = s.magnitude * (hex ? 4 : 1) + s.exponent;
        value = !s.zero && magnitude > 0 ? std::numeric_limits<double>::infinity() : 0;
    } else if (r.ec != std::errc() || r.ptr != end) {
        return false;
    }
    *out = value;
    return true;
}

} // namespace

extern "C" {

size_t nx_float_format_f(double v, char *out)
{
    return std::isfinite(v) ? put_fixed(decompose(v), out) : put_special(v, out);
}

size_t nx_float_format_e(double v, char *out)
{
    return std::isfinite(v) ? put_exponent(decompose(v), out) : put_special(v, out);
}

size_t nx_float_format_g(double v, char *out)
{
    if (!std::isfinite(v))
        return put_special(v, out);
    Decimal d = decompose(v);
    return d.exponent < -4 || d.exponent >= 6 ? put_exponent(d, out) : put_fixed(d, out);
}

size_t nx_float_format_api(double v, char *out)
{
    double magnitude = std::fabs(v);
    if (magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21))
        return nx_float_format_e(v, out);
    return nx_float_format_f(v, out);
}

bool nx_float_parse(struct nx_view text, double *out)
{
    const char *p = text.ptr;
    const char *end = p + text.len;
    if (text.len == 0)
        return false;
    if (equals_nocase(p, end, "nan")) {
        uint64_t bits = UINT64_C(0x7ff8000000000001); // Go's
        std::memcpy(out, &bits, sizeof bits);
        return true;
    }
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    double value;
    if (!parse_unsigned(p, end, &value))
        return false;
    *out = negative ? -value : value;
    return true;
}

} // extern "C"
