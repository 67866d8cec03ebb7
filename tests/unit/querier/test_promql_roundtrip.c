/* What the printer writes parses to the same tree: for every expression of the promqltest corpus,
 * where it is at hand, and for random well-typed ones. Trees are compared through their JSON, which
 * shows every field but the positions. */
#include "promql_test.h"

#include <dirent.h>
#include <unistd.h>

#include "common/base/rand.h"

static int compare_matchers(const void *a, const void *b)
{
    const struct nx_matcher *x = a;
    const struct nx_matcher *y = b;
    int order = nx_view_cmp(x->name, y->name);
    if (order == 0)
        order = (int)x->type - (int)y->type;
    return order != 0 ? order : nx_view_cmp(x->value, y->value);
}

/* The printer sorts matchers, so their order is not part of the comparison. */
static bool sort_matchers(struct qry_expr *expr, void *user)
{
    (void)user;
    if (expr->kind == QRY_NODE_SELECTOR && expr->selector.matcher_count > 0)
        qsort(expr->selector.matchers, expr->selector.matcher_count,
              sizeof *expr->selector.matchers, compare_matchers);
    return true;
}

static char *tree_of(const char *text)
{
    struct qry_query *query = must_parse(nx_view_of(text));
    assert_true(qry_walk(qry_query_expr(query), sort_matchers, NULL));
    char *json = print_with(qry_print_json, qry_query_expr(query));
    qry_query_free(query);
    return json;
}

/* Prints, parses again, and compares line and tree. */
static void assert_roundtrip(const char *text)
{
    static const expr_printer printers[] = {qry_print, qry_print_pretty};
    struct qry_query *query = must_parse(nx_view_of(text));
    char *json = tree_of(text);
    for (size_t i = 0; i < 2; i++) {
        char *printed = print_with(printers[i], qry_query_expr(query));
        char *again = reprint_with(printers[i], printed);
        char *json_again = tree_of(printed);
        if (strcmp(printed, again) != 0)
            fail_msg("`%s` prints as\n%s\nand then as\n%s", text, printed, again);
        if (strcmp(json, json_again) != 0)
            fail_msg("`%s` as `%s` is another tree:\n%s\n%s", text, printed, json, json_again);
        nx_free(json_again);
        nx_free(again);
        nx_free(printed);
    }
    nx_free(json);
    qry_query_free(query);
}

/* --- the corpus ------------------------------------------------------------------------------- */

/* The expression of an eval line; NULL for any other line. */
static char *expression_of(char *line)
{
    static const char *const words[] = {"at", "to", "step"};
    char *p = line + strspn(line, " \t");
    if (strncmp(p, "eval", 4) != 0)
        return NULL;
    p[strcspn(p, "\n")] = '\0';
    /* eval instant at T EXPR; eval range from A to B step S EXPR */
    bool range = strstr(p, " range from ") != NULL;
    for (size_t i = range ? 1 : 0; i < (range ? 3u : 1u); i++) {
        char word[8];
        snprintf(word, sizeof word, " %s ", words[i]);
        p = strstr(p, word);
        if (!p)
            return NULL;
        p += strlen(word);
    }
    p += strcspn(p, " \t");
    return p + strspn(p, " \t");
}

static size_t roundtrip_file(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t capacity = 0;
    size_t count = 0;
    while (getline(&line, &capacity, file) >= 0) {
        char *text = expression_of(line);
        if (!text)
            continue;
        /* a plus before a call in an offset is in the tree but not printed, as in Prometheus */
        if (!strstr(text, "offset +"))
            assert_roundtrip(text);
        count++;
    }
    free(line);
    fclose(file);
    return count;
}

static void roundtrip_of_the_corpus_keeps_trees(void **state)
{
    (void)state;
    const char *set = getenv("NARTHEX_PROMQLTEST_DIR");
    const char *dir = set ? set : NARTHEX_SOURCE_DIR "/../shared/promqltest";
    DIR *listing = opendir(dir);
    if (!listing) {
        print_message("no corpus at %s (NARTHEX_PROMQLTEST_DIR): skipped\n", dir);
        skip();
    }
    size_t count = 0;
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        char path[8192];
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".test") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        count += roundtrip_file(path);
    }
    closedir(listing);
    print_message("%zu expressions\n", count);
    assert_true(count > 0);
}

