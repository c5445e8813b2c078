/* Issuers whose keys come from a file: when it is read, and what becomes of one that is bad, half written or gone. */
#include "staging.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- A folder of its own for each test */

static char folder[64];

static char *in_folder(const char *name)
{
    return text("%s/%s", folder, name);
}

static int drop(const char *path, const struct stat *found, int kind, struct FTW *place)
{
    (void)found;
    (void)kind;
    (void)place;
    return remove(path);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/keyturn-files.XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void end_folder(void)
{
    assert_int_equal(nftw(folder, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* A host that fetches nothing. */
static int begin(void **state)
{
    make_folder();
    make_host(state);
    struct host *host = *state;
    jwks_cache_release(host->cache);
    host->cache = cache_of(host, NULL);
    return 0;
}

static int end(void **state)
{
    end_host(state);
    end_folder();
    return 0;
}
#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, begin, end)

static int begin_on_stage(void **state)
{
    make_folder();
    make_host(state);
    struct host *host = *state;
    jwks_cache_options options = stage_options(host);
    options.fetcher = NULL;
    use_cache(host, &options);
    return 0;
}

static int end_on_stage(void **state)
{
    end_stage(state);
    end_folder();
    return 0;
}

/* ---- Files */

static void write_into(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(content, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

/* In one step, as another inode. */
static void put(const char *name, const char *content)
{
    char *path = in_folder(name), *new = in_folder("new");
    write_into(new, content);
    assert_int_equal(rename(new, path), 0);
    free(path);
    free(new);
}

static void put_key(const char *name, unsigned key, const char *kid)
{
    char *set = set_of(key, kid);
    put(name, set);
    free(set);
}

static void link_to(const char *target, const char *name)
{
    char *path = in_folder(name), *new = in_folder("new");
    assert_int_equal(symlink(target, new), 0);
    assert_int_equal(rename(new, path), 0);
    free(path);
    free(new);
}

static void make_directory(const char *name)
{
    char *path = in_folder(name);
    assert_int_equal(mkdir(path, 0755), 0);
    free(path);
}

/* ---- Issuers of them */

static jwks_issuer_options pushed(void)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = ISSUER;
    return options;
}

static jwks_issuer_options by_file(const char *path)
{
    jwks_issuer_options options = pushed();
    options.file = path;
    return options;
}

static jwks_issuer_options by_jwks(void)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/jwks", folder);
    return by_file(path);
}

/* Key 1 as "one", from the file "jwks". */
static void serve_file(struct host *host)
{
    put_key("jwks", 1, "one");
    jwks_issuer_options options = by_jwks();
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void poll_after(struct host *host, int64_t ms)
{
    host->now += ms;
    poll_cache(host);
}

#define assert_bad(host, options, status, option)                                                            \
    assert_bad_at(host, options, status, option, __FILE__, __LINE__)
static void assert_bad_at(struct host *host, const jwks_issuer_options *options, jwt_status status,
                          const char *option, const char *file, int line)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwks_issuer *issuer = NULL;
    assert_status_at(jwks_cache_add_issuer(host->cache, options, &issuer, &error), status, file, line);
    if (strcmp(error.option, option) != 0 || error.message[0] == '\0')
        print_error("\"%s\": \"%s\" at %s:%d\n", error.option, error.message, file, line);
    assert_string_equal(error.option, option);
    assert_true(error.message[0] != '\0');
    assert_null(issuer);
}

/* ---- What is read when */

static void its_keys_are_there_when_the_call_returns(void **state)
{
    struct host *host = *state;
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    serve_file(host);
    assert_status(jwks_issuer_stats_get(host->issuer, &stats), JWT_OK);
    assert_int_equal(stats.state, JWKS_ISSUER_PINNED);
    assert_int_equal(stats.generation, 1);
    assert_int_equal(poll_cache(host), 1000); /* without a fetcher */
    poll_after(host, 1000);
    assert_status(jwks_issuer_stats_get(host->issuer, &stats), JWT_OK);
    assert_int_equal(stats.generation, 1); /* the same, read once more */
    assert_status(jwks_issuer_refresh(host->issuer), JWKS_NO_FETCHER);
    jwks_issuer_remove(host->issuer);
    assert_int_equal(poll_cache(host), UINT32_MAX);
}

/* And of one whose file is no good, nothing. */
static void an_issuer_is_told_of_before_its_keys(void **state)
{
    struct host *host = *state;
    jwks_event event = JWKS_EVENT_INIT;
    jwks_issuer_options bad = by_jwks();
    put("jwks", "{\"keys\":[]}");
    assert_bad(host, &bad, JWKS_INVALID_DOCUMENT, "");
    assert_int_equal(jwks_event_next(host->cache, &event), 0);
    serve_file(host);
    expect_event(host->cache, JWKS_EVENT_ISSUER_ADDED);
    expect_event(host->cache, JWKS_EVENT_KEYS_CHANGED);
    assert_int_equal(jwks_event_next(host->cache, &event), 0);
}

static void another_content_replaces_the_keys(void **state)
{
    struct host *host = *state;
    serve_file(host);
    for (unsigned key = 2; key < 8; key++) {
        put_key("jwks", key, "next");
        poll_after(host, 999);
        assert_status(ask_kid(host, key, "next"), key == 2 ? JWT_KEY_NOT_FOUND : JWT_BAD_SIGNATURE);
        poll_after(host, 1);
        assert_status(ask_kid(host, key, "next"), JWT_OK);
        assert_status(ask_kid(host, 1, "one"), JWT_KEY_NOT_FOUND);
    }
}

static void it_is_looked_at_as_often_as_the_option_says(void **state)
{
    struct host *host = *state;
    put_key("jwks", 1, "one");
    jwks_issuer_options options = by_jwks();
    options.file_check_ms = 10000;
    add(host, &options);
    assert_int_equal(poll_cache(host), 1000); /* once more, since it is new */
    poll_after(host, 1000);
    assert_int_equal(poll_cache(host), 10000);
    put_key("jwks", 2, "two");
    poll_after(host, 9999);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    poll_after(host, 1);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
}

/* A mounted ConfigMap: the link to the folder of the files is what changes. */
static void a_link_on_the_way_that_is_swapped_is_seen(void **state)
{
    struct host *host = *state;
    const struct timespec same[2] = { { .tv_sec = NOW }, { .tv_sec = NOW } };
    char *first = in_folder("..v1/jwks"), *second = in_folder("..v2/jwks");
    make_directory("..v1");
    make_directory("..v2");
    put_key("..v1/jwks", 1, "one");
    put_key("..v2/jwks", 2, "two");
    assert_int_equal(utimensat(AT_FDCWD, first, same, 0), 0); /* of one size and time */
    assert_int_equal(utimensat(AT_FDCWD, second, same, 0), 0);
    link_to("..v1", "..data");
    link_to("..data/jwks", "jwks");
    jwks_issuer_options options = by_jwks();
    add(host, &options);
    poll_after(host, 1000);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    link_to("..v2", "..data");
    poll_after(host, 1000);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_NOT_FOUND);
    free(first);
    free(second);
}

static void a_half_written_file_is_read_when_it_is_whole(void **state)
{
    struct host *host = *state;
    char *path = in_folder("jwks"), *set = set_of(2, "two");
    serve_file(host);
    for (size_t length = 0; length < strlen(set); length += strlen(set) / 4) {
        char *part = text("%.*s", (int)length, set);
        write_into(path, part); /* the same inode */
        poll_after(host, 1000);
        assert_status(ask_kid(host, 1, "one"), JWT_OK);
        free(part);
    }
    write_into(path, set);
    poll_after(host, 1000);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    free(path);
    free(set);
}

/* Through a mapping, whose page is written again without its file's times being touched. */
static void what_is_written_within_a_tick_is_read_once_more(void **state)
{
    struct host *host = *state;
    char *path = in_folder("jwks"), *set = set_of(2, "two");
    struct stat before, after;
    serve_file(host);
    poll_after(host, 1000);
    poll_after(host, 1000);
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    assert_true(map != MAP_FAILED);
    memset(map, ' ', strlen(set));
    const struct timespec other[2] = { { .tv_sec = NOW }, { .tv_sec = NOW } };
    assert_int_equal(futimens(descriptor, other), 0);
    assert_int_equal(stat(path, &before), 0);
    poll_after(host, 1000);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    memcpy(map, set, strlen(set));
    assert_int_equal(stat(path, &after), 0);
    assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
    poll_after(host, 999);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    poll_after(host, 1);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    munmap(map, 4096);
    close(descriptor);
    free(path);
    free(set);
}

/* ---- What is no file of keys */

static void what_cannot_be_read_is_refused_by_the_call(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_jwks();
    assert_bad(host, &options, JWKS_INVALID_OPTION, "file"); /* absent */
    link_to("jwks", "jwks");
    assert_bad(host, &options, JWKS_INVALID_OPTION, "file"); /* a loop */
    assert_int_equal(unlink(options.file), 0);
    make_directory("jwks");
    assert_bad(host, &options, JWKS_INVALID_OPTION, "file");
    assert_int_equal(rmdir(options.file), 0);
    assert_int_equal(mkfifo(options.file, 0600), 0); /* whose opening would wait for a writer */
    assert_bad(host, &options, JWKS_INVALID_OPTION, "file");
    assert_int_equal(unlink(options.file), 0);
    link_to("/dev/zero", "jwks");
    assert_bad(host, &options, JWKS_INVALID_OPTION, "file");
    put_key("jwks", 1, "one");
    add(host, &options); /* and none of them had the name */
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void what_is_no_set_is_refused_by_the_call(void **state)
{
    static const char *const bad[] = { "", "{", "[]", "{\"keys\":[]}", "{\"keys\":[]}{}" };
    struct host *host = *state;
    jwks_issuer_options options = by_jwks();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("jwks", bad[i]);
        assert_bad(host, &options, JWKS_INVALID_DOCUMENT, "");
    }
    char *set = set_of(1, "one");
    put("jwks", set);
    options.max_document = (uint32_t)strlen(set) - 1;
    assert_bad(host, &options, JWKS_INVALID_DOCUMENT, "file");
    options.max_document += 1;
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    free(set);
}

static void later_a_bad_one_changes_nothing(void **state)
{
    struct host *host = *state;
    char *path = in_folder("jwks"), *large = calloc(1, 600000);
    memset(large, ' ', 599999);
    serve_file(host);
    for (unsigned round = 0; round < 7; round++) {
        unlink(path);
        if (round == 0)
            put("jwks", "{\"keys\":[]}");
        if (round == 1)
            put("jwks", large); /* than max_document */
        if (round == 2)
            assert_int_equal(mkfifo(path, 0600), 0);
        if (round == 3)
            put("jwks", "no set");
        if (round == 4)
            link_to("nowhere", "jwks");
        if (round == 5)
            link_to("/dev/zero", "jwks");
        for (int polls = 0; polls < 4; polls++) { /* in round 6 it has gone */
            poll_after(host, 1000);
            assert_true(poll_cache(host) >= 900);
            assert_status(ask_kid(host, 1, "one"), JWT_OK);
        }
        put_key("jwks", 2 + round, "next");
        poll_after(host, 1000);
        assert_status(ask_kid(host, 2 + round, "next"), JWT_OK);
        put_key("jwks", 1, "one");
        poll_after(host, 1000);
    }
    free(path);
    free(large);
}

static void who_may_no_longer_read_it_keeps_the_keys(void **state)
{
    struct host *host = *state;
    make_directory("in");
    put_key("in/jwks", 1, "one");
    char *path = in_folder("in/jwks"), *inside = in_folder("in"), *aside = in_folder("aside");
    jwks_issuer_options options = by_file(path);
    add(host, &options);
    for (int round = 0; round < 2; round++) {
        if (round == 0 && geteuid() != 0)
            assert_int_equal(chmod(inside, 0), 0);
        else /* root may read everything */
            assert_int_equal(rename(inside, aside), 0);
        poll_after(host, 1000);
        poll_after(host, 1000);
        assert_status(ask_kid(host, 1, "one"), JWT_OK);
        if (round == 0 && geteuid() != 0)
            assert_int_equal(chmod(inside, 0755), 0);
        else
            assert_int_equal(rename(aside, inside), 0);
        poll_after(host, 1000);
        assert_status(ask_kid(host, 1, "one"), JWT_OK);
    }
    put_key("in/jwks", 2, "two");
    poll_after(host, 1000);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    free(path);
    free(inside);
    free(aside);
}

/* ---- Options */

static void options_that_contradict_it_are_refused(void **state)
{
    struct host *host = *state;
    put_key("jwks", 1, "one");
    REFUSED("file", by_jwks, options.jwks_url = URL);
    REFUSED("file", by_jwks, options.discovery = JWKS_DISCOVERY_OPENID);
    REFUSED("file", by_jwks, options.file = "");
    REFUSED("file_check_ms", by_jwks, options.file_check_ms = 99);
    REFUSED("file_check_ms", by_jwks, options.file_check_ms = 3600001);
    REFUSED("file_check_ms", by_jwks, options.file_check_ms = KEYTURN_OFF);
    REFUSED("file_check_ms", by_url, options.file_check_ms = 1000);
    REFUSED("file_check_ms", pushed, options.file_check_ms = 1000);
    REFUSED("jwks_url", by_jwks, options.lazy = 1);
}

static void secrets_may_stand_in_it(void **state)
{
    struct host *host = *state;
    put("jwks", "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\",\"alg\":\"HS256\","
                "\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}");
    jwks_issuer_options options = by_jwks();
    assert_bad(host, &options, JWKS_INVALID_DOCUMENT, "");
    options.allow_symmetric = 1;
    options.algorithms = JWT_ALG_HS256;
    add(host, &options);
    assert_status(jwks_issuer_ready(host->issuer), JWT_OK);
}

static void its_keys_end_with_their_age_and_a_new_reading_renews_them(void **state)
{
    struct host *host = *state;
    put_key("jwks", 1, "one");
    jwks_issuer_options options = by_jwks();
    options.pinned_max_age_ms = MINUTE;
    add(host, &options);
    poll_after(host, 1000); /* read once more */
    host->now += MINUTE;
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    put_key("jwks", 1, "one"); /* the very same */
    poll_after(host, 1000);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

/* ---- By other ways */

static jwt_status update(struct host *host, const jwks_issuer_options *options)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = jwks_issuer_update(host->issuer, options, &error);
    assert_int_equal(status == JWT_OK, error.message[0] == '\0');
    return status;
}

static void what_is_pushed_stays_until_the_file_changes(void **state)
{
    struct host *host = *state;
    serve_file(host);
    poll_after(host, 1000);
    load_key(host->issuer, 2, "two");
    poll_after(host, 1000);
    poll_after(host, 1000);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    put_key("jwks", 3, "three");
    poll_after(host, 1000);
    assert_status(ask_kid(host, 3, "three"), JWT_OK);
    assert_status(ask_kid(host, 2, "two"), JWT_KEY_NOT_FOUND);
}

static void an_update_reads_the_file(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = pushed();
    add(host, &options);
    load_key(host->issuer, 1, "one");
    options = by_jwks();
    assert_status(update(host, &options), JWKS_INVALID_OPTION);
    put("jwks", "no set");
    assert_status(update(host, &options), JWKS_INVALID_DOCUMENT);
    assert_int_equal(poll_cache(host), UINT32_MAX);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    put_key("jwks", 2, "two");
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_KEY_NOT_FOUND);
    put_key("jwks", 3, "three");
    poll_after(host, 1000);
    assert_status(ask_kid(host, 3, "three"), JWT_OK);
}

static void an_update_takes_the_file_away(void **state)
{
    struct host *host = *state;
    serve_file(host);
    jwks_issuer_options options = pushed();
    assert_status(update(host, &options), JWT_OK);
    put_key("jwks", 2, "two");
    assert_int_equal(poll_cache(host), UINT32_MAX);
    poll_after(host, HOUR);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void an_update_to_rules_that_the_file_does_not_meet_changes_nothing(void **state)
{
    struct host *host = *state;
    serve_file(host);
    jwks_issuer_options options = by_jwks();
    options.algorithms = JWT_ALG_RS256;
    assert_status(update(host, &options), JWKS_INVALID_DOCUMENT);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    options.algorithms = JWT_ALG_EDDSA;
    assert_status(update(host, &options), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

static void a_forked_child_reads_for_itself(void **state)
{
    struct host *host = *state;
    serve_file(host);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        put_key("jwks", 2, "two");
        poll_after(host, 1000);
        _exit(ask_kid(host, 2, "two") == JWT_OK ? 0 : 1);
    }
    int end_of_it = -1;
    assert_int_equal(waitpid(child, &end_of_it, 0), child);
    assert_int_equal(end_of_it, 0);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    poll_after(host, 1000);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
}

static void a_started_cache_sees_it_too(void **state)
{
    struct host *host = *state;
    size_t before = descriptors();
    put_key("jwks", 1, "one");
    jwks_issuer_options options = by_jwks();
    options.file_check_ms = 100;
    add(host, &options);
    assert_int_equal(descriptors(), before);
    assert_status(jwks_cache_start(host->cache, NULL), JWT_OK); /* without a fetcher */
    for (unsigned key = 2; key < 5; key++) {
        put_key("jwks", key, "next");
        await_kid(host, key, "next");
    }
    assert_int_equal(threads_named("keyturn"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(its_keys_are_there_when_the_call_returns),
        WITH_FILES(an_issuer_is_told_of_before_its_keys),
        WITH_FILES(another_content_replaces_the_keys),
        WITH_FILES(it_is_looked_at_as_often_as_the_option_says),
        WITH_FILES(a_link_on_the_way_that_is_swapped_is_seen),
        WITH_FILES(a_half_written_file_is_read_when_it_is_whole),
        WITH_FILES(what_is_written_within_a_tick_is_read_once_more),
        WITH_FILES(what_cannot_be_read_is_refused_by_the_call),
        WITH_FILES(what_is_no_set_is_refused_by_the_call),
        WITH_FILES(later_a_bad_one_changes_nothing),
        WITH_FILES(who_may_no_longer_read_it_keeps_the_keys),
        WITH_FILES(options_that_contradict_it_are_refused),
        WITH_FILES(secrets_may_stand_in_it),
        WITH_FILES(its_keys_end_with_their_age_and_a_new_reading_renews_them),
        WITH_FILES(what_is_pushed_stays_until_the_file_changes),
        WITH_FILES(an_update_reads_the_file),
        WITH_FILES(an_update_takes_the_file_away),
        WITH_FILES(an_update_to_rules_that_the_file_does_not_meet_changes_nothing),
        WITH_FILES(a_forked_child_reads_for_itself),
        cmocka_unit_test_setup_teardown(a_started_cache_sees_it_too, begin_on_stage, end_on_stage),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
