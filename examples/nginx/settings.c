/* The configuration: read line by line, and tried out on a draft of the cache, so that what the library would refuse in
 * a worker is refused here, with its file and line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "ngx_http_keyturn.h"

#define PREFIX "keyturn_"
enum { FETCH_TIMEOUT_MS = 5000 }; /* the library's default */

static keyturn_place place_of(ngx_conf_t *cf)
{
    return (keyturn_place){ cf->conf_file->file.name, cf->conf_file->line };
}

static char *refused(ngx_conf_t *cf, keyturn_place place, const char *option, const char *sentence)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "keyturn: %s%s%s in %V:%ui", option, option[0] ? ": " : "",
                  sentence, &place.file, place.line);
    return NGX_CONF_ERROR;
}

static char *refused_here(ngx_conf_t *cf, const char *option, const char *sentence)
{
    return refused(cf, place_of(cf), option, sentence);
}

/* ---- Options ---------------------------------------------------------------------------------------- */

/* The words of a line after `first`, which nginx has ended with NULs. */
static const char **words_after(ngx_conf_t *cf, ngx_uint_t first)
{
    ngx_str_t *word = cf->args->elts;
    const char **words = ngx_palloc(cf->pool, cf->args->nelts * sizeof(char *));
    for (ngx_uint_t i = first; words && i < cf->args->nelts; i++)
        words[i - first] = (char *)word[i].data;
    return words;
}

static keyturn_setting *setting_of(ngx_array_t *settings, const adapter_option *option)
{
    keyturn_setting *setting = settings->elts;
    for (ngx_uint_t i = 0; i < settings->nelts; i++)
        if (setting[i].option == option)
            return &setting[i];
    return NULL;
}

/* Keeps what the line says of the option, if its values can be read. */
static char *keep(ngx_conf_t *cf, ngx_array_t *settings, const adapter_option *option)
{
    union {
        jwks_cache_options cache;
        jwks_issuer_options issuer;
        jwt_policy_options policy;
        jwt_challenge_options challenge;
    } scratch;
    size_t count = cf->args->nelts - 1;
    const char **values = words_after(cf, 1);
    if (setting_of(settings, option))
        return refused_here(cf, option->name, "is given twice");
    keyturn_setting *setting = ngx_array_push(settings);
    if (values == NULL || setting == NULL)
        return NGX_CONF_ERROR;
    *setting = (keyturn_setting){ option, values, count, place_of(cf) };
    const char *wrong = adapter_set(option, &scratch, values, count);
    return wrong ? refused_here(cf, option->name, wrong) : NGX_CONF_OK;
}

static void apply(const ngx_array_t *settings, adapter_struct of, void *options)
{
    keyturn_setting *setting = settings->elts;
    for (ngx_uint_t i = 0; i < settings->nelts; i++)
        if (setting[i].option->of == of)
            (void)adapter_set(setting[i].option, options, setting[i].values, setting[i].count);
}

/* What the library refuses, at the line that says it: "audiences[1]" is of the setting `audiences`. */
static char *refused_by_library(ngx_conf_t *cf, const ngx_array_t *settings, keyturn_place otherwise,
                                jwks_error error)
{
    size_t len = strcspn(error.option, "[.");
    keyturn_setting *setting = settings->elts;
    for (ngx_uint_t i = 0; i < settings->nelts; i++)
        if (strlen(setting[i].option->name) == len &&
            strncmp(setting[i].option->name, error.option, len) == 0)
            otherwise = setting[i].place;
    return refused(cf, otherwise, error.option, error.message);
}

/* A directive that is an option: the prefix and its name. */
static const adapter_option *option_of(const ngx_command_t *command, adapter_struct of)
{
    const char *name = (char *)command->name.data + sizeof PREFIX - 1;
    return adapter_option_named(of, name, command->name.len - (sizeof PREFIX - 1));
}

static char *set_cache_option(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    return keep(cf, &((keyturn_main *)conf)->settings, option_of(command, ADAPTER_CACHE));
}

static char *set_policy_option(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    keyturn_location *at = conf;
    if (at->settings == NULL)
        at->settings = ngx_array_create(cf->pool, 4, sizeof(keyturn_setting));
    if (at->settings == NULL)
        return NGX_CONF_ERROR;
    const adapter_option *option = option_of(command, ADAPTER_POLICY);
    return keep(cf, at->settings, option ? option : option_of(command, ADAPTER_CHALLENGE));
}

