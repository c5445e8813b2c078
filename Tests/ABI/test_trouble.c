/* What can be amiss with a store: each trouble is told, takes no key away, and is over when it is mended, without a
 * restart. */
#include "fetching.h"
#include "namespace.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define START INT64_C(1000000)

static void later(struct host *host, int64_t ms)
{
    host->now += ms;
    poll_cache(host);
}

/* A later fetch brings this key. */
static void fetch_key(struct host *host, unsigned key, const char *kid)
{
    later(host, HOUR);
    assert_int_equal(host->under_way, 1);
    reply_key(host, key, kid);
    poll_cache(host);
    assert_status(ask_kid(host, key, kid), JWT_OK);
}

/* ---- What is told */

/* How many events of this kind and reason wait, all others dropped; 0 for any reason. */
static size_t told(struct host *host, jwks_event_kind kind, uint32_t reason)
{
    jwks_event event = JWKS_EVENT_INIT;
    size_t count = 0;
    while (jwks_event_next(host->cache, &event))
        count += event.kind == kind && (reason == 0 || event.reason == reason);
    return count;
}

static int is_in_metrics(struct host *host, const char *line)
{
    static char page[65536];
    size_t length;
    assert_status(jwks_cache_metrics(host->cache, NULL, page, sizeof page, &length), JWT_OK);
    return strstr(page, line) != NULL;
}

static const char *const names[] = { "keys", "revocations", "writing", "directory", "agent", "watching" };

static char *series(jwks_store_trouble trouble)
{
    return text("keyturn_store_trouble{issuer=\"%s\",trouble=\"%s\"} 1\n",
                trouble <= JWKS_TROUBLE_REVOCATIONS ? ISSUER : "", names[trouble]);
}

static void assert_trouble(struct host *host, jwks_store_trouble trouble, jwks_store_fault fault)
{
    char *line = series(trouble);
    assert_int_equal(told(host, JWKS_EVENT_STORE_REFUSED + trouble, fault), 1);
    assert_int_equal(stats_of(host->issuer).store_faults[trouble], fault);
    assert_true(stats_of(host->issuer).store_troubles[trouble] > 0);
    assert_true(is_in_metrics(host, line));
    assert_true(strlen(jwks_store_fault_text(fault)) > 0);
    free(line);
}

static void assert_sound(struct host *host, jwks_store_trouble trouble)
{
    char *line = series(trouble);
    assert_int_equal(told(host, JWKS_EVENT_STORE_SOUND, JWKS_EVENT_STORE_REFUSED + trouble), 1);
    assert_int_equal(stats_of(host->issuer).store_faults[trouble], JWKS_STORE_SOUND);
    assert_false(is_in_metrics(host, line));
    free(line);
}

/* ---- What cannot be written */

static void assert_kept(const char *path, int64_t now, unsigned key, const char *kid, jwt_status status)
{
    struct host *next = with_issuer(host_with_store(path, now));
    assert_status(ask_kid(next, key, kid), status);
    close_host(next);
}

/* `spoil` makes the directory one that cannot be written, and undoes that. */
static void cannot_write(const char *path, jwks_store_fault fault,
                         void (*spoil)(const char *path, int is_to_be))
{
    struct host *host = host_with_store(path, START);
    serve(host);
    assert_int_equal(told(host, JWKS_EVENT_STORE_UNWRITTEN, 0), 0);
    spoil(path, 1);
    fetch_key(host, 2, "two");
    assert_trouble(host, JWKS_TROUBLE_WRITING, fault);
    assert_status(revoke_kid(host, "three"), JWKS_NOT_DURABLE);
    assert_int_equal(told(host, JWKS_EVENT_STORE_UNWRITTEN, 0), 0); /* once in a minute */
    assert_int_equal(stats_of(host->issuer).store_troubles[JWKS_TROUBLE_WRITING], 2);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    spoil(path, 0);
    fetch_key(host, 4, "four");
    assert_sound(host, JWKS_TROUBLE_WRITING);
    assert_status(revoke_kid(host, "five"), JWT_OK);
    int64_t now = host->now;
    close_host(host);
    assert_kept(path, now, 4, "four", JWT_OK);
}

