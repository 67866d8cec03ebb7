/* Shortest round-trip float printing and exact parsing (std::to_chars, std::from_chars) in Go's
 * notations. */
#ifndef NX_CXX_NUMBER_SHIM_H
#define NX_CXX_NUMBER_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/view.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Enough for every form below, with the NUL ('f' of 1.7e308 has 309 digits, of 5e-324 has 326). */
#define NX_FLOAT_MAX 352

/* strconv.FormatFloat(v, 'f', -1, 64): never an exponent; "NaN", "+Inf", "-Inf", "-0". Returns the
 * length. */
size_t nx_float_format_f(double v, char *out);
/* 'e': "1e-07", "1.5e+21" (at least two exponent digits). */
size_t nx_float_format_e(double v, char *out);
/* 'g', -1 (also %v): 'e' where the decimal exponent is below -4 or above 5 ("1e+06", "123456"),
 * else 'f'. */
size_t nx_float_format_g(double v, char *out);
/* The API's sample values: 'f', but 'e' where v != 0 and (|v| < 1e-6 or |v| >= 1e21). */
size_t nx_float_format_api(double v, char *out);

/* Decimal or hex float of the whole view as strconv.ParseFloat takes it ("1e3", ".5", "+Inf",
 * "infinity", "nan", "0x1p-2"; underscores are not taken). Overflow gives infinity and true. */
bool nx_float_parse(struct nx_view text, double *out);

#ifdef __cplusplus
}
#endif
#endif
