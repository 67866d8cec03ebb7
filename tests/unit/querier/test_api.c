/* The HTTP API from the outside: what clients see, over a cluster of pretended ingesters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cluster_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int setup(void **state)
{
    static struct cluster c;
    cluster_init(&c);
    cluster_start(&c);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    cluster_stop(*state);
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void assert_answer(struct cluster *c, const char *path, int status, const char *expected)
{
    int got_status = 0;
    char *body = cluster_get(c, path, &got_status);
    assert_string_equal(body, expected);
    assert_int_equal(got_status, status);
    free(body);
}

static void query_answers_are_golden(void **state)
{
    static const struct {
        const char *path, *body;
    } cases[] = {
        {"query?query=1%2B1&time=4",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}}"},
        {"query?query=1&time=1.5",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1.5,\"1\"]}}"},
        {"query?query=%22a%3Cb%22&time=2", "{\"status\":\"success\",\"data\":{\"resultType\":"
                                           "\"string\",\"result\":[2,\"a\\u003cb\"]}}"},
        {"query?query=up&time=600.5",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
         "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"value\":[600.500,\"40\"]},"
         "{\"metric\":{\"__name__\":\"up\",\"job\":\"b\"},\"value\":[600.500,\"140\"]}]}}"},
        {"query?query=up&time=600&limit=1",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
         "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"value\":[600,\"40\"]}]},"
         "\"warnings\":[\"results truncated due to limit\"]}"},
        {"query?query=sum(up)&time=600",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
         "{\"metric\":{},\"value\":[600,\"180\"]}]}}"},
        {"query?query=nothing&time=600",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}"},
        {"query?query=up%7Bjob%3D%22a%22%7D%5B30s%5D&time=600",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":["
         "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"values\":[[585,\"39\"],[600,\"40\"]]}]}"
         "}"},
        {"query_range?query=up%7Bjob%3D%22a%22%7D&start=0&end=30&step=15",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":["
         "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"values\":"
         "[[0,\"0\"],[15,\"1\"],[30,\"2\"]]}]}}"},
        {"query_range?query=1&start=0&end=1&step=1",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":["
         "{\"metric\":{},\"values\":[[0,\"1\"],[1,\"1\"]]}]}}"},
        {"query?query=quantile(2,up)&time=600",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
         "{\"metric\":{},\"value\":[600,\"+Inf\"]}]},\"warnings\":[\"PromQL warning: quantile "
         "value "
         "should be between 0 and 1, got 2 (1:10)\"]}"},
        {"query?query=rate(up%5B1m%5D)&time=600&limit=1",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
         "{\"metric\":{\"job\":\"a\"},\"value\":[600,\"0.06666666666666665\"]}]},"
         "\"warnings\":[\"results truncated due to limit\"],\"infos\":[\"PromQL info: metric might "
         "not "
         "be a counter, name does not end in _total/_sum/_count/_bucket: \\\"up\\\" (1:6)\"]}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_answer(*state, cases[i].path, 200, cases[i].body);
}

static void query_errors_are_golden(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *type, *text;
    } cases[] = {
        {"query?query=", 400, "bad_data",
         "invalid parameter \\\"query\\\": unknown position: parse error: no expression found in "
         "input"},
        {"query", 400, "bad_data",
         "invalid parameter \\\"query\\\": unknown position: parse error: no expression found in "
         "input"},
        {"query?query=1&time=x", 400, "bad_data",
         "invalid parameter \\\"time\\\": invalid time value for 'time': cannot parse \\\"x\\\" to "
         "a valid "
         "timestamp"},
        {"query?query=1&timeout=x", 400, "bad_data",
         "invalid parameter \\\"timeout\\\": cannot parse \\\"x\\\" to a valid duration"},
        {"query?query=1&limit=-1", 400, "bad_data",
         "invalid parameter \\\"limit\\\": limit must be non-negative"},
        {"query?query=1&lookback_delta=x", 400, "bad_data",
         "error parsing lookback delta duration: cannot parse \\\"x\\\" to a valid duration"},
        {"query?query=1&partial_response=maybe", 400, "bad_data",
         "invalid parameter \\\"partial_response\\\": expected true or false"},
        {"query_range?query=1&end=2&step=1", 400, "bad_data",
         "invalid parameter \\\"start\\\": cannot parse \\\"\\\" to a valid timestamp"},
        {"query_range?query=1&start=2&end=1&step=1", 400, "bad_data",
         "invalid parameter \\\"end\\\": end timestamp must not be before start time"},
        {"query_range?query=1&start=1&end=2&step=0", 400, "bad_data",
         "invalid parameter \\\"step\\\": zero or negative query resolution step widths are not "
         "accepted. "
         "Try a positive integer"},
        {"query_range?query=1&start=1&end=2&step=x", 400, "bad_data",
         "invalid parameter \\\"step\\\": cannot parse \\\"x\\\" to a valid duration"},
        {"query_range?query=1&start=0&end=11001&step=1", 400, "bad_data",
         "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
         "resolution (?step=XX)"},
        {"query_range?query=up%5B1m%5D&start=0&end=1&step=1", 400, "bad_data",
         "invalid parameter \\\"query\\\": invalid expression type \\\"range vector\\\" for range "
         "query, "
         "must be Scalar or instant Vector"},
        {"query?query=%zz", 400, "bad_data",
         "invalid parameter \\\"query\\\": unknown position: parse error: no expression found in "
         "input"},
        {"series?match%5B%5D=up&x=%zz", 400, "bad_data",
         "error parsing form values: invalid URL escape \\\"%zz\\\""},
        {"rules?type=x", 400, "bad_data",
         "invalid parameter \\\"type\\\": not supported value \\\"x\\\""},
        {"rules?exclude_alerts=x", 400, "bad_data",
         "invalid parameter \\\"exclude_alerts\\\": error converting exclude_alerts: "
         "strconv.ParseBool: parsing \\\"x\\\": invalid syntax"},
        {"rules?match%5B%5D=%7B", 400, "bad_data",
         "1:2: parse error: unexpected end of input inside braces"},
        {"rules?group_limit=x", 400, "bad_data",
         "invalid parameter \\\"group_limit\\\": group_limit needs to be a valid number: "
         "strconv.ParseInt: parsing \\\"x\\\": invalid syntax"},
        {"rules?group_limit=0", 400, "bad_data",
         "invalid parameter \\\"group_limit\\\": group_limit needs to be greater than 0"},
        {"rules?group_next_token=x", 400, "bad_data",
         "invalid parameter \\\"group_next_token\\\": group_limit needs to be present in order to "
         "paginate over the groups"},
        {"rules?group_next_token=x&group_limit=1", 400, "bad_data",
         "invalid parameter \\\"group_next_token\\\": invalid group_next_token 'x'. were rule "
         "groups "
         "changed?"},
        {"targets/metadata?limit=x", 400, "bad_data", "limit must be a number"},
        {"targets/metadata?match_target=%7B", 400, "bad_data",
         "invalid parameter \\\"match_target\\\": 1:2: parse error: unexpected end of input inside "
         "braces"},
        {"search/metric_names", 500, "unavailable", "search API disabled"},
        {"query?query=label_replace(up,%22a%22,%22%22,%22b%22,%22(%22)&time=600", 422, "execution",
         NULL},
        {"query?query=up%2Bon()up&time=600", 422, "execution", NULL},
        {"series", 400, "bad_data", "no match[] parameter provided"},
        {"series?match%5B%5D=%7B%7D", 400, "bad_data", NULL},
        {"labels?match%5B%5D=%7Ba%3D%22%22%7D", 400, "bad_data", NULL},
        {"labels?start=x", 400, "bad_data",
         "invalid parameter \\\"start\\\": invalid time value for 'start': cannot parse \\\"x\\\" "
         "to a "
         "valid timestamp"},
        {"label/%ff/values", 400, "bad_data", "invalid label name: \\\"\\\\xff\\\""},
        {"metadata?limit=x", 400, "bad_data", "limit must be a number"},
        {"metadata?limit_per_metric=x", 400, "bad_data", "limit_per_metric must be a number"},
        {"status/tsdb?limit=0", 400, "bad_data", "limit must be a positive number"},
        {"status/tsdb?limit=10001", 400, "bad_data", "limit must not exceed 10000"},
        {"query_exemplars?query=up&start=2&end=1", 400, "bad_data",
         "end timestamp must not be before start timestamp"},
        {"format_query?query=(", 400, "bad_data", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char head[128], whole[1024];
        int status = 0;
        char *body = cluster_get(*state, cases[i].path, &status);
        snprintf(head, sizeof head, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":\"",
                 cases[i].type);
        assert_memory_equal(body, head, strlen(head));
        if (cases[i].text) {
            snprintf(whole, sizeof whole, "%s%s\"}", head, cases[i].text);
            assert_string_equal(body, whole);
        }
        assert_int_equal(status, cases[i].status);
        free(body);
    }
}

static void range_of_eleven_thousand_and_one_points_is_allowed(void **state)
{
    int status = 0;
    char *body = cluster_get(*state, "query_range?query=1&start=0&end=11000&step=1", &status);
    assert_int_equal(status, 200);
    assert_non_null(strstr(body, "[11000,\"1\"]]}]}}"));
    free(body);
}

static void lists_are_merged_and_sorted(void **state)
{
    assert_answer(
        *state, "labels", 200,
        "{\"status\":\"success\",\"data\":[\"a\\u003cb\",\"own-0\",\"own-1\",\"own-2\",\"zz\"]}");
    assert_answer(*state, "label/U__a_2e_b/values?limit=2", 200,
                  "{\"status\":\"success\",\"data\":[\"a\\u003cb\",\"own-0\"],"
                  "\"warnings\":[\"results truncated due to limit\"]}");
    assert_answer(*state, "series?match[]=up&match[]=%7Bjob%3D%22b%22%7D", 200,
                  "{\"status\":\"success\",\"data\":[{\"__name__\":\"up\",\"job\":\"a\"},"
                  "{\"__name__\":\"up\",\"job\":\"b\"}]}");
    assert_answer(*state, "series?match[]=up&limit=1", 200,
                  "{\"status\":\"success\",\"data\":[{\"__name__\":\"up\",\"job\":\"a\"}],"
                  "\"warnings\":[\"results truncated due to limit\"]}");
    assert_answer(*state, "metadata", 200,
                  "{\"status\":\"success\",\"data\":{"
                  "\"up\":[{\"type\":\"gauge\",\"unit\":\"\",\"help\":\"Whether it is up.\"}],"
                  "\"x_total\":[{\"type\":\"counter\",\"unit\":\"\",\"help\":\"New text.\"},"
                  "{\"type\":\"counter\",\"unit\":\"\",\"help\":\"Old text.\"}]}}");
    assert_answer(*state, "metadata?limit=1&limit_per_metric=1", 200,
                  "{\"status\":\"success\",\"data\":{"
                  "\"up\":[{\"type\":\"gauge\",\"unit\":\"\",\"help\":\"Whether it is up.\"}]}}");
    assert_answer(
        *state, "query_exemplars?query=up", 200,
        "{\"status\":\"success\",\"data\":[{\"seriesLabels\":{\"__name__\":\"up\",\"job\":\"a\"},"
        "\"exemplars\":[{\"labels\":{\"trace_id\":\"<1>\"},\"value\":\"6.5\",\"timestamp\":1.500},"
        "{\"labels\":{\"trace_id\":\"<1>\"},\"value\":\"6.5\",\"timestamp\":2.500},"
        "{\"labels\":{\"trace_id\":\"<1>\"},\"value\":\"6.5\",\"timestamp\":3.500}]}]}");
    assert_answer(
        *state, "status/tsdb", 200,
        "{\"status\":\"success\",\"data\":{\"headStats\":{\"numSeries\":100,\"numLabelPairs\":200,"
        "\"chunkCount\":300,\"minTime\":0,\"maxTime\":9000},\"seriesCountByMetricName\":["
        "{\"name\":\"up\",\"value\":40}],\"labelValueCountByLabelName\":[],"
        "\"memoryInBytesByLabelName\":[],\"seriesCountByLabelValuePair\":[]}}");
}

static void fixed_answers_are_well_formed(void **state)
{
    static const struct {
        const char *path, *data;
    } cases[] = {
        {"rules", "{\"groups\":[]}"},
        {"alerts", "{\"alerts\":[]}"},
        {"targets", "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"},
        {"targets?state=dropped",
         "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"},
        {"targets?state=active",
         "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":null}"},
        {"status/walreplay", "{\"min\":0,\"max\":0,\"current\":0}"},
        {"targets/metadata", "[]"},
        {"alertmanagers", "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"},
        {"notifications", "[]"},
        {"scrape_pools", "{\"scrapePools\":[]}"},
        {"format_query?query=sum(up)by(a)", "\"sum by (a) (up)\""},
        {"parse_query?query=1", "{\"type\":\"numberLiteral\",\"val\":\"1\"}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char expected[256];
        snprintf(expected, sizeof expected, "{\"status\":\"success\",\"data\":%s}", cases[i].data);
        assert_answer(*state, cases[i].path, 200, expected);
    }
    static const char *const present[] = {"status/config", "status/flags", "status/runtimeinfo",
                                          "status/buildinfo", "features"};
    for (size_t i = 0; i < COUNT(present); i++) {
        int status = 0;
        char *body = cluster_get(*state, present[i], &status);
        assert_int_equal(status, 200);
        assert_non_null(strstr(body, "{\"status\":\"success\",\"data\":{\""));
        free(body);
    }
}

static void forms_and_prefix_work_like_get(void **state)
{
    int status = 0;
    char *body = cluster_post_form(*state, "query?time=9", "query=up&time=600", &status);
    assert_int_equal(status, 200);
    assert_non_null(strstr(body, "[600,\"140\"]")); /* the body's value before the URL's */
    free(body);
    body = cluster_post_form(*state, "series", "match%5B%5D=up", &status);
    assert_int_equal(status, 200);
    free(body);
    body = cluster_post_form(*state, "metadata", "", &status);
    assert_int_equal(status, 405);
    free(body);
}

