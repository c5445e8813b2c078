/* libkeyturn-fetch.so against a server with every fault: each has its one failure or status, in its time. */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const both[] = { "FAULTS_HTTP", "FAULTS_HTTPS" };

/* Whether the server saw this in the request, which it has sent back. */
static int was_sent(const jwks_fetch *fetch, const char *text)
{
    return strcasestr(fetch->response.body.data, text) != NULL;
}

/* ---- Answers */

static void an_answer_has_body_and_fields(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        jwks_fetch *fetch = new_fetch(both[i], "/ok");
        run(fetch);
        assert_ended(fetch, JWKS_FETCH_ANSWERED);
        assert_int_equal(fetch->response.size, sizeof(jwks_response));
        assert_int_equal(fetch->response.http_status, 200);
        assert_int_equal(fetch->response.requests, 1);
        assert_text(fetch->response.body, "{\"keys\":[]}");
        assert_text(fetch->response.cache_control, "public, max-age=60");
        assert_text(fetch->response.age, "5");
        assert_text(fetch->response.date, "Fri, 20 Nov 2026 10:00:00 GMT");
        assert_text(fetch->response.expires, "Fri, 20 Nov 2026 10:05:00 GMT");
        assert_text(fetch->response.etag, "\"one\"");
        assert_text(fetch->response.last_modified, "Thu, 19 Nov 2026 10:00:00 GMT");
        assert_text(fetch->response.retry_after, "7");
        free_fetch(fetch);
    }
}

static void an_interim_answer_leaves_nothing(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/early");
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_ANSWERED);
    assert_text(fetch->response.etag, "\"one\"");
    assert_int_equal(fetch->response.age.len, 0);
    free_fetch(fetch);
}

static void any_status_is_an_answer(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        unsigned status;
        const char *body, *retry_after;
    } cases[] = {
        { "/not_modified", 304, "", "" },
        { "/status?500", 500, "trouble", "7" },
        { "/status?404", 404, "trouble", "7" },
        { "/status?503", 503, "trouble", "7" },
        { "/status?300", 300, "trouble", "7" },
        { "/status?302", 302, "trouble", "7" }, /* to nowhere */
        { "/html", 200, "<html>Log in first</html>", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTP", cases[i].path);
        run(fetch);
        assert_ended(fetch, JWKS_FETCH_ANSWERED);
        assert_int_equal(fetch->response.http_status, cases[i].status);
        assert_text(fetch->response.body, cases[i].body);
        assert_text(fetch->response.retry_after, cases[i].retry_after);
        free_fetch(fetch);
    }
}

static void the_request_says_what_it_should(void **state)
{
    (void)state;
    const char *const headers[] = { "X-Api-Key: secret", "X-Tenant: a: b" };
    jwks_fetch *fetch = new_fetch("FAULTS_HTTPS", "/echo");
    fetch->request.headers = headers;
    fetch->request.header_count = 2;
    fetch->request.if_none_match = "\"one\"";
    fetch->request.if_modified_since = "Thu, 19 Nov 2026 10:00:00 GMT";
    fetch->request.client_certificate = told("FAULTS_CERTIFICATE");
    fetch->request.client_key = told("FAULTS_KEY");
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_ANSWERED);
    static const char *const lines[] = {
        "GET /echo HTTP/1.1\r\n",
        "User-Agent: Keyturn/" KEYTURN_VERSION "\r\n",
        "Accept-Encoding: gzip\r\n",
        "X-Api-Key: secret\r\n",
        "X-Tenant: a: b\r\n",
        "If-None-Match: \"one\"\r\n",
        "If-Modified-Since: Thu, 19 Nov 2026 10:00:00 GMT\r\n",
        "Client: client\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!was_sent(fetch, lines[i]))
            fail_msg("%s is not in %s", lines[i], fetch->response.body.data);
    assert_false(was_sent(fetch, "Cookie") || was_sent(fetch, "Authorization"));
    free_fetch(fetch);
}

static void http_2_is_taken(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_fetch("FAULTS_H2", "/echo");
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_ANSWERED);
    assert_int_equal(fetch->response.http_status, 200);
    assert_text(fetch->response.etag, "\"two\"");
    assert_true(was_sent(fetch, ":path: /echo"));
    free_fetch(fetch);
}

