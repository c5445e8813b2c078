/* keyturn_envoy.h - what the parts of the module for Envoy share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * module.c is what Envoy calls; settings.c reads and tries out configurations, by options.c and
 * policy.c; keys.c has the keys, which outlive them, and news.c tells what happens to them; access.c tells a request's
 * story, headers.c what it brings and what claims make of it, story.c what of it is told to logs, refusal.c what it is
 * answered; waiting.c parks it; pages.c shows keys and metrics.
 *
 * Configurations come and go in the main thread, requests are served by workers. What is configured does not change
 * once a worker may see it. */
#ifndef KEYTURN_ENVOY_H
#define KEYTURN_ENVOY_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../adapter/adapter.h"
#include "envoy_abi.h"

#pragma GCC visibility push(hidden)

/* What is wrong with a configuration: an option as "issuers[0].max_keys", and a sentence. */
typedef struct keyturn_fault {
    char option[160];
    char sentence[320];
} keyturn_fault;

/* ---- Keys (keys.c) ------------------------------------------------------------------------------ */

typedef struct keyturn_bell keyturn_bell;
typedef struct keyturn_issuer keyturn_issuer;

/* A cache and its issuers, for all configurations that name the same store and the same bounds. */
typedef struct keyturn_keys {
    json_t *said; /* the options of the cache */
    jwks_cache *cache;
    unsigned holders;
    keyturn_issuer *issuers;
    struct keyturn_keys *next;

    pthread_mutex_t lock; /* of all below: no call of the library's is made under it */
    keyturn_bell *bells;
    pthread_cond_t end; /* of who tells news */
    pthread_t teller;
    unsigned tells : 1;
    unsigned ends : 1;
} keyturn_keys;

/* An issuer in it, for all configurations that name it. */
struct keyturn_issuer {
    keyturn_keys *keys;
    json_t *said; /* as the newest configuration has it */
    char *name;
    jwks_issuer *handle;
    unsigned holders;
    struct keyturn_issuer *next;
};

/* The keys for these options of a cache, started; `draft`: to try a configuration out, in memory alone. */
keyturn_keys *keyturn_keys_obtain(json_t *said, int draft, keyturn_fault *fault);
void keyturn_keys_release(keyturn_keys *keys);

/* An issuer as these options have it, those of `issuers[place]`. It keeps the keys that it has, as far as they admit
 * them. */
keyturn_issuer *keyturn_issuer_obtain(keyturn_keys *keys, json_t *said, size_t place, keyturn_fault *fault);
void keyturn_issuer_release(keyturn_issuer *issuer);

/* What happens to keys goes to Envoy's log, by a thread that tells of it (news.c). */
void keyturn_tell_news(keyturn_keys *keys);
void keyturn_end_news(keyturn_keys *keys);

/* ---- Settings (settings.c) ----------------------------------------------------------------------- */

typedef enum keyturn_mode {
    KEYTURN_MODE_OFF,
    KEYTURN_MODE_ON,
    KEYTURN_MODE_OPTIONAL, /* a request without a token passes */
    KEYTURN_MODE_REPORT    /* what would be refused is logged, and passes */
} keyturn_mode;

typedef enum keyturn_page {
    KEYTURN_NO_PAGE,
    KEYTURN_METRICS,
    KEYTURN_METRICS_PER_KEY,
    KEYTURN_KEYS
} keyturn_page;

typedef enum keyturn_from {
    KEYTURN_FROM_AUTHORIZATION,
    KEYTURN_FROM_HEADER,
    KEYTURN_FROM_COOKIE,
    KEYTURN_FROM_ARGUMENT
} keyturn_from;

/* Where a token may be. */
typedef struct keyturn_source {
    keyturn_from from;
    const char *name;
} keyturn_source;

/* A header of the request, or a member of its metadata, that a claim becomes. */
typedef struct keyturn_made {
    const char *name;
    const char *claim;
} keyturn_made;

/* What of an accepted token is told besides its status, any of them. */
enum {
    KEYTURN_LOG_ISSUER = 1,
    KEYTURN_LOG_KID = 2,
    KEYTURN_LOG_KEY_AGE = 4,
    KEYTURN_LOG_TOKEN_DIGEST = 8 /* of a refused one, too */
};

/* What holds for a filter's requests, all of them or those of a route. */
typedef struct keyturn_access {
    atomic_uint holders;
    json_t *said; /* that texts are borrowed from */
    keyturn_mode mode;
    keyturn_page page;
    unsigned log;       /* KEYTURN_LOG_ */
    jwt_policy *policy; /* NULL: mode off, or it could not be made */
    jwks_issuer **issuers;
    size_t issuer_count;
    jwt_challenge_options challenge;
    keyturn_source *sources;
    size_t source_count;
    keyturn_made *headers;
    size_t header_count;
    keyturn_made *metadata;
    size_t metadata_count;
} keyturn_access;

/* A filter as it is configured. */
typedef struct keyturn_filter {
    uint64_t id;  /* of this one and no other, ever */
    json_t *said; /* what routes inherit */
    keyturn_keys *keys;
    keyturn_issuer **issuers;
    size_t issuer_count;
    keyturn_access *access;
    size_t verdicts, reports, parkings, waiters; /* Envoy's statistics */
} keyturn_filter;

/* What one filter makes of a route. */
typedef struct keyturn_binding {
    _Atomic(uint64_t) filter; /* 0: none any more */
    keyturn_access *access;
    struct keyturn_binding *next;
} keyturn_binding;

