/* Changes that the system tells at once. The clock of the caches stands still, so that no look of theirs ever comes due:
 * what they see all the same they were told of. */
#include "namespace.h"
#include "staging.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START INT64_C(1000000)

static void end(struct host *host)
{
    jwks_cache_stop(host->cache);
    close_host(host);
}

/* ---- What others do in the store: a host that is polled, whose clock is behind */

static struct host *writer_of(const char *path)
{
    struct host *writer = host_with_store(path, START);
    serve(writer);
    return writer;
}

static void write_key(struct host *writer, unsigned key, const char *kid)
{
    writer->now += HOUR;
    poll_cache(writer);
    assert_int_equal(writer->under_way, 1);
    reply_key(writer, key, kid);
    poll_cache(writer);
    assert_status(ask_kid(writer, key, kid), JWT_OK);
}

static void await_status(struct host *host, unsigned key, const char *kid, jwt_status status)
{
    int64_t latest = real_time() + 20000;
    while (ask_kid(host, key, kid) != status && real_time() < latest)
        usleep(1000);
    assert_status(ask_kid(host, key, kid), status);
}

/* A reader with a thread, in whose time nothing happens. */
static struct host *start(struct host *host)
{
    host->now = START + 20 * HOUR;
    assert_status(jwks_cache_start(host->cache, NULL), JWT_OK);
    return host;
}

static struct host *started_reader(const char *path)
{
    return start(with_issuer(reader_of(path, NULL, START)));
}

/* ---- What is told */

static void a_new_set_and_a_revocation_are_told_at_once(void **state)
{
    struct host *writer = writer_of(*state), *reader = started_reader(*state);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    for (unsigned key = 2; key < 5; key++) {
        write_key(writer, key, "next");
        await_kid(reader, key, "next");
    }
    assert_status(revoke_kid(writer, "next"), JWT_OK);
    await_status(reader, 4, "next", JWT_KEY_REVOKED);
    end(reader);
    end(writer);
}

/* Key 1 as "one", and no more that traffic may have. */
static struct host *spent_agent(const char *path)
{
    struct host *agent = agent_of(path, START + 20 * HOUR);
    serve(agent);
    for (int i = 0; i < 2; i++) {
        assert_status(ask_kid(agent, 2, i ? "a" : "b"), JWKS_PENDING);
        poll_cache(agent);
        reply_key(agent, 1, "one");
        poll_cache(agent);
    }
    assert_status(ask_kid(agent, 2, "c"), JWT_KEY_NOT_FOUND);
    return agent;
}

static void an_agents_refusal_is_told_at_once(void **state)
{
    struct host *agent = spent_agent(*state),
                *reader = start(with_issuer(reader_of(*state, NULL, START + 20 * HOUR)));
    int64_t latest = real_time() + 20000;
    while (ask_kid(reader, 2, "two") == JWKS_PENDING && real_time() < latest)
        poll_cache(agent);
    assert_status(ask_kid(reader, 2, "two"), JWT_KEY_NOT_FOUND);
    assert_int_equal(agent->starts, 3);
    end(reader);
    end(agent);
}

static void in_folder(char *path, const char *folder, const char *name)
{
    assert_in_range(snprintf(path, 128, "%s/%s", folder, name), 1, 127);
}

static void write_set(const char *path, unsigned key, const char *kid)
{
    char *set = set_of(key, kid);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(set, file) >= 0);
    assert_int_equal(fclose(file), 0);
    free(set);
}

/* Whose keys stand in this file, at which it looks each hour. */
static struct host *started_with_file(const char *path)
{
    struct host *host = host_with_store(NULL, START);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = ISSUER;
    options.file = path;
    options.file_check_ms = (uint32_t)HOUR;
    add(host, &options);
    return start(host);
}

static void a_file_is_told_of_however_it_is_written(void **state)
{
    char path[128], new[128];
    in_folder(path, *state, "jwks");
    in_folder(new, *state, "new");
    write_set(path, 1, "one");
    struct host *host = started_with_file(path);
    write_set(path, 2, "in place");
    await_kid(host, 2, "in place");
    write_set(new, 3, "replaced");
    assert_int_equal(rename(new, path), 0);
    await_kid(host, 3, "replaced");
    assert_int_equal(unlink(path), 0);
    write_set(new, 4, "linked");
    assert_int_equal(link(new, path), 0);
    await_kid(host, 4, "linked");
    end(host);
}

