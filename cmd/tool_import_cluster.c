/* Blocks for a running cluster. Each owner of a partition gets its series: a piece becomes a block
 * for each member, made here, sent file by file and acknowledged when it is on that member's disk.
 * Where every member owns everything (no more members than copies), one block serves all.
 *
 * A piece is in when every partition of which it has series was acknowledged by a majority of its
 * owners, as for a write; a member that misses its block then only gives rise to a warning. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cluster_map.h"
#include "cmd/rpc_caller.h"
#include "cmd/tool_import.h"
#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/ring/placement.h"
#include "ingester/block/block_writer.h"
#include "proto/internal.pb-c.h"

#define PIECE_BYTES ((size_t)4 << 20)
#define CALL_TIMEOUT_MS 60000
#define FINISH_TIMEOUT_MS 600000
#define TRIES 3
#define PAUSE_US 1000000

/* A block in the making, for one member or for all. */
struct out_block {
    struct ing_block_writer *writer;
    uint64_t series;
};

struct member {
    const char *name;
    const char *address;
    struct out_block *block; /* that it gets */
    bool has;                /* the block of the open piece */
    bool refused;            /* it will not take the open piece, however often it is asked */
    bool failing;            /* its last piece did not arrive */
    uint64_t missed;
    char reason[512];
};

struct cluster_target {
    struct cmd_import_target base;
    const struct nx_fs *fs;
    struct nx_view tenant;
    char *tenant_text;
    struct cmd_cluster_map map;
    struct cmd_rpc_caller *caller;
    char *work_dir; /* made by us */
    struct nx_buf place;
    struct nx_buf warning;
    struct member *members;
    size_t member_count;
    struct out_block *blocks; /* one a member, or one */
    size_t block_count;
    bool *touched; /* partitions of which the piece has series */
    char name[ING_TSDB_PIECE_NAME_MAX];
    int64_t max_t;
};

static struct nx_view cluster_place(const struct cmd_import_target *base)
{
    return nx_buf_view(&((const struct cluster_target *)base)->place);
}

/* --- calls --- */

struct step {
    Narthex__ImportStep step;
    const char *file;
    uint64_t offset;
    struct nx_view data;
    uint64_t timeout_ms;
};

static void put_request(const struct cluster_target *target, const struct step *step,
                        struct nx_buf *body)
{
    Narthex__ImportRequest request = NARTHEX__IMPORT_REQUEST__INIT;
    request.tenant = target->tenant_text;
    request.name = (char *)(uintptr_t)target->name;
    request.step = step->step;
    request.max_t = target->max_t;
    request.file = (char *)(uintptr_t)(step->file ? step->file : "");
    request.offset = step->offset;
    request.data =
        (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)step->data.ptr, .len = step->data.len};
    size_t size = narthex__import_request__get_packed_size(&request);
    nx_buf_init(body, SIZE_MAX / 4);
    if (nx_buf_reserve(body, size) == NX_OK)
        body->len += narthex__import_request__pack(&request, (uint8_t *)body->data);
}

static enum nx_err take_reply(struct cmd_rpc_call *call, bool *present)
{
    if (call->err != NX_OK)
        return call->err;
    Narthex__ImportResponse *response =
        narthex__import_response__unpack(NULL, call->reply.len, (const uint8_t *)call->reply.data);
    if (!response)
        return NX_ERR_CORRUPT;
    *present = response->present;
    narthex__import_response__free_unpacked(response, NULL);
    return NX_OK;
}

/* Whether the same call may succeed a little later. */
static bool is_passing(enum nx_err err)
{
    return err == NX_ERR_UNAVAILABLE || err == NX_ERR_TIMEOUT || err == NX_ERR_OVERLOADED ||
           err == NX_ERR_CLOSED || err == NX_ERR_NOMEM || err == NX_ERR_INVALID;
}

