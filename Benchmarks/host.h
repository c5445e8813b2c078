/* Keyturn as a host has it that loads the library at run time. */
#ifndef HOST_H
#define HOST_H

#include "bench.h"

#include <keyturn.h>

#define KEYTURN_FUNCTIONS(EACH)                                                                              \
    EACH(jwt_status_name)                                                                                    \
    EACH(jwt_algorithm_from_name)                                                                            \
    EACH(jwks_cache_new)                                                                                     \
    EACH(jwks_cache_release)                                                                                 \
    EACH(jwks_cache_add_issuer)                                                                              \
    EACH(jwks_cache_metrics)                                                                                 \
    EACH(jwks_cache_poll)                                                                                    \
    EACH(jwks_cache_revoke)                                                                                  \
    EACH(jwks_cache_unrevoke)                                                                                \
    EACH(jwks_issuer_load)                                                                                   \
    EACH(jwks_issuer_keys)                                                                                   \
    EACH(jwks_key_list_get)                                                                                  \
    EACH(jwks_key_list_release)                                                                              \
    EACH(jwks_issuer_release)                                                                                \
    EACH(jwks_fetch_complete)                                                                                \
    EACH(jwt_policy_new)                                                                                     \
    EACH(jwt_policy_release)                                                                                 \
    EACH(jwt_result_new)                                                                                     \
    EACH(jwt_result_release)                                                                                 \
    EACH(jwt_verify)

extern struct functions {
#define DECLARE(name) __typeof__(name) *name;
    KEYTURN_FUNCTIONS(DECLARE)
#undef DECLARE
} keyturn;

void load_keyturn(const char *path);

/* A cache with one issuer, one audience and one algorithm; with or without a token cache. */
struct world {
    jwks_cache *cache;
    jwks_issuer *issuer;
    jwt_policy *policy;
};

/* NULL: without a token cache. */
struct world new_world_with(const jwks_cache_options *options, const char *alg, struct text jwks);
struct world new_world(const char *alg, struct text jwks);
struct world new_keeping_world(const char *alg, struct text jwks);
/* Its one key gets a table of points by this token. */
struct world new_world_with_table(const char *alg, struct text jwks, struct text token);
void end_world(struct world *world);
jwks_cache *new_cache(const jwks_cache_options *options); /* NULL: without a token cache */
jwks_issuer *add_issuer(jwks_cache *cache, const char *name, const char *alg);
jwt_policy *new_policy(jwks_cache *cache, jwks_issuer *const *issuers, size_t count, const char *alg);
void load_set(jwks_issuer *issuer, struct text jwks);
/* A counter of the cache, by its name in the metrics. */
#define HITS "keyturn_token_cache_hits_total"
double metric(const struct world *world, const char *name);
void must_be(jwt_status status, jwt_status wanted, const char *what);

/* One token to be verified again and again, by one thread at a time. */
struct errand {
    const jwt_policy *policy;
    struct text token;
    jwt_result *result;
    jwt_status expected;
};

struct errand *new_errand(const jwt_policy *policy, struct text token, jwt_status expected);
int run_errand(void *errand);

/* Tokens of one policy, one after the other. */
struct turns {
    struct errand *errand;
    struct text *tokens;
    size_t count, next;
};

int verify_next(void *turns);
struct text *split_lines(struct text text, size_t *count);

#endif
