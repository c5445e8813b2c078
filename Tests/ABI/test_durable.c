/* Revocations in a store: they survive the process, whatever ends it, siblings share them, and what cannot be read
 * closes the issuer.
 *
 * With the argument "siblings" or "kills" only what those must find in a library that forgets to merge, or answers
 * before it has written. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A process that is lost ends by itself. */
enum { CHILD_TIME = 100 };

/* ---- A directory of the test's own */

struct home {
    char path[64];
    int descriptor;
};

static int make_home_in(void **state, const char *folder)
{
    struct home *home = calloc(1, sizeof *home);
    assert_non_null(home);
    snprintf(home->path, sizeof home->path, "%s/keyturn-durable.XXXXXX", folder);
    assert_non_null(mkdtemp(home->path));
    home->descriptor = open(home->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(home->descriptor >= 0);
    *state = home;
    return 0;
}

static int make_home(void **state)
{
    return make_home_in(state, "/tmp");
}

/* Where nothing waits for a disk, so that what comes at any moment does not mostly come in such a wait. */
static int make_home_in_memory(void **state)
{
    return make_home_in(state, access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
}

static int end_home(void **state)
{
    struct home *home = *state;
    close(home->descriptor);
    remove_tree(home->path);
    free(home);
    return 0;
}

#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, end_home)

/* The issuer's file that ends so: its name, static. */
static const char *file_of(const struct home *home, const char *ending)
{
    static char name[256];
    name[0] = '\0';
    DIR *list = opendir(home->path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        size_t length = strlen(entry->d_name), tail = strlen(ending);
        if (length > tail && strcmp(entry->d_name + length - tail, ending) == 0)
            strcpy(name, entry->d_name);
    }
    closedir(list);
    assert_true(name[0] != '\0');
    return name;
}

struct octets {
    size_t count;
    char octets[65536];
};

static struct octets file_read(const struct home *home, const char *name)
{
    struct octets file = { 0, { 0 } };
    int descriptor = openat(home->descriptor, name, O_RDONLY);
    assert_true(descriptor >= 0);
    ssize_t got = read(descriptor, file.octets, sizeof file.octets);
    assert_true(got > 0 && (size_t)got < sizeof file.octets);
    file.count = (size_t)got;
    close(descriptor);
    return file;
}

/* As a writer does it: another file in the place of the one that was there. */
static void file_replace(const struct home *home, const char *name, const void *octets, size_t count)
{
    int descriptor = openat(home->descriptor, "other", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, octets, count), count);
    close(descriptor);
    assert_int_equal(renameat(home->descriptor, "other", home->descriptor, name), 0);
}

/* ---- A process's view of it: an issuer whose key is pushed, and a clock that the test moves */

struct member {
    struct world world;
    int64_t steady;
    uint32_t next_ms;
};

static jwks_cache_options options_of(struct member *member, const struct home *home)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    member->world.now = NOW;
    member->steady = 1000000;
    options.clock = standing_clock;
    options.clock_context = &member->world.now;
    options.monotonic = standing_clock;
    options.monotonic_context = &member->steady;
    options.store = home->path;
    return options;
}

static struct member *join_with(const struct home *home, uint32_t max_revocations)
{
    struct member *member = calloc(1, sizeof *member);
    assert_non_null(member);
    jwks_cache_options options = options_of(member, home);
    options.max_revocations = max_revocations;
    assert_status(jwks_cache_new(&options, &member->world.cache, NULL), JWT_OK);
    member->world.issuer = add_issuer(member->world.cache, ISSUER);
    load_key(member->world.issuer, 1, "one");
    jwt_policy_options policy = good_options(&member->world);
    member->world.policy = new_policy(member->world.cache, &policy);
    assert_status(jwt_result_new(&member->world.result), JWT_OK);
    return member;
}

static struct member *join(const struct home *home)
{
    return join_with(home, 0);
}

static void leave(struct member *member)
{
    jwt_result_release(member->world.result);
    jwt_policy_release(member->world.policy);
    jwks_issuer_release(member->world.issuer);
    jwks_cache_release(member->world.cache);
    free(member);
}