static void fill(const char *path, int is_to_be)
{
    char *name = text("%s/filling", path);
    if (is_to_be) {
        char octets[4096] = { 1 };
        int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        while (write(file, octets, sizeof octets) > 0)
            ;
        close(file);
    } else {
        assert_int_equal(unlink(name), 0);
    }
    free(name);
}

static void on_a_full_disk(const char *path)
{
    mount_tmpfs(path, 0, "size=128k,mode=0755");
    cannot_write(path, JWKS_STORE_NO_SPACE, fill);
}

static void a_full_disk_is_told(void **state)
{
    in_namespace(on_a_full_disk, *state);
}

static void make_read_only(const char *path, int is_to_be)
{
    mount_tmpfs(path, MS_REMOUNT | (is_to_be ? MS_RDONLY : 0), "mode=0755");
}

static void on_a_read_only_mount(const char *path)
{
    char *sums = text("%s/sums", path);
    mount_tmpfs(path, 0, "mode=0755");
    /* A mount of its own: a process keeps a file of it open, and under that nothing becomes read-only. */
    assert_int_equal(mkdir(sums, 0755), 0);
    mount_tmpfs(sums, 0, "mode=0755");
    free(sums);
    cannot_write(path, JWKS_STORE_READ_ONLY, make_read_only);
}

static void a_read_only_mount_is_told(void **state)
{
    in_namespace(on_a_read_only_mount, *state);
}

static void take_permission(const char *path, int is_to_be)
{
    assert_int_equal(chmod(path, is_to_be ? 0555 : 0755), 0);
}

static void without_permission(const char *path)
{
    cannot_write(path, JWKS_STORE_DENIED, take_permission);
}

static void permission_that_is_missing_is_told(void **state)
{
    if (geteuid() != 0)
        return without_permission(*state);
    assert_int_equal(chown(*state, 65533, 65533), 0);
    as_user(65533, without_permission, *state);
}

/* ---- What is not read */

static void flip(const char *file, off_t place)
{
    unsigned char octet;
    int descriptor = open(file, O_RDWR);
    assert_int_equal(pread(descriptor, &octet, 1, place), 1);
    octet ^= 1;
    assert_int_equal(pwrite(descriptor, &octet, 1, place), 1);
    close(descriptor);
}

static void damage(const char *file, int is_to_be)
{
    (void)is_to_be;
    flip(file, 100);
}

static void give_another_form(const char *file, int is_to_be)
{
    unsigned char octets[8192], *end = octets;
    FILE *stored = fopen(file, "r+");
    (void)is_to_be;
    assert_non_null(stored);
    end += fread(octets, 1, sizeof octets, stored) - 32; /* before the sum */
    octets[0] ^= 2;
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, octets, (size_t)(end - octets), end, NULL), 1);
    rewind(stored);
    assert_int_equal(fwrite(octets, 1, (size_t)(end - octets) + 32, stored), end - octets + 32);
    assert_int_equal(fclose(stored), 0);
}

static void make_link(const char *file, int is_to_be)
{
    char *aside = text("%s.aside", file);
    if (is_to_be) {
        assert_int_equal(rename(file, aside), 0);
        assert_int_equal(symlink(aside, file), 0);
    } else {
        assert_int_equal(rename(aside, file), 0);
    }
    free(aside);
}

static void let_others_write(const char *file, int is_to_be)
{
    assert_int_equal(chmod(file, is_to_be ? 0666 : 0644), 0);
}

static void give_to_another(const char *file, int is_to_be)
{
    assert_int_equal(chown(file, is_to_be ? 65532 : 0, (gid_t)-1), 0);
}

static void leave_keys(const char *path)
{
    struct host *host = host_with_store(path, START);
    serve(host);
    assert_status(revoke_kid(host, "revoked"), JWT_OK);
    close_host(host);
}

/* A reader, which asks no issuer: what it has it has read. */
static void cannot_read(const char *path, jwks_store_fault fault,
                        void (*spoil)(const char *path, int is_to_be))
{
    char *file = issuer_file(path, "keys");
    leave_keys(path);
    spoil(file, 1);
    struct host *reader = with_issuer(reader_of(path, NULL, START));
    assert_trouble(reader, JWKS_TROUBLE_KEYS, fault);
    assert_status(ask_kid(reader, 1, "one"), JWKS_PENDING);
    for (size_t i = 0; i < 50; i++)
        later(reader, 1000);
    assert_int_equal(told(reader, JWKS_EVENT_STORE_REFUSED, 0), 0);
    spoil(file, 0);
    later(reader, 1000);
    assert_sound(reader, JWKS_TROUBLE_KEYS);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    close_host(reader);
    free(file);
}