/* ---- keyturn_store ---------------------------------------------------------------------------------- */

static char *set_store(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    keyturn_main *main = conf;
    ngx_str_t *word = cf->args->elts;
    if (main->has_store != NGX_CONF_UNSET)
        return refused_here(cf, "store", "is given twice");
    main->has_store = ngx_strcmp(word[1].data, "off") != 0;
    if (!main->has_store)
        return NGX_CONF_OK;
    if (ngx_conf_full_name(cf->cycle, &word[1], 0) != NGX_OK)
        return NGX_CONF_ERROR;
    main->cache.store = (char *)word[1].data;
    return NGX_CONF_OK;
}

/* Beside nginx's own temporary files, which it makes for its workers, too. */
static char *usual_store(ngx_conf_t *cf)
{
    ngx_str_t sibling = ngx_string(NGX_HTTP_PROXY_TEMP_PATH);
    ngx_str_t store;
    while (sibling.len > 0 && sibling.data[sibling.len - 1] != '/')
        sibling.len--;
    store.len = sibling.len + sizeof "keyturn" - 1;
    store.data = ngx_pnalloc(cf->pool, store.len + 1);
    if (store.data == NULL)
        return NULL;
    ngx_sprintf(store.data, "%Vkeyturn%Z", &sibling);
    return ngx_conf_full_name(cf->cycle, &store, 0) == NGX_OK ? (char *)store.data : NULL;
}

/* nginx makes the directory, and gives it to the workers' user, before they start. An agent's is made by the agent. */
static char *have_store_made(ngx_conf_t *cf, keyturn_main *main)
{
    if (main->cache.store == NULL)
        main->cache.store = usual_store(cf);
    main->store = ngx_pcalloc(cf->pool, sizeof *main->store);
    if (main->store == NULL || main->cache.store == NULL)
        return NGX_CONF_ERROR;
    main->store->name.data = (u_char *)main->cache.store;
    main->store->name.len = strlen(main->cache.store);
    main->store->conf_file = cf->conf_file->file.name.data;
    main->store->line = cf->conf_file->line;
    return ngx_add_path(cf, &main->store) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* ---- keyturn_issuer { } ----------------------------------------------------------------------------- */

static char *set_issuer_option(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    keyturn_issuer *issuer = conf;
    ngx_str_t *word = cf->args->elts;
    const adapter_option *option = adapter_option_named(ADAPTER_ISSUER, (char *)word[0].data, word[0].len);
    if (option == NULL || ngx_strcmp(word[0].data, "issuer") == 0)
        return refused_here(cf, (char *)word[0].data, "no such option of an issuer");
    return keep(cf, &issuer->settings, option);
}

static char *set_issuer(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    keyturn_main *main = conf;
    ngx_str_t *word = cf->args->elts;
    keyturn_issuer *issuer = ngx_array_push(&main->issuers);
    if (issuer == NULL || ngx_array_init(&issuer->settings, cf->pool, 8, sizeof(keyturn_setting)) != NGX_OK)
        return NGX_CONF_ERROR;
    issuer->options = (jwks_issuer_options)JWKS_ISSUER_OPTIONS_INIT;
    issuer->options.issuer = (char *)word[1].data;
    issuer->place = place_of(cf);
    issuer->handle = NULL;
    ngx_conf_t block = *cf;
    block.handler = set_issuer_option;
    block.handler_conf = (void *)issuer;
    char *read = ngx_conf_parse(&block, NULL);
    apply(&issuer->settings, ADAPTER_ISSUER, &issuer->options);
    return read;
}

/* Relative paths are nginx's, as everywhere in its configuration. */
static char *complete_paths(ngx_conf_t *cf, keyturn_issuer *issuer)
{
    const char **paths[] = { &issuer->options.file, &issuer->options.ca_file,
                             &issuer->options.client_certificate, &issuer->options.client_key };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (*paths[i] == NULL)
            continue;
        ngx_str_t path = { strlen(*paths[i]), (u_char *)*paths[i] };
        if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK)
            return NGX_CONF_ERROR;
        *paths[i] = (char *)path.data;
    }
    return NGX_CONF_OK;
}