/* "current", a link, leads to a folder of a mounted volume, in which "..data" is a link that is swapped. */
static void a_link_that_is_swapped_is_told_wherever_it_stands(void **state)
{
    static const char *const folders[] = { "volume", "volume/first", "volume/second", "other" };
    char path[128], new[128], at[128];
    for (size_t i = 0; i < 4; i++) {
        in_folder(path, *state, folders[i]);
        assert_int_equal(mkdir(path, 0755), 0);
        in_folder(at, path, "jwks");
        write_set(at, (unsigned)i + 1, folders[i]);
    }
    in_folder(at, *state, "volume/jwks");
    unlink(at);
    assert_int_equal(symlink("..data/jwks", at), 0);
    in_folder(at, *state, "volume/..data");
    assert_int_equal(symlink("first", at), 0);
    in_folder(path, *state, "current");
    assert_int_equal(symlink("./volume", path), 0);
    in_folder(at, *state, "current/jwks");
    struct host *host = started_with_file(at);
    assert_status(ask_kid(host, 2, "volume/first"), JWT_OK);

    in_folder(new, *state, "volume/..new");
    assert_int_equal(symlink("second", new), 0);
    in_folder(at, *state, "volume/..data");
    assert_int_equal(rename(new, at), 0);
    await_kid(host, 3, "volume/second");
    in_folder(at, *state, "volume/second/jwks"); /* which it has not watched before */
    write_set(at, 1, "again");
    await_kid(host, 1, "again");

    in_folder(new, *state, "other");
    in_folder(at, *state, "elsewhere");
    assert_int_equal(symlink(new, at), 0);
    assert_int_equal(rename(at, path), 0);
    await_kid(host, 4, "other");
    end(host);
    for (size_t i = 4; i-- > 0;) {
        in_folder(path, *state, folders[i]);
        in_folder(at, path, "jwks");
        unlink(at);
        in_folder(at, path, "..data");
        unlink(at);
        assert_int_equal(rmdir(path), 0);
    }
}

/* The other would take what one of them is told. */
static void a_forked_child_is_told_for_itself(void **state)
{
    struct host *writer = writer_of(*state), *reader = started_reader(*state);
    int line[2];
    char octet = 0;
    assert_int_equal(pipe(line), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        start(reader);
        if (write(line[1], &octet, 1) != 1)
            _exit(1);
        await_kid(reader, 4, "end");
        _exit(0);
    }
    assert_int_equal(read(line[0], &octet, 1), 1);
    for (unsigned key = 2; key < 5; key++) {
        write_key(writer, key, key == 4 ? "end" : "next");
        await_kid(reader, key, key == 4 ? "end" : "next");
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(line[0]);
    close(line[1]);
    end(reader);
    end(writer);
}

/* ---- Too much of it */

/* So many changes that tell nothing. */
static void make_noise(const char *path, size_t changes)
{
    char one[128], other[128];
    in_folder(one, path, "noise");
    in_folder(other, path, "more");
    write_set(one, 1, "noise");
    for (size_t i = 0; i < changes; i++)
        assert_int_equal(i & 1 ? rename(other, one) : rename(one, other), 0);
}

/* How often the thread has gone to sleep. */
static long pauses_of_thread(void)
{
    long pauses = -1;
    for (long task = getpid(); task < getpid() + 100000 && pauses < 0; task++) {
        char path[64], line[128];
        int is_ours = 0;
        snprintf(path, sizeof path, "/proc/self/task/%ld/status", task);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) {
            is_ours |= strcmp(line, "Name:\tkeyturn\n") == 0;
            if (is_ours)
                sscanf(line, "voluntary_ctxt_switches: %ld", &pauses);
        }
        if (file)
            fclose(file);
    }
    assert_true(pauses >= 0);
    return pauses;
}

static void who_writes_without_end_does_not_keep_it_busy(void **state)
{
    struct host *writer = writer_of(*state), *reader = started_reader(*state);
    long before = pauses_of_thread();
    int64_t begun = real_time(), took;
    size_t changes = 0;
    for (; (took = real_time() - begun) < 1000; changes += 1000)
        make_noise(*state, 1000);
    /* It is told once in 50 ms, sleeps twice for that, and now and then waits for a lock. */
    assert_in_range(pauses_of_thread() - before, took / 500, took / 10);
    assert_true(changes >= 2000);
    write_key(writer, 2, "two");
    await_kid(reader, 2, "two");
    end(reader);
    end(writer);
}

