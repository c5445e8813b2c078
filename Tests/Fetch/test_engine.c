/* Both libraries together, over real HTTP and HTTPS, against an issuer with every fault: what a token of a known
 * key is told, and one of an unknown kid, how often the issuer is asked, and which keys there are.
 *
 * All cases run side by side: one cache, an issuer for each. Times are short by options. */
#include "host.h"

enum { BACKOFF = 1000 };

static void in_short_times(struct site *site)
{
    site->options.max_document = 10000;
    site->options.max_keys = 4;
    site->options.backoff_base_ms = BACKOFF;
    site->options.backoff_max_ms = 2 * BACKOFF;
}

/* ---- What fails a fetch, whoever has keys already and whoever has none */

static const struct fault {
    const char *name, *act;
    uint32_t timeout_ms; /* of what would last; 0: as long as a busy machine takes */
} faults[] = {
    { "500", "answer 500 Trouble\n\n", 0 },
    { "404", "answer 404 Not Found\n\n", 0 },
    { "401", "answer 401 Unauthorized\nWWW-Authenticate: Basic\n\n", 0 },
    { "204", "answer 204 No Content\n\n", 0 },
    { "hang", "hang", 1500 },
    { "reset", "reset", 0 },
    { "close", "close", 0 },
    { "drip", "drip", 1500 },
    { "oversize", "sized 10001", 0 },
    { "endless", "chunked 1000000", 0 },
    { "bomb", "zipped 5000000", 0 },
    { "unzippable", "unzippable", 0 },
    { "truncated", "truncated", 0 },
    { "garbage", "garbage", 0 },
    { "html", "answer 200 OK\nContent-Type: text/html\n\n<html>Log in first</html>", 0 },
    { "nothing", "answer 200 OK\n\n", 0 },
    { "half-json", "answer 200 OK\n\n{\"keys\":[", 0 },
    { "no-set", "answer 200 OK\n\n{\"kids\":[]}", 0 },
    { "not-an-object", "answer 200 OK\n\n[]", 0 },
    { "member-twice", "answer 200 OK\n\n{\"keys\":[],\"keys\":[]}", 0 },
    { "too-many-keys", "answer 200 OK\n\n{\"keys\":[{},{},{},{},{}]}", 0 },
    { "unasked-304", "answer 304 Not Modified\n\n", 0 },
    { "redirect", "redirect /on/elsewhere", 0 },
    { "protocol", "redirect file:///etc/passwd", 0 },
};

static void in_time_of(struct site *site, const struct fault *fault)
{
    if (fault->timeout_ms)
        site->options.connect_timeout_ms = site->options.fetch_timeout_ms = fault->timeout_ms;
}

/* Of the requests from `first` on none came before its backoff was over. */
static void check_backoff(const char *stage, size_t first)
{
    int64_t times[64];
    size_t count = asked_at(stage, times, COUNT(times), NULL);
    CHECK(count > first + 1 && count <= COUNT(times));
    for (size_t i = first + 1; i < count; i++)
        CHECK(times[i] - times[i - 1] >= BACKOFF / 2 - 5); /* two clocks are read */
}

/* The keys stay, through it and after it; unknown kids cause nothing while it lasts. */
static void a_fault_takes_nothing_away(const char *name, const void *argument)
{
    const struct fault *fault = argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTPS", name);
    in_short_times(&site);
    in_time_of(&site, fault);
    play_key(name, 1, "one", "");
    add_site(&site);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_KEYS_UNAVAILABLE), JWT_OK);
    size_t first = asked(name);
    CHECK(first == 1 || fault->timeout_ms != 0); /* a short time may be too short here */

    play(name, fault->act, NULL);
    CHECK_STATUS(jwks_issuer_refresh(site.handle), JWT_OK);
    CHECK(await_asked(name, first + 1));
    CHECK_STATUS(ask(&site, 1, "one"), JWT_OK);
    CHECK(is_not_served(ask_until_not(&site, 2, "two", JWKS_PENDING)));
    while (asked(name) < first + 3) { /* two retries */
        CHECK_STATUS(ask(&site, 1, "one"), JWT_OK);
        jwt_status unknown = ask(&site, 2, "two");
        CHECK(is_not_served(unknown) || unknown == JWKS_PENDING); /* pending on a retry */
    }
    check_backoff(name, first);
    CHECK_KEYS(&site, "one:0");

    play_key(name, 2, "two", "");
    CHECK_STATUS(ask_until_not(&site, 2, "two", JWT_KEY_NOT_FOUND), JWT_OK);
    jwt_status gone = ask(&site, 1, "one");
    CHECK(gone == JWKS_PENDING || gone == JWT_KEY_NOT_FOUND);
    CHECK_KEYS(&site, "two:0");
    end_site(&site);
}

