/* This process's own part: its state, whether it serves, and what it is whole for.
 *
 * The state is a line "STATE MILLISECONDS" in the file `member` of the data directory, the time
 * being that of the change. Before the ring runs it is written at once, later by a job on the
 * ring's lane: a crash in between leaves the state before, which is a state from which the same way
 * is gone again. A file that makes no sense counts as JOINING: that is the state in which nothing
 * is promised. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/ring/ring_internal.h"

#define FILE_NAME "member"
#define TMP_NAME "member.tmp"
#define FILE_MAX_BYTES 128

/* --- the file -------------------------------------------------------------------------------- */

static void parse(const char *text, struct nx_ring_self_part *self)
{
    for (int state = NX_MEMBER_JOINING; state <= NX_MEMBER_READONLY; state++) {
        const char *name = nx_member_state_text((enum nx_member_state)state);
        size_t len = strlen(name);
        char *end = NULL;
        if (strncmp(text, name, len) == 0 && text[len] == ' ') {
            long long since_ms = strtoll(text + len, &end, 10);
            if (end != text + len && *end == '\n') {
                self->state = (enum nx_member_state)state;
                self->since_ms = since_ms;
            }
            return;
        }
    }
}

static enum nx_err load(const char *dir, struct nx_ring_self_part *self, bool *found)
{
    char *path = nx_path_join(dir, FILE_NAME);
    char *bytes = NULL;
    size_t len = 0;
    if (!path) {
        return NX_ERR_NOMEM;
    }
    enum nx_err err = nx_file_read_all(path, FILE_MAX_BYTES, &bytes, &len);
    nx_free(path);
    *found = err != NX_ERR_NOT_FOUND;
    if (err != NX_OK) {
        return err == NX_ERR_NOMEM ? err : NX_OK;
    }
    char text[FILE_MAX_BYTES + 1];
    memcpy(text, bytes, len);
    text[len] = '\0';
    nx_free(bytes);
    parse(text, self);
    return NX_OK;
}

static enum nx_err store(const struct nx_fs *fs, const char *dir, enum nx_member_state state,
                         int64_t since_ms)
{
    char text[FILE_MAX_BYTES];
    int len =
        snprintf(text, sizeof(text), "%s %" PRId64 "\n", nx_member_state_text(state), since_ms);
    char *path = nx_path_join(dir, FILE_NAME);
    char *tmp = nx_path_join(dir, TMP_NAME);
    int fd = -1;
    enum nx_err err = path && tmp ? NX_OK : NX_ERR_NOMEM;
    if (err == NX_OK) {
        enum nx_err gone = fs->unlink(fs, tmp);
        err = gone == NX_ERR_NOT_FOUND ? NX_OK : gone;
    }
    if (err == NX_OK) {
        err = fs->open(fs, tmp, NX_FILE_CREATE, &fd);
    }
    if (err == NX_OK) {
        err = fs->write(fs, fd, text, (size_t)len);
        err = err == NX_OK ? fs->sync(fs, fd) : err;
        (void)fs->close(fs, fd);
    }
    if (err == NX_OK) {
        err = fs->rename(fs, tmp, path);
    }
    if (err == NX_OK) {
        err = fs->sync_dir(fs, dir);
    }
    nx_free(path);
    nx_free(tmp);
    return err;
}

/* --- saving ---------------------------------------------------------------------------------- */

static void run_save(struct nx_job *job)
{
    struct nx_ring *ring = NX_OWNER(struct nx_ring, save, job);
    ring->save_err = store(ring->fs, ring->self.dir, ring->save_state, ring->save_since_ms);
}

static void on_saved(struct nx_job *job)
{
    struct nx_ring *ring = NX_OWNER(struct nx_ring, save, job);
    pthread_mutex_lock(&ring->lock);
    ring->self.saving = false;
    if (ring->save_err == NX_OK) {
        ring->self.saved = ring->save_state;
    } else {
        nx_log(ring->log, NX_LOG_ERROR, "the state of this member is not on disk",
               NX_S("directory", ring->self.dir), NX_E(ring->save_err));
    }
    pthread_mutex_unlock(&ring->lock);
    nx_ring_settle(ring);
}

void nx_ring_self_save(struct nx_ring *ring)
{
    struct nx_ring_self_part *self = &ring->self;
    if (!self->dir || self->saving || self->saved == self->state || ring->stopping) {
        return;
    }
    ring->save_state = self->state;
    ring->save_since_ms = self->since_ms;
    ring->save = (struct nx_job){.run = run_save, .done = on_saved};
    self->saving = nx_lane_submit(ring->lane, &ring->save) == NX_OK;
}

