/* An issuer gets other options: what stays, what goes, and that no bound is evaded by it. */
#include "fetching.h"

#include <pthread.h>
#include <unistd.h>

#define OTHER_URL "https://other.example/jwks.json"

static jwt_status update(struct host *host, const jwks_issuer_options *options)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = jwks_issuer_update(host->issuer, options, &error);
    assert_int_equal(status == JWT_OK, error.message[0] == '\0');
    return status;
}

static jwks_issuer_options pushed(void)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = ISSUER;
    return options;
}

static void another_url_is_fetched_at_once_and_the_keys_stay(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    char *set = set_of(1, "one");
    add(host, &options);
    poll_cache(host);
    reply_with(host, 200, set, NULL, "\"v1\"");
    poll_cache(host);
    options.jwks_url = OTHER_URL;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_int_equal(poll_cache(host), 5000);
    assert_string_equal(host->asked[0].url, OTHER_URL);
    assert_string_equal(host->asked[0].etag, ""); /* the other's word */
    reply_with(host, 200, set, NULL, "\"v2\"");   /* the same set, of another place */
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    pass(host, HOUR);
    assert_string_equal(host->asked[0].url, OTHER_URL);
    assert_string_equal(host->asked[0].etag, "\"v2\"");
    free(set);
}

static void a_fetch_under_way_is_given_up_for_another_place(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    poll_cache(host);
    options.jwks_url = OTHER_URL;
    assert_status(update(host, &options), JWT_OK);
    assert_int_equal(host->asked[0].cancelled, 1);
    poll_cache(host);
    assert_int_equal(host->under_way, 2);
    reply_key(host, 3, "three"); /* the old place's */
    poll_cache(host);
    assert_status(ask_kid(host, 3, "three"), JWKS_PENDING);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void what_is_sent_along_is_part_of_what_is_asked(void **state)
{
    struct host *host = *state;
    static const char *const first[] = { "Authorization: one" }, *const second[] = { "Authorization: two" };
    jwks_issuer_options options = by_url();
    options.headers = first;
    options.header_count = 1;
    serve_by(host, &options);
    options.headers = second;
    assert_status(update(host, &options), JWT_OK);
    poll_cache(host);
    assert_string_equal(host->asked[0].header, second[0]);
}

static void other_bounds_cause_no_fetch_and_rule_at_once(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    serve(host);
    options.hard_limit_ms = 10000;
    assert_status(update(host, &options), JWT_OK);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    host->now += 9999;
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    host->now += 1;
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
}

static void updates_let_no_more_requests_out(void **state)
{
    struct host *host = *state;
    serve(host);
    int64_t end = host->now + HOUR;
    size_t updates = 0;
    while (host->now < end) {
        char *url = text("https://keys.example/%zu", updates++);
        jwks_issuer_options options = by_url();
        options.jwks_url = url;
        assert_status(update(host, &options), JWT_OK);
        free(url);
        poll_cache(host);
        while (host->under_way > 0)
            updates % 2 ? reply_failure(host, JWKS_FETCH_CONNECT) : reply_key(host, 1, "one");
        poll_cache(host);
        host->now += 1000;
    }
    print_message("%zu updates, %zu fetches\n", updates, host->starts);
    assert_true(updates == 3600 && host->starts > 100);
    assert_true(host->starts <= 245); /* what is allowed in an hour */
}

/* Else the queue would be full of them, and another issuer's flight have no room in it. */
static void flights_given_up_while_they_wait_leave_room(void **state)
{
    enum { UPDATES = 100 };
    struct host *host = *state;
    jwks_fetcher fetcher = { sizeof fetcher, start_fetch, cancel_fetch, host };
    jwks_cache_options one_at_once = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options options = by_url();
    jwks_issuer *first = NULL, *last = NULL;
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    one_at_once.fetcher = &fetcher;
    one_at_once.max_fetches = 1;
    one_at_once.monotonic = standing_clock;
    one_at_once.monotonic_context = &host->now;
    jwks_cache_release(host->cache);
    assert_status(jwks_cache_new(&one_at_once, &host->cache, NULL), JWT_OK);
    options.issuer = "https://first.example";
    assert_status(jwks_cache_add_issuer(host->cache, &options, &first, NULL), JWT_OK);
    poll_cache(host);
    assert_int_equal(host->starts, 1); /* and it has the only place */
    options = by_url();
    options.total_burst = 1000;
    add(host, &options);
    for (int i = 0; i < UPDATES; i++) {
        options.jwks_url = i % 2 ? URL : OTHER_URL;
        assert_status(update(host, &options), JWT_OK);
    }
    options.issuer = "https://last.example";
    assert_status(jwks_cache_add_issuer(host->cache, &options, &last, NULL), JWT_OK);
    assert_status(jwks_issuer_stats_get(last, &stats), JWT_OK);
    assert_int_equal(stats.failures, 0);
    assert_status(jwks_issuer_stats_get(host->issuer, &stats), JWT_OK);
    assert_int_equal(stats.failures, 0);
    for (size_t starts = 1; starts <= 3; starts++) {
        assert_int_equal(host->starts, starts);
        reply_key(host, 1, "one");
        poll_cache(host);
    }
    assert_status(jwks_issuer_ready(last), JWT_OK);
    assert_status(jwks_issuer_ready(host->issuer), JWT_OK);
    jwks_issuer_release(first);
    jwks_issuer_release(last);
}

static void failures_stay_counted(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    serve(host);
    pass_failing(host, HOUR, 500);
    while (host->under_way > 0)
        reply_failure(host, JWKS_FETCH_CONNECT);
    options.jwks_url = OTHER_URL;
    assert_status(update(host, &options), JWT_OK);
    poll_cache(host);
    reply_failure(host, JWKS_FETCH_CONNECT);
    assert_in_range(poll_cache(host), 150000, 300000); /* of many failures, not of one */
}

/* ---- Rules for keys */

static void load_two(struct host *host, uint64_t algorithms)
{
    jwks_issuer_options options = pushed();
    options.algorithms = algorithms;
    add(host, &options);
    char *one = jwk(1, "one"), *two = jwk(2, "two"), *set = text("{\"keys\":[%s,%s]}", one, two);
    assert_status(load(host->issuer, set), JWT_OK);
    free(one);
    free(two);
    free(set);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
}

static jwks_key_fault fault_of(struct host *host, size_t position)
{
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(host->issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, position, &info), JWT_OK);
    jwks_key_list_release(list);
    return info.fault;
}

