/* Notes are kept as id plus arguments; two are the same where both are equal, which is the same as
 * equality of text. The position shown is that of the first. */
#include "querier/promql/annotations.h"

#include <math.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/cxx/number_shim.h"
#include "common/labels/labels.h"
#include "querier/promql/engine.h"

/* Distinct notes kept; an evaluation that has more to say is not understood better by more of them.
 */
#define NOTES_MAX 100000
#define NOTE_TEXT_MAX (1 << 20)

static const struct {
    bool warning;
    const char *text;
} templates[] = {
#define X(id, warning, text) {warning, text},
    QRY_NOTE_TABLE(X)
#undef X
};

void qry_annotations_init(struct qry_annotations *notes)
{
    memset(notes, 0, sizeof *notes);
    nx_index_init(&notes->index);
}

void qry_annotations_release(struct qry_annotations *notes)
{
    nx_free(notes->notes);
    nx_index_release(&notes->index);
    memset(notes, 0, sizeof *notes);
}

struct note_key {
    enum qry_note_id id;
    const struct qry_note_args *args;
};

static bool note_eq(uint32_t ref, const void *key, const void *user)
{
    const struct note_key *want = key;
    const struct qry_note *note = &((const struct qry_annotations *)user)->notes[ref];
    const struct qry_note_args *a = want->args;
    const struct qry_note_args *b = &note->args;

    return note->id == want->id && nx_view_eq(a->a, b->a) && nx_view_eq(a->b, b->b) &&
           a->named == b->named && nx_view_eq(a->name, b->name) &&
           nx_double_bits(a->x) == nx_double_bits(b->x) &&
           nx_double_bits(a->y) == nx_double_bits(b->y);
}

static uint64_t note_hash(enum qry_note_id id, const struct qry_note_args *args)
{
    uint64_t parts[] = {
        (uint64_t)id,
        nx_hash_view(args->a),
        nx_hash_view(args->b),
        nx_hash_view(args->name),
        nx_double_bits(args->x),
        nx_double_bits(args->y),
    };
    return nx_hash64(parts, sizeof parts);
}

static struct qry_note *find_or_add(struct qry_annotations *notes, enum qry_note_id id,
                                    struct qry_pos pos, const struct qry_note_args *args)
{
    struct note_key key = {.id = id, .args = args};
    uint64_t hash = note_hash(id, args);
    uint32_t at = nx_index_find(&notes->index, hash, note_eq, &key, notes);
    if (at != NX_INDEX_NONE)
        return &notes->notes[at];
    if (notes->count >= NOTES_MAX)
        return NULL;
    if (nx_grow(&notes->notes, &notes->capacity, notes->count + 1, sizeof *notes->notes) ||
        nx_index_insert(&notes->index, hash, (uint32_t)notes->count)) {
        notes->failed = true;
        return NULL;
    }
    struct qry_note *note = &notes->notes[notes->count++];
    *note = (struct qry_note){.id = id, .pos = pos, .args = *args};
    return note;
}

void qry_annotations_add(struct qry_annotations *notes, enum qry_note_id id, struct qry_pos pos,
                         const struct qry_note_args *args)
{
    struct qry_note *note = find_or_add(notes, id, pos, args);
    if (note)
        note->occurrences++;
}

void qry_annotations_add_range(struct qry_annotations *notes, struct qry_pos pos,
                               const struct qry_note_args *args, const struct qry_note_range *range)
{
    struct qry_note *note = find_or_add(notes, QRY_NOTE_MONOTONICITY, pos, args);
    if (!note)
        return;
    if (note->occurrences++ == 0) {
        note->range = *range;
        return;
    }
    struct qry_note_range *all = &note->range;
    all->min_bound = fmin(all->min_bound, range->min_bound);
    all->max_bound = fmax(all->max_bound, range->max_bound);
    all->max_difference = fmax(all->max_difference, range->max_difference);
    all->min_t = range->min_t < all->min_t ? range->min_t : all->min_t;
    all->max_t = range->max_t > all->max_t ? range->max_t : all->max_t;
}