/* The step for each member in `wanted`; what fails is taken out of it, with its reason. */
static enum nx_err call_members(struct cluster_target *target, const struct step *step,
                                bool *wanted)
{
    struct cmd_rpc_call *calls = nx_calloc(target->member_count, sizeof *calls);
    size_t *whose = nx_calloc(target->member_count, sizeof *whose);
    enum nx_err err = calls && whose ? NX_OK : NX_ERR_NOMEM;
    size_t count = 0;
    for (size_t i = 0; i < target->member_count && err == NX_OK; i++) {
        if (!wanted[i])
            continue;
        calls[count].address = target->members[i].address;
        calls[count].method = "import";
        put_request(target, step, &calls[count].body);
        whose[count++] = i;
    }
    if (err == NX_OK)
        cmd_rpc_caller_run(target->caller, calls, count, step->timeout_ms);
    for (size_t k = 0; k < count; k++) {
        struct member *member = &target->members[whose[k]];
        bool present = false;
        enum nx_err outcome = take_reply(&calls[k], &present);
        if (outcome != NX_OK) {
            wanted[whose[k]] = false;
            member->refused = !is_passing(outcome);
            (void)snprintf(member->reason, sizeof member->reason, "%s",
                           *calls[k].text ? calls[k].text : nx_err_text(outcome));
        } else if (present || step->step == NARTHEX__IMPORT_STEP__IMPORT_FINISH) {
            wanted[whose[k]] = false;
            member->has = true;
        }
        nx_buf_release(&calls[k].reply);
    }
    nx_free(calls);
    nx_free(whose);
    return err;
}

/* --- beginning a piece --- */

