#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/config/config.h"
#include "common/config/config_internal.h"

struct settings {
    int64_t workers;
    const char *listen;
    int64_t timeout_ms;
    int64_t body_bytes;
    bool gzip;
    double ratio;
    int level;
    const char *members;
    const char *password;
    int64_t deep;
    int64_t free_int;
};

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

#define AT(field) .offset = offsetof(struct settings, field)
static const struct nx_setting table[] = {
    {.key = "server.listen",
     .type = NX_SETTING_STRING,
     .default_text = "127.0.0.1:9900",
     AT(listen),
     .help = "Address to listen on."},
    {.key = "workers",
     .type = NX_SETTING_INT,
     .default_text = "2",
     AT(workers),
     .min = 1,
     .max = 256,
     .help = "Threads."},
    {.key = "server.timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "30s",
     AT(timeout_ms),
     .min = 1,
     .reloadable = true,
     .help = "Time-out."},
    {.key = "server.max-body",
     .type = NX_SETTING_BYTES,
     .default_text = "64MiB",
     AT(body_bytes),
     .min = 1,
     .reloadable = true,
     .help = "Limit."},
    {.key = "server.gzip",
     .type = NX_SETTING_BOOL,
     .default_text = "false",
     AT(gzip),
     .help = "Gzip."},
    {.key = "query.ratio",
     .type = NX_SETTING_DOUBLE,
     .default_text = "0.5",
     AT(ratio),
     .max = 1,
     .reloadable = true,
     .help = "Ratio."},
    {.key = "log.level",
     .type = NX_SETTING_ENUM,
     .default_text = "info",
     AT(level),
     .choices = levels,
     .reloadable = true,
     .help = "Level."},
    {.key = "ring.members",
     .type = NX_SETTING_STRING,
     .default_text = "",
     AT(members),
     .reloadable = true,
     .help = "Members."},
    {.key = "objstore.password",
     .type = NX_SETTING_STRING,
     .default_text = "",
     AT(password),
     .secret = true,
     .help = "Password."},
    {.key = "objstore.s3.parts",
     .type = NX_SETTING_INT,
     .default_text = "4",
     AT(deep),
     .help = "Parts."},
    {.key = "query.free",
     .type = NX_SETTING_INT,
     .default_text = "0",
     AT(free_int),
     .help = "Free."},
};
#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

struct fixture {
    struct settings settings;
    struct nx_config *config;
    struct nx_fail fail;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct nx_setting_group group = {
        .settings = table, .count = TABLE_COUNT, .target = &f->settings};
    assert_int_equal(nx_config_new(&group, 1, &f->config), NX_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    nx_config_free(f->config);
    free(f);
    return 0;
}

static enum nx_err load(struct fixture *f, const char *yaml)
{
    f->fail.text[0] = '\0';
    return nx_config_load_text(f->config, "narthex.yml", nx_view_of(yaml), &f->fail);
}

static enum nx_err flags(struct fixture *f, size_t count, const char *const *args)
{
    char *copies[16];
    assert_true(count <= 16);
    for (size_t i = 0; i < count; i++) {
        copies[i] = strdup(args[i]);
    }
    f->fail.text[0] = '\0';
    enum nx_err err = nx_config_load_flags(f->config, (int)count, copies, &f->fail);
    for (size_t i = 0; i < count; i++) {
        free(copies[i]);
    }
    return err;
}
#define FLAGS(f, ...)                                                       \
    flags((f), sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), \
          (const char *const[]){__VA_ARGS__})

static void config_without_sources_has_defaults(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->settings.workers, 2);
    assert_string_equal(f->settings.listen, "127.0.0.1:9900");
    assert_int_equal(f->settings.timeout_ms, 30000);
    assert_int_equal(f->settings.body_bytes, 64 << 20);
    assert_false(f->settings.gzip);
    assert_true(f->settings.ratio > 0.4999 && f->settings.ratio < 0.5001);
    assert_int_equal(f->settings.level, 1);
    assert_string_equal(f->settings.members, "");
}

