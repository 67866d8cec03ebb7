/* Frames of a streamed answer (docs/formats/rpc.md): [u32 little-endian length][bytes]; length 0
 * ends the stream; the top bit of the length marks an error frame, whose bytes are the symbolic
 * code, a space and a text, and which ends the stream as well. */
#ifndef NX_NET_RPC_FRAME_H
#define NX_NET_RPC_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/view.h"

#define NX_RPC_TEXT_MAX 500

/* Puts the length before the message, in place; false without memory (the message is then
 * released). */
bool nx_rpc_frame_wrap(struct nx_buf *message) NX_WARN_UNUSED;
/* Appends an end or error frame. */
void nx_rpc_frame_put_end(struct nx_buf *out);
void nx_rpc_frame_put_error(struct nx_buf *out, enum nx_err err, const char *text);

/* The code of this symbolic name; NX_ERR_INTERNAL for a name that this version does not know. */
enum nx_err nx_rpc_err_parse(struct nx_view name);

/* Cuts a stream of bytes into frames. */
struct nx_rpc_frames {
    size_t max_frame_bytes;
    struct nx_buf partial; /* a frame that came in pieces, its length included */
    bool ended;
    enum nx_err err; /* of an error frame */
    char text[NX_RPC_TEXT_MAX + 1];
};

typedef enum nx_err (*nx_rpc_take_frame)(void *user, struct nx_view frame);

void nx_rpc_frames_init(struct nx_rpc_frames *frames, size_t max_frame_bytes);
void nx_rpc_frames_release(struct nx_rpc_frames *frames);
/* Calls `take` for each frame that is complete (it may alias `piece`) and stops at its first error,
 * which it returns. NX_ERR_TOO_LARGE for a frame beyond the cap, NX_ERR_CORRUPT for bytes after the
 * end. */
enum nx_err nx_rpc_frames_feed(struct nx_rpc_frames *frames, struct nx_view piece,
                               nx_rpc_take_frame take, void *user) NX_WARN_UNUSED;

#endif
