/* Operators applied to single elements: floats, histograms, and what a mixture of them is worth. */
#include <math.h>

#include "querier/promql/binary.h"
#include "querier/promql/numeric.h"

double qry_apply_arithmetic(enum qry_op op, double lhs, double rhs)
{
    switch (op) {
    case QRY_OP_ADD:
        return lhs + rhs;
    case QRY_OP_SUB:
        return lhs - rhs;
    case QRY_OP_MUL:
        return lhs * rhs;
    case QRY_OP_DIV:
        return lhs / rhs;
    case QRY_OP_MOD:
        return fmod(lhs, rhs);
    case QRY_OP_POW:
        return pow(lhs, rhs);
    case QRY_OP_ATAN2:
        return atan2(lhs, rhs);
    case QRY_OP_EQ:
    case QRY_OP_NE:
    case QRY_OP_LT:
    case QRY_OP_LE:
    case QRY_OP_GT:
    case QRY_OP_GE:
    case QRY_OP_TRIM_UPPER:
    case QRY_OP_TRIM_LOWER:
    case QRY_OP_AND:
    case QRY_OP_OR:
    case QRY_OP_UNLESS:
        break;
    }
    return QRY_F_NAN;
}

bool qry_apply_comparison(enum qry_op op, double lhs, double rhs)
{
    switch (op) {
    case QRY_OP_EQ:
        return lhs == rhs;
    case QRY_OP_NE:
        return lhs != rhs;
    case QRY_OP_LT:
        return lhs < rhs;
    case QRY_OP_LE:
        return lhs <= rhs;
    case QRY_OP_GT:
        return lhs > rhs;
    case QRY_OP_GE:
        return lhs >= rhs;
    case QRY_OP_ADD:
    case QRY_OP_SUB:
    case QRY_OP_MUL:
    case QRY_OP_DIV:
    case QRY_OP_MOD:
    case QRY_OP_POW:
    case QRY_OP_ATAN2:
    case QRY_OP_TRIM_UPPER:
    case QRY_OP_TRIM_LOWER:
    case QRY_OP_AND:
    case QRY_OP_OR:
    case QRY_OP_UNLESS:
        break;
    }
    return false;
}

static void note(struct qry_outcome *out, enum qry_note_id id, struct qry_note_args args)
{
    out->noted = true;
    out->note = id;
    out->args = args;
}

static void incompatible(enum qry_op op, struct qry_element lhs, struct qry_element rhs,
                         struct qry_outcome *out)
{
    struct qry_note_args args = {
        .a = nx_view_of(qry_op_text(op)),
        .b = lhs.histogram ? NX_VIEW("histogram") : NX_VIEW("float"),
        .name = rhs.histogram ? NX_VIEW("histogram") : NX_VIEW("float"),
    };
    out->dropped = true;
    note(out, QRY_NOTE_INCOMPATIBLE_TYPES, args);
}

static enum nx_err put_histogram(struct qry_eval *ev, const struct nx_histogram *h,
                                 struct qry_outcome *out)
{
    if (!h)
        return qry_no_memory(ev);
    out->element = (struct qry_element){.value = QRY_ABSENT, .histogram = h};
    out->keep = true;
    return NX_OK;
}

