/* All kinds of results are a list of points: a series (or none), a time and a text. */
#include "cmd/tool_result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/time.h"
#include "common/labels/labels.h"

struct sink {
    void (*point)(struct sink *sink, const json_t *metric, int64_t t, struct nx_view value);
    struct nx_buf *out;
    struct nx_arena arena;
    size_t series_width, value_width; /* of the table */
    bool measure;
    struct nx_view *columns; /* of the CSV: names of labels */
    size_t column_count, column_capacity;
};

static struct nx_view text_of(const json_t *json)
{
    return nx_view_make(json_string_value(json) ? json_string_value(json) : "",
                        json_string_length(json));
}

/* --- the points --- */

/* `{count:3, sum:2.5, (0.5,1]:3}`, as Prometheus prints histograms. */
static void put_histogram(struct nx_buf *out, const json_t *h)
{
    static const char *const open[] = {"(", "[", "(", "["};
    static const char *const close[] = {"]", ")", ")", "]"};
    size_t i;
    json_t *bucket;
    nx_buf_append_str(out, "{count:");
    nx_buf_append_view(out, text_of(json_object_get(h, "count")));
    nx_buf_append_str(out, ", sum:");
    nx_buf_append_view(out, text_of(json_object_get(h, "sum")));
    json_array_foreach(json_object_get(h, "buckets"), i, bucket)
    {
        size_t rule = (size_t)json_integer_value(json_array_get(bucket, 0)) & 3;
        nx_buf_printf(out, ", %s%s,%s%s:%s", open[rule], text_of(json_array_get(bucket, 1)).ptr,
                      text_of(json_array_get(bucket, 2)).ptr, close[rule],
                      text_of(json_array_get(bucket, 3)).ptr);
    }
    nx_buf_append_char(out, '}');
}

static int64_t time_of(const json_t *point)
{
    return (int64_t)llround(json_number_value(json_array_get(point, 0)) * 1000);
}

static void put_point(struct sink *sink, const json_t *metric, const json_t *point)
{
    const json_t *value = json_array_get(point, 1);
    struct nx_buf text;
    if (!json_is_object(value)) {
        sink->point(sink, metric, time_of(point), text_of(value));
        return;
    }
    nx_buf_init(&text, (size_t)16 << 20);
    put_histogram(&text, value);
    if (nx_buf_err(&text) != NX_OK)
        sink->out->err = nx_buf_err(&text);
    sink->point(sink, metric, time_of(point), nx_buf_view(&text));
    nx_buf_release(&text);
}

/* Floats and histograms of a series, by time. */
static void walk_points(struct sink *sink, const json_t *series)
{
    const json_t *metric = json_object_get(series, "metric");
    const json_t *lists[] = {json_object_get(series, "values"),
                             json_object_get(series, "histograms")};
    size_t at[2] = {0, 0};
    for (;;) {
        const json_t *a = json_array_get(lists[0], at[0]), *b = json_array_get(lists[1], at[1]);
        if (!a && !b)
            return;
        size_t which = !a || (b && time_of(b) < time_of(a));
        put_point(sink, metric, which ? b : a);
        at[which]++;
    }
}

static void walk(struct sink *sink, const json_t *data)
{
    const json_t *result = json_object_get(data, "result");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    size_t i;
    json_t *series;
    if (type && (strcmp(type, "scalar") == 0 || strcmp(type, "string") == 0)) {
        put_point(sink, NULL, result);
        return;
    }
    json_array_foreach(result, i, series)
    {
        const json_t *value = json_object_get(series, "value");
        if (!value)
            value = json_object_get(series, "histogram");
        if (value)
            put_point(sink, json_object_get(series, "metric"), value);
        else
            walk_points(sink, series);
    }
}

/* --- the table --- */

static int by_name(const void *a, const void *b)
{
    const struct nx_label *x = a, *y = b;
    return nx_view_cmp(x->name, y->name);
}

static void put_series(struct nx_buf *out, struct nx_arena *arena, const json_t *metric)
{
    size_t count = json_object_size(metric), n = 0;
    struct nx_label *items = nx_arena_array(arena, count + 1, sizeof *items);
    json_t *rest;
    const char *key;
    const json_t *value;
    if (!items) {
        out->err = NX_ERR_NOMEM;
        return;
    }
    memcpy(&rest, &metric, sizeof rest); /* the iteration changes nothing */
    json_object_foreach(rest, key, value) items[n++] =
        (struct nx_label){nx_view_of(key), text_of(value)};
    if (n > 1)
        qsort(items, n, sizeof *items, by_name);
    nx_labels_print(out, (struct nx_labels){items, n});
}

/* In code points. */
static size_t width_of(struct nx_view text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return width;
}

static void pad(struct nx_buf *out, size_t from, size_t to)
{
    for (; from < to; from++)
        nx_buf_append_char(out, ' ');
}