static void a_damaged_file_is_told(void **state)
{
    cannot_read(*state, JWKS_STORE_DAMAGED, damage);
}

static void a_file_of_another_form_is_told(void **state)
{
    cannot_read(*state, JWKS_STORE_OTHER_FORM, give_another_form);
}

static void a_link_is_told(void **state)
{
    cannot_read(*state, JWKS_STORE_IRREGULAR, make_link);
}

static void a_file_that_others_may_write_is_told(void **state)
{
    cannot_read(*state, JWKS_STORE_FOREIGN, let_others_write);
}

static void a_foreign_file_is_told(void **state)
{
    if (geteuid() != 0)
        skip();
    cannot_read(*state, JWKS_STORE_FOREIGN, give_to_another);
}

/* It counts when its time has come. */
static void a_file_from_the_future_is_told(void **state)
{
    leave_keys(*state);
    struct host *reader = with_issuer(reader_of(*state, NULL, START - MINUTE));
    assert_trouble(reader, JWKS_TROUBLE_KEYS, JWKS_STORE_FROM_FUTURE);
    for (size_t i = 0; i < 70; i++)
        later(reader, 1000);
    assert_sound(reader, JWKS_TROUBLE_KEYS);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    close_host(reader);
}

/* A damaged file takes nothing from who has its keys, and the next answer mends it. */
static void keys_in_memory_stay_and_the_next_answer_mends_the_file(void **state)
{
    leave_keys(*state);
    struct host *host = with_issuer(host_with_store(*state, START + 1000));
    char *file = issuer_file(*state, "keys"), *aside = text("%s.new", file);
    damage(file, 1);
    assert_int_equal(rename(file, aside), 0);
    assert_int_equal(rename(aside, file), 0);
    later(host, 1000);
    later(host, 1000);
    assert_trouble(host, JWKS_TROUBLE_KEYS, JWKS_STORE_DAMAGED);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    fetch_key(host, 2, "two");
    assert_sound(host, JWKS_TROUBLE_KEYS);
    close_host(host);
    free(file);
    free(aside);
}

static void an_issuer_that_is_closed_is_told(void **state)
{
    leave_keys(*state);
    char *file = issuer_file(*state, "revoked");
    struct host *host = with_issuer(host_with_store(*state, START + 1000));
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    char *aside = text("%s.aside", file);
    assert_int_equal(rename(file, aside), 0);
    later(host, 1000);
    assert_trouble(host, JWKS_TROUBLE_REVOCATIONS, JWKS_STORE_ABSENT);
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    for (size_t i = 0; i < 50; i++)
        later(host, 1000);
    assert_int_equal(told(host, JWKS_EVENT_REVOCATIONS_UNKNOWN, 0), 0);
    assert_int_equal(stats_of(host->issuer).store_troubles[JWKS_TROUBLE_REVOCATIONS], 51);
    assert_int_equal(rename(aside, file), 0);
    later(host, 1000);
    assert_sound(host, JWKS_TROUBLE_REVOCATIONS);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    close_host(host);
    free(aside);
    free(file);
}

static void a_directory_that_is_gone_is_told(void **state)
{
    char *inner = text("%s/inner", (char *)*state);
    assert_int_equal(mkdir(inner, 0755), 0);
    struct host *host = host_with_store(inner, START);
    serve(host);
    void *gone = inner;
    remove_store(&gone);
    later(host, 1000);
    assert_trouble(host, JWKS_TROUBLE_DIRECTORY, JWKS_STORE_ABSENT);
    fetch_key(host, 2, "two");
    assert_trouble(host, JWKS_TROUBLE_WRITING, JWKS_STORE_ABSENT);
    close_host(host);
}

/* ---- The agent */