static enum nx_err combine_histograms(struct qry_eval *ev, struct nx_arena *arena, enum qry_op op,
                                      const struct nx_histogram *lhs,
                                      const struct nx_histogram *rhs, struct qry_outcome *out)
{
    struct nx_view word = op == QRY_OP_ADD ? NX_VIEW("addition") : NX_VIEW("subtraction");
    struct qry_histogram_notes notes = {0};
    struct nx_histogram *h;
    enum nx_err err = op == QRY_OP_ADD ? qry_histogram_add(arena, lhs, rhs, &h, &notes)
                                       : qry_histogram_sub(arena, lhs, rhs, &h, &notes);
    if (err == NX_ERR_INVALID) {
        out->dropped = true;
        note(out, QRY_NOTE_INCOMPATIBLE_BUCKETS,
             (struct qry_note_args){.a = nx_view_of(qry_op_text(op))});
        return NX_OK;
    }
    if (err)
        return qry_no_memory(ev);
    if (notes.hint_collision) {
        out->dropped = true;
        note(out, QRY_NOTE_HINT_COLLISION, (struct qry_note_args){.a = word});
        return NX_OK;
    }
    if (notes.bounds_reconciled)
        note(out, QRY_NOTE_BOUNDS_RECONCILED, (struct qry_note_args){.a = word});
    return put_histogram(ev, qry_histogram_compact(arena, h), out);
}

static enum nx_err apply_histograms(struct qry_eval *ev, struct nx_arena *arena, enum qry_op op,
                                    struct qry_element lhs, struct qry_element rhs,
                                    struct qry_outcome *out)
{
    if (op == QRY_OP_ADD || op == QRY_OP_SUB)
        return combine_histograms(ev, arena, op, lhs.histogram, rhs.histogram, out);
    if (op == QRY_OP_EQ || op == QRY_OP_NE) {
        out->element = lhs;
        out->keep = qry_histogram_equal(lhs.histogram, rhs.histogram) == (op == QRY_OP_EQ);
        return NX_OK;
    }
    incompatible(op, lhs, rhs, out);
    return NX_OK;
}

enum nx_err qry_apply_elements(struct qry_eval *ev, struct nx_arena *arena, enum qry_op op,
                               struct qry_element lhs, struct qry_element rhs,
                               struct qry_outcome *out)
{
    *out = (struct qry_outcome){.keep = true};
    if (lhs.histogram && rhs.histogram)
        return apply_histograms(ev, arena, op, lhs, rhs, out);
    if (lhs.histogram && (op == QRY_OP_MUL || op == QRY_OP_DIV)) {
        return put_histogram(ev,
                             op == QRY_OP_MUL
                                 ? qry_histogram_scale(arena, lhs.histogram, rhs.value)
                                 : qry_histogram_divide(arena, lhs.histogram, rhs.value),
                             out);
    }
    if (lhs.histogram && qry_op_is_trim(op)) {
        return put_histogram(
            ev, qry_histogram_trim(arena, lhs.histogram, rhs.value, op == QRY_OP_TRIM_UPPER), out);
    }
    if (rhs.histogram && op == QRY_OP_MUL)
        return put_histogram(ev, qry_histogram_scale(arena, rhs.histogram, lhs.value), out);
    if (lhs.histogram || rhs.histogram || qry_op_is_trim(op)) {
        incompatible(op, lhs, rhs, out);
        return NX_OK;
    }
    if (qry_op_is_comparison(op)) {
        out->element.value = lhs.value;
        out->keep = qry_apply_comparison(op, lhs.value, rhs.value);
    } else {
        out->element.value = qry_apply_arithmetic(op, lhs.value, rhs.value);
    }
    return NX_OK;
}

enum nx_err qry_step_note(struct qry_step_notes *notes, size_t step,
                          const struct qry_outcome *outcome)
{
    if (!outcome->noted)
        return NX_OK;
    if (!notes->notes) {
        notes->notes = nx_arena_calloc(notes->arena, notes->steps, sizeof *notes->notes);
        if (!notes->notes)
            return qry_no_memory(notes->ev);
    }
    notes->notes[step] =
        (struct qry_step_note){.set = true, .id = outcome->note, .args = outcome->args};
    return NX_OK;
}

void qry_step_notes_record(const struct qry_step_notes *notes)
{
    for (size_t i = 0; notes->notes && i < notes->steps; i++) {
        if (notes->notes[i].set)
            qry_annotations_add(&notes->ev->notes, notes->notes[i].id, notes->pos,
                                &notes->notes[i].args);
    }
}
