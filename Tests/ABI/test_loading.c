/* The library as a host loads it at run time: often, beside a second copy, and before a fork. This program is not
 * linked against it. Argument: the path of the shared object. */
#include "minting.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *library_path;

/* The few functions that a host needs to verify one token. */
struct api {
    void *handle;
    __typeof__(&keyturn_version) version;
    __typeof__(&jwks_cache_new) cache_new;
    __typeof__(&jwks_cache_start) cache_start;
    __typeof__(&jwks_cache_release) cache_release;
    __typeof__(&jwks_cache_add_issuer) add_issuer;
    __typeof__(&jwks_issuer_load) issuer_load;
    __typeof__(&jwks_issuer_release) issuer_release;
    __typeof__(&jwt_policy_new) policy_new;
    __typeof__(&jwt_policy_release) policy_release;
    __typeof__(&jwt_result_new) result_new;
    __typeof__(&jwt_result_release) result_release;
    __typeof__(&jwt_verify) verify;
};

static void *symbol(void *handle, const char *name)
{
    void *address = dlsym(handle, name);
    if (!address)
        fail_msg("%s", dlerror());
    return address;
}

static struct api open_api(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        fail_msg("%s", dlerror());
    return (struct api){
        .handle = handle,
        .version = symbol(handle, "keyturn_version"),
        .cache_new = symbol(handle, "jwks_cache_new"),
        .cache_start = symbol(handle, "jwks_cache_start"),
        .cache_release = symbol(handle, "jwks_cache_release"),
        .add_issuer = symbol(handle, "jwks_cache_add_issuer"),
        .issuer_load = symbol(handle, "jwks_issuer_load"),
        .issuer_release = symbol(handle, "jwks_issuer_release"),
        .policy_new = symbol(handle, "jwt_policy_new"),
        .policy_release = symbol(handle, "jwt_policy_release"),
        .result_new = symbol(handle, "jwt_result_new"),
        .result_release = symbol(handle, "jwt_result_release"),
        .verify = symbol(handle, "jwt_verify"),
    };
}

/* What a host does from its start to its end, with key `key`; the status of a token that key 1 signed. */
static jwt_status live(const struct api *api, unsigned key)
{
    static const char *const audiences[] = { AUDIENCE };
    static int64_t now = NOW;
    jwks_cache *cache = NULL;
    jwks_issuer *issuer = NULL;
    jwt_policy *policy = NULL;
    jwt_result *result = NULL;
    char *public = jwk(key, "one"), *set = text("{\"keys\":[%s]}", public);
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    jwks_cache_options cache_options = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options issuer_options = JWKS_ISSUER_OPTIONS_INIT;
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    cache_options.clock = standing_clock;
    cache_options.clock_context = &now;
    issuer_options.issuer = ISSUER;
    options.issuers = &issuer;
    options.issuer_count = 1;
    options.audiences = audiences;
    options.audience_count = 1;
    jwt_status status = api->cache_new(&cache_options, &cache, NULL);
    if (status == JWT_OK)
        status = api->add_issuer(cache, &issuer_options, &issuer, NULL);
    if (status == JWT_OK)
        status = api->issuer_load(issuer, set, strlen(set), NULL);
    if (status == JWT_OK)
        status = api->policy_new(cache, &options, &policy, NULL);
    if (status == JWT_OK)
        status = api->result_new(&result);
    if (status == JWT_OK)
        status = api->verify(policy, token, strlen(token), result);
    api->result_release(result);
    api->policy_release(policy);
    api->issuer_release(issuer);
    api->cache_release(cache);
    free(token);
    free(set);
    free(public);
    return status;
}

struct life {
    const struct api *api;
    jwt_status status;
};

static void *live_in_thread(void *argument)
{
    struct life *life = argument;
    life->status = live(life->api, 1);
    return NULL;
}

static jwt_status live_elsewhere(const struct api *api)
{
    struct life life = { api, JWT_MISSING };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, live_in_thread, &life), 0);
    pthread_join(thread, NULL);
    return life.status;
}

