/* What the suites share whose keys are fetched: a host that plays the fetcher itself, on a clock that it moves. */
#ifndef FETCHING_H
#define FETCHING_H

#include "support.h"

#define URL "https://keys.example/jwks.json"
#define MINUTE INT64_C(60000)
#define HOUR INT64_C(3600000)

/* ---- A fetcher that keeps what is asked of it until the test answers */

enum { MOST = 64 };

struct asked {
    jwks_fetch *fetch;
    char url[256], etag[64], header[64], certificate[64];
    uint32_t timeout_ms, max_body, public_only, max_redirects;
    int cancelled;
};

struct host {
    int64_t wall, now;
    struct asked asked[MOST]; /* not yet answered, oldest first */
    size_t under_way, starts;
    jwks_cache *cache;
    jwks_issuer *issuer;
    jwt_policy *policy;
    jwt_result *result;
    const char *store, *store_user; /* NULL: none */
    uint32_t is_reader, is_agent;
};

/* The fetcher's calls; the context is the host. */
void start_fetch(void *context, jwks_fetch *fetch, const jwks_request *request);
void cancel_fetch(void *context, jwks_fetch *fetch);

/* The oldest, taken from the list. */
jwks_fetch *take(struct host *host);
/* Each answers the oldest. */
void reply(struct host *host, const jwks_response *response);
void reply_with(struct host *host, uint32_t status, const char *body, const char *cache_control,
                const char *etag);
void reply_failure(struct host *host, jwks_fetch_failure failure);
/* With a set of key `key` under the kid `kid`. */
void reply_key(struct host *host, unsigned key, const char *kid);
char *set_of(unsigned key, const char *kid);

/* ---- The host */

jwks_cache *cache_of(struct host *host, const jwks_fetcher *fetcher);
int make_host(void **state);
/* The same with a store. */
struct host *host_with_store(const char *directory, int64_t now);
/* As a reader, without a fetcher, or as an agent. */
struct host *reader_of(const char *directory, const char *user, int64_t now);
struct host *agent_of(const char *directory, int64_t now);
/* Fetches that are still under way are completed after everything else has gone. */
int end_host(void **state);
void close_host(struct host *host);
#define WITH_HOST(test) cmocka_unit_test_setup_teardown(test, make_host, end_host)

jwks_issuer_options by_url(void);
jwks_issuer_options by_discovery(void);
/* Adds the host's issuer, and makes a policy for it. */
void add(struct host *host, const jwks_issuer_options *options);
/* The same at URL; returns its argument. */
struct host *with_issuer(struct host *host);
/* An issuer at URL that serves key 1 as "one"; one with these options. */
void serve(struct host *host);
void serve_by(struct host *host, const jwks_issuer_options *options);
/* Has it asked for a kid that it has not got. */
void ask_in_vain(struct host *host, const char *kid);
jwt_status revoke_kid(struct host *host, const char *kid);

uint32_t poll_cache(struct host *host);
/* Lets time go by as a host would: polling when it is told to. Stops early when a fetch is asked for. */
void pass(struct host *host, int64_t ms);
/* The same with an origin that fails every fetch. Gives how many there were. */
size_t pass_failing(struct host *host, int64_t ms, uint32_t status);
/* Verifies a token that key `key` has signed under the kid `kid`. */
jwt_status ask_kid(struct host *host, unsigned key, const char *kid);

/* That the next event is of this kind. */
void expect_event(jwks_cache *cache, jwks_event_kind kind);

/* That an issuer with these options is refused because of the one of this name. */
void assert_option_refused(struct host *host, const jwks_issuer_options *options, const char *name);
#define REFUSED(name, start, ...)                                                                            \
    do {                                                                                                     \
        jwks_issuer_options options = start();                                                               \
        __VA_ARGS__;                                                                                         \
        assert_option_refused(host, &options, name);                                                         \
    } while (0)

/* ---- Directories: the test's state is its path */

int make_store(void **state);
int remove_store(void **state);
void each_file(const char *path, void (*visit)(const char *path));
/* The issuer's in that one, by SHA-256 of its name. */
char *issuer_file(const char *path, const char *ending);

struct octets {
    unsigned char data[8192];
    size_t count;
};

/* More than `least` of them. */
struct octets read_file(const char *path, size_t least);
void write_file(const char *path, const struct octets *octets);
#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_store, remove_store)

/* In a child that is another user. */
void as_user(uid_t user, void (*body)(const char *path), const char *path);

#endif
