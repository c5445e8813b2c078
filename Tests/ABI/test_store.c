/* What is kept in a directory: over restarts of the process and of the machine, and through whatever happens to the
 * files. */
#include "fetching.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START INT64_C(1000000)
#define OTHER_URL "https://keys.example/other.json"

/* Puts a word of the file's content in place of the one there, and makes it whole again. */
static void change_word(const char *path, size_t place, int64_t value)
{
    struct octets octets = read_file(path, 0);
    memcpy(octets.data + 16 + 8 * place, &value, sizeof value);
    size_t end = octets.count - 32;
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, octets.data, end, octets.data + end, NULL), 1);
    write_file(path, &octets);
}

enum { WORD_BEGAN = 0, WORD_WALL = 1, WORD_BOOT = 2, WORD_FRESHNESS = 4, WORD_LIMIT = 5 };

/* ---- Hosts, one after the other */

static struct host *begin(const char *path, int64_t now)
{
    return with_issuer(host_with_store(path, now));
}

/* A host whose issuer serves key 1 as "one" leaves it in the store. */
static void leave_keys(const char *path)
{
    struct host *host = host_with_store(path, START);
    serve(host);
    close_host(host);
}

static jwt_status first_answer(const char *path, int64_t now)
{
    struct host *host = begin(path, now);
    jwt_status status = ask_kid(host, 1, "one");
    close_host(host);
    return status;
}

/* ---- A warm start */

static void a_restart_with_the_issuer_down_verifies_at_once(void **state)
{
    leave_keys(*state);
    struct host *host = begin(*state, START + HOUR);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_true(pass_failing(host, 22 * HOUR, 500) > 100);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    pass_failing(host, HOUR, 500); /* 24 h after the fetch, not after the start */
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    close_host(host);
}

static void an_issuer_is_told_of_before_the_keys_that_the_store_has(void **state)
{
    leave_keys(*state);
    struct host *host = begin(*state, START + HOUR);
    expect_event(host->cache, JWKS_EVENT_ISSUER_ADDED);
    expect_event(host->cache, JWKS_EVENT_KEYS_CHANGED);
    close_host(host);
}

static void what_is_older_than_the_hard_limit_is_not_served(void **state)
{
    leave_keys(*state);
    assert_status(first_answer(*state, START + 24 * HOUR - 1), JWT_OK);
    assert_status(first_answer(*state, START + 24 * HOUR), JWKS_PENDING);
}

static void the_next_refresh_asks_with_what_was_kept(void **state)
{
    struct host *host = begin(*state, START);
    char *set = set_of(1, "one");
    poll_cache(host);
    reply_with(host, 200, set, "max-age=60", "\"v1\"");
    poll_cache(host);
    close_host(host);
    free(set);

    host = begin(*state, START + MINUTE / 2);
    assert_int_equal(poll_cache(host) > 0, 1); /* fresh still: not at once */
    assert_int_equal(host->starts, 0);
    pass(host, MINUTE);
    assert_int_equal(host->starts, 1);
    assert_string_equal(host->asked[0].etag, "\"v1\"");
    reply_with(host, 304, NULL, "max-age=3600", NULL);
    poll_cache(host);
    int64_t renewed = host->now;
    close_host(host);

    /* What was confirmed is as young as its confirmation, and still known by its name. */
    assert_status(first_answer(*state, renewed + 24 * HOUR - 1), JWT_OK);
    host = begin(*state, renewed + HOUR);
    pass(host, HOUR);
    assert_string_equal(host->asked[0].etag, "\"v1\"");
    close_host(host);
}

static void the_newest_set_is_kept(void **state)
{
    leave_keys(*state);
    struct host *host = begin(*state, START + HOUR);
    pass(host, HOUR);
    reply_key(host, 2, "two");
    poll_cache(host);
    close_host(host);
    host = begin(*state, START + 2 * HOUR);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING); /* it may have come back */
    close_host(host);
}

static void keys_are_of_the_url_that_they_came_from(void **state)
{
    leave_keys(*state);
    struct host *host = host_with_store(*state, START);
    jwks_issuer_options options = by_url();
    options.jwks_url = OTHER_URL;
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    close_host(host);
}

