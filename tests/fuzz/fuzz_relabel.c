/* Relabeling rules as YAML, run over label sets. What they make is a label set: sorted, no name
 * twice, no value empty; and a second run over the same set makes the same. */
#include <stdlib.h>

#include "common/config/relabel_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool apply(const struct nx_relabel *rules, struct nx_arena *arena, struct nx_labels *out)
{
    const struct nx_label samples[] = {
        {NX_VIEW("__address__"), NX_VIEW("host:9100")},
        {NX_VIEW("__name__"), NX_VIEW("http_requests_total")},
        {NX_VIEW("a"), NX_VIEW("1")},
        {NX_VIEW("job"), NX_VIEW("api;\nx")},
        {NX_VIEW("zone"), NX_VIEW("\xc3\xa4$1${name}")},
    };
    struct nx_labels_builder builder;
    bool keep = false;
    nx_labels_builder_init(
        &builder, arena,
        (struct nx_labels){.items = samples, .count = sizeof samples / sizeof samples[0]});
    *out = (struct nx_labels){.count = 0};
    if (nx_relabel_apply(rules, &builder, &keep) || !keep)
        return false;
    return nx_labels_builder_take(&builder, out) == NX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_relabel *rules = NULL;
    struct nx_fail fail = {.code = NX_OK};
    struct nx_labels first, second;
    struct nx_arena arena;
    if (nx_relabel_read_text("fuzz.yml", nx_view_make(data, size), &rules, &fail))
        return 0;
    nx_arena_init(&arena, 64 << 20);
    bool kept = apply(rules, &arena, &first);
    if (kept != apply(rules, &arena, &second) || !nx_labels_eq(first, second))
        abort();
    for (size_t i = 0; i < first.count; i++)
        if (first.items[i].value.len == 0 ||
            (i > 0 && nx_view_cmp(first.items[i - 1].name, first.items[i].name) >= 0))
            abort();
    nx_arena_release(&arena);
    nx_relabel_free(rules);
    return 0;
}
