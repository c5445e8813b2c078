/* What a host can see of a cache: counters, how its issuers stand, metrics and events. */
#include "fetching.h"

#include <malloc.h>
#include <pthread.h>

/* With a memory checker fewer rounds prove the same. */
static int rounds(int all)
{
    const char *share = getenv("KEYTURN_TEST_SHARE");
    return share ? all / atoi(share) : all;
}

/* ---- Verdicts */

static void each_verdict_is_counted_once_and_in_its_place(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *claims;
        jwt_status status;
        int of_cache;
    } rows[] = {
        { GOOD_CLAIMS, JWT_OK, 0 },
        { "{" ISS "," AUD ",\"exp\":1}", JWT_EXPIRED, 0 },
        { "{" ISS ",\"aud\":\"x\"," EXP "}", JWT_AUDIENCE_MISMATCH, 0 },
        { "{\"iss\":\"x\"," AUD "," EXP "}", JWT_ISSUER_UNKNOWN, 1 },
        { "{", JWT_BAD_JSON, 1 },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t round = 0; round <= i; round++)
            assert_status(verify_claims(world, rows[i].claims), rows[i].status);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"two\"}"), JWT_KEY_NOT_FOUND);
    char *forged = mint(9, GOOD_HEADER, GOOD_CLAIMS);
    assert_status(verify(world, forged), JWT_BAD_SIGNATURE);
    free(forged);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t expected = i + 1;
        assert_int_equal(jwks_issuer_tokens(world->issuer, rows[i].status), rows[i].of_cache ? 0 : expected);
        assert_int_equal(jwks_cache_tokens(world->cache, rows[i].status), rows[i].of_cache ? expected : 0);
    }
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_KEY_NOT_FOUND), 1);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_BAD_SIGNATURE), 1);
    for (unsigned number = 0; number < 1000; number++) { /* and nothing else */
        int known = strcmp(jwt_status_name((jwt_status)number), "JWT_UNKNOWN") != 0;
        uint64_t all = jwks_issuer_tokens(world->issuer, (jwt_status)number) +
                       jwks_cache_tokens(world->cache, (jwt_status)number);
        assert_true(known || all == 0);
    }
}

static void issuers_and_caches_count_apart(void **state)
{
    struct world *world = *state;
    void *other = NULL;
    assert_int_equal(make_world(&other), 0);
    struct world *second = other;
    jws_options options = JWS_OPTIONS_INIT;
    char *token = mint(1, GOOD_HEADER, "payload");
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(jws_verify(world->issuer, &options, token, strlen(token), world->result), JWT_OK);
    assert_status(jws_verify(world->issuer, &options, "x", 1, world->result), JWT_MALFORMED);
    free(token);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), 2);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_MALFORMED), 1); /* which it names */
    assert_int_equal(jwks_cache_tokens(world->cache, JWT_MALFORMED), 0);
    assert_int_equal(jwks_issuer_tokens(second->issuer, JWT_OK), 0);
    end_world(&other);
    assert_int_equal(jwks_issuer_tokens(NULL, JWT_OK), 0);
    assert_int_equal(jwks_cache_tokens(NULL, JWT_OK), 0);
}

/* ---- Keys */

static void a_key_tells_what_it_was_used_for(void **state)
{
    struct world *world = *state;
    jwks_key_info info = key_of(world->issuer, 0);
    assert_true(info.accepted == 0 && info.latest_exp == 0 && info.first_use == 0 && info.last_use == 0);
    assert_status(verify_claims(world, "{" ISS "," AUD ",\"exp\":1800000500}"), JWT_OK);
    world->now += 7;
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(verify_claims(world, "{" ISS "," AUD ",\"exp\":1800009999,\"nbf\":1800009000}"),
                  JWT_NOT_YET_VALID);
    info = key_of(world->issuer, 0);
    assert_int_equal(info.accepted, 2);
    assert_int_equal(info.latest_exp, 1800000500);
    assert_int_equal(info.first_use, NOW);
    assert_int_equal(info.last_use, NOW + 7);
}

static void a_token_without_exp_is_never_safe_to_forget(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    char *token = mint(1, GOOD_HEADER, "octets");
    assert_status(jws_verify(world->issuer, NULL, token, strlen(token), world->result), JWT_OK);
    free(token);
    assert_int_equal(key_of(world->issuer, 0).latest_exp, 0); /* no claims set */
    options.allow_no_expiry = 1;
    use_policy(world, &options);
    assert_status(verify_claims(world, "{" ISS "," AUD "}"), JWT_OK);
    assert_true(key_of(world->issuer, 0).latest_exp == INT64_MAX);
    assert_int_equal(key_of(world->issuer, 0).accepted, 2);
}

static void a_key_keeps_its_numbers_as_long_as_it_is_published(void **state)
{
    struct world *world = *state;
    char *one = jwk(1, "one"), *two = jwk(2, "two"), *both = text("{\"keys\":[%s,%s]}", two, one);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(load(world->issuer, both), JWT_OK);
    assert_int_equal(key_of(world->issuer, 0).accepted, 0);
    assert_int_equal(key_of(world->issuer, 1).accepted, 1);
    load_key(world->issuer, 2, "two");
    load_key(world->issuer, 1, "one");
    assert_int_equal(key_of(world->issuer, 0).accepted, 0);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), 1); /* the issuer's stay */
    free(one);
    free(two);
    free(both);
}

