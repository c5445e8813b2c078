/* The configuration, tried out on a draft of the cache before any child is there, so that what the library would refuse in a
 * child is refused here, with its file and line. Nothing but memory is touched, so `apachectl -t` leaves nothing behind.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

#include "ap_config_layout.h"
#include "unixd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

APLOG_USE_MODULE(keyturn);

enum { FETCH_TIMEOUT_MS = 5000 }; /* the library's default */

static int refused(keyturn_place place, const char *option, const char *sentence)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, NULL,
                 "Syntax error on line %d of %s: keyturn: %s%s%s", place.line, place.file, option,
                 option[0] ? ": " : "", sentence);
    return DONE;
}

/* What the library refuses, at the line that says it: "audiences[1]" is of the setting `audiences`. */
static int refused_by_library(const apr_array_header_t *settings, keyturn_place otherwise, jwks_error error)
{
    size_t len = strcspn(error.option, "[.");
    for (int i = 0; i < settings->nelts; i++) {
        const keyturn_setting *setting = &APR_ARRAY_IDX(settings, i, keyturn_setting);
        if (strlen(setting->option->name) == len && strncmp(setting->option->name, error.option, len) == 0)
            otherwise = setting->place;
    }
    return refused(otherwise, error.option, error.message);
}

/* ---- The cache and its issuers -------------------------------------------------------------------------- */

/* Beside the directory where mod_proxy would have its own. */
static const char *usual_store(apr_pool_t *pool)
{
    const char *sibling = DEFAULT_REL_PROXYCACHEDIR, *slash = strrchr(sibling, '/');
    const char *folder = slash ? apr_pstrmemdup(pool, sibling, (size_t)(slash + 1 - sibling)) : "";
    return ap_server_root_relative(pool, apr_pstrcat(pool, folder, "keyturn", NULL));
}

static int draft_cache(keyturn_main *main, keyturn_place place, jwks_cache **draft)
{
    jwks_error error = JWKS_ERROR_INIT;
    keyturn_apply(main->settings, ADAPTER_CACHE, &main->cache);
    jwks_cache_options without = main->cache;
    without.store = without.store_user = NULL;
    without.store_reader = 0;
    if (jwks_cache_new(&without, draft, &error) != JWT_OK)
        return refused_by_library(main->settings, place, error);
    if ((main->cache.store_reader || main->cache.store_user) && main->cache.store == NULL) {
        jwks_error lacks = { .option = "store_reader", .message = "needs the agent's KeyturnStore" };
        return refused_by_library(main->settings, place, lacks);
    }
    if (main->has_store && main->cache.store == NULL)
        main->cache.store = usual_store(main->pool);
    return OK;
}

static int draft_issuers(keyturn_main *main, jwks_cache *draft)
{
    for (int i = 0; i < main->issuers->nelts; i++) {
        keyturn_issuer *issuer = APR_ARRAY_IDX(main->issuers, i, keyturn_issuer *);
        jwks_error error = JWKS_ERROR_INIT;
        if (jwks_cache_add_issuer(draft, &issuer->options, &issuer->handle, &error) != JWT_OK)
            return refused_by_library(issuer->settings, issuer->place, error);
    }
    return OK;
}

static void drop_draft(keyturn_main *main, jwks_cache *draft)
{
    for (int i = 0; i < main->issuers->nelts; i++) {
        keyturn_issuer *issuer = APR_ARRAY_IDX(main->issuers, i, keyturn_issuer *);
        jwks_issuer_release(issuer->handle);
        issuer->handle = NULL;
    }
    jwks_cache_release(draft);
}

/* ---- Policies ------------------------------------------------------------------------------------------------ */

static keyturn_issuer *issuer_named(keyturn_main *main, const char *name)
{
    for (int i = 0; i < main->issuers->nelts; i++) {
        keyturn_issuer *issuer = APR_ARRAY_IDX(main->issuers, i, keyturn_issuer *);
        if (strcmp(issuer->options.issuer, name) == 0)
            return issuer;
    }
    return NULL;
}

static int choose_issuers(keyturn_main *main, keyturn_policy *policy)
{
    int is_named = policy->names->nelts > 0;
    if (!is_named && main->issuers->nelts != 1)
        return refused(policy->place, "issuers",
                       main->issuers->nelts ? "with more than one <KeyturnIssuer>, KeyturnIssuers says which"
                                            : "there is no <KeyturnIssuer>");
    policy->count = is_named ? (size_t)policy->names->nelts : 1;
    policy->issuers = apr_palloc(main->pool, policy->count * sizeof *policy->issuers);
    policy->handles = apr_palloc(main->pool, policy->count * sizeof *policy->handles);
    for (size_t i = 0; i < policy->count; i++) {
        const char *name = is_named ? APR_ARRAY_IDX(policy->names, i, const char *) : NULL;
        policy->issuers[i] =
            name ? issuer_named(main, name) : APR_ARRAY_IDX(main->issuers, 0, keyturn_issuer *);
        if (policy->issuers[i] == NULL)
            return refused(policy->place, name, "there is no such <KeyturnIssuer>");
        policy->handles[i] = policy->issuers[i]->handle;
    }
    return OK;
}