static void cross_origin_requests_get_their_headers(void **state)
{
    char *answer =
        cluster_request(*state,
                        "OPTIONS /api/v1/anything HTTP/1.1\r\nHost: x\r\nOrigin: http://o\r\n"
                        "Connection: close\r\n\r\n",
                        false);
    assert_non_null(strstr(answer, "HTTP/1.1 204 "));
    assert_non_null(strstr(answer, "Access-Control-Allow-Origin: *\r\n"));
    assert_non_null(strstr(answer, "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"));
    assert_non_null(strstr(answer, "Vary: Origin\r\n"));
    free(answer);
    answer = cluster_request(
        *state, "GET /api/v1/query?query=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        false);
    assert_null(strstr(answer, "Access-Control"));
    assert_non_null(strstr(answer, "Vary: Origin\r\n"));
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    free(answer);
}

/* --- members that fail --- */

#define UP_ANSWER                                                              \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" \
    "{\"metric\":{},\"value\":[600,\"180\"]}]}}"

static void one_failing_member_changes_nothing(void **state)
{
    static const enum member_mood moods[] = {MEMBER_REFUSES, MEMBER_BREAKS, MEMBER_HANGS};
    struct cluster *c = *state;
    for (size_t i = 0; i < COUNT(moods); i++) {
        int64_t begun = now_ms();
        cluster_set_moods(c, MEMBER_ANSWERS, moods[i], MEMBER_ANSWERS);
        assert_answer(c, "query?query=sum(up)&time=600", 200, UP_ANSWER);
        assert_true(now_ms() - begun < 5000);
    }
    assert_true(atomic_load(&c->members[1].canceled) > 0);
}

static void two_failing_members_are_503(void **state)
{
    struct cluster *c = *state;
    int status = 0;
    cluster_set_moods(c, MEMBER_REFUSES, MEMBER_ANSWERS, MEMBER_REFUSES);
    char *body = cluster_get(c, "query?query=sum(up)&time=600", &status);
    assert_int_equal(status, 503);
    assert_non_null(strstr(body,
                           "\"errorType\":\"unavailable\",\"error\":\"incomplete result: 64 of 64 "
                           "partitions have fewer than 2 answers of their owners"));
    assert_non_null(strstr(body, "not today"));
    free(body);
    body = cluster_get(c, "labels", &status);
    assert_int_equal(status, 503);
    free(body);
}

static void two_failing_members_are_a_warning_where_partial_is_allowed(void **state)
{
    struct cluster *c = *state;
    int status = 0;
    cluster_set_moods(c, MEMBER_REFUSES, MEMBER_ANSWERS, MEMBER_REFUSES);
    char *body = cluster_get(c, "query?query=sum(up)&time=600&partial_response=true", &status);
    assert_int_equal(status, 200);
    assert_non_null(strstr(body, "[600,\"180\"]"));
    assert_non_null(strstr(body, "\"warnings\":[\"partial response: 64 of 64 partitions"));
    free(body);
}

static void limits_of_a_member_are_the_querys(void **state)
{
    struct cluster *c = *state;
    cluster_set_moods(c, MEMBER_ANSWERS, MEMBER_LIMITS, MEMBER_ANSWERS);
    assert_answer(
        c, "query?query=sum(up)&time=600", 422,
        "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"too much asked\"}");
}

static void damaged_answers_are_500(void **state)
{
    struct cluster *c = *state;
    int status = 0;
    cluster_set_moods(c, MEMBER_ANSWERS, MEMBER_LIES, MEMBER_ANSWERS);
    char *body = cluster_get(c, "query?query=sum(up)&time=600", &status);
    assert_int_equal(status, 500);
    assert_non_null(strstr(body, "\"errorType\":\"internal\""));
    free(body);
}

static void hanging_members_end_in_a_timeout(void **state)
{
    struct cluster *c = *state;
    int64_t begun = now_ms();
    cluster_set_moods(c, MEMBER_HANGS, MEMBER_HANGS, MEMBER_HANGS);
    int status = 0;
    char *body = cluster_get(c, "query?query=sum(up)&time=600&timeout=200ms", &status);
    assert_int_equal(status, 503);
    assert_non_null(strstr(body, "\"errorType\":\"timeout\",\"error\":\"query timed out in "
                                 "expression evaluation: 64 of 64 partitions"));
    for (int i = 0; i < 3; i++) { /* who was waited for */
        char name[16];
        (void)snprintf(name, sizeof name, "m%d: ", i);
        assert_non_null(strstr(body, name));
    }
    free(body);
    assert_true(now_ms() - begun < 5000);
}

static void wait_for(atomic_int *value, int at_least)
{
    for (int i = 0; i < 5000 && atomic_load(value) < at_least; i++)
        usleep(1000);
    assert_true(atomic_load(value) >= at_least);
}

static void gone_client_cancels_the_fetch(void **state)
{
    struct cluster *c = *state;
    cluster_set_moods(c, MEMBER_HANGS, MEMBER_HANGS, MEMBER_HANGS);
    int asked = atomic_load(&c->members[0].asked), canceled = atomic_load(&c->members[0].canceled);
    int fd = cluster_open(c, "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&c->members[0].asked, asked + 1);
    close(fd);
    int64_t begun = now_ms();
    wait_for(&c->members[0].canceled, canceled + 1);
    assert_true(now_ms() - begun < 1000);
}

static double metric(struct cluster *c, const char *name)
{
    struct nx_buf text;
    nx_buf_init(&text, 1 << 20);
    nx_buf_append_char(&text, '\n');
    nx_telemetry_expose(c->telemetry, &text);
    nx_buf_append_char(&text, '\0');
    char line[128];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text.data, line);
    assert_non_null(at);
    double value = strtod(at + strlen(line), NULL);
    nx_buf_release(&text);
    return value;
}

static bool wait_for_metric(struct cluster *c, const char *name, double value)
{
    for (int i = 0; i < 5000; i++, usleep(1000))
        if (metric(c, name) == value)
            return true;
    return false;
}

/* Some minutes of work, of which the client does not want the end. */
static void gone_client_cancels_the_evaluation(void **state)
{
    struct cluster *c = *state;
    int fd = cluster_open(
        c, "GET /api/v1/query_range?query=max_over_time(sum(big)%5B600s:20ms%5D)&start="
           "0&end=600&step=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(wait_for_metric(c, "narthex_query_in_flight", 1));
    usleep(20000);
    assert_true(metric(c, "narthex_query_in_flight") == 1);
    int64_t begun = now_ms();
    close(fd);
    assert_true(wait_for_metric(c, "narthex_query_in_flight", 0));
    assert_true(now_ms() - begun < 1500);
    if (now_ms() - begun > 100)
        print_message("the evaluation ended %lld ms after its client\n",
                      (long long)(now_ms() - begun));
}

/* --- size --- */

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0, size = strlen(what);
    const char *end = text + strlen(text);
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), what, size)) != NULL; at++)
        count++;
    return count;
}