/* ---- Connections */

static void a_connection_is_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTPS", "/echo");
        char served[32];
        run(fetch);
        snprintf(served, sizeof served, "Served: %d\r\n", i);
        assert_true(was_sent(fetch, served));
        free_fetch(fetch);
    }
}

static void a_dead_connection_is_tried_once_more(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTPS", "/dies");
        run(fetch);
        assert_ended(fetch, JWKS_FETCH_ANSWERED);
        assert_int_equal(fetch->response.requests, i ? 2 : 1);
        assert_took(fetch, 0, 2000);
        free_fetch(fetch);
    }
}

static void a_second_death_ends_the_fetch(void **state)
{
    (void)state;
    assert_failure("FAULTS_HTTP", "/ok", JWKS_FETCH_ANSWERED);
    jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/close");
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_BROKEN);
    assert_int_equal(fetch->response.requests, 2);
    free_fetch(fetch);
}

static void a_connection_that_ended_while_idle_is_not_used(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/idles_out");
        run(fetch);
        assert_ended(fetch, JWKS_FETCH_ANSWERED);
        assert_int_equal(fetch->response.requests, 1);
        free_fetch(fetch);
        pause_for(50);
    }
}

/* A connection that a client's certificate has opened serves nobody else. */
static void connections_are_not_shared_across_certificates(void **state)
{
    (void)state;
    for (int with = 1; with >= 0; with--) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTPS", "/echo");
        fetch->request.client_certificate = with ? told("FAULTS_CERTIFICATE") : NULL;
        fetch->request.client_key = with ? told("FAULTS_KEY") : NULL;
        run(fetch);
        assert_true(was_sent(fetch, with ? "Client: client\r\n" : "Client: \r\n"));
        free_fetch(fetch);
    }
}

static void what_breaks_is_broken(void **state)
{
    (void)state;
    static const char *const paths[] = { "/reset", "/close", "/garbage", "/truncated", "/unzippable" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_failure("FAULTS_HTTP", paths[i], JWKS_FETCH_BROKEN);
        assert_failure("FAULTS_HTTPS", paths[i], JWKS_FETCH_BROKEN);
    }
}

static void nobody_there_is_no_connection(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "");
    strcpy(fetch->url, "http://127.0.0.1:1/");
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_CONNECT);
    assert_int_equal(fetch->response.requests, 0);
    free_fetch(fetch);
}

static void an_unknown_name_is_not_resolved(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "");
    strcpy(fetch->url, "https://nobody..example/"); /* no resolver is asked for an empty label */
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_RESOLVE);
    free_fetch(fetch);
}

/* ---- Times */

static void time_runs_out(void **state)
{
    (void)state;
    static const char *const paths[] = { "/hang", "/drip", "/claimed?100", "/hollow" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (int j = 0; j < 2; j++) {
            jwks_fetch *fetch = new_fetch(both[j], paths[i]);
            fetch->request.timeout_ms = (uint32_t)stretched(300);
            run(fetch);
            int endless = strcmp(paths[i], "/hollow") == 0; /* its octets are counted before its time is up */
            assert_ended(fetch, endless ? JWKS_FETCH_TOO_LARGE : JWKS_FETCH_TIMEOUT);
            assert_took(fetch, endless ? 0 : 290, 1300);
            free_fetch(fetch);
        }
}

static void connecting_has_a_time_of_its_own(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_fetch("FAULTS_DEAF", "/ok");
    fetch->request.connect_timeout_ms = (uint32_t)stretched(300);
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_TIMEOUT);
    assert_took(fetch, 290, 1300);
    free_fetch(fetch);
}

static void no_time_given_is_the_default(void **state)
{
    (void)state;
    jwks_fetch *deaf = new_fetch("FAULTS_DEAF", "/ok");
    jwks_fetch *hangs = new_fetch("FAULTS_HTTP", "/hang");
    deaf->request.connect_timeout_ms = hangs->request.connect_timeout_ms = 0;
    deaf->request.timeout_ms = hangs->request.timeout_ms = 0;
    start(deaf);
    start(hangs);
    await(deaf);
    await(hangs);
    assert_ended(deaf, JWKS_FETCH_TIMEOUT);
    assert_ended(hangs, JWKS_FETCH_TIMEOUT);
    assert_took(deaf, 1990, 3500);
    assert_took(hangs, 4990, 6500);
    free_fetch(deaf);
    free_fetch(hangs);
}