/* ---- Threads */

enum { THREADS = 8 };

struct worker {
    struct world *world;
    const char *good, *forged;
    int count;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    jwt_result *result = NULL;
    jwt_result_new(&result);
    for (int i = 0; i < worker->count; i++) {
        const char *token = i % 4 ? worker->good : worker->forged;
        jwt_verify(worker->world->policy, token, strlen(token), result);
    }
    jwt_result_release(result);
    return NULL;
}

/* While the main thread looks, which must never see a number go back. */
static void what_threads_count_adds_up(void **state)
{
    struct world *world = *state;
    char *good = mint(1, GOOD_HEADER, GOOD_CLAIMS), *forged = mint(2, GOOD_HEADER, GOOD_CLAIMS);
    int count = rounds(2000), generations = 10;
    struct worker worker = { world, good, forged, count / 4 * 4 };
    uint64_t seen = 0;
    for (int generation = 0; generation < generations; generation++) { /* records go from thread to thread */
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, work, &worker), 0);
        for (int i = 0; i < 50; i++) {
            uint64_t now = jwks_issuer_tokens(world->issuer, JWT_OK);
            assert_true(now >= seen);
            seen = now;
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    uint64_t all = (uint64_t)worker.count * THREADS * (uint64_t)generations;
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), all / 4 * 3);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_BAD_SIGNATURE), all / 4);
    assert_int_equal(key_of(world->issuer, 0).accepted, all / 4 * 3);
    print_message("%llu verdicts of %d threads\n", (unsigned long long)all, THREADS * generations);
    free(good);
    free(forged);
}

/* So many that the table of a thread must grow again and again. */
static void many_issuers_are_counted_each(void **state)
{
    struct world *world = *state;
    enum { MANY = 300 };
    static const char *const audiences[] = { AUDIENCE };
    jwks_issuer *issuers[MANY];
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    for (int i = 0; i < MANY; i++) {
        char *name = text("https://%d.example", i);
        issuers[i] = add_issuer(world->cache, name);
        load_key(issuers[i], 1, "one");
        free(name);
    }
    options.issuers = issuers;
    options.issuer_count = MANY;
    options.audiences = audiences;
    options.audience_count = 1;
    use_policy(world, &options);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++) {
            char *claims = text("{\"iss\":\"https://%d.example\"," AUD "," EXP "}", i);
            assert_status(verify_claims(world, claims), JWT_OK);
            free(claims);
        }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(jwks_issuer_tokens(issuers[i], JWT_OK), 2);
        assert_int_equal(key_of(issuers[i], 0).accepted, 2);
        jwks_issuer_release(issuers[i]);
    }
}

/* ---- How an issuer stands */