static void a_discovered_url_is_kept_and_checked_again(void **state)
{
    struct host *host = host_with_store(*state, START);
    jwks_issuer_options options = by_discovery();
    add(host, &options);
    poll_cache(host);
    reply_with(host, 200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" URL "\"}", NULL, NULL);
    poll_cache(host);
    reply_key(host, 1, "one");
    poll_cache(host);
    close_host(host);

    host = host_with_store(*state, START + HOUR);
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    close_host(host);

    const char *const hosts[] = { "elsewhere.example" };
    options.jwks_hosts = hosts;
    options.jwks_host_count = 1;
    host = host_with_store(*state, START + HOUR);
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    close_host(host);
}

/* ---- Times */

static void after_a_restart_of_the_machine_the_wall_clock_counts(void **state)
{
    leave_keys(*state);
    char *file = issuer_file(*state, "keys");
    change_word(file, WORD_BOOT, 1);
    change_word(file, WORD_WALL, NOW - 24 * 3600 + 1);
    struct host *host = begin(*state, 5000); /* the machine's clock has begun anew */
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    host->now += 1000;
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    close_host(host);
    free(file);
}

static void what_comes_from_the_future_is_refused(void **state)
{
    leave_keys(*state);
    char *file = issuer_file(*state, "keys");
    change_word(file, WORD_BEGAN, START + 1);
    assert_status(first_answer(*state, START), JWKS_PENDING);
    assert_status(first_answer(*state, START + 1), JWT_OK);
    change_word(file, WORD_BOOT, 1);
    change_word(file, WORD_WALL, NOW + 1);
    assert_status(first_answer(*state, START), JWKS_PENDING);
    change_word(file, WORD_WALL, NOW);
    assert_status(first_answer(*state, START), JWT_OK);
    for (int64_t wall = INT64_MIN; wall <= INT64_MIN + 1; wall++) {
        change_word(file, WORD_WALL, wall);
        assert_status(first_answer(*state, START), JWKS_PENDING);
    }
    free(file);
}

static void no_file_lengthens_the_hard_limit(void **state)
{
    leave_keys(*state);
    char *file = issuer_file(*state, "keys");
    change_word(file, WORD_LIMIT, INT64_MAX);
    change_word(file, WORD_FRESHNESS, INT64_MAX);
    assert_status(first_answer(*state, START + 24 * HOUR - 1), JWT_OK);
    assert_status(first_answer(*state, START + 24 * HOUR), JWKS_PENDING);
    change_word(file, WORD_LIMIT, -1);
    assert_status(first_answer(*state, START), JWKS_PENDING);
    free(file);
}

/* ---- Files that are not as they should be */

static void a_damaged_file_is_as_none(void **state)
{
    leave_keys(*state);
    char *file = issuer_file(*state, "keys");
    struct octets whole = read_file(file, 0);
    size_t tried = 0;
    for (size_t place = 0; place < whole.count; place += 5, tried++) {
        struct octets damaged = whole;
        damaged.data[place] ^= 1;
        write_file(file, &damaged);
        assert_status(first_answer(*state, START), JWKS_PENDING);
    }
    assert_true(tried > 40);
    /* Whole by its sum, but not in itself: lengths of the texts that do not fit. */
    for (size_t place = 8; place < 12; place++)
        for (int64_t length = -1; length <= INT64_C(1) << 40; length += INT64_C(1) << 39) {
            write_file(file, &whole);
            change_word(file, place, length);
            assert_status(first_answer(*state, START), JWKS_PENDING);
        }
    write_file(file, &whole);
    assert_status(first_answer(*state, START), JWT_OK);
    free(file);
}

/* As strictly as an answer from the network. */
static void a_document_that_is_no_key_set_is_refused(void **state)
{
    leave_keys(*state);
    char *file = issuer_file(*state, "keys");
    struct octets octets = read_file(file, 0);
    unsigned char *place = memmem(octets.data, octets.count, "{\"keys\"", 7);
    assert_non_null(place);
    memcpy(place, "{\"kegs\"", 7);
    write_file(file, &octets);
    change_word(file, WORD_BEGAN, START);
    assert_status(first_answer(*state, START), JWKS_PENDING);
    free(file);
}