static void table_point(struct sink *sink, const json_t *metric, int64_t t, struct nx_view value)
{
    struct nx_buf series;
    char time[32];
    nx_buf_init(&series, (size_t)16 << 20);
    if (metric)
        put_series(&series, &sink->arena, metric);
    nx_arena_clear(&sink->arena);
    size_t series_width = width_of(nx_buf_view(&series)), value_width = width_of(value);
    if (sink->measure) {
        if (series_width > sink->series_width)
            sink->series_width = series_width;
        if (value_width > sink->value_width)
            sink->value_width = value_width;
    } else {
        nx_time_format_rfc3339(t, time, sizeof time);
        nx_buf_append_view(sink->out, nx_buf_view(&series));
        pad(sink->out, series_width, sink->series_width);
        nx_buf_append_str(sink->out, "  ");
        pad(sink->out, value_width, sink->value_width);
        nx_buf_append_view(sink->out, value);
        nx_buf_printf(sink->out, "  %s\n", time);
    }
    if (nx_buf_err(&series) != NX_OK)
        sink->out->err = nx_buf_err(&series);
    nx_buf_release(&series);
}

void cmd_result_table(const json_t *data, struct nx_buf *out)
{
    struct sink sink = {.point = table_point, .out = out, .measure = true};
    nx_arena_init(&sink.arena, 0);
    sink.series_width = strlen("SERIES");
    sink.value_width = strlen("VALUE");
    walk(&sink, data);
    nx_buf_append_str(out, "SERIES");
    pad(out, strlen("SERIES"), sink.series_width);
    nx_buf_append_str(out, "  ");
    pad(out, strlen("VALUE"), sink.value_width);
    nx_buf_append_str(out, "VALUE  TIME\n");
    sink.measure = false;
    walk(&sink, data);
    nx_arena_release(&sink.arena);
}

/* --- CSV (RFC 4180) --- */

static void put_field(struct nx_buf *out, struct nx_view text)
{
    bool plain = true;
    for (size_t i = 0; i < text.len && plain; i++)
        plain = !strchr(",\"\r\n", text.ptr[i]);
    if (plain) {
        nx_buf_append_view(out, text);
        return;
    }
    nx_buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            nx_buf_append_char(out, '"');
        nx_buf_append_char(out, text.ptr[i]);
    }
    nx_buf_append_char(out, '"');
}

static int by_bytes(const void *a, const void *b)
{
    return nx_view_cmp(*(const struct nx_view *)a, *(const struct nx_view *)b);
}

static void csv_point(struct sink *sink, const json_t *metric, int64_t t, struct nx_view value)
{
    for (size_t i = 0; i < sink->column_count; i++) {
        put_field(sink->out, text_of(json_object_get(metric, sink->columns[i].ptr)));
        nx_buf_append_char(sink->out, ',');
    }
    uint64_t ms = t < 0 ? 0 - (uint64_t)t : (uint64_t)t;
    nx_buf_printf(sink->out, "%s%llu.%03llu,", t < 0 ? "-" : "", (unsigned long long)(ms / 1000),
                  (unsigned long long)(ms % 1000));
    put_field(sink->out, value);
    nx_buf_append_char(sink->out, '\n');
}

/* Sorted and each once, when there may be too many of them. */
static void tidy_columns(struct sink *sink)
{
    size_t n = 0;
    if (sink->column_count > 1)
        qsort(sink->columns, sink->column_count, sizeof *sink->columns, by_bytes);
    for (size_t i = 0; i < sink->column_count; i++)
        if (n == 0 || !nx_view_eq(sink->columns[i], sink->columns[n - 1]))
            sink->columns[n++] = sink->columns[i];
    sink->column_count = n;
}

static void collect_columns(struct sink *sink, const json_t *data)
{
    size_t i;
    json_t *series;
    json_array_foreach(json_object_get(data, "result"), i, series)
    {
        json_t *metric = json_object_get(series, "metric");
        const char *key;
        json_t *value;
        json_object_foreach(metric, key, value)
        {
            if (sink->column_count == sink->column_capacity)
                tidy_columns(sink);
            if (!nx_arena_grow(&sink->arena, &sink->columns, sink->column_count,
                               &sink->column_capacity, sink->column_count + 1,
                               sizeof *sink->columns)) {
                sink->out->err = NX_ERR_NOMEM;
                return;
            }
            sink->columns[sink->column_count++] = nx_view_of(key);
        }
    }
    tidy_columns(sink);
}

void cmd_result_csv(const json_t *data, struct nx_buf *out)
{
    struct sink sink = {.point = csv_point, .out = out};
    nx_arena_init(&sink.arena, 0);
    collect_columns(&sink, data);
    for (size_t i = 0; i < sink.column_count; i++) {
        put_field(out, sink.columns[i]);
        nx_buf_append_char(out, ',');
    }
    nx_buf_append_str(out, "time,value\n");
    walk(&sink, data);
    nx_arena_release(&sink.arena);
}