static int line_to_fetcher[2], line_from_fetcher[2];

static void hang(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    char octet = 0;
    lock_stage();
    start_fetch(context, fetch, request);
    unlock_stage();
    assert_int_equal(write(line_from_fetcher[1], &octet, 1), 1);
    assert_int_equal(read(line_to_fetcher[0], &octet, 1), 1);
}

/* The thread is held up while more happens than the system keeps for it; what it missed it looks for. */
static void what_the_system_drops_is_not_missed(void **state)
{
    struct host *writer = writer_of(*state), *host = host_with_store(NULL, START + 20 * HOUR);
    static const jwks_fetcher fetcher = { sizeof fetcher, hang, cancel_fetch, NULL };
    jwks_fetcher hanging = fetcher;
    jwks_cache_options options = stage_options(host);
    char octet = 0;
    hanging.context = host;
    options.fetcher = &hanging;
    options.monotonic = standing_clock;
    options.monotonic_context = &host->now;
    options.store = *state;
    assert_int_equal(pipe(line_to_fetcher), 0);
    assert_int_equal(pipe(line_from_fetcher), 0);
    use_cache(host, &options);
    with_issuer(host);
    assert_status(jwks_cache_start(host->cache, NULL), JWT_OK);
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
    assert_int_equal(read(line_from_fetcher[0], &octet, 1), 1);
    make_noise(*state, 40000); /* fs.inotify.max_queued_events: 16,384, each of a kind of its own */
    assert_status(revoke_kid(writer, "one"), JWT_OK);
    assert_int_equal(write(line_to_fetcher[1], &octet, 1), 1);
    await_status(host, 1, "one", JWT_KEY_REVOKED);
    answer_failure(host);
    end(host);
    for (size_t i = 0; i < 2; i++) {
        close(line_to_fetcher[i]);
        close(line_from_fetcher[i]);
    }
    end(writer);
}

/* ---- Where the system tells nothing */

static void await_event(struct host *host, jwks_event_kind kind, uint32_t reason)
{
    jwks_event event = JWKS_EVENT_INIT;
    int64_t latest = real_time() + 20000;
    int is_told = 0;
    while (!is_told && real_time() < latest)
        if (jwks_event_next(host->cache, &event))
            is_told = event.kind == kind && event.reason == reason;
        else
            usleep(1000);
    assert_true(is_told);
}

static void look_each_second(const char *path)
{
    write_line("/proc/sys/user/max_inotify_instances", "0");
    struct host *writer = writer_of(path), *reader = started_reader(path);
    await_event(reader, JWKS_EVENT_UNWATCHED, JWKS_STORE_EXHAUSTED);
    write_key(writer, 2, "two");
    usleep(300000); /* nothing comes, however long: this only gives a fault its chance */
    assert_true(ask_kid(reader, 2, "two") != JWT_OK);
    reader->now += 1000;
    await_kid(reader, 2, "two");

    write_line("/proc/sys/user/max_inotify_instances", "100");
    await_event(reader, JWKS_EVENT_STORE_SOUND, JWKS_EVENT_UNWATCHED);
    write_key(writer, 3, "three");
    await_kid(reader, 3, "three");
    end(reader);
    end(writer);
}

static void without_it_each_look_comes_in_its_time(void **state)
{
    in_namespace(look_each_second, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(a_new_set_and_a_revocation_are_told_at_once),
        WITH_DIRECTORY(an_agents_refusal_is_told_at_once),
        WITH_DIRECTORY(a_file_is_told_of_however_it_is_written),
        WITH_DIRECTORY(a_link_that_is_swapped_is_told_wherever_it_stands),
        WITH_DIRECTORY(a_forked_child_is_told_for_itself),
        WITH_DIRECTORY(who_writes_without_end_does_not_keep_it_busy),
        WITH_DIRECTORY(what_the_system_drops_is_not_missed),
        WITH_DIRECTORY(without_it_each_look_comes_in_its_time),
    };
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