/* ---- Sizes */

static void sizes_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        jwks_fetch_failure failure;
    } cases[] = {
        { "/sized?10000", JWKS_FETCH_ANSWERED },
        { "/sized?10001", JWKS_FETCH_TOO_LARGE },
        { "/chunked?10000", JWKS_FETCH_ANSWERED },
        { "/chunked?10001", JWKS_FETCH_TOO_LARGE },
        { "/claimed?10001", JWKS_FETCH_TOO_LARGE },
        { "/claimed?99999999999999", JWKS_FETCH_TOO_LARGE },
        { "/zipped?10000", JWKS_FETCH_ANSWERED },
        { "/zipped?10001", JWKS_FETCH_TOO_LARGE },
        { "/zipped?9000000", JWKS_FETCH_TOO_LARGE },
        { "/hollow", JWKS_FETCH_TOO_LARGE },
        { "/fields?60", JWKS_FETCH_ANSWERED },
        { "/fields?70", JWKS_FETCH_TOO_LARGE },
        { "/redirect?/chunked%3f10001", JWKS_FETCH_TOO_LARGE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int j = 0; j < 2; j++) {
            jwks_fetch *fetch = new_fetch(both[j], cases[i].path);
            fetch->request.max_redirects = 1;
            run(fetch);
            assert_ended(fetch, cases[i].failure);
            if (cases[i].failure == JWKS_FETCH_ANSWERED && cases[i].path[1] != 'f')
                assert_int_equal(fetch->response.body.len, 10000);
            assert_took(fetch, 0, 2500);
            free_fetch(fetch);
        }
}

static void no_size_given_is_the_default(void **state)
{
    (void)state;
    static const char *const paths[] = { "/chunked?524288", "/chunked?524289" };
    for (int over = 0; over <= 1; over++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTP", paths[over]);
        fetch->request.max_body = 0;
        run(fetch);
        assert_ended(fetch, over ? JWKS_FETCH_TOO_LARGE : JWKS_FETCH_ANSWERED);
        free_fetch(fetch);
    }
}

/* Alone, and together with others of its name. */
static void a_long_field_is_absent(void **state)
{
    (void)state;
    jwks_fetch *fits = new_fetch("FAULTS_HTTP", "/long_field?4094");
    jwks_fetch *beyond = new_fetch("FAULTS_HTTP", "/long_field?4097");
    run(fits);
    run(beyond);
    assert_ended(fits, JWKS_FETCH_ANSWERED);
    assert_int_equal(fits->response.etag.len, 4094);
    assert_int_equal(fits->response.last_modified.len, 4096);
    assert_ended(beyond, JWKS_FETCH_ANSWERED);
    assert_int_equal(beyond->response.etag.len, 0);
    assert_int_equal(beyond->response.last_modified.len, 0);
    assert_text(beyond->response.age, "1");
    free_fetch(fits);
    free_fetch(beyond);
}

/* ---- Redirects */

/* A fetch of `server` that is led to `path` at `other`. */
static jwks_fetch *redirected(const char *server, const char *other, const char *path, uint32_t most)
{
    char argument[2000];
    snprintf(argument, sizeof argument, "/redirect?%s%s", *other ? told(other) : "", path);
    jwks_fetch *fetch = new_fetch(server, argument);
    fetch->request.max_redirects = most;
    return fetch;
}

static void assert_redirect_ends(jwks_fetch *fetch, jwks_fetch_failure failure, unsigned requests)
{
    run(fetch);
    assert_ended(fetch, failure);
    assert_int_equal(fetch->response.requests, requests);
    free_fetch(fetch);
}

