/* What an accepted key set may be, and how keys leave. */
#include "fetching.h"

/* ---- Key lists */

/* The key at `position`, or one without a fault if there are fewer; `count` may be NULL. Spans are gone. */
static jwks_key_info key_at(jwks_issuer *issuer, size_t position, size_t *count)
{
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(issuer, &list), JWT_OK);
    if (count)
        *count = jwks_key_list_count(list);
    if (position < jwks_key_list_count(list))
        assert_status(jwks_key_list_get(list, position, &info), JWT_OK);
    jwks_key_list_release(list);
    return info;
}

/* Of key number `key`, as the library itself makes it. */
static char *thumbprint_of(unsigned key)
{
    int64_t now = NOW;
    jwks_cache *cache = new_cache(&now);
    jwks_issuer *issuer = add_issuer(cache, ISSUER);
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    load_key(issuer, key, "x");
    assert_status(jwks_issuer_keys(issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, 0, &info), JWT_OK);
    char *thumbprint = text("%.*s", (int)info.thumbprint.len, info.thumbprint.data);
    jwks_key_list_release(list);
    jwks_issuer_release(issuer);
    jwks_cache_release(cache);
    return thumbprint;
}

static jwks_issuer_options pushed(void)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = ISSUER;
    return options;
}

static jwt_status load_keys(struct host *host, unsigned first, unsigned count)
{
    char *set = jwks(first, count, 1);
    jwt_status status = load(host->issuer, set);
    free(set);
    return status;
}

/* ---- Pins */

static void a_key_that_is_not_pinned_is_left_out(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    char *pin = thumbprint_of(2);
    const char *pins[] = { pin };
    options.pins = pins;
    options.pin_count = 1;
    add(host, &options);
    free(pin); /* it was copied */
    size_t count = 0;
    assert_status(load_keys(host, 1, 3), JWT_OK);
    assert_int_equal(key_at(host->issuer, 0, &count).fault, JWKS_KEY_NOT_PINNED);
    assert_int_equal(count, 3);
    assert_int_equal(key_at(host->issuer, 0, NULL).algorithms, 0);
    assert_int_equal(key_at(host->issuer, 1, NULL).fault, JWKS_KEY_USABLE);
    assert_int_equal(key_at(host->issuer, 2, NULL).fault, JWKS_KEY_NOT_PINNED);
    assert_status(ask_kid(host, 2, "kid-2"), JWT_OK);
    assert_status(ask_kid(host, 1, "kid-1"), JWT_KEY_NOT_FOUND);
    assert_status(load_keys(host, 3, 2), JWKS_INVALID_DOCUMENT); /* none is left */
    assert_status(ask_kid(host, 2, "kid-2"), JWT_OK);
}

static void pins_hold_for_fetched_keys(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    char *pin = thumbprint_of(1), *set = jwks(1, 2, 1), *other = jwks(2, 2, 1);
    const char *pins[] = { pin, pin };
    options.pins = pins;
    options.pin_count = 2;
    add(host, &options);
    poll_cache(host);
    reply_with(host, 200, set, NULL, NULL);
    poll_cache(host);
    assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
    pass(host, HOUR);
    reply_with(host, 200, other, NULL, NULL); /* as good as empty: held */
    poll_cache(host);
    assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
    assert_int_not_equal(ask_kid(host, 2, "kid-2"), JWT_OK);
    free(pin);
    free(set);
    free(other);
}

static void bad_pins_are_refused_by_name(void **state)
{
    struct host *host = *state;
    char *good = thumbprint_of(1), *long_one = text("%sA", good);
    const char *pins[65];
    for (size_t i = 0; i < COUNT(pins); i++)
        pins[i] = good;
    REFUSED("pins", pushed, options.pins = pins; options.pin_count = 65);
    REFUSED("pins", pushed, options.pin_count = 1);
    const char *const bad[] = { "", "kid-1", long_one, "=" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pins[3] = bad[i];
        REFUSED("pins[3]", pushed, options.pins = pins; options.pin_count = 64);
        REFUSED("pins[3]", by_url, options.pins = pins; options.pin_count = 4);
    }
    pins[3] = NULL;
    REFUSED("pins[3]", pushed, options.pins = pins; options.pin_count = 4);
    jwks_issuer_options options = pushed();
    options.pins = pins;
    options.pin_count = 3;
    add(host, &options);
    free(good);
    free(long_one);
}

/* ---- Grace */

#define GRACE INT64_C(60000)

static jwks_issuer_options with_grace(void)
{
    jwks_issuer_options options = pushed();
    options.grace_ms = GRACE;
    return options;
}

static void add_with_grace(struct host *host)
{
    jwks_issuer_options options = with_grace();
    add(host, &options);
}

static size_t keys_of(struct host *host)
{
    size_t count = 0;
    key_at(host->issuer, 0, &count);
    return count;
}

