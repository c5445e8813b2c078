/* Verifications of known keys while something else goes on: their throughput, beside that of the same thread when it is
 * left alone. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double least_kept = 0.95;
static const double a_thousand = 1000;

/* What goes on must have gone on: a good part of as often as it was meant to. */
static void add_company_row(const struct entrant *alone, const struct entrant *beside, double least_done)
{
    struct row row = row_of(beside, "RS256", "small", 1, NULL);
    row.bound = AT_LEAST;
    row.goal = least_kept;
    row.ratio = alone->median / beside->median;
    row.exercised = beside->beside_done >= least_done;
    add_row(&row);
    printf("%33s%.0f times a second\n", "", beside->beside_done);
}

static void compare(const char *name, struct errand *errand, struct entrant beside, int (*alone)(void *),
                    void *alone_state)
{
    struct entrant entrants[] = { { .name = "alone", .run = run_errand, .beside = alone }, beside };
    entrants[0].beside_state = alone_state;
    entrants[0].states[0] = entrants[1].states[0] = errand;
    entrants[1].name = name;
    entrants[1].run = run_errand;
    measure(entrants, COUNT(entrants), 1);
    add_company_row(&entrants[0], &entrants[1],
                    beside.beside_per_second > 0 ? beside.beside_per_second / 2 : 1);
}

/* ---- Sets are swapped that all keep the key */

struct swaps {
    jwks_issuer *issuer;
    struct text sets[2];
    size_t count;
};

static int swap(void *state)
{
    struct swaps *swaps = state;
    struct text set = swaps->sets[swaps->count++ % 2];
    return keyturn.jwks_issuer_load(swaps->issuer, set.data, set.len, NULL) == JWT_OK;
}

static void bench_swaps(const char *name, struct world *world, struct errand *errand)
{
    struct swaps swaps = { world->issuer, { read_text("swap-0.jwks"), read_text("swap-1.jwks") }, 0 };
    struct entrant beside = { .beside = swap, .beside_state = &swaps, .beside_per_second = a_thousand };
    compare(name, errand, beside, NULL, NULL);
}

/* ---- Other tokens are revoked */

struct revocations {
    struct world *world;
    unsigned count;
};

/* Every revocation is taken back when 1,000 others have come. */
static int revoke(void *state)
{
    struct revocations *revocations = state;
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    char jti[32];
    unsigned number = revocations->count++;
    revocation.issuer = revocations->world->issuer;
    revocation.kind = JWKS_REVOKE_JTI;
    revocation.value = jti;
    revocation.value_len = (size_t)snprintf(jti, sizeof jti, "token-%u", number);
    int ok = keyturn.jwks_cache_revoke(revocations->world->cache, &revocation, NULL) == JWT_OK;
    if (number >= 1000) {
        revocation.value_len = (size_t)snprintf(jti, sizeof jti, "token-%u", number - 1000);
        ok &= keyturn.jwks_cache_unrevoke(revocations->world->cache, &revocation, NULL) == JWT_OK;
    }
    return ok;
}

static void bench_revocations(const char *name, struct world *world, struct errand *errand)
{
    struct revocations revocations = { world, 0 };
    struct entrant beside = { .beside = revoke,
                              .beside_state = &revocations,
                              .beside_per_second = a_thousand };
    compare(name, errand, beside, NULL, NULL);
}

/* ---- Another thread's tokens have kids that nobody knows, and the fetch that they caused hangs */

static struct text first_answer;
static unsigned fetches;

/* Answers the first fetch, and never another. */
static void start_fetch(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    jwks_response response = JWKS_RESPONSE_INIT;
    (void)context;
    (void)request;
    if (fetches++ > 0)
        return;
    response.http_status = 200;
    response.body = (keyturn_span){ first_answer.data, first_answer.len };
    keyturn.jwks_fetch_complete(fetch, &response);
}

static void let_it_hang(void *context, jwks_fetch *fetch)
{
    (void)context;
    (void)fetch;
}

static struct world new_fetching_world(int64_t token_cache)
{
    static jwks_fetcher fetcher = { sizeof fetcher, start_fetch, let_it_hang, NULL };
    jwks_cache_options cache_options = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    struct world world = { NULL, NULL, NULL };
    first_answer = read_text("RS256.jwks");
    cache_options.fetcher = &fetcher;
    cache_options.token_cache = token_cache;
    world.cache = new_cache(&cache_options);
    options.issuer = ISSUER;
    options.jwks_url = ISSUER "/jwks";
    must_be(keyturn.jwks_cache_add_issuer(world.cache, &options, &world.issuer, NULL), JWT_OK, "add_issuer");
    for (int i = 0; i < 2; i++) /* starts the fetch, and reads its answer */
        must_be(keyturn.jwks_cache_poll(world.cache, NULL), JWT_OK, "jwks_cache_poll");
    world.policy = new_policy(world.cache, &world.issuer, 1, "RS256");
    return world;
}