/* The flight that is under way, and one more. */
static apr_uint32_t patience(const keyturn_policy *policy)
{
    apr_uint32_t longest = 0;
    for (size_t i = 0; i < policy->count; i++) {
        apr_uint32_t one = policy->issuers[i]->options.fetch_timeout_ms;
        if (one == 0)
            one = FETCH_TIMEOUT_MS;
        longest = one > longest ? one : longest;
    }
    return 2 * longest;
}

/* The line of "rules[1].claim"; for all else the first of the policy. */
static keyturn_place place_in(const keyturn_policy *policy, const char *option)
{
    int index;
    if (sscanf(option, "rules[%d]", &index) == 1 && index >= 0 && index < policy->rule_places->nelts)
        return APR_ARRAY_IDX(policy->rule_places, index, keyturn_place);
    return policy->place;
}

static int draft_policy(keyturn_main *main, jwks_cache *draft, keyturn_policy *policy)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy *tried;
    if (choose_issuers(main, policy) != OK)
        return DONE;
    keyturn_apply(policy->settings, ADAPTER_POLICY, &policy->options);
    policy->options.rules = (const jwt_rule *)policy->rules->elts;
    policy->options.rule_count = (size_t)policy->rules->nelts;
    policy->options.issuers = policy->handles;
    policy->options.issuer_count = policy->count;
    policy->patience = patience(policy);
    if (jwt_policy_new(draft, &policy->options, &tried, &error) != JWT_OK)
        return refused_by_library(policy->settings, place_in(policy, error.option), error);
    jwt_policy_release(tried);
    return OK;
}

static int draft_policies(keyturn_main *main, jwks_cache *draft)
{
    if (main->policies->nelts == 0 && main->first.file)
        return refused(main->first, "audiences",
                       "KeyturnAudiences says for whom tokens are, or KeyturnAllowAnyAudience on");
    for (int i = 0; i < main->policies->nelts; i++)
        if (draft_policy(main, draft, APR_ARRAY_IDX(main->policies, i, keyturn_policy *)) != OK)
            return DONE;
    return OK;
}

/* The rule of a line `Require keyturn-claim`, as one of a policy. */
static int draft_requirements(keyturn_main *main, jwks_cache *draft)
{
    if (main->issuers->nelts == 0 && main->requirements->nelts > 0)
        return refused(APR_ARRAY_IDX(main->requirements, 0, keyturn_requirement *)->place, "issuers",
                       "there is no <KeyturnIssuer>");
    for (int i = 0; i < main->requirements->nelts; i++) {
        const keyturn_requirement *required = APR_ARRAY_IDX(main->requirements, i, keyturn_requirement *);
        jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
        jwks_error error = JWKS_ERROR_INIT;
        jwt_policy *tried;
        options.issuers = &APR_ARRAY_IDX(main->issuers, 0, keyturn_issuer *)->handle;
        options.issuer_count = 1;
        options.allow_any_audience = 1;
        options.rules = &required->rule;
        options.rule_count = 1;
        if (jwt_policy_new(draft, &options, &tried, &error) != JWT_OK)
            return refused(required->place, error.option, error.message);
        jwt_policy_release(tried);
    }
    return OK;
}

/* ---- The whole ------------------------------------------------------------------------------------------------- */

static int is_used(const keyturn_main *main)
{
    return main->issuers->nelts || main->policies->nelts || main->first.file || main->settings->nelts ||
           main->requirements->nelts;
}

int keyturn_check_settings(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *scratch, server_rec *server)
{
    keyturn_main *main = keyturn_configured;
    jwks_cache *draft = NULL;
    keyturn_place place =
        main->issuers->nelts ? APR_ARRAY_IDX(main->issuers, 0, keyturn_issuer *)->place : main->first;
    if (!is_used(main))
        return OK;
    int done = draft_cache(main, place, &draft);
    if (done == OK)
        done = draft_issuers(main, draft);
    if (done == OK)
        done = draft_policies(main, draft);
    if (done == OK)
        done = draft_requirements(main, draft);
    drop_draft(main, draft);
    return done;
}

/* Made for the children's user, before they are there. An agent's store is made by the agent, and a child that cannot use its
 * own says so. */
int keyturn_make_store(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *scratch, server_rec *server)
{
    const keyturn_main *main = keyturn_configured;
    if (main->issuers->nelts == 0 || main->cache.store == NULL || main->cache.store_reader ||
        mkdir(main->cache.store, 0700) != 0 || geteuid() != 0)
        return OK;
    int folder = open(main->cache.store, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || fchown(folder, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0)
        ap_log_error(APLOG_MARK, APLOG_WARNING, errno, server, "keyturn: %s is not the children's",
                     main->cache.store);
    if (folder >= 0)
        close(folder);
    return OK;
}