static void yaml_with_every_type_fills_targets(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "workers: 8\n"
                             "server:\n"
                             "  listen: 0.0.0.0:9900   # all\n"
                             "  timeout: 1m30s\n"
                             "  max-body: 1GB\n"
                             "  gzip: true\n"
                             "query.ratio: 0.25\n"
                             "log: {level: warn}\n"
                             "ring:\n"
                             "  members:\n"
                             "    - a@h:1/z1\n"
                             "    - b@h:2/z2\n"
                             "objstore:\n"
                             "  password: \"x y\"\n"
                             "  s3:\n"
                             "    parts: -7\n"),
                     NX_OK);
    assert_int_equal(f->settings.workers, 8);
    assert_string_equal(f->settings.listen, "0.0.0.0:9900");
    assert_int_equal(f->settings.timeout_ms, 90000);
    assert_int_equal(f->settings.body_bytes, 1000000000);
    assert_true(f->settings.gzip);
    assert_true(f->settings.ratio > 0.2499 && f->settings.ratio < 0.2501);
    assert_int_equal(f->settings.level, 2);
    assert_string_equal(f->settings.members, "a@h:1/z1,b@h:2/z2");
    assert_string_equal(f->settings.password, "x y");
    assert_int_equal(f->settings.deep, -7);
}

static void yaml_empty_or_null_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const char *const sources[] = {
        "",          "\n\n# only a comment\n", "---\n", "~\n", "{}\n", "null\n",
        "server:\n", "server: {}\nlog: ~\n"};
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        assert_int_equal(load(f, sources[i]), NX_OK);
    }
    assert_int_equal(nx_config_load_text(f->config, "x", (struct nx_view){0}, &f->fail), NX_OK);
    assert_int_equal(f->settings.workers, 2);
    assert_string_equal(f->settings.listen, "127.0.0.1:9900");
}

static void yaml_null_string_is_empty(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "ring:\n  members: a\n"), NX_OK);
    assert_int_equal(load(f, "ring:\n  members:\n"), NX_OK);
    assert_string_equal(f->settings.members, "");
    assert_int_equal(load(f, "ring:\n  members: []\n"), NX_OK);
    assert_int_equal(load(f, "ring:\n  members: 'null'\n"), NX_OK);
    assert_string_equal(f->settings.members, "null");
}

/* Each wrong source, and what its error must say. */
static void yaml_bad_input_names_key_value_and_expectation(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *yaml;
        const char *text;
    } cases[] = {
        {"workers: many\n",
         "narthex.yml:1: workers: expected an integer from 1 to 256, got \"many\""},
        {"\n\nworkers: 0\n",
         "narthex.yml:3: workers: expected an integer from 1 to 256, got \"0\""},
        {"workers: 99999999999999999999\n",
         "narthex.yml:1: workers: expected an integer from 1 to 256, got \"99999999999999999999\""},
        {"server:\n  timeout: fast\n",
         "narthex.yml:2: server.timeout: expected a duration (like 30s, "
         "15d or 1h30m) of at least 1ms, got \"fast\""},
        {"server:\n  timeout:\n", "narthex.yml:2: server.timeout: expected a duration (like 30s, "
                                  "15d or 1h30m) of at least 1ms, got nothing"},
        {"server:\n  max-body: 5 parsecs\n",
         "narthex.yml:2: server.max-body: expected a size (like 64MiB, 1GB or plain bytes) of at "
         "least 1, got \"5 parsecs\""},
        {"server:\n  max-body: 99999999PiB\n",
         "narthex.yml:2: server.max-body: expected a size (like 64MiB, 1GB or plain bytes) of at "
         "least 1, got \"99999999PiB\""},
        {"server:\n  gzip: yes\n",
         "narthex.yml:2: server.gzip: expected true or false, got \"yes\""},
        {"query:\n  ratio: 1.5\n",
         "narthex.yml:2: query.ratio: expected a number from 0 to 1, got \"1.5\""},
        {"query:\n  ratio: .nan\n",
         "narthex.yml:2: query.ratio: expected a number from 0 to 1, got \".nan\""},
        {"log:\n  level: verbose\n",
         "narthex.yml:2: log.level: expected one of debug, info, warn, error, got \"verbose\""},
        {"server:\n  liste: x\n", "narthex.yml:2: unknown key \"server.liste\", did you mean "
                                  "\"server.listen\"?"},
        {"listen: x\n", "narthex.yml:1: unknown key \"listen\", did you mean \"server.listen\"?"},
        {"sevrer:\n  listen: x\n",
         "narthex.yml:1: unknown section \"sevrer\", did you mean \"server\"?"},
        {"quantum: 1\n", "narthex.yml:1: unknown key \"quantum\" (`narthex help config` lists the "
                         "known ones)"},
        {"workers: 1\nworkers: 2\n", "narthex.yml:2: \"workers\" is set twice, first in line 1"},
        {"server:\n  listen: a\nserver.listen: b\n",
         "narthex.yml:3: \"server.listen\" is set twice, first in line 2"},
        {"server:\n  listen: a\nlog:\n  level: info\nserver:\n  gzip: true\n",
         "narthex.yml:6: section \"server\" appears twice, first in line 2"},
        {"server: x\n", "narthex.yml:1: \"server\" is a section: expected settings below it"},
        {"workers:\n  a: 1\n",
         "narthex.yml:2: workers: expected an integer from 1 to 256, got a section"},
        {"workers: [1, 2]\n",
         "narthex.yml:1: workers: expected an integer from 1 to 256, got a list"},
        {"ring:\n  members: [[a]]\n",
         "narthex.yml:2: ring.members: expected a text in UTF-8, got a "
         "list of something else than texts"},
        {"- a\n", "narthex.yml:1: expected sections and settings (\"section:\" or \"key: value\")"},
        {"hello\n",
         "narthex.yml:1: expected sections and settings (\"section:\" or \"key: value\")"},
        {"workers: 1\n---\nworkers: 2\n", "narthex.yml:2: expected a single YAML document"},
        {"server: &a\n  listen: x\nlog: *a\n", "narthex.yml:3: YAML aliases are not supported"},
        {"[a]: 1\n", "narthex.yml:1: expected the name of a setting or section"},
        {"server:\n\tlisten: x\n",
         "narthex.yml:2: not valid YAML: found character that cannot start "
         "any token, while scanning for the next token"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(load(f, cases[i].yaml), NX_ERR_CONFIG);
        assert_string_equal(f->fail.text, cases[i].text);
    }
    assert_int_equal(f->settings.workers, 2);
    assert_string_equal(f->settings.listen, "127.0.0.1:9900");
}