/* A set by key 1 as "one", signed by key 9; what is kept must be signed as what is fetched must. */
static void what_must_be_signed_is_signed_in_the_store_too(void **state)
{
    char *trusted = set_of(9, "signer"), *set = set_of(1, "one");
    char *signed_set = mint(9, "{\"alg\":\"EdDSA\",\"kid\":\"signer\",\"typ\":\"jwk-set+jwt\"}", set);
    jwks_issuer_options options = by_url();
    leave_keys(*state);
    options.signed_by = trusted;

    struct host *host = host_with_store(*state, START + MINUTE);
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING); /* there are keys, but nobody has signed them */
    poll_cache(host);
    reply_with(host, 200, signed_set, NULL, NULL);
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    close_host(host);

    host = host_with_store(*state, START + HOUR);
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    close_host(host);
    free(trusted);
    free(set);
    free(signed_set);
}

static void links_and_files_of_others_are_not_read(void **state)
{
    leave_keys(*state);
    char *file = issuer_file(*state, "keys"), *moved = text("%s/moved", (char *)*state);
    assert_int_equal(rename(file, moved), 0);
    assert_int_equal(symlink(moved, file), 0);
    assert_status(first_answer(*state, START), JWKS_PENDING);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rename(moved, file), 0);
    assert_status(first_answer(*state, START), JWT_OK);
    assert_int_equal(chmod(file, 0666), 0);
    assert_status(first_answer(*state, START), JWKS_PENDING);
    assert_int_equal(chmod(file, 0644), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(file, 65533, (gid_t)-1), 0);
        assert_status(first_answer(*state, START), JWKS_PENDING);
    }
    free(moved);
    free(file);
}

static void forbid_larger_files(rlim_t most)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static size_t file_count;

static void count_file(const char *path)
{
    (void)path;
    file_count++;
}

static void what_cannot_be_written_stays_in_force_in_memory(void **state)
{
    leave_keys(*state);
    struct host *host = begin(*state, START + HOUR);
    signal(SIGXFSZ, SIG_IGN);
    forbid_larger_files(100);
    pass(host, HOUR);
    reply_key(host, 2, "two");
    poll_cache(host);
    forbid_larger_files(RLIM_INFINITY);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    file_count = 0;
    each_file(*state, count_file);
    assert_true(file_count >= 1 && file_count <= 3);
    int64_t now = host->now;
    assert_status(first_answer(*state, now), JWT_OK); /* what was there is whole */

    /* The next answer is written, as a whole: no word of 304 would do. */
    pass(host, HOUR);
    assert_string_equal(host->asked[0].etag, "");
    reply_key(host, 2, "two");
    poll_cache(host);
    now = host->now;
    close_host(host);
    host = begin(*state, now);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    close_host(host);
}

/* ---- Processes side by side: a cache is to another what a process is to another, down to the locks */

enum { SIBLINGS = 8 };

struct siblings {
    struct host *host[SIBLINGS];
    size_t count;
};

static struct siblings begin_siblings(const char *path, size_t count)
{
    struct siblings siblings = { .count = count };
    for (size_t i = 0; i < count; i++)
        siblings.host[i] = begin(path, START);
    return siblings;
}

static void end_siblings(struct siblings *siblings)
{
    for (size_t i = 0; i < siblings->count; i++)
        close_host(siblings->host[i]);
}

static size_t starts(const struct siblings *siblings)
{
    size_t sum = 0;
    for (size_t i = 0; i < siblings->count; i++)
        sum += siblings->host[i]->starts;
    return sum;
}

static size_t under_way(const struct siblings *siblings)
{
    size_t sum = 0;
    for (size_t i = 0; i < siblings->count; i++)
        sum += siblings->host[i]->under_way;
    return sum;
}