static void readiness_and_state_follow_the_fetches(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    assert_status(jwks_issuer_ready(host->issuer), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(stats_of(host->issuer).state, JWKS_ISSUER_EMPTY);
    assert_int_equal(stats_of(host->issuer).age_ms, -1);
    reply_with(host, 500, NULL, NULL, NULL);
    poll_cache(host);
    assert_status(jwks_issuer_ready(host->issuer), JWKS_KEYS_UNAVAILABLE);
    jwks_issuer_stats stats = stats_of(host->issuer);
    assert_true(stats.failures == 1 && stats.since_failure_ms == 0 && stats.since_success_ms == -1);
    assert_int_equal(stats.last_failure, JWKS_FETCHED_HTTP_STATUS);
    assert_in_range(stats.next_fetch_ms, 2500, 5000);
    pass(host, 5000);
    host->now += 40;
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(jwks_issuer_ready(host->issuer), JWT_OK);
    stats = stats_of(host->issuer);
    assert_int_equal(stats.state, JWKS_ISSUER_FRESH);
    assert_true(stats.age_ms == 40 && stats.fresh_ms == 300000 - 40 && stats.served_ms == 24 * HOUR - 40);
    assert_true(stats.failures == 0 && stats.since_success_ms == 0 && stats.keys == 1 &&
                stats.generation == 1);
    assert_true(stats.fetches == 2 && stats.by_reason[JWKS_FETCH_START] == 1 &&
                stats.by_reason[JWKS_FETCH_RETRY] == 1);
    assert_true(stats.by_result[JWKS_FETCHED_HTTP_STATUS] == 1 && stats.by_result[JWKS_FETCHED_NEW_SET] == 1);
    assert_true(stats.last_fetch_ms == 40 && stats.fetch_ms == 40 && stats.received_octets > 50);
    host->now += 300000;
    assert_int_equal(stats_of(host->issuer).state, JWKS_ISSUER_STALE);
    assert_int_equal(stats_of(host->issuer).fresh_ms, 0);
    host->now += 24 * HOUR;
    assert_int_equal(stats_of(host->issuer).state, JWKS_ISSUER_EXPIRED);
    assert_status(jwks_issuer_ready(host->issuer), JWKS_KEYS_UNAVAILABLE);
    assert_status(jwks_issuer_remove(host->issuer), JWT_OK);
    assert_int_equal(stats_of(host->issuer).state, JWKS_ISSUER_DISABLED);
    assert_status(jwks_issuer_ready(host->issuer), JWKS_REMOVED);
}

static void a_lazy_issuer_is_ready_to_be_asked(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.lazy = 1;
    add(host, &options);
    for (int i = 0; i < 3; i++)
        assert_status(jwks_issuer_ready(host->issuer), JWKS_PENDING);
    pass(host, HOUR);
    assert_int_equal(host->starts, 0); /* the question causes none */
}

/* Each answer to a scheduled fetch, and the result that it is counted as. */
static void each_result_is_told_apart(void **state)
{
    struct host *host = *state;
    char *one = set_of(1, "one");
    static const struct {
        uint32_t status;
        jwks_fetch_failure failure;
        const char *body;
        jwks_fetch_result result;
    } rows[] = {
        { 304, 0, NULL, JWKS_FETCHED_NOT_MODIFIED },
        { 200, 0, "{\"keys\":[]}", JWKS_FETCHED_EMPTIED },
        { 200, 0, "<html>", JWKS_FETCHED_DOCUMENT },
        { 503, 0, NULL, JWKS_FETCHED_HTTP_STATUS },
        { 404, 0, NULL, JWKS_FETCHED_HTTP_STATUS },
        { 0, JWKS_FETCH_REFUSED, NULL, JWKS_FETCHED_REFUSED },
        { 0, JWKS_FETCH_RESOLVE, NULL, JWKS_FETCHED_RESOLVE },
        { 0, JWKS_FETCH_CONNECT, NULL, JWKS_FETCHED_CONNECT },
        { 0, JWKS_FETCH_TLS, NULL, JWKS_FETCHED_TLS },
        { 0, JWKS_FETCH_TIMEOUT, NULL, JWKS_FETCHED_TIMEOUT },
        { 0, JWKS_FETCH_TOO_LARGE, NULL, JWKS_FETCHED_TOO_LARGE },
        { 0, JWKS_FETCH_BROKEN, NULL, JWKS_FETCHED_BROKEN },
        { 0, JWKS_FETCH_OTHER, NULL, JWKS_FETCHED_OTHER },
        { 0, (jwks_fetch_failure)77, NULL, JWKS_FETCHED_OTHER },
    };
    jwks_issuer_options options = by_url();
    add(host, &options);
    poll_cache(host);
    reply_with(host, 200, one, NULL, "\"v1\"");
    poll_cache(host);
    for (size_t i = 0; i < COUNT(rows); i++) {
        jwks_response response = JWKS_RESPONSE_INIT;
        uint64_t before = stats_of(host->issuer).by_result[rows[i].result];
        response.http_status = rows[i].status;
        response.failure = rows[i].failure;
        response.body = span_of(rows[i].body ? rows[i].body : "");
        for (size_t seen = host->starts; host->starts == seen;)
            pass(host, HOUR);
        reply(host, &response);
        poll_cache(host);
        assert_int_equal(stats_of(host->issuer).by_result[rows[i].result], before + 1);
        assert_int_equal(stats_of(host->issuer).fetches, i + 2);
        if (i > 0)
            assert_int_equal(stats_of(host->issuer).last_failure, rows[i].result);
    }
    for (size_t seen = host->starts; host->starts == seen;)
        pass(host, HOUR);
    reply_with(host, 200, one, NULL, NULL);
    poll_cache(host);
    assert_int_equal(stats_of(host->issuer).by_result[JWKS_FETCHED_UNCHANGED], 1);
    for (size_t seen = host->starts; host->starts == seen;)
        pass(host, HOUR);
    pass(host, 6000); /* nobody answers */
    assert_int_equal(stats_of(host->issuer).by_result[JWKS_FETCHED_TIMEOUT], 2);
    jwks_issuer_stats stats = stats_of(host->issuer);
    uint64_t by_reason = 0, by_result = 0;
    for (size_t i = 0; i < COUNT(stats.by_reason); i++)
        by_reason += stats.by_reason[i];
    for (size_t i = 0; i < COUNT(stats.by_result); i++)
        by_result += stats.by_result[i];
    assert_true(by_reason == stats.fetches && by_result == stats.fetches);
    assert_int_equal(stats.generation, 1);
    free(one);
}

static jwks_revocation revocation_of_four(const struct world *world)
{
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    revocation.issuer = world->issuer;
    revocation.kind = JWKS_REVOKE_KID;
    revocation.value = "four";
    revocation.value_len = 4;
    return revocation;
}

static void what_swaps_change_is_counted(void **state)
{
    struct world *world = *state;
    char *one = jwk(1, "one"), *two = jwk(2, "two"), *three = jwk(3, "two");
    char *both = text("{\"keys\":[%s,%s,%s,{\"kty\":\"x\"},7]}", two, one, three);
    jwks_issuer_stats before = stats_of(world->issuer);
    assert_true(before.keys_added == 1 && before.generation == 1 && before.disjoint_sets == 0);
    assert_int_equal(before.state, JWKS_ISSUER_PINNED);
    assert_true(before.served_ms == INT64_MAX && before.next_fetch_ms == -1);
    assert_status(load(world->issuer, both), JWT_OK);
    jwks_issuer_stats stats = stats_of(world->issuer);
    assert_true(stats.keys_added == 3 && stats.keys_removed == 0 && stats.keys == 3 && stats.generation == 2);
    assert_true(stats.duplicate_kids == 2 && stats.disjoint_sets == 0);
    assert_true(stats.keys_left_out[JWKS_KEY_UNKNOWN_TYPE] == 1 &&
                stats.keys_left_out[JWKS_KEY_NOT_AN_OBJECT] == 1);
    jwks_revocation revocation = revocation_of_four(world);
    assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
    load_key(world->issuer, 4, "four");
    stats = stats_of(world->issuer);
    assert_true(stats.keys_added == 4 && stats.keys_removed == 3 && stats.disjoint_sets == 1);
    assert_true(stats.revoked_keys == 1 && stats.revocations == 1 && stats.keys == 1);
    free(one);
    free(two);
    free(three);
    free(both);
}

/* One query tells whether a fleet has converged: other processes, other order, other spelling. */
static void the_digest_is_that_of_the_keys(void **state)
{
    struct world *world = *state;
    jwks_issuer *other = add_issuer(world->cache, "https://other.example");
    char *one = jwk(1, "one"), *two = jwk(2, "two"), *swapped = jwk(1, "two"), *back = jwk(2, "one");
    char *sets[] = { text("{\"keys\":[%s,%s]}", one, two), text("{ \"keys\" : [7, %s,%s]}", two, one),
                     text("{\"keys\":[%s,%s]}", swapped, back), text("{\"keys\":[%s]}", one) };
    unsigned char digests[COUNT(sets)][32], none[32] = { 0 };
    assert_memory_equal(stats_of(other).set_digest, none, 32);
    for (size_t i = 0; i < COUNT(sets); i++) {
        assert_status(load(i % 2 ? other : world->issuer, sets[i]), JWT_OK);
        memcpy(digests[i], stats_of(i % 2 ? other : world->issuer).set_digest, 32);
    }
    assert_memory_equal(digests[0], digests[1], 32);
    for (size_t i = 1; i < COUNT(sets); i++)
        for (size_t j = i + 1; j < COUNT(sets); j++)
            assert_memory_not_equal(digests[i], digests[j], 32);
    assert_memory_not_equal(digests[0], none, 32);
    for (size_t i = 0; i < COUNT(sets); i++)
        free(sets[i]);
    free(one);
    free(two);
    free(swapped);
    free(back);
    jwks_issuer_release(other);
}

static void missed_kids_are_told_apart(void **state)
{
    struct host *host = *state;
    serve(host);
    ask_in_vain(host, "second");
    ask_in_vain(host, "third");
    for (int i = 0; i < 3; i++)
        assert_status(ask_kid(host, 2, "fourth"), JWT_KEY_NOT_FOUND);
    jwks_issuer_stats stats = stats_of(host->issuer);
    assert_int_equal(stats.misses_pending, 2);
    assert_int_equal(stats.misses_listed, 2);
    assert_int_equal(stats.misses_throttled, 3);
    assert_int_equal(stats.by_reason[JWKS_FETCH_MISSING_KID], 2);
    assert_int_equal(jwks_issuer_tokens(host->issuer, JWT_KEY_NOT_FOUND), 5);
    assert_int_equal(jwks_issuer_tokens(host->issuer, JWKS_PENDING), 2);
}

static void a_key_tells_since_when_it_is_there(void **state)
{
    struct host *host = *state;
    serve(host);
    int64_t first = host->wall;
    pass(host, HOUR);
    int64_t elapsed = host->now - 1000000;
    host->wall = first + elapsed / 1000;
    reply_key(host, 1, "one");
    poll_cache(host);
    jwks_key_info info = key_of(host->issuer, 0);
    assert_in_range(info.first_seen, first, first + 1);
    assert_int_equal(info.last_seen, host->wall);
    assert_true(elapsed > 200000);
}

static void stats_need_their_size(void **state)
{
    struct world *world = *state;
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    stats.size--;
    assert_status(jwks_issuer_stats_get(world->issuer, &stats), JWKS_INVALID_ARGUMENT);
    stats.size++;
    assert_status(jwks_issuer_stats_get(NULL, &stats), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_stats_get(world->issuer, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_ready(NULL), JWKS_INVALID_ARGUMENT);
}

/* ---- Metrics */

static char *metrics_of(jwks_cache *cache, const jwks_metrics_options *options)
{
    size_t len = 0, again = 0;
    assert_status(jwks_cache_metrics(cache, options, NULL, 0, &len), JWKS_INVALID_ARGUMENT);
    char *buffer = malloc(len + 1024);
    assert_non_null(buffer);
    assert_status(jwks_cache_metrics(cache, options, buffer, len + 1024, &again), JWT_OK);
    assert_int_equal(strlen(buffer), again);
    assert_in_range(again, len - 64, len + 64);
    return buffer;
}

static jwks_metrics_options per_key(void)
{
    jwks_metrics_options options = JWKS_METRICS_OPTIONS_INIT;
    options.per_key = 1;
    return options;
}

static size_t times_in(const char *text, const char *part)
{
    size_t times = 0;
    for (; (text = strstr(text, part)); text++)
        times++;
    return times;
}

#define HOSTILE "https://\"x\\\xc3\xa9.example/{a=\"b\"}"

/* An issuer with a name that must be escaped, keys with kids that must be or cannot, and tokens of unknown kids. */
static jwks_issuer *add_hostile(struct world *world)
{
    jwks_issuer *issuer = add_issuer(world->cache, HOSTILE);
    char *one = jwk(1, "\\\"k\\\\\xc3\xa9"), *two = jwk(2, "line\\nfeed"), *three = jwk(3, "nul\\u0000");
    char *set = text("{\"keys\":[%s,%s,%s,{\"kty\":\"x\"}]}", one, two, three);
    assert_status(load(issuer, set), JWT_OK);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(verify_claims(world, "{"), JWT_BAD_JSON);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"unheard-of\"}"), JWT_KEY_NOT_FOUND);
    free(one);
    free(two);
    free(three);
    free(set);
    return issuer;
}

