/* What more issuers, more keys and more threads cost, in time and in memory. */
#include "host.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double most_with_issuers = 1.2;
static const double most_octets_of_issuer = 4096;

/* ---- Time */

static void add_growth_row(const struct entrant *entrant, const char *alg, double of_one, double at_most)
{
    struct row row = row_of(entrant, alg, "small", 1, NULL);
    row.ratio = entrant->median / of_one;
    row.goal = at_most;
    row.bound = at_most > 0 ? AT_MOST : NO_GOAL;
    add_row(&row);
}

/* The world's issuer is one of so many, of which the others have the same set under other names. */
static jwt_policy *policy_among(size_t count, const char *alg, struct text jwks)
{
    jwks_cache *cache = new_cache(NULL);
    jwks_issuer **issuers = calloc(count, sizeof *issuers);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "https://%zu.example.com", i);
        issuers[i] = add_issuer(cache, i == count / 2 ? ISSUER : name, alg);
        load_set(issuers[i], jwks);
    }
    jwt_policy *policy = new_policy(cache, issuers, count, alg);
    free(issuers);
    return policy;
}

/* HS256, because there is least beside it that would hide the difference. */
static void bench_issuers(void)
{
    static const size_t counts[] = { 1, 100, 10000 };
    static const char *const names[] = { "1 issuer", "100 issuers", "10,000 issuers" };
    struct text jwks = read_text("HS256.jwks"), token = read_text("HS256.small.jwt");
    struct entrant entrants[COUNT(counts)];
    for (size_t i = 0; i < COUNT(counts); i++) {
        jwt_policy *policy = policy_among(counts[i], "HS256", jwks);
        entrants[i] = (struct entrant){ .name = names[i], .run = run_errand };
        entrants[i].states[0] = new_errand(policy, token, JWT_OK);
    }
    measure(entrants, COUNT(entrants), 1);
    for (size_t i = 0; i < COUNT(entrants); i++)
        add_growth_row(&entrants[i], "HS256", entrants[0].median, most_with_issuers);
}

/* Tokens of all issuers one after the other: nothing of them is in the processor's caches, and no thread keeps a
 * context for each. */
static void bench_issuers_by_turns(void)
{
    struct turns turns = { NULL, NULL, 0, 0 };
    struct text jwks = read_text("issuers.jwks");
    turns.tokens = split_lines(read_text("issuers.jwt"), &turns.count);
    jwks_cache *cache = new_cache(NULL);
    jwks_issuer **issuers = calloc(turns.count, sizeof *issuers);
    for (size_t i = 0; i < turns.count; i++) {
        char name[64];
        snprintf(name, sizeof name, "https://%zu.example.com", i);
        issuers[i] = add_issuer(cache, name, "ES256");
        load_set(issuers[i], jwks);
    }
    jwt_policy *policy = new_policy(cache, issuers, turns.count, "ES256");
    turns.errand = new_errand(policy, turns.tokens[0], JWT_OK);
    struct entrant entrants[] = { { .name = "one of 1,000 issuers", .run = run_errand },
                                  { .name = "1,000 issuers by turns", .run = verify_next } };
    entrants[0].states[0] = new_errand(policy, turns.tokens[0], JWT_OK);
    entrants[1].states[0] = &turns;
    measure(entrants, COUNT(entrants), 1);
    for (size_t i = 0; i < COUNT(entrants); i++)
        add_growth_row(&entrants[i], "ES256", entrants[0].median, 0);
}

static void bench_keys(void)
{
    struct world one = new_world("RS256", read_text("RS256.jwks"));
    jwks_cache *cache = new_cache(NULL);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer;
    options.issuer = ISSUER;
    must_be(keyturn.jwks_cache_add_issuer(cache, &options, &issuer, NULL), JWT_OK, "jwks_cache_add_issuer");
    load_set(issuer, read_text("many.jwks"));
    struct text token = read_text("RS256.small.jwt");
    struct entrant entrants[] = { { .name = "1 key", .run = run_errand },
                                  { .name = "128 keys", .run = run_errand } };
    entrants[0].states[0] = new_errand(one.policy, token, JWT_OK);
    entrants[1].states[0] = new_errand(new_policy(cache, &issuer, 1, "RS256"), token, JWT_OK);
    measure(entrants, COUNT(entrants), 1);
    for (size_t i = 0; i < COUNT(entrants); i++)
        add_growth_row(&entrants[i], "RS256", entrants[0].median, 0);
}

/* ---- Loading 128 keys */

