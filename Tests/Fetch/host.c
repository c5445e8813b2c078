#include "host.h"

#include <keyturn_fetch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

jwks_cache *cache;

enum { PATIENCE = 20000 };

static jwks_fetcher fetcher = JWKS_FETCHER_INIT;
static int64_t wall = NOW;

/* ---- What drives the cache */

static atomic_bool is_over;
static pthread_t driver;

static void *drive(void *context)
{
    (void)context;
    while (!is_over) {
        uint32_t next = 0;
        jwks_cache_poll(cache, &next);
        pause_for(next < 5 ? next : 5);
    }
    return NULL;
}

static void complete_flawed(jwks_fetch *fetch, const jwks_response *response)
{
    static const char other[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"other\","
                                "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    jwks_response lie = *response;
    if (response->http_status != 200 || !response->body.data ||
        !memmem(response->body.data, response->body.len, "kty", 3)) {
        lie = (jwks_response)JWKS_RESPONSE_INIT;
        lie.http_status = 200;
        lie.body = (keyturn_span){ other, sizeof other - 1 };
    }
    jwks_fetch_complete(fetch, &lie);
}

enum driving driving_of(int argc, char **argv)
{
    const char *said = argc > 1 ? argv[1] : "";
    return strcmp(said, "start") == 0 ? STARTED : strcmp(said, "flawed") == 0 ? FLAWED : POLLED;
}

static bool is_started;

void begin_driving(enum driving driving)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    is_started = driving == STARTED;
    options.clock = standing_clock;
    options.clock_context = &wall;
    if (!is_started) {
        keyturn_fetch_complete complete = driving == FLAWED ? complete_flawed : jwks_fetch_complete;
        assert_int_equal(keyturn_fetch_new(complete, &fetcher, NULL), JWT_OK);
        options.fetcher = &fetcher;
    }
    assert_int_equal(jwks_cache_new(&options, &cache, NULL), JWT_OK);
    if (is_started)
        assert_int_equal(jwks_cache_start(cache, NULL), JWT_OK);
    else
        assert_int_equal(pthread_create(&driver, NULL, drive, NULL), 0);
}

void end_driving(void)
{
    if (is_started) {
        jwks_cache_stop(cache);
    } else {
        is_over = true;
        pthread_join(driver, NULL);
    }
    jwks_cache_release(cache);
    keyturn_fetch_stop(&fetcher);
}

/* ---- Sites */

void begin_site(struct site *site, const char *at, const char *name)
{
    memset(site, 0, sizeof *site);
    site->name = name;
    snprintf(site->url, sizeof site->url, "%s/on/%s", server(at), name);
    snprintf(site->issuer, sizeof site->issuer, "%s", site->url);
    site->options = (jwks_issuer_options)JWKS_ISSUER_OPTIONS_INIT;
    site->options.issuer = site->issuer;
    site->options.jwks_url = site->url;
    site->options.allow_http = 1;
    site->options.ca_file = server("FAULTS_CA");
    site->options.connect_timeout_ms = site->options.fetch_timeout_ms =
        PATIENCE; /* the machine may be busy */
}

void add_site(struct site *site)
{
    static const char *const audiences[] = { AUDIENCE };
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy_options policy = JWT_POLICY_OPTIONS_INIT;
    if (jwks_cache_add_issuer(cache, &site->options, &site->handle, &error) != JWT_OK)
        fail_case(error.option, 0, error.message);
    policy.issuers = &site->handle;
    policy.issuer_count = 1;
    policy.audiences = audiences;
    policy.audience_count = 1;
    CHECK_STATUS(jwt_policy_new(cache, &policy, &site->policy, NULL), JWT_OK);
    CHECK_STATUS(jwt_result_new(&site->result), JWT_OK);
}

void end_site(struct site *site)
{
    jwt_result_release(site->result);
    jwt_policy_release(site->policy);
    jwks_issuer_release(site->handle);
}

char *token_of(const struct site *site, unsigned key, const char *kid)
{
    char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kid);
    char *claims = text("{\"iss\":\"%s\"," AUD "," EXP "}", site->issuer);
    char *token = mint(key, header, claims);
    free(header);
    free(claims);
    return token;
}

jwt_status ask(struct site *site, unsigned key, const char *kid)
{
    char *token = token_of(site, key, kid);
    jwt_status status = jwt_verify(site->policy, token, strlen(token), site->result);
    free(token);
    return status;
}