/* A second goes by, in which it polls when the poll before said so. */
static void live_a_second(struct member *member)
{
    int64_t end = member->steady + 1000;
    while (member->steady + member->next_ms <= end) {
        member->steady += member->next_ms;
        assert_status(jwks_cache_poll(member->world.cache, &member->next_ms), JWT_OK);
        assert_in_range(member->next_ms, 1, 1000);
    }
    member->next_ms -= (uint32_t)(end - member->steady);
    member->steady = end;
}

static jwks_revocation of(struct member *member, jwks_revocation_kind kind, const char *value)
{
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    revocation.issuer = member->world.issuer;
    revocation.kind = kind;
    revocation.value = value;
    revocation.value_len = value ? strlen(value) : 0;
    return revocation;
}

static jwt_status revoke_jti(struct member *member, const char *jti)
{
    jwks_revocation revocation = of(member, JWKS_REVOKE_JTI, jti);
    return jwks_cache_revoke(member->world.cache, &revocation, NULL);
}

static jwt_status unrevoke_jti(struct member *member, const char *jti)
{
    jwks_revocation revocation = of(member, JWKS_REVOKE_JTI, jti);
    return jwks_cache_unrevoke(member->world.cache, &revocation, NULL);
}

/* Of a token that is good but for what is revoked. */
static jwt_status verdict(struct member *member, const char *jti)
{
    char *claims = text(CLAIMS_WITH("\"sub\":\"s\",\"iat\":1799999990,\"jti\":\"%s\""), jti);
    jwt_status status = verify_claims(&member->world, claims);
    free(claims);
    return status;
}

static jwks_revocation_list *listed(struct member *member)
{
    jwks_revocation_list *list = NULL;
    assert_status(jwks_issuer_revocations(member->world.issuer, &list), JWT_OK);
    return list;
}

static size_t count_of(struct member *member)
{
    jwks_revocation_list *list = listed(member);
    size_t count = jwks_revocation_list_count(list);
    jwks_revocation_list_release(list);
    return count;
}

/* ---- Processes */

/* The child's part ends in _exit with what it returns. */
#define IN_CHILD(pid, body)                                                                                  \
    do {                                                                                                     \
        pid = fork();                                                                                        \
        assert_true(pid >= 0);                                                                               \
        if (pid == 0) {                                                                                      \
            alarm(CHILD_TIME);                                                                               \
            _exit(body);                                                                                     \
        }                                                                                                    \
    } while (0)

static void assert_succeeds(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A sibling that does as it is told: an operation and a value go in, a number comes out. */
struct sibling {
    pid_t pid;
    int line;
};

enum operation { LIVE_A_SECOND, REVOKE, UNREVOKE, VERIFY, COUNTED };

struct order {
    enum operation operation;
    char value[32];
};

static uint32_t obey(struct member *member, const struct order *order)
{
    switch (order->operation) {
    case LIVE_A_SECOND:
        live_a_second(member);
        return 0;
    case REVOKE:
        return revoke_jti(member, order->value);
    case UNREVOKE:
        return unrevoke_jti(member, order->value);
    case VERIFY:
        return verdict(member, order->value);
    case COUNTED:
        return (uint32_t)count_of(member);
    }
    return UINT32_MAX;
}

static int serve(const struct home *home, int line)
{
    struct order order;
    struct member *member = join(home);
    while (read(line, &order, sizeof order) == sizeof order) {
        uint32_t answer = obey(member, &order);
        if (write(line, &answer, sizeof answer) != sizeof answer)
            return 1;
    }
    leave(member);
    return 0;
}

static struct sibling make_sibling(const struct home *home)
{
    struct sibling sibling;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    IN_CHILD(sibling.pid, (close(ends[0]), serve(home, ends[1])));
    close(ends[1]);
    sibling.line = ends[0];
    return sibling;
}

static uint32_t ask(struct sibling sibling, enum operation operation, const char *value)
{
    struct order order = { operation, "" };
    uint32_t answer;
    strcpy(order.value, value);
    assert_int_equal(write(sibling.line, &order, sizeof order), sizeof order);
    assert_int_equal(read(sibling.line, &answer, sizeof answer), sizeof answer);
    return answer;
}

static void end_sibling(struct sibling sibling)
{
    close(sibling.line);
    assert_succeeds(sibling.pid);
}

/* ---- Restarts */

static char *thumbprint(struct member *member)
{
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(member->world.issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, 0, &info), JWT_OK);
    char *copy = strndup(info.thumbprint.data, info.thumbprint.len);
    jwks_key_list_release(list);
    return copy;
}

