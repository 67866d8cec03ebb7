#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/log.h"

struct fixture {
    struct nx_clock_manual clock;
    struct nx_log *log;
    int fds[2];
    char text[65536];
};

static void open_log(struct fixture *f, enum nx_log_format format)
{
    nx_clock_manual_init(&f->clock, 1000);
    assert_int_equal(pipe2(f->fds, O_NONBLOCK), 0);
    assert_int_equal(nx_log_new(&f->clock.base, NX_LOG_INFO, format, f->fds[1], &f->log), NX_OK);
}

static const char *written(struct fixture *f)
{
    ssize_t n = read(f->fds[0], f->text, sizeof f->text - 1);
    f->text[n > 0 ? n : 0] = '\0';
    return f->text;
}

static void close_log(struct fixture *f)
{
    nx_log_free(f->log);
    close(f->fds[0]);
    close(f->fds[1]);
}

static void logfmt_line_has_all_fields(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, NX_LOG_LOGFMT);
    struct nx_log *child;
    assert_int_equal(nx_log_child(f.log, "wal", &child), NX_OK);
    nx_log(child, NX_LOG_WARN, "segment cut", NX_S("path", "/a b"), NX_I("offset", -5),
           NX_D("ratio", 0.1), NX_V("plain", NX_VIEW("x.y-z")), NX_E(NX_ERR_IO), NX_S("empty", ""),
           NX_S("quote", "a\"b\n"));
    assert_string_equal(
        written(&f),
        "time=1970-01-01T00:00:01.000Z level=warn component=wal msg=\"segment cut\" "
        "path=\"/a b\" offset=-5 ratio=0.1 plain=x.y-z err=\"input/output error\" empty=\"\" "
        "quote=\"a\\\"b\\n\"\n");
    nx_log(f.log, NX_LOG_INFO, "up");
    assert_string_equal(written(&f), "time=1970-01-01T00:00:01.000Z level=info msg=up\n");
    close_log(&f);
}

static void json_line_is_json(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, NX_LOG_JSON);
    nx_log(f.log, NX_LOG_ERROR, "a \"b\"", NX_S("s", "x\ty\\\xff é"), NX_I("i", INT64_MIN),
           NX_D("d", 1.5), NX_D("n", (double)NAN));
    assert_string_equal(
        written(&f),
        "{\"time\":\"1970-01-01T00:00:01.000Z\",\"level\":\"error\",\"msg\":\"a \\\"b\\\"\","
        "\"s\":\"x\\u0009y\\\\\xEF\xBF\xBD é\",\"i\":-9223372036854775808,\"d\":1.5,"
        "\"n\":\"nan\"}\n");
    close_log(&f);
}

static void levels_filter_and_change_for_children(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, NX_LOG_LOGFMT);
    struct nx_log *child;
    assert_int_equal(nx_log_child(f.log, "c", &child), NX_OK);
    nx_log(child, NX_LOG_DEBUG, "no");
    assert_string_equal(written(&f), "");
    nx_log_set_level(f.log, NX_LOG_DEBUG);
    nx_log(child, NX_LOG_DEBUG, "yes");
    assert_non_null(strstr(written(&f), "msg=yes"));
    nx_log(NULL, NX_LOG_ERROR, "nowhere");
    nx_log_set_level(NULL, NX_LOG_INFO);
    enum nx_log_level level = NX_LOG_INFO;
    assert_int_equal(nx_log_level_parse(NX_VIEW("WARN"), &level), NX_OK);
    assert_int_equal(level, NX_LOG_WARN);
    assert_int_equal(nx_log_level_parse(NX_VIEW("loud"), &level), NX_ERR_INVALID);
    close_log(&f);
}

static void long_lines_are_cut_and_stay_whole(void **state)
{
    (void)state;
    for (int format = NX_LOG_LOGFMT; format <= NX_LOG_JSON; format++) {
        struct fixture f;
        open_log(&f, (enum nx_log_format)format);
        static char big[5000];
        memset(big, 'v', sizeof big - 1);
        nx_log(f.log, NX_LOG_INFO, "m", NX_S("a", big), NX_S("b", big), NX_S("c", big),
               NX_S("d", big), NX_S("e", big));
        const char *line = written(&f);
        size_t len = strlen(line);
        assert_true(len > 4000 && len <= 8192);
        assert_int_equal(line[len - 1], '\n');
        assert_ptr_equal(strchr(line, '\n'), line + len - 1);
        assert_non_null(
            strstr(line, format == NX_LOG_JSON ? "\"cut\":\"true\"}\n" : " cut=true\n"));
        assert_non_null(strstr(line, "v..."));
        close_log(&f);
    }
}

static void *log_many(void *arg)
{
    struct nx_log *log = arg;
    for (int i = 0; i < 200; i++)
        nx_log(log, NX_LOG_INFO, "line", NX_I("i", i),
               NX_S("text", "some words to make it longer"));
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    char path[] = "/tmp/nx-log-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(fcntl(fd, F_SETFL, flags | O_APPEND), 0);
    struct nx_log *log;
    assert_int_equal(nx_log_new(nx_clock_system(), NX_LOG_INFO, NX_LOG_LOGFMT, fd, &log), NX_OK);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, log), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    FILE *file = fdopen(fd, "r");
    rewind(file);
    char line[512];
    int count = 0;
    while (fgets(line, sizeof line, file)) {
        assert_int_equal(strncmp(line, "time=", 5), 0);
        assert_non_null(strstr(line, "text=\"some words to make it longer\"\n"));
        count++;
    }
    assert_int_equal(count, 800);
    fclose(file);
    nx_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_line_has_all_fields),
        cmocka_unit_test(json_line_is_json),
        cmocka_unit_test(levels_filter_and_change_for_children),
        cmocka_unit_test(long_lines_are_cut_and_stay_whole),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
