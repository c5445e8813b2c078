/* The configuration, read line by line. Apache has each section apart, and puts together those that a request is in when it
 * comes: so a policy is what one section says of it, whole, and can be tried out before (draft.c).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

#include "apr_lib.h"

#define PREFIX "Keyturn"
enum { PREFIX_LEN = sizeof PREFIX - 1 };

keyturn_main *keyturn_configured;

static apr_status_t forget(void *data)
{
    keyturn_configured = NULL;
    return APR_SUCCESS;
}

int keyturn_begin_settings(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *scratch)
{
    keyturn_main *main = apr_pcalloc(pool, sizeof *main);
    main->pool = pool;
    main->cache = (jwks_cache_options)JWKS_CACHE_OPTIONS_INIT;
    main->has_store = -1;
    main->settings = apr_array_make(pool, 4, sizeof(keyturn_setting));
    main->issuers = apr_array_make(pool, 4, sizeof(keyturn_issuer *));
    main->policies = apr_array_make(pool, 4, sizeof(keyturn_policy *));
    main->requirements = apr_array_make(pool, 4, sizeof(keyturn_requirement *));
    keyturn_configured = main;
    apr_pool_cleanup_register(pool, NULL, forget, apr_pool_cleanup_null);
    return OK;
}

keyturn_place keyturn_place_of(const cmd_parms *cmd)
{
    return (keyturn_place){ cmd->directive->filename, cmd->directive->line_num };
}

static const char *refused(const cmd_parms *cmd, const char *option, const char *sentence)
{
    return apr_pstrcat(cmd->pool, "keyturn: ", option, ": ", sentence, NULL);
}

/* ---- Options ---------------------------------------------------------------------------------------- */

const char **keyturn_words(apr_pool_t *pool, const char *line, size_t *count)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(char *));
    while (*line)
        APR_ARRAY_PUSH(words, const char *) = ap_getword_conf(pool, &line);
    *count = (size_t)words->nelts;
    return (const char **)words->elts;
}

/* KeyturnMaxKeys is max_keys: Apache does not look at case, and has no '_' in names. */
static int is_spelled(const char *directive, const char *option)
{
    for (; *option; option++) {
        if (*option == '_')
            continue;
        if (apr_tolower(*directive++) != *option)
            return 0;
    }
    return *directive == '\0';
}

static const adapter_option *option_of(adapter_struct of, const char *directive)
{
    if (ap_cstr_casecmpn(directive, PREFIX, PREFIX_LEN) != 0)
        return NULL;
    for (const adapter_option *option = ADAPTER_OPTIONS; option->name; option++)
        if (option->of == of && is_spelled(directive + PREFIX_LEN, option->name))
            return option;
    return NULL;
}

static int is_given(const apr_array_header_t *settings, const adapter_option *option)
{
    for (int i = 0; i < settings->nelts; i++)
        if (APR_ARRAY_IDX(settings, i, keyturn_setting).option == option)
            return 1;
    return 0;
}

/* Keeps what a line says of the option, if its values can be read. */
static const char *keep(const cmd_parms *cmd, apr_array_header_t *settings, const adapter_option *option,
                        const char *line, keyturn_place place)
{
    union {
        jwks_cache_options cache;
        jwks_issuer_options issuer;
        jwt_policy_options policy;
    } scratch;
    keyturn_setting setting = { option, NULL, 0, place };
    setting.values = keyturn_words(cmd->pool, line, &setting.count);
    if (is_given(settings, option))
        return refused(cmd, option->name, "is given twice");
    APR_ARRAY_PUSH(settings, keyturn_setting) = setting;
    const char *wrong = adapter_set(option, &scratch, setting.values, setting.count);
    return wrong ? refused(cmd, option->name, wrong) : NULL;
}

void keyturn_apply(const apr_array_header_t *settings, adapter_struct of, void *options)
{
    for (int i = 0; i < settings->nelts; i++) {
        const keyturn_setting *setting = &APR_ARRAY_IDX(settings, i, keyturn_setting);
        if (setting->option->of == of)
            (void)adapter_set(setting->option, options, setting->values, setting->count);
    }
}

/* ---- For the whole server ----------------------------------------------------------------------------- */

static const char *set_cache_option(cmd_parms *cmd, void *section, const char *line)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    const adapter_option *option = option_of(ADAPTER_CACHE, cmd->cmd->name);
    return wrong ? wrong : keep(cmd, keyturn_configured->settings, option, line, keyturn_place_of(cmd));
}

static const char *set_store(cmd_parms *cmd, void *section, const char *path)
{
    keyturn_main *main = keyturn_configured;
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (wrong)
        return wrong;
    if (main->has_store != -1)
        return refused(cmd, "store", "is given twice");
    main->has_store = strcmp(path, "off") != 0;
    main->cache.store = main->has_store ? ap_server_root_relative(cmd->pool, path) : NULL;
    return main->has_store && main->cache.store == NULL ? refused(cmd, "store", "this is no path") : NULL;
}