/* ---- keyturn_require, keyturn_issuers, keyturn_token, keyturn_set_header ----------------------------- */

static void *pushed(ngx_conf_t *cf, ngx_array_t **array, size_t size)
{
    if (*array == NULL)
        *array = ngx_array_create(cf->pool, 4, size);
    return *array ? ngx_array_push(*array) : NULL;
}

static char *add_rule(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    keyturn_location *at = conf;
    jwt_rule *rule = pushed(cf, &at->rules, sizeof *rule);
    keyturn_place *place = pushed(cf, &at->rule_places, sizeof *place);
    const char **words = words_after(cf, 1);
    if (rule == NULL || place == NULL || words == NULL)
        return NGX_CONF_ERROR;
    *place = place_of(cf);
    const char *wrong = adapter_set_rule(rule, words, cf->args->nelts - 1);
    return wrong ? refused_here(cf, "require", wrong) : NGX_CONF_OK;
}

static char *set_issuers(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    keyturn_location *at = conf;
    ngx_str_t *word = cf->args->elts;
    if (at->issuers)
        return refused_here(cf, "issuers", "is given twice");
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_str_t *name = pushed(cf, &at->issuers, sizeof *name);
        if (name == NULL)
            return NGX_CONF_ERROR;
        *name = word[i];
    }
    return NGX_CONF_OK;
}

static int has_prefix(ngx_str_t word, const char *prefix, ngx_str_t *rest)
{
    size_t len = strlen(prefix);
    if (word.len <= len || ngx_strncmp(word.data, prefix, len) != 0)
        return 0;
    rest->data = word.data + len;
    rest->len = word.len - len;
    return 1;
}

static char *read_source(ngx_conf_t *cf, ngx_str_t word, keyturn_source *source)
{
    ngx_memzero(source, sizeof *source);
    if (ngx_strcmp(word.data, "header") == 0)
        source->from = KEYTURN_FROM_HEADER;
    else if (has_prefix(word, "cookie=", &source->name))
        source->from = KEYTURN_FROM_COOKIE;
    else if (has_prefix(word, "arg=", &source->name))
        source->from = KEYTURN_FROM_ARGUMENT;
    else if (word.data[0] == '$') {
        ngx_http_compile_complex_value_t compile = { .cf = cf,
                                                     .value = &word,
                                                     .complex_value = &source->value };
        source->from = KEYTURN_FROM_VARIABLE;
        return ngx_http_compile_complex_value(&compile) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
    } else
        return refused_here(cf, (char *)word.data,
                            "a token is in header, cookie=NAME, arg=NAME or a $variable");
    return NGX_CONF_OK;
}

static char *set_sources(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    keyturn_location *at = conf;
    ngx_str_t *word = cf->args->elts;
    if (at->sources)
        return refused_here(cf, "token", "is given twice");
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        keyturn_source *source = pushed(cf, &at->sources, sizeof *source);
        if (source == NULL || read_source(cf, word[i], source) != NGX_CONF_OK)
            return NGX_CONF_ERROR;
    }
    return NGX_CONF_OK;
}

/* Whether nginx reads a header of this name itself: nobody is to set it behind its back. */
static int is_nginxs_own(ngx_str_t name)
{
    for (ngx_http_header_t *own = ngx_http_headers_in; own->name.len; own++)
        if (adapter_same_name((char *)own->name.data, own->name.len, (char *)name.data, name.len))
            return 1;
    return 0;
}

