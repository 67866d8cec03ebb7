/* What was sent, what was acknowledged, and what answers say of it: the checker.
 *
 * Every sample has a value of its own. Held against it: an answer that calls itself complete has
 * each sample of its range that was acknowledged before the question was asked; no answer has a
 * sample that was not sent, or one twice. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "common/base/view.h"
#include "tests/sim/sim.h"

struct sim_sample {
    int64_t t;
    uint64_t value;
    bool acked;
    uint64_t acked_ns;
};

struct sim_series {
    struct sim_sample *samples; /* ascending by time */
    size_t count, capacity;
};

struct sim_ledger {
    struct sim_series *series;
    size_t series_count;
    uint64_t next_value;
    uint64_t acked, writes, writes_failed, reads, reads_failed, reads_partial, checked;
    char problem[512]; /* the first broken promise; "" */
};

void sim_ledger_init(struct sim_ledger *ledger, size_t series);
void sim_ledger_release(struct sim_ledger *ledger);
/* A sample that is about to be sent; later than all of its series. Returns its value. */
uint64_t sim_ledger_send(struct sim_ledger *ledger, size_t series, int64_t t);
/* The samples of a series at that time are acknowledged. */
void sim_ledger_ack(struct sim_ledger *ledger, size_t series, int64_t t);

struct sim_question {
    size_t first_series, series_count;
    int64_t after_t, to_t; /* after_t < t <= to_t */
    uint64_t asked_ns;
};

/* The body of an answer with status 200 to a range selector over these series. */
void sim_ledger_check(struct sim_ledger *ledger, const struct sim_question *question,
                      struct nx_view body);
/* A promise was broken: notes it and ends the run. */
void sim_ledger_fail(struct sim_ledger *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
