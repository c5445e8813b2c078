#include "host.h"

#include <dlfcn.h>
#include <stdio.h>
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
    jwks_cache_options cold = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = NULL;
    cold.token_cache = KEYTURN_OFF;
    must_be(keyturn.jwks_cache_new(options ? options : &cold, &cache, NULL), JWT_OK, "jwks_cache_new");
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

struct world new_world_with(const jwks_cache_options *options, const char *alg, struct text jwks)
{
    struct world world = { new_cache(options), NULL, NULL };
    world.issuer = add_issuer(world.cache, ISSUER, alg);
    load_set(world.issuer, jwks);
    world.policy = new_policy(world.cache, &world.issuer, 1, alg);
    return world;
}

struct world new_world(const char *alg, struct text jwks)
{
    return new_world_with(NULL, alg, jwks);
}

struct world new_keeping_world(const char *alg, struct text jwks)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    return new_world_with(&options, alg, jwks);
}

static int has_table(jwks_issuer *issuer)
{
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    must_be(keyturn.jwks_issuer_keys(issuer, &list), JWT_OK, "jwks_issuer_keys");
    must_be(keyturn.jwks_key_list_get(list, 0, &info), JWT_OK, "jwks_key_list_get");
    keyturn.jwks_key_list_release(list);
    return (int)info.has_table;
}

/* Where the machine is busy it may look to Keyturn as if nothing were gained, so that another key is tried. */
struct world new_world_with_table(const char *alg, struct text jwks, struct text token)
{
    enum { EARNING = 100, TRIES = 20 };
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    options.key_tables = 1;
    options.token_cache = KEYTURN_OFF;
    for (int try = 0; try < TRIES; try++) {
        struct world world = new_world_with(&options, alg, jwks);
        struct errand *errand = new_errand(world.policy, token, JWT_OK);
        for (int i = 0; i < EARNING; i++)
            if (!run_errand(errand))
                give_up("%s: a token is refused", alg);
        keyturn.jwt_result_release(errand->result);
        free(errand);
        must_be(keyturn.jwks_cache_poll(world.cache, NULL), JWT_OK, "jwks_cache_poll");
        if (has_table(world.issuer))
            return world;
        end_world(&world);
    }
    give_up("%s: there is no table", alg);
}

void end_world(struct world *world)
{
    keyturn.jwt_policy_release(world->policy);
    keyturn.jwks_issuer_release(world->issuer);
    keyturn.jwks_cache_release(world->cache);
}

double metric(const struct world *world, const char *name)
{
    static char text[65536];
    size_t len;
    must_be(keyturn.jwks_cache_metrics(world->cache, NULL, text, sizeof text, &len), JWT_OK, "metrics");
    const char *line = strstr(text, name);
    while (line && line != text && line[-1] != '\n') /* in a line of help */
        line = strstr(line + 1, name);
    if (!line)
        give_up("there is no metric %s", name);
    return atof(strchr(line, ' '));
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

int verify_next(void *state)
{
    struct turns *turns = state;
    turns->errand->token = turns->tokens[turns->next++ % turns->count];
    return run_errand(turns->errand);
}

struct text *split_lines(struct text text, size_t *count)
{
    struct text *lines = NULL;
    *count = 0;
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
        lines = realloc(lines, (*count + 1) * sizeof *lines);
        lines[(*count)++] = (struct text){ line, strlen(line) };
    }
    return lines;
}