static void metrics_escape_what_they_tell(void **state)
{
    struct world *world = *state;
    jwks_metrics_options options = per_key();
    jwks_issuer_release(add_hostile(world)); /* gone, with all that is told of it */
    jwks_issuer *issuer = add_hostile(world);
    char *metrics = metrics_of(world->cache, &options);
    assert_int_equal(times_in(metrics, "\nkeyturn_issuers 2\n"), 1);
    assert_int_equal(
        times_in(metrics, "\nkeyturn_keys{issuer=\"https://\\\"x\\\\\xc3\xa9.example/{a=\\\"b\\\"}\"} 3\n"),
        1);
    assert_int_equal(times_in(metrics, "kid=\"\\\"k\\\\\xc3\xa9\",thumbprint=\""), 5);
    assert_int_equal(times_in(metrics, "kid=\"\",thumbprint=\""),
                     10); /* control characters: its thumbprint tells */
    assert_int_equal(times_in(metrics, "unheard-of"), 0);
    assert_int_equal(
        times_in(metrics, "\nkeyturn_tokens_total{issuer=\"" ISSUER "\",status=\"JWT_KEY_NOT_FOUND\"} 2\n"),
        1);
    assert_int_equal(times_in(metrics, "\nkeyturn_tokens_total{issuer=\"\",status=\"JWT_BAD_JSON\"} 2\n"), 1);
    assert_int_equal(times_in(metrics, "\nkeyturn_keys_left_out_total{issuer=\"https://\\\"x"), 1);
    assert_int_equal(times_in(metrics, "# TYPE keyturn_tokens_total counter\n"), 1);
    for (const char *octet = metrics; *octet; octet++)
        assert_true((unsigned char)*octet >= 32 || *octet == '\n');
    free(metrics);
    jwks_issuer_release(issuer);
}

