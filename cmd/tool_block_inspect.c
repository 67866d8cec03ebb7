/* What a block is: its time, how much it holds, where the bytes are, and which labels take them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/tool_block.h"
#include "common/base/alloc.h"
#include "common/base/quote.h"
#include "common/base/time.h"

#define TOP_LABELS 10
#define TEXTS_BYTES_MAX ((size_t)8 << 30)

struct encoding {
    const char *name;
    uint64_t chunks, samples, bytes;
};

struct label {
    struct nx_view name;
    size_t values;
    size_t bytes; /* of the values */
};

struct facts {
    struct encoding encodings[2];
    struct ing_texts names;
    struct label *labels; /* by values, the most first */
};

static void facts_release(struct facts *facts)
{
    ing_texts_release(&facts->names);
    nx_free(facts->labels);
}

/* --- gathering --- */

static enum nx_err count_chunks(struct ing_block *block, struct facts *facts)
{
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct ing_block_iter *iter;
    struct ing_block_series series;
    enum nx_err err = ing_block_select(block, NULL, 0, all, &iter);
    if (err != NX_OK)
        return err;
    int rc;
    while ((rc = ing_block_iter_next(iter, &series)) == 1) {
        for (size_t i = 0; i < series.chunk_count; i++) {
            const struct nx_chunk *chunk = &series.chunks[i];
            struct encoding *encoding =
                &facts->encodings[chunk->encoding == NX_CHUNK_HISTOGRAM_RUN ? 1 : 0];
            encoding->chunks++;
            encoding->samples += chunk->count;
            encoding->bytes += chunk->data.len;
        }
    }
    ing_block_iter_free(iter);
    return (enum nx_err)rc;
}

static int label_cmp(const void *a, const void *b)
{
    const struct label *x = a;
    const struct label *y = b;
    if (x->values != y->values)
        return x->values > y->values ? -1 : 1;
    return nx_view_cmp(x->name, y->name);
}

static enum nx_err count_values(struct ing_block *block, struct label *label)
{
    struct ing_texts values;
    ing_texts_init(&values, TEXTS_BYTES_MAX);
    enum nx_err err = ing_block_labels(block, label->name, NULL, 0, &values);
    label->values = values.count;
    for (size_t i = 0; i < values.count; i++)
        label->bytes += values.items[i].len;
    ing_texts_release(&values);
    return err;
}

static enum nx_err count_labels(struct ing_block *block, struct facts *facts)
{
    enum nx_err err = ing_block_labels(block, (struct nx_view){0}, NULL, 0, &facts->names);
    if (err != NX_OK)
        return err;
    facts->labels = nx_calloc(facts->names.count, sizeof *facts->labels);
    if (!facts->labels)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < facts->names.count && err == NX_OK; i++) {
        facts->labels[i].name = facts->names.items[i];
        err = count_values(block, &facts->labels[i]);
    }
    if (facts->names.count > 1)
        qsort(facts->labels, facts->names.count, sizeof *facts->labels, label_cmp);
    return err;
}

/* --- printing --- */

static double per_sample(uint64_t bytes, uint64_t samples)
{
    return samples ? (double)bytes / (double)samples : 0;
}