static void a_key_that_left_is_used_for_its_grace_and_no_longer(void **state)
{
    struct host *host = *state;
    add_with_grace(host);
    assert_status(load_keys(host, 1, 2), JWT_OK);
    assert_int_equal(key_at(host->issuer, 0, NULL).grace_ms, 0);
    assert_status(load_keys(host, 2, 2), JWT_OK);
    assert_int_equal(keys_of(host), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(key_at(host->issuer, i, NULL).grace_ms, i < 2 ? 0 : GRACE);
    assert_int_equal(key_at(host->issuer, 2, NULL).index, 0);
    assert_int_equal(key_at(host->issuer, 2, NULL).fault, JWKS_KEY_USABLE);
    for (int round = 0; round < 6; round++) { /* neither another set nor the same again makes it longer */
        assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
        assert_int_equal(key_at(host->issuer, keys_of(host) - 1, NULL).grace_ms, GRACE - round * 9000);
        host->now += 9000;
        assert_status(load_keys(host, 2, 2 + (unsigned)round % 2), JWT_OK);
        if (round % 2)
            assert_status(load_keys(host, 2, 2), JWT_OK);
    }
    host->now += GRACE - 6 * 9000 - 1;
    assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
    host->now += 1;
    assert_status(ask_kid(host, 1, "kid-1"), JWT_KEY_NOT_FOUND);
    assert_status(ask_kid(host, 4, "kid-4"), JWT_OK); /* it left later */
    assert_int_equal(keys_of(host), 3);
    assert_status(load_keys(host, 2, 2), JWT_OK);
    assert_status(ask_kid(host, 1, "kid-1"), JWT_KEY_NOT_FOUND);
    assert_status(ask_kid(host, 2, "kid-2"), JWT_OK);
}

static void without_a_grace_a_key_leaves_at_once(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    options.grace_ms = KEYTURN_OFF;
    add(host, &options);
    assert_status(load_keys(host, 1, 2), JWT_OK);
    assert_status(load_keys(host, 2, 2), JWT_OK);
    assert_status(ask_kid(host, 1, "kid-1"), JWT_KEY_NOT_FOUND);
    assert_int_equal(keys_of(host), 2);
    REFUSED("grace_ms", pushed, options.grace_ms = 600001);
    REFUSED("grace_ms", pushed, options.grace_ms = -2);
}

static void a_key_that_comes_back_is_simply_in_the_set_again(void **state)
{
    struct host *host = *state;
    add_with_grace(host);
    assert_status(load_keys(host, 1, 2), JWT_OK);
    assert_status(load_keys(host, 2, 1), JWT_OK);
    host->now += GRACE / 2;
    assert_status(load_keys(host, 1, 2), JWT_OK);
    assert_int_equal(keys_of(host), 2);
    host->now += HOUR;
    assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
    assert_status(load_keys(host, 2, 1), JWT_OK); /* another first absence */
    host->now += GRACE - 1;
    assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
    host->now += 1;
    assert_status(ask_kid(host, 1, "kid-1"), JWT_KEY_NOT_FOUND);
}

static void a_revocation_beats_a_grace(void **state)
{
    struct host *host = *state;
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    add_with_grace(host);
    assert_status(load_keys(host, 1, 2), JWT_OK);
    assert_status(load_keys(host, 3, 1), JWT_OK);
    assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
    char *thumbprint = thumbprint_of(1);
    revocation.issuer = host->issuer;
    revocation.kind = JWKS_REVOKE_THUMBPRINT;
    revocation.value = thumbprint;
    revocation.value_len = strlen(thumbprint);
    assert_status(jwks_cache_revoke(host->cache, &revocation, NULL), JWT_OK);
    assert_status(ask_kid(host, 1, "kid-1"), JWT_KEY_REVOKED);
    assert_int_equal(key_at(host->issuer, 1, NULL).revoked, 1);
    assert_status(ask_kid(host, 2, "kid-2"), JWT_OK); /* in its grace through the revocation, too */
    free(thumbprint);
}

static void a_key_that_comes_back_unusable_has_no_grace(void **state)
{
    struct host *host = *state;
    static const char *const spoilt[] = { "\"d\":\"AAAA\"", "\"use\":\"enc\"",
                                          "\"kid\":\"renamed\",\"d\":\"\"" };
    size_t refused = 0;
    add_with_grace(host);
    for (size_t i = 0; i < COUNT(spoilt); i++) {
        char *plain = jwk(1, NULL), *other = jwk(2, "other");
        char *set = text("{\"keys\":[%.*s,%s,%s}]}", (int)strlen(plain) - 1, plain,
                         strstr(spoilt[i], "kid") ? "\"x5t\":\"\"" : "\"kid\":\"kid-1\"", spoilt[i]);
        char *whole = text("{\"keys\":[%s,%s", other, strchr(set, '[') + 1);
        assert_status(load_keys(host, 1, 1), JWT_OK);
        assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
        assert_status(load(host->issuer, whole), JWT_OK);
        assert_int_not_equal(key_at(host->issuer, 1, NULL).fault, JWKS_KEY_USABLE);
        refused += ask_kid(host, 1, "kid-1") == JWT_KEY_NOT_FOUND;
        free(plain);
        free(other);
        free(set);
        free(whole);
    }
    assert_int_equal(refused, COUNT(spoilt));
}

static void another_key_under_the_same_kid_leaves_the_first_its_grace(void **state)
{
    struct host *host = *state;
    add_with_grace(host);
    load_key(host->issuer, 1, "same");
    load_key(host->issuer, 2, "same");
    assert_status(ask_kid(host, 1, "same"), JWT_OK);
    assert_status(ask_kid(host, 2, "same"), JWT_OK);
    host->now += GRACE;
    assert_status(ask_kid(host, 1, "same"), JWT_BAD_SIGNATURE);
    assert_status(ask_kid(host, 2, "same"), JWT_OK);
}

static void keys_in_their_grace_are_at_most_max_keys(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = with_grace();
    options.max_keys = 3;
    add(host, &options);
    for (unsigned first = 1; first <= 100; first += 3) {
        host->now += 1;
        assert_status(load_keys(host, first, 3), JWT_OK);
        assert_true(keys_of(host) <= 6);
    }
    assert_status(ask_kid(host, 100, "kid-100"), JWT_OK);
    for (unsigned key = 97; key < 100; key++) { /* what left last has the place */
        char *kid = text("kid-%u", key);
        assert_status(ask_kid(host, key, kid), JWT_OK);
        free(kid);
    }
    assert_status(ask_kid(host, 96, "kid-96"), JWT_KEY_NOT_FOUND);
    assert_status(load_keys(host, 100, 2), JWT_OK);
    assert_status(ask_kid(host, 102, "kid-102"), JWT_OK);
    assert_status(ask_kid(host, 97, "kid-97"), JWT_OK);
    assert_status(ask_kid(host, 99, "kid-99"), JWT_KEY_NOT_FOUND);
}

static void where_nobody_knows_the_time_there_is_no_grace(void **state)
{
    struct host *host = *state;
    int64_t now = host->now;
    add_with_grace(host);
    assert_status(load_keys(host, 1, 1), JWT_OK);
    host->now = INT64_MAX;
    assert_status(load_keys(host, 2, 1), JWT_OK);
    host->now = now;
    assert_status(ask_kid(host, 1, "kid-1"), JWT_KEY_NOT_FOUND);
    assert_status(load_keys(host, 1, 1), JWT_OK);
    assert_status(ask_kid(host, 2, "kid-2"), JWT_OK);
    host->now = INT64_MAX;
    assert_status(ask_kid(host, 2, "kid-2"), JWT_KEY_NOT_FOUND);
}

/* The keys of a fetched issuer keep their grace through whatever confirms the set without them. */
static void fetched_keys_have_their_grace_too(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    char *both = jwks(1, 2, 1), *second = jwks(2, 1, 1);
    options.grace_ms = 600000;
    options.empty_set = JWKS_EMPTY_OBEY;
    add(host, &options);
    poll_cache(host);
    reply_with(host, 200, both, "max-age=60", "\"v1\"");
    poll_cache(host);
    pass(host, HOUR);
    reply_with(host, 200, second, "max-age=60", "\"v2\"");
    poll_cache(host);
    int64_t end = host->now + 600000;
    static const int answers[] = { 304, 200, 304, 500, 200, 304 };
    for (size_t i = 0; i < COUNT(answers); i++) {
        pass(host, HOUR);
        reply_with(host, (uint32_t)answers[i], answers[i] == 200 ? second : NULL, "max-age=60", NULL);
        poll_cache(host);
        assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
    }
    pass(host, HOUR);
    reply_with(host, 200, "{\"keys\":[]}", "max-age=3600", NULL);
    poll_cache(host);
    assert_true(host->now < end - 1000);
    assert_status(ask_kid(host, 2, "kid-2"), JWT_OK);
    host->now = end - 1;
    assert_status(ask_kid(host, 1, "kid-1"), JWT_OK);
    host->now = end;
    assert_int_not_equal(ask_kid(host, 1, "kid-1"), JWT_OK);
    assert_status(ask_kid(host, 2, "kid-2"), JWT_OK);
    free(both);
    free(second);
}

static void a_grace_does_not_outlive_the_hard_limit(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.grace_ms = 600000;
    options.hard_limit_ms = 60000;
    serve_by(host, &options);
    pass(host, HOUR);
    int64_t end = host->now + 60000;
    reply_key(host, 2, "two");
    poll_cache(host);
    host->now = end - 1;
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    host->now = end;
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
}

/* ---- New keys under old kids */

/* Serves key 1 as "one" for an hour. */
static void serve_rekeyed(struct host *host, jwks_issuer_options options)
{
    char *set = set_of(1, "one");
    add(host, &options);
    poll_cache(host);
    reply_with(host, 200, set, "max-age=3600", NULL);
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    free(set);
}

static jwks_issuer_options with_rekey(void)
{
    jwks_issuer_options options = by_url();
    options.same_kid_rekey = 1;
    return options;
}

static void a_new_key_under_an_old_kid_is_fetched_for_a_bad_signature(void **state)
{
    struct host *host = *state;
    serve_rekeyed(host, with_rekey());
    for (size_t round = 0; round < 2; round++) {
        unsigned old = round ? 2 : 1, new = round ? 1 : 2;
        assert_status(ask_kid(host, new, "one"), JWKS_PENDING);
        assert_int_equal(host->starts, 1 + round);
        assert_int_equal(poll_cache(host), 5000);
        assert_int_equal(host->starts, 2 + round);
        assert_status(ask_kid(host, 7, "one"), JWKS_PENDING); /* whoever asks meanwhile waits for it, too */
        assert_status(ask_kid(host, old, "one"), JWT_OK);
        char *set = set_of(new, "one");
        reply_with(host, 200, set, "max-age=3600", NULL);
        free(set);
        poll_cache(host);
        assert_status(ask_kid(host, new, "one"), JWT_OK);
        assert_status(ask_kid(host, 7, "one"), JWT_BAD_SIGNATURE);
        host->now += 299999;
        poll_cache(host);
        assert_status(ask_kid(host, old, "one"), JWT_BAD_SIGNATURE);
        host->now += 1;
    }
    poll_cache(host);
    assert_int_equal(host->starts, 3);
}

static void hostile_bad_signatures_fetch_once_in_five_minutes(void **state)
{
    struct host *host = *state;
    serve_rekeyed(host, with_rekey());
    size_t before = host->starts, tokens = 0, pending = 0, good = 0;
    for (int64_t end = host->now + 20 * MINUTE; host->now < end; host->now += 1000, tokens++) {
        jwt_status status = ask_kid(host, 2 + (unsigned)tokens % 9, "one");
        assert_true(status == JWKS_PENDING || status == JWT_BAD_SIGNATURE);
        pending += status == JWKS_PENDING;
        good += ask_kid(host, 1, "one") == JWT_OK;
        poll_cache(host);
        while (host->under_way > 0 && tokens % 3 == 2) {
            char *set = set_of(1, "one");
            reply_with(host, 200, set, "max-age=3600", NULL);
            free(set);
        }
    }
    print_message("%zu bad signatures, %zu pending, %zu fetches\n", tokens, pending, host->starts - before);
    assert_int_equal(tokens, 1200);
    assert_int_equal(good, tokens);
    assert_int_equal(host->starts - before, 4);
    assert_true(pending >= 4 && pending < 100);
}

static void a_bad_signature_that_does_not_count_fetches_nothing(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = with_rekey();
    options.rekey_interval_ms = 1000;
    serve_rekeyed(host, options);
    char *unnamed = mint(2, "{\"alg\":\"EdDSA\"}", GOOD_CLAIMS),
         *late = mint(2, GOOD_HEADER, "{" ISS "," AUD ",\"exp\":1}");
    assert_status(verify_octets(host->policy, unnamed, strlen(unnamed), host->result), JWT_BAD_SIGNATURE);
    assert_status(verify_octets(host->policy, late, strlen(late), host->result), JWT_EXPIRED);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    assert_status(ask_kid(host, 2, "one"), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->starts, 2);
    reply_with(host, 500, NULL, NULL, NULL);
    poll_cache(host);
    host->now += 1000;
    assert_status(ask_kid(host, 2, "one"), JWT_BAD_SIGNATURE); /* backing off */
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    free(unnamed);
    free(late);
}

static void by_default_bad_signatures_do_not_count(void **state)
{
    struct host *host = *state;
    serve_rekeyed(host, by_url());
    for (int i = 0; i < 10; i++) {
        assert_status(ask_kid(host, 2, "one"), JWT_BAD_SIGNATURE);
        poll_cache(host);
        host->now += MINUTE;
    }
    assert_int_equal(host->starts, 1);
    REFUSED("same_kid_rekey", by_url, options.same_kid_rekey = 2);
    REFUSED("rekey_interval_ms", by_url, options.rekey_interval_ms = 999);
    REFUSED("rekey_interval_ms", by_url, options.rekey_interval_ms = 86400001);
    REFUSED("jwks_url", pushed, options.same_kid_rekey = 1);
}

/* ---- SPIFFE bundles */

/* A bundle of key `key` as "one", with these members before it; without the key for 0. */
static char *bundle(const char *members, unsigned key)
{
    char *one = jwk(key ? key : 1, "one");
    char *svid = text("%.*s,\"use\":\"jwt-svid\"}", (int)strlen(one) - 1, one);
    char *out = text("{%s%s\"keys\":[%s]}", members, *members ? "," : "", key ? svid : "");
    free(one);
    free(svid);
    return out;
}

static jwks_issuer_options spiffe(jwks_issuer_options options)
{
    options.use = JWKS_USE_JWT_SVID;
    return options;
}

static jwt_status load_bundle(struct host *host, const char *members, unsigned key)
{
    char *document = bundle(members, key);
    jwt_status status = load(host->issuer, document);
    free(document);
    return status;
}

static void reply_bundle(struct host *host, const char *members, unsigned key, const char *cache_control)
{
    char *document = bundle(members, key);
    reply_with(host, 200, document, cache_control, "\"b\"");
    free(document);
}

#define SEQUENCE(value) "\"spiffe_sequence\":" value
#define HINT(value) "\"spiffe_refresh_hint\":" value

static void a_bundle_of_a_lower_sequence_is_refused(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = spiffe(pushed());
    add(host, &options);
    assert_status(load_bundle(host, SEQUENCE("5"), 1), JWT_OK);
    assert_status(load_bundle(host, SEQUENCE("4"), 2), JWKS_INVALID_DOCUMENT);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(load_bundle(host, SEQUENCE("5.0"), 2), JWT_OK);
    assert_status(load_bundle(host, SEQUENCE("9007199254740993"), 3), JWT_OK);
    assert_status(load_bundle(host, SEQUENCE("9007199254740992"), 4), JWKS_INVALID_DOCUMENT); /* exactly */
    assert_status(ask_kid(host, 3, "one"), JWT_OK);
    static const char *const bad[] = { "5.5", "\"9007199254740999\"", "null",
                                       "-1",  "18446744073709551616", "[]" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *members = text("\"spiffe\\u005fsequence\":%s", bad[i]);
        assert_status(load_bundle(host, members, 4), JWKS_INVALID_DOCUMENT);
        free(members);
    }
    assert_status(load_bundle(host, SEQUENCE("1"), 0), JWKS_INVALID_DOCUMENT); /* an empty one, too */
    assert_status(ask_kid(host, 3, "one"), JWT_OK);
    assert_status(load_bundle(host, "", 1), JWT_OK);
    assert_status(load_bundle(host, SEQUENCE("1"), 2), JWT_OK); /* the one before it had none */
    assert_status(ask_kid(host, 2, "one"), JWT_OK);
}

static void a_sequence_means_nothing_in_a_plain_set(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    char *one = jwk(1, "one");
    add(host, &options);
    static const char *const values[] = { "5", "4", "null" };
    for (size_t i = 0; i < COUNT(values); i++) {
        char *set = text("{\"spiffe_sequence\":%s,\"keys\":[%s]}", values[i], one);
        assert_status(load(host->issuer, set), JWT_OK);
        free(set);
    }
    free(one);
}

static void a_fetched_bundle_of_a_lower_sequence_is_a_failure(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = spiffe(by_url());
    add(host, &options);
    poll_cache(host);
    reply_bundle(host, SEQUENCE("7"), 1, NULL);
    assert_in_range(poll_cache(host), 225000, 270000);
    pass(host, HOUR);
    reply_bundle(host, SEQUENCE("6"), 2, NULL);
    assert_in_range(poll_cache(host), 2500, 5000); /* asked again like after any failure */
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    pass(host, HOUR);
    reply_bundle(host, SEQUENCE("7"), 2, NULL);
    assert_in_range(poll_cache(host), 225000, 270000);
    assert_status(ask_kid(host, 2, "one"), JWT_OK);
}

static void a_bundle_s_hint_counts_where_http_says_nothing(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = spiffe(by_url());
    add(host, &options);
    poll_cache(host);
    reply_bundle(host, HINT("600"), 1, NULL);
    assert_in_range(poll_cache(host), 450000, 540000);
    static const struct {
        uint32_t status;
        const char *hint, *cache_control;
        uint32_t least, most;
    } rounds[] = {
        { 304, NULL, NULL, 450000, 540000 },
        { 200, HINT("600"), NULL, 450000, 540000 }, /* the same again */
        { 200, HINT("600"), "max-age=120", 90000, 108000 },
        { 304, NULL, "max-age=120", 90000, 108000 },
        { 200, HINT("1"), NULL, 45000, 54000 },
        { 200, HINT("1e9"), NULL, 2700000, 3240000 },
        { 200, HINT("\"600\""), NULL, 225000, 270000 },
        { 200, HINT("0.5"), NULL, 225000, 270000 },
    };
    for (size_t i = 0; i < COUNT(rounds); i++) {
        pass(host, 2 * HOUR);
        if (rounds[i].status == 200)
            reply_bundle(host, rounds[i].hint, 1, rounds[i].cache_control);
        else
            reply_with(host, 304, NULL, rounds[i].cache_control, NULL);
        assert_in_range(poll_cache(host), rounds[i].least, rounds[i].most);
    }
    assert_status(load_bundle(host, HINT("600"), 1), JWT_OK);
    assert_in_range(poll_cache(host), 450000, 540000);
    char *plain = set_of(1, "one");
    options = by_url();
    options.issuer = "https://plain.example";
    jwks_issuer *other = NULL;
    assert_status(jwks_cache_add_issuer(host->cache, &options, &other, NULL), JWT_OK);
    char *hinted = text("{" HINT("3600") ",%s", plain + 1);
    assert_status(load(other, hinted), JWT_OK); /* a plain set hints at nothing */
    assert_in_range(poll_cache(host), 225000, 270000);
    jwks_issuer_release(other);
    free(plain);
    free(hinted);
}

static void an_empty_bundle_means_that_nothing_is_valid(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = spiffe(pushed());
    add(host, &options);
    assert_status(load_bundle(host, "", 1), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(load_bundle(host, "", 0), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_NOT_FOUND);
    assert_int_equal(keys_of(host), 0);
    assert_status(load_bundle(host, "", 1), JWT_OK);
    char *x509 = jwk(1, "one"), *set = text("{\"keys\":[%s]}", x509); /* no key of it is for tokens */
    assert_status(load(host->issuer, set), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_NOT_FOUND);
    assert_status(load(host->issuer, "{}"), JWKS_INVALID_DOCUMENT);
    free(x509);
    free(set);
}

static jwks_issuer_options bundle_by_url(void)
{
    return spiffe(by_url());
}

static void a_fetched_empty_bundle_is_obeyed_at_once(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = bundle_by_url();
    add(host, &options);
    poll_cache(host);
    reply_bundle(host, SEQUENCE("1"), 1, NULL);
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    pass(host, HOUR);
    reply_bundle(host, SEQUENCE("2"), 0, NULL);
    assert_in_range(poll_cache(host), 225000, 270000);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    poll_cache(host);
    reply_bundle(host, SEQUENCE("2"), 0, NULL);
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_NOT_FOUND);
    REFUSED("empty_set", bundle_by_url, options.empty_set = JWKS_EMPTY_HOLD);
}

/* ---- Signed sets: key 9 may sign, as "signer" */

#define SIGNED_HEADER "{\"alg\":\"EdDSA\",\"kid\":\"signer\",\"typ\":\"jwk-set+jwt\"}"

static char *signers(void)
{
    return set_of(9, "signer");
}

/* A set of key `key` as "one", with these members before it, under this header, signed by key `by`. */
static char *signed_set(unsigned by, const char *header, const char *members, unsigned key)
{
    char *one = jwk(key, "one");
    char *payload = text("{%s%s\"keys\":[%s]}", members, *members ? "," : "", one);
    char *jws = mint(by, header, payload);
    free(one);
    free(payload);
    return jws;
}

static jwt_status load_signed(struct host *host, unsigned by, const char *header, const char *members,
                              unsigned key)
{
    char *jws = signed_set(by, header, members, key);
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = jwks_issuer_load(host->issuer, jws, strlen(jws), &error);
    if (status == JWKS_INVALID_DOCUMENT)
        assert_string_equal(error.option, "signed_by");
    free(jws);
    return status;
}

static void add_signed(struct host *host, jwks_issuer_options options)
{
    char *trusted = signers();
    options.signed_by = trusted;
    add(host, &options);
    free(trusted); /* it was copied */
}

static void a_signed_set_is_accepted_only_from_its_signers(void **state)
{
    struct host *host = *state;
    add_signed(host, pushed());
    assert_status(load_signed(host, 9, SIGNED_HEADER, "", 1), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(load_signed(host, 9, "{\"alg\":\"Ed25519\",\"typ\":\"Application/JWK-Set+jwt\"}", "", 1),
                  JWT_OK);
    static const char *const headers[] = {
        "{\"alg\":\"EdDSA\",\"kid\":\"signer\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"signer\",\"typ\":\"JWT\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"signer\",\"typ\":\"jwk-set+jwtx\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"signer\",\"typ\":\"text/jwk-set+jwt\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"typ\":\"jwk-set+jwt\"}", /* of the set itself */
        "{\"alg\":\"Ed448\",\"kid\":\"signer\",\"typ\":\"jwk-set+jwt\"}",
        "{\"alg\":\"HS256\",\"kid\":\"signer\",\"typ\":\"jwk-set+jwt\"}",
        "{\"alg\":\"none\",\"kid\":\"signer\",\"typ\":\"jwk-set+jwt\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"signer\",\"typ\":\"jwk-set+jwt\",\"crit\":[\"exp\"]}",
        "{\"kid\":\"signer\",\"typ\":\"jwk-set+jwt\"}",
    };
    size_t refused = 0;
    for (size_t i = 0; i < COUNT(headers); i++)
        refused += load_signed(host, 9, headers[i], "", 2) == JWKS_INVALID_DOCUMENT;
    assert_int_equal(refused, COUNT(headers));
    assert_status(load_signed(host, 1, SIGNED_HEADER, "", 2),
                  JWKS_INVALID_DOCUMENT); /* a key of the issuer */
    char *good = signed_set(9, SIGNED_HEADER, "", 2), *spoilt = text("%s\n", good), *bare = set_of(2, "one");
    char *two = text("%s.%s", good, good), *no_set = mint(9, SIGNED_HEADER, "{}"),
         *array = mint(9, SIGNED_HEADER, "[]");
    char *twice = mint(9, SIGNED_HEADER, "{\"keys\":[],\"keys\":[]}"),
         *empty = mint(9, SIGNED_HEADER, "{\"keys\":[]}");
    const char *const bad[] = { spoilt, bare, two, no_set, array, twice, empty, "", ".", "..", "{}" };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_status(load(host->issuer, bad[i]), JWKS_INVALID_DOCUMENT);
    for (size_t i = 0; i < strlen(good); i += 7) { /* any change */
        char saved = good[i];
        good[i] = saved == 'A' ? 'B' : 'A';
        assert_status(load(host->issuer, good), JWKS_INVALID_DOCUMENT);
        good[i] = saved;
    }
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_int_not_equal(ask_kid(host, 2, "one"), JWT_OK);
    assert_status(load(host->issuer, good), JWT_OK);
    assert_status(ask_kid(host, 2, "one"), JWT_OK);
    char *const owned[] = { good, spoilt, bare, two, no_set, array, twice, empty };
    for (size_t i = 0; i < COUNT(owned); i++)
        free(owned[i]);
}

static void a_signed_set_is_of_its_issuer_and_its_time(void **state)
{
    struct host *host = *state;
    static const char *const good[] = { ISS,
                                        ISS ",\"sub\":\"" ISSUER "\"",
                                        "\"iss\":\"https:\\/\\/issuer.example\"",
                                        "\"exp\":1799999971",
                                        "\"iat\":1800000030",
                                        "\"nbf\":1800000030",
                                        "\"aud\":7" };
    static const char *const bad[] = { "\"iss\":\"https://issuer.example/\"",
                                       "\"sub\":\"other\"",
                                       "\"iss\":null",
                                       "\"sub\":[]",
                                       "\"exp\":1799999970",
                                       "\"exp\":\"1900000000\"",
                                       "\"iat\":1800000031",
                                       "\"iat\":true",
                                       "\"nbf\":1800000031" };
    add_signed(host, pushed());
    for (size_t i = 0; i < COUNT(good); i++)
        assert_status(load_signed(host, 9, SIGNED_HEADER, good[i], 1), JWT_OK);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_status(load_signed(host, 9, SIGNED_HEADER, bad[i], 2), JWKS_INVALID_DOCUMENT);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    host->wall = INT64_MAX; /* nobody knows */
    assert_status(load_signed(host, 9, SIGNED_HEADER, "\"exp\":9000000000", 2), JWKS_INVALID_DOCUMENT);
}

static void reply_signed(struct host *host, unsigned by, const char *members, unsigned key)
{
    char *jws = signed_set(by, SIGNED_HEADER, members, key);
    reply_with(host, 200, jws, NULL, "\"s\"");
    free(jws);
}

static void a_fetched_set_must_be_signed_too(void **state)
{
    struct host *host = *state;
    add_signed(host, by_url());
    poll_cache(host);
    reply_key(host, 1, "one");
    assert_in_range(poll_cache(host), 2500, 5000);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    pass(host, HOUR);
    reply_signed(host, 9, "\"exp\":1800001000", 1);
    assert_in_range(poll_cache(host), 225000, 270000);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    pass(host, HOUR);
    reply_signed(host, 8, "", 2);
    assert_in_range(poll_cache(host), 2500, 5000);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    for (int round = 0; round < 4; round++) { /* what is over is confirmed neither by a 304 nor by itself */
        int over = round / 2;
        host->wall = NOW + 1000 + (over ? 30 : 29);
        pass(host, HOUR);
        if (round % 2)
            reply_signed(host, 9, "\"exp\":1800001000", 1);
        else
            reply_with(host, 304, NULL, NULL, NULL);
        assert_in_range(poll_cache(host), over ? 2500 : 225000, over ? 10000 : 270000);
    }
    host->wall = NOW;
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void discovery_tells_where_the_signed_set_is(void **state)
{
    struct host *host = *state;
    add_signed(host, by_discovery());
    poll_cache(host);
    reply_with(host, 200,
               "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" ISSUER "/plain\",\"signed_jwks_uri\":\"" ISSUER
               "/signed\"}",
               NULL, NULL);
    poll_cache(host);
    assert_string_equal(host->asked[0].url, ISSUER "/signed");
    reply_signed(host, 9, ISS, 1);
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

/* Its keys stay, but the very answer that brought them does no longer do. */
static void an_update_may_ask_for_signatures(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    char *trusted = signers();
    serve(host);
    options.signed_by = trusted;
    assert_status(jwks_issuer_update(host->issuer, &options, NULL), JWT_OK);
    pass(host, HOUR);
    reply_key(host, 1, "one");
    assert_in_range(poll_cache(host), 2500, 5000);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    pass(host, HOUR);
    reply_signed(host, 9, "", 2);
    poll_cache(host);
    assert_status(ask_kid(host, 2, "one"), JWT_OK);
    free(trusted);
}

static void a_sequence_survives_an_update(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = spiffe(pushed());
    add(host, &options);
    assert_status(load_bundle(host, SEQUENCE("5"), 1), JWT_OK);
    options.algorithms = JWT_ALG_EDDSA;
    assert_status(jwks_issuer_update(host->issuer, &options, NULL), JWT_OK);
    assert_status(load_bundle(host, SEQUENCE("4"), 2), JWKS_INVALID_DOCUMENT);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void bad_signers_are_refused_by_name(void **state)
{
    struct host *host = *state;
    char *secret = text("{\"keys\":[{\"kty\":\"oct\",\"k\":\"%064d\"}]}", 0);
    const char *const bad[] = { "", "{}", "{\"keys\":[]}", "[", "x", secret };
    for (size_t i = 0; i < COUNT(bad); i++) {
        REFUSED("signed_by", pushed, options.signed_by = bad[i]);
        REFUSED("signed_by", by_url, options.signed_by = bad[i]);
    }
    char *trusted = signers(), *spaced = text("\n\t%s\n", trusted);
    jwks_issuer_options options = pushed();
    options.signed_by = spaced;
    add(host, &options);
    assert_status(load_signed(host, 9, SIGNED_HEADER, "", 1), JWT_OK);
    free(secret);
    free(trusted);
    free(spaced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOST(a_key_that_is_not_pinned_is_left_out),
        WITH_HOST(pins_hold_for_fetched_keys),
        WITH_HOST(bad_pins_are_refused_by_name),
        WITH_HOST(a_key_that_left_is_used_for_its_grace_and_no_longer),
        WITH_HOST(without_a_grace_a_key_leaves_at_once),
        WITH_HOST(a_key_that_comes_back_is_simply_in_the_set_again),
        WITH_HOST(a_revocation_beats_a_grace),
        WITH_HOST(a_key_that_comes_back_unusable_has_no_grace),
        WITH_HOST(another_key_under_the_same_kid_leaves_the_first_its_grace),
        WITH_HOST(keys_in_their_grace_are_at_most_max_keys),
        WITH_HOST(where_nobody_knows_the_time_there_is_no_grace),
        WITH_HOST(fetched_keys_have_their_grace_too),
        WITH_HOST(a_grace_does_not_outlive_the_hard_limit),
        WITH_HOST(a_new_key_under_an_old_kid_is_fetched_for_a_bad_signature),
        WITH_HOST(hostile_bad_signatures_fetch_once_in_five_minutes),
        WITH_HOST(a_bad_signature_that_does_not_count_fetches_nothing),
        WITH_HOST(by_default_bad_signatures_do_not_count),
        WITH_HOST(a_bundle_of_a_lower_sequence_is_refused),
        WITH_HOST(a_sequence_means_nothing_in_a_plain_set),
        WITH_HOST(a_fetched_bundle_of_a_lower_sequence_is_a_failure),
        WITH_HOST(a_bundle_s_hint_counts_where_http_says_nothing),
        WITH_HOST(an_empty_bundle_means_that_nothing_is_valid),
        WITH_HOST(a_fetched_empty_bundle_is_obeyed_at_once),
        WITH_HOST(a_signed_set_is_accepted_only_from_its_signers),
        WITH_HOST(a_signed_set_is_of_its_issuer_and_its_time),
        WITH_HOST(a_fetched_set_must_be_signed_too),
        WITH_HOST(discovery_tells_where_the_signed_set_is),
        WITH_HOST(an_update_may_ask_for_signatures),
        WITH_HOST(a_sequence_survives_an_update),
        WITH_HOST(bad_signers_are_refused_by_name),
    };
    return cmocka_run_group_tests_name("acceptance", tests, NULL, NULL);
}
