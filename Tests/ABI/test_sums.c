/* What the processes of a store have counted, all together: added up once, and never less, whatever becomes of them. */
#include "fetching.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START INT64_C(1000000)

/* ---- Hosts that share a store: a cache is to another what a process is to another */

static struct host *begin(const char *path)
{
    struct host *host = host_with_store(path, START);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = ISSUER;
    add(host, &options);
    load_key(host->issuer, 1, "one");
    return host;
}

/* So many tokens that are accepted. */
static void use_up_to(struct host *host, int count, int64_t exp)
{
    char *claims = text("{" ISS "," AUD ",\"exp\":%lld}", (long long)exp);
    char *token = mint(1, GOOD_HEADER, claims);
    for (int i = 0; i < count; i++)
        assert_status(jwt_verify(host->policy, token, strlen(token), host->result), JWT_OK);
    free(token);
    free(claims);
}

static void use(struct host *host, int count)
{
    use_up_to(host, count, NOW + 500);
}

/* A second later it writes down what it has counted. */
static void sum_up(struct host *host)
{
    host->now += 1000;
    poll_cache(host);
}

static char *metrics_of(struct host *host, uint32_t own)
{
    static char buffer[1 << 16];
    size_t len;
    jwks_metrics_options options = JWKS_METRICS_OPTIONS_INIT;
    options.per_key = 1;
    options.own = own;
    assert_status(jwks_cache_metrics(host->cache, &options, buffer, sizeof buffer, &len), JWT_OK);
    return buffer;
}

/* The number behind a series; 0 if it is left out. */
static uint64_t series(const char *metrics, const char *name)
{
    char *line = text("\nkeyturn_%s", name);
    const char *found = strstr(metrics, line);
    free(line);
    if (!found)
        return 0;
    const char *number = found + 1 + strcspn(found + 1, "\n");
    while (number[-1] != ' ')
        number--;
    return strtoull(number, NULL, 10);
}

#define ACCEPTED "tokens_total{issuer=\"" ISSUER "\",status=\"JWT_OK\"}"
#define EXPIRED "tokens_total{issuer=\"" ISSUER "\",status=\"JWT_EXPIRED\"}"
#define UNREADABLE "tokens_total{issuer=\"\",status=\"JWT_MALFORMED\"}"

static uint64_t told(struct host *host, const char *name)
{
    return series(metrics_of(host, 0), name);
}

/* As somebody tells it who has counted nothing. */
static uint64_t told_anew(const char *path)
{
    struct host *host = begin(path);
    uint64_t number = told(host, ACCEPTED);
    assert_int_equal(key_of(host->issuer, 0).accepted, number);
    close_host(host);
    return number;
}

/* ---- Sums */

static void what_each_has_counted_is_told_by_all(void **state)
{
    enum { ALL = 4 };
    struct host *host[ALL];
    for (int i = 0; i < ALL; i++) {
        host[i] = begin(*state);
        use(host[i], i + 1);
        assert_status(verify_octets(host[i]->policy, "x", 1, host[i]->result), JWT_MALFORMED);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < ALL; i++)
            sum_up(host[i]);
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(told(host[i], ACCEPTED), 10);
        assert_int_equal(told(host[i], UNREADABLE), ALL);
        assert_int_equal(told(host[i], "store_sums"), 1);
        assert_int_equal(told(host[i], "key_tokens_total"), 10);
        const char *own = metrics_of(host[i], 1);
        assert_int_equal(series(own, ACCEPTED), i + 1);
        assert_int_equal(series(own, UNREADABLE), 1);
        assert_int_equal(series(own, "store_sums"), 0);
        assert_int_equal(series(own, "key_tokens_total"), i + 1);
        assert_int_equal(jwks_issuer_tokens(host[i]->issuer, JWT_OK), i + 1);
    }
    use(host[2], 5); /* not written down yet: it knows it, and the others do not */
    assert_int_equal(told(host[2], ACCEPTED), 15);
    assert_int_equal(told(host[0], ACCEPTED), 10);
    for (int i = 0; i < ALL; i++)
        close_host(host[i]);
    assert_int_equal(told_anew(*state), 15);
}