static void yaml_bad_line_leaves_targets_untouched(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "workers: 7\nserver:\n  listen: x:1\n  gzip: maybe\n"), NX_ERR_CONFIG);
    assert_int_equal(f->settings.workers, 2);
    assert_string_equal(f->settings.listen, "127.0.0.1:9900");
}

static void yaml_bytes_of_any_kind_end_in_an_error_or_load(void **state)
{
    struct fixture *f = *state;
    static const char alphabet[] = "abserver: \n\t-[]{}&*!|>'\"%@`#,?~.0x\\\xC3\xFF";
    struct nx_rand rand;
    nx_rand_seeded(&rand, 11);
    for (int round = 0; round < 20000; round++) {
        char text[48];
        size_t len = nx_rand_below(&rand, sizeof(text));
        for (size_t i = 0; i < len; i++) {
            text[i] = alphabet[nx_rand_below(&rand, sizeof(alphabet))];
        }
        enum nx_err err = nx_config_load_text(f->config, "f", nx_view_make(text, len), &f->fail);
        assert_true(err == NX_OK || err == NX_ERR_CONFIG);
    }
}

static void yaml_nested_deeply_is_refused(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(200001);
    memset(text, '[', 200000);
    text[200000] = '\0';
    assert_int_equal(load(f, text), NX_ERR_CONFIG);
    memset(text, '{', 200000);
    assert_int_equal(load(f, text), NX_ERR_CONFIG);
    free(text);
}

static void yaml_beyond_size_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t len = (1 << 20) + 1;
    char *text = malloc(len);
    memset(text, '\n', len);
    assert_int_equal(nx_config_load_text(f->config, "big.yml", nx_view_make(text, len), &f->fail),
                     NX_ERR_CONFIG);
    assert_string_equal(f->fail.text, "big.yml: larger than 1 MiB");
    assert_int_equal(
        nx_config_load_text(f->config, "big.yml", nx_view_make(text, len - 1), &f->fail), NX_OK);
    free(text);
}

static void value_long_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "workers: aéééééééééééééééééééééééééééééééééééééééééé\n"),
                     NX_ERR_CONFIG);
    assert_true(nx_view_is_utf8(nx_view_of(f->fail.text)));
    assert_non_null(strstr(f->fail.text, "...\""));
}

