#include "common/chunk/prom_chunks.h"

#include "common/base/alloc.h"
#include "common/chunk/chunk.h"

struct nx_prom_chunks {
    struct nx_sample_iter *iter;
    struct nx_sample sample;          /* read and in no chunk yet, where `status` is 1 */
    int status;                       /* of the iterator: 1, 0 or an error */
    struct nx_chunk_appender *floats; /* the chunk handed out last */
    struct nx_prom_histogram_builder *histograms;
    bool keep_layouts;
};

enum nx_err nx_prom_chunks_new(struct nx_sample_iter *iter, struct nx_prom_chunks **out)
{
    struct nx_prom_chunks *p = nx_calloc(1, sizeof *p);
    if (!p) {
        nx_sample_iter_free(iter);
        return NX_ERR_NOMEM;
    }
    p->iter = iter;
    p->status = nx_sample_next(iter, &p->sample);
    *out = p;
    return NX_OK;
}

void nx_prom_chunks_keep_layouts(struct nx_prom_chunks *p)
{
    p->keep_layouts = true;
}

void nx_prom_chunks_free(struct nx_prom_chunks *p)
{
    if (!p)
        return;
    nx_sample_iter_free(p->iter);
    nx_chunk_appender_free(p->floats);
    nx_prom_histogram_builder_free(p->histograms);
    nx_free(p);
}

static enum nx_err cut_floats(struct nx_prom_chunks *p, struct nx_prom_chunk *out)
{
    nx_chunk_appender_free(p->floats);
    p->floats = NULL;
    enum nx_err err = nx_chunk_appender_new(NX_CHUNK_XOR, &p->floats);
    for (size_t n = 0; !err && n < NX_PROM_CHUNK_SAMPLES; n++) {
        err = nx_chunk_append(p->floats, &p->sample);
        if (!err)
            p->status = nx_sample_next(p->iter, &p->sample);
        if (p->status != 1 || p->sample.histogram)
            break;
    }
    if (err)
        return err;
    struct nx_chunk chunk = nx_chunk_appender_chunk(p->floats);
    *out = (struct nx_prom_chunk){.encoding = NX_PROM_XOR,
                                  .count = chunk.count,
                                  .min_t = chunk.min_t,
                                  .max_t = chunk.max_t,
                                  .data = chunk.data};
    return NX_OK;
}

static enum nx_err cut_histograms(struct nx_prom_chunks *p, struct nx_prom_chunk *out)
{
    enum nx_err err = p->histograms ? NX_OK : nx_prom_histogram_builder_new(&p->histograms);
    bool taken = true;
    if (!err && p->keep_layouts)
        nx_prom_histogram_builder_keep_layouts(p->histograms);
    while (!err && p->status == 1 && p->sample.histogram) {
        err =
            nx_prom_histogram_builder_add(p->histograms, p->sample.t, p->sample.histogram, &taken);
        if (err || !taken)
            break;
        p->status = nx_sample_next(p->iter, &p->sample);
    }
    return err ? err : nx_prom_histogram_builder_finish(p->histograms, out);
}

int nx_prom_chunks_next(struct nx_prom_chunks *p, struct nx_prom_chunk *out)
{
    if (p->status != 1)
        return p->status;
    enum nx_err err = p->sample.histogram ? cut_histograms(p, out) : cut_floats(p, out);
    if (err)
        p->status = err;
    return err ? (int)err : 1;
}
