/* Targets: labels, URLs, identity; plans: who scrapes what. DNS answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "distributor/scrape/dns_answer.h"
#include "distributor/scrape/plan.h"

static struct scrape_config *read_config(const char *text)
{
    struct scrape_config *config = NULL;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = scrape_config_read_text("p.yml", nx_view_of(text), &config, &fail);
    if (err)
        print_error("%s\n", nx_fail_text(&fail));
    assert_int_equal(err, NX_OK);
    return config;
}

static enum nx_err build(struct scrape_config *config, const char *const *peers, const char *self,
                         struct scrape_plan *previous, struct scrape_plan **out)
{
    struct scrape_groups **groups[16];
    struct scrape_groups *of_job[16];
    assert_true(config->job_count <= 16);
    for (size_t i = 0; i < config->job_count; i++) {
        of_job[i] = config->jobs[i].sd_count ? config->jobs[i].sds[0].groups : NULL;
        groups[i] = &of_job[i];
    }
    struct scrape_plan_input input = {
        .config = config, .groups = groups, .peers = peers, .self = self, .previous = previous};
    return scrape_plan_build(&input, out);
}

static const char *const alone[] = {NULL};

static void target_gets_its_labels_and_url(void **state)
{
    struct scrape_plan *plan = NULL;
    (void)state;
    struct scrape_config *config =
        read_config("scrape_configs:\n- job_name: j\n  scheme: https\n  metrics_path: 'a b/m'\n"
                    "  params: {m: [x y, 'z&'], k: ['1']}\n"
                    "  relabel_configs:\n"
                    "  - {source_labels: [__meta_x], target_label: kept}\n"
                    "  - {target_label: __param_new, replacement: v}\n"
                    "  - {target_label: __param_k, replacement: '2'}\n"
                    "  static_configs: [{targets: ['h:1'], labels: {__meta_x: m, job: other}}]\n");
    assert_int_equal(build(config, alone, "", NULL, &plan), NX_OK);
    const struct scrape_target *target = plan->pools[0].active[0];
    assert_string_equal(target->url, "https://h:1/a%20b/m?k=2&m=x+y&m=z%26&new=v");
    assert_int_equal(target->shown.count, 3);
    assert_true(nx_view_is(nx_labels_get(target->shown, NX_VIEW("instance")), "h:1"));
    assert_true(nx_view_is(nx_labels_get(target->shown, NX_VIEW("job")), "other"));
    assert_true(nx_view_is(nx_labels_get(target->shown, NX_VIEW("kept")), "m"));
    assert_true(nx_view_is(nx_labels_get(target->discovered, NX_VIEW("__meta_x")), "m"));
    assert_false(nx_labels_has(target->labels, NX_VIEW("__meta_x")));
    assert_int_equal(target->interval_ms, 60000);
    scrape_plan_drop(plan);
    scrape_config_drop(config);
}

static void targets_that_cannot_be_scraped_are_told(void **state)
{
    struct scrape_plan *plan = NULL;
    (void)state;
    struct scrape_config *config =
        read_config("scrape_configs:\n- job_name: j\n"
                    "  relabel_configs:\n"
                    "  - {source_labels: [a], regex: (.+), target_label: __address__}\n"
                    "  - {source_labels: [i], regex: (.+), target_label: __scrape_interval__}\n"
                    "  - {source_labels: [d], regex: 'yes', action: drop}\n"
                    "  static_configs:\n"
                    "  - {targets: [''], labels: {x: y}}\n"
                    "  - {targets: [h], labels: {a: h/x}}\n"
                    "  - {targets: [h], labels: {i: 5s}}\n"
                    "  - {targets: [h], labels: {i: soon}}\n"
                    "  - {targets: [h], labels: {i: 0s}}\n"
                    "  - {targets: [h], labels: {d: 'yes'}}\n"
                    "  - {targets: [h, h, g]}\n");
    assert_int_equal(build(config, alone, "", NULL, &plan), NX_OK);
    assert_int_equal(plan->problem_count, 5);
    nx_buf_append_char(&plan->problems, '\0');
    static const char *const texts[] = {
        "instance 0 in group p.yml:0: no address", "\"h/x\" is not a valid hostname",
        "scrape timeout cannot be greater than scrape interval (\"10s\" > \"5s\")",
        "error parsing scrape interval", "scrape interval cannot be 0"};
    for (size_t i = 0; i < 5; i++)
        assert_non_null(strstr(plan->problems.data, texts[i]));
    assert_int_equal(plan->pools[0].active_count, 2);
    assert_int_equal(plan->pools[0].dropped_count, 1);
    assert_int_equal(plan->target_count, 2);
    scrape_plan_drop(plan);
    scrape_config_drop(config);
}

static void target_limit_fails_all_targets_of_the_job(void **state)
{
    struct scrape_plan *plan = NULL;
    (void)state;
    struct scrape_config *config = read_config(
        "scrape_configs:\n- {job_name: a, target_limit: 1, static_configs: [{targets: [x, y]}]}\n"
        "- {job_name: b, target_limit: 2, static_configs: [{targets: [x, y]}]}\n");
    assert_int_equal(build(config, alone, "", NULL, &plan), NX_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_true(plan->pools[0].active[i]->over_limit);
        assert_false(plan->pools[1].active[i]->over_limit);
    }
    scrape_plan_drop(plan);
    scrape_config_drop(config);
}

static void status_lives_on_in_the_next_plan(void **state)
{
    struct scrape_plan *first = NULL, *second = NULL;
    (void)state;
    struct scrape_config *config =
        read_config("scrape_configs: [{job_name: a, static_configs: [{targets: [x, y]}]}]");
    assert_int_equal(build(config, alone, "", NULL, &first), NX_OK);
    assert_int_equal(build(config, alone, "", first, &second), NX_OK);
    for (size_t i = 0; i < 2; i++)
        assert_ptr_equal(first->by_key[i]->status, second->by_key[i]->status);
    assert_true(scrape_plan_has_labels(second, first->by_key[0]->shown));
    scrape_plan_drop(first);
    scrape_plan_drop(second);
    scrape_config_drop(config);
}

/* Each target has one owner; when one of three dies, only its targets move. */
static void targets_are_shared_evenly_and_move_only_from_the_dead(void **state)
{
    static const char *const three[] = {"a:1", "b:1", "c:1", NULL};
    static const char *const two[] = {"a:1", "c:1", NULL};
    size_t count[3] = {0}, moved = 0;
    (void)state;
    for (uint64_t i = 0; i < 3000; i++) {
        struct nx_hash128 key = nx_hash128(&i, sizeof i);
        const char *before = scrape_owner(key, three), *after = scrape_owner(key, two);
        count[before[0] - 'a']++;
        if (before[0] != 'b')
            assert_string_equal(before, after);
        moved += before != after && strcmp(before, after) != 0;
    }
    assert_int_equal(moved, count[1]);
    for (size_t i = 0; i < 3; i++)
        assert_in_range(count[i], 850, 1150);
}

