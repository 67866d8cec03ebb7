/* The node given with --address tells the cluster and where NODE is; NODE itself is then asked over
 * RPC. A drain is followed to its end, unless it is not to be waited for: the node moves its
 * partitions whether somebody looks or not. */
#include "cmd/ctl_member.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cluster_map.h"
#include "cmd/rpc_caller.h"
#include "common/base/alloc.h"
#include "common/ring/ring.h"
#include "proto/internal.pb-c.h"

#define PROGRAM "narthex ctl"
#define CALL_TIMEOUT_MS 10000
#define LOOK_EVERY_US 1000000
#define FAILURES_MAX 30 /* looks in a row that may fail while a drain is followed */

const char cmd_ctl_member_usage[] =
    "narthex ctl drain NODE            moves all partitions of NODE to others, then it may be "
    "stopped\n"
    "                                  (--no-wait: does not follow it; --cancel: NODE stays)\n"
    "narthex ctl readonly NODE on|off  no new writes to NODE; it is still read\n"
    "narthex ctl forget NODE           takes a member that LEFT, or is gone for good, off the list "
    "(etcd)\n";

struct request {
    const char *address;
    const char *command;
    const char *node;
    const char *value; /* of readonly; "" */
    bool json;
    bool no_wait;
    bool cancel;
};

struct member {
    struct cmd_cluster_map map;
    struct cmd_rpc_caller *caller;
    const char *address;
};

bool cmd_ctl_is_member_command(const char *command)
{
    return strcmp(command, "drain") == 0 || strcmp(command, "readonly") == 0 ||
           strcmp(command, "forget") == 0;
}

/* --- a call --- */

static enum nx_err pack(const char *node, Narthex__MemberAction action, struct nx_buf *out)
{
    Narthex__MemberRequest request = NARTHEX__MEMBER_REQUEST__INIT;
    request.name = (char *)(uintptr_t)node;
    request.action = action;
    nx_buf_init(out, 4096);
    enum nx_err err = nx_buf_reserve(out, narthex__member_request__get_packed_size(&request));
    if (err == NX_OK)
        out->len = narthex__member_request__pack(&request, (uint8_t *)out->data);
    return err;
}

/* The answer is to be freed. NULL: the reason is in `text`. */
static Narthex__MemberResponse *ask(struct member *member, const char *node,
                                    Narthex__MemberAction action, char *text, size_t text_size)
{
    struct cmd_rpc_call call = {.address = member->address, .method = "member"};
    Narthex__MemberResponse *answer = NULL;
    nx_buf_init(&call.reply, 4096);
    if (pack(node, action, &call.body) != NX_OK) {
        nx_buf_release(&call.body);
        (void)snprintf(text, text_size, "%s", nx_err_text(NX_ERR_NOMEM));
        return NULL;
    }
    cmd_rpc_caller_run(member->caller, &call, 1, CALL_TIMEOUT_MS);
    if (call.err != NX_OK)
        (void)snprintf(text, text_size, "%s", call.text);
    else
        answer = narthex__member_response__unpack(NULL, call.reply.len,
                                                  (const uint8_t *)call.reply.data);
    if (call.err == NX_OK && !answer)
        (void)snprintf(text, text_size, "the answer makes no sense");
    nx_buf_release(&call.reply);
    return answer;
}

static void print(const struct request *request, const Narthex__MemberResponse *answer)
{
    const char *state = nx_member_state_text((enum nx_member_state)answer->state);
    if (request->json)
        (void)printf("{\"name\":\"%s\",\"state\":\"%s\",\"partitions\":%" PRIu32
                     ",\"moved\":%" PRIu32 "}\n",
                     request->node, state, answer->partitions, answer->moved);
    else if (answer->state == NX_MEMBER_LEAVING)
        (void)printf("%s  %s  %" PRIu32 " of %" PRIu32 " partitions moved\n", request->node, state,
                     answer->moved, answer->partitions);
    else
        (void)printf("%s  %s\n", request->node, state);
    (void)fflush(stdout);
}

static int complain(const struct request *request, const char *text)
{
    (void)fprintf(stderr, PROGRAM ": %s: %s\n", request->node, text);
    return 1;
}

/* --- the commands --- */

static int follow(const struct request *request, struct member *member)
{
    char text[512] = "";
    uint32_t shown = UINT32_MAX;
    for (unsigned failures = 0; failures < FAILURES_MAX;) {
        (void)usleep(LOOK_EVERY_US);
        Narthex__MemberResponse *answer =
            ask(member, request->node, NARTHEX__MEMBER_ACTION__MEMBER_ASK, text, sizeof text);
        if (!answer) {
            failures++;
            continue;
        }
        failures = 0;
        uint32_t state = answer->state;
        if (state != NX_MEMBER_LEAVING || answer->moved != shown)
            print(request, answer);
        shown = answer->moved;
        narthex__member_response__free_unpacked(answer, NULL);
        if (state == NX_MEMBER_LEFT)
            return 0;
        if (state != NX_MEMBER_LEAVING)
            return complain(request, "it does not leave any more");
    }
    return complain(request, text);
}