static void flags_override_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "workers: 8\nserver: {gzip: false}\n"), NX_OK);
    assert_int_equal(FLAGS(f, "--workers=4", "--server.listen", "h:1", "--server.gzip",
                           "--query.ratio=1e-1", "--workers=5"),
                     NX_OK);
    assert_int_equal(f->settings.workers, 5);
    assert_string_equal(f->settings.listen, "h:1");
    assert_true(f->settings.gzip);
    assert_int_equal(FLAGS(f, "--server.gzip", "false", "--ring.members="), NX_OK);
    assert_false(f->settings.gzip);
}

static void flags_bad_are_refused_with_reason(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(FLAGS(f, "--wrokers=4"), NX_ERR_CONFIG);
    assert_string_equal(f->fail.text, "unknown flag \"wrokers\", did you mean \"workers\"?");
    assert_int_equal(FLAGS(f, "serve"), NX_ERR_CONFIG);
    assert_string_equal(f->fail.text,
                        "unexpected argument \"serve\", expected --section.key=value");
    assert_int_equal(FLAGS(f, "--workers"), NX_ERR_CONFIG);
    assert_string_equal(f->fail.text, "--workers: expected an integer from 1 to 256, got no value");
    assert_int_equal(FLAGS(f, "--workers", "--server.gzip"), NX_ERR_CONFIG);
    assert_int_equal(FLAGS(f, "--workers=x"), NX_ERR_CONFIG);
    assert_string_equal(f->fail.text, "--workers: expected an integer from 1 to 256, got \"x\"");
    assert_int_equal(FLAGS(f, "--server.listen=\xFF"), NX_ERR_CONFIG);
    assert_int_equal(FLAGS(f, "--"), NX_ERR_CONFIG);
    assert_int_equal(FLAGS(f, "-w"), NX_ERR_CONFIG);
    assert_int_equal(f->settings.workers, 2);
}

static void secret_never_shows(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(FLAGS(f, "--objstore.password=hunter\xFF"), NX_ERR_CONFIG);
    assert_null(strstr(f->fail.text, "hunter"));
    assert_int_equal(FLAGS(f, "--objstore.password=hunter2"), NX_OK);
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    nx_config_print_yaml(f->config, &out);
    nx_buf_append_char(&out, '\0');
    assert_null(strstr(out.data, "hunter"));
    assert_non_null(strstr(out.data, "  password: \"<secret>\"\n"));
    nx_buf_release(&out);
}

static void print_yaml_gives_sections_once(void **state)
{
    struct fixture *f = *state;
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    nx_config_print_yaml(f->config, &out);
    nx_buf_append_char(&out, '\0');
    assert_string_equal(out.data, "workers: 2\n"
                                  "log:\n"
                                  "  level: info\n"
                                  "objstore:\n"
                                  "  password: \"\"\n"
                                  "  s3:\n"
                                  "    parts: 4\n"
                                  "query:\n"
                                  "  free: 0\n"
                                  "  ratio: 0.5\n"
                                  "ring:\n"
                                  "  members: \"\"\n"
                                  "server:\n"
                                  "  gzip: false\n"
                                  "  listen: \"127.0.0.1:9900\"\n"
                                  "  max-body: 64MiB\n"
                                  "  timeout: 30s\n");
    nx_buf_release(&out);
}

static void random_text(struct nx_rand *rand, char *out, size_t max)
{
    static const char *const pieces[] = {
        "a",  " ",        "\"",           "\\",  "\n", ":",    "#",  "é",        "\t",
        "{",  "\xC2\x85", "\xEF\xBB\xBF", "'",   "😀",  "\x7F", "- ", "\xC2\x9F", "\xE2\x80\xA8",
        "\r", "~",        "\xEF\xBF\xBF", "\x01"};
    out[0] = '\0';
    size_t len = 0;
    for (size_t i = nx_rand_below(rand, 8); i > 0; i--) {
        const char *piece = pieces[nx_rand_below(rand, sizeof(pieces) / sizeof(pieces[0]))];
        size_t n = strlen(piece);
        if (len + n >= max) {
            return;
        }
        memcpy(out + len, piece, n + 1);
        len += n;
    }
}