static void redirects_go_where_they_may(void **state)
{
    (void)state;
    assert_redirect_ends(redirected("FAULTS_HTTPS", "", "/ok", 0), JWKS_FETCH_REFUSED, 1);
    assert_redirect_ends(redirected("FAULTS_HTTPS", "", "/ok", 1), JWKS_FETCH_ANSWERED, 2);
    assert_redirect_ends(redirected("FAULTS_HTTPS", "FAULTS_HTTP", "/ok", 3), JWKS_FETCH_REFUSED, 1);
    assert_redirect_ends(redirected("FAULTS_HTTP", "FAULTS_HTTPS", "/ok", 3), JWKS_FETCH_ANSWERED, 2);
    assert_redirect_ends(redirected("FAULTS_HTTP", "", "/ok", 3), JWKS_FETCH_ANSWERED, 2);
    assert_redirect_ends(redirected("FAULTS_HTTPS", "FAULTS_SELF_SIGNED", "/ok", 3), JWKS_FETCH_TLS, 1);
    static const char *const elsewhere[] = { "file:///etc/hostname", "ftp://127.0.0.1/",
                                             "https://u:p@127.0.0.1/", "gopher://127.0.0.1/", "https://" };
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        assert_redirect_ends(redirected("FAULTS_HTTPS", "", elsewhere[i], 3), JWKS_FETCH_REFUSED, 1);
}

static void a_loop_ends(void **state)
{
    (void)state;
    for (uint32_t most = 0; most <= 3; most++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTPS", "/loop");
        fetch->request.max_redirects = most;
        assert_redirect_ends(fetch, JWKS_FETCH_REFUSED, most + 1);
    }
}

/* `path` is where the fetch is led to. What is the origin's own is seen there, or not. */
static void assert_own_is_sent(jwks_fetch *fetch, int expected)
{
    const char *const headers[] = { "X-Api-Key: secret", "Authorization: Bearer secret" };
    fetch->request.headers = headers;
    fetch->request.header_count = 2;
    fetch->request.if_none_match = "\"one\"";
    fetch->request.client_certificate = told("FAULTS_CERTIFICATE");
    fetch->request.client_key = told("FAULTS_KEY");
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_ANSWERED);
    assert_int_equal(was_sent(fetch, "X-Api-Key: secret"), expected);
    assert_int_equal(was_sent(fetch, "Authorization"), expected);
    assert_int_equal(was_sent(fetch, "Client: client"), expected);
    assert_true(was_sent(fetch, "If-None-Match: \"one\""));
    free_fetch(fetch);
}

static void secrets_stay_with_their_origin(void **state)
{
    (void)state;
    const char *here = told("FAULTS_HTTPS");
    char other[256], back[512], onward[600];
    snprintf(other, sizeof other, "https://localhost%s", strrchr(here, ':'));
    snprintf(back, sizeof back, "%s/redirect?%s/echo", other, here);
    assert_own_is_sent(redirected("FAULTS_HTTPS", "", "/echo", 3), 1);
    assert_own_is_sent(redirected("FAULTS_HTTPS", "FAULTS_HTTPS", "/echo", 3), 1);
    snprintf(onward, sizeof onward, "%s/redirect?%s/echo", other, other);
    strcat(other, "/echo");
    assert_own_is_sent(redirected("FAULTS_HTTPS", "", other, 3), 0);
    /* Gone once, gone for good. */
    assert_own_is_sent(redirected("FAULTS_HTTPS", "", back, 3), 0);
    assert_own_is_sent(redirected("FAULTS_HTTPS", "", onward, 3), 0);
}

/* ---- Trust */

static void bad_tls_is_refused(void **state)
{
    (void)state;
    static const char *const servers[] = { "FAULTS_WRONG_HOST", "FAULTS_EXPIRED", "FAULTS_SELF_SIGNED",
                                           "FAULTS_OLD_TLS" };
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        jwks_fetch *fetch = new_fetch(servers[i], "/ok");
        run(fetch);
        assert_ended(fetch, JWKS_FETCH_TLS);
        assert_int_equal(fetch->response.requests, 0);
        free_fetch(fetch);
    }
}

static void the_authority_must_be_known(void **state)
{
    (void)state;
    const char *const files[] = { NULL, told("FAULTS_CERTIFICATE"), "/nowhere.pem" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTPS", "/ok");
        fetch->request.ca_file = files[i];
        run(fetch);
        assert_ended(fetch, JWKS_FETCH_TLS);
        free_fetch(fetch);
    }
}

