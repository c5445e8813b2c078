/* Tables of points: which keys get one, when, and by whom; and that verdicts stay what they are. That those of single
 * signatures do is shown by Tests/Tables. */
#include "support.h"
#include "fixtures.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EARNING = 100, MOST = 64 };

static const struct fixture *fixture_of(uint64_t algorithm)
{
    for (size_t i = 0; i < COUNT(fixtures); i++)
        if (fixtures[i].algorithm == algorithm)
            return &fixtures[i];
    fail_msg("there is no such fixture");
    return NULL;
}

static struct world *new_world(const struct fixture *fixture, int64_t key_tables)
{
    struct world *world = make_world_of(fixture->algorithm, fixture->jwks);
    jwks_cache_options cache = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options issuer = JWKS_ISSUER_OPTIONS_INIT;
    cache.token_cache = token_cache;
    cache.key_tables = key_tables;
    renew_world(world, cache, issuer, fixture->jwks);
    return world;
}

static void end(struct world *world)
{
    void *state = world;
    end_world(&state);
}

static uint32_t poll_once(const struct world *world)
{
    uint32_t next = 0;
    assert_status(jwks_cache_poll(world->cache, &next), JWT_OK);
    return next;
}

static void use(struct world *world, const struct fixture *fixture, int times)
{
    for (int i = 0; i < times; i++)
        assert_status(verify(world, fixture->token), JWT_OK);
}

static char *forged(const struct fixture *fixture)
{
    char *token = text("%s", fixture->token), *signature = strrchr(token, '.') + 1;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    return token;
}

static void expect_verdicts(struct world *world, const struct fixture *fixture)
{
    char *bad = forged(fixture);
    for (int i = 0; i < 3; i++) {
        use(world, fixture, 1);
        assert_status(verify(world, bad), JWT_BAD_SIGNATURE);
    }
    free(bad);
}

static void the_hundredth_token_earns_a_table(void **state)
{
    static const uint64_t algorithms[] = { JWT_ALG_ES256, JWT_ALG_ES384, JWT_ALG_ES512 };
    (void)state;
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        const struct fixture *fixture = fixture_of(algorithms[i]);
        struct world *world = new_world(fixture, 1);
        char *bad = forged(fixture);
        use(world, fixture, EARNING - 1);
        for (int refused = 0; refused < EARNING; refused++)
            assert_status(verify(world, bad), JWT_BAD_SIGNATURE);
        assert_true(poll_once(world) > 0);
        assert_int_equal(has_table(world), 0);
        use(world, fixture, 1);
        assert_int_equal(has_table(world), 0);
        assert_int_equal(poll_once(world), 0); /* there may be more to do */
        assert_int_equal(has_table(world), 1);
        assert_true(poll_once(world) > 0);
        expect_verdicts(world, fixture);
        free(bad);
        end(world);
    }
}

static void other_keys_get_none(void **state)
{
    static const uint64_t algorithms[] = { JWT_ALG_ES256K, JWT_ALG_ED25519, JWT_ALG_PS256 };
    (void)state;
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        const struct fixture *fixture = fixture_of(algorithms[i]);
        struct world *world = new_world(fixture, 1);
        use(world, fixture, 2 * EARNING);
        poll_once(world);
        assert_int_equal(has_table(world), 0);
        end(world);
    }
}

static void a_poll_makes_none_unless_it_is_asked_to(void **state)
{
    static const int64_t settings[] = { 0, KEYTURN_OFF };
    const struct fixture *fixture = fixture_of(JWT_ALG_ES512);
    (void)state;
    for (size_t i = 0; i < COUNT(settings); i++) {
        struct world *world = new_world(fixture, settings[i]);
        use(world, fixture, 2 * EARNING);
        assert_true(poll_once(world) > 0);
        assert_int_equal(has_table(world), 0);
        expect_verdicts(world, fixture);
        end(world);
    }
}

static void the_option_is_0_1_or_off(void **state)
{
    static const int64_t bad[] = { 2, -2, INT64_MIN, INT64_MAX };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
        jwks_error error = JWKS_ERROR_INIT;
        jwks_cache *cache = NULL;
        options.key_tables = bad[i];
        assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
        assert_string_equal(error.option, "key_tables");
        assert_null(cache);
    }
}

/* Polling wakes the thread of a cache that is started. */
static int gets_table_within(struct world *world, int seconds)
{
    time_t end = time(NULL) + seconds;
    while (!has_table(world) && time(NULL) < end) {
        poll_once(world);
        sched_yield();
    }
    return has_table(world);
}