/* Each of which refuses the token by itself. */
static const jwks_revocation_kind kinds[] = { JWKS_REVOKE_THUMBPRINT, JWKS_REVOKE_KID, JWKS_REVOKE_JTI,
                                              JWKS_REVOKE_SUBJECT, JWKS_REVOKE_ISSUED_BEFORE };

static int refuses_at_once(const struct home *home)
{
    struct member *member = join(home);
    int refuses = verdict(member, "j") != JWT_OK;
    leave(member);
    return refuses;
}

static void each_kind_survives_the_process(void **state)
{
    const struct home *home = *state;
    pid_t child;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct member *member = join(home);
        char *key = thumbprint(member);
        const char *const values[] = { key, "one", "j", "s", NULL };
        jwks_revocation revocation = of(member, kinds[i], values[i]);
        revocation.issued_before = kinds[i] == JWKS_REVOKE_ISSUED_BEFORE ? NOW : 0;
        assert_status(verdict(member, "j"), JWT_OK);
        assert_status(jwks_cache_revoke(member->world.cache, &revocation, NULL), JWT_OK);
        leave(member);
        assert_true(refuses_at_once(home));
        IN_CHILD(child, refuses_at_once(home) ? 0 : 1);
        assert_succeeds(child);
        member = join(home);
        revocation.issuer = member->world.issuer;
        assert_status(jwks_cache_unrevoke(member->world.cache, &revocation, NULL), JWT_OK);
        leave(member);
        assert_false(refuses_at_once(home));
        free(key);
    }
}

static void an_end_survives_too_and_what_is_over_is_left_out(void **state)
{
    const struct home *home = *state;
    struct member *member = join(home);
    jwks_revocation ending = of(member, JWKS_REVOKE_JTI, "ending");
    ending.until = NOW + 10;
    assert_status(jwks_cache_revoke(member->world.cache, &ending, NULL), JWT_OK);
    leave(member);
    member = join(home);
    assert_status(verdict(member, "ending"), JWT_REVOKED);
    size_t long_size = file_read(home, file_of(home, ".revoked")).count;
    member->world.now = NOW + 10;
    assert_status(verdict(member, "ending"), JWT_OK);
    assert_status(revoke_jti(member, "other!"), JWT_OK);
    assert_int_equal(file_read(home, file_of(home, ".revoked")).count, long_size);
    leave(member);
}

static void a_host_without_the_time_forgets_nothing(void **state)
{
    struct member *member = join(*state);
    jwks_revocation ending = of(member, JWKS_REVOKE_JTI, "ending");
    ending.until = NOW + 10;
    assert_status(jwks_cache_revoke(member->world.cache, &ending, NULL), JWT_OK);
    member->world.now = INT64_MAX;
    assert_status(revoke_jti(member, "other"), JWT_OK);
    leave(member);
    member = join(*state);
    assert_int_equal(count_of(member), 2);
    leave(member);
}

static void an_issuer_that_is_removed_and_added_again_has_its_revocations(void **state)
{
    struct member *member = join(*state);
    assert_status(revoke_jti(member, "j"), JWT_OK);
    assert_status(jwks_issuer_remove(member->world.issuer), JWT_OK);
    jwks_issuer *again = add_issuer(member->world.cache, ISSUER);
    jwks_issuer_release(member->world.issuer);
    member->world.issuer = again;
    assert_int_equal(count_of(member), 1);
    leave(member);
}

