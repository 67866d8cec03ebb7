/* Takes apart the streamed answer of remote read (docs/formats/remote-read.md) as it comes, and
 * puts together series that go over several frames. */
#ifndef CMD_CHUNKED_READ_H
#define CMD_CHUNKED_READ_H

#include "cmd/tool_export.h"
#include "common/base/buf.h"

struct cmd_chunked_read;

/* `take` gets each series with its samples in the range. */
enum nx_err cmd_chunked_read_new(struct cmd_export_range range, cmd_export_take take, void *user,
                                 struct cmd_chunked_read **out) NX_WARN_UNUSED;
void cmd_chunked_read_free(struct cmd_chunked_read *read);
/* More bytes of the body. NX_ERR_CORRUPT, or what `take` answered. */
enum nx_err cmd_chunked_read_feed(struct cmd_chunked_read *read,
                                  struct nx_view bytes) NX_WARN_UNUSED;
/* The end of the body: hands out the last series. */
enum nx_err cmd_chunked_read_finish(struct cmd_chunked_read *read) NX_WARN_UNUSED;

#endif
