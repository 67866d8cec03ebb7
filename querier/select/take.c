/* First what every ingester knows of deletions (it is in the first frames), then the samples. */
#include "querier/select/take.h"

#include "querier/select/deletions.h"
#include "querier/select/wire.h"

#define NOTE_MAX_BYTES ((size_t)1 << 20)

static enum nx_err read_deletions(const struct qry_fanout *fanout, size_t request,
                                  struct qry_deletions *deletions)
{
    const struct qry_answer *answer;
    enum nx_err err = NX_OK;
    for (size_t i = 0; !err && qry_fanout_answers(fanout, request, i, &answer); i++)
        if (answer)
            err = qry_deletions_add(deletions, i, nx_view_make(answer->bytes, answer->len));
    return err;
}

/* A member that cannot be told now is told by a later query. */
static void note(struct qry_fanout *fanout, size_t member, struct nx_view tenant,
                 const struct qry_deletion *const *missing, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct nx_buf body;
        nx_buf_init(&body, NOTE_MAX_BYTES);
        qry_deletion_put_request(&body, tenant, missing[i]);
        qry_fanout_note(fanout, member, &body);
        nx_buf_release(&body);
    }
}

enum nx_err qry_fetched_take(struct qry_fetched *fetched, struct qry_fanout *fanout, size_t request,
                             struct nx_view tenant)
{
    struct qry_deletions deletions;
    const struct qry_answer *answer;
    qry_deletions_init(&deletions, fetched->arena, qry_fanout_members(fanout));
    enum nx_err err = read_deletions(fanout, request, &deletions);
    for (size_t i = 0; !err && qry_fanout_answers(fanout, request, i, &answer); i++) {
        if (!answer)
            continue;
        err = qry_deletions_missing(&deletions, i, &fetched->missing, &fetched->missing_count);
        if (!err && fetched->missing_count > 0)
            note(fanout, i, tenant, fetched->missing, fetched->missing_count);
        for (; answer && !err; answer = answer->next)
            err = qry_fetched_add(fetched, nx_view_make(answer->bytes, answer->len));
        fetched->missing_count = 0;
    }
    qry_deletions_release(&deletions);
    return err;
}

struct nx_view qry_taken_warning(const struct qry_fanout *fanout, size_t request, size_t i)
{
    const struct qry_answer *answer;
    struct nx_view warning = NX_VIEW("");
    struct qry_wire_field field;
    if (!qry_fanout_answers(fanout, request, i, &answer) || !answer)
        return warning;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(answer->bytes, answer->len));
    while (qry_wire_next(&cur, &field))
        if (field.number == 3 && field.bytes.ptr)
            warning = field.bytes;
    return warning;
}
