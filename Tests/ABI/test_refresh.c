/* Issuers whose keys are fetched, through a fetcher that the test plays itself and on a clock that it moves. */
#include "fetching.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The first fetch */

static void the_first_fetch_makes_pending_tokens_good(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    assert_int_equal(host->starts, 0);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    assert_string_equal(host->asked[0].url, URL);
    assert_string_equal(host->asked[0].etag, "");
    assert_int_equal(host->asked[0].timeout_ms, 5000);
    assert_int_equal(host->asked[0].max_body, 524288);
    assert_int_equal(host->asked[0].public_only, 0);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    reply_key(host, 1, "one");
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING); /* the poll reads it */
    uint32_t next = poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_in_range(next, 225000, 270000); /* of 300 s */
    assert_int_equal(host->starts, 1);
}

static void a_lazy_issuer_is_fetched_for_its_first_token(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.lazy = 1;
    add(host, &options);
    pass(host, HOUR);
    assert_int_equal(host->starts, 0);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void an_issuer_that_nobody_names_for_a_day_is_left_alone(void **state)
{
    struct host *host = *state;
    serve(host);
    size_t fetches = 0;
    for (int64_t end = host->now + 26 * HOUR; host->now < end;) {
        pass(host, end - host->now);
        for (; host->under_way > 0; fetches++)
            reply_key(host, 1, "one");
    }
    size_t before = host->starts;
    pass(host, 10 * HOUR);
    assert_int_equal(host->starts, before);
    assert_true(fetches > 200);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->starts, before + 1);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void not_modified_renews_what_is_served(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    char *set = set_of(1, "one");
    add(host, &options);
    poll_cache(host);
    reply_with(host, 200, set, "max-age=60", "\"v1\"");
    free(set);
    for (int round = 0; round < 40; round++) { /* beyond the 24 h that the first answer alone would do */
        assert_in_range(poll_cache(host), 1, 3600000);
        pass(host, HOUR);
        assert_string_equal(host->asked[0].etag, "\"v1\"");
        reply_with(host, 304, NULL, "max-age=3600", NULL);
        poll_cache(host);
        assert_status(ask_kid(host, 1, "one"), JWT_OK);
    }
}

static void not_modified_that_nobody_asked_for_is_a_failure(void **state)
{
    struct host *host = *state;
    serve(host);
    pass(host, HOUR);
    assert_string_equal(host->asked[0].etag, "");
    reply_with(host, 304, NULL, "max-age=3600", NULL);
    assert_in_range(poll_cache(host), 2500, 5000);
}

/* What a host's client has let pass must not end a line of the next request. */
static void a_validator_with_a_control_character_is_not_sent_back(void **state)
{
    static const char *const validators[] = { "\"v\r\nX: y\"", "\"v\n\"", "\"v\t\"", "\"v\x7f\"",
                                              "\"v\xc2\x85\"" };
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    poll_cache(host);
    for (unsigned round = 0; round < COUNT(validators); round++) {
        char *set = set_of(round + 1, "one");
        reply_with(host, 200, set, "max-age=3600", validators[round]);
        free(set);
        poll_cache(host);
        assert_status(ask_kid(host, round + 1, "one"), JWT_OK); /* its set is taken all the same */
        pass(host, HOUR);
        assert_string_equal(host->asked[0].etag, "");
    }
}

/* ---- Unknown kids */

static void a_new_key_is_pending_and_then_found(void **state)
{
    struct host *host = *state;
    serve(host);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->starts, 2);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    reply_key(host, 2, "two");
    poll_cache(host);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    assert_status(ask_kid(host, 1, "one"),
                  JWKS_PENDING); /* gone from the swap on, and asked for like any other */
}

static void a_kid_that_the_issuer_has_not_got_is_refused_and_then_throttled(void **state)
{
    struct host *host = *state;
    serve(host);
    ask_in_vain(host, "second");
    ask_in_vain(host, "third");
    size_t before = host->starts;
    assert_int_equal(before, 3);
    assert_status(ask_kid(host, 2, "fourth"), JWT_KEY_NOT_FOUND); /* no token is left */
    poll_cache(host);
    assert_int_equal(host->starts, before);
    host->now += 30000;
    assert_status(ask_kid(host, 2, "fourth"), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->starts, before + 1);
}

static void a_refused_kid_is_asked_for_again_when_the_list_lets_it(void **state)
{
    struct host *host = *state;
    serve(host);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    poll_cache(host);
    reply_key(host, 1, "one");
    poll_cache(host);
    host->now += 4999;
    assert_status(ask_kid(host, 2, "two"), JWT_KEY_NOT_FOUND);
    host->now += 1;
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
}

