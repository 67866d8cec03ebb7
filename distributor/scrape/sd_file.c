/* file_sd: the files of all patterns are read when their names, sizes or times have changed, or
 * when the refresh interval has passed. A file that cannot be read or parsed fails the source,
 * whose targets stay as they were: a file is often read while it is being written. */
#include <glob.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "distributor/scrape/scrape_internal.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

static void sign(uint64_t *signature, const char *path)
{
    struct stat info;
    uint64_t parts[5] = {*signature};
    if (stat(path, &info) == 0) {
        parts[1] = (uint64_t)info.st_size;
        parts[2] = (uint64_t)info.st_mtim.tv_sec;
        parts[3] = (uint64_t)info.st_mtim.tv_nsec;
        parts[4] = (uint64_t)info.st_ino;
    }
    *signature = nx_hash64_seeded(path, strlen(path), nx_hash64(parts, sizeof parts));
}

static enum nx_err read_file(struct scrape_groups *groups, const char *path, struct nx_fail *fail)
{
    struct nx_label label = {.name = NX_VIEW("__meta_filepath"), .value = nx_view_of(path)};
    struct nx_labels extra = {.items = &label, .count = 1};
    char *text = NULL;
    size_t len = 0;
    enum nx_err err = nx_file_read_all(path, FILE_BYTES_MAX, &text, &len);
    if (err)
        return nx_fail_set(fail, NX_ERR_CONFIG, "%.300s: %s", path, nx_err_text(err));
    struct nx_view content = nx_view_make(text, len);
    if (nx_view_has_suffix(nx_view_of(path), NX_VIEW(".json")))
        err = scrape_groups_read_json(groups, path, content, extra, fail);
    else
        err = scrape_groups_read_yaml(groups, path, content, extra, fail);
    nx_free(text);
    return err;
}

static enum nx_err find_files(const struct scrape_sd *sd, glob_t *found)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < sd->text_count && !err; i++) {
        int status = glob(sd->texts[i], i > 0 ? GLOB_APPEND : 0, NULL, found);
        if (status == GLOB_NOSPACE)
            err = NX_ERR_NOMEM;
    }
    return err;
}

void scrape_discover_files(struct scrape_source *source)
{
    glob_t found = {.gl_pathc = 0};
    uint64_t signature = 1;
    enum nx_err err = find_files(source->sd, &found);
    for (size_t i = 0; i < found.gl_pathc && !err; i++)
        sign(&signature, found.gl_pathv[i]);
    bool changed = source->forced || signature != source->signature;
    if (!err && changed)
        err = scrape_groups_new(&source->found);
    for (size_t i = 0; i < found.gl_pathc && !err && changed; i++)
        err = read_file(source->found, found.gl_pathv[i], &source->fail);
    if (!err)
        source->signature = signature;
    source->err = err;
    globfree(&found);
}