static void an_agent_that_is_not_there_is_told(void **state)
{
    leave_keys(*state);
    struct host *reader = with_issuer(reader_of(*state, NULL, START + 1000));
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    poll_cache(reader);
    assert_trouble(reader, JWKS_TROUBLE_AGENT, JWKS_STORE_ABSENT);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    later(reader, 6000);

    struct host *agent = with_issuer(agent_of(*state, reader->now));
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    poll_cache(reader);
    assert_sound(reader, JWKS_TROUBLE_AGENT);
    close_host(agent);
    close_host(reader);
}

static void an_agent_that_stands_still_is_told(void **state)
{
    leave_keys(*state);
    struct host *agent = with_issuer(agent_of(*state, START + 1000)),
                *reader = with_issuer(reader_of(*state, NULL, START + 1000));
    for (int asked = 0; asked < 2; asked++) {
        assert_int_equal(told(reader, JWKS_EVENT_AGENT_SILENT, 0), 0); /* once is nothing */
        assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
        poll_cache(reader);
        later(reader, 5000);
    }
    assert_trouble(reader, JWKS_TROUBLE_AGENT, JWKS_STORE_SILENT);
    later(reader, 30000);
    agent->now = reader->now;
    poll_cache(agent); /* what it was told long ago */
    while (agent->under_way > 0)
        reply_key(agent, 2, "two");
    poll_cache(agent);
    later(reader, 1000);
    assert_sound(reader, JWKS_TROUBLE_AGENT);
    assert_status(ask_kid(reader, 2, "two"), JWT_OK);
    close_host(agent);
    close_host(reader);
}

/* ---- Too much of it */

/* No file may grow. */
static void limit_files(int is_full)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = is_full ? 0 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_comes_and_goes_fills_no_journal(void **state)
{
    enum { ROUNDS = 200 };
    jwks_event event = JWKS_EVENT_INIT;
    size_t troubles = 0;
    struct host *host = host_with_store(*state, START);
    serve(host);
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < ROUNDS; i++, host->now += 500) {
        limit_files(1);
        jwt_status full = revoke_kid(host, "kid");
        limit_files(0);
        assert_status(full, JWKS_NOT_DURABLE);
        assert_status(revoke_kid(host, "kid"), JWT_OK);
        while (jwks_event_next(host->cache, &event))
            troubles += event.kind >= JWKS_EVENT_STORE_REFUSED;
    }
    assert_int_equal(troubles, 4); /* in 100 s: twice, and twice over */
    assert_int_equal(stats_of(host->issuer).store_troubles[JWKS_TROUBLE_WRITING], ROUNDS);
    close_host(host);
}

static void each_fault_has_a_text(void **state)
{
    (void)state;
    for (unsigned fault = JWKS_STORE_ABSENT; fault <= JWKS_STORE_NO_MEMORY; fault++)
        assert_true(strlen(jwks_store_fault_text((jwks_store_fault)fault)) > 8);
    assert_string_equal(jwks_store_fault_text(JWKS_STORE_SOUND), "");
    assert_string_equal(jwks_store_fault_text((jwks_store_fault)(JWKS_STORE_NO_MEMORY + 1)), "");
    assert_string_equal(jwks_store_fault_text(JWKS_STORE_NO_MEMORY), "there is no memory left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(a_full_disk_is_told),
        WITH_DIRECTORY(a_read_only_mount_is_told),
        WITH_DIRECTORY(permission_that_is_missing_is_told),
        WITH_DIRECTORY(a_damaged_file_is_told),
        WITH_DIRECTORY(a_file_of_another_form_is_told),
        WITH_DIRECTORY(a_link_is_told),
        WITH_DIRECTORY(a_file_that_others_may_write_is_told),
        WITH_DIRECTORY(a_foreign_file_is_told),
        WITH_DIRECTORY(a_file_from_the_future_is_told),
        WITH_DIRECTORY(keys_in_memory_stay_and_the_next_answer_mends_the_file),
        WITH_DIRECTORY(an_issuer_that_is_closed_is_told),
        WITH_DIRECTORY(a_directory_that_is_gone_is_told),
        WITH_DIRECTORY(an_agent_that_is_not_there_is_told),
        WITH_DIRECTORY(an_agent_that_stands_still_is_told),
        WITH_DIRECTORY(what_comes_and_goes_fills_no_journal),
        cmocka_unit_test(each_fault_has_a_text),
    };
    return cmocka_run_group_tests_name("trouble", tests, NULL, NULL);
}