static void print_table(struct ing_block *block, const struct facts *facts)
{
    const struct ing_block_meta *meta = ing_block_meta(block);
    char from[32], to[32], created[32];
    nx_time_format_rfc3339(meta->min_t, from, sizeof from);
    nx_time_format_rfc3339(meta->max_t, to, sizeof to);
    nx_time_format_rfc3339(meta->created_ms, created, sizeof created);
    (void)printf("block    %s\ntenant   %.*s\ntime     %s to %s\ncreated  %s\n",
                 ing_block_dir(block), NX_VIEW_ARG(meta->tenant), from, to, created);
    (void)printf("series   %" PRIu64 "\nsamples  %" PRIu64 "\nbytes    %" PRIu64
                 " (%.3f a sample)\n\n%-16s %12s %14s %14s %10s\n",
                 meta->series, meta->samples, ing_block_size(block),
                 per_sample(ing_block_size(block), meta->samples), "chunks as read", "chunks",
                 "samples", "bytes", "a sample");
    for (size_t i = 0; i < 2; i++) {
        const struct encoding *e = &facts->encodings[i];
        if (e->chunks)
            (void)printf("%-16s %12" PRIu64 " %14" PRIu64 " %14" PRIu64 " %10.3f\n", e->name,
                         e->chunks, e->samples, e->bytes, per_sample(e->bytes, e->samples));
    }
    (void)printf("\n%-32s %12s %14s\n", "label", "values", "their bytes");
    for (size_t i = 0; i < facts->names.count && i < TOP_LABELS; i++)
        (void)printf("%-32.*s %12zu %14zu\n", NX_VIEW_ARG(facts->labels[i].name),
                     facts->labels[i].values, facts->labels[i].bytes);
    if (facts->names.count > TOP_LABELS)
        (void)printf("and %zu more\n", facts->names.count - TOP_LABELS);
    (void)printf("\n");
}

static void put_json(struct nx_buf *out, struct ing_block *block, const struct facts *facts)
{
    const struct ing_block_meta *meta = ing_block_meta(block);
    nx_buf_append_str(out, "{\"path\":");
    nx_quote_json(out, nx_view_of(ing_block_dir(block)));
    nx_buf_append_str(out, ",\"tenant\":");
    nx_quote_json(out, meta->tenant);
    nx_buf_printf(out,
                  ",\"minTime\":%" PRId64 ",\"maxTime\":%" PRId64 ",\"createdMs\":%" PRId64
                  ",\"series\":%" PRIu64 ",\"samples\":%" PRIu64 ",\"bytes\":%" PRIu64
                  ",\"bytesPerSample\":%.4f,\"chunks\":[",
                  meta->min_t, meta->max_t, meta->created_ms, meta->series, meta->samples,
                  ing_block_size(block), per_sample(ing_block_size(block), meta->samples));
    const char *comma = "";
    for (size_t i = 0; i < 2; i++) {
        const struct encoding *e = &facts->encodings[i];
        if (!e->chunks)
            continue;
        nx_buf_printf(out,
                      "%s{\"encoding\":\"%s\",\"chunks\":%" PRIu64 ",\"samples\":%" PRIu64
                      ",\"bytes\":%" PRIu64 "}",
                      comma, e->name, e->chunks, e->samples, e->bytes);
        comma = ",";
    }
    nx_buf_append_str(out, "],\"labels\":[");
    for (size_t i = 0; i < facts->names.count; i++) {
        nx_buf_append_str(out, i ? ",{\"name\":" : "{\"name\":");
        nx_quote_json(out, facts->labels[i].name);
        nx_buf_printf(out, ",\"values\":%zu,\"bytes\":%zu}", facts->labels[i].values,
                      facts->labels[i].bytes);
    }
    nx_buf_append_str(out, "]}");
}

static enum nx_err print_json(struct ing_block *block, const struct facts *facts, bool first)
{
    struct nx_buf out;
    nx_buf_init(&out, SIZE_MAX / 4);
    nx_buf_append_str(&out, first ? "[" : ",\n");
    put_json(&out, block, facts);
    enum nx_err err = nx_buf_err(&out);
    if (err == NX_OK && fwrite(out.data, 1, out.len, stdout) != out.len)
        err = NX_ERR_IO;
    nx_buf_release(&out);
    return err;
}

enum nx_err cmd_block_inspect(struct ing_block *block, const struct cmd_block_options *options,
                              struct nx_fail *fail)
{
    struct facts facts = {.encodings = {{.name = "floats"}, {.name = "histograms"}}};
    (void)fail;
    ing_texts_init(&facts.names, TEXTS_BYTES_MAX);
    enum nx_err err = count_chunks(block, &facts);
    if (err == NX_OK)
        err = count_labels(block, &facts);
    if (err == NX_OK && options->json)
        err = print_json(block, &facts, options->seen == 0);
    else if (err == NX_OK)
        print_table(block, &facts);
    facts_release(&facts);
    return err;
}
