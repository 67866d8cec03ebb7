/* What the readers of chunks that begin with a count have in common: a chunk gives that many
 * samples, then 0 for ever, and an error stays. The reader embeds struct nx_counted_iter as its
 * first member and gives two functions, which the compiler puts in place. Inside this room. */
#ifndef NX_CHUNK_COUNTED_ITER_H
#define NX_CHUNK_COUNTED_ITER_H

#include <stdbool.h>

#include "common/chunk/sample.h"

struct nx_counted_iter {
    struct nx_sample_iter base;
    uint32_t count; /* in the header */
    uint32_t read;
    int ended; /* 1 while samples come; then what next returns for ever: 0 or an error */
    int64_t t; /* of the current sample */
};

/* Decodes sample number `read` and sets t. */
typedef enum nx_err nx_counted_read_fn(struct nx_counted_iter *it);
typedef void nx_counted_show_fn(const struct nx_counted_iter *it, struct nx_sample *out);

/* `header` holds at least two bytes: the count, big-endian. */
static inline void nx_counted_init(struct nx_counted_iter *it, const struct nx_sample_iter_ops *ops,
                                   const uint8_t *header)
{
    it->base.ops = ops;
    it->count = (uint32_t)header[0] << 8 | header[1];
    it->ended = 1;
}

static inline int nx_counted_advance(struct nx_counted_iter *it, nx_counted_read_fn *read)
{
    if (it->ended <= 0)
        return it->ended;
    if (it->read == it->count) {
        it->ended = 0;
        return 0;
    }
    enum nx_err err = read(it);
    if (err)
        it->ended = (int)err;
    else
        it->read++;
    return it->ended;
}

static inline int nx_counted_next(struct nx_counted_iter *it, nx_counted_read_fn *read,
                                  nx_counted_show_fn *show, struct nx_sample *out)
{
    int got = nx_counted_advance(it, read);
    if (got > 0)
        show(it, out);
    return got;
}

static inline int nx_counted_seek(struct nx_counted_iter *it, int64_t t, nx_counted_read_fn *read,
                                  nx_counted_show_fn *show, struct nx_sample *out)
{
    while (it->read == 0 || it->t < t || it->ended <= 0) {
        int got = nx_counted_advance(it, read);
        if (got <= 0)
            return got;
    }
    show(it, out);
    return 1;
}

#endif