static void series_of_keys_are_asked_for_and_bounded(void **state)
{
    struct world *world = *state;
    char *set = jwks(1, 20, 1), *metrics = metrics_of(world->cache, NULL);
    jwks_metrics_options options = per_key();
    assert_int_equal(times_in(metrics, "thumbprint="), 0);
    free(metrics);
    assert_status(load(world->issuer, set), JWT_OK);
    metrics = metrics_of(world->cache, &options);
    assert_int_equal(times_in(metrics, "thumbprint="), 100);
    free(metrics);
    options.max_series = 7;
    metrics = metrics_of(world->cache, &options);
    assert_int_equal(times_in(metrics, "thumbprint="), 7);
    free(metrics);
    free(set);
}

static size_t told_revoked(struct world *world, const char *number)
{
    char *metrics = metrics_of(world->cache, NULL),
         *line = text("\nkeyturn_keys_revoked{issuer=\"" ISSUER "\"} %s\n", number);
    size_t times = times_in(metrics, line);
    free(line);
    free(metrics);
    return times;
}

/* Not only when a set brings it. */
static void a_revoked_key_is_told_as_long_as_it_is_published(void **state)
{
    struct world *world = *state;
    load_key(world->issuer, 4, "four");
    assert_int_equal(told_revoked(world, "0"), 1);
    jwks_revocation revocation = revocation_of_four(world);
    assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
    assert_int_equal(told_revoked(world, "1"), 1);
    assert_int_equal(stats_of(world->issuer).revoked_keys, 0);
    load_key(world->issuer, 5, "five");
    assert_int_equal(told_revoked(world, "0"), 1);
    load_key(world->issuer, 4, "four");
    assert_int_equal(told_revoked(world, "1"), 1);
    assert_status(jwks_cache_unrevoke(world->cache, &revocation, NULL), JWT_OK);
    assert_int_equal(told_revoked(world, "0"), 1);
}

/* The digest as it stands in the stats, so that the two can be compared. */
static void the_digest_is_a_label(void **state)
{
    struct world *world = *state;
    char hex[65], *metrics = metrics_of(world->cache, NULL);
    jwks_issuer_stats stats = stats_of(world->issuer);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", stats.set_digest[i]);
    char *line = text("\nkeyturn_key_set_info{issuer=\"" ISSUER "\",digest=\"%s\"} 1\n", hex);
    assert_int_equal(times_in(metrics, line), 1);
    free(line);
    free(metrics);
}

