#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/view.h"

static void table_has_names_texts_and_statuses(void **state)
{
    (void)state;
    assert_string_equal(nx_err_name(NX_OK), "OK");
    assert_string_equal(nx_err_name(NX_ERR_NOMEM), "ERR_NOMEM");
    assert_string_equal(nx_err_text(NX_ERR_CONFLICT), "duplicate sample for timestamp");
    assert_int_equal(nx_err_http(NX_ERR_RATE_LIMITED), 429);
    assert_string_equal(nx_err_name((enum nx_err) - 999), "ERR_INTERNAL");
    assert_string_equal(nx_err_text((enum nx_err)5), "internal error");
    assert_int_equal(nx_err_http((enum nx_err) - 999), 500);
}

static void foreign_codes_are_translated(void **state)
{
    (void)state;
    assert_int_equal(nx_err_from_errno(0), NX_OK);
    assert_int_equal(nx_err_from_errno(ENOSPC), NX_ERR_NOSPACE);
    assert_int_equal(nx_err_from_errno(ENOENT), NX_ERR_NOT_FOUND);
    assert_int_equal(nx_err_from_errno(EIO), NX_ERR_IO);
    assert_int_equal(nx_err_from_errno(123456), NX_ERR_IO);
    assert_int_equal(nx_err_from_uv(0), NX_OK);
    assert_int_equal(nx_err_from_uv(5), NX_OK);
    assert_int_equal(nx_err_from_uv(UV_ECONNREFUSED), NX_ERR_UNAVAILABLE);
    assert_int_equal(nx_err_from_uv(UV_ECANCELED), NX_ERR_CANCELED);
    assert_int_equal(nx_err_from_uv(UV_ETIMEDOUT), NX_ERR_TIMEOUT);
    assert_int_equal(nx_err_from_uv(UV_EOF), NX_ERR_CLOSED);
    assert_int_equal(nx_err_from_uv(UV_EAI_NONAME), NX_ERR_UNAVAILABLE);
    assert_int_equal(nx_err_from_uv(UV_EAI_AGAIN), NX_ERR_UNAVAILABLE);
    assert_int_equal(nx_err_from_uv(UV_EAI_MEMORY), NX_ERR_NOMEM);
    assert_int_equal(nx_err_from_uv(UV_EAI_CANCELED), NX_ERR_CANCELED);
}

static void fail_records_code_and_text(void **state)
{
    (void)state;
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_fail_set(&fail, NX_ERR_LIMIT, "%d of %s", 3, "x"), NX_ERR_LIMIT);
    assert_int_equal(fail.code, NX_ERR_LIMIT);
    assert_string_equal(nx_fail_text(&fail), "3 of x");
    assert_int_equal(nx_fail_set(NULL, NX_ERR_IO, "%s", "unheard"), NX_ERR_IO);
    struct nx_fail silent = {.code = NX_ERR_TIMEOUT};
    assert_string_equal(nx_fail_text(&silent), "timed out");
}

static void fail_text_is_cut_between_characters(void **state)
{
    (void)state;
    static const char *const letters[] = {"x", "é", "€", "😀"};
    for (size_t k = 0; k < 4; k++) {
        for (size_t shift = 0; shift < 4; shift++) {
            struct nx_fail fail;
            char text[sizeof fail.text + 100] = "";
            size_t len = shift;
            memset(text, '.', shift);
            while (len < sizeof fail.text + 50) {
                memcpy(text + len, letters[k], strlen(letters[k]) + 1);
                len += strlen(letters[k]);
            }
            (void)nx_fail_set(&fail, NX_ERR_INVALID, "%s", text);
            assert_true(strlen(fail.text) > sizeof fail.text - 5);
            assert_true(nx_view_is_utf8(nx_view_of(fail.text)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_has_names_texts_and_statuses),
        cmocka_unit_test(foreign_codes_are_translated),
        cmocka_unit_test(fail_records_code_and_text),
        cmocka_unit_test(fail_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