static void sums_outlive_who_has_counted(void **state)
{
    for (int i = 0; i < 5; i++) {
        struct host *host = begin(*state);
        assert_int_equal(told(host, ACCEPTED), 7 * i);
        use(host, 3);
        sum_up(host);
        use(host, 4); /* written down at its end */
        assert_int_equal(told(host, ACCEPTED), 7 * i + 7);
        close_host(host);
    }
    assert_int_equal(told_anew(*state), 35);
}

/* One that fetches counts the keys that have come; its siblings, that they have come to them, not. */
static void what_one_has_fetched_is_counted_once(void **state)
{
    struct host *host[3];
    jwks_issuer_options options = by_url();
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    for (int i = 0; i < 3; i++) {
        host[i] = host_with_store(*state, START);
        add(host[i], &options);
        poll_cache(host[i]);
    }
    reply_key(host[0], 1, "one");
    for (int i = 0; i < 6; i++)
        sum_up(host[i % 3]);
    for (int i = 0; i < 3; i++) {
        assert_status(ask_kid(host[i], 1, "one"), JWT_OK);
        stats.own = 0;
        assert_status(jwks_issuer_stats_get(host[i]->issuer, &stats), JWT_OK);
        assert_int_equal(stats.keys_added, 1);
        assert_int_equal(stats.by_reason[JWKS_FETCH_START], 1);
        stats.own = 1;
        assert_status(jwks_issuer_stats_get(host[i]->issuer, &stats), JWT_OK);
        assert_int_equal(stats.keys_added, i == 0);
        assert_int_equal(stats.generation, 1);
        stats.own = 2;
        assert_status(jwks_issuer_stats_get(host[i]->issuer, &stats), JWKS_INVALID_ARGUMENT);
    }
    for (int i = 0; i < 3; i++)
        close_host(host[i]);
}

static void who_only_reads_tells_of_itself(void **state)
{
    struct host *host = begin(*state);
    use(host, 3);
    sum_up(host);
    struct host *reader = reader_of(*state, NULL, START);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = ISSUER;
    add(reader, &options);
    load_key(reader->issuer, 1, "one");
    use(reader, 1);
    sum_up(reader);
    assert_int_equal(told(reader, ACCEPTED), 1);
    assert_int_equal(told(reader, "store_sums"), 0);
    assert_int_equal(told(host, ACCEPTED), 3);
    close_host(reader);
    close_host(host);
}

/* ---- Keys */

static void the_latest_exp_is_that_of_all_processes(void **state)
{
    struct host *first = begin(*state), *second = begin(*state);
    use_up_to(first, 1, NOW + 900);
    second->wall += 60;
    use_up_to(second, 1, NOW + 300);
    sum_up(first);
    sum_up(second);
    close_host(first);
    jwks_key_info key = key_of(second->issuer, 0);
    assert_int_equal(key.latest_exp, NOW + 900);
    assert_true(key.accepted == 2 && key.gapless == 1);
    assert_true(key.first_use == NOW && key.last_use == NOW + 60);
    close_host(second);
    second = begin(*state); /* nothing was used here */
    key = key_of(second->issuer, 0);
    assert_int_equal(key.latest_exp, NOW + 900);
    assert_true(key.first_use == NOW && key.last_use == NOW + 60 && key.gapless == 1);
    load_key(second->issuer, 2, "two"); /* another key has a record of its own */
    assert_int_equal(key_of(second->issuer, 0).accepted, 0);
    load_key(second->issuer, 1, "one");
    assert_int_equal(key_of(second->issuer, 0).latest_exp, NOW + 900);
    close_host(second);
}