static void other_urls_are_refused(void **state)
{
    (void)state;
    static const char *const urls[] = { "file:///etc/hostname",
                                        "ftp://127.0.0.1/",
                                        "dict://127.0.0.1/",
                                        "127.0.0.1",
                                        "https://",
                                        "",
                                        "https://me:secret@127.0.0.1/",
                                        "https://me@127.0.0.1/",
                                        "https://127.0.0.1:99999/",
                                        "https://a b/",
                                        "//127.0.0.1/" };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTPS", "");
        strcpy(fetch->url, urls[i]);
        assert_redirect_ends(fetch, JWKS_FETCH_REFUSED, 0);
    }
    static const uint32_t not_allowed[] = { 0, 2, 0x100 };
    for (size_t i = 0; i < sizeof not_allowed / sizeof *not_allowed; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/ok");
        fetch->request.allow_http = not_allowed[i];
        assert_redirect_ends(fetch, JWKS_FETCH_REFUSED, 0);
    }
}

static void odd_requests_are_not_made(void **state)
{
    (void)state;
    const char *const headers[] = { "X: a\r\nY: b", "No-Colon", "User-Agent:", ": nameless", "", NULL };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/ok");
        fetch->request.headers = &headers[i];
        fetch->request.header_count = 1;
        assert_redirect_ends(fetch, JWKS_FETCH_OTHER, 0);
    }
    static const size_t sizes[] = { 0, 8, sizeof(jwks_request) - 1, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/ok");
        fetch->request.size = sizes[i];
        assert_redirect_ends(fetch, JWKS_FETCH_OTHER, 0);
    }
    struct {
        jwks_request request;
        uint64_t newer;
    } longer = { .newer = 0 };
    for (; longer.newer <= 1; longer.newer++) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/ok");
        longer.request = fetch->request;
        longer.request.size = sizeof longer;
        fetcher.start(fetcher.context, fetch, &longer.request);
        await(fetch);
        assert_ended(fetch, longer.newer ? JWKS_FETCH_OTHER : JWKS_FETCH_ANSWERED);
        free_fetch(fetch);
    }
}

/* An ETag that an issuer chose adds no field to the next request. */
static void a_validator_adds_no_field(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/echo");
    fetch->request.if_none_match = "\"one\"\r\nX-Smuggled: yes";
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_ANSWERED);
    assert_false(was_sent(fetch, "Smuggled") || was_sent(fetch, "If-None-Match"));
    free_fetch(fetch);
}

/* ---- Proxies and surroundings */

static void surround(int on)
{
    static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY",
                                         "all_proxy" };
    char home[] = "/tmp/keyturn-home-XXXXXX", netrc[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        on ? setenv(names[i], "http://127.0.0.1:1", 1) : unsetenv(names[i]);
    static char made[sizeof home];
    if (on) {
        assert_non_null(mkdtemp(home));
        strcpy(made, home);
        setenv("HOME", made, 1);
    }
    snprintf(netrc, sizeof netrc, "%s/.netrc", made);
    if (!on) {
        unlink(netrc);
        rmdir(made);
        return;
    }
    FILE *file = fopen(netrc, "w");
    assert_non_null(file);
    fputs("machine 127.0.0.1 login me password secret\n", file);
    fclose(file);
}

static void the_surroundings_say_nothing(void **state)
{
    (void)state;
    surround(1);
    for (int i = 0; i < 2; i++) {
        jwks_fetch *fetch = new_fetch(both[i], "/echo");
        run(fetch);
        assert_ended(fetch, JWKS_FETCH_ANSWERED);
        assert_true(was_sent(fetch, "GET /echo HTTP/1.1"));
        assert_false(was_sent(fetch, "Authorization"));
        free_fetch(fetch);
    }
    surround(0);
}

static void the_proxy_is_the_one_given(void **state)
{
    (void)state;
    setenv("NO_PROXY", "*", 1);
    jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "");
    strcpy(fetch->url, "http://issuer.invalid/echo");
    fetch->request.proxy = told("FAULTS_HTTP");
    run(fetch);
    unsetenv("NO_PROXY");
    assert_ended(fetch, JWKS_FETCH_ANSWERED);
    assert_true(was_sent(fetch, "GET http://issuer.invalid/echo HTTP/1.1"));
    free_fetch(fetch);
}