static void metrics_tell_of_fetches(void **state)
{
    struct host *host = *state;
    serve(host);
    pass(host, HOUR);
    host->now += 1234;
    reply_with(host, 503, NULL, NULL, NULL);
    poll_cache(host);
    host->now += 56;
    char *metrics = metrics_of(host->cache, NULL);
    static const char *const lines[] = {
        "keyturn_fetches_total{issuer=\"" ISSUER "\",reason=\"start\"} 1",
        "keyturn_fetches_total{issuer=\"" ISSUER "\",reason=\"schedule\"} 1",
        "keyturn_fetch_results_total{issuer=\"" ISSUER "\",result=\"new_set\"} 1",
        "keyturn_fetch_results_total{issuer=\"" ISSUER "\",result=\"http_status\"} 1",
        "keyturn_fetch_duration_seconds_sum{issuer=\"" ISSUER "\"} 1.234",
        "keyturn_fetch_duration_seconds_count{issuer=\"" ISSUER "\"} 2",
        "keyturn_last_failure_age_seconds{issuer=\"" ISSUER "\"} 0.056",
        "keyturn_failures_in_a_row{issuer=\"" ISSUER "\"} 1",
        "keyturn_issuer_ready{issuer=\"" ISSUER "\"} 1",
        "keyturn_issuer_state{issuer=\"" ISSUER "\",state=\"fresh\"} 1",
        "keyturn_keys_by_algorithm{issuer=\"" ISSUER "\",algorithm=\"EdDSA\"} 1",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        char *line = text("\n%s\n", lines[i]);
        if (times_in(metrics, line) != 1)
            fail_msg("%s is not in\n%s", lines[i], metrics);
        free(line);
    }
    free(metrics);
}