static void issuers_have_their_own(void **state)
{
    struct member *member = join(*state);
    assert_status(revoke_jti(member, "j"), JWT_OK);
    jwks_issuer *first = member->world.issuer;
    member->world.issuer = add_issuer(member->world.cache, "https://second.example");
    assert_int_equal(count_of(member), 0);
    assert_status(revoke_jti(member, "k"), JWT_OK);
    jwks_issuer_release(first);
    leave(member);
    member = join(*state);
    assert_int_equal(count_of(member), 1);
    assert_status(verdict(member, "j"), JWT_REVOKED);
    leave(member);
}

/* ---- Siblings */

static void a_sibling_obeys_within_a_second(void **state)
{
    const struct home *home = *state;
    struct sibling sibling = make_sibling(home);
    struct member *member = join(home);
    ask(sibling, LIVE_A_SECOND, "");
    for (int i = 0; i < 20; i++) {
        char value[16];
        snprintf(value, sizeof value, "token %d", i);
        assert_status(ask(sibling, VERIFY, value), JWT_OK);
        assert_status(revoke_jti(member, value), JWT_OK);
        ask(sibling, LIVE_A_SECOND, "");
        if (ask(sibling, VERIFY, value) != JWT_REVOKED)
            fail_msg("a sibling accepts what is revoked");
        assert_status(unrevoke_jti(member, value), JWT_OK);
        ask(sibling, LIVE_A_SECOND, "");
        assert_status(ask(sibling, VERIFY, value), JWT_OK);
    }
    leave(member);
    end_sibling(sibling);
}

static void siblings_take_back_what_others_revoked(void **state)
{
    const struct home *home = *state;
    struct sibling sibling = make_sibling(home);
    struct member *member = join(home);
    assert_status(ask(sibling, REVOKE, "theirs"), JWT_OK);
    assert_status(verdict(member, "theirs"), JWT_OK); /* not heard of yet */
    assert_status(unrevoke_jti(member, "theirs"), JWT_OK);
    assert_status(unrevoke_jti(member, "theirs"), JWKS_NOT_FOUND);
    assert_status(ask(sibling, UNREVOKE, "theirs"), JWKS_NOT_FOUND);
    assert_status(ask(sibling, VERIFY, "theirs"), JWT_OK);
    assert_status(ask(sibling, REVOKE, "again"), JWT_OK);
    assert_status(revoke_jti(member, "mine"), JWT_OK); /* learns of the other by that */
    assert_status(verdict(member, "again"), JWT_REVOKED);
    assert_int_equal(count_of(member), 2);
    leave(member);
    end_sibling(sibling);
}

enum { EACH = 200 };

static int revoke_many(const struct home *home, const char *prefix, int gate)
{
    struct member *member = join(home);
    char octet, value[32];
    if (read(gate, &octet, 1) != 0) /* until the other end is closed */
        return 2;
    for (int i = 0; i < EACH; i++) {
        snprintf(value, sizeof value, "%s %d", prefix, i);
        jwt_status status = revoke_jti(member, value);
        if (status != JWT_OK)
            return 3;
    }
    leave(member);
    return 0;
}

static void two_that_revoke_at_once_lose_nothing(void **state)
{
    const struct home *home = *state;
    pid_t children[2];
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < 2; i++)
        IN_CHILD(children[i], (close(gate[1]), revoke_many(home, i ? "one" : "other", gate[0])));
    close(gate[0]);
    close(gate[1]);
    assert_succeeds(children[0]);
    assert_succeeds(children[1]);
    struct member *member = join(home);
    size_t count = count_of(member);
    if (count != 2 * EACH)
        fail_msg("of %d revocations %zu are left", 2 * EACH, count);
    leave(member);
}

static void *revoke_in_thread(void *context)
{
    struct member *member = ((void **)context)[0];
    const char *prefix = ((void **)context)[1];
    char value[32];
    for (int i = 0; i < EACH / 4; i++) {
        snprintf(value, sizeof value, "%s %d", prefix, i);
        if (revoke_jti(member, value) != JWT_OK || verdict(member, value) == JWT_OK)
            return member;
    }
    return NULL;
}