/* Polls each and answers what it asks, one second after the other. Never two are under way at once. */
static void live(struct siblings *siblings, int64_t ms, unsigned key, const char *kid)
{
    for (int64_t passed = 0; passed < ms; passed += 1000) {
        for (size_t i = 0; i < siblings->count; i++)
            assert_in_range(poll_cache(siblings->host[i]), 0, 1000);
        assert_in_range(under_way(siblings), 0, 1);
        for (size_t i = 0; i < siblings->count; i++) {
            while (siblings->host[i]->under_way > 0)
                reply_key(siblings->host[i], key, kid);
            poll_cache(siblings->host[i]);
            siblings->host[i]->now += 1000;
        }
    }
}

static void assert_all(struct siblings *siblings, unsigned key, const char *kid, jwt_status expected)
{
    for (size_t i = 0; i < siblings->count; i++)
        assert_status(ask_kid(siblings->host[i], key, kid), expected);
}

static void one_fetch_is_for_all(void **state)
{
    struct siblings siblings = begin_siblings(*state, SIBLINGS);
    for (size_t i = 0; i < siblings.count; i++)
        poll_cache(siblings.host[i]);
    assert_int_equal(starts(&siblings), 1);
    assert_all(&siblings, 1, "one", JWKS_PENDING);
    live(&siblings, 2000, 1, "one");
    assert_all(&siblings, 1, "one", JWT_OK);
    assert_int_equal(starts(&siblings), 1);
    end_siblings(&siblings);
}

/* Eight do not ask more often than one: at 75 to 90 % of 300 s. */
static void eight_make_the_fetches_of_one(void **state)
{
    struct siblings siblings = begin_siblings(*state, SIBLINGS);
    live(&siblings, HOUR, 1, "one");
    assert_in_range(starts(&siblings), 13, 18);
    assert_all(&siblings, 1, "one", JWT_OK);
    end_siblings(&siblings);
}

static void a_new_set_is_in_force_everywhere_within_a_second(void **state)
{
    struct siblings siblings = begin_siblings(*state, SIBLINGS);
    live(&siblings, 2000, 1, "one");
    assert_all(&siblings, 1, "one", JWT_OK);
    struct host *first = siblings.host[0];
    assert_status(ask_kid(first, 2, "two"), JWKS_PENDING);
    poll_cache(first);
    assert_int_equal(first->under_way, 1);
    reply_key(first, 2, "two");
    poll_cache(first);
    assert_status(ask_kid(first, 2, "two"), JWT_OK);
    for (size_t i = 1; i < siblings.count; i++) {
        siblings.host[i]->now += 1000;
        poll_cache(siblings.host[i]);
        assert_status(ask_kid(siblings.host[i], 2, "two"), JWT_OK);
    }
    assert_int_equal(starts(&siblings), 2);
    end_siblings(&siblings);
}

/* What pays for fetches is shared: unknown kids at all of them together have two, and one more each 30 s. */
static void traffic_at_all_has_what_it_has_at_one(void **state)
{
    struct siblings siblings = begin_siblings(*state, SIBLINGS);
    live(&siblings, 2000, 1, "one");
    size_t before = starts(&siblings), asked = 0;
    for (int64_t second = 0; second < 60; second++) {
        for (size_t i = 0; i < siblings.count; i++, asked++) {
            char *kid = text("unknown-%zu", asked);
            assert_true(ask_kid(siblings.host[i], 2, kid) != JWT_OK);
            free(kid);
        }
        live(&siblings, 1000, 1, "one");
    }
    assert_int_equal(asked, 60 * SIBLINGS);
    assert_in_range(starts(&siblings) - before, 3, 4);
    end_siblings(&siblings);
}