static void keys_that_other_rules_do_not_admit_go_at_once(void **state)
{
    struct host *host = *state;
    char pin[64] = "";
    load_two(host, 0);
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(host->issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, 1, &info), JWT_OK);
    memcpy(pin, info.thumbprint.data, info.thumbprint.len);
    jwks_key_list_release(list);
    const char *pins[] = { pin };
    jwks_issuer_options options = pushed();
    options.pins = pins;
    options.pin_count = 1;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_NOT_FOUND);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    assert_int_equal(fault_of(host, 0), JWKS_KEY_NOT_PINNED);
    assert_int_equal(fault_of(host, 1), JWKS_KEY_USABLE);
    options.algorithms = JWT_ALG_RS256;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 2, "two"), JWKS_KEYS_UNAVAILABLE);
    assert_int_equal(fault_of(host, 1), JWKS_KEY_NOT_ALLOWED);
}

static void a_key_keeps_those_of_its_algorithms_that_are_left(void **state)
{
    struct host *host = *state;
    load_two(host, 0);
    jwks_issuer_options options = pushed();
    options.algorithms = JWT_ALG_ED25519; /* the keys were admitted for EdDSA too */
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_MISMATCH); /* its token says EdDSA */
    char *token = mint(1, "{\"alg\":\"Ed25519\",\"kid\":\"one\"}", GOOD_CLAIMS);
    assert_status(verify_octets(host->policy, token, strlen(token), host->result), JWT_OK);
    free(token);
}

static void no_key_is_carried_over_to_another_use(void **state)
{
    struct host *host = *state;
    load_two(host, 0);
    jwks_issuer_options options = pushed();
    options.use = JWKS_USE_JWT_SVID;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    options.use = JWKS_USE_SIG;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE); /* and does not come back */
    load_key(host->issuer, 1, "one");
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void no_grace_outlives_the_rules_that_gave_it(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    options.grace_ms = 600000;
    add(host, &options);
    load_key(host->issuer, 1, "one");
    load_key(host->issuer, 2, "two");
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    options.algorithms = JWT_ALG_EDDSA;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_NOT_FOUND);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
}