static void print_yaml_loaded_again_gives_the_same(void **state)
{
    struct fixture *f = *state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 5);
    for (int round = 0; round < 500; round++) {
        char text[64];
        char args[5][128];
        random_text(&rand, text, sizeof(text));
        (void)snprintf(args[0], sizeof(args[0]), "--ring.members=%s", text);
        (void)snprintf(args[1], sizeof(args[1]), "--query.ratio=%.17g", nx_rand_unit(&rand));
        (void)snprintf(args[2], sizeof(args[2]), "--server.timeout=%llums",
                       1 + (unsigned long long)nx_rand_below(&rand, 1ULL << 40));
        (void)snprintf(args[3], sizeof(args[3]), "--server.max-body=%llu",
                       1 + (unsigned long long)nx_rand_below(&rand, 1ULL << 50));
        (void)snprintf(args[4], sizeof(args[4]), "--query.free=%lld",
                       (long long)(nx_rand_u64(&rand) >> 1) - (1LL << 61));
        assert_int_equal(FLAGS(f, args[0], args[1], args[2], args[3], args[4]), NX_OK);
        struct settings before = f->settings;
        struct nx_buf out;
        nx_buf_init(&out, 1 << 20);
        nx_config_print_yaml(f->config, &out);
        assert_int_equal(FLAGS(f, "--ring.members=other", "--query.ratio=0", "--query.free=0",
                               "--server.timeout=1s", "--server.max-body=1"),
                         NX_OK);
        assert_int_equal(nx_config_load_text(f->config, "again", nx_buf_view(&out), &f->fail),
                         NX_OK);
        assert_string_equal(f->settings.members, text);
        assert_true(memcmp(&f->settings.ratio, &before.ratio, sizeof(double)) == 0);
        assert_int_equal(f->settings.timeout_ms, before.timeout_ms);
        assert_int_equal(f->settings.body_bytes, before.body_bytes);
        assert_int_equal(f->settings.free_int, before.free_int);
        nx_buf_release(&out);
    }
}

static void print_help_names_every_setting(void **state)
{
    struct fixture *f = *state;
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    nx_config_print_help(f->config, &out);
    nx_buf_append_char(&out, '\0');
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        assert_non_null(strstr(out.data, table[i].key));
        assert_non_null(strstr(out.data, table[i].help));
    }
    assert_non_null(strstr(out.data,
                           "\nserver\n--server.gzip=BOOL\n      Gzip.\n      Value: true or false. "
                           "Default: false.\n--server.listen=TEXT\n"));
    assert_non_null(strstr(out.data, "Default: 30s. Reloadable.\n"));
    nx_buf_release(&out);
}

/* --- reload ------------------------------------------------------------------------------------
 */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static void temp_path(char *path, size_t size)
{
    (void)snprintf(path, size, "/tmp/nx-config-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static void reload_takes_reloadable_rows_and_names_the_rest(void **state)
{
    struct fixture *f = *state;
    char path[64];
    temp_path(path, sizeof(path));
    write_file(path,
               "workers: 3\nserver: {timeout: 10s}\nring: {members: one}\nlog: {level: warn}\n");
    assert_int_equal(nx_config_load_file(f->config, path, &f->fail), NX_OK);
    assert_int_equal(FLAGS(f, "--log.level=error"), NX_OK);
    const char *first_members = f->settings.members;

    write_file(path, "workers: 4\nserver: {timeout: 20s, listen: x}\nring: {members: two}\n");
    struct nx_buf ignored;
    nx_buf_init(&ignored, 1024);
    assert_int_equal(nx_config_reload(f->config, path, &ignored, &f->fail), NX_OK);
    nx_buf_append_char(&ignored, '\0');
    assert_string_equal(ignored.data, "server.listen, workers");
    assert_int_equal(f->settings.workers, 3);
    assert_int_equal(f->settings.timeout_ms, 20000);
    assert_string_equal(f->settings.members, "two");
    assert_string_equal(first_members, "one");
    assert_int_equal(f->settings.level, 3);

    write_file(path, "workers: 3\n");
    nx_buf_clear(&ignored);
    assert_int_equal(nx_config_reload(f->config, path, &ignored, &f->fail), NX_OK);
    assert_int_equal(ignored.len, 0);
    assert_int_equal(f->settings.timeout_ms, 30000);
    assert_string_equal(f->settings.members, "");

    write_file(path, "server: {timeout: 5s}\nquery: {ratio: 2}\n");
    assert_int_equal(nx_config_reload(f->config, path, &ignored, &f->fail), NX_ERR_CONFIG);
    assert_int_equal(f->settings.timeout_ms, 30000);
    nx_buf_release(&ignored);
    unlink(path);
}

static void reload_of_a_missing_file_fails_and_keeps_all(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "server: {timeout: 5s}\n"), NX_OK);
    assert_int_equal(nx_config_reload(f->config, "/nonexistent/narthex.yml", NULL, &f->fail),
                     NX_ERR_CONFIG);
    assert_string_equal(f->fail.text, "/nonexistent/narthex.yml: cannot be read: not found");
    assert_int_equal(f->settings.timeout_ms, 5000);
    assert_int_equal(nx_config_reload(f->config, NULL, NULL, &f->fail), NX_OK);
    assert_int_equal(f->settings.timeout_ms, 30000);
}