static void who_stands_still_holds_back_for_the_lock_timeout(void **state)
{
    struct siblings siblings = begin_siblings(*state, 3);
    struct host *stopped = siblings.host[0], *second = siblings.host[1], *third = siblings.host[2];
    poll_cache(stopped); /* asks, and is never polled again */
    assert_int_equal(stopped->under_way, 1);
    poll_cache(second);
    pass(second, 14999);
    assert_int_equal(second->starts, 0);
    pass(second, 1000);
    assert_int_equal(second->starts, 1);
    third->now = second->now;
    poll_cache(third); /* sees both held */
    pass(third, 2000);
    reply_key(second, 1, "one");
    poll_cache(second);
    assert_status(ask_kid(second, 1, "one"), JWT_OK);
    pass(third, 2000);
    assert_status(ask_kid(third, 1, "one"), JWT_OK);
    assert_int_equal(third->starts, 0);
    stopped->now = third->now; /* it comes back, and takes nothing away */
    poll_cache(stopped);
    assert_status(ask_kid(stopped, 1, "one"), JWT_OK);
    end_siblings(&siblings);
}

/* Whoever writes late, after others have brought something newer, sets nobody back. */
static void an_older_file_takes_nothing_away(void **state)
{
    struct siblings siblings = begin_siblings(*state, 2);
    struct host *writer = siblings.host[0], *other = siblings.host[1];
    live(&siblings, 2000, 1, "one");
    char *file = issuer_file(*state, "keys");
    struct octets older = read_file(file, 0);
    assert_status(ask_kid(writer, 2, "two"), JWKS_PENDING);
    poll_cache(writer);
    reply_key(writer, 2, "two");
    poll_cache(writer);
    live(&siblings, 2000, 2, "two");
    assert_all(&siblings, 2, "two", JWT_OK);
    assert_int_equal(unlink(file), 0);
    write_file(file, &older);
    live(&siblings, 2000, 2, "two");
    assert_status(ask_kid(other, 2, "two"), JWT_OK);
    assert_true(ask_kid(other, 1, "one") != JWT_OK);
    free(file);
    end_siblings(&siblings);
}

/* A killed process leaves no lock behind. */
static void who_is_killed_while_it_fetches_holds_nobody_back(void **state)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct host *host = begin(*state, START);
        poll_cache(host);
        assert_int_equal(host->under_way, 1);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct host *host = begin(*state, START);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    close_host(host);
}

/* Killed at any moment between the answer and long after it was written: whoever comes next has a whole set, and never
 * an older one than was seen there before. */
static void no_accepted_set_is_lost_when_processes_are_killed(void **state)
{
    leave_keys(*state);
    char *file = issuer_file(*state, "keys"), *set = set_of(1, "one");
    int64_t now = START, seen = START;
    size_t kills = 0, written = 0;
    long unit = 50000; /* nanoseconds; longer while the machine is too busy for anything to be written */
    for (unsigned round = 0; round < 200; round++) {
        now += 10000;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct host *host = begin(*state, now);
            for (;;) {
                if (host->now >= now + 8000)
                    pause(); /* as late as the next one's clock allows */
                jwks_issuer_refresh(host->issuer);
                poll_cache(host);
                while (host->under_way > 0)
                    reply_with(host, 200, set, NULL, NULL);
                poll_cache(host);
                host->now += 1;
            }
        }
        struct timespec moment = { .tv_nsec = (long)(round * 7919 % 97) * unit };
        nanosleep(&moment, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        kills++;
        int64_t began;
        struct octets octets = read_file(file, 0);
        memcpy(&began, octets.data + 16, sizeof began);
        assert_true(began >= seen);
        written += began > seen;
        unit = began > seen ? 50000 : unit < 2000000 ? unit * 2 : unit;
        seen = began;
        assert_status(first_answer(*state, now + 9000), JWT_OK);
    }
    assert_int_equal(kills, 200);
    assert_true(written > 20);
    free(set);
    free(file);
}

/* ---- Directories that are refused */

static void assert_refused(const char *store, const char *user, const char *option, const char *sentence)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache *cache = NULL;
    options.store = store;
    options.store_user = user;
    assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, option);
    if (strstr(error.message, sentence) == NULL)
        fail_msg("%s", error.message);
    assert_null(cache);
}