/* Who has no keys is told so, and not that the token is bad; and is served within one retry of the recovery. */
static void a_fault_at_the_start_is_an_outage(const char *name, const void *argument)
{
    const struct fault *fault = argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTP", name);
    in_short_times(&site);
    in_time_of(&site, fault);
    play(name, fault->act, NULL);
    add_site(&site);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_PENDING), JWKS_KEYS_UNAVAILABLE);
    CHECK_KEYS(&site, "JWKS_KEYS_UNAVAILABLE");
    while (asked(name) < 3)
        CHECK_STATUS(ask(&site, 1, "one"), JWKS_KEYS_UNAVAILABLE); /* also while a retry is under way */
    check_backoff(name, 0);

    play_key(name, 1, "one", "");
    size_t before = asked(name);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_KEYS_UNAVAILABLE), JWT_OK);
    CHECK(asked(name) <= before + 1 || fault->timeout_ms != 0);
    CHECK_KEYS(&site, "one:0");
    end_site(&site);
}

/* With a backoff that nobody has set: the second retry comes at most 10 s after the first. */
static void a_cold_start_is_served_soon_after_the_recovery(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTPS", name);
    play(name, "answer 503 Trouble\n\n", NULL);
    add_site(&site);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_PENDING), JWKS_KEYS_UNAVAILABLE);
    CHECK(await_asked(name, 2));
    play_key(name, 1, "one", "");
    int64_t recovered = now();
    size_t before = asked(name);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_KEYS_UNAVAILABLE), JWT_OK);
    CHECK(now() - recovered <= 20000);
    CHECK(asked(name) <= before + 1);
    end_site(&site);
}

static void begin_faults(void)
{
    for (size_t i = 0; i < COUNT(faults); i++) {
        begin_case(text("warm-%s", faults[i].name), a_fault_takes_nothing_away, &faults[i]);
        begin_case(text("cold-%s", faults[i].name), a_fault_at_the_start_is_an_outage, &faults[i]);
    }
}

/* ---- Bad TLS */