static int is_token(ngx_str_t name)
{
    static const char others[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 section 5.6.2 */
    for (size_t i = 0; i < name.len; i++) {
        u_char c = name.data[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
            !strchr(others, c))
            return 0;
    }
    return name.len > 0;
}

/* $http_NAME, by which a configuration has the header, too. */
static ngx_int_t variable_of(ngx_conf_t *cf, ngx_str_t lowercase)
{
    ngx_str_t name = { sizeof "http_" - 1 + lowercase.len, NULL };
    name.data = ngx_pnalloc(cf->pool, name.len);
    if (name.data == NULL)
        return NGX_ERROR;
    u_char *end = ngx_cpymem(name.data, "http_", sizeof "http_" - 1);
    for (size_t i = 0; i < lowercase.len; i++)
        *end++ = lowercase.data[i] == '-' ? '_' : lowercase.data[i];
    return ngx_http_get_variable_index(cf, &name);
}

static char *add_header(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ngx_str_t *word = cf->args->elts;
    if (!is_token(word[1]))
        return refused_here(cf, "set_header", "this is no name of a header");
    if (is_nginxs_own(word[1]))
        return refused_here(cf, "set_header", "nginx itself reads this header");
    if (word[2].len == 0)
        return refused_here(cf, "set_header", "a claim is wanting");
    keyturn_header *header = pushed(cf, &((keyturn_location *)conf)->headers, sizeof *header);
    if (header == NULL)
        return NGX_CONF_ERROR;
    header->name = word[1];
    header->claim = word[2];
    header->lowercase.len = word[1].len;
    header->lowercase.data = ngx_pnalloc(cf->pool, word[1].len + 1);
    if (header->lowercase.data == NULL)
        return NGX_CONF_ERROR;
    ngx_memzero(header->lowercase.data, word[1].len + 1);
    header->hash = ngx_hash_strlow(header->lowercase.data, word[1].data, word[1].len);
    header->variable = variable_of(cf, header->lowercase);
    return header->variable == NGX_ERROR ? NGX_CONF_ERROR : NGX_CONF_OK;
}

static ngx_conf_enum_t modes[] = {
    { ngx_string("off"), KEYTURN_MODE_OFF },
    { ngx_string("on"), KEYTURN_MODE_ON },
    { ngx_string("optional"), KEYTURN_MODE_OPTIONAL },
    { ngx_string("report"), KEYTURN_MODE_REPORT },
    { ngx_null_string, 0 },
};

static char *set_mode(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ((keyturn_location *)conf)->place = place_of(cf);
    return ngx_conf_set_enum_slot(cf, command, conf);
}

/* ---- The whole --------------------------------------------------------------------------------------- */

static void drop_draft(void *data)
{
    keyturn_main *main = data;
    keyturn_issuer *issuer = main->issuers.elts;
    for (ngx_uint_t i = 0; main->draft && i < main->issuers.nelts; i++) {
        jwks_issuer_release(issuer[i].handle);
        issuer[i].handle = NULL;
    }
    jwks_cache_release(main->draft);
    main->draft = NULL;
}

static void *create_main(ngx_conf_t *cf)
{
    keyturn_main *main = ngx_pcalloc(cf->pool, sizeof *main);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);
    if (main == NULL || cleanup == NULL ||
        ngx_array_init(&main->settings, cf->pool, 4, sizeof(keyturn_setting)) != NGX_OK ||
        ngx_array_init(&main->issuers, cf->pool, 4, sizeof(keyturn_issuer)) != NGX_OK ||
        ngx_array_init(&main->policies, cf->pool, 4, sizeof(keyturn_policy *)) != NGX_OK)
        return NULL;
    main->cache = (jwks_cache_options)JWKS_CACHE_OPTIONS_INIT;
    main->has_store = NGX_CONF_UNSET;
    cleanup->handler = drop_draft; /* of a configuration that is refused */
    cleanup->data = main;
    return main;
}

static char *draft_cache(ngx_conf_t *cf, keyturn_main *main)
{
    jwks_error error = JWKS_ERROR_INIT;
    apply(&main->settings, ADAPTER_CACHE, &main->cache);
    jwks_cache_options draft = main->cache;
    draft.store = draft.store_user = NULL;
    draft.store_reader = 0;
    if (jwks_cache_new(&draft, &main->draft, &error) != JWT_OK)
        return refused_by_library(cf, &main->settings, place_of(cf), error);
    if ((main->cache.store_reader || main->cache.store_user) && main->cache.store == NULL)
        return refused_by_library(
            cf, &main->settings, place_of(cf),
            (jwks_error){ .option = "store_reader", .message = "needs the agent's keyturn_store" });
    return main->has_store && !main->cache.store_reader ? have_store_made(cf, main) : NGX_CONF_OK;
}

static char *draft_issuers(ngx_conf_t *cf, keyturn_main *main)
{
    keyturn_issuer *issuer = main->issuers.elts;
    for (ngx_uint_t i = 0; i < main->issuers.nelts; i++) {
        jwks_error error = JWKS_ERROR_INIT;
        if (complete_paths(cf, &issuer[i]) != NGX_CONF_OK)
            return NGX_CONF_ERROR;
        if (jwks_cache_add_issuer(main->draft, &issuer[i].options, &issuer[i].handle, &error) != JWT_OK)
            return refused_by_library(cf, &issuer[i].settings, issuer[i].place, error);
    }
    return NGX_CONF_OK;
}

