/* Everything that a query of the node would see: blocks, head and log, less what was deleted. */
#include <stdio.h>

#include "cmd/local_node.h"
#include "cmd/tool_export.h"
#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/chunk/merge.h"
#include "ingester/block/block_reader.h"
#include "proto/internal.pb-c.h"

#define REPLY_BYTES_MAX ((size_t)1 << 30)
#define LABELS_MAX 65536u

struct dir_source {
    struct cmd_export_source base;
    struct cmd_export_options options;
    struct cmd_local_node *node;
    char *blocks_dir; /* of the tenant */
};

/* --- the time --- */

static void widen(struct cmd_export_range *range, int64_t min_t, int64_t max_t)
{
    range->min_t = min_t < range->min_t ? min_t : range->min_t;
    range->max_t = max_t > range->max_t ? max_t : range->max_t;
}

/* A directory that is no block, or cannot be read, has none that counts. */
static void widen_by_blocks(const struct dir_source *source, struct cmd_export_range *range)
{
    char **names;
    size_t count;
    if (nx_dir_list(source->blocks_dir, &names, &count) != NX_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        struct ing_block *block;
        char *path = nx_path_join(source->blocks_dir, names[i]);
        if (path && ing_block_open(path, &block, NULL) == NX_OK) {
            widen(range, ing_block_meta(block)->min_t, ing_block_meta(block)->max_t - 1);
            ing_block_drop(block);
        }
        nx_free(path);
    }
    nx_dir_free(names, count);
}

static enum nx_err widen_by_head(struct dir_source *source, struct cmd_export_range *range,
                                 struct nx_fail *fail)
{
    Narthex__StatusRequest request = NARTHEX__STATUS_REQUEST__INIT;
    struct nx_buf body, reply;
    request.tenant = (char *)(uintptr_t)source->options.tenant.ptr;
    nx_buf_init(&body, REPLY_BYTES_MAX);
    nx_buf_init(&reply, REPLY_BYTES_MAX);
    size_t size = narthex__status_request__get_packed_size(&request);
    if (nx_buf_reserve(&body, size) == NX_OK)
        body.len += narthex__status_request__pack(&request, (uint8_t *)body.data);
    enum nx_err err = cmd_local_node_call(source->node, "status", &body, NULL, NULL, &reply, fail);
    if (err == NX_OK) {
        Narthex__StatusResponse *status =
            narthex__status_response__unpack(NULL, reply.len, (const uint8_t *)reply.data);
        if (status && status->num_series > 0 && status->min_t <= status->max_t)
            widen(range, status->min_t, status->max_t);
        if (status)
            narthex__status_response__free_unpacked(status, NULL);
    }
    nx_buf_release(&reply);
    return err;
}

static enum nx_err dir_range(struct cmd_export_source *base, struct cmd_export_range *out,
                             struct nx_fail *fail)
{
    struct dir_source *source = (struct dir_source *)base;
    struct cmd_export_range range = {.min_t = INT64_MAX, .max_t = INT64_MIN};
    widen_by_blocks(source, &range);
    enum nx_err err = widen_by_head(source, &range, fail);
    if (err != NX_OK)
        return err;
    if (range.min_t > range.max_t)
        return nx_fail_set(fail, NX_ERR_NOT_FOUND, "there are no samples of the tenant %s",
                           source->options.tenant.ptr);
    *out = range;
    return NX_OK;
}

/* --- the samples --- */

struct reading {
    struct cmd_export_range range;
    cmd_export_take take;
    void *user;
};

static enum nx_err take_series(const struct reading *reading, const Narthex__SelectSeries *series,
                               struct nx_arena *arena)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(series->labels.data, series->labels.len));
    struct nx_chunk *chunks = nx_arena_array(arena, series->n_chunks, sizeof *chunks);
    struct nx_labels labels;
    struct nx_sample_iter *samples;
    enum nx_err err = chunks ? nx_labels_decode(&cur, arena, LABELS_MAX, &labels) : NX_ERR_NOMEM;
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < series->n_chunks; i++) {
        const Narthex__SelectChunk *chunk = series->chunks[i];
        chunks[i] = (struct nx_chunk){.encoding = (enum nx_chunk_encoding)chunk->encoding,
                                      .count = chunk->count,
                                      .min_t = chunk->min_t,
                                      .max_t = chunk->max_t,
                                      .data = nx_view_make(chunk->data.data, chunk->data.len)};
    }
    err = nx_chunks_iter_new(chunks, series->n_chunks, reading->range.min_t, reading->range.max_t,
                             &samples);
    return err == NX_OK ? reading->take(reading->user, labels, samples) : err;
}