static void many_keys_have_room(void **state)
{
    enum { KEYS = 40 };
    struct host *host = begin(*state);
    for (int round = 0; round < 2; round++)
        for (unsigned key = 1; key <= KEYS; key++) {
            char *kid = text("k%u", key);
            load_key(host->issuer, key, kid);
            assert_status(ask_kid(host, key, kid), JWT_OK);
            sum_up(host);
            assert_int_equal(key_of(host->issuer, 0).accepted, round + 1);
            free(kid);
        }
    close_host(host);
}

/* ---- Real processes */

struct shared {
    int64_t attempted[64], done[64];
};

static struct shared *share(void)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    return shared;
}

/* Counts until it is killed, or for so many rounds; each time a second goes by. */
static void count_for_long(const char *path, int64_t *attempted, int rounds)
{
    struct host *host = begin(path);
    poll_cache(host);
    for (int i = 0; i < rounds; i++) {
        __atomic_add_fetch(attempted, 5, __ATOMIC_SEQ_CST);
        use(host, 5);
        sum_up(host);
    }
    close_host(host);
    _exit(0);
}

static void await_end(pid_t child, int signal)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(signal ? WTERMSIG(status) : WEXITSTATUS(status), signal);
}

/* Generations of eight processes, half of which are killed at any moment, while another looks on. What it is told never
 * grows less, is never more than was counted, and in the end is all that those have counted who ended well. */
static void who_is_killed_takes_nothing_with_it_and_counts_nothing_twice(void **state)
{
    enum { CHILDREN = 8, GENERATIONS = 6, ROUNDS = 30 };
    struct shared *shared = share();
    struct host *watcher = begin(*state);
    uint64_t seen = 0, killed = 0, well = 0;
    srandom(7);
    poll_cache(watcher);
    for (int generation = 0; generation < GENERATIONS; generation++) {
        pid_t child[CHILDREN];
        for (int i = 0; i < CHILDREN; i++) {
            int64_t *attempted = &shared->attempted[generation * CHILDREN + i];
            child[i] = fork();
            assert_true(child[i] >= 0);
            if (child[i] == 0)
                count_for_long(*state, attempted, i % 2 ? 1 << 20 : ROUNDS);
        }
        for (int i = 1; i < CHILDREN; i += 2) {
            int64_t *attempted = &shared->attempted[generation * CHILDREN + i];
            while (__atomic_load_n(attempted, __ATOMIC_SEQ_CST) < 20 + random() % 60) {
                uint64_t now = told(watcher, ACCEPTED);
                assert_true(now >= seen);
                seen = now;
            }
            assert_int_equal(kill(child[i], SIGKILL), 0);
            await_end(child[i], SIGKILL);
            killed++;
        }
        for (int i = 0; i < CHILDREN; i += 2) {
            await_end(child[i], 0);
            well += 5 * ROUNDS;
        }
    }
    uint64_t all = 0;
    for (int i = 0; i < CHILDREN * GENERATIONS; i++)
        all += (uint64_t)shared->attempted[i];
    sum_up(watcher);
    uint64_t sum = told(watcher, ACCEPTED), missed = told(watcher, "store_processes_missed_total");
    print_message(
        "%llu of %llu counts are told, %llu of them of processes that ended well; %llu killed, %llu missed\n",
        (unsigned long long)sum, (unsigned long long)all, (unsigned long long)well,
        (unsigned long long)killed, (unsigned long long)missed);
    assert_true(sum >= seen && sum <= all);
    if (missed <= killed) /* else one could not write at its end, and that is told */
        assert_true(sum > well);
    assert_int_equal(told_anew(*state), sum);
    assert_int_equal(key_of(watcher->issuer, 0).gapless, 0);
    close_host(watcher);
    munmap(shared, sizeof *shared);
}

/* One after the other, so that nobody is in the way: exactly. */
static void what_was_written_down_is_there_after_a_kill(void **state)
{
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct host *host = begin(*state);
            use(host, 3);
            poll_cache(host);
            use(host, i); /* lost, unless it is written down */
            if (i % 2)
                sum_up(host);
            raise(SIGKILL);
        }
        await_end(child, SIGKILL);
    }
    assert_int_equal(told_anew(*state), 20 * 3 + 100);
}

