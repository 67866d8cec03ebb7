/* Makes a data directory full of blocks: 30 days in blocks of four days, of series whose values are
 * random bits, which no code makes smaller. It shows what a start costs whose blocks are many
 * gigabytes; tests/bench/start drives it.
 *
 *     makeblocks DATA-DIR FROM-MS BLOCKS SERIES SAMPLES */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "ingester/block/block_writer.h"

#define SPAN_MS (INT64_C(4) * 86400 * 1000)
#define TENANT NX_VIEW("anonymous")

struct plan {
    char *dir; /* of the tenant's blocks */
    int64_t from_ms;
    uint64_t blocks, series, samples;
};

static enum nx_err add_series(struct ing_block_writer *writer, int64_t min_t, uint64_t number,
                              uint64_t samples, struct nx_rand *rand)
{
    char instance[32];
    struct nx_chunk_appender *app;
    (void)snprintf(instance, sizeof instance, "host-%08" PRIu64, number);
    struct nx_label items[] = {{.name = NX_VIEW("__name__"), .value = NX_VIEW("random_bits")},
                               {.name = NX_VIEW("instance"), .value = nx_view_of(instance)},
                               {.name = NX_VIEW("job"), .value = NX_VIEW("makeblocks")}};
    struct nx_labels labels = {.items = items, .count = 3};
    enum nx_err err = nx_chunk_appender_new(NX_CHUNK_XOR, &app);
    if (err != NX_OK)
        return err;
    for (uint64_t i = 0; err == NX_OK && i < samples; i++) {
        uint64_t noise = nx_rand_u64(rand) >> 12 | UINT64_C(0x3ff) << 52; /* in [1, 2) */
        struct nx_sample sample = {.t = min_t + (int64_t)i * (SPAN_MS / (int64_t)samples),
                                   .value = nx_double_from_bits(noise)};
        err = nx_chunk_append(app, &sample);
    }
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    if (err == NX_OK)
        err = ing_block_writer_add(writer, nx_series_id_of(TENANT, labels), labels, &chunk, 1);
    nx_chunk_appender_free(app);
    return err;
}

static enum nx_err make_block(const struct plan *plan, uint64_t number)
{
    struct ing_block_meta meta = {
        .tenant = TENANT, .min_t = plan->from_ms + (int64_t)number * SPAN_MS, .level = 3};
    struct ing_block_writer *writer;
    struct nx_rand rand;
    char name[ING_BLOCK_NAME_MAX];
    meta.max_t = meta.min_t + SPAN_MS;
    meta.created_ms = meta.max_t;
    nx_rand_seeded(&rand, number + 1);
    (void)snprintf(name, sizeof name, "%" PRId64 "-%" PRId64 "-%016" PRIx64, meta.min_t, meta.max_t,
                   number + 1);
    enum nx_err err = ing_block_writer_new(nx_fs_posix(), plan->dir, name, &meta, &writer);
    if (err != NX_OK)
        return err;
    for (uint64_t i = 0; err == NX_OK && i < plan->series; i++)
        err = add_series(writer, meta.min_t, i, plan->samples, &rand);
    if (err == NX_OK)
        err = ing_block_writer_finish(writer);
    ing_block_writer_free(writer);
    return err;
}

static enum nx_err open_plan(struct plan *plan, char **argv)
{
    char tenant[ING_TENANT_DIR_MAX];
    plan->from_ms = strtoll(argv[2], NULL, 10) / SPAN_MS * SPAN_MS;
    plan->blocks = strtoull(argv[3], NULL, 10);
    plan->series = strtoull(argv[4], NULL, 10);
    plan->samples = strtoull(argv[5], NULL, 10);
    if (plan->samples == 0 || plan->samples > NX_CHUNK_MAX_SAMPLES)
        return NX_ERR_INVALID;
    ing_tenant_dir(TENANT, tenant);
    char *blocks = nx_path_join(argv[1], "blocks");
    plan->dir = blocks ? nx_path_join(blocks, tenant) : NULL;
    nx_free(blocks);
    return plan->dir ? nx_fs_posix()->mkdir(nx_fs_posix(), plan->dir) : NX_ERR_NOMEM;
}

int main(int argc, char **argv)
{
    struct plan plan = {.dir = NULL};
    if (argc != 6) {
        (void)fprintf(stderr, "usage: makeblocks DATA-DIR FROM-MS BLOCKS SERIES SAMPLES\n");
        return 2;
    }
    enum nx_err err = open_plan(&plan, argv);
    for (uint64_t i = 0; err == NX_OK && i < plan.blocks; i++)
        err = make_block(&plan, i);
    if (err != NX_OK)
        (void)fprintf(stderr, "makeblocks: %s\n", nx_err_text(err));
    nx_free(plan.dir);
    return err == NX_OK ? 0 : 1;
}
