/* The whole way, with nothing played: a real issuer, libkeyturn-fetch.so, and a host that polls.
 * live ISSUER [CONTROL]: verifies its live tokens through a first fetch, a hard rotation, and 2,000 random kids;
 * CONTROL is where tokens and rotations are had, if the issuer itself does not give them. */
#include <keyturn.h>
#include <keyturn_fetch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static jwks_cache *cache;
static jwks_fetcher fetcher = JWKS_FETCHER_INIT, counted = JWKS_FETCHER_INIT;
static jwt_policy *policy;
static jwt_result *result;
static const char *issuer, *control;
static unsigned requests;

#define CHECK(holds)                                                                                         \
    do {                                                                                                     \
        if (!(holds)) {                                                                                      \
            fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #holds);                                \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static void start_counted(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    (void)context;
    requests++;
    fetcher.start(fetcher.context, fetch, request);
}

static void cancel_counted(void *context, jwks_fetch *fetch)
{
    (void)context;
    fetcher.cancel(fetcher.context, fetch);
}

/* What is answered to a request made with curl. */
static char *ask(const char *format, const char *argument)
{
    static char answer[2][16384];
    static int turn;
    char path[256], command[512], *room = answer[turn++ % 2];
    snprintf(path, sizeof path, format, argument);
    snprintf(command, sizeof command, "curl -sf %s%s", control, path);
    FILE *pipe = popen(command, "r");
    size_t len = pipe ? fread(room, 1, sizeof answer[0] - 1, pipe) : 0;
    CHECK(pipe && pclose(pipe) == 0);
    room[len] = 0;
    return room;
}

/* A token of the issuer's, out of {"access_token": "...", ...}. */
static char *live_token(const char *algorithm)
{
    char *token = strstr(ask("'/token?alg=%s'", algorithm), "eyJ");
    CHECK(token);
    token[strcspn(token, "\"")] = 0;
    return strdup(token);
}

static jwt_status verify(const char *token)
{
    return jwt_verify(policy, token, strlen(token), result);
}

/* As a host does: polls when it is due, and asks once more while a fetch is under way. */
static jwt_status verify_patiently(const char *token)
{
    jwt_status status = verify(token);
    for (int i = 0; status == JWKS_PENDING && i < 500; i++) {
        CHECK(jwks_cache_poll(cache, NULL) == JWT_OK);
        usleep(10000);
        status = verify(token);
    }
    return status;
}

static void set_up(void)
{
    static const char *const audiences[] = { "orders" };
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache_options cache_options = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options source = JWKS_ISSUER_OPTIONS_INIT;
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    jwks_issuer *from = NULL;
    CHECK(keyturn_fetch_new(jwks_fetch_complete, &fetcher, &error) == JWT_OK);
    counted.start = start_counted;
    counted.cancel = cancel_counted;
    cache_options.fetcher = &counted;
    source.issuer = issuer;
    source.discovery = JWKS_DISCOVERY_OPENID;
    source.allow_http = 1;
    CHECK(jwks_cache_new(&cache_options, &cache, &error) == JWT_OK);
    CHECK(jwks_cache_add_issuer(cache, &source, &from, &error) == JWT_OK);
    options.issuers = &from;
    options.issuer_count = 1;
    options.audiences = audiences;
    options.audience_count = 1;
    options.type = "at+jwt"; /* RFC 9068 */
    CHECK(jwt_policy_new(cache, &options, &policy, &error) == JWT_OK);
    CHECK(jwt_result_new(&result) == JWT_OK);
    jwks_issuer_release(from);
}

static void tear_down(void)
{
    jwt_result_release(result);
    jwt_policy_release(policy);
    jwks_cache_release(cache);
    keyturn_fetch_stop(&fetcher);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2 || argc == 3);
    issuer = argv[1];
    control = argv[argc - 1];
    set_up();

    char *old = live_token("ES256");
    CHECK(verify(old) == JWKS_PENDING);
    CHECK(verify_patiently(old) == JWT_OK);
    CHECK(requests == 2); /* where the keys are, and the keys */

    free(live_token("RS256"));
    ask("/rotate%s -X POST", "");
    CHECK(verify(old) == JWT_OK); /* nobody has said so yet */
    char *new = live_token("EdDSA");
    CHECK(verify(new) == JWKS_PENDING);
    CHECK(verify_patiently(new) == JWT_OK);
    CHECK(verify(old) != JWT_OK); /* gone with the set */
    CHECK(requests == 3);

    unsigned refused = 0;
    for (int i = 0; i < 20; i++) {
        char kid[32];
        snprintf(kid, sizeof kid, "made-up-%d", i);
        char *token = strstr(ask("'/token?alg=ES256&kid=%s'", kid), "eyJ");
        CHECK(token);
        token[strcspn(token, "\"")] = 0;
        for (int j = 0; j < 100; j++) {
            refused += verify(token) != JWT_OK;
            CHECK(jwks_cache_poll(cache, NULL) == JWT_OK);
        }
        CHECK(verify(new) == JWT_OK); /* who is known waits for nobody */
    }
    CHECK(refused == 2000);
    CHECK(requests <= 3 + 4);
    printf("ok: first fetch, rotation, %u refusals of made-up kids; %u requests in all\n", refused, requests);
    free(old);
    free(new);
    tear_down();
    return 0;
}