static char *init_main(ngx_conf_t *cf, void *conf)
{
    keyturn_main *main = conf;
    if (main->issuers.nelts == 0)
        return NGX_CONF_OK;
    ngx_conf_init_value(main->has_store, 1);
    char *done = draft_cache(cf, main);
    return done == NGX_CONF_OK ? draft_issuers(cf, main) : done;
}

static void *create_location(ngx_conf_t *cf)
{
    keyturn_location *at = ngx_pcalloc(cf->pool, sizeof *at);
    if (at) {
        at->mode = NGX_CONF_UNSET_UINT;
        at->per_key = NGX_CONF_UNSET;
    }
    return at;
}

/* What this level does not say is as its parent has it. */
static char *inherit_settings(ngx_conf_t *cf, const keyturn_location *parent, keyturn_location *at)
{
    if (parent->settings == NULL || at->settings == parent->settings)
        return NGX_CONF_OK;
    if (at->settings == NULL) {
        at->settings = parent->settings;
        return NGX_CONF_OK;
    }
    keyturn_setting *given = parent->settings->elts;
    for (ngx_uint_t i = 0; i < parent->settings->nelts; i++) {
        if (setting_of(at->settings, given[i].option))
            continue;
        keyturn_setting *setting = ngx_array_push(at->settings);
        if (setting == NULL)
            return NGX_CONF_ERROR;
        *setting = given[i];
    }
    return NGX_CONF_OK;
}

/* A level with headers of its own has the names alone of those above: it makes none of them, and lets no client send one. */
static char *inherit_headers(const keyturn_location *parent, keyturn_location *at)
{
    if (at->headers == NULL || parent->headers == NULL) {
        at->headers = at->headers ? at->headers : parent->headers;
        return NGX_CONF_OK;
    }
    keyturn_header *above = parent->headers->elts;
    for (ngx_uint_t i = 0; i < parent->headers->nelts; i++) {
        keyturn_header *header = ngx_array_push(at->headers);
        if (header == NULL)
            return NGX_CONF_ERROR;
        *header = above[i];
        ngx_str_null(&header->claim);
    }
    return NGX_CONF_OK;
}

static keyturn_issuer *issuer_named(keyturn_main *main, const char *name)
{
    keyturn_issuer *issuer = main->issuers.elts;
    for (ngx_uint_t i = 0; i < main->issuers.nelts; i++)
        if (strcmp(issuer[i].options.issuer, name) == 0)
            return &issuer[i];
    return NULL;
}

static char *choose_issuers(ngx_conf_t *cf, keyturn_main *main, const keyturn_location *at,
                            keyturn_policy *policy)
{
    if (at->issuers == NULL && main->issuers.nelts != 1)
        return refused(cf, at->place, "issuers",
                       main->issuers.nelts ? "with more than one keyturn_issuer, keyturn_issuers says which"
                                           : "there is no keyturn_issuer");
    policy->count = at->issuers ? at->issuers->nelts : 1;
    policy->issuers = ngx_palloc(cf->pool, policy->count * sizeof *policy->issuers);
    policy->handles = ngx_palloc(cf->pool, policy->count * sizeof *policy->handles);
    if (policy->issuers == NULL || policy->handles == NULL)
        return NGX_CONF_ERROR;
    for (size_t i = 0; i < policy->count; i++) {
        const char *name = at->issuers ? (char *)((ngx_str_t *)at->issuers->elts)[i].data : NULL;
        policy->issuers[i] = name ? issuer_named(main, name) : main->issuers.elts;
        if (policy->issuers[i] == NULL)
            return refused(cf, at->place, name, "there is no such keyturn_issuer");
        policy->handles[i] = policy->issuers[i]->handle;
    }
    return NGX_CONF_OK;
}

/* The flight that is under way, and one more. */
static ngx_msec_t patience(const keyturn_policy *policy)
{
    ngx_msec_t longest = 0;
    for (size_t i = 0; i < policy->count; i++) {
        ngx_msec_t one = policy->issuers[i]->options.fetch_timeout_ms;
        if (one == 0)
            one = FETCH_TIMEOUT_MS;
        longest = ngx_max(longest, one);
    }
    return 2 * longest;
}