static void bad_directories_are_refused_by_name(void **state)
{
    const char *path = *state;
    char *file = text("%s/file", path), *none = text("%s/none", path);
    fclose(fopen(file, "w"));
    assert_refused(none, NULL, "store", "no such directory");
    assert_refused(file, NULL, "store", "no such directory");
    assert_refused("", NULL, "store", "empty");
    assert_refused(path, "no such user", "store_user", "no user");
    assert_refused(path, "4294967295", "store_user", "no user");
    assert_refused(path, "-1", "store_user", "no user");
    assert_refused(NULL, "root", "store_user", "needs store");
    for (mode_t mode = 0720; mode <= 0722; mode += 1) {
        assert_int_equal(chmod(path, mode == 0721 ? 0702 : mode), 0);
        assert_refused(path, NULL, "store", "may write");
    }
    assert_int_equal(chmod(path, 0700), 0);
    free(none);
    free(file);
}

static void is_refused_to_a_stranger(const char *path)
{
    assert_refused(path, NULL, "store", "belongs neither");
}

static void cannot_be_written_by_a_stranger(const char *path)
{
    assert_refused(path, NULL, "store", "may not write");
}

static void is_taken_by_its_owner(const char *path)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = NULL;
    options.store = path;
    assert_status(jwks_cache_new(&options, &cache, NULL), JWT_OK);
    jwks_cache_release(cache);
}

static void the_owner_must_be_one_who_is_believed(void **state)
{
    const char *path = *state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(path, 0755), 0);
    as_user(65533, cannot_be_written_by_a_stranger, path); /* of root */
    assert_int_equal(chown(path, 65532, (gid_t)-1), 0);
    assert_refused(path, NULL, "store", "belongs neither"); /* to root, too */
    assert_refused(path, "65533", "store", "belongs neither");
    as_user(65533, is_refused_to_a_stranger, path);
    as_user(65532, is_taken_by_its_owner, path);

    /* A root master that prepares it for its workers. */
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = NULL;
    options.store = path;
    options.store_user = "65532";
    assert_status(jwks_cache_new(&options, &cache, NULL), JWT_OK);
    jwks_cache_release(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(a_restart_with_the_issuer_down_verifies_at_once),
        WITH_DIRECTORY(an_issuer_is_told_of_before_the_keys_that_the_store_has),
        WITH_DIRECTORY(what_is_older_than_the_hard_limit_is_not_served),
        WITH_DIRECTORY(the_next_refresh_asks_with_what_was_kept),
        WITH_DIRECTORY(the_newest_set_is_kept),
        WITH_DIRECTORY(keys_are_of_the_url_that_they_came_from),
        WITH_DIRECTORY(a_discovered_url_is_kept_and_checked_again),
        WITH_DIRECTORY(after_a_restart_of_the_machine_the_wall_clock_counts),
        WITH_DIRECTORY(what_comes_from_the_future_is_refused),
        WITH_DIRECTORY(no_file_lengthens_the_hard_limit),
        WITH_DIRECTORY(a_damaged_file_is_as_none),
        WITH_DIRECTORY(a_document_that_is_no_key_set_is_refused),
        WITH_DIRECTORY(what_must_be_signed_is_signed_in_the_store_too),
        WITH_DIRECTORY(links_and_files_of_others_are_not_read),
        WITH_DIRECTORY(what_cannot_be_written_stays_in_force_in_memory),
        WITH_DIRECTORY(one_fetch_is_for_all),
        WITH_DIRECTORY(eight_make_the_fetches_of_one),
        WITH_DIRECTORY(a_new_set_is_in_force_everywhere_within_a_second),
        WITH_DIRECTORY(traffic_at_all_has_what_it_has_at_one),
        WITH_DIRECTORY(who_stands_still_holds_back_for_the_lock_timeout),
        WITH_DIRECTORY(an_older_file_takes_nothing_away),
        WITH_DIRECTORY(who_is_killed_while_it_fetches_holds_nobody_back),
        WITH_DIRECTORY(no_accepted_set_is_lost_when_processes_are_killed),
        WITH_DIRECTORY(bad_directories_are_refused_by_name),
        WITH_DIRECTORY(the_owner_must_be_one_who_is_believed),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