static void bad_tls_is_never_asked(const char *name, const void *argument)
{
    struct site site;
    begin_site(&site, argument, name);
    in_short_times(&site);
    play_key(name, 1, "one", "");
    add_site(&site);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_PENDING), JWKS_KEYS_UNAVAILABLE);
    pause_for(3 * BACKOFF); /* for a retry, too */
    CHECK_STATUS(ask(&site, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    CHECK(asked(name) == 0);
    CHECK_KEYS(&site, "JWKS_KEYS_UNAVAILABLE");
    end_site(&site);
}

/* ---- Discovery */

static void play_discovery(const char *name, const char *issuer, const char *jwks_uri)
{
    char *stage = text("%s/.well-known/openid-configuration", name);
    char *act = text("answer 200 OK\n\n{\"issuer\":\"%s\",\"jwks_uri\":\"%s\"}", issuer, jwks_uri);
    play(stage, act, NULL);
    free(act);
    free(stage);
}

static void begin_discovered(struct site *site, const char *name)
{
    begin_site(site, "FAULTS_HTTPS", name);
    in_short_times(site);
    site->options.jwks_url = NULL;
    site->options.discovery = JWKS_DISCOVERY_OPENID;
}

static void discovery_leads_to_the_keys(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    char *keys = text("%s-keys", name), *moved = text("%s-moved", name);
    char *here = text("%s/on/%s", server("FAULTS_HTTPS"), keys);
    char *there = text("%s/on/%s", server("FAULTS_HTTPS"), moved);
    begin_discovered(&site, name);
    play_discovery(name, site.issuer, here);
    play_key(keys, 1, "one", "");
    serve_site(&site);
    CHECK(asked(keys) == 1);

    /* What is gone from there is asked for anew, and found where it is now. */
    play(keys, "answer 410 Gone\n\n", NULL);
    play_key(moved, 2, "two", "");
    play_discovery(name, site.issuer, there);
    CHECK_STATUS(jwks_issuer_refresh(site.handle), JWT_OK);
    CHECK_STATUS(ask_until_not(&site, 2, "two", JWT_KEY_NOT_FOUND), JWT_OK);
    CHECK(asked(keys) == 2 && asked(moved) == 1);
    CHECK_KEYS(&site, "two:0");
    end_site(&site);
    free(keys);
    free(moved);
    free(here);
    free(there);
}

/* %s is the server where the keys would be. */
static const struct lie {
    const char *name, *issuer, *jwks_uri;
} lies[] = {
    { "other-issuer", "https://issuer.example", "%s/on/foreign" },
    { "issuer-with-slash", NULL, "%s/on/foreign" },
    { "private-place", "", "https://10.0.0.1/on/foreign" },
    { "loopback-place", "", "https://localhost/on/foreign" },
    { "mapped-place", "", "https://[::ffff:127.0.0.1]/on/foreign" },
    { "file", "", "file:///etc/passwd" },
    { "no-place", "", "" },
};

static void discovery_that_lies_leads_nowhere(const char *name, const void *argument)
{
    const struct lie *lie = argument;
    struct site site;
    char place[256], issuer[300];
    begin_discovered(&site, name);
    snprintf(issuer, sizeof issuer, "%s%s", lie->issuer && *lie->issuer ? lie->issuer : site.issuer,
             lie->issuer ? "" : "/");
    const char *format = strchr(lie->jwks_uri, '%');
    snprintf(place, sizeof place, "%s%s", format ? server("FAULTS_HTTPS") : "",
             format ? format + 2 : lie->jwks_uri);
    play_discovery(name, issuer, place);
    play_key("foreign", 1, "one", "");
    add_site(&site);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_PENDING), JWKS_KEYS_UNAVAILABLE);
    char *stage = text("%s/.well-known/openid-configuration", name);
    CHECK(await_asked(stage, 3));
    CHECK_STATUS(ask(&site, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    check_backoff(stage, 0);
    CHECK(asked("foreign") == 0);
    free(stage);
    end_site(&site);
}

/* ---- Redirects, where they are allowed */

static void a_redirect_is_followed_where_that_is_allowed(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    char *there = text("%s-there", name), *act = text("redirect /on/%s", there);
    begin_site(&site, "FAULTS_HTTPS", name);
    in_short_times(&site);
    site.options.max_redirects = 1;
    play(name, act, NULL);
    play_key(there, 1, "one", "");
    serve_site(&site);
    CHECK(asked(name) == 1 && asked(there) == 1);
    free(there);
    free(act);
    end_site(&site);
}

/* ---- Sets that are odd, and accepted */

static void one_unknown_key_costs_itself_alone(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    char *one = jwk(1, "one");
    char *act = text("answer 200 OK\n\n{\"keys\":[{\"kty\":\"XYZ\",\"kid\":\"odd\"},%s]}", one);
    begin_site(&site, "FAULTS_HTTPS", name);
    play(name, act, NULL);
    serve_site(&site);
    CHECK(asked(name) == 1);
    char *expected = text("odd:%d one:0", JWKS_KEY_UNKNOWN_TYPE);
    CHECK_KEYS(&site, expected);
    free(expected);
    free(one);
    free(act);
    end_site(&site);
}

static void of_two_keys_with_one_kid_each_serves(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    char *one = jwk(1, "same"), *two = jwk(2, "same");
    char *act = text("answer 200 OK\n\n{\"keys\":[%s,%s]}", one, two);
    begin_site(&site, "FAULTS_HTTPS", name);
    play(name, act, NULL);
    add_site(&site);
    CHECK_STATUS(ask_until_not(&site, 1, "same", JWKS_PENDING), JWT_OK);
    CHECK_STATUS(ask(&site, 2, "same"), JWT_OK);
    CHECK_STATUS(ask(&site, 3, "same"), JWT_BAD_SIGNATURE);
    CHECK_KEYS(&site, "same:0 same:0");
    CHECK(asked(name) == 1); /* a bad signature asks for nothing */
    free(one);
    free(two);
    free(act);
    end_site(&site);
}

/* ---- Empty sets */

#define EMPTY "answer 200 OK\n\n{\"keys\":[]}"

static void an_empty_set_is_held_until_it_has_lasted(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTPS", name);
    site.options.min_freshness_ms = site.options.max_freshness_ms = 1000;
    site.options.total_burst = 100;
    site.options.empty_hold_ms = 3000;
    play_key(name, 1, "one", "");
    serve_site(&site);
    play(name, EMPTY, NULL);
    int64_t played = now();
    size_t before = asked(name);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWT_OK), JWT_KEY_NOT_FOUND);
    CHECK(now() - played >= 3000);
    CHECK(asked(name) >= before + 3);
    CHECK_KEYS(&site, "");
    play_key(name, 2, "two", "");
    CHECK_STATUS(ask_until_not(&site, 2, "two", JWT_KEY_NOT_FOUND), JWT_OK);
    end_site(&site);
}

