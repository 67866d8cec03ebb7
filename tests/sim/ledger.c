#include "tests/sim/ledger.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_ledger_init(struct sim_ledger *ledger, size_t series)
{
    *ledger = (struct sim_ledger){.series_count = series, .next_value = 1};
    ledger->series = sim_calloc(series, sizeof *ledger->series);
}

void sim_ledger_release(struct sim_ledger *ledger)
{
    for (size_t i = 0; i < ledger->series_count; i++)
        free(ledger->series[i].samples);
    free(ledger->series);
    free(ledger->deletions);
}

void sim_ledger_fail(struct sim_ledger *ledger, const char *format, ...)
{
    va_list args;
    sim_stop();
    if (ledger->problem[0])
        return;
    va_start(args, format);
    (void)vsnprintf(ledger->problem, sizeof ledger->problem, format, args);
    va_end(args);
    sim_trace("BROKEN: %s", ledger->problem);
}

/* The first sample at or after t. */
static size_t position(const struct sim_series *s, int64_t t)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->samples[mid].t < t)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool sim_ledger_has(const struct sim_ledger *ledger, size_t series, int64_t t)
{
    const struct sim_series *s = &ledger->series[series];
    size_t at = position(s, t);
    return at < s->count && s->samples[at].t == t;
}

static bool covers(const struct sim_deletion *deletion, size_t series, int64_t t)
{
    return series - deletion->first_series < deletion->series_count && deletion->min_t <= t &&
           t <= deletion->max_t;
}

static bool is_in_doubt(const struct sim_ledger *ledger, size_t series, int64_t t)
{
    for (size_t i = 0; i < ledger->deletion_count; i++)
        if (covers(&ledger->deletions[i], series, t) && sim_now() < ledger->deletions[i].until_ns)
            return true;
    return false;
}

uint64_t sim_ledger_send(struct sim_ledger *ledger, size_t series, int64_t t)
{
    struct sim_series *s = &ledger->series[series];
    size_t at = position(s, t);
    sim_check(at == s->count || s->samples[at].t != t, "one sample of a time");
    s->samples = sim_grow(s->samples, &s->capacity, s->count + 1, sizeof *s->samples);
    memmove(&s->samples[at + 1], &s->samples[at], (s->count - at) * sizeof *s->samples);
    s->samples[at] = (struct sim_sample){
        .t = t, .value = ledger->next_value, .doubtful = is_in_doubt(ledger, series, t)};
    s->count++;
    return ledger->next_value++;
}

void sim_ledger_ack(struct sim_ledger *ledger, size_t series, int64_t t)
{
    struct sim_series *s = &ledger->series[series];
    size_t at = position(s, t);
    sim_check(at < s->count && s->samples[at].t == t, "the acknowledged sample");
    if (s->samples[at].acked)
        return;
    s->samples[at].acked = true;
    s->samples[at].acked_ns = sim_now();
    ledger->acked++;
}

/* --- deletions -------------------------------------------------------------------------------- */

/* How long a write, or a deletion, may still be on its way to a replica when its client has its
 * answer: a replica may hang for ten minutes, and take it then. */
#define ON_THE_WAY_NS (16 * 60 * SIM_S)

/* Calls of each sample that the deletion covers. */
static void mark(struct sim_ledger *ledger, const struct sim_deletion *deletion, bool gone)
{
    for (size_t i = 0; i < deletion->series_count; i++) {
        struct sim_series *s = &ledger->series[deletion->first_series + i];
        for (size_t at = position(s, deletion->min_t);
             at < s->count && s->samples[at].t <= deletion->max_t; at++) {
            struct sim_sample *sample = &s->samples[at];
            bool arrived = sample->acked && sample->acked_ns + ON_THE_WAY_NS <= deletion->asked_ns;
            sample->doubtful = true;
            if (gone && arrived && sample->gone_ns == 0) {
                sample->gone_ns = sim_now();
                ledger->deleted++;
            }
        }
    }
}

size_t sim_ledger_delete(struct sim_ledger *ledger, const struct sim_deletion *deletion)
{
    ledger->deletions = sim_grow(ledger->deletions, &ledger->deletion_capacity,
                                 ledger->deletion_count + 1, sizeof *ledger->deletions);
    struct sim_deletion *copy = &ledger->deletions[ledger->deletion_count];
    *copy = *deletion;
    copy->asked_ns = sim_now();
    copy->until_ns = UINT64_MAX;
    mark(ledger, copy, false);
    return ledger->deletion_count++;
}

void sim_ledger_deleted(struct sim_ledger *ledger, size_t number, bool done)
{
    struct sim_deletion *deletion = &ledger->deletions[number];
    deletion->until_ns = sim_now() + ON_THE_WAY_NS;
    mark(ledger, deletion, done);
}

/* --- answers ---------------------------------------------------------------------------------- */