/* 300 series of 601 points, some 5 MB, to a client that reads slowly: in pieces, and whole. */
static void large_result_is_streamed_whole(void **state)
{
    char *answer =
        cluster_request(*state,
                        "GET /api/v1/query_range?query=big&start=0&end=600&step=1 HTTP/1.1\r\n"
                        "Host: x\r\nConnection: close\r\n\r\n",
                        true);
    assert_non_null(strstr(answer, "Transfer-Encoding: chunked\r\n"));
    assert_int_equal(strcmp(answer + strlen(answer) - 5, "0\r\n\r\n"), 0);
    assert_true(occurrences(answer, "\"__name__\":\"big\"") >=
                290); /* a few are cut by chunk lines */
    free(answer);
    int status = 0;
    char *body = cluster_get(*state, "query_range?query=big&start=0&end=600&step=1", &status);
    assert_int_equal(occurrences(body, "\"__name__\":\"big\""), 300);
    assert_int_equal(occurrences(body, "],["), 300 * 600);
    assert_string_equal(body + strlen(body) - 7, "\"]]}]}}");
    free(body);
}

static void client_that_stops_reading_holds_nothing_up(void **state)
{
    struct cluster *c = *state;
    int fds[8];
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] =
            cluster_open(c, "GET /api/v1/query_range?query=big&start=0&end=600&step=1 HTTP/1.1\r\n"
                            "Host: x\r\n\r\n");
    assert_answer(c, "query?query=sum(up)&time=600", 200, UP_ANSWER);
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i]);
}

