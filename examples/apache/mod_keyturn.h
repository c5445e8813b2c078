/* mod_keyturn.h - what the parts of mod_keyturn share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * settings.c reads the configuration, and draft.c tries it out, before any child is there; child.c has a child's keys, from
 * its start to its end; access.c tells a request's story, confirm.c whose token it is, and require.c what `Require` asks of it; told.c and pages.c
 * tell what is known of it, and of the keys. */
#ifndef MOD_KEYTURN_H
#define MOD_KEYTURN_H

#include "httpd.h" /* first */

#include "apr_strings.h"
#include "apr_thread_mutex.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_auth.h"

#include "../adapter/adapter.h"

#pragma GCC visibility push(hidden)

/* A line of the configuration. */
typedef struct {
    const char *file;
    int line;
} keyturn_place;

/* An option as the configuration gives it. */
typedef struct {
    const adapter_option *option;
    const char *const *values;
    size_t count;
    keyturn_place place;
} keyturn_setting;

typedef struct {
    jwks_issuer_options options;
    apr_array_header_t *settings; /* keyturn_setting */
    keyturn_place place;
    jwks_issuer *handle; /* in the draft, and then in the child's cache; NULL: could not be set up */
} keyturn_issuer;

/* What tokens must be: all that one section says of it. */
typedef struct {
    jwt_policy_options options;
    apr_array_header_t *settings;    /* keyturn_setting */
    apr_array_header_t *names;       /* const char *: KeyturnIssuers */
    apr_array_header_t *rules;       /* jwt_rule */
    apr_array_header_t *rule_places; /* keyturn_place */
    keyturn_place place;             /* its first line */
    keyturn_issuer **issuers;
    size_t count;
    jwks_issuer **handles;
    jwt_policy *handle;    /* the child's; NULL: could not be set up */
    apr_uint32_t patience; /* for how long a request waits at most, in milliseconds */
} keyturn_policy;

/* A rule of a line `Require keyturn-claim`. */
typedef struct {
    jwt_rule rule;
    keyturn_place place;
} keyturn_requirement;

typedef enum {
    KEYTURN_MODE_UNSET,
    KEYTURN_MODE_OFF,
    KEYTURN_MODE_ON,
    KEYTURN_MODE_OPTIONAL, /* a request without a token passes */
    KEYTURN_MODE_REPORT    /* what would be refused is logged, and passes */
} keyturn_mode;

typedef enum { KEYTURN_FROM_HEADER, KEYTURN_FROM_COOKIE, KEYTURN_FROM_ARGUMENT } keyturn_from;

/* Where a token may be. */
typedef struct {
    keyturn_from from;
    const char *name;
} keyturn_source;

/* What a claim becomes: a header of the request, or a variable of its environment. */
typedef struct {
    const char *name;
    const char *claim; /* NULL: the header is only cleaned */
} keyturn_made;

/* A section of the configuration, and for a request what all that it is in say together: of each field the innermost that
 * has it. */
typedef struct {
    keyturn_mode mode;
    int is_required; /* a line `Require keyturn-claim` decides who needs a token */
    keyturn_policy *policy;
    jwt_challenge_options challenge;
    const char *user;              /* the claim that becomes REMOTE_USER */
    apr_array_header_t *sources;   /* keyturn_source */
    apr_array_header_t *headers;   /* keyturn_made */
    apr_array_header_t *variables; /* keyturn_made */
} keyturn_section;

typedef struct {
    apr_pool_t *pool;
    jwks_cache_options cache;
    apr_array_header_t *settings; /* keyturn_setting, of the cache */
    int has_store;
    apr_array_header_t *issuers;      /* keyturn_issuer * */
    apr_array_header_t *policies;     /* keyturn_policy * */
    apr_array_header_t *requirements; /* keyturn_requirement * */
    keyturn_place first;              /* of the first `Keyturn` that is not off */

    jwks_cache *keys; /* the child's, as all below */
    int is_left;      /* the child ends as it stands: nothing is touched any more */
    struct keyturn_news *news;
    apr_thread_mutex_t *guard;
    apr_array_header_t *idle; /* jwt_result *, to be used again */
} keyturn_main;

/* The configuration that is read or in force: a process has but one. */
extern keyturn_main *keyturn_configured;

/* What is known of a request: from its verification to its end. */
typedef struct {
    const keyturn_policy *policy;
    jwt_result *result;
    adapter_token token;
    adapter_status status;
    apr_interval_time_t waited;
} keyturn_verdict;

/* settings.c */
extern const command_rec keyturn_commands[];
int keyturn_begin_settings(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *scratch);
void *keyturn_create_section(apr_pool_t *pool, char *where);
void *keyturn_merge_sections(apr_pool_t *pool, void *outer, void *inner);
keyturn_place keyturn_place_of(const cmd_parms *cmd);
const char **keyturn_words(apr_pool_t *pool, const char *line, size_t *count);
void keyturn_apply(const apr_array_header_t *settings, adapter_struct of, void *options);

/* draft.c */
int keyturn_check_settings(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *scratch, server_rec *server);
int keyturn_make_store(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *scratch, server_rec *server);

/* child.c */
void keyturn_begin_child(apr_pool_t *pool, server_rec *server);
void keyturn_hurry_child(apr_pool_t *pool, int graceful);
jwt_result *keyturn_take_result(void);
void keyturn_give_result(jwt_result *result);

/* access.c */
int keyturn_clean_headers(request_rec *r);
int keyturn_check_token(request_rec *r);
int keyturn_refuse_user(request_rec *r);
int keyturn_let_pass(request_rec *r);
keyturn_verdict *keyturn_verdict_of(const request_rec *r); /* NULL: none was verified */

/* confirm.c */
adapter_status keyturn_confirm(request_rec *r, const keyturn_verdict *verdict);

/* require.c */
extern const authz_provider keyturn_requires;

/* told.c */
int keyturn_tell(request_rec *r);

/* pages.c */
int keyturn_serve_page(request_rec *r);

#pragma GCC visibility pop

extern module AP_MODULE_DECLARE_DATA keyturn_module;

#endif
