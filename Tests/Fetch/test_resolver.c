/* A resolver that never answers, in namespaces of the test's own: neither a fetch nor a stop waits for it. */
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SKIPPED = 77, HANGING = 20 };

/* How many look-ups have come, none of which is answered. */
static int silent;

static int questions(void)
{
    char octets[512];
    int count = 0;
    while (recv(silent, octets, sizeof octets, MSG_DONTWAIT) > 0)
        count++;
    return count;
}

static void await_questions(int least)
{
    int64_t latest = now() + stretched(2000);
    int count = 0;
    while ((count += questions()) < least && now() < latest)
        pause_for(10);
    assert_true(count >= least);
}

static jwks_fetch *new_unresolved(void)
{
    static int number;
    jwks_fetch *fetch = new_fetch("FAULTS_CA", ""); /* the server is not in this namespace */
    snprintf(fetch->url, sizeof fetch->url, "https://silent%d.example/", number++);
    return fetch;
}

static void a_look_up_has_the_time_of_connecting(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_unresolved();
    fetch->request.connect_timeout_ms = (uint32_t)stretched(300);
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_TIMEOUT);
    assert_took(fetch, 290, 1300);
    assert_true(questions() > 0);
    free_fetch(fetch);
}

static void a_look_up_is_cancelled(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_unresolved();
    start(fetch);
    await_questions(1);
    cancel(fetch);
    await(fetch);
    assert_ended(fetch, JWKS_FETCH_CANCELLED);
    assert_took(fetch, 0, 700);
    free_fetch(fetch);
}

static void a_stop_does_not_wait_for_look_ups(void **state)
{
    (void)state;
    jwks_fetch *fetches[HANGING];
    assert_int_equal(make_fetcher(NULL), 0);
    for (int i = 0; i < HANGING; i++) {
        fetches[i] = new_unresolved();
        start(fetches[i]);
    }
    await_questions(HANGING);
    int64_t began = now();
    keyturn_fetch_stop(&fetcher);
    assert_in_range(now() - began, 0, stretched(1000) - 1);
    for (int i = 0; i < HANGING; i++) {
        assert_ended(fetches[i], JWKS_FETCH_CANCELLED);
        free_fetch(fetches[i]);
    }
}

static void write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        perror(path);
    close(file);
}

static void give_up(const char *why)
{
    printf("SKIPPED: fetch.resolver: %s: %s\n", why, strerror(errno));
    exit(SKIPPED);
}

static void enter_namespaces(void)
{
    char map[32];
    snprintf(map, sizeof map, "0 %d 1", (int)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
        give_up("unshare() is not permitted");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", map);
}

static void bring_loopback_up(void)
{
    struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int any = socket(AF_INET, SOCK_DGRAM, 0);
    if (any < 0 || ioctl(any, SIOCSIFFLAGS, &loopback) != 0)
        give_up("the loopback interface stays down");
    close(any);
}

/* What the system resolves with: DNS, by a server that is silent. */
static void put_in_place(const char *path, const char *text)
{
    char made[] = "/tmp/keyturn-resolver-XXXXXX";
    close(mkstemp(made));
    write_file(made, text);
    int failed = mount(made, path, "", MS_BIND, "");
    unlink(made);
    if (failed)
        give_up("mount() is not permitted");
}

static void ask_the_silent(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    silent = socket(AF_INET, SOCK_DGRAM, 0);
    if (silent < 0 || bind(silent, (struct sockaddr *)&address, sizeof address) != 0)
        give_up("port 53 cannot be had");
    if (mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0)
        give_up("mount() is not permitted");
    put_in_place("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    put_in_place("/etc/nsswitch.conf", "hosts: dns\n");
}

int main(void)
{
    enter_namespaces();
    bring_loopback_up();
    ask_the_silent();
    const struct CMUnitTest tests[] = {
        WITH_FETCHER(a_look_up_has_the_time_of_connecting),
        WITH_FETCHER(a_look_up_is_cancelled),
        cmocka_unit_test(a_stop_does_not_wait_for_look_ups),
    };
    cmocka_set_test_filter(getenv("KEYTURN_TEST_ONLY")); /* for the mutants */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
