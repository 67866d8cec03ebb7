/* Settings: one table a module, filled from defaults, then the YAML file, then flags (the flag
 * wins).
 *
 * A table row names the setting (`section.key` in YAML, `--section.key=value` as a flag; a key
 * without dot stands at the top level), its type, default, unit and meaning, and the offset of its
 * field in the module's struct of settings. `narthex help config` prints the rows. Unknown keys and
 * malformed values are errors which name the key, the value, what was expected and the nearest
 * known key.
 *
 * A reload parses the whole file again; rows marked reloadable take effect, a change to another row
 * is reported and left as it was. */
#ifndef NX_CONFIG_CONFIG_H
#define NX_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/view.h"

enum nx_setting_type {
    NX_SETTING_BOOL,     /* bool */
    NX_SETTING_INT,      /* int64_t, min..max */
    NX_SETTING_DOUBLE,   /* double, finite */
    NX_SETTING_DURATION, /* int64_t ms; Prometheus duration; min..max in ms */
    NX_SETTING_BYTES,    /* int64_t; "512MiB", "1GB", plain bytes */
    NX_SETTING_STRING,   /* const char *, owned by the nx_config */
    NX_SETTING_ENUM,     /* int: position in `choices`, NULL-terminated */
};

struct nx_setting {
    const char *key;
    enum nx_setting_type type;
    const char *default_text;
    size_t offset;
    int64_t min,
        max; /* of numbers, durations and sizes; both 0: any; max 0 alone: no upper bound */
    const char *const *choices;
    bool reloadable;
    bool secret; /* shown as <secret> */
    const char *help;
};

/* A module's table and the struct it fills. */
struct nx_setting_group {
    const struct nx_setting *settings;
    size_t count;
    void *target;
};

struct nx_config;

/* Fills every target with its defaults. The rows are copied; the texts and choices they point at
 * must outlive the config, and so must the targets. Keys must be unique over the groups, and none
 * may be a section of another (NX_ERR_EXISTS); a default must be a value that the file could give
 * (NX_ERR_CONFIG). One thread at a time, for all functions here. */
enum nx_err nx_config_new(const struct nx_setting_group *groups, size_t count,
                          struct nx_config **out) NX_WARN_UNUSED;
void nx_config_free(struct nx_config *config);

/* Applies YAML text / a file. NX_ERR_CONFIG with "FILE:LINE: ..." in `fail`; the targets are then
 * untouched. Sections nest or are spelled out (`server: {listen: x}` = `server.listen: x`); a list
 * of scalars given for a string is joined with commas; a key given twice, aliases and further
 * documents are errors. At most 1 MiB. */
enum nx_err nx_config_load_text(struct nx_config *config, const char *origin, struct nx_view yaml,
                                struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err nx_config_load_file(struct nx_config *config, const char *path,
                                struct nx_fail *fail) NX_WARN_UNUSED;
/* Applies `--section.key=value` or `--section.key value` (a bool alone means true); other arguments
 * are errors. argv[0] is the first flag, not the program. The last one of a repeated flag wins. The
 * arguments are remembered for nx_config_reload in place of those of an earlier call. */
enum nx_err nx_config_load_flags(struct nx_config *config, int argc, char **argv,
                                 struct nx_fail *fail) NX_WARN_UNUSED;
/* Called by nx_config_reload when all of the file was good, before anything of it takes effect: an
 * error refuses the reload as a whole. `draft` tells the values to come, and is valid during the
 * call. */
struct nx_config_draft;
typedef enum nx_err (*nx_config_check)(void *user, const struct nx_config_draft *draft,
                                       struct nx_fail *fail);
void nx_config_on_reload(struct nx_config *config, nx_config_check check, void *user);
/* The value of a setting of type NX_SETTING_STRING; the key must be one. */
const char *nx_config_draft_text(const struct nx_config_draft *draft, const char *key);

/* Defaults, then this file, then the flags of nx_config_load_flags again, into a scratch copy;
 * where all is well the reloadable rows are taken over. Names of changed rows that need a restart
 * are appended to `ignored`, joined with ", ". Strings of reloadable rows taken earlier stay valid.
 * `path` NULL: no file. Fields are stored atomically one by one; readers on other threads copy what
 * they need when told. */
enum nx_err nx_config_reload(struct nx_config *config, const char *path, struct nx_buf *ignored,
                             struct nx_fail *fail) NX_WARN_UNUSED;

/* The settings in force as YAML (for /api/v1/status/config), and the table for people. */
void nx_config_print_yaml(const struct nx_config *config, struct nx_buf *out);
void nx_config_print_help(const struct nx_config *config, struct nx_buf *out);

#endif