/* ---- <KeyturnIssuer ISS> -------------------------------------------------------------------------------- */

/* Relative paths are the server's, as everywhere in its configuration. */
static const char *complete_paths(const cmd_parms *cmd, jwks_issuer_options *options)
{
    const char **paths[] = { &options->file, &options->ca_file, &options->client_certificate,
                             &options->client_key };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (*paths[i] == NULL)
            continue;
        *paths[i] = ap_server_root_relative(cmd->pool, *paths[i]);
        if (*paths[i] == NULL)
            return refused(cmd, "file", "this is no path");
    }
    return NULL;
}

static const char *set_issuer_option(cmd_parms *cmd, keyturn_issuer *issuer, const ap_directive_t *line)
{
    const adapter_option *option = option_of(ADAPTER_ISSUER, line->directive);
    if (option == NULL || strcmp(option->name, "issuer") == 0)
        return refused(cmd, line->directive, "no such option of an issuer");
    keyturn_place place = { line->filename, line->line_num };
    return keep(cmd, issuer->settings, option, line->args, place);
}

static const char *issuer_named_in(apr_pool_t *pool, const char *line)
{
    const char *end = strrchr(line, '>');
    const char *rest = end ? apr_pstrmemdup(pool, line, (size_t)(end - line)) : "";
    const char *name = ap_getword_conf(pool, &rest);
    return *rest ? "" : name;
}

/* What is in the block are lines of ours, and no directives that stand elsewhere. */
static const char *set_issuer(cmd_parms *cmd, void *section, const char *line)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (wrong)
        return wrong;
    keyturn_issuer *issuer = apr_pcalloc(cmd->pool, sizeof *issuer);
    issuer->options = (jwks_issuer_options)JWKS_ISSUER_OPTIONS_INIT;
    issuer->options.issuer = issuer_named_in(cmd->pool, line);
    issuer->settings = apr_array_make(cmd->pool, 8, sizeof(keyturn_setting));
    issuer->place = keyturn_place_of(cmd);
    if (*issuer->options.issuer == '\0')
        return "keyturn: <KeyturnIssuer ISS> wants the value of iss";
    for (ap_directive_t *each = cmd->directive->first_child; each && !wrong; each = each->next) {
        wrong = set_issuer_option(cmd, issuer, each);
        if (wrong)
            cmd->err_directive = each;
    }
    keyturn_apply(issuer->settings, ADAPTER_ISSUER, &issuer->options);
    APR_ARRAY_PUSH(keyturn_configured->issuers, keyturn_issuer *) = issuer;
    return wrong ? wrong : complete_paths(cmd, &issuer->options);
}

/* ---- The policy of a section ------------------------------------------------------------------------------ */

static keyturn_policy *policy_of(const cmd_parms *cmd, keyturn_section *section)
{
    if (section->policy)
        return section->policy;
    keyturn_policy *policy = apr_pcalloc(cmd->pool, sizeof *policy);
    policy->options = (jwt_policy_options)JWT_POLICY_OPTIONS_INIT;
    policy->settings = apr_array_make(cmd->pool, 4, sizeof(keyturn_setting));
    policy->names = apr_array_make(cmd->pool, 2, sizeof(char *));
    policy->rules = apr_array_make(cmd->pool, 2, sizeof(jwt_rule));
    policy->rule_places = apr_array_make(cmd->pool, 2, sizeof(keyturn_place));
    policy->place = keyturn_place_of(cmd);
    APR_ARRAY_PUSH(keyturn_configured->policies, keyturn_policy *) = policy;
    return section->policy = policy;
}

static const char *set_policy_option(cmd_parms *cmd, void *section, const char *line)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    const adapter_option *option = option_of(ADAPTER_POLICY, cmd->cmd->name);
    return wrong ? wrong : keep(cmd, policy_of(cmd, section)->settings, option, line, keyturn_place_of(cmd));
}

static const char *add_issuer(cmd_parms *cmd, void *section, const char *name)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    if (wrong == NULL)
        APR_ARRAY_PUSH(policy_of(cmd, section)->names, const char *) = name;
    return wrong;
}

static const char *add_rule(cmd_parms *cmd, void *section, const char *line)
{
    size_t count;
    const char *const *words = keyturn_words(cmd->pool, line, &count);
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    if (wrong)
        return wrong;
    keyturn_policy *policy = policy_of(cmd, section);
    jwt_rule *rule = apr_array_push(policy->rules);
    APR_ARRAY_PUSH(policy->rule_places, keyturn_place) = keyturn_place_of(cmd);
    wrong = adapter_set_rule(rule, words, count);
    return wrong ? refused(cmd, "require", wrong) : NULL;
}

