/* Parts of the load: load.c (readers, and the life of all), writer.c, deleter.c. */
#ifndef SIM_LOAD_INTERNAL_H
#define SIM_LOAD_INTERNAL_H

#include "common/base/buf.h"
#include "tests/sim/load.h"

struct sim_writer {
    struct sim_event event;
    struct sim_load *load;
    size_t number;
    int64_t t;
    unsigned attempts;
    bool waiting; /* for an answer */
    bool repeats; /* what it sends was acknowledged before */
    bool audit;
    struct nx_buf body;
};

struct sim_deleter {
    struct sim_event event;
    struct sim_load *load;
    struct sim_deletion deletion;
    size_t number;
    unsigned attempts;
    bool waiting;
};

struct sim_reader {
    struct sim_event event;
    struct sim_load *load;
};

struct sim_load {
    struct sim_load_options options;
    struct sim_ledger *ledger;
    struct nx_rand plan;
    struct sim_writer *writers;
    struct sim_deleter deleter;
    struct sim_reader reader;
    bool stopped;
    size_t pending;
};

/* By the clock of the world. */
int64_t sim_load_now_ms(void);
/* Between half and one and a half of it. */
uint64_t sim_load_jitter(struct sim_load *load, uint64_t ns);
struct sim_node *sim_load_choose(struct sim_load *load, struct sim_node *const *nodes,
                                 size_t count);

/* --- writer.c --- */
void sim_writer_init(struct sim_writer *writer, struct sim_load *load, size_t number);
void sim_writer_start(struct sim_writer *writer);
/* One write, which must succeed; counts in `pending`. */
void sim_writer_audit(struct sim_writer *writer, struct sim_node *to);

/* --- deleter.c --- */
void sim_deleter_init(struct sim_deleter *deleter, struct sim_load *load);
void sim_deleter_start(struct sim_deleter *deleter);

#endif