static enum nx_err on_frame(void *user, struct nx_view bytes)
{
    struct nx_arena arena;
    Narthex__SelectFrame *frame =
        narthex__select_frame__unpack(NULL, bytes.len, (const uint8_t *)bytes.ptr);
    if (!frame)
        return NX_ERR_CORRUPT;
    enum nx_err err = NX_OK;
    nx_arena_init(&arena, 0);
    for (size_t i = 0; i < frame->n_series && err == NX_OK; i++) {
        nx_arena_clear(&arena);
        err = take_series(user, frame->series[i], &arena);
    }
    nx_arena_release(&arena);
    narthex__select_frame__free_unpacked(frame, NULL);
    return err;
}

static enum nx_err put_select(const struct dir_source *source, struct cmd_export_range range,
                              struct nx_buf *body)
{
    Narthex__SelectRequest request = NARTHEX__SELECT_REQUEST__INIT;
    size_t count = source->options.matcher_count;
    Narthex__Matcher *rows = nx_calloc(count, sizeof *rows);
    request.matchers = nx_calloc(count, sizeof(Narthex__Matcher *));
    request.n_matchers = count;
    request.tenant = (char *)(uintptr_t)source->options.tenant.ptr;
    request.min_t = range.min_t;
    request.max_t = range.max_t;
    enum nx_err err = rows && request.matchers ? NX_OK : NX_ERR_NOMEM;
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        const struct nx_matcher *matcher = &source->options.matchers[i];
        rows[i] = (Narthex__Matcher)NARTHEX__MATCHER__INIT;
        rows[i].type = matcher->type;
        rows[i].name = (char *)(uintptr_t)matcher->name.ptr; /* in an arena: ends in NUL */
        rows[i].value = (char *)(uintptr_t)matcher->value.ptr;
        request.matchers[i] = &rows[i];
    }
    if (err == NX_OK)
        err = nx_buf_reserve(body, narthex__select_request__get_packed_size(&request));
    if (err == NX_OK)
        body->len += narthex__select_request__pack(&request, (uint8_t *)body->data);
    nx_free(rows);
    nx_free(request.matchers);
    return err;
}

static enum nx_err dir_read(struct cmd_export_source *base, struct cmd_export_range range,
                            cmd_export_take take, void *user, struct nx_fail *fail)
{
    struct dir_source *source = (struct dir_source *)base;
    struct reading reading = {.range = range, .take = take, .user = user};
    struct nx_buf body;
    nx_buf_init(&body, REPLY_BYTES_MAX);
    enum nx_err err = put_select(source, range, &body);
    if (err != NX_OK) {
        nx_buf_release(&body);
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    }
    return cmd_local_node_call(source->node, "select", &body, on_frame, &reading, NULL, fail);
}

static void dir_close(struct cmd_export_source *base)
{
    struct dir_source *source = (struct dir_source *)base;
    cmd_local_node_close(source->node);
    nx_free(source->blocks_dir);
    nx_free(source);
}

enum nx_err cmd_export_dir_open(const char *data_dir, const struct cmd_export_options *options,
                                struct cmd_export_source **out, struct nx_fail *fail)
{
    static const struct cmd_export_source_ops ops = {
        .range = dir_range, .read = dir_read, .close = dir_close};
    char tenant[ING_TENANT_DIR_MAX];
    struct dir_source *source = nx_calloc(1, sizeof *source);
    if (!source)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    source->base.ops = &ops;
    source->options = *options;
    ing_tenant_dir(options->tenant, tenant);
    char *blocks = nx_path_join(data_dir, "blocks");
    source->blocks_dir = blocks ? nx_path_join(blocks, tenant) : NULL;
    nx_free(blocks);
    enum nx_err err = source->blocks_dir
                          ? cmd_local_node_open(data_dir, &source->node, fail)
                          : nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    if (err != NX_OK)
        dir_close(&source->base);
    else
        *out = &source->base;
    return err;
}