static enum nx_err open_writers(struct cluster_target *target, const struct ing_tsdb_piece *piece)
{
    struct ing_block_meta meta = {.tenant = target->tenant,
                                  .min_t = piece->min_t,
                                  .max_t = piece->max_t,
                                  .created_ms = nx_now_ms(nx_clock_system())};
    for (size_t i = 0; i < target->block_count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "block-%zu", i);
        target->blocks[i].series = 0;
        enum nx_err err = ing_block_writer_new(target->fs, target->work_dir, name, &meta,
                                               &target->blocks[i].writer);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static void close_writers(struct cluster_target *target)
{
    for (size_t i = 0; target->blocks && i < target->block_count; i++) {
        ing_block_writer_free(target->blocks[i].writer);
        target->blocks[i].writer = NULL;
    }
}

static enum nx_err cluster_begin(struct cmd_import_target *base, const struct ing_tsdb_piece *piece,
                                 const char *name, bool *wanted, struct nx_fail *fail)
{
    struct cluster_target *target = (struct cluster_target *)base;
    struct step ask = {.step = NARTHEX__IMPORT_STEP__IMPORT_ASK, .timeout_ms = CALL_TIMEOUT_MS};
    bool *asked = nx_calloc(target->member_count, sizeof *asked);
    (void)snprintf(target->name, sizeof target->name, "%s", name);
    target->max_t = piece->max_t;
    memset(target->touched, 0, target->map.partitions * sizeof *target->touched);
    for (size_t i = 0; asked && i < target->member_count; i++) {
        asked[i] = true;
        target->members[i].has = target->members[i].refused = false;
    }
    enum nx_err err = asked ? call_members(target, &ask, asked) : NX_ERR_NOMEM;
    nx_free(asked);
    *wanted = false;
    for (size_t i = 0; i < target->member_count; i++)
        *wanted = *wanted || !target->members[i].has;
    if (err == NX_OK && *wanted)
        err = open_writers(target, piece);
    return err == NX_OK ? err
                        : nx_fail_set(fail, err, "%s: %s", target->work_dir, nx_err_text(err));
}

static enum nx_err cluster_take(void *user, struct nx_series_id id, struct nx_labels labels,
                                const struct nx_chunk *chunks, size_t count)
{
    struct cluster_target *target = user;
    uint32_t partition = nx_series_id_partition(id, target->map.partitions);
    const uint16_t *owners = target->map.placement->owners + (size_t)partition * target->map.rf;
    target->touched[partition] = true;
    for (uint32_t i = 0; i < target->map.rf && owners[i] != NX_PLACEMENT_NONE; i++) {
        struct out_block *block = target->members[owners[i]].block;
        enum nx_err err = ing_block_writer_add(block->writer, id, labels, chunks, count);
        if (err != NX_OK)
            return err;
        block->series++;
        if (target->block_count == 1)
            break; /* it is the block of all owners */
    }
    return NX_OK;
}

/* --- sending --- */

static enum nx_err send_file(struct cluster_target *target, const char *dir, const char *file,
                             bool *wanted)
{
    struct nx_view bytes;
    char *path = nx_path_join(dir, file);
    enum nx_err err = path ? nx_file_map(path, &bytes) : NX_ERR_NOMEM;
    nx_free(path);
    if (err != NX_OK)
        return err;
    for (size_t at = 0; at < bytes.len && err == NX_OK; at += PIECE_BYTES) {
        size_t len = bytes.len - at < PIECE_BYTES ? bytes.len - at : PIECE_BYTES;
        struct step put = {.step = NARTHEX__IMPORT_STEP__IMPORT_PUT,
                           .file = file,
                           .offset = at,
                           .data = nx_view_make(bytes.ptr + at, len),
                           .timeout_ms = CALL_TIMEOUT_MS};
        err = call_members(target, &put, wanted);
    }
    nx_file_unmap(bytes);
    return err;
}

/* To all that are wanted; who fails on the way is left behind. */
static enum nx_err send_block(struct cluster_target *target, const char *dir, bool *wanted)
{
    struct step begin = {.step = NARTHEX__IMPORT_STEP__IMPORT_BEGIN, .timeout_ms = CALL_TIMEOUT_MS};
    struct step finish = {.step = NARTHEX__IMPORT_STEP__IMPORT_FINISH,
                          .timeout_ms = FINISH_TIMEOUT_MS};
    char **files;
    size_t count;
    enum nx_err err = nx_dir_list(dir, &files, &count);
    if (err != NX_OK)
        return err;
    err = call_members(target, &begin, wanted);
    for (size_t i = 0; i < count && err == NX_OK; i++)
        err = send_file(target, dir, files[i], wanted);
    if (err == NX_OK)
        err = call_members(target, &finish, wanted);
    nx_dir_free(files, count);
    return err;
}

static bool choose(const struct cluster_target *target, const struct out_block *block, bool *wanted)
{
    bool any = false;
    for (size_t i = 0; i < target->member_count; i++) {
        const struct member *member = &target->members[i];
        wanted[i] = member->block == block && !member->has && !member->refused;
        any = any || wanted[i];
    }
    return any;
}

static bool all_failing(const struct cluster_target *target, const bool *wanted)
{
    for (size_t i = 0; i < target->member_count; i++)
        if (wanted[i] && !target->members[i].failing)
            return false;
    return true;
}

static enum nx_err deliver(struct cluster_target *target, struct out_block *block, bool *wanted)
{
    enum nx_err err = NX_OK;
    for (int i = 0; i < TRIES && err == NX_OK && choose(target, block, wanted); i++) {
        if (i > 0 && all_failing(target, wanted))
            break; /* it failed for the piece before: one try for this one */
        if (i > 0)
            (void)usleep((useconds_t)PAUSE_US << (unsigned)(i - 1));
        err = send_block(target, ing_block_writer_path(block->writer), wanted);
    }
    return err;
}

/* Whether each partition that the piece touches has its majority; counts who missed the piece. */
static enum nx_err judge(struct cluster_target *target, struct nx_fail *fail)
{
    const char *reason = "";
    uint32_t lacking = 0;
    for (size_t i = 0; i < target->member_count; i++) {
        struct member *member = &target->members[i];
        bool got = member->has || member->block->series == 0;
        member->failing = !got;
        member->missed += !got;
        if (!got)
            reason = member->reason;
    }
    for (uint32_t p = 0; p < target->map.partitions; p++) {
        const uint16_t *owners = target->map.placement->owners + (size_t)p * target->map.rf;
        uint32_t acknowledged = 0;
        for (uint32_t i = 0; i < target->map.rf; i++)
            acknowledged += owners[i] != NX_PLACEMENT_NONE && target->members[owners[i]].has;
        lacking += target->touched[p] && acknowledged < target->map.write_quorum;
    }
    if (lacking == 0)
        return NX_OK;
    return nx_fail_set(fail, NX_ERR_UNAVAILABLE,
                       "%" PRIu32 " partitions were not taken by a majority of their owners: %s",
                       lacking, reason);
}

static enum nx_err cluster_finish(struct cmd_import_target *base, struct nx_fail *fail)
{
    struct cluster_target *target = (struct cluster_target *)base;
    bool *wanted = nx_calloc(target->member_count, sizeof *wanted);
    enum nx_err err = wanted ? NX_OK : NX_ERR_NOMEM;
    for (size_t i = 0; i < target->block_count && err == NX_OK; i++) {
        struct out_block *block = &target->blocks[i];
        if (block->series == 0)
            continue;
        err = ing_block_writer_finish(block->writer);
        if (err == NX_OK)
            err = deliver(target, block, wanted);
        (void)target->fs->rmdir(target->fs, ing_block_writer_path(block->writer));
    }
    nx_free(wanted);
    close_writers(target);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "%s: %s", target->work_dir, nx_err_text(err));
    return judge(target, fail);
}