static void threads_of_one_process_lose_nothing(void **state)
{
    const struct home *home = *state;
    struct member *member = join(home), *views[3] = { join(home), join(home), join(home) };
    pthread_t threads[3];
    void *strange, *contexts[3][2];
    static const char *const prefixes[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++) { /* each has its own result, all share the store */
        contexts[i][0] = views[i];
        contexts[i][1] = (void *)(uintptr_t)prefixes[i];
        assert_int_equal(pthread_create(&threads[i], NULL, revoke_in_thread, contexts[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &strange), 0);
        assert_null(strange);
        leave(views[i]);
    }
    leave(member);
    member = join(home);
    assert_int_equal(count_of(member), 3 * (EACH / 4));
    leave(member);
}

/* ---- Ends at any moment */

enum { KILLS = 300, MOST_PER_LIFE = 4096 };

/* Value i is revoked, and taken back again if i is odd; each call that has succeeded is told. */
static int revoke_until_killed(const struct home *home, int life, int line)
{
    struct member *member = join(home);
    char value[32];
    for (uint32_t step = 0; step < MOST_PER_LIFE; step++) {
        uint32_t number = step / 3 * 2 + (step % 3 != 0);
        snprintf(value, sizeof value, "%d %u", life, (unsigned)number);
        jwt_status status = step % 3 == 2 ? unrevoke_jti(member, value) : revoke_jti(member, value);
        if (status != JWT_OK || write(line, &step, sizeof step) != sizeof step)
            return 1;
    }
    return 0;
}

/* Steps 3n: revoke 2n. 3n+1: revoke 2n+1. 3n+2: take 2n+1 back. Step `done` may have happened, or not. */
static void assert_kept(struct member *member, int life, uint32_t done)
{
    char value[32];
    for (uint32_t number = 0; number <= done / 3 * 2 + 1; number++) {
        uint32_t begins = number / 2 * 3 + number % 2, ends = number % 2 ? begins + 1 : UINT32_MAX;
        snprintf(value, sizeof value, "%d %u", life, (unsigned)number);
        jwt_status status = verdict(member, value);
        if (begins < done && (ends == UINT32_MAX || done < ends) && status != JWT_REVOKED)
            fail_msg("what was revoked before the kill is accepted: life %d, number %u", life,
                     (unsigned)number);
        if (ends < done && status != JWT_OK)
            fail_msg("what was taken back before the kill is refused: life %d, number %u", life,
                     (unsigned)number);
    }
}

static void nothing_that_was_answered_is_lost_by_a_kill(void **state)
{
    const struct home *home = *state;
    const char *share = getenv("KEYTURN_TEST_SHARE");
    int lives = KILLS / (share ? atoi(share) : 1);
    uint32_t steps = 0;
    for (int life = 0; life < lives; life++) {
        int line[2], status;
        pid_t child;
        uint32_t step, done = 0;
        assert_int_equal(pipe(line), 0);
        IN_CHILD(child, (close(line[0]), revoke_until_killed(home, life, line[1])));
        close(line[1]);
        for (int wanted = life % 7; wanted > 0 && read(line[0], &step, sizeof step) == sizeof step; wanted--)
            done = step + 1;
        for (volatile int spin = life * 7919 % 200000; spin > 0; spin--) /* into the midst of a step */
            continue;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read(line[0], &step, sizeof step) == sizeof step)
            done = step + 1;
        close(line[0]);
        struct member *member = join(home);
        assert_kept(member, life, done);
        leave(member);
        steps += done;
    }
    assert_true(steps >= (uint32_t)lives); /* the kills came in the midst of something */
}

static atomic_int stop;

static void *revoke_forever(void *context)
{
    char value[32];
    for (int i = 0; !atomic_load(&stop); i++) {
        snprintf(value, sizeof value, "token %d", i % 50);
        if (revoke_jti(context, value) != JWT_OK)
            return context;
    }
    return NULL;
}

/* Its children, which outlive it, were made in the midst of a change. */
static int fork_and_be_killed(const struct home *home, int line)
{
    pthread_t thread;
    struct member *member = join(home);
    if (pthread_create(&thread, NULL, revoke_forever, member) != 0)
        return 1;
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) {
            char octet;
            alarm(CHILD_TIME);
            _exit((int)read(line, &octet, 1)); /* until the test lets go of the other end */
        }
        if (child < 0)
            return 1;
    }
    raise(SIGKILL);
    return 1;
}