/* The line of "rules[1].claim"; for all else that of the mode. */
static keyturn_place place_of_rule(const keyturn_location *at, const char *option)
{
    unsigned index;
    if (at->rules && sscanf(option, "rules[%u]", &index) == 1 && index < at->rule_places->nelts)
        return ((keyturn_place *)at->rule_places->elts)[index];
    return at->place;
}

static char *try_policy(ngx_conf_t *cf, keyturn_main *main, const keyturn_location *at,
                        keyturn_policy *policy)
{
    static const ngx_array_t nothing;
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy *draft;
    policy->options.issuers = policy->handles;
    policy->options.issuer_count = policy->count;
    if (jwt_policy_new(main->draft, &policy->options, &draft, &error) != JWT_OK)
        return refused_by_library(cf, at->settings ? at->settings : &nothing, place_of_rule(at, error.option),
                                  error);
    jwt_policy_release(draft);
    return NGX_CONF_OK;
}

static char *make_policy(ngx_conf_t *cf, keyturn_main *main, keyturn_location *at)
{
    keyturn_policy *policy = ngx_pcalloc(cf->pool, sizeof *policy);
    keyturn_policy **place = ngx_array_push(&main->policies);
    if (policy == NULL || place == NULL)
        return NGX_CONF_ERROR;
    *place = at->policy = policy;
    policy->options = (jwt_policy_options)JWT_POLICY_OPTIONS_INIT;
    if (at->settings)
        apply(at->settings, ADAPTER_POLICY, &policy->options);
    if (at->rules) {
        policy->options.rules = at->rules->elts;
        policy->options.rule_count = at->rules->nelts;
    }
    if (choose_issuers(cf, main, at, policy) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    policy->patience = patience(policy);
    return try_policy(cf, main, at, policy);
}

/* A server that has locations may leave to them what its policy lacks; what is in none of them is then closed. */
static int is_outline(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t *core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    return core->name.len == 0 && !core->noname && core->locations;
}

static char *make_outline(ngx_conf_t *cf, keyturn_main *main, keyturn_location *at)
{
    ngx_uint_t level = cf->log->log_level, policies = main->policies.nelts;
    cf->log->log_level = NGX_LOG_STDERR; /* the locations will tell */
    if (make_policy(cf, main, at) != NGX_CONF_OK) {
        main->policies.nelts = policies;
        at->policy = NULL;
    }
    cf->log->log_level = level;
    return NGX_CONF_OK;
}

static char *try_challenge(ngx_conf_t *cf, keyturn_location *at)
{
    size_t len;
    at->challenge = (jwt_challenge_options)JWT_CHALLENGE_OPTIONS_INIT;
    if (at->settings)
        apply(at->settings, ADAPTER_CHALLENGE, &at->challenge);
    if (jwt_challenge(JWT_MISSING, &at->challenge, NULL, 0, &len) != JWKS_INVALID_OPTION)
        return NGX_CONF_OK;
    return refused(cf, at->place, "",
                   "realm, scope or resource_metadata is too long, or holds control characters");
}

static int asks_the_same(const keyturn_location *parent, const keyturn_location *at)
{
    return parent->policy && at->settings == parent->settings && at->issuers == parent->issuers &&
           at->rules == parent->rules;
}

static char *merge_location(ngx_conf_t *cf, void *above, void *below)
{
    keyturn_main *main = ngx_http_conf_get_module_main_conf(cf, ngx_http_keyturn_module);
    keyturn_location *parent = above, *at = below;
    if (at->mode == NGX_CONF_UNSET_UINT)
        at->place = parent->place;
    ngx_conf_merge_uint_value(at->mode, parent->mode, KEYTURN_MODE_OFF);
    ngx_conf_merge_value(at->per_key, parent->per_key, 0);
    if (inherit_settings(cf, parent, at) != NGX_CONF_OK || inherit_headers(parent, at) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    at->issuers = at->issuers ? at->issuers : parent->issuers;
    if (at->rules == NULL) {
        at->rules = parent->rules;
        at->rule_places = parent->rule_places;
    }
    at->sources = at->sources ? at->sources : parent->sources;
    if (at->mode == KEYTURN_MODE_OFF)
        return NGX_CONF_OK;
    if (asks_the_same(parent, at))
        at->policy = parent->policy;
    else if ((is_outline(cf) ? make_outline : make_policy)(cf, main, at) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    return try_challenge(cf, at);
}

static ngx_int_t add_handler(ngx_conf_t *cf, ngx_uint_t phase, ngx_http_handler_pt handler)
{
    ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_handler_pt *place = ngx_array_push(&core->phases[phase].handlers);
    if (place == NULL)
        return NGX_ERROR;
    *place = handler;
    return NGX_OK;
}

static ngx_int_t finish(ngx_conf_t *cf)
{
    drop_draft(ngx_http_conf_get_module_main_conf(cf, ngx_http_keyturn_module));
    if (add_handler(cf, NGX_HTTP_PREACCESS_PHASE, keyturn_clean_headers) != NGX_OK)
        return NGX_ERROR;
    return add_handler(cf, NGX_HTTP_ACCESS_PHASE, keyturn_check_access);
}

/* ---- Directives -------------------------------------------------------------------------------------- */

#define ANYWHERE (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LMT_CONF)
#define CACHE_OPTION(name)                                                                                   \
    {                                                                                                        \
        ngx_string(PREFIX name), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_cache_option,                      \
            NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL                                                               \
    }
#define POLICY_OPTION(name)                                                                                  \
    {                                                                                                        \
        ngx_string(PREFIX name), ANYWHERE | NGX_CONF_1MORE, set_policy_option, NGX_HTTP_LOC_CONF_OFFSET, 0,  \
            NULL                                                                                             \
    }
#define HERE(name, takes, handler)                                                                           \
    {                                                                                                        \
        ngx_string(PREFIX name), ANYWHERE | (takes), handler, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL              \
    }

ngx_command_t keyturn_commands[] = {
    { ngx_string("keyturn"), ANYWHERE | NGX_CONF_TAKE1, set_mode, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(keyturn_location, mode), modes },
    { ngx_string(PREFIX "issuer"), NGX_HTTP_MAIN_CONF | NGX_CONF_BLOCK | NGX_CONF_TAKE1, set_issuer,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },
    { ngx_string(PREFIX "store"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_store, NGX_HTTP_MAIN_CONF_OFFSET,
      0, NULL },
    { ngx_string(PREFIX "claim_set"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE2, keyturn_claim_set,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },
    { ngx_string(PREFIX "metrics"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1, keyturn_metrics,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },
    { ngx_string(PREFIX "keys"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, keyturn_keys, NGX_HTTP_LOC_CONF_OFFSET,
      0, NULL },
    HERE("issuers", NGX_CONF_1MORE, set_issuers),
    HERE("require", NGX_CONF_1MORE, add_rule),
    HERE("token", NGX_CONF_1MORE, set_sources),
    HERE("set_header", NGX_CONF_TAKE2, add_header),
    CACHE_OPTION("store_user"),
    CACHE_OPTION("store_reader"),
    CACHE_OPTION("max_issuers"),
    CACHE_OPTION("max_revocations"),
    CACHE_OPTION("max_fetches"),
    CACHE_OPTION("max_events"),
    CACHE_OPTION("key_tables"),
    CACHE_OPTION("token_cache"),
    POLICY_OPTION("audiences"),
    POLICY_OPTION("algorithms"),
    POLICY_OPTION("type"),
    POLICY_OPTION("leeway_s"),
    POLICY_OPTION("max_lifetime_s"),
    POLICY_OPTION("allow_any_issuer"),
    POLICY_OPTION("allow_any_audience"),
    POLICY_OPTION("allow_no_expiry"),
    POLICY_OPTION("host_confirms"),
    POLICY_OPTION("max_token"),
    POLICY_OPTION("max_kid"),
    POLICY_OPTION("max_header_members"),
    POLICY_OPTION("max_claims_members"),
    POLICY_OPTION("max_nesting"),
    POLICY_OPTION("realm"),
    POLICY_OPTION("scope"),
    POLICY_OPTION("resource_metadata"),
    ngx_null_command,
};

ngx_http_module_t keyturn_context = {
    keyturn_add_variables, finish, create_main, init_main, NULL, NULL, create_location, merge_location,
};
