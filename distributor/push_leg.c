/* A leg sends its rows, each in the shortest form that this life of the ingester has confirmed
 * (push_form.c). Rows answered as `unknown` (a number that is another's by now, an ingester that
 * lost its disk or dropped an idle series) are sent again in the next longer form, labels at last;
 * the others have voted by then. The batch may have been given back while the leg waited (push.c):
 * then there is nothing to send again, and nothing is learnt from the answer. */
#include <assert.h>

#include "distributor/push_internal.h"
#include "distributor/push_message.h"

enum { PUSH_RPC_MAX_ANSWER_BYTES = 16 << 20, MAX_TRIES = 3 };
/* An ingester of a release before numbers has the first alone, and would not see rows by number. */
static const char push_method[] = "push";
static const char numbered_method[] = "push_numbered";

static void vote_all(struct dist_leg *leg, enum dist_vote vote)
{
    for (size_t i = 0; i < leg->row_count; i++)
        dist_quorum_vote(&leg->push->quorum, leg->rows[i], leg->position, vote);
}

static void fail_leg(struct dist_leg *leg, enum nx_err err, const char *text)
{
    struct dist_push *push = leg->push;
    if (err == NX_ERR_UNAVAILABLE || err == NX_ERR_TIMEOUT || err == NX_ERR_CLUSTER) {
        struct dist_cluster *cluster = push->pusher->options.cluster;
        cluster->report(cluster, leg->member->name, err);
    }
    dist_push_note_failure(push, leg->member->name, err, text);
    vote_all(leg, DIST_VOTE_FAILED);
    dist_push_leg_ended(push);
}

static double seconds_since(const struct dist_pusher *pusher, uint64_t start_ns)
{
    return (double)(nx_now_ns(pusher->options.clock) - start_ns) * 1e-9;
}

static void observe(const struct dist_leg *leg, enum dist_leg_outcome outcome)
{
    struct dist_pusher *pusher = leg->push->pusher;
    nx_metric_observe(pusher->options.metrics, DIST_METRIC_PUSH_SECONDS, outcome,
                      seconds_since(pusher, leg->started_ns));
}

/* --- sending --- */

static enum nx_err encode(struct dist_leg *leg, struct nx_buf *body)
{
    struct dist_push *push = leg->push;
    enum nx_err err = dist_leg_choose_forms(leg);
    if (err)
        return err;
    uint32_t *items = nx_arena_array(&push->arena, leg->row_count, sizeof *items);
    if (!items)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < leg->row_count; i++)
        items[i] = push->row_items[leg->rows[i]];
    struct dist_push_part part = {.tenant = push->request.tenant,
                                  .batch = push->request.batch,
                                  .series = items,
                                  .series_count = leg->by_id,
                                  .with_labels = leg->with_labels,
                                  .any_labels = leg->any_labels,
                                  .want_numbers = leg->needs_numbers,
                                  .numbered = items + leg->by_id,
                                  .numbers = leg->numbers + leg->by_id,
                                  .numbered_count = leg->series_count - leg->by_id,
                                  .metadata = items + leg->series_count,
                                  .metadata_count = leg->row_count - leg->series_count,
                                  .incarnation = leg->incarnation};
    return dist_push_encode(body, &part, &push->arena);
}

static void on_answer(void *user, const struct nx_rpc_result *result);

static enum nx_err send_body(struct dist_leg *leg, struct nx_buf *body)
{
    struct dist_pusher *pusher = leg->push->pusher;
    uint64_t now = nx_now_ns(pusher->options.clock);
    if (now >= leg->push->deadline_ns)
        return NX_ERR_TIMEOUT;
    uint64_t left_ms = (leg->push->deadline_ns - now + 999999) / 1000000;
    size_t bytes = body->len;
    size_t max = (size_t)pusher->options.settings->max_inflight_bytes / 2;
    if (!dist_load_charge(leg->load, bytes, max)) {
        nx_metric_add(pusher->options.metrics, DIST_METRIC_PUSH_SKIPPED, DIST_SKIP_OVERLOADED,
                      (double)leg->row_count);
        return NX_ERR_OVERLOADED;
    }
    leg->charged_bytes = bytes;
    leg->started_ns = now;
    struct nx_rpc_call_options call = {.address = leg->member->address,
                                       .method = leg->by_id < leg->series_count ? numbered_method
                                                                                : push_method,
                                       .body = body,
                                       .timeout_ms = left_ms,
                                       .max_frame_bytes = PUSH_RPC_MAX_ANSWER_BYTES,
                                       .done = on_answer,
                                       .user = leg};
    enum nx_err err = pusher->options.cluster->call(pusher->options.cluster, &call);
    if (err) {
        dist_load_discharge(leg->load, leg->charged_bytes);
        leg->charged_bytes = 0;
    } else {
        nx_metric_add(pusher->options.metrics, DIST_METRIC_PUSH_BYTES, 0, (double)bytes);
        nx_metric_add(pusher->options.metrics, DIST_METRIC_PUSH_SAMPLES, 0, (double)leg->samples);
    }
    return err;
}

void dist_leg_start(struct dist_leg *leg)
{
    struct nx_buf body;
    nx_buf_init(&body, SIZE_MAX);
    enum nx_err err = encode(leg, &body);
    if (!err)
        err = send_body(leg, &body);
    nx_buf_release(&body);
    if (err)
        fail_leg(leg, err,
                 err == NX_ERR_OVERLOADED ? "too many bytes unanswered" : nx_err_text(err));
}