static void wider_rules_are_applied_to_the_same_document(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.algorithms = JWT_ALG_ED25519;
    add(host, &options);
    poll_cache(host);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_MISMATCH);
    options.algorithms = 0;
    assert_status(update(host, &options), JWT_OK);
    poll_cache(host);
    reply_key(host, 1, "one"); /* octet by octet the one before */
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

/* ---- From one kind of source to another */

static void pushed_keys_serve_until_the_first_fetch(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    add(host, &options);
    load_key(host->issuer, 1, "one");
    assert_int_equal(poll_cache(host), UINT32_MAX);
    assert_status(jwks_issuer_refresh(host->issuer), JWKS_NO_FETCHER);
    options = by_url();
    assert_status(update(host, &options), JWT_OK);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    reply_key(host, 2, "two");
    poll_cache(host);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
}

static void fetched_keys_can_be_pinned_while_they_count(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    serve(host);
    assert_status(update(host, &options), JWT_OK);
    host->now += 100 * HOUR;
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_int_equal(poll_cache(host), UINT32_MAX);
    assert_int_equal(host->starts, 1);
}

static void expired_keys_are_not_pinned(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    serve(host);
    host->now += 24 * HOUR;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
}

static void a_lazy_issuer_stays_asleep(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.lazy = 1;
    add(host, &options);
    options.jwks_url = OTHER_URL;
    assert_status(update(host, &options), JWT_OK);
    assert_int_equal(poll_cache(host), UINT32_MAX);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    poll_cache(host);
    assert_string_equal(host->asked[0].url, OTHER_URL);
}

/* ---- Ends of pinned keys */

static void pinned_keys_end_with_their_age(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    options.pinned_max_age_ms = HOUR;
    add(host, &options);
    load_key(host->issuer, 1, "one");
    host->now += HOUR - 1;
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    host->now += 1;
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    load_key(host->issuer, 1, "one");
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void pinned_keys_end_at_their_date(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    jws_options jws = JWS_OPTIONS_INIT;
    char *token = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"one\"}", GOOD_CLAIMS);
    options.valid_until = NOW + 10;
    add(host, &options);
    load_key(host->issuer, 1, "one");
    host->wall = NOW + 9;
    host->now += 100 * HOUR;
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(jws_verify(host->issuer, &jws, token, strlen(token), host->result), JWT_OK);
    host->wall = NOW + 10;
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    assert_status(jws_verify(host->issuer, &jws, token, strlen(token), host->result), JWKS_KEYS_UNAVAILABLE);
    load_key(host->issuer, 1, "one"); /* gives them no other date */
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    options.valid_until = NOW + 20;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    free(token);
}

/* ---- What is refused changes nothing */