static double now(void)
{
    struct timespec time;
    clock_gettime(counts_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void add_load_row(const char *name, double *ns, size_t count)
{
    struct row row = { .alg = "mixed", .claims = "", .threads = 1, .exercised = 1 };
    snprintf(row.name, sizeof row.name, "%s", name);
    row.median = median_of(ns, count);
    row.min = ns[0];
    row.max = ns[count - 1];
    add_row(&row);
}

static void bench_load(void)
{
    enum { TIMES = 15 };
    struct text many = read_text("many.jwks"), one = read_text("RS256.jwks");
    double first[TIMES], again[TIMES];
    struct world world = new_world("RS256", one);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer;
    options.issuer = "https://many.example.com";
    must_be(keyturn.jwks_cache_add_issuer(world.cache, &options, &issuer, NULL), JWT_OK,
            "jwks_cache_add_issuer");
    for (size_t i = 0; i < TIMES; i++) {
        double start = now();
        load_set(issuer, many);
        double between = now();
        load_set(issuer, many);
        first[i] = between - start;
        again[i] = now() - between;
        load_set(issuer, one);
    }
    add_load_row("load and swap 128 new keys", first, TIMES);
    add_load_row("load and swap the same again", again, TIMES);
}

/* ---- Memory, libcrypto's included */

static double octets_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd);
}

static void add_memory_row(const char *name, double octets, double at_most)
{
    struct row row = { .alg = "", .claims = "", .threads = 1, .octets = octets, .exercised = 1 };
    snprintf(row.name, sizeof row.name, "%s", name);
    row.bound = at_most > 0 ? AT_MOST : NO_GOAL;
    row.goal = at_most;
    add_row(&row);
}

static void start_nothing(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    (void)context, (void)fetch, (void)request;
}

static void cancel_nothing(void *context, jwks_fetch *fetch)
{
    (void)context, (void)fetch;
}

/* Without keys: idle ones, whose set is pushed, or fetched from a URL. */
static void bench_memory_of_issuers(const char *name, int are_fetched)
{
    enum { ISSUERS = 1000 };
    static jwks_fetcher fetcher = { sizeof fetcher, start_nothing, cancel_nothing, NULL };
    jwks_cache_options cache_options = JWKS_CACHE_OPTIONS_INIT;
    cache_options.fetcher = &fetcher;
    cache_options.token_cache = KEYTURN_OFF;
    jwks_cache *cache = new_cache(&cache_options);
    double before = octets_in_use();
    for (int i = 0; i < ISSUERS; i++) {
        char issuer_name[64], url[64];
        jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
        jwks_issuer *issuer;
        snprintf(issuer_name, sizeof issuer_name, "https://%d.example.com", i);
        snprintf(url, sizeof url, "https://%d.example.com/jwks.json", i);
        options.issuer = issuer_name;
        options.jwks_url = are_fetched ? url : NULL;
        must_be(keyturn.jwks_cache_add_issuer(cache, &options, &issuer, NULL), JWT_OK,
                "jwks_cache_add_issuer");
    }
    add_memory_row(name, (octets_in_use() - before) / ISSUERS, most_octets_of_issuer);
}

static void bench_memory_of_keys(void)
{
    struct text many = read_text("many.jwks");
    jwks_cache *cache = new_cache(NULL);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer;
    options.issuer = ISSUER;
    must_be(keyturn.jwks_cache_add_issuer(cache, &options, &issuer, NULL), JWT_OK, "jwks_cache_add_issuer");
    double before = octets_in_use();
    load_set(issuer, many);
    add_memory_row("memory of a P-256 key", (octets_in_use() - before) / 128, 0);
}

static pthread_barrier_t verified, seen;

static void *verify_once(void *errand)
{
    if (!run_errand(errand))
        give_up("a new thread does not verify");
    pthread_barrier_wait(&verified);
    pthread_barrier_wait(&seen);
    return NULL;
}

/* Of threads that have verified with one RSA key. */
static void bench_memory_of_threads(void)
{
    enum { THREADS = 16 };
    struct world world = new_world("RS256", read_text("RS256.jwks"));
    struct text token = read_text("RS256.small.jwt");
    pthread_t threads[THREADS];
    struct errand *errands[THREADS];
    pthread_barrier_init(&verified, NULL, THREADS + 1);
    pthread_barrier_init(&seen, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        errands[i] = new_errand(world.policy, token, JWT_OK);
    double before = octets_in_use();
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, verify_once, errands[i]) != 0)
            give_up("no thread could be made");
    pthread_barrier_wait(&verified);
    add_memory_row("memory of a thread, its result", (octets_in_use() - before) / THREADS, 0);
    pthread_barrier_wait(&seen);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

void bench_growth(void)
{
    bench_issuers();
    bench_issuers_by_turns();
    bench_keys();
    bench_load();
    bench_memory_of_issuers("memory of an idle issuer", 0);
    bench_memory_of_issuers("memory of one with a URL", 1);
    bench_memory_of_keys();
    bench_memory_of_threads();
}
