/* A change takes the next number; a watch remembers for each kind the number it was told last. */
#include "common/telemetry/notices.h"

#include <assert.h>
#include <pthread.h>

#include "common/base/alloc.h"

struct nx_notices {
    const struct nx_clock *clock;
    pthread_mutex_t lock;
    struct nx_notice kinds[NX_NOTICE_KINDS];
    uint64_t changes[NX_NOTICE_KINDS]; /* number of the last */
    uint64_t last_change;
    size_t watch_count;
    TAILQ_HEAD(, nx_notice_watch) watches;
};

enum nx_err nx_notices_new(const struct nx_clock *clock, struct nx_notices **out)
{
    static const char *const texts[] = {
#define X(name, text) [NX_NOTICE_##name] = text,
        NX_NOTICE_TABLE(X)
#undef X
    };
    struct nx_notices *notices = nx_calloc(1, sizeof(*notices));
    if (!notices) {
        return NX_ERR_NOMEM;
    }
    notices->clock = clock;
    pthread_mutex_init(&notices->lock, NULL);
    TAILQ_INIT(&notices->watches);
    for (size_t i = 0; i < NX_NOTICE_KINDS; i++) {
        notices->kinds[i] = (struct nx_notice){.kind = (enum nx_notice_kind)i, .text = texts[i]};
    }
    *out = notices;
    return NX_OK;
}

void nx_notices_free(struct nx_notices *notices)
{
    if (!notices) {
        return;
    }
    assert(TAILQ_EMPTY(&notices->watches));
    pthread_mutex_destroy(&notices->lock);
    nx_free(notices);
}

static void tell(struct nx_notices *notices, enum nx_notice_kind kind)
{
    struct nx_notice_watch *watch;
    notices->changes[kind] = ++notices->last_change;
    TAILQ_FOREACH(watch, &notices->watches, link)
    {
        watch->changed(watch);
    }
}

void nx_notices_raise(struct nx_notices *notices, enum nx_notice_kind kind)
{
    if (!notices) {
        return;
    }
    pthread_mutex_lock(&notices->lock);
    notices->kinds[kind].active = true;
    notices->kinds[kind].raised_ms = nx_now_ms(notices->clock);
    tell(notices, kind);
    pthread_mutex_unlock(&notices->lock);
}

void nx_notices_clear(struct nx_notices *notices, enum nx_notice_kind kind)
{
    if (!notices) {
        return;
    }
    pthread_mutex_lock(&notices->lock);
    bool was_active = notices->kinds[kind].active;
    notices->kinds[kind].active = false;
    notices->kinds[kind].cleared_ms = nx_now_ms(notices->clock);
    if (was_active) {
        tell(notices, kind);
    }
    pthread_mutex_unlock(&notices->lock);
}

struct nx_notice nx_notices_get(struct nx_notices *notices, enum nx_notice_kind kind)
{
    struct nx_notice notice = {.kind = kind, .text = ""};
    if (notices) {
        pthread_mutex_lock(&notices->lock);
        notice = notices->kinds[kind];
        pthread_mutex_unlock(&notices->lock);
    }
    return notice;
}

bool nx_notices_watch(struct nx_notices *notices, struct nx_notice_watch *watch)
{
    pthread_mutex_lock(&notices->lock);
    bool admitted = notices->watch_count < NX_NOTICE_WATCHES_MAX;
    if (admitted) {
        for (size_t i = 0; i < NX_NOTICE_KINDS; i++) {
            watch->told[i] = notices->kinds[i].active ? 0 : notices->changes[i];
        }
        notices->watch_count++;
        TAILQ_INSERT_TAIL(&notices->watches, watch, link);
    }
    pthread_mutex_unlock(&notices->lock);
    return admitted;
}

void nx_notices_unwatch(struct nx_notices *notices, struct nx_notice_watch *watch)
{
    pthread_mutex_lock(&notices->lock);
    TAILQ_REMOVE(&notices->watches, watch, link);
    notices->watch_count--;
    pthread_mutex_unlock(&notices->lock);
}

bool nx_notices_next(struct nx_notices *notices, struct nx_notice_watch *watch,
                     struct nx_notice *out)
{
    size_t oldest = NX_NOTICE_KINDS;
    pthread_mutex_lock(&notices->lock);
    for (size_t i = 0; i < NX_NOTICE_KINDS; i++) {
        bool untold = watch->told[i] < notices->changes[i];
        if (untold &&
            (oldest == NX_NOTICE_KINDS || notices->changes[i] < notices->changes[oldest])) {
            oldest = i;
        }
    }
    if (oldest < NX_NOTICE_KINDS) {
        watch->told[oldest] = notices->changes[oldest];
        *out = notices->kinds[oldest];
    }
    pthread_mutex_unlock(&notices->lock);
    return oldest < NX_NOTICE_KINDS;
}