static void a_forked_child_holds_no_lock_of_its_dead_parent(void **state)
{
    const struct home *home = *state;
    for (int i = 0; i < 10; i++) {
        int line[2], status;
        pid_t child;
        assert_int_equal(pipe(line), 0);
        IN_CHILD(child, (close(line[1]), fork_and_be_killed(home, line[0])));
        close(line[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        struct member *member = join(home);
        assert_status(revoke_jti(member, "after"), JWT_OK);
        leave(member);
        close(line[1]);
    }
}

/* ---- What cannot be written */

/* No file may grow: what a full disk answers, but for its number. */
static void fill_disk(int is_full)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = is_full ? 0 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_cannot_be_written_holds_in_memory_and_is_told(void **state)
{
    const struct home *home = *state;
    jwks_error error = JWKS_ERROR_INIT;
    signal(SIGXFSZ, SIG_IGN);
    struct sibling sibling = make_sibling(home);
    struct member *member = join(home);
    assert_status(revoke_jti(member, "first"), JWT_OK);
    fill_disk(1);
    jwks_revocation revocation = of(member, JWKS_REVOKE_JTI, "second");
    jwt_status status = jwks_cache_revoke(member->world.cache, &revocation, &error);
    jwt_status undone = unrevoke_jti(member, "first");
    fill_disk(0);
    assert_status(status, JWKS_NOT_DURABLE);
    assert_true(strlen(error.message) > 0);
    assert_status(undone, JWKS_NOT_DURABLE);
    assert_status(verdict(member, "second"), JWT_REVOKED);
    assert_status(verdict(member, "first"), JWT_OK);
    struct member *other = join(home); /* the file is as it was */
    assert_status(verdict(other, "second"), JWT_OK);
    assert_status(verdict(other, "first"), JWT_REVOKED);
    leave(other);

    /* What siblings change does not take it away; the next change that can be written takes it along. */
    assert_status(ask(sibling, REVOKE, "third"), JWT_OK);
    live_a_second(member);
    assert_status(verdict(member, "third"), JWT_REVOKED);
    assert_status(verdict(member, "second"), JWT_REVOKED);
    assert_status(revoke_jti(member, "fourth"), JWT_OK);
    leave(member);
    member = join(home);
    assert_status(verdict(member, "second"), JWT_REVOKED);
    assert_status(verdict(member, "fourth"), JWT_REVOKED);
    leave(member);
    end_sibling(sibling);
}

static int revoke_where_nothing_can_be_made(const struct home *home)
{
    if (geteuid() == 0 && (fchown(home->descriptor, 65534, 65534) != 0 || seteuid(65534) != 0))
        return 1;
    struct member *member = join(home);
    jwt_status first = revoke_jti(member, "first");
    fchmod(home->descriptor, 0555);
    jwt_status second = revoke_jti(member, "second");
    int is_in_force = verdict(member, "second") == JWT_REVOKED;
    fchmod(home->descriptor, 0755);
    jwt_status again = revoke_jti(member, "second");
    leave(member);
    return first == JWT_OK && second == JWKS_NOT_DURABLE && is_in_force && again == JWT_OK ? 0 : 2;
}

static void a_directory_that_became_read_only_is_told(void **state)
{
    pid_t child;
    IN_CHILD(child, revoke_where_nothing_can_be_made(*state));
    assert_succeeds(child);
}

static void a_lock_that_is_not_let_go_of_is_waited_for_and_no_longer(void **state)
{
    const struct home *home = *state;
    struct member *member = join(home);
    struct timespec begin, end;
    assert_status(revoke_jti(member, "first"), JWT_OK);
    int lock = openat(home->descriptor, file_of(home, ".revoking"), O_RDWR | O_CLOEXEC);
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    assert_int_equal(fcntl(lock, F_OFD_SETLK, &all), 0);
    clock_gettime(CLOCK_BOOTTIME, &begin);
    assert_status(revoke_jti(member, "second"), JWKS_NOT_DURABLE);
    clock_gettime(CLOCK_BOOTTIME, &end);
    assert_true(end.tv_sec - begin.tv_sec < 15);
    assert_status(verdict(member, "second"), JWT_REVOKED);
    close(lock);
    assert_status(revoke_jti(member, "second"), JWT_OK);
    leave(member);
}

/* ---- What cannot be read */

static jwt_status verdict_of_new(const struct home *home)
{
    struct member *member = join(home);
    jwt_status status = verdict(member, "good");
    leave(member);
    return status;
}

static void every_damage_closes_the_issuer(void **state)
{
    const struct home *home = *state;
    struct member *member = join(home);
    assert_status(revoke_jti(member, "j"), JWT_OK);
    leave(member);
    char *name = strdup(file_of(home, ".revoked"));
    struct octets whole = file_read(home, name);
    assert_status(verdict_of_new(home), JWT_OK);
    for (size_t place = 0; place < whole.count; place++) {
        whole.octets[place] ^= 1;
        file_replace(home, name, whole.octets, whole.count);
        assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);
        whole.octets[place] ^= 1;
        file_replace(home, name, whole.octets, place);
        assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);
    }
    file_replace(home, name, whole.octets, whole.count + 1);
    assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);
    file_replace(home, name, whole.octets, whole.count);
    assert_int_equal(fchmodat(home->descriptor, name, 0666, 0), 0);
    assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);
    file_replace(home, "good", whole.octets, whole.count);
    unlinkat(home->descriptor, name, 0);
    assert_int_equal(symlinkat("good", home->descriptor, name), 0);
    assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);
    unlinkat(home->descriptor, name, 0);
    assert_int_equal(mkdirat(home->descriptor, name, 0755), 0);
    assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);
    unlinkat(home->descriptor, name, AT_REMOVEDIR);
    file_replace(home, name, whole.octets, whole.count);
    assert_status(verdict_of_new(home), JWT_OK);
    free(name);
}

