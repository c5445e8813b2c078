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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOST(a_key_that_is_not_pinned_is_left_out),
        WITH_HOST(pins_hold_for_fetched_keys),
        WITH_HOST(bad_pins_are_refused_by_name),
    };
    return cmocka_run_group_tests_name("acceptance", tests, NULL, NULL);
}
