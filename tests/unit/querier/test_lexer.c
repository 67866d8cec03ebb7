/* The lexer's tokens, with their positions, and what it does with bytes of any kind. */
#include "promql_test.h"

#include "common/base/rand.h"
#include "querier/promql/lexer.h"

/* "type@pos ..." of all tokens, the error's text at the end. */
static void assert_tokens(const char *text, const char *expected)
{
    struct qry_lexer lexer;
    struct qry_token token;
    char got[1024];
    int len = 0;

    qry_lexer_init(&lexer, nx_view_of(text));
    do {
        qry_lexer_next(&lexer, &token);
        len += snprintf(got + len, sizeof got - (size_t)len, "%s%s@%u", len ? " " : "",
                        token.type == QRY_TOK_ERROR ? lexer.error.text : qry_token_text(token.type),
                        token.pos);
    } while (token.type != QRY_TOK_EOF && token.type != QRY_TOK_ERROR);
    assert_string_equal(got, expected);
}

static void lex_keywords_depend_on_context(void **state)
{
    (void)state;
    assert_tokens("SUM by(By)", "sum@0 by@4 (@6 by@7 )@9 end of input@10");
    assert_tokens("a{by=\"sum\"}",
                  "identifier@0 {@1 identifier@2 =@4 string@5 }@10 end of input@11");
    assert_tokens("fill fill (", "identifier@0 fill@5 (@10 unclosed left parenthesis@11");
    assert_tokens("Inf:x infx inf", "metric identifier@0 identifier@6 number@11 end of input@14");
    assert_tokens("sum:by", "metric identifier@0 end of input@6");
}

static void lex_operators_are_greedy(void **state)
{
    (void)state;
    assert_tokens("a<=b</c<d", "identifier@0 <=@1 identifier@3 </@4 identifier@6 <@7 "
                               "identifier@8 end of input@9");
    assert_tokens(">=>/>", ">=@0 >/@2 >@4 end of input@5");
    assert_tokens("===", "==@0 =@2 end of input@3");
    assert_tokens("{=~!~!==}", "{@0 =~@1 !~@3 !=@5 =@7 }@8 end of input@9");
}

static void lex_brackets_switch_to_durations(void **state)
{
    (void)state;
    assert_tokens("[ -Step ( )*5m : 1 ]", "[@0 -@2 step@3 (@8 )@10 *@11 duration@12 :@15 "
                                          "number@17 ]@19 end of input@20");
    assert_tokens("[MAX_OF(1,RANGE())]", "[@0 max_of@1 (@7 number@8 ,@9 range@10 (@15 )@16 )@17 "
                                         "]@18 end of input@19");
    /* the general reader is back after the first number: comments are skipped again */
    assert_tokens("[5m#x\n]", "[@0 duration@1 ]@6 end of input@7");
    assert_tokens("[5m]:x", "[@0 duration@1 ]@3 metric identifier@4 end of input@6");
}

static void lex_colon_check_remembers_earlier_durations(void **state)
{
    (void)state;
    assert_tokens("[:", "[@0 unexpected colon before duration in duration expression@2");
    assert_tokens("[5m]+[:", "[@0 duration@1 ]@3 +@4 [@5 :@6 "
                             "unexpected end of input in duration expression@7");
    assert_tokens("[5m]+[::", "[@0 duration@1 ]@3 +@4 [@5 :@6 "
                              "unexpected repeated colon in duration expression@8");
}

static void lex_numbers_and_durations(void **state)
{
    (void)state;
    assert_tokens("1 .5 5. 1e-3 0xAf 1_0 5m 1h30m5ms",
                  "number@0 number@2 number@5 number@8 number@13 number@18 duration@22 "
                  "duration@25 end of input@33");
    assert_tokens("5m-1", "duration@0 -@2 number@3 end of input@4");
    assert_tokens("1e5+2", "number@0 +@3 number@4 end of input@5");
}

static void lex_after_the_end_stays_at_the_end(void **state)
{
    (void)state;
    struct qry_lexer lexer;
    struct qry_token token;
    qry_lexer_init(&lexer, NX_VIEW(" # c"));
    for (int i = 0; i < 3; i++) {
        qry_lexer_next(&lexer, &token);
        assert_int_equal(token.type, QRY_TOK_EOF);
        assert_int_equal(token.pos, 4);
    }
}

static void describe_reads_as_in_messages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *description;
    } cases[] = {
        {"foo", "identifier \"foo\""},
        {"a_rather_long_name", "identifier \"a_rather_long_name\""},
        {"a:b", "metric identifier \"a:b\""},
        {"'x'", "string \"'x'\""},
        {"\"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\xC3\xA4\xC3\xB6\"",
         "string \"\\\"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\xC3\xA4"
         "\"..."},
        {"12345678901", "number \"1234567890\"..."},
        {"5m", "duration \"5m\""},
        {"(", "\"(\""},
        {"Without", "<Without>"},
        {"ATAN2", "<op:ATAN2>"},
        {"!=", "<op:!=>"},
        {"TopK", "<aggr:TopK>"},
        {"Start", "\"Start\""},
        {"", "end of input"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qry_lexer lexer;
        struct qry_token token;
        struct nx_buf out;
        qry_lexer_init(&lexer, nx_view_of(cases[i].text));
        qry_lexer_next(&lexer, &token);
        nx_buf_init(&out, 1024);
        qry_token_describe(&out, &token);
        nx_buf_append(&out, "", 1);
        assert_string_equal(out.data, cases[i].description);
        nx_buf_release(&out);
    }
}

/* Tokens follow each other and never leave the text, whatever the bytes. */
static void lex_random_bytes_end_in_order(void **state)
{
    (void)state;
    static const char alphabet[] = "ab1 .0xe_+-*/%^()[]{}:,=!~<>@#\"'`\\\n\xC3\xA4\xFFsmr";
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4711);
    for (int round = 0; round < 20000; round++) {
        char text[40];
        size_t len = nx_rand_below(&rand, sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[nx_rand_below(&rand, sizeof alphabet - 1)];
        struct qry_lexer lexer;
        struct qry_token token;
        uint32_t last = 0;
        size_t count = 0;
        qry_lexer_init(&lexer, nx_view_make(text, len));
        do {
            qry_lexer_next(&lexer, &token);
            assert_true(token.pos >= last && token.pos <= len);
            assert_true(qry_token_end(&token) <= len);
            last = token.pos;
            assert_true(++count <= len + 1);
        } while (token.type != QRY_TOK_EOF && token.type != QRY_TOK_ERROR);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lex_keywords_depend_on_context),
        cmocka_unit_test(lex_operators_are_greedy),
        cmocka_unit_test(lex_brackets_switch_to_durations),
        cmocka_unit_test(lex_colon_check_remembers_earlier_durations),
        cmocka_unit_test(lex_numbers_and_durations),
        cmocka_unit_test(lex_after_the_end_stays_at_the_end),
        cmocka_unit_test(describe_reads_as_in_messages),
        cmocka_unit_test(lex_random_bytes_end_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