static void metrics_need_room_and_options_that_fit(void **state)
{
    struct world *world = *state;
    char buffer[100000];
    size_t len = 0;
    jwks_metrics_options options = JWKS_METRICS_OPTIONS_INIT;
    assert_status(jwks_cache_metrics(NULL, NULL, buffer, sizeof buffer, &len), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_cache_metrics(world->cache, NULL, buffer, sizeof buffer, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_cache_metrics(world->cache, NULL, NULL, 9, &len), JWKS_INVALID_ARGUMENT);
    options.per_key = 2;
    assert_status(jwks_cache_metrics(world->cache, &options, buffer, sizeof buffer, &len),
                  JWKS_INVALID_OPTION);
    options = (jwks_metrics_options){ .size = sizeof options, .max_series = 1000001 };
    assert_status(jwks_cache_metrics(world->cache, &options, buffer, sizeof buffer, &len),
                  JWKS_INVALID_OPTION);
    options = (jwks_metrics_options){ .size = sizeof options, .own = 2 };
    assert_status(jwks_cache_metrics(world->cache, &options, buffer, sizeof buffer, &len),
                  JWKS_INVALID_OPTION);
    options = (jwks_metrics_options){ .size = sizeof options, .reserved = 1 };
    assert_status(jwks_cache_metrics(world->cache, &options, buffer, sizeof buffer, &len),
                  JWKS_INVALID_OPTION);
    options.size = 8;
    assert_status(jwks_cache_metrics(world->cache, &options, buffer, sizeof buffer, &len),
                  JWKS_INVALID_OPTION);
    assert_status(jwks_cache_metrics(world->cache, NULL, buffer, sizeof buffer, &len), JWT_OK);
    for (size_t capacity = 0; capacity <= len; capacity += 37) {
        memset(buffer, 'x', sizeof buffer);
        size_t wanted = 0;
        jwt_status status = jwks_cache_metrics(world->cache, NULL, buffer, capacity, &wanted);
        assert_true(status == JWKS_INVALID_ARGUMENT && wanted + 64 > len);
        assert_true(buffer[capacity] == 'x');
    }
}

/* For a tool that reads them: abi-watch metrics. */
static int print_metrics(void)
{
    void *state = NULL;
    jwks_metrics_options options = per_key();
    make_world(&state);
    struct world *world = state;
    jwks_issuer *issuer = add_hostile(world);
    char *metrics = metrics_of(world->cache, &options);
    fputs(metrics, stdout);
    free(metrics);
    jwks_issuer_release(issuer);
    return end_world(&state);
}

/* ---- Events */

/* The next one of this kind; those before it are dropped. Fails if there is none. */
static jwks_event await_event(jwks_cache *cache, jwks_event_kind kind)
{
    jwks_event event = JWKS_EVENT_INIT;
    while (jwks_event_next(cache, &event))
        if (event.kind == kind)
            return event;
    fail_msg("no event of kind %d", kind);
    return event;
}

static size_t count_events(jwks_cache *cache, jwks_event_kind kind)
{
    jwks_event event = JWKS_EVENT_INIT;
    size_t count = 0;
    while (jwks_event_next(cache, &event))
        count += event.kind == kind;
    return count;
}

static void fetch_fails(struct host *host, uint32_t status, const char *body)
{
    for (int hours = 0; host->under_way == 0 && hours < 24; hours++)
        pass(host, HOUR);
    reply_with(host, status, body, NULL, NULL);
    poll_cache(host);
}

static void an_outage_is_told_from_its_beginning_to_its_end(void **state)
{
    struct host *host = *state;
    serve(host);
    jwks_event event = JWKS_EVENT_INIT;
    assert_int_equal(jwks_event_next(host->cache, &event), 1);
    assert_int_equal(event.kind, JWKS_EVENT_ISSUER_ADDED);
    assert_string_equal(event.issuer, ISSUER);
    assert_string_equal(event.name, "issuer_added");
    assert_int_equal(event.time, NOW);
    event = await_event(host->cache, JWKS_EVENT_KEYS_CHANGED);
    assert_true(event.count == 1 && event.removed == 0 && event.dropped == 0);
    assert_int_equal(jwks_event_next(host->cache, &event), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        fetch_fails(host, 503, NULL);
        event = await_event(host->cache, JWKS_EVENT_FETCH_FAILED);
        assert_true(event.count == i && event.reason == JWKS_FETCHED_HTTP_STATUS);
        assert_string_equal(event.name, "fetch_failed");
    }
    pass_failing(host, 25 * HOUR, 500);
    await_event(host->cache, JWKS_EVENT_STALE);
    await_event(host->cache, JWKS_EVENT_EXPIRED);
    assert_int_equal(count_events(host->cache, JWKS_EVENT_EXPIRED), 0); /* once */
    ask_kid(host, 1, "one");                                            /* nobody had named it for a day */
    for (int minutes = 0; host->under_way == 0 && minutes < 60; minutes++)
        pass(host, MINUTE);
    reply_key(host, 1, "one");
    poll_cache(host);
    await_event(host->cache, JWKS_EVENT_RECOVERED);
    assert_int_equal(count_events(host->cache, JWKS_EVENT_RECOVERED), 0);
}

static void answers_that_are_held_back_are_told(void **state)
{
    struct host *host = *state;
    serve(host);
    fetch_fails(host, 200, "{\"keys\":[]}");
    await_event(host->cache, JWKS_EVENT_EMPTIED_HELD);
    assert_int_equal(jwks_issuer_tokens(host->issuer, JWT_OK), 1);
    for (int i = 0; i < 5; i++)
        fetch_fails(host, 200, "{\"keys\":[]}");
    await_event(host->cache, JWKS_EVENT_EMPTIED_OBEYED);
}

static void what_a_set_brings_is_told(void **state)
{
    struct world *world = *state;
    char *one = jwk(1, "one"), *two = jwk(2, "two"), *three = jwk(3, "two");
    char *set =
        text("{\"keys\":[%s,%s,%s,7,8,{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\",\"d\":\"AA\"}]}", one,
             two, three);
    assert_status(load(world->issuer, set), JWT_OK);
    jwks_event event = await_event(world->cache, JWKS_EVENT_KEYS_CHANGED);
    event = await_event(world->cache, JWKS_EVENT_KEYS_CHANGED); /* the first was the world's */
    assert_true(event.count == 2 && event.removed == 0);
    event = await_event(world->cache, JWKS_EVENT_DUPLICATE_KIDS);
    assert_int_equal(event.count, 2);
    event = await_event(world->cache, JWKS_EVENT_KEYS_LEFT_OUT);
    assert_true(event.count == 2 && event.reason == JWKS_KEY_NOT_AN_OBJECT);
    event = await_event(world->cache, JWKS_EVENT_PRIVATE_KEY);
    assert_int_equal(event.count, 1);
    load_key(world->issuer, 4, "four");
    event = await_event(world->cache, JWKS_EVENT_DISJOINT_SET);
    assert_true(event.count == 1 && event.removed == 3);
    assert_int_equal(jwks_event_next(world->cache, &event), 0);
    free(one);
    free(two);
    free(three);
    free(set);
}

static void revocations_are_told_without_their_values(void **state)
{
    struct world *world = *state;
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    revocation.issuer = world->issuer;
    revocation.kind = JWKS_REVOKE_KID;
    revocation.value = "secretly";
    revocation.value_len = 8;
    assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
    jwks_event event = await_event(world->cache, JWKS_EVENT_REVOKED);
    assert_int_equal(event.reason, JWKS_REVOKE_KID);
    assert_string_equal(event.kid, "");
    load_key(world->issuer, 5, "secretly"); /* which makes it a published one */
    event = await_event(world->cache, JWKS_EVENT_REVOKED_KEY);
    assert_string_equal(event.kid, "secretly");
    assert_int_equal(strlen(event.thumbprint), 43);
    assert_status(jwks_cache_unrevoke(world->cache, &revocation, NULL), JWT_OK);
    event = await_event(world->cache, JWKS_EVENT_UNREVOKED);
    assert_int_equal(event.reason, JWKS_REVOKE_KID);
    assert_status(jwks_issuer_remove(world->issuer), JWT_OK);
    event = await_event(world->cache, JWKS_EVENT_ISSUER_REMOVED);
    assert_string_equal(event.issuer, ISSUER);
}

/* However many come, they are told once in a minute, by their number alone. */
static void a_flood_of_unknown_kids_makes_few_events(void **state)
{
    struct host *host = *state;
    serve(host);
    size_t tokens = 0, events = 0, rises = 0;
    uint64_t refused = 0;
    for (int64_t end = host->now + 10 * MINUTE; host->now < end; host->now += 100, tokens++) {
        char *kid = text("random-%zu", tokens);
        jwks_event event = JWKS_EVENT_INIT;
        ask_kid(host, 2, kid);
        poll_cache(host);
        while (host->under_way > 0)
            reply_key(host, 1, "one");
        poll_cache(host);
        while (jwks_event_next(host->cache, &event)) {
            assert_null(strstr(event.kid, "random"));
            events += event.kind == JWKS_EVENT_MISSES_REFUSED;
            rises += event.kind == JWKS_EVENT_MISSES_RISE;
            refused += event.kind == JWKS_EVENT_MISSES_REFUSED ? event.count : 0;
        }
        free(kid);
    }
    print_message("%zu tokens, %zu events of %llu refused, %zu of a rise\n", tokens, events,
                  (unsigned long long)refused, rises);
    assert_in_range(events, 4, 10);
    assert_in_range(rises, 1, 3);
    assert_true(refused > tokens / 2 && refused <= tokens);
}

static void events_are_bounded_and_drops_are_counted(void **state)
{
    struct world *world = *state;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_event event = JWKS_EVENT_INIT;
    jwks_cache *cache = NULL;
    options.max_events = 3;
    assert_status(jwks_cache_new(&options, &cache, NULL), JWT_OK);
    for (int i = 0; i < 10; i++) {
        char *name = text("https://%d.example", i);
        jwks_issuer_release(add_issuer(cache, name));
        free(name);
    }
    char *metrics = metrics_of(cache, NULL);
    assert_int_equal(times_in(metrics, "\nkeyturn_events_dropped_total 7\n"), 1);
    free(metrics);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jwks_event_next(cache, &event), 1);
        char *name = text("https://%d.example", i);
        assert_string_equal(event.issuer, name);
        assert_int_equal(event.dropped, i == 0 ? 7 : 0);
        free(name);
    }
    assert_int_equal(jwks_event_next(cache, &event), 0);
    jwks_issuer_release(add_issuer(cache, "https://last.example"));
    event.size--;
    assert_int_equal(jwks_event_next(cache, &event), 0);
    assert_int_equal(jwks_event_next(NULL, &event), 0);
    assert_int_equal(jwks_event_next(cache, NULL), 0);
    jwks_cache_release(cache); /* with one that nobody has pulled */
    cache = NULL;
    options.max_events = 65537;
    jwks_error error = JWKS_ERROR_INIT;
    assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "max_events");
    (void)world;
}

