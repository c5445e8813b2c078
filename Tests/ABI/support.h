/* What the suites share: an issuer with a policy, and assertions. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "minting.h"

/* ---- An issuer whose set has key 1 as "one", and a policy for it */

struct world {
    int64_t now;
    jwks_cache *cache;
    jwks_issuer *issuer;
    jwt_policy *policy;
    jwt_result *result;
};

/* Of the caches that are made from now on: see jwks_cache_options. */
extern int64_t token_cache;

jwks_cache *new_cache(int64_t *now); /* whose polls make tables */
jwks_issuer *add_issuer(jwks_cache *cache, const char *name);
jwt_status load(jwks_issuer *issuer, const char *json);
void load_key(jwks_issuer *issuer, unsigned key, const char *kid);

int make_world(void **state);
int end_world(void **state);
/* Another: its issuer has this set, its policy allows these algorithms, symmetric ones included. */
void *make_world_of(uint64_t algorithms, const char *jwks);
/* Makes its cache, its issuer and its policy anew, by these options and on its clock. */
void renew_world(struct world *world, jwks_cache_options cache, jwks_issuer_options issuer, const char *jwks);
/* Without its texts, which go with the list. */
jwks_key_info key_of(jwks_issuer *issuer, size_t position);
jwks_issuer_stats stats_of(jwks_issuer *issuer);
/* Whether its first key has a table of points. */
int has_table(const struct world *world);
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)

/* Options for the world's issuer and audience, to be changed by the test. */
jwt_policy_options good_options(const struct world *world);
jwt_policy *new_policy(jwks_cache *cache, const jwt_policy_options *options);
/* What jwt_policy_new says to them; `error` may be NULL. */
jwt_status policy_status(const struct world *world, const jwt_policy_options *options, jwks_error *error);
/* Puts another policy in place of the world's. */
void use_policy(struct world *world, const jwt_policy_options *options);

/* ---- Verification of a copy of exactly `len` octets, so that memory checkers see a read beyond it */

jwt_status verify_octets(const jwt_policy *policy, const void *token, size_t len, jwt_result *result);
jwt_status verify(struct world *world, const char *token);
/* Mints with key 1 and verifies. */
jwt_status verify_claims(struct world *world, const char *claims);
jwt_status verify_header(struct world *world, const char *header);

/* ---- Assertions */

/* The two statuses by name, so that a failure reads well. */
#define assert_status(actual, expected) assert_status_at(actual, expected, __FILE__, __LINE__)
void assert_status_at(jwt_status actual, jwt_status expected, const char *file, int line);

/* That nothing of a token can be read. */
void assert_cleared(const jwt_result *result);

#define assert_span(span, expected) assert_span_at(span, expected, sizeof(expected) - 1, __FILE__, __LINE__)
void assert_span_at(keyturn_span span, const char *expected, size_t len, const char *file, int line);

keyturn_span span_of(const char *string);

/* A directory with all that is in it. */
void remove_tree(const char *path);

#endif