static void a_flood_of_random_kids_makes_few_fetches(void **state)
{
    struct host *host = *state;
    serve(host);
    int64_t flights[MOST], end = host->now + 300000;
    size_t count = 0, tokens = 0, worst = 0, known = 0;
    while (host->now < end) {
        char *kid = text("random-%zu", tokens++);
        jwt_status status = ask_kid(host, 2, kid);
        free(kid);
        assert_true(status == JWKS_PENDING || status == JWT_KEY_NOT_FOUND);
        poll_cache(host);
        for (; host->under_way > 0; flights[count++] = host->now) {
            assert_true(count < MOST);
            reply_key(host, 1, "one");
        }
        if (tokens % 16 == 0)
            known += ask_kid(host, 1, "one") == JWT_OK;
        host->now += 100;
    }
    for (size_t i = 0; i < count; i++) {
        size_t within = 0;
        for (size_t j = i; j < count && flights[j] < flights[i] + MINUTE; j++)
            within++;
        worst = within > worst ? within : worst;
    }
    print_message("%zu random kids, %zu fetches, at most %zu in a minute\n", tokens, count, worst);
    assert_int_equal(known, tokens / 16);
    assert_true(tokens >= 3000);
    assert_true(count >= 8); /* the schedule's too */
    assert_true(worst <= 5); /* 4 on demand, and one of the schedule */
}

static void what_a_cheap_check_refuses_causes_no_fetch(void **state)
{
    struct host *host = *state;
    serve(host);
    static const char *const claims[] = { "{" ISS "," AUD ",\"exp\":1}", "{" ISS ",\"aud\":\"x\"," EXP "}",
                                          "{" };
    for (size_t i = 0; i < COUNT(claims); i++) {
        char *token = mint(2, "{\"alg\":\"EdDSA\",\"kid\":\"new\"}", claims[i]);
        jwt_status status = verify_octets(host->policy, token, strlen(token), host->result);
        assert_true(status != JWKS_PENDING && status != JWT_OK);
        free(token);
    }
    assert_status(ask_kid(host, 2, "one"), JWT_BAD_SIGNATURE);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    assert_status(ask_kid(host, 2, "new"), JWKS_PENDING); /* as the others would have been */
}

/* ---- Origins that fail */

static void a_kid_whose_fetch_failed_is_no_unknown_kid(void **state)
{
    struct host *host = *state;
    serve(host);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    poll_cache(host);
    assert_status(ask_kid(host, 3, "three"), JWKS_PENDING); /* on the same flight */
    reply_with(host, 500, NULL, NULL, NULL);
    poll_cache(host);
    assert_status(ask_kid(host, 2, "two"), JWKS_KEYS_UNAVAILABLE);
    assert_status(ask_kid(host, 3, "three"), JWKS_KEYS_UNAVAILABLE);
    assert_status(ask_kid(host, 4, "four"), JWT_KEY_NOT_FOUND); /* nobody has asked for it */
    pass(host, MINUTE);
    reply_key(host, 1, "one");
    poll_cache(host);
    host->now += 1000;
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING); /* it is sound again */
}

