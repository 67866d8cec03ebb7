/* The one table of PromQL functions. The parser (names, arity, types), the engine
 * (implementations), the API (features) and the documentation are fed from it.
 *
 * X(id, name, variadic, result, experimental, doc, argument types...)
 * A function without arguments lists QRY_TYPE_NONE.
 * Arity (reference section 7): n = number of listed types; variadic 0: exactly n; v > 0: n-1 ..
 * n-1+v; -1: at least n-1, the last type repeating. Sorted by name. */
#ifndef QRY_PROMQL_FUNCTION_TABLE_H
#define QRY_PROMQL_FUNCTION_TABLE_H

#include "common/base/buf.h"
#include "querier/promql/ast.h"

#define QRY_FUNCTION_MAX_ARGS 5

/* clang-format off */
#define QRY_FUNCTION_TABLE(X)                                                                      \
    X(ABS, "abs", 0, QRY_TYPE_VECTOR, false,                                                       \
      "Absolute value of each sample.", QRY_TYPE_VECTOR)                                           \
    X(ABSENT, "absent", 0, QRY_TYPE_VECTOR, false,                                                 \
      "One sample with value 1 while the argument is empty.", QRY_TYPE_VECTOR)                     \
    X(ABSENT_OVER_TIME, "absent_over_time", 0, QRY_TYPE_VECTOR, false,                             \
      "One sample with value 1 while no series has a sample in the range.", QRY_TYPE_MATRIX)       \
    X(ACOS, "acos", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Arc cosine, in radians.", QRY_TYPE_VECTOR)                                                  \
    X(ACOSH, "acosh", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Inverse hyperbolic cosine.", QRY_TYPE_VECTOR)                                               \
    X(ASIN, "asin", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Arc sine, in radians.", QRY_TYPE_VECTOR)                                                    \
    X(ASINH, "asinh", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Inverse hyperbolic sine.", QRY_TYPE_VECTOR)                                                 \
    X(ATAN, "atan", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Arc tangent, in radians.", QRY_TYPE_VECTOR)                                                 \
    X(ATANH, "atanh", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Inverse hyperbolic tangent.", QRY_TYPE_VECTOR)                                              \
    X(AVG_OVER_TIME, "avg_over_time", 0, QRY_TYPE_VECTOR, false,                                   \
      "Mean of the samples in the range.", QRY_TYPE_MATRIX)                                        \
    X(CEIL, "ceil", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Rounds up to the nearest integer.", QRY_TYPE_VECTOR)                                        \
    X(CHANGES, "changes", 0, QRY_TYPE_VECTOR, false,                                               \
      "How often the value changed within the range.", QRY_TYPE_MATRIX)                            \
    X(CLAMP, "clamp", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Limits the values to a lower and an upper bound.",                                          \
      QRY_TYPE_VECTOR, QRY_TYPE_SCALAR, QRY_TYPE_SCALAR)                                           \
    X(CLAMP_MAX, "clamp_max", 0, QRY_TYPE_VECTOR, false,                                           \
      "Limits the values to an upper bound.", QRY_TYPE_VECTOR, QRY_TYPE_SCALAR)                    \
    X(CLAMP_MIN, "clamp_min", 0, QRY_TYPE_VECTOR, false,                                           \
      "Limits the values to a lower bound.", QRY_TYPE_VECTOR, QRY_TYPE_SCALAR)                     \
    X(COS, "cos", 0, QRY_TYPE_VECTOR, false,                                                       \
      "Cosine of an angle in radians.", QRY_TYPE_VECTOR)                                           \
    X(COSH, "cosh", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Hyperbolic cosine.", QRY_TYPE_VECTOR)                                                       \
    X(COUNT_OVER_TIME, "count_over_time", 0, QRY_TYPE_VECTOR, false,                               \
      "Number of samples in the range.", QRY_TYPE_MATRIX)                                          \
    X(DAY_OF_MONTH, "day_of_month", 1, QRY_TYPE_VECTOR, false,                                     \
      "Day of the month (1 to 31, UTC) of a time in Unix seconds.", QRY_TYPE_VECTOR)               \
    X(DAY_OF_WEEK, "day_of_week", 1, QRY_TYPE_VECTOR, false,                                       \
      "Day of the week (0 is Sunday, UTC) of a time in Unix seconds.", QRY_TYPE_VECTOR)            \
    X(DAY_OF_YEAR, "day_of_year", 1, QRY_TYPE_VECTOR, false,                                       \
      "Day of the year (1 to 366, UTC) of a time in Unix seconds.", QRY_TYPE_VECTOR)               \
    X(DAYS_IN_MONTH, "days_in_month", 1, QRY_TYPE_VECTOR, false,                                   \
      "Number of days of the month (UTC) a time in Unix seconds lies in.", QRY_TYPE_VECTOR)        \
    X(DEG, "deg", 0, QRY_TYPE_VECTOR, false,                                                       \
      "Converts radians to degrees.", QRY_TYPE_VECTOR)                                             \
    X(DELTA, "delta", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Difference between the ends of the range, extrapolated; for gauges.", QRY_TYPE_MATRIX)      \
    X(DERIV, "deriv", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Slope per second by linear regression; for gauges.", QRY_TYPE_MATRIX)                       \
    X(DOUBLE_EXPONENTIAL_SMOOTHING, "double_exponential_smoothing", 0, QRY_TYPE_VECTOR, true,      \
      "Smoothed value by double exponential smoothing (smoothing factor, trend factor).",          \
      QRY_TYPE_MATRIX, QRY_TYPE_SCALAR, QRY_TYPE_SCALAR)                                           \
    X(END, "end", 0, QRY_TYPE_SCALAR, true,                                                        \
      "End of the query, in Unix seconds.", QRY_TYPE_NONE)                                         \
    X(EXP, "exp", 0, QRY_TYPE_VECTOR, false,                                                       \
      "Natural exponential.", QRY_TYPE_VECTOR)                                                     \
    X(FIRST_OVER_TIME, "first_over_time", 0, QRY_TYPE_VECTOR, false,                               \
      "Oldest sample in the range.", QRY_TYPE_MATRIX)                                              \
    X(FLOOR, "floor", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Rounds down to the nearest integer.", QRY_TYPE_VECTOR)                                      \
    X(HISTOGRAM_AVG, "histogram_avg", 0, QRY_TYPE_VECTOR, false,                                   \
      "Mean of the observations in a native histogram.", QRY_TYPE_VECTOR)                          \
    X(HISTOGRAM_COUNT, "histogram_count", 0, QRY_TYPE_VECTOR, false,                               \
      "Number of observations in a native histogram.", QRY_TYPE_VECTOR)                            \
    X(HISTOGRAM_FRACTION, "histogram_fraction", 0, QRY_TYPE_VECTOR, false,                         \
      "Estimated share of a histogram's observations between two bounds.",                         \
      QRY_TYPE_SCALAR, QRY_TYPE_SCALAR, QRY_TYPE_VECTOR)                                           \
    X(HISTOGRAM_QUANTILE, "histogram_quantile", 0, QRY_TYPE_VECTOR, false,                         \
      "Estimated quantile of a classic or native histogram.", QRY_TYPE_SCALAR, QRY_TYPE_VECTOR)    \
    X(HISTOGRAM_QUANTILES, "histogram_quantiles", 9, QRY_TYPE_VECTOR, true,                       \
      "Estimated quantiles of a histogram, each named by a label.",                                \
      QRY_TYPE_VECTOR, QRY_TYPE_STRING, QRY_TYPE_SCALAR, QRY_TYPE_SCALAR)                          \
    X(HISTOGRAM_STDDEV, "histogram_stddev", 0, QRY_TYPE_VECTOR, false,                             \
      "Estimated standard deviation of the observations in a native histogram.", QRY_TYPE_VECTOR)  \
    X(HISTOGRAM_STDVAR, "histogram_stdvar", 0, QRY_TYPE_VECTOR, false,                             \
      "Estimated variance of the observations in a native histogram.", QRY_TYPE_VECTOR)            \
    X(HISTOGRAM_SUM, "histogram_sum", 0, QRY_TYPE_VECTOR, false,                                   \
      "Sum of the observations in a native histogram.", QRY_TYPE_VECTOR)                           \
    X(HOUR, "hour", 1, QRY_TYPE_VECTOR, false,                                                     \
      "Hour of the day (0 to 23, UTC) of a time in Unix seconds.", QRY_TYPE_VECTOR)                \
    X(IDELTA, "idelta", 0, QRY_TYPE_VECTOR, false,                                                 \
      "Difference of the last two samples; for gauges.", QRY_TYPE_MATRIX)                          \
    X(INCREASE, "increase", 0, QRY_TYPE_VECTOR, false,                                             \
      "Increase of a counter over the range, extrapolated, resets accounted for.",                 \
      QRY_TYPE_MATRIX)                                                                             \
    X(INFO, "info", 1, QRY_TYPE_VECTOR, true,                                                      \
      "Adds the labels of matching info series.", QRY_TYPE_VECTOR, QRY_TYPE_VECTOR)                \
    X(IRATE, "irate", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Increase of a counter per second between the last two samples.", QRY_TYPE_MATRIX)           \
    X(LABEL_JOIN, "label_join", -1, QRY_TYPE_VECTOR, false,                                        \
      "Sets a label to the values of other labels joined by a separator.",                         \
      QRY_TYPE_VECTOR, QRY_TYPE_STRING, QRY_TYPE_STRING, QRY_TYPE_STRING)                          \
    X(LABEL_REPLACE, "label_replace", 0, QRY_TYPE_VECTOR, false,                                   \
      "Sets a label to an expansion of a regular expression's groups.",                            \
      QRY_TYPE_VECTOR, QRY_TYPE_STRING, QRY_TYPE_STRING, QRY_TYPE_STRING, QRY_TYPE_STRING)         \
    X(LAST_OVER_TIME, "last_over_time", 0, QRY_TYPE_VECTOR, false,                                 \
      "Newest sample in the range.", QRY_TYPE_MATRIX)                                              \
    X(LN, "ln", 0, QRY_TYPE_VECTOR, false,                                                         \
      "Natural logarithm.", QRY_TYPE_VECTOR)                                                       \
    X(LOG10, "log10", 0, QRY_TYPE_VECTOR, false,                                                   \
      "Decimal logarithm.", QRY_TYPE_VECTOR)                                                       \
    X(LOG2, "log2", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Binary logarithm.", QRY_TYPE_VECTOR)                                                        \
    X(MAD_OVER_TIME, "mad_over_time", 0, QRY_TYPE_VECTOR, true,                                    \
      "Median absolute deviation of the samples in the range.", QRY_TYPE_MATRIX)                   \
    X(MAX_OF, "max_of", 0, QRY_TYPE_SCALAR, true,                                                  \
      "The greater of two scalars.", QRY_TYPE_SCALAR, QRY_TYPE_SCALAR)                             \
    X(MAX_OVER_TIME, "max_over_time", 0, QRY_TYPE_VECTOR, false,                                   \
      "Greatest sample in the range.", QRY_TYPE_MATRIX)                                            \
    X(MIN_OF, "min_of", 0, QRY_TYPE_SCALAR, true,                                                  \
      "The smaller of two scalars.", QRY_TYPE_SCALAR, QRY_TYPE_SCALAR)                             \
    X(MIN_OVER_TIME, "min_over_time", 0, QRY_TYPE_VECTOR, false,                                   \
      "Smallest sample in the range.", QRY_TYPE_MATRIX)                                            \
    X(MINUTE, "minute", 1, QRY_TYPE_VECTOR, false,                                                 \
      "Minute of the hour (0 to 59, UTC) of a time in Unix seconds.", QRY_TYPE_VECTOR)             \
    X(MONTH, "month", 1, QRY_TYPE_VECTOR, false,                                                   \
      "Month of the year (1 to 12, UTC) of a time in Unix seconds.", QRY_TYPE_VECTOR)              \
    X(PI, "pi", 0, QRY_TYPE_SCALAR, false,                                                         \
      "The circle's number.", QRY_TYPE_NONE)                                                       \
    X(PREDICT_LINEAR, "predict_linear", 0, QRY_TYPE_VECTOR, false,                                 \
      "Value expected in so many seconds, by linear regression; for gauges.",                      \
      QRY_TYPE_MATRIX, QRY_TYPE_SCALAR)                                                            \
    X(PRESENT_OVER_TIME, "present_over_time", 0, QRY_TYPE_VECTOR, false,                           \
      "The value 1 for each series with a sample in the range.", QRY_TYPE_MATRIX)                  \
    X(QUANTILE_OVER_TIME, "quantile_over_time", 0, QRY_TYPE_VECTOR, false,                         \
      "Quantile of the samples in the range.", QRY_TYPE_SCALAR, QRY_TYPE_MATRIX)                   \
    X(RAD, "rad", 0, QRY_TYPE_VECTOR, false,                                                       \
      "Converts degrees to radians.", QRY_TYPE_VECTOR)                                             \
    X(RANGE, "range", 0, QRY_TYPE_SCALAR, true,                                                    \
      "Length of the query in seconds, 0 for an instant query.", QRY_TYPE_NONE)                    \
    X(RATE, "rate", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Increase of a counter per second over the range, extrapolated, resets accounted for.",      \
      QRY_TYPE_MATRIX)                                                                             \
    X(RESETS, "resets", 0, QRY_TYPE_VECTOR, false,                                                 \
      "Number of counter resets in the range.", QRY_TYPE_MATRIX)                                   \
    X(ROUND, "round", 1, QRY_TYPE_VECTOR, false,                                                   \
      "Rounds to the nearest multiple (1 unless given), ties up.",                                 \
      QRY_TYPE_VECTOR, QRY_TYPE_SCALAR)                                                            \
    X(SCALAR, "scalar", 0, QRY_TYPE_SCALAR, false,                                                 \
      "The value of a vector's only sample, else NaN.", QRY_TYPE_VECTOR)                           \
    X(SGN, "sgn", 0, QRY_TYPE_VECTOR, false,                                                       \
      "Sign of each sample: -1, 0 or 1.", QRY_TYPE_VECTOR)                                         \
    X(SIN, "sin", 0, QRY_TYPE_VECTOR, false,                                                       \
      "Sine of an angle in radians.", QRY_TYPE_VECTOR)                                             \
    X(SINH, "sinh", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Hyperbolic sine.", QRY_TYPE_VECTOR)                                                         \
    X(SORT, "sort", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Orders by value, ascending; instant queries only.", QRY_TYPE_VECTOR)                        \
    X(SORT_BY_LABEL, "sort_by_label", -1, QRY_TYPE_VECTOR, true,                                   \
      "Orders by the values of labels, naturally, ascending; instant queries only.",               \
      QRY_TYPE_VECTOR, QRY_TYPE_STRING)                                                            \
    X(SORT_BY_LABEL_DESC, "sort_by_label_desc", -1, QRY_TYPE_VECTOR, true,                         \
      "Orders by the values of labels, naturally, descending; instant queries only.",              \
      QRY_TYPE_VECTOR, QRY_TYPE_STRING)                                                            \
    X(SORT_DESC, "sort_desc", 0, QRY_TYPE_VECTOR, false,                                           \
      "Orders by value, descending; instant queries only.", QRY_TYPE_VECTOR)                       \
    X(SQRT, "sqrt", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Square root.", QRY_TYPE_VECTOR)                                                             \
    X(START, "start", 0, QRY_TYPE_SCALAR, true,                                                    \
      "Start of the query, in Unix seconds.", QRY_TYPE_NONE)                                       \
    X(START_TIMESTAMP, "start_timestamp", 0, QRY_TYPE_VECTOR, true,                                \
      "Start timestamp of each sample, in Unix seconds, where it is known.", QRY_TYPE_VECTOR)      \
    X(STDDEV_OVER_TIME, "stddev_over_time", 0, QRY_TYPE_VECTOR, false,                             \
      "Population standard deviation of the samples in the range.", QRY_TYPE_MATRIX)               \
    X(STDVAR_OVER_TIME, "stdvar_over_time", 0, QRY_TYPE_VECTOR, false,                             \
      "Population variance of the samples in the range.", QRY_TYPE_MATRIX)                         \
    X(STEP, "step", 0, QRY_TYPE_SCALAR, true,                                                      \
      "Step of the query in seconds, 0 for an instant query.", QRY_TYPE_NONE)                      \
    X(SUM_OVER_TIME, "sum_over_time", 0, QRY_TYPE_VECTOR, false,                                   \
      "Sum of the samples in the range.", QRY_TYPE_MATRIX)                                         \
    X(TAN, "tan", 0, QRY_TYPE_VECTOR, false,                                                       \
      "Tangent of an angle in radians.", QRY_TYPE_VECTOR)                                          \
    X(TANH, "tanh", 0, QRY_TYPE_VECTOR, false,                                                     \
      "Hyperbolic tangent.", QRY_TYPE_VECTOR)                                                      \
    X(TIME, "time", 0, QRY_TYPE_SCALAR, false,                                                     \
      "Time of evaluation, in Unix seconds.", QRY_TYPE_NONE)                                       \
    X(TIMESTAMP, "timestamp", 0, QRY_TYPE_VECTOR, false,                                           \
      "Time of each sample, in Unix seconds.", QRY_TYPE_VECTOR)                                    \
    X(TS_OF_FIRST_OVER_TIME, "ts_of_first_over_time", 0, QRY_TYPE_VECTOR, true,                    \
      "Time of the oldest sample in the range, in Unix seconds.", QRY_TYPE_MATRIX)                 \
    X(TS_OF_LAST_OVER_TIME, "ts_of_last_over_time", 0, QRY_TYPE_VECTOR, true,                      \
      "Time of the newest sample in the range, in Unix seconds.", QRY_TYPE_MATRIX)                 \
    X(TS_OF_MAX_OVER_TIME, "ts_of_max_over_time", 0, QRY_TYPE_VECTOR, true,                        \
      "Time of the greatest sample in the range, in Unix seconds.", QRY_TYPE_MATRIX)               \
    X(TS_OF_MIN_OVER_TIME, "ts_of_min_over_time", 0, QRY_TYPE_VECTOR, true,                        \
      "Time of the smallest sample in the range, in Unix seconds.", QRY_TYPE_MATRIX)               \
    X(VECTOR, "vector", 0, QRY_TYPE_VECTOR, false,                                                 \
      "A scalar as a vector of one sample without labels.", QRY_TYPE_SCALAR)                       \
    X(YEAR, "year", 1, QRY_TYPE_VECTOR, false,                                                     \
      "Year (UTC) of a time in Unix seconds.", QRY_TYPE_VECTOR)
/* clang-format on */

/* QRY_FN_ABS, ...: dense from 0, in name order, so that the engine can index its implementations by
 * it. */
enum qry_function_id {
#define X(id, ...) QRY_FN_##id,
    QRY_FUNCTION_TABLE(X)
#undef X
        QRY_FUNCTION_COUNT
};

struct qry_function {
    const char *name;
    int id; /* enum qry_function_id */
    int variadic;
    enum qry_type result;
    bool experimental;
    enum qry_type args[QRY_FUNCTION_MAX_ARGS];
    size_t arg_count;
    const char *doc;
};

/* NULL where there is none of that name. Names are case-sensitive. */
const struct qry_function *qry_function_find(struct nx_view name);
const struct qry_function *qry_function_at(size_t i); /* NULL past the last; in name order */
/* The table as the page docs/promql-functions.md. */
void qry_function_markdown(struct nx_buf *out);

#endif
