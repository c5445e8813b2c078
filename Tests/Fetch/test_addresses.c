/* What is asked by an issuer's word alone is asked at public addresses only, whatever its name resolves to. The names
 * and the addresses are those of a namespace of the test's own, and everything is served by the test itself. */
#include "harness.h"
#include "namespaces.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
    const char *name, *address;
    int is_public;
} places[] = {
    { "public4.example", "9.9.9.9", 1 },
    { "public6.example", "2620:fe::9", 1 },
    { "public-6to4.example", "2002:909:909::1", 1 },
    { "public-translated.example", "64:ff9b::909:909", 1 },
    { "loopback4.example", "127.0.0.1", 0 },
    { "loopback6.example", "::1", 0 },
    { "private.example", "10.1.2.3", 0 },
    { "shared.example", "100.64.0.1", 0 },
    { "metadata.example", "169.254.169.254", 0 },
    { "unique.example", "fd00::1", 0 },
    { "6to4.example", "2002:a01:203::1", 0 },
    { "teredo.example", "2001:0:a01:203::1", 0 },
    { "translated.example", "64:ff9b::a01:203", 0 },
    { "mixed.example", "10.1.2.4", 0 },
    { "mixed.example", "9.9.9.10", 1 },
};
enum { PLACES = sizeof places / sizeof *places, MIXED = 2 };

/* ---- The server */

static int port;
static atomic_int connections;

/* "/to/NAME" leads to that name; anything else is answered. */
static void answer(int stream, const char *request)
{
    char name[64] = "", reply[256];
    if (sscanf(request, "GET /to/%63s ", name) == 1)
        snprintf(reply, sizeof reply,
                 "HTTP/1.1 302 Found\r\nLocation: http://%s:%d/\r\nContent-Length: 0\r\n\r\n", name, port);
    else
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    (void)!write(stream, reply, strlen(reply));
}

static void *serve_one(void *context)
{
    int stream = (int)(intptr_t)context;
    char request[4096];
    ssize_t count;
    while ((count = read(stream, request, sizeof request - 1)) > 0) {
        request[count] = 0; /* as small as it is, it comes in one piece */
        answer(stream, request);
    }
    close(stream);
    return NULL;
}

static void *serve(void *context)
{
    int listener = *(int *)context, stream;
    while ((stream = accept(listener, NULL, NULL)) >= 0) {
        pthread_t thread;
        connections++;
        pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)stream);
        pthread_detach(thread);
    }
    return NULL;
}

/* At every address, IPv4 too. */
static void start_server(void)
{
    static int listener;
    pthread_t thread;
    struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
    socklen_t size = sizeof any;
    listener = socket(AF_INET6, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 64) != 0)
        abort();
    getsockname(listener, (struct sockaddr *)&any, &size);
    port = ntohs(any.sin6_port);
    pthread_create(&thread, NULL, serve, &listener);
}

/* ---- Fetches */

/* How a fetch from `host` ends, and how many connections it has made. */
static jwks_fetch_failure fetched(const char *host, const char *path, const char *proxy, uint32_t public_only,
                                  int *made)
{
    int before = connections;
    jwks_fetch *fetch = new_fetch("FAULTS_CA", ""); /* the server of that is not in this namespace */
    snprintf(fetch->url, sizeof fetch->url, "http://%s:%d%s", host, port, path);
    fetch->request.public_only = public_only;
    fetch->request.max_redirects = 1;
    fetch->request.proxy = proxy;
    run(fetch);
    jwks_fetch_failure failure = fetch->response.failure;
    assert_int_equal(fetch->response.requests > 0, failure == JWKS_FETCH_ANSWERED || path[1]);
    free_fetch(fetch);
    *made = connections - before;
    return failure;
}

static void assert_fetched(const char *host, const char *path, uint32_t public_only,
                           jwks_fetch_failure failure, int connections_made)
{
    int made = -1;
    jwks_fetch_failure found = fetched(host, path, NULL, public_only, &made);
    if (found != failure || made != connections_made)
        fail_msg("%s%s: ended as %d with %d connections, not %d with %d", host, path, (int)found, made,
                 (int)failure, connections_made);
}