struct refusal {
    const char *refused; /* members */
    int calls;
};

static enum nx_err check_members(void *user, const struct nx_config_draft *draft,
                                 struct nx_fail *fail)
{
    struct refusal *refusal = user;
    const char *members = nx_config_draft_text(draft, "ring.members");
    refusal->calls++;
    if (strcmp(members, refusal->refused) != 0) {
        return NX_OK;
    }
    return nx_fail_set(fail, NX_ERR_CONFIG, "not \"%s\"", members);
}

static void reload_refused_by_the_check_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct refusal refusal = {.refused = "bad"};
    char path[64];
    temp_path(path, sizeof(path));
    write_file(path, "server: {timeout: 10s}\nring: {members: good}\n");
    assert_int_equal(nx_config_load_file(f->config, path, &f->fail), NX_OK);
    nx_config_on_reload(f->config, check_members, &refusal);

    write_file(path, "server: {timeout: 20s}\nring: {members: bad}\n");
    assert_int_equal(nx_config_reload(f->config, path, NULL, &f->fail), NX_ERR_CONFIG);
    assert_string_equal(f->fail.text, "not \"bad\"");
    assert_int_equal(f->settings.timeout_ms, 10000);
    assert_string_equal(f->settings.members, "good");
    assert_int_equal(refusal.calls, 1);

    write_file(path, "server: {timeout: 20s}\nring: {members: [a, b]}\n");
    assert_int_equal(nx_config_reload(f->config, path, NULL, &f->fail), NX_OK);
    assert_int_equal(f->settings.timeout_ms, 20000);
    assert_string_equal(f->settings.members, "a,b");

    write_file(path, "server: {timeout: nonsense}\n");
    assert_int_equal(nx_config_reload(f->config, path, NULL, &f->fail), NX_ERR_CONFIG);
    assert_int_equal(refusal.calls, 2); /* a bad file does not get that far */
    unlink(path);
}

static void table_may_go_once_the_config_is_made(void **state)
{
    (void)state;
    struct settings settings;
    struct nx_setting rows[TABLE_COUNT];
    memcpy(rows, table, sizeof(table));
    rows[0].default_text = "patched:1";
    struct nx_setting_group group = {.settings = rows, .count = TABLE_COUNT, .target = &settings};
    struct nx_config *config = NULL;
    assert_int_equal(nx_config_new(&group, 1, &config), NX_OK);
    memset(rows, 0, sizeof(rows));
    struct nx_fail fail;
    assert_int_equal(nx_config_load_text(config, "t", NX_VIEW("workers: 7\n"), &fail), NX_OK);
    assert_string_equal(settings.listen, "patched:1");
    assert_int_equal(settings.workers, 7);
    nx_config_free(config);
}

/* --- tables ------------------------------------------------------------------------------------
 */

static enum nx_err new_of(const struct nx_setting *rows, size_t count)
{
    static struct settings target;
    struct nx_setting_group group = {.settings = rows, .count = count, .target = &target};
    struct nx_config *config = NULL;
    enum nx_err err = nx_config_new(&group, 1, &config);
    nx_config_free(config);
    return err;
}

