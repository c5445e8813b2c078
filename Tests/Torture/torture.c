/* torture FOLDER SECONDS SLACK [refuse]
 *
 * Eight threads verify while a writer swaps two key sets 1,000 times a second, another lists keys, and
 * threads come, verify, and go, verifying again in a destructor of their last moments. The tokens and sets
 * come from FOLDER (see make_keys). What must hold:
 *   - a token of a key in both sets always verifies; one of a key in only one set verifies, or its key is
 *     not found, and both happen;
 *   - what the threads counted, those that ended included, adds up to what was verified;
 *   - a result tells of the very token that was verified, while tokens push each other out of the smallest token cache;
 *   - all of it happened often enough to mean something;
 *   - afterwards the memory in use is what it was before, within SLACK octets.
 * With `refuse`, a seccomp filter forbids membarrier when half of the time is over. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "keyturn.h"

enum { NUMBERED = 96, READERS = 8, VISITORS = 4, SWAPS_A_SECOND = 1000 };

struct text {
    char octets[8192];
    size_t len;
};

enum { SHARED_RSA, SHARED_ED, ONLY_A, ONLY_B, TOKENS };
static const char *const token_names[TOKENS] = { "shared-rsa.jwt", "shared-ed.jwt", "only-a.jwt",
                                                 "only-b.jwt" };
static struct text tokens[TOKENS], sets[2], numbered[NUMBERED];

static jwks_cache *cache;
static jwks_issuer *issuer;
static jwt_policy *policy;
static pthread_key_t late;
static atomic_int stop;
static atomic_ulong verified, not_found, late_verified, swaps, busy, lists, visits;

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "torture: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    _exit(1);
}

static void need(jwt_status status, const char *what)
{
    if (status != JWT_OK)
        fail("%s: %s", what, jwt_status_name(status));
}

static void read_text(const char *folder, const char *name, struct text *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail("%s: %s", path, strerror(errno));
    out->len = fread(out->octets, 1, sizeof out->octets, file);
    fclose(file);
    if (out->len == 0 || out->len == sizeof out->octets)
        fail("%s: of no use", path);
}

static void sleep_us(long us)
{
    struct timespec time = { us / 1000000, us % 1000000 * 1000 };
    nanosleep(&time, NULL);
}

/* ---- What the threads do ------------------------------------------------------------------------ */

/* Orders nothing: what the readers do is not to be taken for ordered by their counting. */
static void count(atomic_ulong *number)
{
    atomic_fetch_add_explicit(number, 1, memory_order_relaxed);
}

static void verify(int token, jwt_result *result)
{
    jwt_status status = jwt_verify(policy, tokens[token].octets, tokens[token].len, result);
    if (status == JWT_OK) {
        count(&verified);
    } else if (status == JWT_KEY_NOT_FOUND && token >= ONLY_A) {
        count(&not_found);
    } else {
        fail("%s: %s", token_names[token], jwt_status_name(status));
    }
}

/* Each three times, so that it is put into the token cache, where another makes room for it. */
static void verify_numbered(unsigned long number, jwt_result *result)
{
    char wanted[16];
    number %= NUMBERED;
    int len = snprintf(wanted, sizeof wanted, "number-%03lu", number);
    for (int seen = 0; seen < 3; seen++) {
        need(jwt_verify(policy, numbered[number].octets, numbered[number].len, result), "a numbered token");
        count(&verified);
        jwt_value sub = jwt_result_claim(result, "sub", 3);
        keyturn_span kid = jwt_result_kid(result);
        if (sub.text.len != (size_t)len || memcmp(sub.text.data, wanted, sub.text.len) != 0 || kid.len != 9 ||
            memcmp(kid.data, "shared-ed", 9) != 0)
            fail("shared result: of another token");
    }
}

static jwt_result *new_result(void)
{
    jwt_result *result = NULL;
    need(jwt_result_new(&result), "jwt_result_new");
    return result;
}

static void verify_once(void)
{
    jwt_result *result = new_result();
    verify(SHARED_ED, result);
    jwt_result_release(result);
}

static void *reader(void *number)
{
    jwt_result *result = new_result();
    for (unsigned long i = (unsigned long)(uintptr_t)number; !atomic_load(&stop); i++) {
        verify((int)(i % TOKENS), result);
        if (i % 4 == 0)
            verify_numbered(i / 4 * 7, result);
    }
    jwt_result_release(result);
    return NULL;
}