static void a_file_of_another_issuer_closes_it(void **state)
{
    const struct home *home = *state;
    struct member *member = join(home);
    assert_status(revoke_jti(member, "j"), JWT_OK);
    char *name = strdup(file_of(home, ".revoked"));
    assert_int_equal(unlinkat(home->descriptor, name, 0), 0);
    jwks_issuer *first = member->world.issuer;
    member->world.issuer = add_issuer(member->world.cache, "https://second.example");
    assert_status(revoke_jti(member, "k"), JWT_OK);
    jwks_issuer_release(first);
    leave(member);
    struct octets other = file_read(home, file_of(home, ".revoked"));
    file_replace(home, name, other.octets, other.count);
    assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);
    free(name);
}

static void a_file_that_is_gone_closes_the_issuer_until_an_operator_accepts_it(void **state)
{
    const struct home *home = *state;
    struct member *running = join(home);
    assert_status(revoke_jti(running, "j"), JWT_OK);
    live_a_second(running);
    char *name = strdup(file_of(home, ".revoked"));
    struct octets whole = file_read(home, name);
    assert_int_equal(unlinkat(home->descriptor, name, 0), 0);
    assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);
    live_a_second(running);
    assert_status(verdict(running, "good"), JWKS_KEYS_UNAVAILABLE);
    assert_status(verdict(running, "j"), JWKS_KEYS_UNAVAILABLE);

    /* What is revoked meanwhile holds, and is not durable: writing it would hide the loss. */
    assert_status(revoke_jti(running, "k"), JWKS_NOT_DURABLE);
    assert_status(verdict_of_new(home), JWKS_KEYS_UNAVAILABLE);

    /* The file comes back. */
    file_replace(home, name, whole.octets, whole.count);
    live_a_second(running);
    assert_status(verdict(running, "good"), JWT_OK);
    assert_status(verdict(running, "j"), JWT_REVOKED);
    assert_status(verdict(running, "k"), JWT_REVOKED);

    /* Or it does not, and what was in it is given up, but by those who know it. */
    assert_int_equal(unlinkat(home->descriptor, name, 0), 0);
    assert_int_equal(unlinkat(home->descriptor, file_of(home, ".revoking"), 0), 0);
    assert_status(verdict_of_new(home), JWT_OK);
    live_a_second(running);
    assert_status(verdict(running, "good"), JWT_OK);
    assert_status(verdict(running, "j"), JWT_REVOKED);
    assert_status(revoke_jti(running, "l"), JWT_OK);
    struct member *member = join(home);
    assert_int_equal(count_of(member), 3);
    leave(member);
    leave(running);
    free(name);
}

