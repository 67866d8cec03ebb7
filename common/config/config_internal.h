/* What the files of this folder share: the rows of all groups in key order, and a draft, the set of
 * values that a load fills and that is taken over as a whole or not at all. */
#ifndef NX_CONFIG_CONFIG_INTERNAL_H
#define NX_CONFIG_CONFIG_INTERNAL_H

#include "common/config/config.h"

/* A value as it stands in the target; which member counts follows from the row's type. */
union nx_config_value {
    bool boolean;
    int64_t integer;
    double number;
    const char *text;
    int choice;
};

struct nx_config_row {
    const struct nx_setting *setting;
    char *target; /* the group's struct */
};

/* A string value; kept until the config is freed once its draft was taken over. */
struct nx_config_string {
    struct nx_config_string *next;
    char text[];
};

struct nx_config {
    struct nx_config_row *rows;  /* sorted by key */
    struct nx_setting *settings; /* the tables' rows, which `rows` points at */
    size_t count;
    union nx_config_value *values; /* as loaded, a row each */
    struct nx_config_string *strings;
    char **flags;
    size_t flag_count;
    nx_config_check check; /* NULL: none */
    void *check_user;
};

struct nx_config_draft {
    const struct nx_config *config;
    union nx_config_value *values;
    struct nx_config_string *strings;
};

/* --- config.c --- */
/* The position of the row with this key, or SIZE_MAX. */
size_t nx_config_find(const struct nx_config *config, struct nx_view key);
/* Whether any key begins with `name` and a dot. */
bool nx_config_is_section(const struct nx_config *config, struct nx_view name);

/* --- config_value.c --- */
/* Parses `text` as a value of row `i` into the draft. `where` ("FILE:LINE: " or "--") precedes the
 * key in the error. */
enum nx_err nx_config_set(struct nx_config_draft *draft, size_t i, struct nx_view text,
                          const char *where, struct nx_fail *fail) NX_WARN_UNUSED;
/* "a duration such as 30s, 15d or 1h30m, at least 1s" */
void nx_config_describe(const struct nx_setting *setting, struct nx_buf *out);
/* The value as nx_config_set reads it; strings plain, secrets too. */
void nx_config_format(const struct nx_setting *setting, const union nx_config_value *value,
                      struct nx_buf *out);

/* --- config_suggest.c --- */
/* The known key (or, with `sections`, section) nearest to `name` by edit distance; ptr NULL where
 * none is near. */
struct nx_view nx_config_nearest(const struct nx_config *config, struct nx_view name,
                                 bool sections);
/* "unknown key" with the nearest known one. */
enum nx_err nx_config_unknown(const struct nx_config *config, const char *where, const char *what,
                              struct nx_view name, bool sections, struct nx_fail *fail);
/* Optimal string alignment distance; text beyond 64 bytes counts as different. */
size_t nx_config_distance(struct nx_view a, struct nx_view b);

/* --- config_yaml.c, config_flags.c --- */
enum nx_err nx_config_draft_yaml(struct nx_config_draft *draft, const char *origin,
                                 struct nx_view yaml, struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err nx_config_draft_flags(struct nx_config_draft *draft, size_t count, char *const *flags,
                                  struct nx_fail *fail) NX_WARN_UNUSED;

/* A value for an error message: at most 64 bytes of it, cut between characters. */
struct nx_view nx_config_excerpt(struct nx_view text);

#endif