static void a_proxy_that_refuses_is_no_connection(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_fetch("FAULTS_HTTPS", "/ok");
    fetch->request.proxy = "http://127.0.0.1:1";
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_CONNECT);
    free_fetch(fetch);
}

/* ---- Cancelling, stopping, many at once */

static void a_cancelled_fetch_ends_soon(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        jwks_fetch *fetch = new_fetch(both[i], "/hang");
        start(fetch);
        pause_for(i ? 100 : 0);
        cancel(fetch);
        await(fetch);
        assert_ended(fetch, JWKS_FETCH_CANCELLED);
        assert_took(fetch, 0, 500);
        cancel(fetch); /* of nobody's */
        free_fetch(fetch);
    }
}

/* Some have their answer, some are cancelled, and each ends once. */
static void a_fetch_is_cancelled_at_any_moment(void **state)
{
    (void)state;
    int answered = 0, cancelled = 0;
    for (int i = 0; i < 200; i++) {
        jwks_fetch *fetch = new_fetch(both[i & 1], "/ok");
        start(fetch);
        for (volatile int spin = 0; spin < i * i * 40; spin++)
            continue;
        cancel(fetch);
        await(fetch);
        answered += fetch->response.failure == JWKS_FETCH_ANSWERED;
        cancelled += fetch->response.failure == JWKS_FETCH_CANCELLED;
        assert_int_equal(fetch->completions, 1);
        free_fetch(fetch);
    }
    assert_int_equal(answered + cancelled, 200);
    assert_true(cancelled > 0);
}

enum { MANY = 150, PLACES = 64, WAITING = 1024 };

static void sixty_four_are_made_at_once(void **state)
{
    (void)state;
    jwks_fetch *fetches[MANY];
    for (int i = 0; i < MANY; i++) {
        fetches[i] = new_fetch("FAULTS_HTTP", "/slow?500");
        fetches[i]->request.timeout_ms = 20000;
        start(fetches[i]);
    }
    for (int i = 0; i < MANY; i++) {
        await(fetches[i]);
        assert_ended(fetches[i], JWKS_FETCH_ANSWERED);
        free_fetch(fetches[i]);
    }
    jwks_fetch *most = new_fetch("FAULTS_HTTP", "/most");
    run(most);
    assert_in_range(atoi(most->response.body.data), getenv("KEYTURN_TEST_SLACK") ? 1 : PLACES - 8, PLACES);
    free_fetch(most);
}

/* Those that wait have their time too, and what is beyond is refused. */
static void the_queue_is_bounded(void **state)
{
    (void)state;
    static jwks_fetch *fetches[PLACES + WAITING + 10];
    enum { ALL = sizeof fetches / sizeof *fetches };
    for (int i = 0; i < ALL; i++) {
        fetches[i] = new_fetch("FAULTS_HTTP", "/hang");
        fetches[i]->request.timeout_ms = (uint32_t)stretched(1500);
        start(fetches[i]);
    }
    int refused = 0, timed_out = 0;
    for (int i = 0; i < ALL; i++) {
        await(fetches[i]);
        refused += fetches[i]->response.failure == JWKS_FETCH_OTHER;
        timed_out += fetches[i]->response.failure == JWKS_FETCH_TIMEOUT;
        assert_took(fetches[i], 0, 4000);
        free_fetch(fetches[i]);
    }
    assert_int_equal(refused, 10);
    assert_int_equal(timed_out, PLACES + WAITING);
}

static void a_stop_cancels_what_hangs(void **state)
{
    (void)state;
    jwks_fetch *fetches[MANY];
    assert_int_equal(make_fetcher(NULL), 0);
    for (int i = 0; i < MANY; i++) {
        fetches[i] = new_fetch(i % 3 ? both[i & 1] : "FAULTS_DEAF", i & 2 ? "/hang" : "/drip");
        start(fetches[i]);
    }
    pause_for(200);
    int64_t began = now();
    keyturn_fetch_stop(&fetcher);
    assert_in_range(now() - began, 0, stretched(1000) - 1);
    for (int i = 0; i < MANY; i++) {
        assert_ended(fetches[i], JWKS_FETCH_CANCELLED);
        free_fetch(fetches[i]);
    }
    assert_null(fetcher.context);
    keyturn_fetch_stop(&fetcher);
    keyturn_fetch_stop(NULL);
}

