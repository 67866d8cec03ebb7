/* What the parsers of parameters share. */
#ifndef NX_NET_HTTP_PARAMS_INTERNAL_H
#define NX_NET_HTTP_PARAMS_INTERNAL_H

#include "common/net/http_params.h"

enum { NX_HTTP_MAX_PARAMS = 10000 };

struct nx_param_list {
    struct nx_http_param *items;
    size_t count;
    size_t capacity;
};

enum nx_err nx_http_params_add(struct nx_arena *arena, struct nx_param_list *list,
                               struct nx_view name, struct nx_view value,
                               struct nx_fail *fail) NX_WARN_UNUSED;

#endif