/* Keeps to its times, late or not, unless it is far behind. */
static void wait_for_turn(struct timespec *turn)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > turn->tv_sec)
        *turn = now;
    turn->tv_nsec += 1000000000 / SWAPS_A_SECOND;
    if (turn->tv_nsec >= 1000000000) {
        turn->tv_nsec -= 1000000000;
        turn->tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, turn, NULL);
}

static void *writer(void *unused)
{
    struct timespec turn = { 0, 0 };
    for (unsigned long i = 0; !atomic_load(&stop); i++) {
        wait_for_turn(&turn);
        jwt_status status = jwks_issuer_load(issuer, sets[i % 2].octets, sets[i % 2].len, NULL);
        if (status == JWT_OK)
            atomic_fetch_add(&swaps, 1);
        else if (status == JWKS_BUSY)
            atomic_fetch_add(&busy, 1);
        else
            fail("jwks_issuer_load: %s", jwt_status_name(status));
    }
    return unused;
}

static void *lister(void *unused)
{
    while (!atomic_load(&stop)) {
        jwks_key_list *list = NULL;
        need(jwks_issuer_keys(issuer, &list), "jwks_issuer_keys");
        if (jwks_key_list_count(list) != 3)
            fail("a list of %zu keys", jwks_key_list_count(list));
        (void)jwks_issuer_tokens(issuer, JWT_OK);
        jwks_key_list_release(list);
        atomic_fetch_add(&lists, 1);
        sleep_us(500);
    }
    return unused;
}

/* Runs after the library's own destructor: its key is the younger one. */
static void verify_late(void *result)
{
    verify(SHARED_ED, result);
    atomic_fetch_add(&late_verified, 1);
    jwt_result_release(result);
}

static void *visitor(void *unused)
{
    jwt_result *result = new_result();
    for (int token = 0; token < TOKENS; token++)
        verify(token, result);
    pthread_setspecific(late, result);
    return unused;
}

static void start(pthread_t *thread, void *(*body)(void *), uintptr_t argument)
{
    if (pthread_create(thread, NULL, body, (void *)argument) != 0)
        fail("no thread to be had");
}

static void *spawner(void *unused)
{
    while (!atomic_load(&stop)) {
        pthread_t visiting[VISITORS];
        for (int i = 0; i < VISITORS; i++)
            start(&visiting[i], visitor, 0);
        for (int i = 0; i < VISITORS; i++)
            pthread_join(visiting[i], NULL);
        atomic_fetch_add(&visits, VISITORS);
    }
    return unused;
}

/* The lines of a file. */
static void read_numbered(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/numbered.txt", folder);
    FILE *file = fopen(path, "rb");
    for (int i = 0; i < NUMBERED; i++) {
        if (file == NULL || fgets(numbered[i].octets, sizeof numbered[i].octets, file) == NULL)
            fail("%s: of no use", path);
        numbered[i].len = strcspn(numbered[i].octets, "\n");
    }
    fclose(file);
}

#define KNOWN "\nkeyturn_token_cache_hits_total{"
#define PUSHED_OUT "\nkeyturn_token_cache_evicted_total"

static unsigned long metric(const char *name)
{
    static char metrics[65536];
    size_t len;
    need(jwks_cache_metrics(cache, NULL, metrics, sizeof metrics, &len), "jwks_cache_metrics");
    const char *line = strstr(metrics, name);
    return line ? strtoul(strchr(line + 1, ' '), NULL, 10) : 0;
}

/* ---- The run ------------------------------------------------------------------------------------ */

/* For all threads of the process, as when a host confines itself after it has loaded its libraries. */
static void refuse_membarrier(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        fail("no seccomp filter: %s", strerror(errno));
    if (syscall(SYS_membarrier, 0, 0, 0) != -1)
        fail("the filter lets membarrier through");
}