/* ---- A cache that is started */

static void the_thread_of_a_started_cache_makes_it(void **state)
{
    const struct fixture *fixture = fixture_of(JWT_ALG_ES256);
    struct world *world = new_world(fixture, 0);
    (void)state;
    use(world, fixture, EARNING);
    assert_status(jwks_cache_start(world->cache, NULL), JWT_OK);
    assert_int_equal(gets_table_within(world, 60), 1);
    expect_verdicts(world, fixture);
    end(world);
}

/* Of two caches that are started and have earned one, it is the other that gets it: then this one has been looked at. */
static void the_thread_makes_none_where_it_is_off(void **state)
{
    const struct fixture *fixture = fixture_of(JWT_ALG_ES512);
    struct world *world = new_world(fixture, KEYTURN_OFF);
    (void)state;
    use(world, fixture, EARNING);
    assert_status(jwks_cache_start(world->cache, NULL), JWT_OK);
    for (int i = 0; i < 20; i++)
        poll_once(world);
    jwks_cache_stop(world->cache);
    assert_int_equal(has_table(world), 0);
    end(world);
}

/* ---- A fork while one is made: libcrypto's function stands here, so that its caller can be held */

static struct {
    int is_held;
    sem_t reached, released;
} maker;

EC_GROUP *EC_GROUP_new_by_curve_name(int nid)
{
    if (__atomic_exchange_n(&maker.is_held, 0, __ATOMIC_ACQ_REL)) {
        sem_post(&maker.reached);
        sem_wait(&maker.released);
    }
    return EC_GROUP_new_by_curve_name_ex(NULL, NULL, nid);
}

static void *poll_it(void *world)
{
    poll_once(world);
    return NULL;
}

/* Its parent's thread is not here, and so neither loses the key its table nor the process a place. */
static void expect_all_places(struct world *world, const struct fixture *fixture)
{
    assert_int_equal(has_table(world), 0);
    assert_int_equal(poll_once(world), 0);
    assert_int_equal(has_table(world), 1);
    expect_verdicts(world, fixture);
    struct world *others[MOST];
    for (size_t i = 0; i < COUNT(others); i++) {
        others[i] = new_world(fixture, 1);
        use(others[i], fixture, EARNING);
        poll_once(others[i]);
        assert_int_equal(has_table(others[i]), i < MOST - 1);
    }
    for (size_t i = 0; i < COUNT(others); i++)
        end(others[i]);
}

static void a_fork_while_one_is_made_loses_none(void **state)
{
    const struct fixture *fixture = fixture_of(JWT_ALG_ES512);
    struct world *world = new_world(fixture, 1);
    pthread_t thread;
    int status;
    (void)state;
    use(world, fixture, EARNING);
    assert_int_equal(sem_init(&maker.reached, 0, 0) | sem_init(&maker.released, 0, 0), 0);
    maker.is_held = 1;
    assert_int_equal(pthread_create(&thread, NULL, poll_it, world), 0);
    sem_wait(&maker.reached);
    assert_true(poll_once(world) > 0); /* it is being made */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        expect_all_places(world, fixture);
        _exit(0);
    }
    sem_post(&maker.released);
    pthread_join(thread, NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(has_table(world), 1);
    end(world);
}

/* ---- How many there are */

static void there_are_at_most_64_in_the_process(void **state)
{
    const struct fixture *fixture = fixture_of(JWT_ALG_ES512);
    struct world *worlds[MOST + 1];
    (void)state;
    for (size_t i = 0; i < COUNT(worlds); i++) {
        worlds[i] = new_world(fixture, 1);
        use(worlds[i], fixture, EARNING);
        poll_once(worlds[i]);
        assert_int_equal(has_table(worlds[i]), i < MOST);
    }
    end(worlds[0]); /* and with it a table */
    poll_once(worlds[MOST]);
    assert_int_equal(has_table(worlds[MOST]), 1);
    expect_verdicts(worlds[MOST], fixture);
    for (size_t i = 1; i < COUNT(worlds); i++)
        end(worlds[i]);
}

/* A key keeps its table in the next set; one that comes back has to earn it anew. */
static void a_table_stays_and_goes_with_its_key(void **state)
{
    const struct fixture *fixture = fixture_of(JWT_ALG_ES512);
    struct world *world = new_world(fixture, 1);
    (void)state;
    use(world, fixture, EARNING);
    poll_once(world);
    assert_status(load(world->issuer, fixture->jwks), JWT_OK);
    assert_int_equal(has_table(world), 1);
    expect_verdicts(world, fixture);
    assert_status(load(world->issuer, fixture_of(JWT_ALG_ES384)->jwks), JWT_OK);
    assert_status(verify(world, fixture->token), JWT_KEY_NOT_FOUND);
    assert_status(load(world->issuer, fixture->jwks), JWT_OK);
    assert_int_equal(has_table(world), 0);
    expect_verdicts(world, fixture);
    end(world);
}

