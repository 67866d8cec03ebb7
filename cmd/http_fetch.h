/* One HTTP request to a node, for the subcommands that talk to one. Blocks. */
#ifndef CMD_HTTP_FETCH_H
#define CMD_HTTP_FETCH_H

#include "common/base/buf.h"

struct cmd_http_request {
    const char *program; /* in front of what is printed */
    const char *address; /* HOST:PORT */
    const char *path;
    const char *form;   /* a POST with this body, percent-encoded; NULL: a GET */
    const char *tenant; /* NULL: none */
    long timeout_ms;
};

/* The status, or -1 when no answer came (the reason is printed). The body is NUL-terminated, the
 * NUL not counted in its length. */
long cmd_http_fetch(const struct cmd_http_request *request, struct nx_buf *body);
/* `&name=value` (without the ampersand at the beginning), percent-encoded. */
void cmd_form_put(struct nx_buf *form, const char *name, struct nx_view value);

#endif