static void set_up(void)
{
    jwks_cache_options cache_options = JWKS_CACHE_OPTIONS_INIT;
    cache_options.token_cache = 65536;
    need(jwks_cache_new(&cache_options, &cache, NULL), "jwks_cache_new");
    jwks_issuer_options issuer_options = JWKS_ISSUER_OPTIONS_INIT;
    issuer_options.issuer = "https://issuer.example";
    need(jwks_cache_add_issuer(cache, &issuer_options, &issuer, NULL), "jwks_cache_add_issuer");
    need(jwks_issuer_load(issuer, sets[0].octets, sets[0].len, NULL), "jwks_issuer_load");
    jwt_policy_options policy_options = JWT_POLICY_OPTIONS_INIT;
    const char *audience = "torture";
    policy_options.issuers = &issuer;
    policy_options.issuer_count = 1;
    policy_options.audiences = &audience;
    policy_options.audience_count = 1;
    need(jwt_policy_new(cache, &policy_options, &policy, NULL), "jwt_policy_new");
    verify_once();
    pthread_key_create(&late, verify_late);
}

static void everything_at_once(double seconds, int refuse)
{
    pthread_t reading[READERS], writing, listing, spawning;
    atomic_store(&stop, 0);
    for (uintptr_t i = 0; i < READERS; i++)
        start(&reading[i], reader, i);
    start(&writing, writer, 0);
    start(&listing, lister, 0);
    start(&spawning, spawner, 0);
    sleep_us((long)(seconds * 500000));
    if (refuse)
        refuse_membarrier();
    sleep_us((long)(seconds * 500000));
    atomic_store(&stop, 1);
    for (int i = 0; i < READERS; i++)
        pthread_join(reading[i], NULL);
    pthread_join(writing, NULL);
    pthread_join(listing, NULL);
    pthread_join(spawning, NULL);
    /* Nobody is inside, and this thread is seen as it reads now: the load reclaims all that was retired, and
     * leaves the same set each time. */
    verify_once();
    need(jwks_issuer_load(issuer, sets[0].octets, sets[0].len, NULL), "jwks_issuer_load");
}

/* ThreadSanitizer has its own allocator. */
__attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes(void);

static size_t memory_in_use(void)
{
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void at_least(const char *what, unsigned long count, double wanted)
{
    if ((double)count < wanted)
        fail("only %lu %s, of %.0f at least", count, what, wanted);
}

int main(int count, char **arguments)
{
    if (count != 4 && !(count == 5 && strcmp(arguments[4], "refuse") == 0)) {
        fprintf(stderr, "usage: torture FOLDER SECONDS SLACK [refuse]\n");
        return 2;
    }
    double seconds = atof(arguments[2]);
    long slack = atol(arguments[3]);
    for (int i = 0; i < TOKENS; i++)
        read_text(arguments[1], token_names[i], &tokens[i]);
    read_numbered(arguments[1]);
    read_text(arguments[1], "a.json", &sets[0]);
    read_text(arguments[1], "b.json", &sets[1]);

    set_up();
    everything_at_once(1, 0);
    size_t before = memory_in_use();
    everything_at_once(seconds, count == 5);
    long grown = (long)(memory_in_use() - before);

    if (jwks_issuer_tokens(issuer, JWT_OK) != verified ||
        jwks_issuer_tokens(issuer, JWT_KEY_NOT_FOUND) != not_found)
        fail("other numbers were counted: %lu and %lu", (unsigned long)jwks_issuer_tokens(issuer, JWT_OK),
             (unsigned long)jwks_issuer_tokens(issuer, JWT_KEY_NOT_FOUND));
    printf(
        "%lu verified, %lu known, %lu pushed out, %lu not found, %lu swaps, %lu busy, %lu lists, %lu visitors, "
        "%lu late, memory %+ld\n",
        verified, metric(KNOWN), metric(PUSHED_OUT), not_found, swaps, busy, lists, visits, late_verified,
        grown);
    at_least("verified", verified, 500 * seconds);
    at_least("known tokens", metric(KNOWN), 100 * seconds);
    at_least("tokens pushed out", metric(PUSHED_OUT), 10 * seconds);
    at_least("not found", not_found, 10 * seconds);
    at_least("swaps", swaps, 50 * seconds);
    at_least("lists", lists, 20 * seconds);
    at_least("visitors", visits, 20 * seconds);
    at_least("verified late", late_verified, (double)visits);
    if (grown > slack)
        fail("%ld octets were not given back", grown);
    jwt_policy_release(policy);
    jwks_issuer_release(issuer);
    jwks_cache_release(cache);
    return 0;
}