/* --- random expressions ----------------------------------------------------------------------- */

struct generator {
    struct nx_rand rand;
    struct nx_buf out;
    int depth;
};

static bool chance(struct generator *g, uint64_t percent)
{
    return nx_rand_below(&g->rand, 100) < percent;
}

static void put(struct generator *g, const char *text)
{
    nx_buf_append_str(&g->out, text);
}

#define PICK(g, ...)                               \
    ((const char *[]){__VA_ARGS__})[nx_rand_below( \
        &(g)->rand, sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))]

static void put_expr(struct generator *g, enum qry_type type);

static void put_blank(struct generator *g)
{
    put(g, PICK(g, "", "", " ", "  ", "\n", " # c\n"));
}

/* Infinity prints with a sign, as in Prometheus, which binds otherwise before ^: it goes in
 * parentheses. */
static void put_number(struct generator *g)
{
    put(g, PICK(g, "0", "1", "2.5", "1e3", "0x1f", "017", "1_0", "(Inf)", "NaN", "5m", "1h30m",
                "2w", ".5", "1e-9"));
}

static void put_duration(struct generator *g, int depth)
{
    uint64_t kind = depth <= 0 ? 0 : nx_rand_below(&g->rand, 8);
    if (kind < 3) {
        put(g, PICK(g, "5m", "1h", "30", "1.5", "1y", "250ms"));
    } else if (kind == 3) {
        put(g, PICK(g, "step()", "range()", "STEP ( )"));
    } else if (kind == 4) {
        put(g, PICK(g, "min_of(", "max_of("));
        put_duration(g, depth - 1);
        put(g, ",");
        put_duration(g, depth - 1);
        put(g, ")");
    } else if (kind == 5) {
        put(g, "(");
        put_duration(g, depth - 1);
        put(g, ")");
    } else if (kind == 6) {
        put(g, "-");
        put(g, PICK(g, "step()", "(1h)", "2^3", "(range())"));
    } else {
        put_duration(g, depth - 1);
        put(g, PICK(g, "+", "-", "*", "/", "%", "^"));
        put_duration(g, depth - 1);
    }
}

/* A range must not be a literal below zero. */
static void put_range(struct generator *g)
{
    if (chance(g, 60)) {
        put(g, PICK(g, "5m", "90s", "300", "1d"));
    } else {
        put(g, "1m+");
        put_duration(g, 3);
    }
}

static void put_modifiers(struct generator *g)
{
    bool at_first = chance(g, 50);
    for (int i = 0; i < 2; i++) {
        if ((i == 0) == at_first) {
            if (chance(g, 25))
                put(g, PICK(g, " @ 12.5", " @ -3", " @ start()", " @ end()", " @ 1h"));
        } else if (chance(g, 25)) {
            put(g, " offset ");
            if (chance(g, 50)) {
                put(g, PICK(g, "5m", "-5m", "0", "step()", "-range()", "max_of(1, 2m)"));
            } else {
                put(g, "(");
                put_duration(g, 3);
                put(g, ")");
            }
        }
    }
}

static void put_matchers(struct generator *g, bool named)
{
    put(g, "{");
    put_blank(g);
    if (!named)
        put(g, PICK(g, "\"quoted.name\",", "__name__=~\"a.*\",", "x=\"1\","));
    for (uint64_t n = nx_rand_below(&g->rand, 3); n > 0; n--) {
        put(g, PICK(g, "job", "by", "\"a b\"", "'\\x41'", "_"));
        put(g, PICK(g, "=", "!=", "=~", "!~"));
        put(g, PICK(g, "\"\"", "'it\"s'", "`raw\\d+`", "\"\\u00e9|x\"", "\"a\\n\""));
        put(g, ",");
        put_blank(g);
    }
    put(g, "}");
}