/* What an origin that redirects again and again gets to see of it. */
static void redirects_stay_within_the_bounds(void **state)
{
    enum { REQUESTS = 1024 };
    struct host *host = *state;
    int64_t made[REQUESTS], end = host->now + 3 * HOUR;
    size_t count = 0, minute = 0, hour = 0, redirected = 0, tokens = 0;
    jwks_issuer_options options = by_url();
    options.max_redirects = 3;
    options.max_freshness_ms = options.min_freshness_ms = 60000;
    add(host, &options);
    for (; host->now < end; host->now += 1000) {
        char *kid = text("random-%zu", tokens++);
        ask_kid(host, 2, kid);
        free(kid);
        poll_cache(host);
        while (host->under_way > 0) {
            jwks_response response = JWKS_RESPONSE_INIT;
            char *set = set_of(1, "one");
            int good = count == 0 || tokens % 3 > 0;
            response.requests = 1 + host->asked[0].max_redirects;
            response.failure = good ? JWKS_FETCH_ANSWERED : JWKS_FETCH_REFUSED;
            response.http_status = 200;
            response.body = span_of(set);
            redirected += host->asked[0].max_redirects;
            for (uint32_t i = 0; i < response.requests; i++) {
                assert_true(count < REQUESTS);
                made[count++] = host->now;
            }
            reply(host, &response);
            free(set);
            poll_cache(host);
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t j = i;
        while (j < count && made[j] < made[i] + MINUTE)
            j++;
        minute = j - i > minute ? j - i : minute;
        while (j < count && made[j] < made[i] + HOUR)
            j++;
        hour = j - i > hour ? j - i : hour;
    }
    print_message("%zu requests, %zu of them redirected to; at most %zu in a minute, %zu in an hour\n", count,
                  redirected, minute, hour);
    assert_true(redirected >= 100);
    assert_true(minute <= 9);
    assert_true(hour <= 245);
}

static void an_issuer_that_is_down_is_served_until_its_hard_limit(void **state)
{
    struct host *host = *state;
    serve(host);
    int64_t began = host->now;
    size_t fetches = pass_failing(host, HOUR, 500);
    assert_in_range(fetches, 12, 40);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    pass_failing(host, began + 24 * HOUR - 1 - host->now, 503);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    host->now = began + 24 * HOUR; /* whatever the engine does */
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    assert_cleared(host->result);
    pass(host, 20000);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void with_a_dead_engine_nothing_is_accepted_past_the_hard_limit(void **state)
{
    struct host *host = *state;
    serve(host);
    host->now += 24 * HOUR - 1;
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    host->now += 1;
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
}

static void jumps_of_the_wall_clock_change_nothing(void **state)
{
    struct host *host = *state;
    serve(host);
    uint32_t before = poll_cache(host);
    host->wall -= 31536000;
    assert_int_equal(poll_cache(host), before);
    assert_int_equal(host->starts, 1);
}

static void a_cold_start_with_the_issuer_down_recovers_within_20_seconds(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    poll_cache(host);
    reply_failure(host, JWKS_FETCH_CONNECT);
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    pass_failing(host, 10 * MINUTE, 502);
    int64_t recovered = host->now;
    if (host->under_way == 0)
        pass(host, 20000);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_true(host->now - recovered <= 20000);
}

static void retry_after_is_obeyed(void **state)
{
    struct host *host = *state;
    serve(host);
    pass(host, HOUR);
    jwks_response response = JWKS_RESPONSE_INIT;
    response.http_status = 503;
    response.retry_after = span_of("120");
    reply(host, &response);
    assert_in_range(poll_cache(host), 120000, 125000);
}

static void what_is_no_key_set_changes_nothing(void **state)
{
    struct host *host = *state;
    char *large = text("{\"keys\":[%0600000d]}", 0);
    const char *const bodies[] = {
        "<html><body>ok</body></html>", "",   "{\"keys\":", "{}", "[]", "{\"keys\":{}}",
        "{\"keys\":[],\"keys\":[]}",    large
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        void *another = NULL;
        make_host(&another);
        host = another;
        serve(host);
        pass(host, HOUR);
        reply_with(host, 200, bodies[i], "max-age=3600", NULL);
        uint32_t next = poll_cache(host);
        if (next < 2500 || next > 5000)
            fail_msg("body %zu: %u ms", i, next);
        assert_status(ask_kid(host, 1, "one"), JWT_OK);
        end_host(&another);
    }
    free(large);
}

static void an_emptied_set_is_held_and_then_obeyed(void **state)
{
    struct host *host = *state;
    serve(host);
    pass(host, HOUR);
    int64_t first = host->now;
    while (host->now < first + 10 * MINUTE) {
        reply_with(host, 200, "{\"keys\":[]}", NULL, NULL);
        poll_cache(host);
        assert_status(ask_kid(host, 1, "one"), JWT_OK);
        pass(host, HOUR);
    }
    reply_with(host, 200, "{\"keys\":[]}", NULL, NULL);
    poll_cache(host);
    assert_int_not_equal(ask_kid(host, 1, "one"), JWT_OK);
}

static void an_emptied_set_is_obeyed_at_once_if_wanted(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.empty_set = JWKS_EMPTY_OBEY;
    serve_by(host, &options);
    pass(host, HOUR);
    reply_with(host, 200, "{\"keys\":[]}", NULL, NULL);
    poll_cache(host);
    assert_int_not_equal(ask_kid(host, 1, "one"), JWT_OK);
}

static void a_fetch_that_takes_too_long_is_cancelled_and_its_answer_dropped(void **state)
{
    struct host *host = *state;
    serve(host);
    pass(host, HOUR);
    host->now += 4999;
    poll_cache(host);
    assert_int_equal(host->asked[0].cancelled, 0);
    host->now += 1;
    poll_cache(host);
    assert_int_equal(host->asked[0].cancelled, 1);
    reply_key(host, 2, "two"); /* too late */
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_int_equal(host->under_way, 0);
    pass(host, 10000);
    assert_int_equal(host->under_way, 1);
}

/* ---- Discovery */

#define CONFIGURATION ISSUER "/.well-known/openid-configuration"

static void reply_configuration(struct host *host, const char *issuer, const char *jwks_uri)
{
    char *document = text("{\"issuer\":\"%s\",\"jwks_uri\":\"%s\"}", issuer, jwks_uri);
    assert_string_equal(host->asked[0].url, CONFIGURATION);
    reply_with(host, 200, document, NULL, NULL);
    poll_cache(host);
    free(document);
}

static void serve_discovered(struct host *host)
{
    jwks_issuer_options options = by_discovery();
    static const char *const headers[] = { "Authorization: Basic x" };
    options.headers = headers;
    options.header_count = 1;
    options.client_certificate = "cert.pem";
    options.client_key = "key.pem";
    add(host, &options);
    poll_cache(host);
    assert_string_equal(host->asked[0].header, headers[0]);
    assert_string_equal(host->asked[0].certificate, "cert.pem");
    assert_int_equal(host->asked[0].public_only, 0);
    reply_configuration(host, ISSUER, URL);
    assert_string_equal(host->asked[0].url, URL);
    assert_int_equal(host->asked[0].public_only, 1); /* its name may lead anywhere */
    assert_string_equal(host->asked[0].header, "");  /* another origin */
    assert_string_equal(host->asked[0].certificate, "");
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void discovery_leads_to_the_keys(void **state)
{
    struct host *host = *state;
    serve_discovered(host);
    pass(host, HOUR);
    assert_string_equal(host->asked[0].url, URL); /* and is not asked each time */
}

static void a_key_set_that_is_gone_is_discovered_again(void **state)
{
    struct host *host = *state;
    serve_discovered(host);
    pass(host, HOUR);
    reply_with(host, 404, NULL, NULL, NULL);
    pass(host, MINUTE);
    reply_configuration(host, ISSUER, ISSUER "/new");
    assert_string_equal(host->asked[0].url, ISSUER "/new");
    assert_int_equal(host->asked[0].public_only, 0); /* the host that was configured */
    assert_string_equal(host->asked[0].header, "Authorization: Basic x");
    reply_key(host, 2, "two");
    poll_cache(host);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
}

static void discovery_that_may_not_be_followed_is_a_failure(void **state)
{
    struct host *host = *state;
    static const char *const wrong[][2] = {
        { "https://other.example", URL },
        { ISSUER "/", URL },
        { ISSUER, "http://keys.example/jwks" },
        { ISSUER, "ftp://keys.example/jwks" },
        { ISSUER, "https://127.0.0.1/jwks" },
        { ISSUER, "https://127.1/jwks" },
        { ISSUER, "https://2130706433/jwks" },
        { ISSUER, "https://0x7f000001/jwks" },
        { ISSUER, "https://10.1.2.3/jwks" },
        { ISSUER, "https://172.31.0.1/jwks" },
        { ISSUER, "https://192.168.0.1/jwks" },
        { ISSUER, "https://169.254.169.254/latest/meta-data" },
        { ISSUER, "https://100.64.0.1/jwks" },
        { ISSUER, "https://0.0.0.0/jwks" },
        { ISSUER, "https://localhost/jwks" },
        { ISSUER, "https://keys.LOCALHOST./jwks" },
        { ISSUER, "https://[::1]/jwks" },
        { ISSUER, "https://[fe80::1]/jwks" },
        { ISSUER, "https://[fd00::1]/jwks" },
        { ISSUER, "https://[::ffff:10.0.0.1]/jwks" },
        { ISSUER, "https://[2002:a00:1::1]/jwks" },
        { ISSUER, "https://user@keys.example/jwks" },
        { ISSUER, "https://keys.example/jwks#x" },
        { ISSUER, "https://issuer.example\\\\@keys.example/" },
        { ISSUER, "/jwks" },
        { ISSUER, "" },
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        void *another = NULL;
        make_host(&another);
        host = another;
        jwks_issuer_options options = by_discovery();
        add(host, &options);
        poll_cache(host);
        reply_configuration(host, wrong[i][0], wrong[i][1]);
        if (host->under_way != 0)
            fail_msg("%s led to %s", wrong[i][1], host->asked[0].url);
        assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
        end_host(&another);
    }
}

static void hosts_of_discovered_keys_can_be_listed(void **state)
{
    struct host *host = *state;
    static const char *const hosts[] = { "10.0.0.1", "keys.example" };
    jwks_issuer_options options = by_discovery();
    options.jwks_hosts = hosts;
    options.jwks_host_count = 2;
    add(host, &options);
    poll_cache(host);
    reply_configuration(host, ISSUER, "https://elsewhere.example/jwks");
    assert_int_equal(host->under_way, 0);
    pass(host, MINUTE);
    reply_configuration(host, ISSUER, "https://10.0.0.1/jwks");
    assert_string_equal(host->asked[0].url, "https://10.0.0.1/jwks");
    assert_int_equal(host->asked[0].public_only, 0);
}

static void a_path_issuer_has_two_well_known_places(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_discovery();
    options.issuer = "https://issuer.example/tenant/";
    options.discovery = JWKS_DISCOVERY_OAUTH;
    add(host, &options);
    options.issuer = "https://issuer.example/tenant";
    options.discovery = JWKS_DISCOVERY_OPENID;
    jwks_issuer *other = NULL;
    assert_status(jwks_cache_add_issuer(host->cache, &options, &other, NULL), JWT_OK);
    poll_cache(host);
    assert_int_equal(host->under_way, 2);
    assert_string_equal(host->asked[0].url,
                        "https://issuer.example/.well-known/oauth-authorization-server/tenant");
    assert_string_equal(host->asked[1].url, "https://issuer.example/tenant/.well-known/openid-configuration");
    jwks_issuer_release(other);
    assert_int_equal(host->asked[1].cancelled, 1);
}

/* ---- Operators, pushes, options */

static void an_operator_may_ask_6_times_a_minute(void **state)
{
    struct host *host = *state;
    serve(host);
    for (int i = 0; i < 6; i++) {
        assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
        poll_cache(host);
        reply_key(host, 1, "one");
        poll_cache(host);
    }
    assert_int_equal(host->starts, 7);
    assert_status(jwks_issuer_refresh(host->issuer), JWKS_THROTTLED);
    host->now += 10000;
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
    assert_status(jwks_issuer_remove(host->issuer), JWT_OK);
    assert_status(jwks_issuer_refresh(host->issuer), JWKS_REMOVED);
    assert_status(jwks_issuer_refresh(NULL), JWKS_INVALID_ARGUMENT);
}

static void a_copy_that_the_host_kept_serves_until_the_first_fetch(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    poll_cache(host);
    load_key(host->issuer, 1, "one");
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_int_equal(host->asked[0].cancelled, 1); /* it began before */
    reply_key(host, 2, "two");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    pass(host, HOUR);
    reply_key(host, 2, "two");
    poll_cache(host);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
}

static void without_a_fetcher_nothing_is_fetched(void **state)
{
    struct host *host = *state;
    jwks_cache *cache = cache_of(host, NULL);
    jwks_issuer_options options = by_url();
    jwks_issuer *issuer = NULL;
    uint32_t next = 77;
    assert_status(jwks_cache_add_issuer(cache, &options, &issuer, NULL), JWT_OK);
    assert_status(jwks_cache_poll(cache, &next), JWKS_NO_FETCHER);
    assert_int_equal(next, 77);
    assert_status(jwks_issuer_refresh(issuer), JWKS_NO_FETCHER);
    assert_status(jwks_cache_poll(NULL, &next), JWKS_INVALID_ARGUMENT);
    /* Keys can be pushed; and since nobody could fetch an unknown one, nobody waits for it. */
    load_key(issuer, 1, "one");
    jwt_policy_options policy_options = good_options(&(struct world){ .issuer = issuer });
    policy_options.issuers = &issuer;
    jwt_policy *policy = new_policy(cache, &policy_options);
    char *known = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"one\"}", GOOD_CLAIMS);
    char *unknown = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"two\"}", GOOD_CLAIMS);
    assert_status(verify_octets(policy, known, strlen(known), host->result), JWT_OK);
    assert_status(verify_octets(policy, unknown, strlen(unknown), host->result), JWT_KEY_NOT_FOUND);
    free(known);
    free(unknown);
    jwt_policy_release(policy);
    jwks_issuer_release(issuer);
    jwks_cache_release(cache);
    jwks_issuer *pushed = add_issuer(host->cache, "https://pushed.example");
    assert_status(jwks_issuer_refresh(pushed), JWKS_NO_FETCHER);
    jwks_issuer_release(pushed);
    assert_int_equal(poll_cache(host), UINT32_MAX);
}

static void bad_options_are_refused_by_name(void **state)
{
    struct host *host = *state;
    static const char *const bad_hosts[] = { "keys.example", "a/b" }, *const bad_headers[] = { "no colon" };
    REFUSED("jwks_url", by_url, options.jwks_url = "keys.example");
    REFUSED("jwks_url", by_url, options.jwks_url = "http://keys.example/");
    REFUSED("jwks_url", by_url, options.jwks_url = "https://u:p@keys.example/");
    REFUSED("jwks_url", by_url, options.jwks_url = "https://keys.example:0/");
    REFUSED("jwks_url", by_url, options.jwks_url = "https://keys.example:65536/");
    REFUSED("jwks_url", by_url, options.jwks_url = "https:///x");
    REFUSED("jwks_url", by_url, options.jwks_url = "https://[1::2::3]/");
    REFUSED("jwks_url", by_url, options.jwks_url = NULL; options.fetch_timeout_ms = 100);
    REFUSED("discovery", by_url, options.discovery = JWKS_DISCOVERY_OPENID);
    REFUSED("discovery", by_url, options.discovery = (jwks_discovery)3);
    REFUSED("issuer", by_discovery, options.issuer = "joe");
    REFUSED("issuer", by_discovery, options.issuer = ISSUER "?x=1");
    REFUSED("issuer", by_discovery, options.issuer = "http://issuer.example");
    REFUSED("allow_http", by_url, options.allow_http = 2);
    REFUSED("lazy", by_url, options.lazy = 2);
    REFUSED("allow_symmetric", by_url, options.allow_symmetric = 1; options.algorithms = JWT_ALG_HS256);
    REFUSED("jwks_hosts[1]", by_discovery, options.jwks_hosts = bad_hosts; options.jwks_host_count = 2);
    REFUSED("headers[0]", by_url, options.headers = bad_headers; options.header_count = 1);
    REFUSED("client_key", by_url, options.client_certificate = "cert.pem");
    REFUSED("proxy", by_url, options.proxy = "socks5://127.0.0.1");
    REFUSED("max_redirects", by_url, options.max_redirects = 4);
    REFUSED("fetch_timeout_ms", by_url, options.fetch_timeout_ms = 60001);
    REFUSED("connect_timeout_ms", by_url, options.connect_timeout_ms = 5001);
    REFUSED("min_freshness_ms", by_url, options.min_freshness_ms = 999);
    REFUSED("min_freshness_ms", by_url, options.min_freshness_ms = 2000; options.max_freshness_ms = 1000);
    REFUSED("max_freshness_ms", by_url, options.max_freshness_ms = 604800001);
    REFUSED("default_freshness_ms", by_url, options.default_freshness_ms = 1);
    REFUSED("hard_limit_ms", by_url, options.hard_limit_ms = 3000; options.max_freshness_ms = 4000);
    REFUSED("honor_must_revalidate", by_url, options.honor_must_revalidate = 2);
    REFUSED("empty_set", by_url, options.empty_set = (jwks_empty_set)3);
    jwks_fetcher lame = { sizeof lame, start_fetch, NULL, NULL };
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache *cache = NULL;
    options.fetcher = &lame;
    assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "fetcher.cancel");
}