static void names_lead_to_public_addresses_only(void **state)
{
    (void)state;
    for (int i = 0; i < PLACES - MIXED; i++) {
        assert_fetched(places[i].name, "/", 1, places[i].is_public ? JWKS_FETCH_ANSWERED : JWKS_FETCH_REFUSED,
                       places[i].is_public);
        /* The connection to a public address is there to be used again. */
        assert_fetched(places[i].name, "/", 0, JWKS_FETCH_ANSWERED, !places[i].is_public);
    }
}

static void of_several_addresses_the_public_one_is_asked(void **state)
{
    (void)state;
    assert_fetched("mixed.example", "/", 1, JWKS_FETCH_ANSWERED, 1);
}

static void literals_are_held_against_the_same_rules(void **state)
{
    (void)state;
    assert_fetched("10.1.2.3", "/", 1, JWKS_FETCH_REFUSED, 0);
    assert_fetched("[::ffff:10.1.2.3]", "/", 1, JWKS_FETCH_REFUSED, 0);
    assert_fetched("[::ffff:10.1.2.3]", "/", 0, JWKS_FETCH_ANSWERED, 1);
    assert_fetched("[::ffff:9.9.9.9]", "/", 1, JWKS_FETCH_ANSWERED, 1);
    assert_fetched("0", "/", 1, JWKS_FETCH_REFUSED, 0);
}

static void a_connection_that_was_made_for_others_is_not_used(void **state)
{
    (void)state;
    assert_fetched("private.example", "/", 0, JWKS_FETCH_ANSWERED, 1);
    assert_fetched("private.example", "/", 0, JWKS_FETCH_ANSWERED, 0);
    assert_fetched("private.example", "/", 1, JWKS_FETCH_REFUSED, 0);
}

static void a_redirect_is_no_way_around(void **state)
{
    (void)state;
    assert_fetched("public4.example", "/to/private.example", 1, JWKS_FETCH_REFUSED, 1);
    assert_fetched("public4.example", "/to/private.example", 0, JWKS_FETCH_ANSWERED, 1);
    assert_fetched("public4.example", "/to/public6.example", 1, JWKS_FETCH_ANSWERED, 2);
}

static void a_proxy_would_be_a_way_around(void **state)
{
    (void)state;
    char proxy[64];
    int made = -1;
    snprintf(proxy, sizeof proxy, "http://9.9.9.9:%d", port);
    assert_int_equal(fetched("private.example", "/", proxy, 1, &made), JWKS_FETCH_REFUSED);
    assert_int_equal(made, 0);
    assert_int_equal(fetched("private.example", "/", proxy, 0, &made), JWKS_FETCH_ANSWERED);
    assert_int_equal(made, 1);
}

int main(void)
{
    char hosts[1024] = "";
    enter_namespaces();
    for (int i = 0; i < PLACES; i++) {
        size_t length = strlen(hosts);
        snprintf(hosts + length, sizeof hosts - length, "%s %s\n", places[i].address, places[i].name);
        if (strcmp(places[i].address, "127.0.0.1") != 0 && strcmp(places[i].address, "::1") != 0)
            add_address(places[i].address);
    }
    resolve_with(hosts);
    start_server();
    const struct CMUnitTest tests[] = {
        WITH_FETCHER(names_lead_to_public_addresses_only),
        WITH_FETCHER(of_several_addresses_the_public_one_is_asked),
        WITH_FETCHER(literals_are_held_against_the_same_rules),
        WITH_FETCHER(a_connection_that_was_made_for_others_is_not_used),
        WITH_FETCHER(a_redirect_is_no_way_around),
        WITH_FETCHER(a_proxy_would_be_a_way_around),
    };
    cmocka_set_test_filter(getenv("KEYTURN_TEST_ONLY")); /* for the mutants */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