static void a_killed_process_is_missed_and_a_gap_is_told(void **state)
{
    for (int is_killed = 0; is_killed < 2; is_killed++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct host *host = begin(*state);
            use(host, 1);
            poll_cache(host);
            if (is_killed)
                raise(SIGKILL);
            close_host(host);
            _exit(0);
        }
        await_end(child, is_killed ? SIGKILL : 0);
        struct host *host = begin(*state);
        host->wall += 10;
        poll_cache(host);
        assert_int_equal(told(host, "store_processes_missed_total"), is_killed);
        assert_int_equal(key_of(host->issuer, 0).gapless, !is_killed);
        assert_int_equal(told(host, "key_gapless"), !is_killed);
        host->wall += 10; /* a key that came into use after that has none */
        load_key(host->issuer, 2, "two");
        assert_status(ask_kid(host, 2, "two"), JWT_OK);
        assert_int_equal(key_of(host->issuer, 0).gapless, 1);
        close_host(host);
    }
}

static void what_was_counted_before_a_fork_is_the_parents(void **state)
{
    struct host *host = begin(*state);
    use(host, 2);
    poll_cache(host);
    use(host, 3);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        poll_cache(host);
        use(host, 10);
        sum_up(host);
        assert_int_equal(told(host, ACCEPTED), 12);
        assert_int_equal(series(metrics_of(host, 1), ACCEPTED), 15);
        close_host(host);
        _exit(0);
    }
    await_end(child, 0);
    assert_int_equal(told(host, ACCEPTED), 15);
    sum_up(host);
    assert_int_equal(told(host, ACCEPTED), 15);
    assert_int_equal(told(host, "store_processes_missed_total"), 0);
    close_host(host);
    assert_int_equal(told_anew(*state), 15);
}

/* ---- Where the library is held: functions of the system stand here */

static sem_t watching;
static int watch_is_held;

/* By the thread of a cache before its first look at anything. */
int inotify_init1(int flags)
{
    if (__atomic_load_n(&watch_is_held, __ATOMIC_ACQUIRE))
        sem_wait(&watching);
    return (int)syscall(SYS_inotify_init1, flags);
}

/* In the end; what is asked one after the other may differ until then. */
static int was_told_anew_of(const char *path, uint64_t count)
{
    time_t end = time(NULL) + 20;
    int was_told = 0;
    while (!was_told && time(NULL) < end) {
        struct host *host = begin(path);
        was_told = told(host, ACCEPTED) == count && key_of(host->issuer, 0).accepted == count;
        close_host(host);
    }
    return was_told;
}

/* Before its thread has come to anything. */
static void what_a_child_counts_from_its_start_on_is_in_the_sums(void **state)
{
    struct host *host = begin(*state);
    use(host, 5);
    poll_cache(host);
    assert_int_equal(key_of(host->issuer, 0).gapless, 1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        assert_int_equal(sem_init(&watching, 0, 0), 0);
        __atomic_store_n(&watch_is_held, 1, __ATOMIC_RELEASE);
        assert_status(jwks_cache_start(host->cache, NULL), JWT_OK);
        use(host, 10);
        __atomic_store_n(&watch_is_held, 0, __ATOMIC_RELEASE);
        host->now += 1000;
        sem_post(&watching);
        assert_true(was_told_anew_of(*state, 15));
        assert_int_equal(key_of(host->issuer, 0).gapless, 1);
        close_host(host);
        _exit(0);
    }
    await_end(child, 0);
    close_host(host);
    assert_int_equal(told_anew(*state), 15);
}

static struct {
    struct host *asks; /* NULL: nobody */
    int came;
} sweep;

static void *ask(void *host)
{
    jwks_event event = JWKS_EVENT_INIT;
    jwks_event_next(((struct host *)host)->cache, &event);
    return NULL;
}