static void put_selector(struct generator *g)
{
    bool named = chance(g, 80);
    if (named)
        put(g, PICK(g, "m", "a:b", "sum", "or", "offset", "step", "fill", "by", "anchored"));
    if (!named || chance(g, 40))
        put_matchers(g, named);
}

static void put_labels(struct generator *g)
{
    put(g, PICK(g, "()", "(a)", "(a,b)", "(by, \"c d\",)", "( x )"));
}

static void put_aggregate(struct generator *g)
{
    uint64_t kind = nx_rand_below(&g->rand, 3);
    bool before = chance(g, 50);
    bool grouped = chance(g, 60);
    put(g, kind == 0   ? PICK(g, "topk", "quantile", "limitk", "LIMIT_RATIO")
           : kind == 1 ? "count_values"
                       : PICK(g, "sum", "AVG", "min", "group", "stdvar"));
    if (grouped && before) {
        put(g, PICK(g, " by", " without "));
        put_labels(g);
    }
    put(g, "(");
    if (kind == 0)
        put_expr(g, QRY_TYPE_SCALAR);
    if (kind == 1)
        put_expr(g, QRY_TYPE_STRING);
    if (kind < 2)
        put(g, ", ");
    put_expr(g, QRY_TYPE_VECTOR);
    put(g, ")");
    if (grouped && !before) {
        put(g, PICK(g, "by", " without "));
        put_labels(g);
    }
}

static void put_matching(struct generator *g)
{
    if (chance(g, 50))
        return;
    put(g, PICK(g, " on", " ignoring "));
    put(g, PICK(g, "(a)", "(a,b)", "()", "(\"c d\")"));
    if (chance(g, 40)) {
        put(g, PICK(g, " group_left", " group_right"));
        put(g, PICK(g, "()", "(x)", "(x,y)"));
    }
    if (chance(g, 30))
        put(g, PICK(g, " fill(1)", " fill_left(-5m)", " fill_right(NaN) fill_left(2)"));
}

static void put_vector_binary(struct generator *g)
{
    uint64_t kind = nx_rand_below(&g->rand, 4);
    put_expr(g, QRY_TYPE_VECTOR);
    if (kind == 0) {
        put(g, PICK(g, " and", " or ", " unless"));
        put(g, PICK(g, " ", " on(a) ", " ignoring() "));
        put_expr(g, QRY_TYPE_VECTOR);
    } else if (kind == 1) {
        put(g, PICK(g, " == ", " >= bool ", " + ", " ^ ", " atan2 ", " </ "));
        put_expr(g, QRY_TYPE_SCALAR);
    } else {
        put(g, PICK(g, " + ", "-", "*", "/", "%", "^", " != ", " < ", " >/ "));
        put_matching(g);
        put(g, " ");
        put_expr(g, QRY_TYPE_VECTOR);
    }
}

static void put_call(struct generator *g)
{
    switch (nx_rand_below(&g->rand, 6)) {
    case 0:
        put(g, PICK(g, "abs(", "sort_desc(", "timestamp(", "histogram_count("));
        put_expr(g, QRY_TYPE_VECTOR);
        break;
    case 1:
        put(g, PICK(g, "rate(", "max_over_time(", "absent_over_time("));
        put_expr(g, QRY_TYPE_MATRIX);
        break;
    case 2:
        put(g, "label_join(");
        put_expr(g, QRY_TYPE_VECTOR);
        put(g, ", 'a', '-', 'b', \"c\"");
        break;
    case 3:
        put(g, "clamp(");
        put_expr(g, QRY_TYPE_VECTOR);
        put(g, ",1,");
        put_expr(g, QRY_TYPE_SCALAR);
        break;
    case 4:
        put(g, "vector(");
        put_expr(g, QRY_TYPE_SCALAR);
        break;
    default:
        put(g, "info(");
        put_expr(g, QRY_TYPE_VECTOR);
        put(g, PICK(g, "", ", {}", ", {x=~\".*\"}"));
        break;
    }
    put(g, ")");
}