/* --- life ------------------------------------------------------------------------------------ */

/* A directory without a file promises nothing, even if it is not fresh: its first start may have
 * failed half way. */
static enum nx_err recall(struct nx_ring *ring, const struct nx_ring_self *own)
{
    struct nx_ring_self_part *self = &ring->self;
    bool found = false;
    self->dir = nx_strdup(own->state_dir);
    if (!self->dir) {
        return NX_ERR_NOMEM;
    }
    enum nx_err err = own->fresh ? NX_OK : load(self->dir, self, &found);
    if (err != NX_OK) {
        return err;
    }
    if (!found) {
        self->state = own->is_only ? NX_MEMBER_ACTIVE : NX_MEMBER_JOINING;
        self->since_ms = own->is_only ? 0 : nx_now_ms(ring->clock);
        err = store(ring->fs, self->dir, self->state, self->since_ms);
    }
    self->saved = self->state;
    return err;
}

enum nx_err nx_ring_self_init(struct nx_ring *ring, const struct nx_ring_self *own)
{
    struct nx_ring_self_part *self = &ring->self;
    self->state = NX_MEMBER_JOINING;
    self->since_ms = nx_now_ms(ring->clock);
    if (!own->is_member) {
        return NX_OK;
    }
    if (own->state_dir) {
        enum nx_err err = recall(ring, own);
        if (err != NX_OK) {
            return err;
        }
    }
    self->whole = nx_whole_new(ring->partitions, self->state != NX_MEMBER_JOINING);
    self->whole_version = (uint64_t)nx_now_ms(ring->clock) << 20; /* differs from an earlier life */
    return self->whole ? NX_OK : NX_ERR_NOMEM;
}

void nx_ring_self_release(struct nx_ring *ring)
{
    nx_whole_drop(ring->self.whole);
    nx_free(ring->self.dir);
}

/* --- what it says ---------------------------------------------------------------------------- */

static void changed(struct nx_ring *ring)
{
    ring->dirty = true;
    nx_ring_publish(ring);
    nx_ring_wake(ring);
}

void nx_ring_self_turn(struct nx_ring *ring, enum nx_member_state state)
{
    struct nx_ring_self_part *self = &ring->self;
    if (self->state == state) {
        return;
    }
    nx_log(ring->log, NX_LOG_INFO, "this member changes its state",
           NX_S("from", nx_member_state_text(self->state)),
           NX_S("to", nx_member_state_text(state)));
    bool joined = self->state == NX_MEMBER_JOINING && state == NX_MEMBER_ACTIVE;
    self->state = state;
    self->since_ms = nx_now_ms(ring->clock);
    size_t i = nx_roster_find(ring->roster, ring->self_name);
    if (joined && ring->is_member && i != SIZE_MAX) {
        ring->rows[i].settles_ns =
            nx_now_ns(ring->clock) + NX_RING_GRACE_TIMEOUTS * ring->limits.timeout_ns;
    }
    changed(ring);
}

void nx_ring_set_self_state(struct nx_ring *ring, enum nx_member_state state)
{
    pthread_mutex_lock(&ring->lock);
    nx_ring_self_turn(ring, state);
    pthread_mutex_unlock(&ring->lock);
}

enum nx_member_state nx_ring_self_state(struct nx_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    enum nx_member_state state = ring->self.state;
    pthread_mutex_unlock(&ring->lock);
    return state;
}

void nx_ring_set_self_serving(struct nx_ring *ring, bool serving)
{
    pthread_mutex_lock(&ring->lock);
    if (ring->self.serving != serving) {
        ring->self.serving = serving;
        changed(ring);
    }
    pthread_mutex_unlock(&ring->lock);
}

/* With the lock held; takes `whole`. */
static void replace_whole(struct nx_ring *ring, struct nx_whole *whole)
{
    nx_whole_drop(ring->self.whole);
    ring->self.whole = whole;
    ring->self.whole_version++;
    changed(ring);
}

enum nx_err nx_ring_set_whole(struct nx_ring *ring, uint32_t partition, bool whole)
{
    enum nx_err err = NX_OK;
    pthread_mutex_lock(&ring->lock);
    if (partition < ring->partitions && nx_whole_has(ring->self.whole, partition) != whole) {
        struct nx_whole *next = nx_whole_with(ring->self.whole, partition, whole);
        err = next ? NX_OK : NX_ERR_NOMEM;
        if (next) {
            replace_whole(ring, next);
        }
    }
    pthread_mutex_unlock(&ring->lock);
    return err;
}