/* By who sweeps a directory of the store: meanwhile others have their calls answered. */
DIR *fdopendir(int descriptor)
{
    DIR *(*next)(int) = (DIR * (*)(int)) dlsym(RTLD_NEXT, "fdopendir");
    struct timespec end = { time(NULL) + 20, 0 };
    pthread_t thread;
    if (sweep.asks) {
        assert_int_equal(pthread_create(&thread, NULL, ask, sweep.asks), 0);
        sweep.came = pthread_timedjoin_np(thread, NULL, &end) == 0;
    }
    return next(descriptor);
}

static void nobody_waits_for_the_sums_directory(void **state)
{
    struct host *host = begin(*state);
    use(host, 1);
    sweep.asks = host;
    poll_cache(host);
    sweep.asks = NULL;
    assert_int_equal(sweep.came, 1);
    close_host(host);
}

/* ---- Files that are not as they should be */

static char *sums_file(const char *path)
{
    char *folder = text("%s/sums", path), *file = issuer_file(folder, "sums");
    free(folder);
    return file;
}

static void seal(struct octets *octets)
{
    size_t end = octets->count - 32;
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, octets->data, end, octets->data + end, NULL), 1);
}

/* Five tokens, written down. */
static struct octets leave_sums(const char *path, const char *file)
{
    struct host *host = begin(path);
    use(host, 5);
    sum_up(host);
    close_host(host);
    return read_file(file, 64);
}

static void a_damaged_file_is_not_believed_and_is_written_anew(void **state)
{
    char *file = sums_file(*state);
    struct octets whole = leave_sums(*state, file);
    size_t tried = 0;
    for (size_t place = 0; place < whole.count; place += 97, tried++) {
        struct octets damaged = whole;
        damaged.data[place] ^= 4;
        write_file(file, &damaged);
        assert_int_equal(told_anew(*state), 0);
    }
    assert_true(tried > 15);
    write_file(file, &whole);
    struct host *host = begin(*state);
    use(host, 1);
    sum_up(host);
    assert_int_equal(told(host, ACCEPTED), 6);
    assert_int_equal(key_of(host->issuer, 0).gapless, 1);
    struct octets damaged = read_file(file, 64);
    damaged.count -= 9;
    write_file(file, &damaged);
    use(host, 1);
    sum_up(host);
    assert_int_equal(told(host, ACCEPTED), 7); /* who knew it has it still */
    assert_int_equal(key_of(host->issuer, 0).gapless, 0);
    assert_int_equal(told_anew(*state), 7);
    assert_int_equal(unlink(file), 0);
    use(host, 1);
    sum_up(host);
    assert_int_equal(told_anew(*state), 8);
    close_host(host);
    free(file);
}

static void a_file_of_another_release_is_left_alone(void **state)
{
    char *file = sums_file(*state);
    struct octets other = leave_sums(*state, file);
    other.data[0] ^= 2;
    seal(&other);
    write_file(file, &other);
    struct host *host = begin(*state);
    use(host, 1);
    sum_up(host);
    assert_int_equal(told(host, ACCEPTED), 1);
    assert_int_equal(told(host, "store_sums"), 0);
    assert_int_equal(key_of(host->issuer, 0).gapless, 0);
    struct octets now = read_file(file, 64);
    assert_memory_equal(now.data, other.data, other.count);
    close_host(host);
    free(file);
}

static void sums_of_impossible_form_are_not_taken(void **state)
{
    char *file = sums_file(*state);
    struct octets whole = leave_sums(*state, file);
    for (uint64_t keys = 0; keys < 4; keys++) {
        struct octets other = whole;
        uint64_t count = (uint64_t[]){ 7, 9, 65535, UINT64_MAX }[keys];
        memcpy(other.data + 16 + 16, &count, sizeof count);
        seal(&other);
        write_file(file, &other);
        assert_int_equal(told_anew(*state), 0);
    }
    write_file(file, &whole);
    assert_int_equal(told_anew(*state), 5);
    free(file);
}