static void more_than_the_maximum_is_told_when_the_issuer_is_added(void **state)
{
    const struct home *home = *state;
    struct member *member = join(home), *small = join_with(home, 3);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = NULL;
    jwks_error error = JWKS_ERROR_INIT;
    for (const char *const *value = (const char *const[]){ "a", "b", "c", "d", NULL }; *value; value++)
        assert_status(revoke_jti(member, *value), JWT_OK);
    live_a_second(small);
    assert_status(verdict(small, "good"), JWKS_KEYS_UNAVAILABLE);
    assert_status(revoke_jti(small, "e"), JWKS_NOT_DURABLE);
    assert_status(unrevoke_jti(member, "a"), JWT_OK);
    assert_status(unrevoke_jti(member, "b"), JWT_OK);
    live_a_second(small);
    assert_status(verdict(small, "good"), JWT_OK);
    assert_status(verdict(small, "e"), JWT_REVOKED);
    assert_status(revoke_jti(member, "f"), JWT_OK);
    assert_status(revoke_jti(small, "g"), JWKS_FULL);
    assert_status(verdict(small, "g"), JWT_OK);
    assert_status(revoke_jti(member, "a"), JWT_OK);
    leave(small);
    jwks_cache_options few = options_of(member, home);
    jwks_cache *cache = NULL;
    few.max_revocations = 3;
    options.issuer = ISSUER;
    assert_status(jwks_cache_new(&few, &cache, NULL), JWT_OK);
    assert_status(jwks_cache_add_issuer(cache, &options, &issuer, &error), JWKS_FULL);
    assert_null(issuer);
    assert_string_equal(error.option, "max_revocations");
    jwks_cache_release(cache);
    leave(member);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest siblings[] = {
        WITH_HOME(a_sibling_obeys_within_a_second),
        WITH_HOME(two_that_revoke_at_once_lose_nothing),
    };
    const struct CMUnitTest kills[] = {
        cmocka_unit_test_setup_teardown(nothing_that_was_answered_is_lost_by_a_kill, make_home_in_memory,
                                        end_home),
    };
    const struct CMUnitTest tests[] = {
        WITH_HOME(each_kind_survives_the_process),
        WITH_HOME(an_end_survives_too_and_what_is_over_is_left_out),
        WITH_HOME(a_host_without_the_time_forgets_nothing),
        WITH_HOME(an_issuer_that_is_removed_and_added_again_has_its_revocations),
        WITH_HOME(issuers_have_their_own),
        WITH_HOME(siblings_take_back_what_others_revoked),
        WITH_HOME(threads_of_one_process_lose_nothing),
        WITH_HOME(a_forked_child_holds_no_lock_of_its_dead_parent),
        WITH_HOME(what_cannot_be_written_holds_in_memory_and_is_told),
        WITH_HOME(a_directory_that_became_read_only_is_told),
        WITH_HOME(a_lock_that_is_not_let_go_of_is_waited_for_and_no_longer),
        WITH_HOME(every_damage_closes_the_issuer),
        WITH_HOME(a_file_of_another_issuer_closes_it),
        WITH_HOME(a_file_that_is_gone_closes_the_issuer_until_an_operator_accepts_it),
        WITH_HOME(more_than_the_maximum_is_told_when_the_issuer_is_added),
    };
    const char *only = argc < 2 ? "" : argv[1];
    int failed = 0;
    if (strcmp(only, "kills") != 0)
        failed += cmocka_run_group_tests_name("durable siblings", siblings, NULL, NULL);
    if (strcmp(only, "siblings") != 0)
        failed += cmocka_run_group_tests_name("durable kills", kills, NULL, NULL);
    return *only ? failed : failed + cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
