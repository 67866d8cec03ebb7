/* etcd v3 through its JSON gateway, over libcurl; blocking, for one thread at a time. Keys and
 * values are text. The endpoint that answered last is asked first, the others when it fails. */
#ifndef NX_RING_ETCD_CLIENT_H
#define NX_RING_ETCD_CLIENT_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/ring/etcd_access.h"

struct nx_etcd;

/* `access` must live as long; `stop` (may be NULL) ends a call in progress within a second. */
enum nx_err nx_etcd_new(const struct nx_etcd_access *access, const atomic_bool *stop,
                        struct nx_etcd **out, struct nx_fail *fail) NX_WARN_UNUSED;
void nx_etcd_free(struct nx_etcd *etcd);

/* A call of the gateway: POST `path` with `request` (taken), an answer to be json_decref'ed.
 * NX_ERR_UNAVAILABLE where no endpoint answers, with the text of the last failure; NX_ERR_CONFIG
 * where the certificates or the user and password do not fit. */
enum nx_err nx_etcd_call(struct nx_etcd *etcd, const char *path, json_t *request, json_t **answer,
                         struct nx_fail *fail) NX_WARN_UNUSED;
/* Waits until a key in [key, range_end) changes after `revision`, or `wait_ms` have passed; true
 * for a change, also where the watch was refused (a compacted revision). *err where no watch
 * stands. */
bool nx_etcd_watch(struct nx_etcd *etcd, const char *key, const char *range_end, int64_t revision,
                   uint64_t wait_ms, enum nx_err *err);

/* JSON strings in base64, as the gateway has keys and values; NULL without memory. */
json_t *nx_etcd_text(const char *text);
/* The text behind such a string, in memory of nx_alloc; NULL where it is none. */
char *nx_etcd_read(const json_t *value);
/* The gateway writes 64-bit numbers as strings. */
int64_t nx_etcd_number(const json_t *value);

#endif