static void links_and_files_of_others_are_not_read(void **state)
{
    char *file = sums_file(*state), *moved = text("%s/moved", (char *)*state);
    leave_sums(*state, file);
    assert_int_equal(rename(file, moved), 0);
    assert_int_equal(symlink(moved, file), 0);
    assert_int_equal(told_anew(*state), 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkfifo(file, 0644), 0);
    assert_int_equal(told_anew(*state), 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rename(moved, file), 0);
    assert_int_equal(told_anew(*state), 5);
    assert_int_equal(chmod(file, 0666), 0);
    assert_int_equal(told_anew(*state), 0);
    assert_int_equal(chmod(file, 0644), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(file, 65533, (gid_t)-1), 0);
        assert_int_equal(told_anew(*state), 0);
        assert_int_equal(chown(file, 0, (gid_t)-1), 0);
    }
    assert_int_equal(truncate(file, 1 << 30), 0);
    assert_int_equal(told_anew(*state), 0);
    free(file);
    free(moved);
}

static void a_directory_of_others_is_not_used(void **state)
{
    char *inner = text("%s/sums", (char *)*state);
    assert_int_equal(mkdir(inner, 0777), 0);
    assert_int_equal(chmod(inner, 0777), 0);
    struct host *host = begin(*state);
    use(host, 2);
    sum_up(host);
    assert_int_equal(told(host, ACCEPTED), 2);
    assert_int_equal(told(host, "store_sums"), 0);
    assert_int_equal(rmdir(inner), 0); /* nothing is in it */
    assert_int_equal(symlink("/tmp", inner), 0);
    sum_up(host);
    assert_int_equal(told(host, "store_sums"), 0);
    assert_int_equal(unlink(inner), 0);
    sum_up(host);
    close_host(host);
    assert_int_equal(told_anew(*state), 2);
    free(inner);
}

/* As many as issuers, and two, however many come and go. */
static size_t count;

static void count_file(const char *path)
{
    (void)path;
    count++;
}

static void files_do_not_pile_up(void **state)
{
    char *inner = text("%s/sums", (char *)*state);
    for (int i = 0; i < 30; i++) {
        struct host *host = begin(*state);
        use(host, 1);
        assert_status(verify_octets(host->policy, "x", 1, host->result), JWT_MALFORMED);
        sum_up(host);
        close_host(host);
    }
    each_file(inner, count_file);
    assert_int_equal(count, 3);
    free(inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(what_each_has_counted_is_told_by_all),
        WITH_DIRECTORY(sums_outlive_who_has_counted),
        WITH_DIRECTORY(what_one_has_fetched_is_counted_once),
        WITH_DIRECTORY(who_only_reads_tells_of_itself),
        WITH_DIRECTORY(the_latest_exp_is_that_of_all_processes),
        WITH_DIRECTORY(many_keys_have_room),
        WITH_DIRECTORY(who_is_killed_takes_nothing_with_it_and_counts_nothing_twice),
        WITH_DIRECTORY(what_was_written_down_is_there_after_a_kill),
        WITH_DIRECTORY(a_killed_process_is_missed_and_a_gap_is_told),
        WITH_DIRECTORY(what_was_counted_before_a_fork_is_the_parents),
        WITH_DIRECTORY(what_a_child_counts_from_its_start_on_is_in_the_sums),
        WITH_DIRECTORY(nobody_waits_for_the_sums_directory),
        WITH_DIRECTORY(a_damaged_file_is_not_believed_and_is_written_anew),
        WITH_DIRECTORY(a_file_of_another_release_is_left_alone),
        WITH_DIRECTORY(sums_of_impossible_form_are_not_taken),
        WITH_DIRECTORY(links_and_files_of_others_are_not_read),
        WITH_DIRECTORY(a_directory_of_others_is_not_used),
        WITH_DIRECTORY(files_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
