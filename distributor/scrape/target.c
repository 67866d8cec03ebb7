#include "distributor/scrape/target.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/quote.h"
#include "common/base/time.h"

#define ADDRESS NX_VIEW("__address__")
#define SCHEME NX_VIEW("__scheme__")
#define METRICS_PATH NX_VIEW("__metrics_path__")
#define INTERVAL NX_VIEW("__scrape_interval__")
#define TIMEOUT NX_VIEW("__scrape_timeout__")
#define PARAM_PREFIX NX_VIEW("__param_")
#define META_PREFIX NX_VIEW("__meta_")
#define RESERVED_PREFIX NX_VIEW("__")
#define JOB NX_VIEW("job")
#define INSTANCE NX_VIEW("instance")

enum { URL_BYTES_MAX = 1 << 20 };

/* --- status --- */

struct scrape_status *scrape_status_new(void)
{
    struct scrape_status *status = nx_calloc(1, sizeof *status);
    if (!status)
        return NULL;
    nx_refcount_init(&status->refs);
    pthread_mutex_init(&status->lock, NULL);
    nx_arena_init(&status->arena, 0);
    return status;
}

struct scrape_status *scrape_status_take(struct scrape_status *status)
{
    nx_refcount_take(&status->refs);
    return status;
}

void scrape_status_drop(struct scrape_status *status)
{
    if (!status || !nx_refcount_drop(&status->refs))
        return;
    pthread_mutex_destroy(&status->lock);
    nx_arena_release(&status->arena);
    nx_free(status);
}

/* --- before relabeling --- */

static struct nx_view get(const struct nx_labels_builder *builder, struct nx_view name)
{
    return nx_labels_get((struct nx_labels){.items = builder->items, .count = builder->count},
                         name);
}

static void set_default(struct nx_labels_builder *builder, struct nx_view name,
                        struct nx_view value)
{
    if (get(builder, name).len == 0)
        nx_labels_builder_set(builder, name, value);
}

static struct nx_view print_duration(struct nx_arena *arena, int64_t ms)
{
    char text[NX_DURATION_MAX];
    nx_duration_format(ms, text, sizeof text);
    return nx_arena_copy(arena, nx_view_of(text));
}

static struct nx_view join(struct nx_arena *arena, struct nx_view prefix, struct nx_view text)
{
    char *bytes = nx_arena_alloc(arena, prefix.len + text.len + 1);
    if (!bytes)
        return nx_view_make(NULL, 0);
    memcpy(bytes, prefix.ptr, prefix.len);
    if (text.len > 0)
        memcpy(bytes + prefix.len, text.ptr, text.len);
    bytes[prefix.len + text.len] = '\0';
    return nx_view_make(bytes, prefix.len + text.len);
}

enum nx_err scrape_target_discovered(struct nx_arena *arena, const struct scrape_job *job,
                                     struct nx_labels own, struct nx_labels group,
                                     struct nx_labels *out)
{
    struct nx_labels_builder builder;
    nx_labels_builder_init(&builder, arena, group);
    for (size_t i = 0; i < own.count; i++)
        nx_labels_builder_set(&builder, own.items[i].name, own.items[i].value);
    struct nx_view interval = print_duration(arena, job->interval_ms);
    struct nx_view timeout = print_duration(arena, job->timeout_ms);
    if (!interval.ptr || !timeout.ptr)
        return NX_ERR_NOMEM;
    set_default(&builder, JOB, nx_view_of(job->name));
    set_default(&builder, INTERVAL, interval);
    set_default(&builder, TIMEOUT, timeout);
    set_default(&builder, METRICS_PATH, nx_view_of(job->metrics_path));
    set_default(&builder, SCHEME, nx_view_of(job->scheme));
    for (size_t i = 0; i < job->param_count; i++) {
        struct nx_view name = join(arena, PARAM_PREFIX, nx_view_of(job->params[i].name));
        if (!name.ptr)
            return NX_ERR_NOMEM;
        set_default(&builder, name, nx_view_of(job->params[i].values[0]));
    }
    return nx_labels_builder_take(&builder, out);
}

/* --- after --- */

static const char *quote(struct nx_view text, char *out, size_t size)
{
    return nx_quote_into(text, out, size);
}

