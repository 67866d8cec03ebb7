#include "ingester/tsdb/meta.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

bool ing_tsdb_is_ulid(struct nx_view text)
{
    if (text.len != ING_TSDB_ULID_CHARS || text.ptr[0] > '7')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0' || !strchr(alphabet, text.ptr[i]))
            return false;
    return true;
}

void ing_tsdb_ulid(int64_t ms, uint16_t random_hi, uint64_t random_lo,
                   char out[ING_TSDB_ULID_CHARS + 1])
{
    unsigned __int128 v =
        (unsigned __int128)(uint64_t)ms << 80 | (unsigned __int128)random_hi << 64 | random_lo;
    for (int i = ING_TSDB_ULID_CHARS - 1; i >= 0; i--) {
        out[i] = alphabet[(unsigned)v & 31];
        v >>= 5;
    }
    out[ING_TSDB_ULID_CHARS] = '\0';
}

static bool copy_ulid(const json_t *value, char out[ING_TSDB_ULID_CHARS + 1])
{
    struct nx_view text = nx_view_of(json_string_value(value));
    if (!ing_tsdb_is_ulid(text))
        return false;
    memcpy(out, text.ptr, ING_TSDB_ULID_CHARS + 1);
    return true;
}

static uint64_t count_of(const json_t *object, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(object, key));
    return v > 0 ? (uint64_t)v : 0;
}

static enum nx_err read_parents(const json_t *compaction, struct nx_arena *arena,
                                struct ing_tsdb_meta *meta)
{
    const json_t *list = json_object_get(compaction, "parents");
    size_t count = json_array_size(list);
    char(*parents)[ING_TSDB_ULID_CHARS + 1] = nx_arena_array(arena, count, sizeof *parents);
    if (!parents)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        if (copy_ulid(json_object_get(json_array_get(list, i), "ulid"),
                      parents[meta->parent_count]))
            meta->parent_count++;
    meta->parents = (const char(*)[ING_TSDB_ULID_CHARS + 1]) parents;
    return NX_OK;
}

static enum nx_err read_meta(const json_t *root, struct nx_arena *arena, struct ing_tsdb_meta *out,
                             struct nx_fail *fail)
{
    struct ing_tsdb_meta meta = {.level = 1};
    const json_t *min_t = json_object_get(root, "minTime");
    const json_t *max_t = json_object_get(root, "maxTime");
    const json_t *stats = json_object_get(root, "stats");
    const json_t *compaction = json_object_get(root, "compaction");
    if (!copy_ulid(json_object_get(root, "ulid"), meta.ulid) || !json_is_integer(min_t) ||
        !json_is_integer(max_t))
        return nx_fail_set(fail, NX_ERR_CORRUPT,
                           "meta.json: not that of a block: ulid, minTime or maxTime is missing");
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    if (version != 1)
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED, "meta.json: version %lld is not known",
                           (long long)version);
    meta.min_t = json_integer_value(min_t);
    meta.max_t = json_integer_value(max_t);
    if (meta.min_t > meta.max_t)
        return nx_fail_set(fail, NX_ERR_CORRUPT, "meta.json: minTime is after maxTime");
    meta.samples = count_of(stats, "numSamples");
    meta.float_samples = count_of(stats, "numFloatSamples");
    meta.histogram_samples = count_of(stats, "numHistogramSamples");
    meta.series = count_of(stats, "numSeries");
    meta.chunks = count_of(stats, "numChunks");
    meta.tombstones = count_of(stats, "numTombstones");
    meta.level = json_integer_value(json_object_get(compaction, "level"));
    meta.deletable = json_is_true(json_object_get(compaction, "deletable"));
    enum nx_err err = read_parents(compaction, arena, &meta);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    *out = meta;
    return NX_OK;
}

enum nx_err ing_tsdb_meta_parse(struct nx_view json, struct nx_arena *arena,
                                struct ing_tsdb_meta *out, struct nx_fail *fail)
{
    json_error_t error;
    json_t *root = json_loadb(json.len ? json.ptr : "", json.len, 0, &error);
    if (!json_is_object(root)) {
        nx_fail_set(fail, NX_ERR_CORRUPT, "meta.json: %s", root ? "not an object" : error.text);
        json_decref(root);
        return NX_ERR_CORRUPT;
    }
    enum nx_err err = read_meta(root, arena, out, fail);
    json_decref(root);
    return err;
}

static void put_stat(struct nx_buf *out, const char *key, uint64_t value, const char *before)
{
    if (value > 0)
        nx_buf_printf(out, "%s\n\t\t\"%s\": %" PRIu64, before, key, value);
}

void ing_tsdb_meta_print(struct nx_buf *out, const struct ing_tsdb_meta *meta)
{
    nx_buf_printf(out,
                  "{\n\t\"ulid\": \"%s\",\n\t\"minTime\": %" PRId64 ",\n\t\"maxTime\": %" PRId64
                  ",\n\t\"stats\": {\n\t\t\"numSamples\": %" PRIu64,
                  meta->ulid, meta->min_t, meta->max_t, meta->samples);
    put_stat(out, "numFloatSamples", meta->float_samples, ",");
    put_stat(out, "numHistogramSamples", meta->histogram_samples, ",");
    put_stat(out, "numSeries", meta->series, ",");
    put_stat(out, "numChunks", meta->chunks, ",");
    nx_buf_printf(out,
                  "\n\t},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": [\n\t\t\t\"%s\""
                  "\n\t\t]\n\t},\n\t\"version\": 1\n}\n",
                  meta->ulid);
}