static jwks_fetch *following;

static void start_following(jwks_fetch *fetch)
{
    (void)fetch;
    start(following);
}

static void a_completion_may_start_another(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/ok");
    following = new_fetch("FAULTS_HTTP", "/ok");
    fetch->then = start_following;
    run(fetch);
    await(following);
    assert_ended(following, JWKS_FETCH_ANSWERED);
    free_fetch(fetch);
    free_fetch(following);
}

/* ---- What the host's process sees */

static int entries(const char *folder)
{
    DIR *directory = opendir(folder);
    int count = 0;
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* How many threads have the fetcher's name; `*blocked` is the mask of the last. */
static int fetcher_threads(uint64_t *blocked)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    assert_non_null(tasks);
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], line[256];
        int ours = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) {
            ours |= strcmp(line, "Name:\tkeyturn-fetch\n") == 0;
            if (ours && strncmp(line, "SigBlk:", 7) == 0)
                *blocked = strtoull(line + 7, NULL, 16);
        }
        if (file)
            fclose(file);
        count += ours;
    }
    closedir(tasks);
    return count;
}

static int is_blocked(uint64_t mask, int signal)
{
    return mask >> (signal - 1) & 1;
}

static void a_fetcher_is_one_thread_and_leaves_nothing(void **state)
{
    (void)state;
    uint64_t blocked = 0;
    sigset_t before, after;
    sigprocmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(make_fetcher(NULL), 0); /* the first initializes libcurl */
    keyturn_fetch_stop(&fetcher);
    int threads = entries("/proc/self/task"), descriptors = entries("/proc/self/fd");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(make_fetcher(NULL), 0);
        assert_failure("FAULTS_HTTPS", "/ok", JWKS_FETCH_ANSWERED);
        assert_failure("FAULTS_HTTPS", "/reset", JWKS_FETCH_BROKEN);
        assert_failure("FAULTS_SELF_SIGNED", "/ok", JWKS_FETCH_TLS);
        assert_int_equal(fetcher_threads(&blocked), 1);
        assert_int_equal(entries("/proc/self/task"), threads + 1);
        assert_true(entries("/proc/self/fd") > descriptors);
        keyturn_fetch_stop(&fetcher);
        assert_int_equal(fetcher_threads(&blocked), 0);
        assert_int_equal(entries("/proc/self/task"), threads);
        assert_int_equal(entries("/proc/self/fd"), descriptors);
    }
    if (!getenv("KEYTURN_TEST_SLACK")) { /* valgrind keeps masks of its own */
        assert_true(is_blocked(blocked, SIGTERM) && is_blocked(blocked, SIGPIPE) &&
                    is_blocked(blocked, SIGCHLD));
        assert_false(is_blocked(blocked, SIGSEGV) || is_blocked(blocked, SIGBUS));
    }
    sigprocmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < NSIG; signal++)
        assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
}

static void nothing_is_printed(void **state)
{
    (void)state;
    FILE *said = tmpfile();
    int out = dup(1), err = dup(2);
    fflush(stdout);
    dup2(fileno(said), 1);
    dup2(fileno(said), 2);
    make_fetcher(NULL);
    assert_failure("FAULTS_HTTPS", "/ok", JWKS_FETCH_ANSWERED);
    assert_failure("FAULTS_SELF_SIGNED", "/ok", JWKS_FETCH_TLS);
    assert_failure("FAULTS_HTTP", "/garbage", JWKS_FETCH_BROKEN);
    keyturn_fetch_stop(&fetcher);
    fflush(stdout);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    struct stat all;
    fstat(fileno(said), &all);
    assert_int_equal(all.st_size, 0);
    fclose(said);
}

