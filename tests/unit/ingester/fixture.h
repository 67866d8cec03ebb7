/* An ingester with workers and RPC in one process, over a directory of its own and a file system
 * that can be made to fail; and the same directory opened without threads, for tests that reopen it
 * thousands of times. */
#ifndef TEST_INGESTER_FIXTURE_H
#define TEST_INGESTER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/base/rand.h"
#include "common/chunk/chunk.h"
#include "common/labels/matcher.h"
#include "common/labels/series_id.h"
#include "common/net/rpc.h"
#include "disk_model.h"
#include "ingester/ingester.h"
#include "proto/internal.pb-c.h"

#define HOUR_MS INT64_C(3600000)

/* --- a file system that fails --- */

enum fault_op {
    FAULT_OPEN,
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_TRUNCATE,
    FAULT_CLOSE,
    FAULT_RENAME,
    FAULT_UNLINK,
    FAULT_MKDIR,
    FAULT_RMDIR,
    FAULT_SYNC_DIR,
    FAULT_WRITE_BEHIND,
    FAULT_OPS
};
struct fault_fs {
    struct nx_fs base;
    struct fault_state *state;
};
void fault_fs_init(struct fault_fs *fs);
void fault_fs_release(struct fault_fs *fs);
/* The n-th changing call from now on (0: the next) fails with `err`, and all after it where
 * `forever`; a write that fails has written half of its bytes. */
void fault_fs_arm(struct fault_fs *fs, size_t n, enum nx_err err, bool forever);
/* Only calls of that kind are counted and fail; FAULT_OPS: all. */
void fault_fs_only(struct fault_fs *fs, enum fault_op op);
void fault_fs_disarm(struct fault_fs *fs);
/* Changing calls seen so far, all or of a kind. */
size_t fault_fs_calls(const struct fault_fs *fs);
size_t fault_fs_count(const struct fault_fs *fs, enum fault_op op);
bool fault_fs_fired(const struct fault_fs *fs);
/* Called after each changing call, before the next one, on whichever thread made it; it may ask for
 * an image of fault_fs_disk, and must not make calls of its own. */
void fault_fs_after(struct fault_fs *fs, void (*after)(void *user, size_t call), void *user);
struct disk_model *fault_fs_disk(struct fault_fs *fs);
/* What a power cut now would leave of `from`, as the directory `to`. */
void fault_fs_image(struct fault_fs *fs, const char *from, const char *to,
                    enum disk_survival survival, uint64_t seed);
/* Power cut: the directory, which nobody has open, becomes that. */
void fault_fs_power_cut(struct fault_fs *fs, const char *dir, enum disk_survival survival,
                        uint64_t seed);

/* --- a directory --- */

/* A new empty directory; remove it with tmp_dir_free. */
char *tmp_dir_new(void);
void tmp_dir_free(char *dir);
void copy_tree(const char *from, const char *to);
void file_write(const char *path, const void *bytes, size_t len);
/* The path of the only file in the tree whose name ends so; nx_free. */
char *find_file(const char *dir, const char *suffix);

/* --- an ingester --- */

struct fixture {
    char *dir;
    bool own_dir;
    size_t worker_count;
    struct ing_settings settings;
    struct fault_fs fs;
    struct nx_clock_manual clock;
    struct nx_workers *workers;
    struct nx_telemetry *telemetry;
    struct nx_http_server *http;
    struct nx_rpc_server *rpc;
    struct nx_rpc_client *client;
    struct ingester *ing;
};
/* Settings and clock (at 2024-01-01) are filled; dir NULL: a new one. */
void fixture_init(struct fixture *fixture, const char *dir, size_t workers);
void fixture_open(struct fixture *fixture);
/* The error of ing_new or ing_recover, with nothing left behind on failure. */
enum nx_err fixture_try_open(struct fixture *fixture);
/* With workers that run, before ing_recover, which is the caller's. */
void fixture_open_starting(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
/* The halves of it: ing_stop, and the end of the workers and all memory. */
void fixture_stop(struct fixture *fixture);
void fixture_free(struct fixture *fixture);
void fixture_reopen(struct fixture *fixture);
void fixture_release(struct fixture *fixture);

/* A call and its whole answer; frames are concatenated into `frames` with their count.
 * nx_buf_release both. */
struct answer {
    enum nx_err err;
    char text[256];
    struct nx_buf body;
    struct nx_buf *frames;
    size_t frame_count;
};
void call(struct fixture *fixture, const char *method, const ProtobufCMessage *message,
          struct answer *answer);
void answer_release(struct answer *answer);

/* --- pushing and reading --- */

/* Builds a push; rows may be added in any order of series, each row call begins a new series row.
 */
struct pusher {
    struct nx_arena arena;
    Narthex__PushRequest request;
    struct nx_buf ids;
    size_t capacity[8];
};
void pusher_init(struct pusher *pusher, const char *tenant);
void pusher_release(struct pusher *pusher);
/* Labels as "name", "value", ..., NULL. The series id of the row. */
struct nx_series_id pusher_row(struct pusher *pusher, ...);
struct nx_series_id pusher_row_labels(struct pusher *pusher, struct nx_labels labels);
/* A row without labels. */
void pusher_row_id(struct pusher *pusher, struct nx_series_id id);
void pusher_sample(struct pusher *pusher, int64_t t, double value);
void pusher_bits(struct pusher *pusher, int64_t t, uint64_t bits);
void pusher_histogram(struct pusher *pusher, int64_t t, const struct nx_histogram *histogram);
void pusher_exemplar(struct pusher *pusher, int64_t t, double value, const char *name,
                     const char *text);
void pusher_metadata(struct pusher *pusher, const char *metric, uint32_t type, const char *help,
                     const char *unit);
/* The decoded answer, or NULL with *err; narthex__push_response__free_unpacked. */
Narthex__PushResponse *push(struct fixture *fixture, struct pusher *pusher, enum nx_err *err);
/* Asserts that all was accepted. */
void push_all(struct fixture *fixture, struct pusher *pusher);

/* What a select gives: series in the order of their labels, samples merged. */
struct got_sample {
    int64_t t;
    uint64_t bits;
    struct nx_histogram *histogram;
};
struct got_series {
    struct nx_series_id id;
    struct nx_labels labels;
    struct got_sample *samples;
    size_t count;
};
struct got {
    struct nx_arena arena;
    struct got_series *series;
    size_t count;
    enum nx_err err;
    char text[256];
    size_t frames;
};
/* Matchers as type, name, value triples ended by -1. */
void select_series(struct fixture *fixture, const char *tenant, int64_t min_t, int64_t max_t,
                   struct got *got, ...);
void got_release(struct got *got);
const struct got_series *got_find(const struct got *got, struct nx_series_id id);
void flush_all(struct fixture *fixture);

/* A metric without labels, of the process's own; asserts that it is there. */
double fixture_metric(struct fixture *fixture, const char *name);
/* Waits until it is above 0: what lanes do is done later than what made them do it. */
void fixture_await(struct fixture *fixture, const char *name);

/* A small valid histogram that depends on n. */
struct nx_histogram *make_histogram(struct nx_arena *arena, int n);

/* Of a sample: mostly small numbers, and all that is special about a double. */
uint64_t random_value_bits(struct nx_rand *rand);

#endif