struct answer {
    struct sim_ledger *ledger;
    const struct sim_question *question;
    const char *at, *end;
    bool says_incomplete;
};

static const char *find(const struct answer *answer, const char *text)
{
    size_t len = strlen(text);
    return memmem(answer->at, (size_t)(answer->end - answer->at), text, len);
}

/* An acknowledged sample that the answer should have had and has not. */
static void missed(struct answer *answer, size_t series, const struct sim_sample *sample)
{
    if (!sample->acked || sample->doubtful || sample->acked_ns > answer->question->asked_ns ||
        answer->says_incomplete)
        return;
    sim_ledger_fail(answer->ledger,
                    "sample %" PRIu64 " of series %zu at %" PRId64
                    " was acknowledged at %.6f s, but an answer to a question of %.6f s lacks it",
                    sample->value, series, sample->t, (double)sample->acked_ns / 1e9,
                    (double)answer->question->asked_ns / 1e9);
}

/* One [time,"value"], or [time,{... "sum":"value" ... "buckets":[...]}]; false at the end of the
 * list. */
static bool next_pair(struct answer *answer, int64_t *t, uint64_t *value)
{
    while (answer->at < answer->end && (*answer->at == ',' || *answer->at == '['))
        answer->at++;
    if (answer->at >= answer->end || *answer->at == ']')
        return false;
    char *rest;
    *t = (int64_t)llround(strtod(answer->at, &rest) * 1000);
    sim_check(rest[0] == ',' && (rest[1] == '"' || rest[1] == '{'), "a time and a value");
    bool histogram = rest[1] == '{';
    answer->at = rest;
    const char *text = histogram ? find(answer, "\"sum\":\"") : rest;
    sim_check(text != NULL, "the sum of a histogram");
    double number = strtod(text + (histogram ? 7 : 2), &rest);
    *value = number >= 0 && number < 1e15 ? (uint64_t)number : UINT64_MAX;
    answer->at = rest;
    const char *end = histogram ? find(answer, "}]") : rest;
    sim_check(rest[0] == '"' && end && end[1] == ']', "a value in the answer");
    answer->at = end + 2;
    return true;
}

static void check_series(struct answer *answer, size_t series)
{
    struct sim_ledger *ledger = answer->ledger;
    const struct sim_series *s = &ledger->series[series];
    const struct sim_question *q = answer->question;
    size_t expected = position(s, q->after_t + 1);
    int64_t t = 0;
    uint64_t value = 0;
    while (next_pair(answer, &t, &value)) {
        for (; expected < s->count && s->samples[expected].t < t; expected++)
            missed(answer, series, &s->samples[expected]);
        if (expected == s->count || s->samples[expected].t != t ||
            s->samples[expected].value != value || t <= q->after_t || t > q->to_t) {
            sim_ledger_fail(ledger,
                            "an answer has value %" PRIu64 " of series %zu at %" PRId64
                            ", which was not sent, or twice",
                            value, series, t);
            return;
        }
        if (s->samples[expected].gone_ns != 0 && s->samples[expected].gone_ns < q->asked_ns) {
            sim_ledger_fail(ledger,
                            "sample %" PRIu64 " of series %zu at %" PRId64
                            " was deleted at %.6f s, but an answer to a question of %.6f s has it",
                            value, series, t, (double)s->samples[expected].gone_ns / 1e9,
                            (double)q->asked_ns / 1e9);
            return;
        }
        expected++;
        ledger->checked++;
    }
    for (; expected < s->count && s->samples[expected].t <= q->to_t; expected++)
        missed(answer, series, &s->samples[expected]);
}

void sim_ledger_check(struct sim_ledger *ledger, const struct sim_question *question,
                      struct nx_view body)
{
    struct answer answer = {
        .ledger = ledger, .question = question, .at = body.ptr, .end = body.ptr + body.len};
    bool *seen = sim_calloc(ledger->series_count, sizeof *seen);
    answer.says_incomplete = find(&answer, "\"warnings\"") != NULL;
    ledger->reads_partial += answer.says_incomplete;
    for (;;) {
        const char *label = find(&answer, "\"s\":\"");
        if (!label)
            break;
        size_t series = (size_t)strtoul(label + 5, NULL, 10);
        answer.at = label;
        const char *list = memchr(answer.at, '}', (size_t)(answer.end - answer.at));
        const char *values = list ? memchr(list, '[', (size_t)(answer.end - list)) : NULL;
        sim_check(values && series < ledger->series_count, "an answer of the form that was asked");
        answer.at = values + 1;
        if (seen[series] || series - question->first_series >= question->series_count)
            sim_ledger_fail(ledger, "an answer has series %zu twice, or unasked", series);
        seen[series] = true;
        check_series(&answer, series);
    }
    answer.at = answer.end;
    for (size_t i = 0; i < question->series_count; i++)
        if (!seen[question->first_series + i])
            check_series(&answer, question->first_series + i);
    free(seen);
}