static void a_forked_child_has_no_fetcher(void **state)
{
    (void)state;
    assert_failure("FAULTS_HTTP", "/ok", JWKS_FETCH_ANSWERED);
    pid_t child = fork();
    if (child == 0) {
        jwks_fetch *fetch = new_fetch("FAULTS_HTTP", "/ok");
        start(fetch);
        cancel(fetch);
        int right = fetch->completions == 1 && fetch->response.failure == JWKS_FETCH_OTHER;
        keyturn_fetch_stop(&fetcher);
        right = right && fetcher.context == NULL && make_fetcher(NULL) == 0;
        run(fetch);
        keyturn_fetch_stop(&fetcher);
        if (right && fetch->completions == 2)
            execlp("true", "true",
                   NULL); /* the parent's fetcher is lost here, which a leak checker must not see */
        _exit(1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_failure("FAULTS_HTTP", "/ok", JWKS_FETCH_ANSWERED);
}

static void misuse_is_told(void **state)
{
    (void)state;
    jwks_fetcher out = { .size = sizeof out };
    jwks_error error = JWKS_ERROR_INIT;
    assert_int_equal(keyturn_fetch_new(NULL, &out, &error), JWKS_INVALID_ARGUMENT);
    assert_string_equal(error.option, "complete");
    assert_int_equal(keyturn_fetch_new(complete, NULL, &error), JWKS_INVALID_ARGUMENT);
    assert_string_equal(error.option, "out");
    out.size = 8;
    assert_int_equal(keyturn_fetch_new(complete, &out, NULL), JWKS_INVALID_ARGUMENT);
    assert_null(out.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FETCHER(an_answer_has_body_and_fields),
        WITH_FETCHER(an_interim_answer_leaves_nothing),
        WITH_FETCHER(any_status_is_an_answer),
        WITH_FETCHER(the_request_says_what_it_should),
        WITH_FETCHER(http_2_is_taken),
        WITH_FETCHER(a_connection_is_used_again),
        WITH_FETCHER(a_dead_connection_is_tried_once_more),
        WITH_FETCHER(a_second_death_ends_the_fetch),
        WITH_FETCHER(a_connection_that_ended_while_idle_is_not_used),
        WITH_FETCHER(connections_are_not_shared_across_certificates),
        WITH_FETCHER(what_breaks_is_broken),
        WITH_FETCHER(nobody_there_is_no_connection),
        WITH_FETCHER(an_unknown_name_is_not_resolved),
        WITH_FETCHER(time_runs_out),
        WITH_FETCHER(connecting_has_a_time_of_its_own),
        WITH_FETCHER(no_time_given_is_the_default),
        WITH_FETCHER(sizes_are_bounded),
        WITH_FETCHER(no_size_given_is_the_default),
        WITH_FETCHER(a_long_field_is_absent),
        WITH_FETCHER(redirects_go_where_they_may),
        WITH_FETCHER(a_loop_ends),
        WITH_FETCHER(secrets_stay_with_their_origin),
        WITH_FETCHER(bad_tls_is_refused),
        WITH_FETCHER(the_authority_must_be_known),
        WITH_FETCHER(other_urls_are_refused),
        WITH_FETCHER(odd_requests_are_not_made),
        WITH_FETCHER(a_validator_adds_no_field),
        WITH_FETCHER(the_surroundings_say_nothing),
        WITH_FETCHER(the_proxy_is_the_one_given),
        WITH_FETCHER(a_proxy_that_refuses_is_no_connection),
        WITH_FETCHER(a_cancelled_fetch_ends_soon),
        WITH_FETCHER(a_fetch_is_cancelled_at_any_moment),
        WITH_FETCHER(sixty_four_are_made_at_once),
        WITH_FETCHER(the_queue_is_bounded),
        WITH_FETCHER(a_completion_may_start_another),
        cmocka_unit_test(a_stop_cancels_what_hangs),
        cmocka_unit_test(a_fetcher_is_one_thread_and_leaves_nothing),
        cmocka_unit_test(nothing_is_printed),
        WITH_FETCHER(a_forked_child_has_no_fetcher),
        cmocka_unit_test(misuse_is_told),
    };
    cmocka_set_test_filter(getenv("KEYTURN_TEST_ONLY")); /* for the mutants */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