static void the_error_queue_stays_the_hosts(void **state)
{
    const struct fixture *fixture = fixture_of(JWT_ALG_ES256);
    struct world *world = new_world(fixture, 1);
    (void)state;
    use(world, fixture, EARNING);
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 4242);
    poll_once(world);
    assert_int_equal(has_table(world), 1);
    expect_verdicts(world, fixture);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 4242);
    assert_int_equal(ERR_peek_error(), 0);
    end(world);
}

/* ---- Threads verify while tables come and go */

struct race {
    const struct world *world;
    const struct fixture *fixture;
    int over;
    unsigned long accepted, wrong;
};

static void *verify_all_the_time(void *argument)
{
    struct race *race = argument;
    char *bad = forged(race->fixture);
    jwt_result *result = NULL;
    assert_status(jwt_result_new(&result), JWT_OK);
    while (!__atomic_load_n(&race->over, __ATOMIC_ACQUIRE)) {
        const char *token = race->fixture->token;
        jwt_status good = jwt_verify(race->world->policy, token, strlen(token), result);
        jwt_status of_bad = jwt_verify(race->world->policy, bad, strlen(bad), result);
        race->accepted += good == JWT_OK;
        race->wrong += good != JWT_OK && good != JWT_KEY_NOT_FOUND;
        race->wrong += of_bad != JWT_BAD_SIGNATURE && of_bad != JWT_KEY_NOT_FOUND;
    }
    jwt_result_release(result);
    free(bad);
    return NULL;
}

static void verdicts_hold_while_tables_come_and_go(void **state)
{
    const struct fixture *fixture = fixture_of(JWT_ALG_ES512), *other = fixture_of(JWT_ALG_ES384);
    struct world *world = new_world(fixture, 1);
    struct race races[2];
    pthread_t threads[COUNT(races)];
    (void)state;
    for (size_t i = 0; i < COUNT(races); i++) {
        races[i] = (struct race){ world, fixture, 0, 0, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, verify_all_the_time, &races[i]), 0);
    }
    for (int tables = 0; tables < 10; tables++) {
        assert_int_equal(gets_table_within(world, 60), 1);
        assert_status(load(world->issuer, other->jwks), JWT_OK);
        assert_status(load(world->issuer, fixture->jwks), JWT_OK);
    }
    for (size_t i = 0; i < COUNT(races); i++) {
        __atomic_store_n(&races[i].over, 1, __ATOMIC_RELEASE);
        pthread_join(threads[i], NULL);
        assert_true(races[i].accepted > EARNING);
        assert_int_equal(races[i].wrong, 0);
    }
    end(world);
}

/* Only where libcrypto cannot make any (Tests/Tables/without). */
static void without_the_function_there_are_none(void **state)
{
    const struct fixture *fixture = fixture_of(JWT_ALG_ES256);
    struct world *world = new_world(fixture, 1);
    (void)state;
    use(world, fixture, EARNING);
    assert_int_equal(poll_once(world), 0); /* it was tried */
    assert_int_equal(has_table(world), 0);
    expect_verdicts(world, fixture);
    end(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest without[] = { cmocka_unit_test(without_the_function_there_are_none) };
    token_cache = KEYTURN_OFF; /* each token is to be verified by its key */
    if (argc > 1 && strcmp(argv[1], "without") == 0)
        return cmocka_run_group_tests_name("without tables", without, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hundredth_token_earns_a_table),
        cmocka_unit_test(other_keys_get_none),
        cmocka_unit_test(a_poll_makes_none_unless_it_is_asked_to),
        cmocka_unit_test(the_option_is_0_1_or_off),
        cmocka_unit_test(the_thread_of_a_started_cache_makes_it),
        cmocka_unit_test(the_thread_makes_none_where_it_is_off),
        cmocka_unit_test(a_fork_while_one_is_made_loses_none),
        cmocka_unit_test(there_are_at_most_64_in_the_process),
        cmocka_unit_test(a_table_stays_and_goes_with_its_key),
        cmocka_unit_test(the_error_queue_stays_the_hosts),
        cmocka_unit_test(verdicts_hold_while_tables_come_and_go),
    };
    return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