/* A route as it is configured, for any filter. */
typedef struct keyturn_route {
    json_t *said;
    _Atomic(keyturn_binding *) bindings; /* read by workers without a lock; none is taken out */
    struct keyturn_route *next;
} keyturn_route;

/* NULL, after the log has told what is wrong. */
keyturn_filter *keyturn_filter_new(void *config, envoy_text text);
void keyturn_filter_free(keyturn_filter *filter);
keyturn_route *keyturn_route_new(envoy_text text);
void keyturn_route_free(keyturn_route *route);

/* What holds on a route, which may be NULL. Any thread; it lives as long as filter and route, or as it is held. NULL:
 * no memory. */
keyturn_access *keyturn_access_of(keyturn_filter *filter, keyturn_route *route);

/* ---- What holds for requests (policy.c) --------------------------------------------------------------- */

/* From options of a policy and a challenge, and those of requests; `said` is its own from then on. With a fault, which
 * does not hold for the filter's own, it answers 503. NULL: no memory. */
keyturn_access *keyturn_access_new(const keyturn_filter *filter, json_t *said, keyturn_fault *fault);
keyturn_access *keyturn_access_hold(keyturn_access *access);
void keyturn_access_release(keyturn_access *access);
int keyturn_is_of_access(const char *name);

/* ---- Options (options.c) ------------------------------------------------------------------------------ */

/* Memory for texts and lists that options point to, until they have been copied. Begin with NULL. */
typedef struct keyturn_words {
    struct keyturn_words *next;
} keyturn_words;

void *keyturn_words_more(keyturn_words **words, size_t size); /* zeros; NULL: no memory */
void keyturn_words_free(keyturn_words *words);

/* The options of a struct, among others, from an object of texts and lists. 0, or -1 and *fault, its name after
 * `before`. */
int keyturn_set_options(json_t *said, adapter_struct of, void *options, keyturn_words **words,
                        const char *before, keyturn_fault *fault);

/* A text, or a list of them, as words: NULL if it is neither. */
const char **keyturn_list(json_t *value, keyturn_words **words, size_t *count);

/* Configurations as people write them: numbers, true and false become texts ("5", "on", "off"). NULL and *fault. */
json_t *keyturn_read(envoy_text text, keyturn_fault *fault);

/* "issuers[0].", or what else stands before an option, and what is wrong with it; the first counts. Returns -1. */
int keyturn_blame(keyturn_fault *fault, const char *before, const char *option, const char *sentence);

/* ---- Requests (access.c) --------------------------------------------------------------------------- */

typedef struct keyturn_stream {
    keyturn_filter *filter;
    void *envoy;
    /* While it is parked, and all of it its own thread's but for what the bell's lock covers. */
    keyturn_access *access;
    jwt_waiter *waiter;
    void *scheduler;
    keyturn_bell *bell;
    struct keyturn_stream *next, *previous; /* under the bell's lock */
    int64_t since_ms;
    unsigned waits;     /* so far */
    int64_t waited_ms;  /* all together */
    unsigned woken : 1; /* its wait is over */
} keyturn_stream;

/* Whether its headers are to go on at once, as one of ENVOY_CONTINUE, _STOP, _STOP_ALL_AND_WATERMARK. */
int keyturn_begin(keyturn_stream *of);
void keyturn_resume(keyturn_stream *of);

/* Gives ENVOY_STOP. The stream may be gone when it returns (refusal.c). */
int keyturn_refuse(const keyturn_stream *of, const keyturn_access *access, adapter_status status);

/* ---- What a request brings, and what claims make of it (headers.c) ------------------------------------ */

adapter_token keyturn_take_token(const keyturn_stream *of, const keyturn_access *access);

/* Takes out the headers that only claims make. 0, or -1. */
int keyturn_clean(const keyturn_stream *of, const keyturn_access *access);

/* Whether all claims that are to be headers are fit for it. */
int keyturn_fits(const keyturn_access *access, const jwt_result *result);

/* Makes headers and metadata of claims. 0, or -1. */
int keyturn_make(const keyturn_stream *of, const keyturn_access *access, const jwt_result *result);

/* What became of the token, as metadata for logs and other filters (story.c). */
void keyturn_tell(const keyturn_stream *of, const keyturn_access *access, const adapter_token *token,
                  adapter_status status, const jwt_result *result);

/* ---- Waiting (waiting.c) ------------------------------------------------------------------------------- */

/* As jwt_wait. */
jwt_status keyturn_park(keyturn_stream *of, const jwt_result *pending);
void keyturn_unpark(keyturn_stream *of);
void keyturn_hear(keyturn_stream *of); /* the scheduled hook */
void keyturn_bells_free(keyturn_keys *keys);

/* ---- Pages (pages.c) ------------------------------------------------------------------------------------ */

void keyturn_send_page(const keyturn_stream *of, keyturn_page page);

/* ---- What all need (thread.c) ---------------------------------------------------------------------------- */

void keyturn_log(envoy_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The thread's own, used again and again. NULL: no memory. What is in it is to be forgotten after each request. */
jwt_result *keyturn_result(void);
void keyturn_forget(jwt_result *result);

/* All headers of a request, in memory of the thread's until the next call; NULL: no memory. */
const envoy_field *keyturn_fields(const keyturn_stream *of, size_t *count);

static inline envoy_text keyturn_text(const char *text)
{
    return (envoy_text){ text, __builtin_strlen(text) };
}

#pragma GCC visibility pop

#endif