static void short_times_are_for_rehearsals(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.hard_limit_ms = 2000;
    options.allow_http = 1;
    options.jwks_url = "http://127.0.0.1:8080/jwks";
    add(host, &options);
    poll_cache(host);
    reply_key(host, 1, "one");
    assert_in_range(poll_cache(host), 1500, 1800);
    host->now += 1999;
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    host->now += 1;
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
}

/* ---- Ends */

static void an_issuer_that_goes_cancels_its_fetch(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    poll_cache(host);
    assert_status(jwks_issuer_remove(host->issuer), JWT_OK);
    assert_int_equal(host->asked[0].cancelled, 1);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    reply_key(host, 1, "one");
    assert_int_equal(poll_cache(host), UINT32_MAX);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
}

static void cancel_and_refresh(void *context, jwks_fetch *fetch)
{
    struct host *host = context;
    cancel_fetch(context, fetch);
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
}

static void what_is_asked_for_while_a_fetch_is_cancelled_is_not_lost(void **state)
{
    struct host *host = *state;
    jwks_fetcher fetcher = { sizeof fetcher, start_fetch, cancel_and_refresh, host };
    jwks_cache_release(host->cache);
    host->cache = cache_of(host, &fetcher);
    serve(host);
    pass(host, HOUR);
    assert_int_equal(host->starts, 2);
    host->now += MINUTE; /* too long for it */
    assert_int_equal(poll_cache(host), 0);
    assert_int_equal(host->asked[0].cancelled, 1);
    poll_cache(host);
    assert_int_equal(host->starts, 3);
}