static void bench_unknown_kids(const char *name, int64_t token_cache)
{
    fetches = 0;
    struct world world = new_fetching_world(token_cache);
    struct text token = read_text("RS256.small.jwt");
    struct errand *known = new_errand(world.policy, token, JWT_OK);
    struct errand *of_others = new_errand(world.policy, token, JWT_OK);
    struct errand *unknown = new_errand(world.policy, read_text("unknown.jwt"), JWKS_PENDING);
    if (!run_errand(known) || !run_errand(unknown) || keyturn.jwks_cache_poll(world.cache, NULL) != JWT_OK ||
        fetches != 2)
        give_up("a token with an unknown kid causes no fetch");
    struct entrant beside = { .beside = run_errand, .beside_state = unknown };
    compare(name, known, beside, run_errand, of_others);
}

static void bench_repeated_too(int is_kept)
{
    struct text set = read_text("swap-0.jwks");
    struct world world = is_kept ? new_keeping_world("RS256", set) : new_world("RS256", set);
    struct errand *errand = new_errand(world.policy, read_text("RS256.small.jwt"), JWT_OK);
    bench_swaps(is_kept ? "repeated, sets are swapped" : "sets are swapped", &world, errand);
    bench_revocations(is_kept ? "repeated, others are revoked" : "other tokens are revoked", &world, errand);
    bench_unknown_kids(is_kept ? "repeated, unknown kids" : "half have unknown kids",
                       is_kept ? 0 : KEYTURN_OFF);
}

/* ---- Keys are fetched all the time, and each fetch brings a set that keeps the key */

struct refreshes {
    jwks_cache *cache;
    jwks_issuer *issuer;
    struct text sets[2];
    int64_t now; /* of the cache: each time what was accepted has grown old */
    unsigned answers;
};

static int64_t tell_time(void *refreshes)
{
    return __atomic_load_n(&((struct refreshes *)refreshes)->now, __ATOMIC_RELAXED);
}

static void answer_fetch(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    struct refreshes *refreshes = context;
    struct text set = refreshes->sets[refreshes->answers++ % 2];
    jwks_response response = JWKS_RESPONSE_INIT;
    (void)request;
    response.http_status = 200;
    response.body = (keyturn_span){ set.data, set.len };
    keyturn.jwks_fetch_complete(fetch, &response);
}

/* Whether another fetch has come to its end. */
static int refresh(void *state)
{
    struct refreshes *refreshes = state;
    unsigned before = refreshes->answers;
    __atomic_fetch_add(&refreshes->now, 3600000, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++) /* starts the fetch, and reads its answer */
        if (keyturn.jwks_cache_poll(refreshes->cache, NULL) != JWT_OK)
            return 0;
    return refreshes->answers > before;
}

static void bench_refreshes(void)
{
    static struct refreshes refreshes;
    static jwks_fetcher fetcher = { sizeof fetcher, answer_fetch, let_it_hang, &refreshes };
    jwks_cache_options cache_options = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    refreshes.sets[0] = read_text("swap-0.jwks");
    refreshes.sets[1] = read_text("swap-1.jwks");
    cache_options.fetcher = &fetcher;
    cache_options.token_cache = KEYTURN_OFF;
    cache_options.monotonic = tell_time;
    cache_options.monotonic_context = &refreshes;
    refreshes.cache = new_cache(&cache_options);
    options.issuer = ISSUER;
    options.jwks_url = ISSUER "/jwks";
    must_be(keyturn.jwks_cache_add_issuer(refreshes.cache, &options, &refreshes.issuer, NULL), JWT_OK,
            "jwks_cache_add_issuer");
    if (!refresh(&refreshes))
        give_up("nothing is fetched");
    struct errand *errand = new_errand(new_policy(refreshes.cache, &refreshes.issuer, 1, "RS256"),
                                       read_text("RS256.small.jwt"), JWT_OK);
    struct entrant beside = { .beside = refresh,
                              .beside_state = &refreshes,
                              .beside_per_second = a_thousand };
    compare("keys are refreshed", errand, beside, NULL, NULL);
}

void bench_company(void)
{
    bench_repeated_too(0);
    bench_refreshes();
    bench_repeated_too(1);
}
