/* A gateway that an agent feeds or, with KEYS, one that takes them from that file and adds up its counts in the store: verifies
 * the tokens that come in lines, and answers each with its status; then tells its metrics.
 * reader STORE ISSUER AUDIENCE [KEYS] */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyturn.h"

static jwks_cache *cache;
static jwt_policy *policy;
static jwt_result *result;

static void must(jwt_status status, const jwks_error *error)
{
    if (status == JWT_OK)
        return;
    fprintf(stderr, "reader: %s: %s: %s\n", jwt_status_name(status), error->option, error->message);
    exit(1);
}

static void configure(const char *store, const char *name, const char *audience, const char *keys)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache_options with = JWKS_CACHE_OPTIONS_INIT;
    with.store = store;
    with.store_reader = keys == NULL;
    must(jwks_cache_new(&with, &cache, &error), &error);
    jwks_issuer_options from = JWKS_ISSUER_OPTIONS_INIT;
    from.issuer = name;
    from.file = keys;
    from.discovery = keys ? JWKS_DISCOVERY_NONE : JWKS_DISCOVERY_OPENID;
    from.allow_http = keys == NULL;
    jwks_issuer *issuer;
    must(jwks_cache_add_issuer(cache, &from, &issuer, &error), &error);
    jwt_policy_options wanted = JWT_POLICY_OPTIONS_INIT;
    wanted.issuers = &issuer;
    wanted.issuer_count = 1;
    wanted.audiences = &audience;
    wanted.audience_count = 1;
    must(jwt_policy_new(cache, &wanted, &policy, &error), &error);
    must(jwt_result_new(&result), &error);
    jwks_issuer_release(issuer);
}

/* What is pending is asked again for a while, as a gateway without an event loop of its own would; and before the first
 * keys have come, that none are at hand. */
static jwt_status verify(const char *token, size_t len)
{
    static int is_served;
    jwt_status status = JWKS_PENDING;
    for (int tries = 0;
         tries < 400 && (status == JWKS_PENDING || (status == JWKS_KEYS_UNAVAILABLE && !is_served));
         tries++) {
        if (tries > 0)
            poll(NULL, 0, 50);
        jwks_cache_poll(cache, NULL);
        status = jwt_verify(policy, token, len, result);
        is_served |= status == JWT_OK;
    }
    return status;
}

static void tell_metrics(void)
{
    static char page[1 << 20];
    jwks_metrics_options options = JWKS_METRICS_OPTIONS_INIT;
    options.per_key = 1;
    size_t len;
    if (jwks_cache_metrics(cache, &options, page, sizeof page, &len) == JWT_OK)
        fwrite(page, 1, len, stdout);
}

int main(int argc, char **argv)
{
    static char line[65536];
    if (argc != 4 && argc != 5)
        return 2;
    configure(argv[1], argv[2], argv[3], argv[4]);
    while (fgets(line, sizeof line, stdin)) {
        puts(jwt_status_name(verify(line, strcspn(line, "\n"))));
        fflush(stdout);
    }
    tell_metrics();
    jwt_result_release(result);
    jwt_policy_release(policy);
    jwks_cache_release(cache);
}