static enum nx_err parse_time(struct nx_view text, const char *what, int64_t *ms,
                              struct nx_fail *fail)
{
    struct nx_fail why = {.code = NX_OK};
    if (nx_duration_parse(text, ms, &why) != NX_OK)
        return nx_fail_set(fail, NX_ERR_INVALID, "error parsing scrape %s: %.200s", what, why.text);
    if (*ms <= 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "scrape %s cannot be 0", what);
    return NX_OK;
}

static enum nx_err read_times(const struct nx_labels_builder *builder, struct scrape_target *target,
                              struct nx_fail *fail)
{
    struct nx_view interval = get(builder, INTERVAL), timeout = get(builder, TIMEOUT);
    char a[64], b[64];
    enum nx_err err = parse_time(interval, "interval", &target->interval_ms, fail);
    if (!err)
        err = parse_time(timeout, "timeout", &target->timeout_ms, fail);
    if (!err && target->timeout_ms > target->interval_ms)
        return nx_fail_set(fail, NX_ERR_INVALID,
                           "scrape timeout cannot be greater than scrape interval (%s > %s)",
                           quote(timeout, a, sizeof a), quote(interval, b, sizeof b));
    return err;
}

static enum nx_err check(const struct nx_labels_builder *builder, struct scrape_target *target,
                         struct nx_fail *fail)
{
    struct nx_view address = get(builder, ADDRESS);
    char shown[300];
    if (address.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "no address");
    if (memchr(address.ptr, '/', address.len))
        return nx_fail_set(fail, NX_ERR_INVALID, "%s is not a valid hostname",
                           quote(address, shown, sizeof shown));
    for (size_t i = 0; i < builder->count; i++) {
        const struct nx_label *label = &builder->items[i];
        if (!nx_view_is_utf8(label->value))
            return nx_fail_set(fail, NX_ERR_INVALID, "invalid label value for %s",
                               quote(label->name, shown, sizeof shown));
    }
    return read_times(builder, target, fail);
}

static void drop_meta(struct nx_labels_builder *builder)
{
    size_t kept = 0;
    for (size_t i = 0; i < builder->count; i++)
        if (!nx_view_has_prefix(builder->items[i].name, META_PREFIX))
            builder->items[kept++] = builder->items[i];
    builder->count = kept;
}

/* --- URL --- */

static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

/* As Go's url.Values.Encode. */
static void put_query(struct nx_buf *out, struct nx_view text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (is_plain(c))
            nx_buf_append_char(out, (char)c);
        else if (c == ' ')
            nx_buf_append_char(out, '+');
        else
            nx_buf_printf(out, "%%%02X", c);
    }
}

/* As Go's URL.EscapedPath, which also puts a slash in front. */
static void put_path(struct nx_buf *out, struct nx_view path)
{
    if (path.len > 0 && path.ptr[0] != '/')
        nx_buf_append_char(out, '/');
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        if (is_plain(c) || strchr("$&+,/:;=@", c))
            nx_buf_append_char(out, (char)c);
        else
            nx_buf_printf(out, "%%%02X", c);
    }
}

static void put_pair(struct nx_buf *out, bool *first, struct nx_view name, struct nx_view value)
{
    nx_buf_append_char(out, *first ? '?' : '&');
    *first = false;
    put_query(out, name);
    nx_buf_append_char(out, '=');
    put_query(out, value);
}

/* Both lists are sorted by name: the job's parameters, whose first value a label replaces, and
 * labels of parameters that the job does not have. */
static void put_params(struct nx_buf *out, const struct scrape_job *job, struct nx_labels labels)
{
    bool first = true;
    size_t i = 0, k = 0;
    while (k < labels.count && !nx_view_has_prefix(labels.items[k].name, PARAM_PREFIX))
        k++;
    for (;;) {
        bool has_label = k < labels.count && nx_view_has_prefix(labels.items[k].name, PARAM_PREFIX);
        if (i == job->param_count && !has_label)
            return;
        struct nx_view label = NX_VIEW("");
        if (has_label)
            label = nx_view_make(labels.items[k].name.ptr + PARAM_PREFIX.len,
                                 labels.items[k].name.len - PARAM_PREFIX.len);
        int order = i == job->param_count ? 1
                    : !has_label          ? -1
                                          : nx_view_cmp(nx_view_of(job->params[i].name), label);
        if (order > 0) {
            put_pair(out, &first, label, labels.items[k].value);
        } else {
            const struct scrape_param *param = &job->params[i];
            struct nx_view name = nx_view_of(param->name);
            put_pair(out, &first, name,
                     order == 0 ? labels.items[k].value : nx_view_of(param->values[0]));
            for (size_t v = 1; v < param->count; v++)
                put_pair(out, &first, name, nx_view_of(param->values[v]));
        }
        i += order <= 0;
        k += order >= 0;
    }
}

