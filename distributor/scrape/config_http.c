/* Client options as Prometheus's http_config spells them. */
#include "distributor/scrape/config_internal.h"

static const struct scrape_field basic_auth_fields[] = {
    {.key = "username",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, username)},
    {.key = "username_file",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, username_file)},
    {.key = "password",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, password)},
    {.key = "password_file",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, password_file)},
};

static enum nx_err read_basic_auth(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_http *http = at;
    enum nx_err err = scrape_yaml_mapping(yaml, node, basic_auth_fields, 4, http, NULL, NULL);
    if (!err && !http->username)
        http->username = "";
    if (!err && http->username_file && *http->username)
        return scrape_yaml_refuse(yaml, node,
                                  "at most one of username and username_file may be given");
    if (!err && http->password && http->password_file)
        return scrape_yaml_refuse(yaml, node,
                                  "at most one of password and password_file may be given");
    return err;
}

static const struct scrape_field authorization_fields[] = {
    {.key = "type", .kind = SCRAPE_FIELD_TEXT, .offset = offsetof(struct scrape_http, auth_type)},
    {.key = "credentials",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, credentials)},
    {.key = "credentials_file",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, credentials_file)},
};

static enum nx_err read_authorization(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_http *http = at;
    enum nx_err err = scrape_yaml_mapping(yaml, node, authorization_fields, 3, http, NULL, NULL);
    if (!err && nx_view_eq_nocase(nx_view_of(http->auth_type), NX_VIEW("basic")))
        return scrape_yaml_refuse(yaml, node,
                                  "authorization type cannot be \"basic\", use basic_auth");
    return err;
}

static const struct scrape_field tls_fields[] = {
    {.key = "ca_file", .kind = SCRAPE_FIELD_TEXT, .offset = offsetof(struct scrape_http, ca_file)},
    {.key = "cert_file",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, cert_file)},
    {.key = "key_file",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, key_file)},
    {.key = "server_name",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, server_name)},
    {.key = "insecure_skip_verify",
     .kind = SCRAPE_FIELD_BOOL,
     .offset = offsetof(struct scrape_http, insecure_skip_verify)},
};

static enum nx_err read_tls(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_http *http = at;
    enum nx_err err = scrape_yaml_mapping(yaml, node, tls_fields, 5, http, NULL, NULL);
    if (!err && !http->cert_file != !http->key_file)
        return scrape_yaml_refuse(yaml, node, "cert_file and key_file go together");
    return err;
}

const struct scrape_field scrape_http_fields[SCRAPE_HTTP_FIELDS] = {
    {.key = "basic_auth", .kind = SCRAPE_FIELD_READ, .read = read_basic_auth},
    {.key = "authorization", .kind = SCRAPE_FIELD_READ, .read = read_authorization},
    {.key = "bearer_token",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, credentials)},
    {.key = "bearer_token_file",
     .kind = SCRAPE_FIELD_TEXT,
     .offset = offsetof(struct scrape_http, credentials_file)},
    {.key = "tls_config", .kind = SCRAPE_FIELD_READ, .read = read_tls},
    {.key = "follow_redirects",
     .kind = SCRAPE_FIELD_BOOL,
     .offset = offsetof(struct scrape_http, follow_redirects)},
    {.key = "enable_http2", .kind = SCRAPE_FIELD_IGNORED},
};

static enum nx_err resolve_path(struct scrape_reader *reader, const char **path)
{
    return *path ? scrape_reader_path(reader, *path, path) : NX_OK;
}

enum nx_err scrape_http_finish(struct scrape_reader *reader, const yaml_node_t *node,
                               struct scrape_http *http)
{
    const char **paths[] = {&http->username_file,    &http->password_file, &http->ca_file,
                            &http->credentials_file, &http->cert_file,     &http->key_file};
    enum nx_err err = NX_OK;
    if (http->credentials && http->credentials_file)
        return scrape_yaml_refuse(&reader->yaml, node,
                                  "at most one of credentials and credentials_file may be given");
    if (http->username && (http->credentials || http->credentials_file))
        return scrape_yaml_refuse(&reader->yaml, node,
                                  "at most one of basic_auth and authorization may be given");
    if (!http->auth_type || !*http->auth_type)
        http->auth_type = "Bearer";
    for (size_t i = 0; i < sizeof paths / sizeof paths[0] && !err; i++)
        err = resolve_path(reader, paths[i]);
    return err;
}
