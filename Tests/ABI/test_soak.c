/* A day of an issuer that fails, lies and recovers, and of tokens good and bad, on a clock that the test moves: what the
 * engine has in memory is at the end of each hour what it was at the end of the first. */
#include "fetching.h"
#include "interpose.h"

enum { OCTETS = 16384, BLOCKS = 50, KINDS = 3, VALUES = 50 };

static uint64_t random_state;

static unsigned below(unsigned limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % limit;
}

static struct {
    size_t fetches, accepted, refused, pending, revoked, events;
} seen;

/* ---- What happens */

static void answer(struct host *host)
{
    static const char *const garbage[] = {
        "", "{", "<html>", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"XYZ\"}]}", "{\"keys\":[],\"keys\":[]}"
    };
    static const char *const lifetimes[] = { NULL, "max-age=60", "max-age=3600", "no-store",
                                             "must-revalidate" };
    unsigned chance = below(10);
    if (chance < 4) {
        char *set = jwks(below(4), 1 + below(8), 1), *etag = text("\"%u\"", below(1000));
        reply_with(host, 200, set, lifetimes[below(COUNT(lifetimes))], etag);
        free(set);
        free(etag);
    } else if (chance < 6) {
        reply_with(host, 304, NULL, NULL, NULL);
    } else if (chance < 7) {
        reply_with(host, 200, garbage[below(COUNT(garbage))], NULL, NULL);
    } else if (chance < 8) {
        reply_failure(host, (jwks_fetch_failure)(1 + below(8)));
    } else {
        reply_with(host, 400 + below(200), NULL, NULL, NULL);
    }
    seen.fetches++;
}

static void ask(struct host *host)
{
    unsigned key = below(12);
    char *kid = below(4) ? text("kid-%u", key) : text("unknown-%u", below(1000000));
    jwt_status status = ask_kid(host, key, kid);
    seen.accepted += status == JWT_OK;
    seen.pending += status == JWKS_PENDING;
    seen.refused += status != JWT_OK && status != JWKS_PENDING;
    free(kid);
}

static jwks_revocation revocation_of(struct host *host, unsigned kind, unsigned number, char *value)
{
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    revocation.issuer = host->issuer;
    revocation.kind = (jwks_revocation_kind)(JWKS_REVOKE_KID + kind);
    revocation.value = value;
    revocation.value_len = (size_t)sprintf(value, "value-%u", number);
    return revocation;
}

static void revoke(struct host *host)
{
    char value[32];
    jwks_revocation revocation = revocation_of(host, below(KINDS), below(VALUES), value);
    seen.revoked += jwks_cache_revoke(host->cache, &revocation, NULL) == JWT_OK;
}

static void take_all_back(struct host *host)
{
    char value[32];
    for (unsigned i = 0; i < KINDS * VALUES; i++) {
        jwks_revocation revocation = revocation_of(host, i % KINDS, i / KINDS, value);
        jwks_cache_unrevoke(host->cache, &revocation, NULL);
    }
}

static void look(struct host *host, int is_careless)
{
    jwks_key_list *list = NULL;
    assert_status(jwks_issuer_keys(host->issuer, &list), JWT_OK);
    if (!is_careless)
        jwks_key_list_release(list);
}

static void pull_events(struct host *host)
{
    jwks_event event = JWKS_EVENT_INIT;
    while (jwks_event_next(host->cache, &event))
        seen.events++;
}

static void live_an_hour(struct host *host, int is_careless)
{
    for (int64_t end = host->now + HOUR; host->now < end;) {
        pass(host, 1 + below(20000));
        while (host->under_way > 0 && below(8))
            answer(host);
        for (unsigned tokens = below(8); tokens > 0; tokens--)
            ask(host);
        if (below(10) == 0)
            revoke(host);
        if (below(20) == 0)
            jwks_issuer_refresh(host->issuer);
        if (below(5) == 0 && host->under_way == 0 && seen.fetches > 100)
            look(host, is_careless);
        pull_events(host);
    }
}

/* Nothing under way, nothing revoked, and the set that each hour ends with. */
static void come_to_rest(struct host *host)
{
    static char *set;
    if (!set)
        set = jwks(0, 4, 1);
    take_all_back(host);
    while (host->under_way > 0)
        reply_failure(host, JWKS_FETCH_CONNECT);
    poll_cache(host);
    while (ask_kid(host, 1, "kid-1") != JWT_OK || ask_kid(host, 5, "kid-5") == JWT_OK) {
        jwks_issuer_refresh(host->issuer);
        pass(host, MINUTE);
        while (host->under_way > 0)
            reply_with(host, 200, set, "max-age=600", "\"last\"");
        poll_cache(host);
    }
    pull_events(host);
}

/* ---- What it keeps */

struct memory {
    long blocks;
    long octets;
};

static struct memory memory_now(void)
{
    return (struct memory){ live_blocks(), live_octets() };
}

/* By how much the most of any later hour is above the first. */
static struct memory growth_in(int hours, int is_careless)
{
    void *state;
    struct memory first = { 0 }, most = { 0 };
    memset(&seen, 0, sizeof seen);
    random_state = 1;
    make_host(&state);
    struct host *host = state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    for (int hour = 0; hour < hours; hour++) {
        live_an_hour(host, is_careless);
        come_to_rest(host);
        struct memory now = memory_now();
        if (hour == 0)
            first = now;
        most.blocks = now.blocks > most.blocks ? now.blocks : most.blocks;
        most.octets = now.octets > most.octets ? now.octets : most.octets;
    }
    print_message("%zu fetches, %zu tokens accepted, %zu refused, %zu pending, %zu revocations, %zu events: "
                  "%ld blocks and %ld octets more than after an hour\n",
                  seen.fetches, seen.accepted, seen.refused, seen.pending, seen.revoked, seen.events,
                  most.blocks - first.blocks, most.octets - first.octets);
    end_host(&state);
    return (struct memory){ most.blocks - first.blocks, most.octets - first.octets };
}

static void a_day_of_faults_leaves_memory_as_it_was(void **state)
{
    (void)state;
    struct memory growth = growth_in(24, 0);
    assert_true(seen.fetches > 500 && seen.accepted > 1000 && seen.refused > 1000);
    assert_true(seen.pending > 100 && seen.revoked > 100 && seen.events > 100);
    assert_true(growth.blocks <= BLOCKS);
    assert_true(growth.octets <= OCTETS);
}

static void a_host_that_forgets_to_release_is_seen(void **state)
{
    (void)state;
    struct memory growth = growth_in(6, 1);
    assert_true(growth.blocks > BLOCKS);
    assert_true(growth.octets > OCTETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_of_faults_leaves_memory_as_it_was),
        cmocka_unit_test(a_host_that_forgets_to_release_is_seen),
    };
    return cmocka_run_group_tests_name("soak", tests, NULL, NULL);
}