static enum nx_err make_url(struct nx_arena *arena, struct scrape_target *target)
{
    struct nx_buf url;
    nx_buf_init(&url, URL_BYTES_MAX);
    nx_buf_append_view(&url, nx_labels_get(target->labels, SCHEME));
    nx_buf_append_str(&url, "://");
    nx_buf_append_view(&url, nx_labels_get(target->labels, ADDRESS));
    put_path(&url, nx_labels_get(target->labels, METRICS_PATH));
    put_params(&url, target->job, target->labels);
    struct nx_view copy = {.ptr = NULL};
    enum nx_err err = nx_buf_err(&url);
    if (!err)
        copy = nx_arena_copy(arena, nx_buf_view(&url));
    nx_buf_release(&url);
    target->url = copy.ptr;
    return err ? err : copy.ptr ? NX_OK : NX_ERR_NOMEM;
}

/* --- all of it --- */

static enum nx_err show(struct nx_arena *arena, struct scrape_target *target)
{
    struct nx_label *shown = nx_arena_array(arena, target->labels.count + 1, sizeof *shown);
    size_t count = 0;
    if (!shown)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < target->labels.count; i++)
        if (!nx_view_has_prefix(target->labels.items[i].name, RESERVED_PREFIX))
            shown[count++] = target->labels.items[i];
    target->shown = (struct nx_labels){.items = shown, .count = count};
    return NX_OK;
}

static struct nx_hash128 hash_labels(struct nx_view seed, struct nx_labels labels)
{
    struct nx_hash128 parts[3] = {nx_hash128(seed.ptr, seed.len)};
    for (size_t i = 0; i < labels.count; i++) {
        parts[1] = nx_hash128(labels.items[i].name.ptr, labels.items[i].name.len);
        parts[2] = nx_hash128(labels.items[i].value.ptr, labels.items[i].value.len);
        parts[0] = nx_hash128(parts, sizeof parts);
    }
    return parts[0];
}

static void identify(struct scrape_target *target)
{
    struct nx_labels labels = target->url ? target->labels : target->discovered;
    struct nx_hash128 parts[2] = {hash_labels(nx_view_of(target->job->name), labels),
                                  nx_hash128("", 0)};
    if (target->url)
        parts[1] = nx_hash128(target->url, strlen(target->url));
    target->key = nx_hash128(parts, sizeof parts);
    target->hash = target->key.lo;
}

enum nx_err scrape_target_populate(struct nx_arena *arena, const struct scrape_job *job,
                                   struct nx_labels own, struct nx_labels group,
                                   struct scrape_target *out, struct nx_fail *fail)
{
    struct scrape_target target = {.job = job};
    struct nx_labels_builder builder;
    bool keep = false;
    enum nx_err err = scrape_target_discovered(arena, job, own, group, &target.discovered);
    if (err)
        return err;
    nx_labels_builder_init(&builder, arena, target.discovered);
    err = nx_relabel_apply(job->relabel, &builder, &keep);
    if (err == NX_ERR_LIMIT)
        return nx_fail_set(fail, NX_ERR_INVALID, "relabeling made a label set that is too large");
    if (!err && keep)
        err = check(&builder, &target, fail);
    if (!err && keep) {
        struct nx_view address = get(&builder, ADDRESS);
        drop_meta(&builder);
        set_default(&builder, INSTANCE, address);
        err = nx_labels_builder_take(&builder, &target.labels);
        if (!err)
            err = show(arena, &target);
        if (!err)
            err = make_url(arena, &target);
    }
    if (err)
        return err;
    identify(&target);
    *out = target;
    return NX_OK;
}

uint64_t scrape_target_offset_ns(const struct scrape_target *target, uint64_t seed, uint64_t now_ns)
{
    uint64_t interval_ns = (uint64_t)target->interval_ms * UINT64_C(1000000);
    assert(interval_ns > 0);
    uint64_t next = interval_ns - now_ns % interval_ns + (target->hash ^ seed) % interval_ns;
    return next > interval_ns ? next - interval_ns : next;
}