static void table_with_clashing_keys_is_refused(void **state)
{
    (void)state;
    struct nx_setting rows[2] = {
        {.key = "a.b", .type = NX_SETTING_INT, .default_text = "1", AT(workers)},
        {.key = "a.b", .type = NX_SETTING_INT, .default_text = "1", AT(deep)},
    };
    assert_int_equal(new_of(rows, 2), NX_ERR_EXISTS);
    rows[1].key = "a";
    assert_int_equal(new_of(rows, 2), NX_ERR_EXISTS);
    rows[1].key = "a.b.c";
    assert_int_equal(new_of(rows, 2), NX_ERR_EXISTS);
    rows[1].key = "a.bc";
    assert_int_equal(new_of(rows, 2), NX_OK);
    rows[1].default_text = "x";
    assert_int_equal(new_of(rows, 2), NX_ERR_CONFIG);
    assert_int_equal(new_of(rows, 0), NX_OK);
}

static void distance_counts_edits_and_swaps(void **state)
{
    (void)state;
    assert_int_equal(nx_config_distance(NX_VIEW(""), NX_VIEW("")), 0);
    assert_int_equal(nx_config_distance(NX_VIEW("abc"), NX_VIEW("")), 3);
    assert_int_equal(nx_config_distance(NX_VIEW("abc"), NX_VIEW("acb")), 1);
    assert_int_equal(nx_config_distance(NX_VIEW("kitten"), NX_VIEW("sitting")), 3);
    assert_int_equal(nx_config_distance(NX_VIEW("ca"), NX_VIEW("abc")), 3);
    char longer[100];
    memset(longer, 'a', sizeof(longer));
    assert_int_equal(nx_config_distance(nx_view_make(longer, 100), nx_view_make(longer, 60)), 40);
}

/* --- memory ------------------------------------------------------------------------------------
 */

static bool fail_countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    long *left = user;
    return (*left)-- != 0;
}

static enum nx_err whole_life(long fail_at)
{
    struct settings target = {0};
    struct nx_setting_group group = {.settings = table, .count = TABLE_COUNT, .target = &target};
    struct nx_config *config = NULL;
    struct nx_fail fail = {0};
    char arg[] = "--ring.members=c";
    char *argv[] = {arg};
    struct nx_view yaml = NX_VIEW("server: {listen: x, gzip: true}\nring: {members: [a, b]}\n"
                                  "objstore: {s3: {parts: 2}}\n");
    nx_alloc_set_hook(fail_countdown, &fail_at);
    enum nx_err err = nx_config_new(&group, 1, &config);
    if (err == NX_OK) {
        err = nx_config_load_text(config, "f", yaml, &fail);
    }
    if (err == NX_OK) {
        err = nx_config_load_flags(config, 1, argv, &fail);
    }
    if (err == NX_OK) {
        err = nx_config_reload(config, NULL, NULL, &fail);
    }
    nx_alloc_set_hook(NULL, NULL);
    if (err == NX_OK) {
        assert_string_equal(target.members, "c");
        assert_string_equal(target.listen, "x");
    }
    nx_config_free(config);
    return err;
}

static void allocation_failing_anywhere_is_out_of_memory(void **state)
{
    (void)state;
    long n = 0;
    for (; n < 1000; n++) {
        enum nx_err err = whole_life(n);
        if (err == NX_OK) {
            break;
        }
        assert_int_equal(err, NX_ERR_NOMEM);
    }
    assert_true(n > 10 && n < 1000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(config_without_sources_has_defaults),
        CASE(yaml_with_every_type_fills_targets),
        CASE(yaml_empty_or_null_changes_nothing),
        CASE(yaml_null_string_is_empty),
        CASE(yaml_bad_input_names_key_value_and_expectation),
        CASE(yaml_bad_line_leaves_targets_untouched),
        CASE(yaml_bytes_of_any_kind_end_in_an_error_or_load),
        CASE(yaml_nested_deeply_is_refused),
        CASE(yaml_beyond_size_limit_is_refused),
        CASE(value_long_is_cut_between_characters),
        CASE(flags_override_file),
        CASE(flags_bad_are_refused_with_reason),
        CASE(secret_never_shows),
        CASE(print_yaml_gives_sections_once),
        CASE(print_yaml_loaded_again_gives_the_same),
        CASE(print_help_names_every_setting),
        CASE(reload_takes_reloadable_rows_and_names_the_rest),
        CASE(reload_of_a_missing_file_fails_and_keeps_all),
        CASE(reload_refused_by_the_check_changes_nothing),
        CASE(table_may_go_once_the_config_is_made),
        cmocka_unit_test(table_with_clashing_keys_is_refused),
        cmocka_unit_test(distance_counts_edits_and_swaps),
        cmocka_unit_test(allocation_failing_anywhere_is_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