static Narthex__MemberAction action_of(const struct request *request)
{
    if (strcmp(request->command, "readonly") == 0 && strcmp(request->value, "on") == 0)
        return NARTHEX__MEMBER_ACTION__MEMBER_READONLY;
    bool back = request->cancel || strcmp(request->command, "readonly") == 0;
    return back ? NARTHEX__MEMBER_ACTION__MEMBER_RETURN : NARTHEX__MEMBER_ACTION__MEMBER_DRAIN;
}

static int act(const struct request *request, struct member *member)
{
    char text[512] = "";
    Narthex__MemberAction action = action_of(request);
    Narthex__MemberResponse *answer = ask(member, request->node, action, text, sizeof text);
    if (!answer)
        return complain(request, text);
    bool leaves = answer->state == NX_MEMBER_LEAVING;
    print(request, answer);
    narthex__member_response__free_unpacked(answer, NULL);
    return leaves && !request->no_wait ? follow(request, member) : 0;
}

static int forget(const struct request *request, struct member *member)
{
    Narthex__ForgetRequest message = NARTHEX__FORGET_REQUEST__INIT;
    struct cmd_rpc_call call = {.address = request->address, .method = "forget"};
    message.name = (char *)(uintptr_t)request->node;
    nx_buf_init(&call.body, 4096);
    nx_buf_init(&call.reply, 4096);
    enum nx_err err =
        nx_buf_reserve(&call.body, narthex__forget_request__get_packed_size(&message));
    if (err == NX_OK)
        err = cmd_rpc_caller_open(member->map.cluster, &member->caller);
    if (err != NX_OK) {
        nx_buf_release(&call.body);
        return complain(request, nx_err_text(err));
    }
    call.body.len = narthex__forget_request__pack(&message, (uint8_t *)call.body.data);
    cmd_rpc_caller_run(member->caller, &call, 1, CALL_TIMEOUT_MS);
    cmd_rpc_caller_close(member->caller);
    nx_buf_release(&call.reply);
    if (call.err != NX_OK)
        return complain(request, call.text);
    (void)printf(request->json ? "{\"forgotten\":\"%s\"}\n" : "%s  forgotten\n", request->node);
    return 0;
}

static int run(const struct request *request)
{
    struct member member = {.address = NULL};
    struct nx_fail fail = {.code = NX_OK};
    if (cmd_cluster_map_fetch(PROGRAM, request->address, &member.map, &fail) != NX_OK) {
        (void)fprintf(stderr, PROGRAM ": %s\n", nx_fail_text(&fail));
        return 1;
    }
    size_t at = nx_roster_find(member.map.roster, request->node);
    int status = 1;
    if (at == SIZE_MAX) {
        (void)complain(request, "there is no member of that name");
    } else if (strcmp(request->command, "forget") == 0) {
        status = forget(request, &member);
    } else if (cmd_rpc_caller_open(member.map.cluster, &member.caller) == NX_OK) {
        member.address = member.map.roster->members[at].address;
        status = act(request, &member);
        cmd_rpc_caller_close(member.caller);
    } else {
        (void)complain(request, nx_err_text(NX_ERR_NOMEM));
    }
    cmd_cluster_map_release(&member.map);
    return status;
}

static bool read_arguments(int argc, char **argv, struct request *request)
{
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--address=", 10) == 0)
            request->address = argv[i] + 10;
        else if (strcmp(argv[i], "--address") == 0 && i + 1 < argc)
            request->address = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            request->json = true;
        else if (strcmp(argv[i], "--no-wait") == 0)
            request->no_wait = true;
        else if (strcmp(argv[i], "--cancel") == 0)
            request->cancel = true;
        else if (argv[i][0] != '-' && !request->command)
            request->command = argv[i];
        else if (argv[i][0] != '-' && !request->node)
            request->node = argv[i];
        else if (argv[i][0] != '-' && !*request->value)
            request->value = argv[i];
        else
            return false;
    }
    bool readonly = request->command && strcmp(request->command, "readonly") == 0;
    bool drain = request->command && strcmp(request->command, "drain") == 0;
    bool value =
        request->value && (strcmp(request->value, "on") == 0 || strcmp(request->value, "off") == 0);
    return request->node && (readonly ? value : !*request->value) &&
           (drain || (!request->no_wait && !request->cancel));
}

int cmd_ctl_member(int argc, char **argv)
{
    struct request request = {.address = "127.0.0.1:9900", .value = ""};
    if (!read_arguments(argc, argv, &request)) {
        (void)fputs(cmd_ctl_member_usage, stderr);
        return 2;
    }
    return run(&request);
}