/* ---- Memory */

static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Each key is used, so that each leaves its row behind; and each issuer. */
static void rotate(struct world *world, int times)
{
    char *tokens[2] = { mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"a\"}", GOOD_CLAIMS),
                        mint(2, "{\"alg\":\"EdDSA\",\"kid\":\"b\"}", GOOD_CLAIMS) };
    char *sets[2] = { set_of(1, "a"), set_of(2, "b") };
    for (int i = 0; i < times; i++) {
        assert_status(load(world->issuer, sets[i % 2]), JWT_OK);
        assert_status(verify(world, tokens[i % 2]), JWT_OK);
        if (i % 100 == 0)
            jwks_issuer_release(add_issuer(world->cache, "https://passing.example"));
    }
    for (int i = 0; i < 2; i++) {
        free(tokens[i]);
        free(sets[i]);
    }
}

/* But for what malloc keeps for the thread, which counts as in use. */
static void rotations_leave_nothing_behind(void **state)
{
    struct world *world = *state;
    rotate(world, 600); /* until the queue of events is full */
    size_t before = memory_in_use();
    rotate(world, rounds(10000));
    long grown = (long)(memory_in_use() - before);
    print_message("%d rotations, memory %+ld\n", rounds(10000), grown);
    assert_in_range(grown + 16384, 0, 32768);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), 600 + rounds(10000));
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "metrics") == 0)
        return print_metrics();
    const struct CMUnitTest tests[] = {
        WITH_WORLD(each_verdict_is_counted_once_and_in_its_place),
        WITH_WORLD(issuers_and_caches_count_apart),
        WITH_WORLD(a_key_tells_what_it_was_used_for),
        WITH_WORLD(a_token_without_exp_is_never_safe_to_forget),
        WITH_WORLD(a_key_keeps_its_numbers_as_long_as_it_is_published),
        WITH_WORLD(what_threads_count_adds_up),
        WITH_WORLD(many_issuers_are_counted_each),
        WITH_HOST(readiness_and_state_follow_the_fetches),
        WITH_HOST(a_lazy_issuer_is_ready_to_be_asked),
        WITH_HOST(each_result_is_told_apart),
        WITH_WORLD(what_swaps_change_is_counted),
        WITH_WORLD(the_digest_is_that_of_the_keys),
        WITH_HOST(missed_kids_are_told_apart),
        WITH_HOST(a_key_tells_since_when_it_is_there),
        WITH_WORLD(stats_need_their_size),
        WITH_WORLD(metrics_escape_what_they_tell),
        WITH_WORLD(series_of_keys_are_asked_for_and_bounded),
        WITH_WORLD(a_revoked_key_is_told_as_long_as_it_is_published),
        WITH_WORLD(the_digest_is_a_label),
        WITH_HOST(metrics_tell_of_fetches),
        WITH_WORLD(metrics_need_room_and_options_that_fit),
        WITH_HOST(an_outage_is_told_from_its_beginning_to_its_end),
        WITH_HOST(answers_that_are_held_back_are_told),
        WITH_WORLD(what_a_set_brings_is_told),
        WITH_WORLD(revocations_are_told_without_their_values),
        WITH_HOST(a_flood_of_unknown_kids_makes_few_events),
        WITH_WORLD(events_are_bounded_and_drops_are_counted),
        WITH_WORLD(rotations_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