/* --- the answer --- */

enum row_mark { MARK_STORED, MARK_REFUSED, MARK_UNKNOWN };

/* Exemplars are refused without failing the request, as Prometheus does, but for those without a
 * series where the format is strict. */
static bool is_tolerated(const struct dist_leg *leg, const Narthex__Refusal *refusal)
{
    struct dist_push *push = leg->push;
    if (!push->request.batch || refusal->series >= leg->series_count)
        return false;
    if (refusal->code == NX_ERR_UNKNOWN_SERIES)
        return !push->request.batch->strict_exemplars;
    const struct dist_series *series = dist_push_series(push, leg->rows[refusal->series]);
    return series->sample_count == 0 && series->histogram_count == 0;
}

/* False without memory: the leg then counts as failed. */
static bool mark_rows(struct dist_leg *leg, const Narthex__PushResponse *answer, uint8_t *marks)
{
    for (size_t i = 0; i < answer->n_refused; i++) {
        const Narthex__Refusal *refused = answer->refused[i];
        if (is_tolerated(leg, refused))
            continue;
        marks[refused->series] = MARK_REFUSED;
        struct dist_row_refusal refusal = {.row = leg->rows[refused->series],
                                           .samples = refused->count,
                                           .code = (enum nx_err)refused->code,
                                           .timestamp = refused->timestamp,
                                           .text = nx_view_of(refused->text)};
        if (!dist_push_note_refusal(leg->push, &refusal))
            return false;
    }
    for (size_t i = 0; i < answer->n_unknown; i++)
        marks[answer->unknown[i]] = MARK_UNKNOWN;
    return true;
}

/* Rows that are known vote; the others stay in the leg, and their number is returned. */
static size_t settle_rows(struct dist_leg *leg, const Narthex__PushResponse *answer,
                          const uint8_t *marks, uint16_t life)
{
    size_t left = 0;
    for (size_t i = 0; i < leg->row_count; i++) {
        if (marks[i] == MARK_UNKNOWN) {
            dist_leg_unlearn(leg, i, life);
            leg->rows[left++] = leg->rows[i];
            continue;
        }
        dist_leg_learn(leg, i, life, i < answer->n_numbers ? answer->numbers[i] : 0);
        dist_quorum_vote(&leg->push->quorum, leg->rows[i], leg->position,
                         marks[i] == MARK_REFUSED ? DIST_VOTE_REFUSED : DIST_VOTE_STORED);
    }
    leg->row_count = left;
    leg->series_count = left;
    return left;
}

static void take_answer(struct dist_leg *leg, const Narthex__PushResponse *answer)
{
    struct dist_push *push = leg->push;
    struct dist_pusher *pusher = push->pusher;
    uint8_t *marks = nx_arena_calloc(&push->arena, leg->row_count, sizeof *marks);
    if (!marks || !mark_rows(leg, answer, marks)) {
        fail_leg(leg, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        return;
    }
    uint16_t life = dist_peers_life(&pusher->peers, leg->name_hash, answer->incarnation);
    size_t unknown = settle_rows(leg, answer, marks, life);
    if (unknown == 0) {
        dist_push_leg_ended(push);
        return;
    }
    nx_metric_add(pusher->options.metrics, DIST_METRIC_PUSH_ROWS, DIST_ROWS_UNKNOWN,
                  (double)unknown);
    dist_push_leg_continues(push);
    if (++leg->tries >= MAX_TRIES || !push->request.batch) {
        fail_leg(leg, NX_ERR_UNKNOWN_SERIES, "series unknown to the ingester");
        return;
    }
    leg->life = life;
    leg->incarnation = answer->incarnation;
    dist_leg_start(leg);
}

/* The ingester is one of a release before numbers by now. */
static bool send_without_numbers(struct dist_leg *leg)
{
    if (leg->by_id == leg->series_count || !leg->push->request.batch)
        return false;
    for (size_t i = leg->by_id; i < leg->series_count; i++)
        dist_leg_unlearn(leg, i, leg->life);
    leg->tries = 1;
    dist_leg_start(leg);
    return true;
}

static void on_answer(void *user, const struct nx_rpc_result *result)
{
    struct dist_leg *leg = user;
    dist_load_discharge(leg->load, leg->charged_bytes);
    leg->charged_bytes = 0;
    if (result->err == NX_ERR_METHOD && send_without_numbers(leg))
        return;
    if (result->err) {
        observe(leg, result->err == NX_ERR_TIMEOUT ? DIST_LEG_TIMEOUT : DIST_LEG_FAILED);
        fail_leg(leg, result->err,
                 result->text && *result->text ? result->text : nx_err_text(result->err));
        return;
    }
    Narthex__PushResponse *answer = NULL;
    enum nx_err err = dist_push_answer_read(result->body, leg->series_count, leg->by_id, &answer);
    if (err) {
        observe(leg, DIST_LEG_FAILED);
        fail_leg(leg, err, "the answer is not a PushResponse to what was sent");
        return;
    }
    observe(leg, answer->n_refused ? DIST_LEG_REFUSED : DIST_LEG_STORED);
    take_answer(leg, answer);
    dist_push_answer_free(answer);
}