/* ---- What else a section says ------------------------------------------------------------------------------ */

static const char *set_mode(cmd_parms *cmd, void *section, const char *word)
{
    static const adapter_word modes[] = { { "off", KEYTURN_MODE_OFF },
                                          { "on", KEYTURN_MODE_ON },
                                          { "optional", KEYTURN_MODE_OPTIONAL },
                                          { "report", KEYTURN_MODE_REPORT },
                                          { NULL, 0 } };
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    if (wrong)
        return wrong;
    const adapter_word *mode = modes;
    while (mode->word && strcmp(mode->word, word) != 0)
        mode++;
    if (mode->word == NULL)
        return "keyturn: Keyturn is on, off, optional or report";
    ((keyturn_section *)section)->mode = (keyturn_mode)mode->number;
    if (mode->number != KEYTURN_MODE_OFF && keyturn_configured->first.file == NULL)
        keyturn_configured->first = keyturn_place_of(cmd);
    return NULL;
}

static const char *set_challenge_option(cmd_parms *cmd, void *section, const char *text)
{
    jwt_challenge_options alone = JWT_CHALLENGE_OPTIONS_INIT;
    const adapter_option *option = option_of(ADAPTER_CHALLENGE, cmd->cmd->name);
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    size_t len;
    if (wrong)
        return wrong;
    (void)adapter_set(option, &((keyturn_section *)section)->challenge, &text, 1);
    (void)adapter_set(option, &alone, &text, 1);
    return jwt_challenge(JWT_MISSING, &alone, NULL, 0, &len) == JWKS_INVALID_OPTION
               ? refused(cmd, option->name, "is too long, or holds control characters")
               : NULL;
}

static const char *add_source(cmd_parms *cmd, void *data, const char *place)
{
    static const char sentence[] = "a token is in header, cookie=NAME or arg=NAME";
    keyturn_section *section = data;
    keyturn_source source = { KEYTURN_FROM_HEADER, NULL };
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    if (wrong)
        return wrong;
    if (strncmp(place, "cookie=", 7) == 0)
        source = (keyturn_source){ KEYTURN_FROM_COOKIE, place + 7 };
    else if (strncmp(place, "arg=", 4) == 0)
        source = (keyturn_source){ KEYTURN_FROM_ARGUMENT, place + 4 };
    else if (strcmp(place, "header") != 0)
        return refused(cmd, "token", sentence);
    if (source.name && *source.name == '\0')
        return refused(cmd, "token", sentence);
    if (section->sources == NULL)
        section->sources = apr_array_make(cmd->pool, 2, sizeof(keyturn_source));
    APR_ARRAY_PUSH(section->sources, keyturn_source) = source;
    return NULL;
}

static const char *add_made(cmd_parms *cmd, apr_array_header_t **all, const char *name, const char *claim)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    if (wrong)
        return wrong;
    if (*claim == '\0')
        return refused(cmd, name, "a claim is wanting");
    if (*all == NULL)
        *all = apr_array_make(cmd->pool, 4, sizeof(keyturn_made));
    APR_ARRAY_PUSH(*all, keyturn_made) = (keyturn_made){ name, claim };
    return NULL;
}

/* Whether the server, or who is behind it, goes by a header of this name in how it reads or answers a request. */
static int is_apaches_own(const char *name)
{
    static const char *const own[] = {
        "Authorization", "Connection", "Content-Length",    "Cookie",
        "Expect",        "Host",       "Keep-Alive",        "Proxy-Authorization",
        "Range",         "TE",         "Transfer-Encoding", "Trailer",
        "Upgrade",       NULL
    };
    for (const char *const *each = own; *each; each++)
        if (adapter_same_name(*each, strlen(*each), name, strlen(name)))
            return 1;
    return 0;
}

static const char *add_header(cmd_parms *cmd, void *section, const char *name, const char *claim)
{
    if (*name == '\0' || *ap_scan_http_token(name) != '\0')
        return refused(cmd, "set_header", "this is no name of a header");
    if (is_apaches_own(name))
        return refused(cmd, "set_header", "Apache itself reads this header");
    return add_made(cmd, &((keyturn_section *)section)->headers, name, claim);
}

static const char *add_variable(cmd_parms *cmd, void *section, const char *name, const char *claim)
{
    return add_made(cmd, &((keyturn_section *)section)->variables, name, claim);
}

static const char *set_user(cmd_parms *cmd, void *section, const char *claim)
{
    ((keyturn_section *)section)->user = claim;
    return ap_check_cmd_context(cmd, NOT_IN_LIMIT);
}

/* ---- Sections ------------------------------------------------------------------------------------------------ */

void *keyturn_create_section(apr_pool_t *pool, char *where)
{
    keyturn_section *section = apr_pcalloc(pool, sizeof *section);
    section->challenge = (jwt_challenge_options)JWT_CHALLENGE_OPTIONS_INIT;
    return section;
}