static void plans_of_all_peers_own_each_target_once(void **state)
{
    static const char *const peers[] = {"a:1", "b:1", NULL};
    struct scrape_plan *plans[2];
    char text[4000] = "scrape_configs:\n- job_name: j\n  static_configs: [{targets: [h0";
    (void)state;
    for (int i = 1; i < 100; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), ", h%d", i);
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), "]}]\n");
    struct scrape_config *config = read_config(text);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(build(config, peers, peers[i], NULL, &plans[i]), NX_OK);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(plans[0]->owned[i] + plans[1]->owned[i], 1);
    scrape_plan_drop(plans[0]);
    scrape_plan_drop(plans[1]);
    scrape_config_drop(config);
}

static void offsets_lie_within_the_interval_and_at_the_same_place(void **state)
{
    struct scrape_target target = {.interval_ms = 1000, .hash = 0x123456789abcdef0};
    (void)state;
    uint64_t first = scrape_target_offset_ns(&target, 7, 5000);
    for (uint64_t now = 5000; now < UINT64_C(3000000000); now += 123456789) {
        uint64_t offset = scrape_target_offset_ns(&target, 7, now);
        assert_true(offset <= 1000000000);
        assert_true((now + offset) % 1000000000 == (5000 + first) % 1000000000);
    }
}