static void append_number(struct nx_buf *buf, double v)
{
    char text[NX_FLOAT_MAX];
    nx_buf_append(buf, text, nx_float_format_g(v, text));
}

static void append_template(struct nx_buf *buf, const char *text, const struct qry_note_args *args)
{
    for (const char *p = text; *p; p++) {
        if (*p != '%') {
            nx_buf_append_char(buf, *p);
            continue;
        }
        switch (*++p) {
        case 'a':
            nx_buf_append_view(buf, args->a);
            break;
        case 'b':
            nx_buf_append_view(buf, args->b);
            break;
        case 'n':
            nx_buf_append_view(buf, args->name);
            break;
        case 'A':
            nx_print_quoted(buf, args->a);
            break;
        case 'B':
            nx_print_quoted(buf, args->b);
            break;
        case 'x':
            append_number(buf, args->x);
            break;
        default:
            append_number(buf, args->y);
            break;
        }
    }
    if (args->named) {
        nx_buf_append_str(buf, " for metric name ");
        nx_print_quoted(buf, args->name);
    }
}

/* RFC 3339 in whole seconds, as Go's time.RFC3339. */
static void append_time(struct nx_buf *buf, int64_t t)
{
    char text[40];
    nx_time_format_rfc3339(t - ((t % 1000) + 1000) % 1000, text, sizeof text);
    struct nx_view view = nx_view_of(text);
    size_t dot = nx_view_find(view, '.');
    nx_buf_append(buf, text, dot);
    if (dot < view.len)
        nx_buf_append_char(buf, 'Z');
}

static void append_note(struct nx_buf *buf, const struct qry_note *note, struct nx_view query)
{
    nx_buf_append_str(buf, templates[note->id].warning ? "PromQL warning: " : "PromQL info: ");
    append_template(buf, templates[note->id].text, &note->args);
    if (note->id == QRY_NOTE_START_OVERLAP && note->occurrences > 1)
        nx_buf_printf(buf, " (%llu occurrences)", (unsigned long long)note->occurrences);
    if (note->id == QRY_NOTE_MONOTONICITY) {
        nx_buf_append_str(buf, ", from buckets ");
        append_number(buf, note->range.min_bound);
        nx_buf_append_str(buf, " to ");
        append_number(buf, note->range.max_bound);
        nx_buf_printf(buf, ", with a max diff of %.2g, over %llu samples from ",
                      note->range.max_difference, (unsigned long long)note->occurrences);
        append_time(buf, note->range.min_t);
        nx_buf_append_str(buf, " to ");
        append_time(buf, note->range.max_t);
    }
    uint32_t line, col;
    qry_position(query, note->pos.start, &line, &col);
    nx_buf_printf(buf, " (%u:%u)", line, col);
}

enum nx_err qry_annotations_render(const struct qry_annotations *notes, struct nx_view query,
                                   struct nx_arena *arena, struct qry_annotation **out,
                                   size_t *count)
{
    if (notes->failed)
        return NX_ERR_NOMEM;
    struct qry_annotation *list = nx_arena_array(arena, notes->count, sizeof *list);
    if (!list && notes->count > 0)
        return NX_ERR_NOMEM;

    struct nx_buf buf;
    nx_buf_init(&buf, NOTE_TEXT_MAX);
    enum nx_err err = NX_OK;
    size_t written = 0;
    for (size_t i = 0; i < notes->count && err == NX_OK; i++) {
        nx_buf_clear(&buf);
        append_note(&buf, &notes->notes[i], query);
        err = nx_buf_err(&buf);
        if (err == NX_ERR_TOO_LARGE) {
            err = NX_OK; /* a label of megabytes: its note is left out */
            continue;
        }
        if (err)
            break;
        list[written].warning = templates[notes->notes[i].id].warning;
        list[written].text = nx_arena_copy(arena, nx_buf_view(&buf));
        if (!list[written].text.ptr)
            err = NX_ERR_NOMEM;
        written++;
    }
    nx_buf_release(&buf);
    if (err)
        return err;
    *out = list;
    *count = written;
    return NX_OK;
}