static void put_vector(struct generator *g)
{
    switch (g->depth <= 0 ? 0 : nx_rand_below(&g->rand, 6)) {
    case 0:
        put_selector(g);
        put(g, PICK(g, "", "", "", " smoothed", " anchored"));
        put_modifiers(g);
        break;
    case 1:
        put_vector_binary(g);
        break;
    case 2:
        put_aggregate(g);
        break;
    case 3:
        put_call(g);
        break;
    case 4:
        put(g, PICK(g, "-", "+", "- "));
        put_expr(g, QRY_TYPE_VECTOR);
        break;
    default:
        put(g, "(");
        put_expr(g, QRY_TYPE_VECTOR);
        put(g, ")");
        break;
    }
}

static void put_matrix(struct generator *g)
{
    bool subquery = g->depth > 0 && chance(g, 40);
    if (subquery) {
        put(g, "(");
        put_expr(g, QRY_TYPE_VECTOR);
        put(g, ")[");
    } else {
        put_selector(g);
        put(g, "[");
    }
    put_range(g);
    if (subquery) {
        put(g, ":");
        if (chance(g, 60))
            put_range(g);
    }
    put(g, "]");
    if (!subquery)
        put(g, PICK(g, "", "", " anchored"));
    put_modifiers(g);
}

static void put_scalar(struct generator *g)
{
    switch (g->depth <= 0 ? 0 : nx_rand_below(&g->rand, 5)) {
    case 0:
        put_number(g);
        break;
    case 1:
        put(g, PICK(g, "time()", "pi()", "start()", "step()", "max_of(1, 2)"));
        break;
    case 2:
        put_expr(g, QRY_TYPE_SCALAR);
        put(g, PICK(g, " + ", "*", " ^ ", " == bool ", " % "));
        put_expr(g, QRY_TYPE_SCALAR);
        break;
    case 3:
        put(g, PICK(g, "-", "+"));
        put_expr(g, QRY_TYPE_SCALAR);
        break;
    default:
        put(g, "scalar(");
        put_expr(g, QRY_TYPE_VECTOR);
        put(g, ")");
        break;
    }
}

static void put_expr(struct generator *g, enum qry_type type)
{
    g->depth--;
    put_blank(g);
    switch (type) {
    case QRY_TYPE_SCALAR:
        put_scalar(g);
        break;
    case QRY_TYPE_VECTOR:
        put_vector(g);
        break;
    case QRY_TYPE_MATRIX:
        put_matrix(g);
        break;
    case QRY_TYPE_STRING:
    case QRY_TYPE_NONE:
        put(g, PICK(g, "\"s\"", "'t\\''", "`u`"));
        break;
    }
    g->depth++;
}

static void roundtrip_of_random_expressions_keeps_trees(void **state)
{
    (void)state;
    static const enum qry_type types[] = {QRY_TYPE_SCALAR, QRY_TYPE_VECTOR, QRY_TYPE_VECTOR,
                                          QRY_TYPE_MATRIX, QRY_TYPE_STRING};
    size_t kept = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct generator g = {.depth = 7};
        nx_rand_seeded(&g.rand, seed);
        nx_buf_init(&g.out, 1 << 20);
        put_expr(&g, types[nx_rand_below(&g.rand, 5)]);
        nx_buf_append(&g.out, "", 1);
        assert_int_equal(nx_buf_err(&g.out), NX_OK);
        /* Precedence may bring an operand of the wrong type to an operator (a vector behind a
         * scalar's comparison, a sign before offset): those are refused, with a message, and are
         * not of interest. */
        struct qry_query *query = NULL;
        struct nx_fail fail = {0};
        if (qry_parse(nx_view_of(g.out.data), &all_features, &query, &fail) == NX_OK) {
            qry_query_free(query);
            assert_roundtrip(g.out.data);
            kept++;
        } else {
            assert_true(fail.text[0] != '\0');
        }
        nx_buf_release(&g.out);
    }
    print_message("%zu of 3000 are well typed\n", kept);
    assert_true(kept > 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roundtrip_of_the_corpus_keeps_trees),
        cmocka_unit_test(roundtrip_of_random_expressions_keeps_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
