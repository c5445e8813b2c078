/* One of several processes that share a store (test_processes.c): a host of its own, with options of its own. It answers
 * each line that comes with one, and ends when no more can come.
 * member NUMBER STORE URL FRESHNESS LOCK_TIMEOUT DEMAND_BURST */
#include <dlfcn.h>
#include <keyturn.h>
#include <keyturn_fetch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOW INT64_C(1800000000) /* of minting.h */

static jwks_cache *cache;
static jwks_issuer *issuer;
static jwt_policy *policy;
static jwt_result *result;

static void must(jwt_status status, const jwks_error *error)
{
    if (status == JWT_OK)
        return;
    fprintf(stderr, "member: %s: %s: %s\n", jwt_status_name(status), error->option, error->message);
    exit(1);
}

static int64_t standing_clock(void *unused)
{
    (void)unused;
    return NOW;
}

static void *poll_on(void *unused)
{
    for (;;) {
        uint32_t next = 0;
        jwks_cache_poll(cache, &next);
        struct timespec pause = { .tv_nsec = (next < 5 ? next : 5) * 1000000 };
        nanosleep(&pause, NULL);
    }
    return unused;
}

/* Each third is driven by a thread of the host's. */
static void drive(unsigned number, const char *store)
{
    static jwks_fetcher fetcher = JWKS_FETCHER_INIT;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    pthread_t thread;
    options.clock = standing_clock;
    options.store = store;
    options.max_fetches = 1 + number;
    if (number % 3 == 2) {
        must(keyturn_fetch_new(jwks_fetch_complete, &fetcher, &error), &error);
        options.fetcher = &fetcher;
    }
    must(jwks_cache_new(&options, &cache, &error), &error);
    if (!options.fetcher)
        must(jwks_cache_start(cache, &error), &error);
    else if (pthread_create(&thread, NULL, poll_on, NULL) != 0)
        exit(1);
}

/* What can differ from one to another; what bounds all of them together is the same. */
static jwks_issuer_options options_of(unsigned number, char **argv)
{
    static const char *const header[] = { "X-Member: another" };
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = options.jwks_url = argv[3];
    options.allow_http = 1;
    options.min_freshness_ms = options.max_freshness_ms = (uint32_t)atoi(argv[4]) << number % 2;
    options.connect_timeout_ms = options.fetch_timeout_ms = 10000; /* the machine may be busy */
    options.lock_timeout_ms = atoi(argv[5]);
    options.demand_burst = atoi(argv[6]);
    options.demand_interval_ms = options.demand_burst ? 100 : 0;
    options.total_burst = 1000;
    options.total_interval_ms = 100;
    options.operator_burst = 100;
    options.operator_interval_ms = 100;
    options.backoff_base_ms = options.backoff_max_ms = options.backoff_max_unserved_ms = 100;
    options.hard_limit_ms = number & 2 ? 36000000 : 0;
    options.headers = header;
    options.header_count = number / 4;
    options.max_keys = 16 + number;
    options.max_document = 10000 * (1 + number);
    options.refused_kids = 64 << number % 3;
    options.algorithms = number & 1 ? 0 : JWT_ALG_EDDSA | JWT_ALG_ES256;
    return options;
}

static void configure(unsigned number, char **argv)
{
    static const char *const audiences[] = { "api" };
    jwks_issuer_options options = options_of(number, argv);
    jwt_policy_options wanted = JWT_POLICY_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    must(jwks_cache_add_issuer(cache, &options, &issuer, &error), &error);
    wanted.issuers = &issuer;
    wanted.issuer_count = 1;
    wanted.audiences = audiences;
    wanted.audience_count = 1;
    must(jwt_policy_new(cache, &wanted, &policy, &error), &error);
    must(jwt_result_new(&result), &error);
}

/* ---- What it is told */

static jwt_status ask(const char *token)
{
    return jwt_verify(policy, token, strlen(token), result);
}

static jwt_status wait_for(const char *token)
{
    return jwt_verify_wait(policy, token, strlen(token), 0, result);
}

static jwt_status revoke_jti(const char *jti)
{
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    revocation.issuer = issuer;
    revocation.kind = JWKS_REVOKE_JTI;
    revocation.value = jti;
    revocation.value_len = strlen(jti);
    return jwks_cache_revoke(cache, &revocation, NULL);
}

static jwt_status refresh(const char *unused)
{
    (void)unused;
    return jwks_issuer_refresh(issuer);
}

static void tell_flights(void)
{
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    stats.own = 1; /* this process alone */
    must(jwks_issuer_stats_get(issuer, &stats), NULL);
    printf("%llu\n", (unsigned long long)(stats.fetches - stats.by_reason[JWKS_FETCH_ELSEWHERE]));
}

static const struct verb {
    const char *name;
    jwt_status (*call)(const char *argument);
} verbs[] = { { "ask", ask }, { "wait", wait_for }, { "revoke", revoke_jti }, { "refresh", refresh } };

static void obey(const char *name, const char *argument)
{
    if (strcmp(name, "flights") == 0)
        return tell_flights();
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            puts(jwt_status_name(verbs[i].call(argument)));
}

int main(int argc, char **argv)
{
    static char line[8192];
    Dl_info library;
    if (argc != 7 || !dladdr(dlsym(RTLD_DEFAULT, "jwt_verify"), &library))
        return 2;
    unsigned number = (unsigned)atoi(argv[1]);
    drive(number, argv[2]);
    configure(number, argv);
    puts(library.dli_fname);
    for (;;) {
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin))
            break;
        line[strcspn(line, "\n")] = 0;
        char *argument = line, *name = strsep(&argument, " ");
        obey(name, argument ? argument : "");
    }
    _exit(0); /* with threads at work */
}
