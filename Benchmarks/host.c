#include "host.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct functions keyturn;

/* ISO C cannot turn dlsym's void pointer into a pointer to a function; memcpy can. */
static void resolve(void *library, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(library, name);
    if (!symbol)
        give_up("%s", dlerror());
    memcpy(function, &symbol, size);
}

void load_keyturn(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        give_up("%s", dlerror());
#define RESOLVE(name) resolve(library, #name, &keyturn.name, sizeof keyturn.name);
    KEYTURN_FUNCTIONS(RESOLVE)
}

void must_be(jwt_status status, jwt_status wanted, const char *what)
{
    if (status != wanted)
        give_up("%s: %s", what, keyturn.jwt_status_name(status));
}

jwks_cache *new_cache(const jwks_cache_options *options)
{
    jwks_cache *cache = NULL;
    must_be(keyturn.jwks_cache_new(options, &cache, NULL), JWT_OK, "jwks_cache_new");
    return cache;
}

static uint64_t algorithm(const char *name)
{
    return keyturn.jwt_algorithm_from_name(name, strlen(name));
}

jwks_issuer *add_issuer(jwks_cache *cache, const char *name, const char *alg)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = NULL;
    options.issuer = name;
    options.algorithms = algorithm(alg);
    options.allow_symmetric = alg[0] == 'H';
    must_be(keyturn.jwks_cache_add_issuer(cache, &options, &issuer, NULL), JWT_OK, "jwks_cache_add_issuer");
    return issuer;
}

jwt_policy *new_policy(jwks_cache *cache, jwks_issuer *const *issuers, size_t count, const char *alg)
{
    static const char *const audience = AUDIENCE;
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    jwt_policy *policy = NULL;
    options.issuers = issuers;
    options.issuer_count = count;
    options.audiences = &audience;
    options.audience_count = 1;
    options.algorithms = algorithm(alg);
    must_be(keyturn.jwt_policy_new(cache, &options, &policy, NULL), JWT_OK, "jwt_policy_new");
    return policy;
}

void load_set(jwks_issuer *issuer, struct text jwks)
{
    must_be(keyturn.jwks_issuer_load(issuer, jwks.data, jwks.len, NULL), JWT_OK, "jwks_issuer_load");
}

struct world new_world(const char *alg, struct text jwks)
{
    struct world world = { new_cache(NULL), NULL, NULL };
    world.issuer = add_issuer(world.cache, ISSUER, alg);
    load_set(world.issuer, jwks);
    world.policy = new_policy(world.cache, &world.issuer, 1, alg);
    return world;
}

void end_world(struct world *world)
{
    keyturn.jwt_policy_release(world->policy);
    keyturn.jwks_issuer_release(world->issuer);
    keyturn.jwks_cache_release(world->cache);
}

struct errand *new_errand(const jwt_policy *policy, struct text token, jwt_status expected)
{
    struct errand *errand = malloc(sizeof *errand);
    *errand = (struct errand){ policy, token, NULL, expected };
    must_be(keyturn.jwt_result_new(&errand->result), JWT_OK, "jwt_result_new");
    return errand;
}

int run_errand(void *state)
{
    struct errand *errand = state;
    return keyturn.jwt_verify(errand->policy, errand->token.data, errand->token.len, errand->result) ==
           errand->expected;
}