static const char *cluster_warning(const struct cmd_import_target *base)
{
    struct cluster_target *target = (struct cluster_target *)(uintptr_t)base;
    nx_buf_clear(&target->warning);
    for (size_t i = 0; i < target->member_count; i++) {
        const struct member *member = &target->members[i];
        if (member->missed > 0)
            nx_buf_printf(&target->warning, "%s%s misses %" PRIu64 " blocks (%s)",
                          target->warning.len ? "; " : "", member->name, member->missed,
                          member->reason);
    }
    if (target->warning.len > 0)
        nx_buf_append_str(&target->warning, "; the same import, once more, gives it what it lacks");
    nx_buf_append_char(&target->warning, '\0');
    return nx_buf_err(&target->warning) == NX_OK ? target->warning.data : "";
}

/* --- opening --- */

static void cluster_close(struct cmd_import_target *base)
{
    struct cluster_target *target = (struct cluster_target *)base;
    close_writers(target);
    cmd_rpc_caller_close(target->caller);
    cmd_cluster_map_release(&target->map);
    if (target->work_dir)
        (void)target->fs->rmdir(target->fs, target->work_dir);
    nx_buf_release(&target->place);
    nx_buf_release(&target->warning);
    nx_free(target->tenant_text);
    nx_free(target->work_dir);
    nx_free(target->members);
    nx_free(target->blocks);
    nx_free(target->touched);
    nx_free(target);
}

static enum nx_err make_work_dir(struct cluster_target *target, const char *parent,
                                 struct nx_fail *fail)
{
    const char *system = getenv("TMPDIR");
    if (!parent)
        parent = system && *system ? system : "/tmp";
    target->work_dir = nx_path_join(parent, "narthex-import-XXXXXX");
    if (!target->work_dir)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    if (mkdtemp(target->work_dir))
        return NX_OK;
    nx_free(target->work_dir);
    target->work_dir = NULL;
    return nx_fail_set(fail, NX_ERR_IO, "%s: no directory can be made there", parent);
}

/* Placement follows from all of this: another cluster, or the same one with another member, gets
 * blocks of other names. */
static void name_place(struct cluster_target *target)
{
    const struct nx_roster *roster = target->map.roster;
    nx_buf_append_str(&target->place, target->map.cluster);
    for (size_t i = 0; i < roster->count; i++)
        nx_buf_printf(&target->place, ",%s/%s", roster->members[i].name, roster->members[i].zone);
}

static enum nx_err make_members(struct cluster_target *target)
{
    const struct nx_roster *roster = target->map.roster;
    target->member_count = roster->count;
    target->block_count = roster->count <= target->map.rf ? 1 : roster->count;
    target->members = nx_calloc(target->member_count, sizeof *target->members);
    target->blocks = nx_calloc(target->block_count, sizeof *target->blocks);
    target->touched = nx_calloc(target->map.partitions, sizeof *target->touched);
    if (!target->members || !target->blocks || !target->touched)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < roster->count; i++)
        target->members[i] =
            (struct member){.name = roster->members[i].name,
                            .address = roster->members[i].address,
                            .block = &target->blocks[target->block_count == 1 ? 0 : i]};
    name_place(target);
    return nx_buf_err(&target->place);
}

enum nx_err cmd_import_cluster_open(const char *address, struct nx_view tenant,
                                    const char *work_dir, struct cmd_import_target **out,
                                    struct nx_fail *fail)
{
    static const struct cmd_import_target_ops ops = {.place = cluster_place,
                                                     .begin = cluster_begin,
                                                     .take = cluster_take,
                                                     .finish = cluster_finish,
                                                     .warning = cluster_warning,
                                                     .close = cluster_close};
    struct cluster_target *target = nx_calloc(1, sizeof *target);
    if (!target)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    target->base.ops = &ops;
    target->fs = nx_fs_posix();
    target->tenant = tenant;
    target->tenant_text = nx_strndup(tenant.ptr, tenant.len);
    nx_buf_init(&target->place, (size_t)1 << 20);
    nx_buf_init(&target->warning, (size_t)1 << 20);
    enum nx_err err = cmd_cluster_map_fetch("narthex tool import", address, &target->map, fail);
    if (err == NX_OK)
        err = make_work_dir(target, work_dir, fail);
    if (err == NX_OK) {
        err = target->tenant_text ? make_members(target) : NX_ERR_NOMEM;
        if (err == NX_OK)
            err = cmd_rpc_caller_open(target->map.cluster, &target->caller);
        if (err != NX_OK)
            nx_fail_set(fail, err, "%s", nx_err_text(err));
    }
    if (err != NX_OK)
        cluster_close(&target->base);
    else
        *out = &target->base;
    return err;
}
