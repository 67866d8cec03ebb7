/* One line a sample, `{labels} value time`, as `promtool tsdb dump` prints them. */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/tool_block.h"
#include "common/chunk/merge.h"
#include "common/cxx/number_shim.h"
#include "querier/promql/histogram_math.h"

#define FLUSH_BYTES ((size_t)1 << 16)

static enum nx_err flush(struct nx_buf *out, size_t at_least)
{
    enum nx_err err = nx_buf_err(out);
    if (err != NX_OK || out->len < at_least)
        return err;
    if (fwrite(out->data, 1, out->len, stdout) != out->len)
        return NX_ERR_IO;
    nx_buf_clear(out);
    return NX_OK;
}

static void put_sample(struct nx_buf *out, struct nx_view labels, const struct nx_sample *sample)
{
    nx_buf_append_view(out, labels);
    nx_buf_append_char(out, ' ');
    if (sample->histogram) {
        qry_histogram_print(out, sample->histogram);
    } else {
        char number[NX_FLOAT_MAX];
        nx_buf_append(out, number, nx_float_format_g(sample->value, number));
    }
    nx_buf_printf(out, " %" PRId64 "\n", sample->t);
}

static enum nx_err dump_series(const struct ing_block_series *series, struct ing_range range,
                               struct nx_buf *out)
{
    struct nx_buf labels;
    struct nx_sample_iter *it;
    struct nx_sample sample;
    enum nx_err err =
        nx_chunks_iter_new(series->chunks, series->chunk_count, range.min_t, range.max_t, &it);
    if (err != NX_OK)
        return err;
    nx_buf_init(&labels, SIZE_MAX / 4);
    nx_labels_print_plain(&labels, series->labels);
    err = nx_buf_err(&labels);
    int got = 0;
    while (err == NX_OK && (got = nx_sample_next(it, &sample)) == 1) {
        put_sample(out, nx_buf_view(&labels), &sample);
        err = flush(out, FLUSH_BYTES);
    }
    nx_sample_iter_free(it);
    nx_buf_release(&labels);
    return err != NX_OK ? err : (enum nx_err)got;
}

enum nx_err cmd_block_dump(struct ing_block *block, const struct cmd_block_options *options,
                           struct nx_fail *fail)
{
    struct ing_block_iter *iter;
    struct ing_block_series series;
    struct nx_buf out;
    (void)fail;
    enum nx_err err =
        ing_block_select(block, options->matchers, options->matcher_count, options->range, &iter);
    if (err != NX_OK)
        return err;
    nx_buf_init(&out, SIZE_MAX / 4);
    int rc = 0;
    while (err == NX_OK && (rc = ing_block_iter_next(iter, &series)) == 1)
        err = dump_series(&series, options->range, &out);
    ing_block_iter_free(iter);
    if (err == NX_OK)
        err = rc < 0 ? (enum nx_err)rc : flush(&out, 0);
    nx_buf_release(&out);
    return err;
}