static void an_empty_set_is_obeyed_where_that_is_wanted(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTPS", name);
    site.options.empty_set = JWKS_EMPTY_OBEY;
    play_key(name, 1, "one", "");
    serve_site(&site);
    play(name, EMPTY, NULL);
    CHECK_STATUS(jwks_issuer_refresh(site.handle), JWT_OK);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWT_OK), JWT_KEY_NOT_FOUND);
    CHECK_KEYS(&site, "");
    end_site(&site);
}

/* ---- What an issuer says of its set's age */

static void a_second_of_freshness_is_clamped(const char *name, const void *argument)
{
    (void)argument;
    struct site site, eager;
    char *other = text("%s-eager", name);
    begin_site(&site, "FAULTS_HTTPS", name);
    begin_site(&eager, "FAULTS_HTTPS", other);
    eager.options.min_freshness_ms = 1000;
    play_key(name, 1, "one", "Cache-Control: max-age=1\n");
    play_key(other, 1, "one", "Cache-Control: max-age=1\n");
    add_site(&site);
    add_site(&eager);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_PENDING), JWT_OK);
    CHECK_STATUS(ask_until_not(&eager, 1, "one", JWKS_PENDING), JWT_OK);
    CHECK(await_asked(other, 4)); /* as often as it says, where that is allowed */
    CHECK(asked(name) == 1);      /* and once a minute otherwise */
    CHECK_STATUS(ask(&site, 1, "one"), JWT_OK);
    free(other);
    end_site(&site);
    end_site(&eager);
}

static void a_year_of_freshness_is_clamped(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTPS", name);
    site.options.min_freshness_ms = site.options.max_freshness_ms = 2000;
    play_key(name, 1, "one", "Cache-Control: max-age=31536000\n");
    serve_site(&site);
    play_key(name, 2, "two", "Cache-Control: max-age=31536000\n");
    CHECK(await_asked(name, 2)); /* that nobody has asked for */
    CHECK_STATUS(ask_until_not(&site, 2, "two", JWT_KEY_NOT_FOUND), JWT_OK);
    end_site(&site);
}

static void not_modified_keeps_the_keys_beyond_their_limit(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTPS", name);
    site.options.min_freshness_ms = site.options.max_freshness_ms = 1000;
    site.options.hard_limit_ms = 10000;
    site.options.total_burst = 100;
    play_key(name, 1, "one", "ETag: \"v1\"\n");
    serve_for(&site, 12000);
    size_t conditional, all = asked_at(name, NULL, 0, &conditional);
    CHECK(all >= 4 && conditional == all - 1); /* each but the first, and each was answered by 304 */
    CHECK_KEYS(&site, "one:0");
    end_site(&site);
}

/* ---- An outage in real time: no refusal inside of H, none accepted beyond it, recovery within one retry */

static void an_outage_is_borne_to_the_hard_limit(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    enum { H = 20000 };
    begin_site(&site, "FAULTS_HTTPS", name);
    site.options.min_freshness_ms = site.options.max_freshness_ms = 1000;
    site.options.hard_limit_ms = H;
    site.options.total_burst = 100;
    site.options.backoff_base_ms = BACKOFF;
    site.options.backoff_max_ms = site.options.backoff_max_unserved_ms = 2 * BACKOFF;
    play_key(name, 1, "one", "");
    int64_t began = now();
    serve_site(&site);
    play(name, "answer 503 Trouble\n\n", NULL);

    size_t served = 0, last = asked(name);
    int64_t times[64];
    jwt_status status;
    for (; (status = ask(&site, 1, "one")) == JWT_OK; served++)
        pause_for(1); /* the others want to get on, too */
    CHECK_STATUS(status, JWKS_KEYS_UNAVAILABLE);
    CHECK(now() - began >= H);
    CHECK(served > 100);
    size_t count = asked_at(name, times, COUNT(times), NULL);
    CHECK(count >= last + 2 && count <= COUNT(times));
    check_backoff(name, last);

    play_key(name, 2, "two", "");
    size_t before = asked(name);
    CHECK_STATUS(ask_until_not(&site, 2, "two", JWKS_KEYS_UNAVAILABLE), JWT_OK);
    CHECK(asked(name) <= before + 1);
    end_site(&site);
}

/* ---- Two origins that disagree, and an issuer that goes back */

#define AT(seconds) "Date: Fri, 20 Nov 2026 10:00:" seconds " GMT\n"