static int setup_small(void **state)
{
    static struct cluster c;
    cluster_init(&c);
    c.settings.max_fetched_bytes = 20000;
    c.settings.concurrency = 1;
    c.settings.max_query_bytes = 100;
    c.settings.multitenancy = true;
    cluster_start(&c);
    *state = &c;
    return 0;
}

static char *get_as(struct cluster *c, const char *tenant, const char *path)
{
    char request[1024];
    snprintf(request, sizeof request,
             "GET /api/v1/%s HTTP/1.1\r\nHost: x\r\n%s%s%sConnection: close\r\n\r\n", path,
             tenant ? "X-Scope-OrgID: " : "", tenant ? tenant : "", tenant ? "\r\n" : "");
    return cluster_request(c, request, false);
}

static void limits_of_the_querier_are_named(void **state)
{
    struct cluster *c = *state;
    char *answer = get_as(c, "t", "query?query=big");
    assert_non_null(strstr(answer, "HTTP/1.1 422 "));
    assert_non_null(strstr(answer, "(query.max-fetched-bytes)"));
    free(answer);
    answer = get_as(
        c, "t",
        "query?query=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_non_null(strstr(answer, "(query.max-query-bytes)"));
    free(answer);
    answer = get_as(c, NULL, "query?query=1");
    assert_non_null(strstr(answer, "HTTP/1.1 401 "));
    free(answer);
    answer = get_as(c, NULL, "status/config"); /* nobody's data */
    assert_non_null(strstr(answer, "HTTP/1.1 200 "));
    free(answer);
    answer = get_as(c, "t", "query?query=1&time=1");
    assert_non_null(strstr(answer, "[1,\"1\"]"));
    free(answer);
}

static int setup_tight(void **state)
{
    static struct cluster c;
    cluster_init(&c);
    c.settings.max_inflight_bytes = 20000;
    c.settings.cors_origin = "https?://good[.]example";
    cluster_start(&c);
    *state = &c;
    return 0;
}

/* The budget of all queries is given back: what fits goes on being answered. */
static void fetch_budget_of_the_process_is_kept(void **state)
{
    struct cluster *c = *state;
    for (int i = 0; i < 20; i++) {
        int status = 0;
        char *body = cluster_get(c, "query?query=big", &status);
        assert_int_equal(status, 503);
        assert_non_null(strstr(body, "(query.max-inflight-bytes)"));
        free(body);
        assert_answer(c, "query?query=sum(up)&time=600", 200, UP_ANSWER);
    }
}

static void other_origins_are_not_allowed(void **state)
{
    static const char *const origins[] = {"http://good.example", "http://evil.example",
                                          "http://good.example.evil"};
    for (size_t i = 0; i < COUNT(origins); i++) {
        char request[256], header[128];
        snprintf(request, sizeof request,
                 "GET /api/v1/rules HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nConnection: close\r\n\r\n",
                 origins[i]);
        snprintf(header, sizeof header, "Access-Control-Allow-Origin: %s\r\n", origins[i]);
        char *answer = cluster_request(*state, request, false);
        assert_int_equal(strstr(answer, header) != NULL, i == 0);
        free(answer);
    }
}

/* More than sixteen queries on one thread: the rest is refused at once, and nothing is left behind.
 */
static void too_many_queries_are_refused(void **state)
{
    struct cluster *c = *state;
    int fds[16];
    cluster_set_moods(c, MEMBER_HANGS, MEMBER_HANGS, MEMBER_HANGS);
    int asked = atomic_load(&c->members[0].asked), canceled = atomic_load(&c->members[0].canceled);
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = cluster_open(
            c, "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: t\r\n\r\n");
    wait_for(&c->members[0].asked, asked + 16);
    char *answer = get_as(c, "t", "query?query=up");
    assert_non_null(strstr(answer, "HTTP/1.1 503 "));
    assert_non_null(strstr(answer, "too many queries in flight"));
    free(answer);
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i]);
    wait_for(&c->members[0].canceled, canceled + 16);
    cluster_set_moods(c, MEMBER_ANSWERS, MEMBER_ANSWERS, MEMBER_ANSWERS);
    for (int i = 0; i < 1000; i++) {
        answer = get_as(c, "t", "query?query=sum(up)&time=600");
        bool ok = strstr(answer, "[600,\"180\"]") != NULL;
        free(answer);
        if (ok)
            return;
        usleep(1000);
    }
    fail();
}