static void a_refused_update_changes_nothing(void **state)
{
    struct host *host = *state;
    jwks_error error = JWKS_ERROR_INIT;
    serve(host);
    jwks_issuer_options options = by_url();
    options.issuer = "https://issuer.example/";
    assert_status(jwks_issuer_update(host->issuer, &options, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "issuer");
    options = by_url();
    options.jwks_url = "http://keys.example";
    options.algorithms = JWT_ALG_RS256;
    assert_status(jwks_issuer_update(host->issuer, &options, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "jwks_url");
    options = by_url();
    options.valid_until = NOW;
    assert_status(jwks_issuer_update(host->issuer, &options, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "valid_until");
    options = by_url();
    options.pinned_max_age_ms = 1000;
    assert_status(jwks_issuer_update(host->issuer, &options, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "pinned_max_age_ms");
    assert_status(jwks_issuer_update(host->issuer, NULL, &error), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_update(NULL, &options, &error), JWKS_INVALID_ARGUMENT);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(jwks_issuer_remove(host->issuer), JWT_OK);
    options = by_url();
    assert_status(update(host, &options), JWKS_REMOVED);
}

static void bad_ends_of_pinned_keys_are_refused(void **state)
{
    struct host *host = *state;
    REFUSED("valid_until", pushed, options.valid_until = -1);
    REFUSED("pinned_max_age_ms", pushed, options.pinned_max_age_ms = -1);
    REFUSED("pinned_max_age_ms", pushed, options.pinned_max_age_ms = INT64_C(31622400001));
    REFUSED("stale_warning_ms", pushed, options.stale_warning_ms = 999);
    REFUSED("jwks_url", pushed, options.backoff_max_ms = 1000);
}

/* ---- While others verify */

struct verifying {
    struct host *host;
    int stop;
    unsigned long good, other;
};

static void *verify_all_along(void *argument)
{
    struct verifying *verifying = argument;
    jwt_result *result = NULL;
    char *token = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"one\"}", GOOD_CLAIMS);
    char *unknown = mint(2, "{\"alg\":\"EdDSA\",\"kid\":\"two\"}", GOOD_CLAIMS);
    if (jwt_result_new(&result) != JWT_OK)
        return NULL;
    while (!__atomic_load_n(&verifying->stop, __ATOMIC_RELAXED)) {
        jwt_status status = verify_octets(verifying->host->policy, token, strlen(token), result);
        __atomic_add_fetch(status == JWT_OK ? &verifying->good : &verifying->other, 1, __ATOMIC_RELAXED);
        verify_octets(verifying->host->policy, unknown, strlen(unknown), result);
    }
    jwt_result_release(result);
    free(token);
    free(unknown);
    return NULL;
}

static int have_all_verified(const struct verifying *readers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (__atomic_load_n(&readers[i].good, __ATOMIC_RELAXED) < 200)
            return 0;
    return 1;
}

static void verifications_notice_nothing(void **state)
{
    enum { READERS = 2, ROUNDS = 2000 };
    struct host *host = *state;
    struct verifying readers[READERS];
    pthread_t threads[READERS];
    serve(host);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct verifying){ .host = host };
        assert_int_equal(pthread_create(&threads[i], NULL, verify_all_along, &readers[i]), 0);
    }
    for (int round = 0; round < ROUNDS || !have_all_verified(readers, READERS); round++) {
        jwks_issuer_options options = by_url();
        options.jwks_url = round % 2 ? URL : OTHER_URL;
        options.refused_kids = round % 3 ? 8 : 64;
        options.algorithms = round % 5 ? 0 : JWT_ALG_EDDSA | JWT_ALG_ES256;
        jwt_status status;
        while ((status = update(host, &options)) == JWKS_BUSY) /* a reader stands still */
            usleep(100);
        assert_status(status, JWT_OK);
        poll_cache(host);
        while (host->under_way > 0)
            reply_key(host, 1, "one");
        poll_cache(host);
    }
    for (int i = 0; i < READERS; i++) {
        __atomic_store_n(&readers[i].stop, 1, __ATOMIC_RELAXED);
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].other, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOST(another_url_is_fetched_at_once_and_the_keys_stay),
        WITH_HOST(a_fetch_under_way_is_given_up_for_another_place),
        WITH_HOST(what_is_sent_along_is_part_of_what_is_asked),
        WITH_HOST(other_bounds_cause_no_fetch_and_rule_at_once),
        WITH_HOST(updates_let_no_more_requests_out),
        WITH_HOST(flights_given_up_while_they_wait_leave_room),
        WITH_HOST(failures_stay_counted),
        WITH_HOST(keys_that_other_rules_do_not_admit_go_at_once),
        WITH_HOST(a_key_keeps_those_of_its_algorithms_that_are_left),
        WITH_HOST(no_key_is_carried_over_to_another_use),
        WITH_HOST(no_grace_outlives_the_rules_that_gave_it),
        WITH_HOST(wider_rules_are_applied_to_the_same_document),
        WITH_HOST(pushed_keys_serve_until_the_first_fetch),
        WITH_HOST(fetched_keys_can_be_pinned_while_they_count),
        WITH_HOST(expired_keys_are_not_pinned),
        WITH_HOST(a_lazy_issuer_stays_asleep),
        WITH_HOST(pinned_keys_end_with_their_age),
        WITH_HOST(pinned_keys_end_at_their_date),
        WITH_HOST(a_refused_update_changes_nothing),
        WITH_HOST(bad_ends_of_pinned_keys_are_refused),
        WITH_HOST(verifications_notice_nothing),
    };
    return cmocka_run_group_tests_name("update", tests, NULL, NULL);
}