static void an_old_origin_is_not_obeyed(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    char *old = act_of_key(1, "one", AT("00")), *new = act_of_key(2, "two", AT("30"));
    begin_site(&site, "FAULTS_HTTPS", name);
    site.options.total_burst = site.options.operator_burst = 100;
    site.options.backoff_base_ms = site.options.backoff_max_ms = 50;
    play(name, old, new, NULL); /* in turn */
    serve_site(&site);
    CHECK_STATUS(jwks_issuer_refresh(site.handle), JWT_OK);
    CHECK_STATUS(ask_until_not(&site, 2, "two", JWT_KEY_NOT_FOUND), JWT_OK);
    for (int i = 0; i < 10; i++) {
        size_t before = asked(name);
        CHECK_STATUS(jwks_issuer_refresh(site.handle), JWT_OK);
        CHECK(await_asked(name, before + 1));
        CHECK_STATUS(ask(&site, 2, "two"), JWT_OK);
        CHECK_KEYS(&site, "two:0");
    }
    CHECK(asked(name) >= 12);
    free(old);
    free(new);
    end_site(&site);
}

static void a_rollback_is_simply_a_set(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTPS", name);
    play_key(name, 1, "one", "");
    serve_site(&site);
    for (int i = 0; i < 2; i++) {
        unsigned key = i ? 1 : 2;
        const char *kids[] = { "one", "two" };
        play_key(name, key, kids[key - 1], "");
        CHECK_STATUS(jwks_issuer_refresh(site.handle), JWT_OK);
        CHECK_STATUS(ask_until_not(&site, key, kids[key - 1], JWT_KEY_NOT_FOUND), JWT_OK);
        jwt_status gone = ask(&site, 3 - key, kids[2 - key]);
        CHECK(gone == JWKS_PENDING || gone == JWT_KEY_NOT_FOUND);
        CHECK_KEYS(&site, i ? "one:0" : "two:0");
    }
    end_site(&site);
}

/* ---- Unknown kids */

static void unknown_kids_cause_what_the_bucket_has(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTPS", name);
    play_key(name, 1, "one", "");
    serve_site(&site);
    for (int i = 0; i < 2; i++) {
        char *kid = text("unknown-%d", i);
        CHECK_STATUS(ask(&site, 2, kid), JWKS_PENDING);
        CHECK_STATUS(ask(&site, 1, "one"), JWT_OK); /* waits for nobody */
        CHECK_STATUS(ask_until_not(&site, 2, kid, JWKS_PENDING), JWT_KEY_NOT_FOUND);
        free(kid);
    }
    for (int i = 0; i < 100; i++) {
        char *kid = text("another-%d", i);
        CHECK_STATUS(ask(&site, 2, kid), JWT_KEY_NOT_FOUND);
        free(kid);
    }
    CHECK(asked(name) == 3);
    end_site(&site);
}

/* test_engine [start | flawed]   see host.h; flawed, most cases must fail. */
int main(int argc, char **argv)
{
    static const char *const bad_tls[] = { "FAULTS_WRONG_HOST", "FAULTS_EXPIRED", "FAULTS_SELF_SIGNED",
                                           "FAULTS_OLD_TLS" };
    begin_driving(driving_of(argc, argv));
    begin_faults();
    begin_case("cold-start", a_cold_start_is_served_soon_after_the_recovery, NULL);
    for (size_t i = 0; i < COUNT(bad_tls); i++)
        begin_case(bad_tls[i], bad_tls_is_never_asked, bad_tls[i]);
    begin_case("discovery", discovery_leads_to_the_keys, NULL);
    for (size_t i = 0; i < COUNT(lies); i++)
        begin_case(lies[i].name, discovery_that_lies_leads_nowhere, &lies[i]);
    begin_case("redirect", a_redirect_is_followed_where_that_is_allowed, NULL);
    begin_case("unknown-key", one_unknown_key_costs_itself_alone, NULL);
    begin_case("same-kid", of_two_keys_with_one_kid_each_serves, NULL);
    begin_case("empty-held", an_empty_set_is_held_until_it_has_lasted, NULL);
    begin_case("empty-obeyed", an_empty_set_is_obeyed_where_that_is_wanted, NULL);
    begin_case("second", a_second_of_freshness_is_clamped, NULL);
    begin_case("year", a_year_of_freshness_is_clamped, NULL);
    begin_case("not-modified", not_modified_keeps_the_keys_beyond_their_limit, NULL);
    begin_case("outage", an_outage_is_borne_to_the_hard_limit, NULL);
    begin_case("two-origins", an_old_origin_is_not_obeyed, NULL);
    begin_case("rollback", a_rollback_is_simply_a_set, NULL);
    begin_case("unknown-kids", unknown_kids_cause_what_the_bucket_has, NULL);
    int failed = end_cases();
    end_driving();
    return failed ? 1 : 0;
}
