/* ngx_http_keyturn.h - what the parts of ngx_http_keyturn_module share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * settings.c reads and tries out the configuration, in the master; worker.c has a worker's keys, from its start to its
 * end; access.c tells a request's story; variables.c and pages.c tell what is known of it, and of the keys. */
#ifndef NGX_HTTP_KEYTURN_H
#define NGX_HTTP_KEYTURN_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../adapter/adapter.h"

#pragma GCC visibility push(hidden)

typedef struct {
    ngx_str_t file;
    ngx_uint_t line;
} keyturn_place;

/* An option as the configuration gives it. */
typedef struct {
    const adapter_option *option;
    const char **values;
    size_t count;
    keyturn_place place;
} keyturn_setting;

typedef struct {
    jwks_issuer_options options;
    ngx_array_t settings; /* keyturn_setting */
    keyturn_place place;
    jwks_issuer *handle; /* in the draft, and then in the worker's cache; NULL: could not be set up */
} keyturn_issuer;

/* What tokens must be at one or more locations. */
typedef struct {
    jwt_policy_options options;
    keyturn_issuer **issuers;
    size_t count;
    jwks_issuer **handles;
    jwt_policy *handle;  /* the worker's; NULL: could not be set up */
    ngx_msec_t patience; /* for how long a request waits at most */
} keyturn_policy;

typedef enum {
    KEYTURN_MODE_OFF,
    KEYTURN_MODE_ON,
    KEYTURN_MODE_OPTIONAL, /* a request without a token passes */
    KEYTURN_MODE_REPORT    /* what would be refused is logged, and passes */
} keyturn_mode;

typedef enum {
    KEYTURN_FROM_HEADER,
    KEYTURN_FROM_COOKIE,
    KEYTURN_FROM_ARGUMENT,
    KEYTURN_FROM_VARIABLE
} keyturn_from;

/* Where a token may be. */
typedef struct {
    keyturn_from from;
    ngx_str_t name;
    ngx_http_complex_value_t value;
} keyturn_source;

/* A header of the request that a claim becomes. */
typedef struct {
    ngx_str_t name;
    ngx_str_t lowercase;
    ngx_uint_t hash;
    ngx_int_t variable; /* $http_NAME */
    ngx_str_t claim;    /* empty: it is only cleaned */
} keyturn_header;

typedef struct {
    ngx_uint_t mode;
    keyturn_place place;   /* of the mode */
    ngx_array_t *settings; /* keyturn_setting, of policy and challenge */
    ngx_array_t *issuers;  /* ngx_str_t */
    ngx_array_t *rules;    /* jwt_rule */
    ngx_array_t *rule_places;
    ngx_array_t *sources; /* keyturn_source */
    ngx_array_t *headers; /* keyturn_header */
    keyturn_policy *policy;
    jwt_challenge_options challenge;
    ngx_flag_t per_key; /* of a metrics location */
} keyturn_location;

typedef struct {
    jwks_cache_options cache;
    ngx_array_t settings; /* keyturn_setting, of the cache */
    ngx_path_t *store;
    ngx_flag_t has_store;
    ngx_array_t issuers;  /* keyturn_issuer */
    ngx_array_t policies; /* keyturn_policy * */
    jwks_cache *draft;    /* where the configuration is tried out */

    jwks_cache *keys; /* the worker's, as all below */
    jwks_loop *loop;
    ngx_connection_t *wakeups;
    ngx_event_t news;
    ngx_array_t idle; /* jwt_result *, to be used again */
} keyturn_main;

/* What is known of a request: from its first verification to its end. */
typedef struct {
    ngx_http_request_t *request;
    keyturn_main *main;
    keyturn_policy *policy; /* of the last verification */
    jwt_result *result;
    adapter_token token;
    adapter_status status;
    unsigned judged : 1;   /* a verdict stands: `status` */
    ngx_table_elt_t *told; /* the challenge, or when to retry */
    jwt_waiter *waiter;    /* while the request is parked */
    ngx_event_t deadline;
    ngx_msec_t parked; /* since when */
    ngx_msec_t waited; /* all together */
} keyturn_request;

/* settings.c */
extern ngx_http_module_t keyturn_context;
extern ngx_command_t keyturn_commands[];

/* worker.c */
ngx_int_t keyturn_begin(ngx_cycle_t *cycle);
void keyturn_end(ngx_cycle_t *cycle);
jwt_result *keyturn_take_result(keyturn_main *main);
void keyturn_give_result(keyturn_main *main, jwt_result *result);

/* access.c */
ngx_int_t keyturn_clean_headers(ngx_http_request_t *r);
ngx_int_t keyturn_check_access(ngx_http_request_t *r);
void keyturn_resume(keyturn_request *of);
keyturn_request *keyturn_request_of(ngx_http_request_t *r); /* NULL: none was verified */

/* variables.c */
ngx_int_t keyturn_add_variables(ngx_conf_t *cf);
char *keyturn_claim_set(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/* pages.c */
char *keyturn_metrics(ngx_conf_t *cf, ngx_command_t *command, void *conf);
char *keyturn_keys(ngx_conf_t *cf, ngx_command_t *command, void *conf);

#pragma GCC visibility pop

extern ngx_module_t ngx_http_keyturn_module;

#endif