/* Whose answer has come, but was not read when they went. */
static void answers_that_nobody_reads_go_with_the_cache(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    poll_cache(host);
    reply_key(host, 1, "one");
    jwt_policy_release(host->policy);
    jwks_issuer_release(host->issuer);
    jwks_cache_release(host->cache);
    host->policy = NULL;
    host->issuer = NULL;
    host->cache = NULL;
}

static void a_fetch_outlives_its_cache(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    poll_cache(host);
    jwt_policy_release(host->policy);
    jwks_issuer_release(host->issuer);
    jwks_cache_release(host->cache);
    host->policy = NULL;
    host->issuer = NULL;
    host->cache = NULL;
    assert_int_equal(host->asked[0].cancelled, 1);
    reply_key(host, 1, "one");
}

static void null_is_borne_by_the_hook_s_calls(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    jwks_fetch_complete(NULL, NULL);
    jwks_fetch_set_user(NULL, host);
    assert_null(jwks_fetch_user(NULL));
    add(host, &options);
    poll_cache(host);
    jwks_fetch_complete(take(host), NULL);
    assert_status(jwks_cache_poll(host->cache, NULL), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
}

static void a_forked_child_verifies_and_makes_its_own_fetches(void **state)
{
    struct host *host = *state;
    serve(host);
    pass(host, HOUR);
    assert_int_equal(host->under_way, 1);
    pid_t child = fork();
    if (child == 0) {
        int good = ask_kid(host, 1, "one") == JWT_OK;
        pass(host, HOUR);
        if (!good || host->under_way != 2)
            _exit(1);
        reply_key(host, 3, "three"); /* the parent's */
        jwks_cache_poll(host->cache, NULL);
        good = ask_kid(host, 1, "one") == JWT_OK;
        reply_key(host, 2, "two");
        jwks_cache_poll(host->cache, NULL);
        _exit(good && ask_kid(host, 2, "two") == JWT_OK ? 0 : 2);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

/* In a child nothing is fetched in ten hours, but for the first token; gives its exit status. */
static int status_of_child_at_rest(struct host *host)
{
    size_t before = host->starts;
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        pass(host, 10 * HOUR);
        if (host->starts != before)
            _exit(2);
        if (ask_kid(host, 1, "one") != JWKS_PENDING)
            _exit(3);
        poll_cache(host);
        _exit(host->starts == before + 1 ? 0 : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_forked_child_leaves_a_lazy_issuer_alone(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.lazy = 1;
    add(host, &options);
    assert_int_equal(status_of_child_at_rest(host), 0);
    poll_cache(host);
    assert_int_equal(status_of_child_at_rest(host), 0);
}

static void a_forked_child_leaves_an_idle_issuer_alone(void **state)
{
    struct host *host = *state;
    serve(host);
    for (int64_t end = host->now + 26 * HOUR; host->now < end;) {
        pass(host, end - host->now);
        while (host->under_way > 0)
            reply_key(host, 1, "one");
    }
    assert_true(host->starts > 200);
    assert_int_equal(status_of_child_at_rest(host), 0);
}

/* ---- Threads: many verify, one polls, each fetch is answered by a thread of its own */

struct crowd {
    struct host *host;
    int stop;
    unsigned rotation; /* the set holds the key of this number, and the next */
    pthread_t answering[MOST * 8];
    size_t answers;
};

struct answering {
    struct crowd *crowd;
    jwks_fetch *fetch;
};

static void *answer_in_a_thread(void *argument)
{
    struct answering *answering = argument;
    char *set = jwks(__atomic_load_n(&answering->crowd->rotation, __ATOMIC_SEQ_CST), 2, 1);
    jwks_response response = JWKS_RESPONSE_INIT;
    response.http_status = 200;
    response.body = span_of(set);
    jwks_fetch_complete(answering->fetch, &response);
    free(set);
    free(answering);
    return NULL;
}

static void start_thread(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    struct crowd *crowd = context;
    struct answering *answering = malloc(sizeof *answering);
    (void)request;
    assert_non_null(answering);
    *answering = (struct answering){ crowd, fetch };
    assert_true(crowd->answers < COUNT(crowd->answering));
    assert_int_equal(pthread_create(&crowd->answering[crowd->answers++], NULL, answer_in_a_thread, answering),
                     0);
}

static void cancel_nothing(void *context, jwks_fetch *fetch)
{
    (void)context;
    (void)fetch;
}

struct reader {
    struct crowd *crowd;
    unsigned long good, pending, refused, other;
};

static int64_t atomic_clock(void *context)
{
    return __atomic_load_n((int64_t *)context, __ATOMIC_RELAXED);
}

static void *verify_in_a_thread(void *argument)
{
    struct reader *reader = argument;
    struct host *host = reader->crowd->host;
    jwt_result *result = NULL;
    if (jwt_result_new(&result) != JWT_OK)
        return NULL;
    for (unsigned long turn = 0; !__atomic_load_n(&reader->crowd->stop, __ATOMIC_RELAXED); turn++) {
        unsigned key = __atomic_load_n(&reader->crowd->rotation, __ATOMIC_SEQ_CST) + (turn % 2);
        char *header = turn % 5 == 4 ? text("{\"alg\":\"EdDSA\",\"kid\":\"random-%lu\"}", turn)
                                     : text("{\"alg\":\"EdDSA\",\"kid\":\"kid-%u\"}", key);
        char *token = mint(key, header, GOOD_CLAIMS);
        jwt_status status = verify_octets(host->policy, token, strlen(token), result);
        reader->good += status == JWT_OK;
        reader->pending += status == JWKS_PENDING;
        reader->refused += status == JWT_KEY_NOT_FOUND || status == JWKS_KEYS_UNAVAILABLE;
        reader->other += status != JWT_OK && status != JWKS_PENDING && status != JWT_KEY_NOT_FOUND &&
                         status != JWKS_KEYS_UNAVAILABLE; /* a fetch may be lost */
        free(header);
        free(token);
    }
    jwt_result_release(result);
    return NULL;
}

static void many_threads_meet_the_engine(void **state)
{
    enum { READERS = 3 };
    struct host *host = *state;
    struct crowd crowd = { .host = host, .rotation = 1 };
    struct reader readers[READERS];
    pthread_t threads[READERS];
    jwks_fetcher fetcher = { sizeof fetcher, start_thread, cancel_nothing, &crowd };
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options from = by_url();
    unsigned long good = 0, pending = 0, refused = 0;
    options.clock = standing_clock;
    options.clock_context = &host->wall;
    options.monotonic = atomic_clock;
    options.monotonic_context = &host->now;
    options.fetcher = &fetcher;
    jwks_cache_release(host->cache);
    host->cache = NULL;
    assert_status(jwks_cache_new(&options, &host->cache, NULL), JWT_OK);
    add(host, &from);
    for (int tries = 0; tries < 1000 && ask_kid(host, 1, "kid-1") != JWT_OK; tries++) {
        assert_status(jwks_cache_poll(host->cache, NULL), JWT_OK);
        usleep(1000);
    }
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){ .crowd = &crowd };
        assert_int_equal(pthread_create(&threads[i], NULL, verify_in_a_thread, &readers[i]), 0);
    }
    for (int round = 0; round < 1500; round++) {
        __atomic_add_fetch(&host->now, 1000, __ATOMIC_RELAXED);
        if (round % 100 == 99)
            __atomic_add_fetch(&crowd.rotation, 1, __ATOMIC_SEQ_CST);
        assert_status(jwks_cache_poll(host->cache, NULL), JWT_OK);
        usleep(500);
    }
    __atomic_store_n(&crowd.stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].other, 0);
        good += readers[i].good;
        pending += readers[i].pending;
        refused += readers[i].refused;
    }
    jwks_cache_poll(host->cache, NULL); /* the last that begins a fetch, so that all who answer are joined */
    for (size_t i = 0; i < crowd.answers; i++)
        pthread_join(crowd.answering[i], NULL);
    print_message("%lu good, %lu pending, %lu refused, %zu fetches\n", good, pending, refused, crowd.answers);
    assert_true(good > 100 && pending + refused > 20 && crowd.answers >= 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOST(the_first_fetch_makes_pending_tokens_good),
        WITH_HOST(a_lazy_issuer_is_fetched_for_its_first_token),
        WITH_HOST(an_issuer_that_nobody_names_for_a_day_is_left_alone),
        WITH_HOST(not_modified_renews_what_is_served),
        WITH_HOST(not_modified_that_nobody_asked_for_is_a_failure),
        WITH_HOST(a_validator_with_a_control_character_is_not_sent_back),
        WITH_HOST(a_new_key_is_pending_and_then_found),
        WITH_HOST(a_kid_that_the_issuer_has_not_got_is_refused_and_then_throttled),
        WITH_HOST(a_refused_kid_is_asked_for_again_when_the_list_lets_it),
        WITH_HOST(a_flood_of_random_kids_makes_few_fetches),
        WITH_HOST(what_a_cheap_check_refuses_causes_no_fetch),
        WITH_HOST(a_kid_whose_fetch_failed_is_no_unknown_kid),
        WITH_HOST(redirects_stay_within_the_bounds),
        WITH_HOST(an_issuer_that_is_down_is_served_until_its_hard_limit),
        WITH_HOST(with_a_dead_engine_nothing_is_accepted_past_the_hard_limit),
        WITH_HOST(jumps_of_the_wall_clock_change_nothing),
        WITH_HOST(a_cold_start_with_the_issuer_down_recovers_within_20_seconds),
        WITH_HOST(retry_after_is_obeyed),
        cmocka_unit_test(what_is_no_key_set_changes_nothing),
        WITH_HOST(an_emptied_set_is_held_and_then_obeyed),
        WITH_HOST(an_emptied_set_is_obeyed_at_once_if_wanted),
        WITH_HOST(a_fetch_that_takes_too_long_is_cancelled_and_its_answer_dropped),
        WITH_HOST(discovery_leads_to_the_keys),
        WITH_HOST(a_key_set_that_is_gone_is_discovered_again),
        cmocka_unit_test(discovery_that_may_not_be_followed_is_a_failure),
        WITH_HOST(hosts_of_discovered_keys_can_be_listed),
        WITH_HOST(a_path_issuer_has_two_well_known_places),
        WITH_HOST(an_operator_may_ask_6_times_a_minute),
        WITH_HOST(a_copy_that_the_host_kept_serves_until_the_first_fetch),
        WITH_HOST(without_a_fetcher_nothing_is_fetched),
        WITH_HOST(bad_options_are_refused_by_name),
        WITH_HOST(short_times_are_for_rehearsals),
        WITH_HOST(an_issuer_that_goes_cancels_its_fetch),
        WITH_HOST(what_is_asked_for_while_a_fetch_is_cancelled_is_not_lost),
        WITH_HOST(answers_that_nobody_reads_go_with_the_cache),
        WITH_HOST(a_fetch_outlives_its_cache),
        WITH_HOST(null_is_borne_by_the_hook_s_calls),
        WITH_HOST(a_forked_child_verifies_and_makes_its_own_fetches),
        WITH_HOST(a_forked_child_leaves_a_lazy_issuer_alone),
        WITH_HOST(a_forked_child_leaves_an_idle_issuer_alone),
        WITH_HOST(many_threads_meet_the_engine),
    };
    return cmocka_run_group_tests_name("refresh", tests, NULL, NULL);
}
