/* What was sent, what was acknowledged, and what answers say of it: the checker.
 *
 * Every sample has a value of its own. Held against it: an answer that calls itself complete has
 * each sample of its range that was acknowledged before the question was asked and that no deletion
 * may have taken; no answer has a sample that was not sent, or one twice, or one that was deleted
 * before the question was asked. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "common/base/view.h"
#include "tests/sim/sim.h"

struct sim_sample {
    int64_t t;
    uint64_t value;
    bool acked;
    bool doubtful; /* a deletion may have taken it */
    uint64_t acked_ns;
    uint64_t gone_ns; /* from then on it must not be there; 0 */
};

struct sim_deletion {
    size_t first_series, series_count;
    int64_t min_t, max_t; /* inclusive */
    uint64_t asked_ns;    /* by the ledger, with what follows */
    uint64_t until_ns;    /* what is sent before may be taken by it */
};

struct sim_series {
    struct sim_sample *samples; /* ascending by time */
    size_t count, capacity;
};

struct sim_ledger {
    struct sim_series *series;
    size_t series_count;
    struct sim_deletion *deletions;
    size_t deletion_count, deletion_capacity;
    uint64_t next_value;
    uint64_t acked, writes, writes_failed, reads, reads_failed, reads_partial, checked, deleted;
    char problem[512]; /* the first broken promise; "" */
};

void sim_ledger_init(struct sim_ledger *ledger, size_t series);
void sim_ledger_release(struct sim_ledger *ledger);
bool sim_ledger_has(const struct sim_ledger *ledger, size_t series, int64_t t);
/* A sample that is about to be sent, the series' first at that time. Returns its value. */
uint64_t sim_ledger_send(struct sim_ledger *ledger, size_t series, int64_t t);
/* The samples of a series at that time are acknowledged. */
void sim_ledger_ack(struct sim_ledger *ledger, size_t series, int64_t t);

/* A deletion that is about to be asked for, and its answer. */
size_t sim_ledger_delete(struct sim_ledger *ledger, const struct sim_deletion *deletion);
void sim_ledger_deleted(struct sim_ledger *ledger, size_t number, bool done);

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