static void srv_answer_becomes_targets(void **state)
{
    static const unsigned char answer[] =
        "\x00\x01\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00"
        "\x04_web\x04_tcp\x01x\x00\x00\x21\x00\x01"
        "\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x3c\x00\x0b\x00\x01\x00\x02\x1f\x90\x02h1\xc0\x16"
        "\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x3c\x00\x0b\x00\x01\x00\x02\x00\x50\x02h2\xc0\x16";
    struct scrape_groups *groups = NULL;
    struct scrape_group *group = NULL;
    (void)state;
    assert_int_equal(scrape_groups_new(&groups), NX_OK);
    assert_int_equal(
        scrape_groups_begin(groups, NX_VIEW("s"), (struct nx_labels){.count = 0}, &group), NX_OK);
    assert_int_equal(scrape_dns_add_srv(groups, "_web._tcp.x", answer, sizeof answer - 1), NX_OK);
    assert_int_equal(group->target_count, 2);
    struct nx_labels first = group->targets[0];
    assert_true(nx_view_is(nx_labels_get(first, NX_VIEW("__address__")), "h1.x:8080"));
    assert_true(nx_view_is(nx_labels_get(first, NX_VIEW("__meta_dns_name")), "_web._tcp.x"));
    assert_true(nx_view_is(nx_labels_get(first, NX_VIEW("__meta_dns_srv_record_target")), "h1.x."));
    assert_true(nx_view_is(nx_labels_get(first, NX_VIEW("__meta_dns_srv_record_port")), "8080"));
    for (size_t len = 0; len < sizeof answer - 1; len++) {
        unsigned char *cut = nx_alloc(len);
        memcpy(cut, answer, len);
        assert_int_equal(scrape_dns_add_srv(groups, "n", cut, len), NX_ERR_CORRUPT);
        nx_free(cut);
    }
    assert_int_equal(scrape_dns_add_address(groups, "n", "::1", 9), NX_OK);
    struct nx_labels last = group->targets[group->target_count - 1];
    assert_true(nx_view_is(nx_labels_get(last, NX_VIEW("__address__")), "[::1]:9"));
    scrape_groups_drop(groups);
}

static bool allow(size_t size, void *user)
{
    size_t *left = user;
    (void)size;
    return *left == 0 || --*left > 0;
}

static void failing_allocations_are_told_and_leak_nothing(void **state)
{
    enum nx_err err = NX_ERR_NOMEM;
    (void)state;
    struct scrape_config *config = read_config(
        "scrape_configs: [{job_name: a, params: {a: [b]}, relabel_configs: [{target_label: x, "
        "replacement: y}], static_configs: [{targets: [x, y, z]}]}]");
    for (size_t n = 1; n < 500 && err; n++) {
        struct scrape_plan *plan = NULL;
        size_t left = n;
        nx_alloc_set_hook(allow, &left);
        err = build(config, alone, "", NULL, &plan);
        nx_alloc_set_hook(NULL, NULL);
        if (err)
            assert_int_equal(err, NX_ERR_NOMEM);
        scrape_plan_drop(plan);
    }
    assert_int_equal(err, NX_OK);
    scrape_config_drop(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_gets_its_labels_and_url),
        cmocka_unit_test(targets_that_cannot_be_scraped_are_told),
        cmocka_unit_test(target_limit_fails_all_targets_of_the_job),
        cmocka_unit_test(status_lives_on_in_the_next_plan),
        cmocka_unit_test(targets_are_shared_evenly_and_move_only_from_the_dead),
        cmocka_unit_test(plans_of_all_peers_own_each_target_once),
        cmocka_unit_test(offsets_lie_within_the_interval_and_at_the_same_place),
        cmocka_unit_test(srv_answer_becomes_targets),
        cmocka_unit_test(failing_allocations_are_told_and_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