/* First in this program. */
static void a_library_opened_before_fork_serves_parent_and_child(void **state)
{
    (void)state;
    struct api api = open_api(library_path);
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        exit(live(&api, 1) == JWT_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(live(&api, 1), JWT_OK);
    dlclose(api.handle);
}

static void opening_and_closing_a_hundred_times_is_fine(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct api api = open_api(library_path);
        assert_string_equal(api.version(), KEYTURN_VERSION);
        if (i % 3 != 1)
            assert_int_equal(live(&api, 1), JWT_OK);
        if (i % 3 != 2)
            assert_int_equal(live_elsewhere(&api), JWT_OK);
        assert_int_equal(dlclose(api.handle), 0);
    }
}

static void *live_and_close(void *argument)
{
    struct life *life = argument;
    life->status = live(life->api, 1);
    dlclose(life->api->handle); /* this thread's destructors run after it */
    return NULL;
}

static void a_thread_may_end_after_the_library_was_closed(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct api api = open_api(library_path);
        struct life life = { &api, JWT_MISSING };
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, live_and_close, &life), 0);
        pthread_join(thread, NULL);
        assert_int_equal(life.status, JWT_OK);
    }
}

/* ---- A second copy under another name */

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char buffer[65536];
    size_t got;
    assert_non_null(in);
    assert_non_null(out);
    while ((got = fread(buffer, 1, sizeof buffer, in)) > 0)
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void two_copies_live_in_one_process(void **state)
{
    (void)state;
    char other_path[] = "/tmp/keyturn-copy-XXXXXX";
    int descriptor = mkstemp(other_path);
    assert_true(descriptor >= 0);
    close(descriptor);
    copy_file(library_path, other_path);
    struct api one = open_api(library_path), other = open_api(other_path);
    unlink(other_path);
    assert_ptr_not_equal(one.verify, other.verify);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(live(&one, 1), JWT_OK);
        assert_int_equal(live(&other, 1), JWT_OK);
        assert_int_equal(live(&one, 2), JWT_BAD_SIGNATURE);
        assert_int_equal(live(&other, 2), JWT_BAD_SIGNATURE);
        assert_int_equal(live_elsewhere(&one), JWT_OK);
        assert_int_equal(live_elsewhere(&other), JWT_OK);
    }
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        exit(live(&one, 1) == JWT_OK && live(&other, 1) == JWT_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    dlclose(other.handle);
    assert_int_equal(live(&one, 1), JWT_OK);
    dlclose(one.handle);
}

/* ---- What fetches is a second library */

static jwks_issuer *add_fetched(const struct api *api, jwks_cache *cache, jwt_status expected)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = NULL;
    options.issuer = "https://fetched.example";
    options.jwks_url = "https://fetched.example/jwks";
    assert_int_equal(api->add_issuer(cache, &options, &issuer, NULL), expected);
    return issuer;
}

static void without_the_library_that_fetches_only_what_is_fetched_fails(void **state)
{
    (void)state;
    char folder[] = "/tmp/keyturn-alone-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = text("%s/libkeyturn.so.0", folder);
    copy_file(library_path, path);
    struct api api = open_api(path);
    unlink(path);
    rmdir(folder);
    free(path);
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache *cache = NULL;
    assert_int_equal(api.cache_new(NULL, &cache, NULL), JWT_OK);
    jwks_issuer *fetched = add_fetched(&api, cache, JWT_OK);
    assert_int_equal(api.cache_start(cache, &error), JWKS_NO_FETCHER);
    assert_string_equal(error.option, "fetcher");
    assert_non_null(strstr(error.message, "libkeyturn-fetch.so.0"));
    api.issuer_release(fetched);
    assert_int_equal(api.cache_start(cache, &error), JWT_OK); /* all that is left is pushed */
    assert_null(add_fetched(&api, cache, JWKS_NO_FETCHER));
    api.cache_release(cache);
    dlclose(api.handle);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_opened_before_fork_serves_parent_and_child),
        cmocka_unit_test(opening_and_closing_a_hundred_times_is_fine),
        cmocka_unit_test(a_thread_may_end_after_the_library_was_closed),
        cmocka_unit_test(two_copies_live_in_one_process),
        cmocka_unit_test(without_the_library_that_fetches_only_what_is_fetched_fails),
    };
    if (count != 2) {
        fprintf(stderr, "usage: %s path-of-libkeyturn.so\n", arguments[0]);
        return 2;
    }
    library_path = arguments[1];
    return cmocka_run_group_tests_name("loading", tests, NULL, NULL);
}
