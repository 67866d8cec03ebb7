/* A leg sends its rows, with labels where this life of the ingester has not confirmed the series.
 * Rows answered as `unknown` (an ingester that lost its disk, or dropped an idle series) are sent
 * once more with labels; the others have voted by then. The batch may have been given back while
 * the leg waited (push.c): then there is nothing to send again, and nothing is learnt from the
 * answer. */
#include <assert.h>

#include "distributor/push_internal.h"
#include "distributor/push_message.h"

enum { PUSH_RPC_MAX_ANSWER_BYTES = 16 << 20 };
static const char push_method[] = "push";

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

static void mark_unconfirmed(struct dist_leg *leg)
{
    struct dist_cache *cache = leg->push->pusher->options.cache;
    bool all = leg->resent || !cache;
    if (!all)
        dist_cache_read_begin(cache);
    for (size_t i = 0; i < leg->series_count; i++) {
        const struct dist_series *series = dist_push_series(leg->push, leg->rows[i]);
        leg->with_labels[i] =
            all || !dist_cache_knows(cache, series->cache_ref, series->cache_key, leg->life);
    }
    if (!all)
        dist_cache_read_end(cache);
}

static enum nx_err choose_labels(struct dist_leg *leg)
{
    struct dist_push *push = leg->push;
    struct dist_pusher *pusher = push->pusher;
    size_t with = 0;
    mark_unconfirmed(leg);
    for (size_t i = 0; i < leg->series_count; i++) {
        struct dist_series *series = dist_push_series(push, leg->rows[i]);
        if (!leg->with_labels[i])
            continue;
        with++;
        enum nx_err err = dist_resolve_canonical(push->request.batch, series);
        if (err)
            return err;
    }
    leg->any_labels = with > 0;
    nx_metric_add(pusher->options.metrics, DIST_METRIC_PUSH_ROWS, DIST_ROWS_WITH_LABELS,
                  (double)with);
    nx_metric_add(pusher->options.metrics, DIST_METRIC_PUSH_ROWS, DIST_ROWS_WITHOUT_LABELS,
                  (double)(leg->series_count - with));
    return NX_OK;
}

static enum nx_err encode(struct dist_leg *leg, struct nx_buf *body)
{
    struct dist_push *push = leg->push;
    enum nx_err err = choose_labels(leg);
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
                                  .series_count = leg->series_count,
                                  .with_labels = leg->with_labels,
                                  .any_labels = leg->any_labels,
                                  .metadata = items + leg->series_count,
                                  .metadata_count = leg->row_count - leg->series_count,
                                  .incarnation = leg->incarnation};
    dist_push_encode(body, &part);
    return nx_buf_err(body);
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
                                       .method = push_method,
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

static void learn(struct dist_leg *leg, size_t i, uint16_t life, bool known)
{
    struct dist_cache *cache = leg->push->pusher->options.cache;
    if (!cache || !leg->push->request.batch || i >= leg->series_count)
        return;
    const struct dist_series *series = dist_push_series(leg->push, leg->rows[i]);
    if (known && (leg->with_labels[i] || life != leg->life))
        dist_cache_confirm(cache, series->cache_ref, series->cache_key, life);
    else if (!known)
        dist_cache_forget(cache, series->cache_ref, series->cache_key, life);
}

/* Rows that are known vote; the others stay in the leg, and their number is returned. */
static size_t settle_rows(struct dist_leg *leg, const uint8_t *marks, uint16_t life)
{
    size_t left = 0;
    for (size_t i = 0; i < leg->row_count; i++) {
        learn(leg, i, life, marks[i] != MARK_UNKNOWN);
        if (marks[i] == MARK_UNKNOWN)
            leg->rows[left++] = leg->rows[i];
        else
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
    size_t unknown = settle_rows(leg, marks, life);
    if (unknown == 0) {
        dist_push_leg_ended(push);
        return;
    }
    nx_metric_add(pusher->options.metrics, DIST_METRIC_PUSH_ROWS, DIST_ROWS_UNKNOWN,
                  (double)unknown);
    dist_push_leg_continues(push);
    if (leg->resent || !push->request.batch) {
        fail_leg(leg, NX_ERR_UNKNOWN_SERIES, "series unknown to the ingester");
        return;
    }
    leg->resent = true;
    leg->life = life;
    leg->incarnation = answer->incarnation;
    dist_leg_start(leg);
}

static void on_answer(void *user, const struct nx_rpc_result *result)
{
    struct dist_leg *leg = user;
    dist_load_discharge(leg->load, leg->charged_bytes);
    leg->charged_bytes = 0;
    if (result->err) {
        observe(leg, result->err == NX_ERR_TIMEOUT ? DIST_LEG_TIMEOUT : DIST_LEG_FAILED);
        fail_leg(leg, result->err,
                 result->text && *result->text ? result->text : nx_err_text(result->err));
        return;
    }
    Narthex__PushResponse *answer = NULL;
    enum nx_err err = dist_push_answer_read(result->body, leg->series_count, &answer);
    if (err) {
        observe(leg, DIST_LEG_FAILED);
        fail_leg(leg, err, "the answer is not a PushResponse to what was sent");
        return;
    }
    observe(leg, answer->n_refused ? DIST_LEG_REFUSED : DIST_LEG_STORED);
    take_answer(leg, answer);
    dist_push_answer_free(answer);
}