int is_not_served(jwt_status status)
{
    return status == JWT_KEY_NOT_FOUND || status == JWKS_KEYS_UNAVAILABLE;
}

jwt_status ask_until_not(struct site *site, unsigned key, const char *kid, jwt_status passing)
{
    int64_t latest = now() + 3 * PATIENCE;
    jwt_status status;
    while (((status = ask(site, key, kid)) == JWKS_PENDING || status == passing ||
            (passing == JWT_KEY_NOT_FOUND && is_not_served(status))) &&
           now() < latest)
        pause_for(5);
    return status;
}

void serve_site(struct site *site)
{
    add_site(site);
    CHECK_STATUS(ask_until_not(site, 1, "one", JWKS_PENDING), JWT_OK);
}

void serve_for(struct site *site, int64_t milliseconds)
{
    serve_site(site);
    for (int64_t end = now() + milliseconds; now() < end; pause_for(10))
        CHECK_STATUS(ask(site, 1, "one"), JWT_OK);
}

int await_asked(const char *stage, size_t count)
{
    int64_t latest = now() + 3 * PATIENCE;
    while (asked(stage) < count && now() < latest)
        pause_for(50);
    return asked(stage) >= count;
}

char *act_of_key(unsigned key, const char *kid, const char *fields)
{
    char *one = jwk(key, kid), *act = text("answer 200 OK\n%s\n{\"keys\":[%s]}", fields, one);
    free(one);
    return act;
}

void play_key(const char *stage, unsigned key, const char *kid, const char *fields)
{
    char *act = act_of_key(key, kid, fields);
    play(stage, act, NULL);
    free(act);
}

char *keys_of(struct site *site)
{
    jwks_key_list *list = NULL;
    jwt_status status = jwks_issuer_keys(site->handle, &list);
    if (status != JWT_OK)
        return text("%s", jwt_status_name(status));
    char *all = text("%s", "");
    for (size_t i = 0; i < jwks_key_list_count(list); i++) {
        jwks_key_info info = JWKS_KEY_INFO_INIT;
        CHECK_STATUS(jwks_key_list_get(list, i, &info), JWT_OK);
        char *longer = text("%s%s%.*s:%d", all, i ? " " : "", (int)info.kid.len, info.kid.data, info.fault);
        free(all);
        all = longer;
    }
    jwks_key_list_release(list);
    return all;
}

/* ---- Cases */

struct running {
    pthread_t thread;
    const char *name;
    void (*body)(const char *name, const void *argument);
    const void *argument;
};

static struct running cases[128];
static size_t case_count;
static atomic_int failures;
static _Thread_local const char *running_case = "the host";

void fail_case(const char *file, int line, const char *condition)
{
    fprintf(stderr, "FAIL: %s: %s:%d: does not hold: %s\n", running_case, file, line, condition);
    failures++;
    if (strcmp(running_case, "the host") == 0)
        abort();
    pthread_exit(NULL);
}

void check_status(jwt_status actual, jwt_status expected, const char *file, int line)
{
    char *condition = text("%s, not %s", jwt_status_name(actual), jwt_status_name(expected));
    if (actual != expected)
        fail_case(file, line, condition);
    free(condition);
}

void check_keys(struct site *site, const char *expected, const char *file, int line)
{
    char *keys = keys_of(site), *condition = text("keys are %s, not %s", keys, expected);
    if (strcmp(keys, expected) != 0)
        fail_case(file, line, condition);
    free(keys);
    free(condition);
}

static void *run_case(void *context)
{
    struct running *running = context;
    running_case = running->name;
    running->body(running->name, running->argument);
    return NULL;
}

void begin_case(const char *name, void (*body)(const char *name, const void *argument), const void *argument)
{
    if (case_count == COUNT(cases))
        fail_case(__FILE__, __LINE__, "there is room for the case");
    struct running *running = &cases[case_count++];
    running->name = name;
    running->body = body;
    running->argument = argument;
    if (pthread_create(&running->thread, NULL, run_case, running) != 0)
        fail_case(__FILE__, __LINE__, "there is a thread for the case");
}

int end_cases(void)
{
    for (size_t i = 0; i < case_count; i++)
        pthread_join(cases[i].thread, NULL);
    printf("%zu cases, %d failed\n", case_count, (int)failures);
    case_count = 0;
    return failures;
}