/* An inner section with headers of its own has the names alone of the outer ones: it makes none of them, and lets no client
 * send one. */
static apr_array_header_t *merge_headers(apr_pool_t *pool, apr_array_header_t *outer,
                                         apr_array_header_t *inner)
{
    if (outer == NULL || inner == NULL)
        return inner ? inner : outer;
    apr_array_header_t *both = apr_array_copy(pool, inner);
    for (int i = 0; i < outer->nelts; i++)
        APR_ARRAY_PUSH(both, keyturn_made) =
            (keyturn_made){ APR_ARRAY_IDX(outer, i, keyturn_made).name, NULL };
    return both;
}

#define INNERMOST(field) both->field = in->field ? in->field : out->field

void *keyturn_merge_sections(apr_pool_t *pool, void *outer, void *inner)
{
    const keyturn_section *out = outer, *in = inner;
    keyturn_section *both = apr_palloc(pool, sizeof *both);
    both->challenge = out->challenge;
    INNERMOST(mode);
    INNERMOST(is_required);
    INNERMOST(policy);
    INNERMOST(challenge.realm);
    INNERMOST(challenge.scope);
    INNERMOST(challenge.resource_metadata);
    INNERMOST(user);
    INNERMOST(sources);
    both->headers = merge_headers(pool, out->headers, in->headers);
    INNERMOST(variables);
    return both;
}

/* ---- Directives ---------------------------------------------------------------------------------------------- */

#define ANYWHERE (RSRC_CONF | ACCESS_CONF)
#define CACHE_OPTION(name) AP_INIT_RAW_ARGS(PREFIX name, set_cache_option, NULL, RSRC_CONF, "docs/options.md")
#define POLICY_OPTION(name)                                                                                  \
    AP_INIT_RAW_ARGS(PREFIX name, set_policy_option, NULL, ANYWHERE, "docs/options.md")
#define CHALLENGE_OPTION(name)                                                                               \
    AP_INIT_TAKE1(PREFIX name, set_challenge_option, NULL, ANYWHERE, "docs/options.md")

const command_rec keyturn_commands[] = {
    AP_INIT_TAKE1(PREFIX, set_mode, NULL, ANYWHERE, "on, off, optional or report"),
    AP_INIT_RAW_ARGS("<" PREFIX "Issuer", set_issuer, NULL, RSRC_CONF, "the value of iss"),
    AP_INIT_TAKE1(PREFIX "Store", set_store, NULL, RSRC_CONF, "a directory, or off"),
    AP_INIT_ITERATE(PREFIX "Issuers", add_issuer, NULL, ANYWHERE, "whose tokens count"),
    AP_INIT_RAW_ARGS(PREFIX "Require", add_rule, NULL, ANYWHERE, "CLAIM [KIND VALUE...]"),
    AP_INIT_ITERATE(PREFIX "Token", add_source, NULL, ANYWHERE, "header, cookie=NAME, arg=NAME"),
    AP_INIT_TAKE2(PREFIX "SetHeader", add_header, NULL, ANYWHERE, "NAME CLAIM"),
    AP_INIT_TAKE2(PREFIX "SetEnv", add_variable, NULL, ANYWHERE, "NAME CLAIM"),
    AP_INIT_TAKE1(PREFIX "User", set_user, NULL, ANYWHERE, "the claim that becomes REMOTE_USER"),
    CACHE_OPTION("StoreUser"),
    CACHE_OPTION("StoreReader"),
    CACHE_OPTION("MaxIssuers"),
    CACHE_OPTION("MaxRevocations"),
    CACHE_OPTION("MaxFetches"),
    CACHE_OPTION("MaxEvents"),
    CACHE_OPTION("KeyTables"),
    CACHE_OPTION("TokenCache"),
    POLICY_OPTION("Audiences"),
    POLICY_OPTION("Algorithms"),
    POLICY_OPTION("Type"),
    POLICY_OPTION("LeewayS"),
    POLICY_OPTION("MaxLifetimeS"),
    POLICY_OPTION("AllowAnyIssuer"),
    POLICY_OPTION("AllowAnyAudience"),
    POLICY_OPTION("AllowNoExpiry"),
    POLICY_OPTION("HostConfirms"),
    POLICY_OPTION("MaxToken"),
    POLICY_OPTION("MaxKid"),
    POLICY_OPTION("MaxHeaderMembers"),
    POLICY_OPTION("MaxClaimsMembers"),
    POLICY_OPTION("MaxNesting"),
    CHALLENGE_OPTION("Realm"),
    CHALLENGE_OPTION("Scope"),
    CHALLENGE_OPTION("ResourceMetadata"),
    { NULL, { NULL }, NULL, 0, RAW_ARGS, NULL },
};