/* The teardown of this one stops a querier with queries in flight. */
static void stop_with_queries_in_flight_is_clean(void **state)
{
    struct cluster *c = *state;
    cluster_set_moods(c, MEMBER_HANGS, MEMBER_HANGS, MEMBER_HANGS);
    int asked = atomic_load(&c->members[2].asked);
    for (int i = 0; i < 5; i++)
        (void)cluster_open(c, "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&c->members[2].asked, asked + 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TIGHT(name) cmocka_unit_test_setup_teardown(name, setup_tight, teardown)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(query_answers_are_golden),
        TEST(query_errors_are_golden),
        TEST(range_of_eleven_thousand_and_one_points_is_allowed),
        TEST(lists_are_merged_and_sorted),
        TEST(fixed_answers_are_well_formed),
        TEST(forms_and_prefix_work_like_get),
        TEST(cross_origin_requests_get_their_headers),
        TEST(one_failing_member_changes_nothing),
        TEST(two_failing_members_are_503),
        TEST(two_failing_members_are_a_warning_where_partial_is_allowed),
        TEST(limits_of_a_member_are_the_querys),
        TEST(damaged_answers_are_500),
        TEST(hanging_members_end_in_a_timeout),
        TEST(gone_client_cancels_the_fetch),
        TEST(gone_client_cancels_the_evaluation),
        TEST(large_result_is_streamed_whole),
        TEST(client_that_stops_reading_holds_nothing_up),
        SMALL(limits_of_the_querier_are_named),
        SMALL(too_many_queries_are_refused),
        TIGHT(fetch_budget_of_the_process_is_kept),
        TIGHT(other_origins_are_not_allowed),
        TEST(stop_with_queries_in_flight_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
