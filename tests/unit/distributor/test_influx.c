/* Line protocol: what each line becomes, what each kind of damage says, and that no cut or flipped
 * bit of a good text does harm. */
#include "distributor/receive/stream.h"

#include "common/chunk/sample.h"
#include "tests/unit/distributor/dist_test.h"

static const struct dist_decode_limits generous = {.max_series = 1000, .max_samples = 1000};

static enum nx_err decode(struct nx_view text, const char *query, struct dist_batch *batch,
                          struct nx_fail *fail)
{
    struct dist_headers headers = {.content_type = NX_VIEW("")};
    struct dist_form form;
    struct dist_intake intake = {
        .message = text, .query = nx_view_of(query), .now_ms = 77, .limits = &generous};
    dist_batch_clear(batch, 1 << 20);
    assert_int_equal(dist_influx.negotiate(&headers, &form, fail), NX_OK);
    return form.decode(&intake, batch, fail);
}

static void expect(const char *text, const char *query, const char *want)
{
    struct dist_batch batch;
    struct nx_buf out;
    struct nx_fail fail = {.code = NX_OK};
    dist_batch_init(&batch);
    nx_buf_init(&out, 1 << 16);
    if (decode(nx_view_of(text), query, &batch, &fail))
        fail_msg("%s: %s", text, fail.text);
    for (size_t i = 0; i < batch.series_count; i++) {
        const struct dist_series *series = &batch.series[i];
        struct nx_label *labels = NULL;
        size_t count = 0;
        assert_int_equal(batch.format->read(&batch, series->raw_labels, &batch.arena, 100, &labels,
                                            &count, NULL),
                         NX_OK);
        for (size_t k = 0; k < count; k++)
            nx_buf_printf(&out, "%.*s=%.*s;", NX_VIEW_ARG(labels[k].name),
                          NX_VIEW_ARG(labels[k].value));
        nx_buf_printf(&out, " %g@%lld\n",
                      nx_double_from_bits(batch.value_bits[series->first_sample]),
                      (long long)batch.timestamps[series->first_sample]);
    }
    nx_buf_append_char(&out, '\0');
    assert_string_equal(out.data, want);
    nx_buf_release(&out);
    dist_batch_release(&batch);
}

static void lines_become_samples(void **state)
{
    (void)state;
    expect("cpu,host=a user=1.5,idle=2i 1700000000000000000\n", "",
           "__name__=cpu_user;host=a; 1.5@1700000000000\n"
           "__name__=cpu_idle;host=a; 2@1700000000000\n");
    expect("m v=1", "", "__name__=m_v; 1@77\n");
    expect("# comment\n\n  m v=-1e3 5\r\nm v=3u 6  \n", "precision=ms",
           "__name__=m_v; -1000@5\n__name__=m_v; 3@6\n");
    expect("m on=t,off=FALSE,text=\"a,b \\\" =\",n=2 3", "precision=s",
           "__name__=m_on; 1@3000\n__name__=m_off; 0@3000\n__name__=m_n; 2@3000\n");
    expect("m\\,x.y\\ z,a\\=b=c\\ d\\,e f-g=1", "db=my%20db",
           "__name__=m_x_y_z_f_g;db=my db;a_b=c d,e; 1@77\n");
    expect("1m,2t=x 3f=1 -2", "precision=h", "__name__=_1m_3f;_2t=x; 1@-7200000\n");
    expect("m,t= v=1", "", "__name__=m_v;t=; 1@77\n");
    expect("m text=\"only\" 5", "", "");
}

static void damage_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *query, *why;
    } cases[] = {
        {"m v=1\nm\n", "", "line 2: expected fields"},
        {",a=b v=1", "", "expected a measurement"},
        {"m,a v=1", "", "expected a tag"},
        {"m,=b v=1", "", "expected a tag"},
        {"m,a=b=c v=1", "", "unexpected '='"},
        {"m v", "", "expected a field"},
        {"m v=", "", "expected a number"},
        {"m v=x", "", "expected a number"},
        {"m v=nan", "", "expected a number"},
        {"m v=1 2 3", "", "expected a time"},
        {"m v=1 later", "", "expected a time"},
        {"m v=1 99999999999999999999", "", "expected a time"},
        {"m v=1 9999999999999999", "precision=h", "expected a time"},
        {"m v=\"a", "", "unterminated text"},
        {"m v=\"a\"b", "", "expected ',' or a time"},
        {"m v=1", "precision=weeks", "precision \"weeks\""},
    };
    struct dist_batch batch;
    dist_batch_init(&batch);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_fail fail = {.code = NX_OK, .text = ""};
        assert_int_equal(decode(nx_view_of(cases[i].text), cases[i].query, &batch, &fail),
                         NX_ERR_INVALID);
        if (!strstr(fail.text, cases[i].why))
            fail_msg("%s: %s", cases[i].text, fail.text);
    }
    dist_batch_release(&batch);
}

static const char sound[] =
    "m\\,x,a\\=b=c\\ d f=1.5,g=\"t\\\"u\",h=t 1700000000000000000\nn v=2i\n";

static void every_cut_and_flip_is_harmless(void **state)
{
    (void)state;
    struct dist_batch batch;
    dist_batch_init(&batch);
    for (size_t i = 0; i < sizeof sound - 1; i++) {
        for (unsigned bit = 0; bit < 9; bit++) {
            size_t len = bit == 8 ? i : sizeof sound - 1;
            char *exact = nx_alloc(len + 1);
            memcpy(exact + 1, sound, len);
            if (bit < 8)
                exact[1 + i] ^= (char)(1 << bit);
            (void)!decode(nx_view_make(exact + 1, len), "", &batch, NULL);
            nx_free(exact);
        }
    }
    dist_batch_release(&batch);
}

static void out_of_memory_is_clean(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct dist_batch batch;
        dist_batch_init(&batch);
        test_fail_allocation(n);
        enum nx_err err = decode(NX_VIEW(sound), "db=x&precision=ns", &batch, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        dist_batch_release(&batch);
        assert_int_equal(err, failed ? NX_ERR_NOMEM : NX_OK);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_samples),
        cmocka_unit_test(damage_is_told_with_its_line),
        cmocka_unit_test(every_cut_and_flip_is_harmless),
        cmocka_unit_test(out_of_memory_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
