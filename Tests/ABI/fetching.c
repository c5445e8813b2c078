#include "fetching.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The fetcher */

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

void start_fetch(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    struct host *host = context;
    assert_true(host->under_way < MOST);
    struct asked *asked = &host->asked[host->under_way++];
    memset(asked, 0, sizeof *asked);
    asked->fetch = fetch;
    copy(asked->url, sizeof asked->url, request->url);
    copy(asked->etag, sizeof asked->etag, request->if_none_match);
    copy(asked->header, sizeof asked->header, request->header_count ? request->headers[0] : NULL);
    copy(asked->certificate, sizeof asked->certificate, request->client_certificate);
    asked->timeout_ms = request->timeout_ms;
    asked->max_body = request->max_body;
    asked->max_redirects = request->max_redirects;
    asked->public_only = request->public_only;
    assert_null(jwks_fetch_user(fetch));
    jwks_fetch_set_user(fetch, host);
    host->starts++;
}

void cancel_fetch(void *context, jwks_fetch *fetch)
{
    struct host *host = context;
    assert_ptr_equal(jwks_fetch_user(fetch), host);
    for (size_t i = 0; i < host->under_way; i++)
        if (host->asked[i].fetch == fetch)
            host->asked[i].cancelled++;
}

jwks_fetch *take(struct host *host)
{
    assert_true(host->under_way > 0);
    jwks_fetch *fetch = host->asked[0].fetch;
    memmove(host->asked, host->asked + 1, --host->under_way * sizeof *host->asked);
    return fetch;
}

void reply(struct host *host, const jwks_response *response)
{
    jwks_fetch_complete(take(host), response);
}

void reply_with(struct host *host, uint32_t status, const char *body, const char *cache_control,
                const char *etag)
{
    jwks_response response = JWKS_RESPONSE_INIT;
    response.http_status = status;
    response.body = span_of(body);
    response.cache_control = span_of(cache_control);
    response.etag = span_of(etag);
    reply(host, &response);
}

void reply_failure(struct host *host, jwks_fetch_failure failure)
{
    jwks_response response = JWKS_RESPONSE_INIT;
    response.failure = failure;
    reply(host, &response);
}

char *set_of(unsigned key, const char *kid)
{
    char *one = jwk(key, kid), *set = text("{\"keys\":[%s]}", one);
    free(one);
    return set;
}

void reply_key(struct host *host, unsigned key, const char *kid)
{
    char *set = set_of(key, kid);
    reply_with(host, 200, set, NULL, NULL);
    free(set);
}

/* ---- The host */

uint32_t poll_cache(struct host *host)
{
    uint32_t next = 0;
    assert_status(jwks_cache_poll(host->cache, &next), JWT_OK);
    return next;
}

void pass(struct host *host, int64_t ms)
{
    int64_t end = host->now + ms;
    for (;;) {
        size_t before = host->starts;
        uint32_t next = poll_cache(host);
        if (host->starts != before || host->now >= end)
            return;
        host->now = next < (uint64_t)(end - host->now) ? host->now + (next ? next : 1) : end;
    }
}

size_t pass_failing(struct host *host, int64_t ms, uint32_t status)
{
    int64_t end = host->now + ms;
    size_t before = host->starts;
    while (host->now < end) {
        pass(host, end - host->now);
        while (host->under_way > 0)
            reply_with(host, status, NULL, NULL, NULL);
    }
    poll_cache(host);
    return host->starts - before;
}

jwt_status ask_kid(struct host *host, unsigned key, const char *kid)
{
    char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kid), *token = mint(key, header, GOOD_CLAIMS);
    jwt_status status = verify_octets(host->policy, token, strlen(token), host->result);
    free(header);
    free(token);
    return status;
}

jwks_issuer_options by_url(void)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = ISSUER;
    options.jwks_url = URL;
    return options;
}

jwks_issuer_options by_discovery(void)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = ISSUER;
    options.discovery = JWKS_DISCOVERY_OPENID;
    return options;
}

void add(struct host *host, const jwks_issuer_options *options)
{
    static const char *const audiences[] = { AUDIENCE };
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy_options policy = JWT_POLICY_OPTIONS_INIT;
    jwt_status status = jwks_cache_add_issuer(host->cache, options, &host->issuer, &error);
    if (status != JWT_OK)
        print_error("%s: %s\n", error.option, error.message);
    assert_status(status, JWT_OK);
    policy.issuers = &host->issuer;
    policy.issuer_count = 1;
    policy.audiences = audiences;
    policy.audience_count = 1;
    host->policy = new_policy(host->cache, &policy);
}

jwks_cache *cache_of(struct host *host, const jwks_fetcher *fetcher)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = NULL;
    options.clock = standing_clock;
    options.clock_context = &host->wall;
    options.monotonic = standing_clock;
    options.monotonic_context = &host->now;
    options.fetcher = fetcher;
    options.store = host->store;
    options.store_user = host->store_user;
    options.store_reader = host->is_reader;
    options.store_agent = host->is_agent;
    assert_status(jwks_cache_new(&options, &cache, NULL), JWT_OK);
    return cache;
}

static struct host *host_as(struct host like, int64_t now)
{
    struct host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    *host = like;
    jwks_fetcher fetcher = { sizeof fetcher, start_fetch, cancel_fetch, host };
    host->wall = NOW;
    host->now = now;
    host->cache = cache_of(host, host->is_reader ? NULL : &fetcher);
    assert_status(jwt_result_new(&host->result), JWT_OK);
    return host;
}

struct host *host_with_store(const char *directory, int64_t now)
{
    return host_as((struct host){ .store = directory }, now);
}

struct host *reader_of(const char *directory, const char *user, int64_t now)
{
    return host_as((struct host){ .store = directory, .store_user = user, .is_reader = 1 }, now);
}

struct host *agent_of(const char *directory, int64_t now)
{
    return host_as((struct host){ .store = directory, .is_agent = 1 }, now);
}

int make_host(void **state)
{
    *state = host_with_store(NULL, 1000000);
    return 0;
}

int end_host(void **state)
{
    struct host *host = *state;
    jwt_result_release(host->result);
    jwt_policy_release(host->policy);
    jwks_issuer_release(host->issuer);
    jwks_cache_release(host->cache);
    while (host->under_way > 0)
        reply_failure(host, JWKS_FETCH_CANCELLED);
    free(host);
    return 0;
}

void close_host(struct host *host)
{
    void *state = host;
    end_host(&state);
}

struct host *with_issuer(struct host *host)
{
    jwks_issuer_options options = by_url();
    add(host, &options);
    return host;
}

void serve_by(struct host *host, const jwks_issuer_options *options)
{
    add(host, options);
    poll_cache(host);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
}

void serve(struct host *host)
{
    jwks_issuer_options options = by_url();
    serve_by(host, &options);
}

void ask_in_vain(struct host *host, const char *kid)
{
    assert_status(ask_kid(host, 2, kid), JWKS_PENDING);
    poll_cache(host);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, 2, kid), JWT_KEY_NOT_FOUND);
}

jwt_status revoke_kid(struct host *host, const char *kid)
{
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    revocation.issuer = host->issuer;
    revocation.kind = JWKS_REVOKE_KID;
    revocation.value = kid;
    revocation.value_len = strlen(kid);
    return jwks_cache_revoke(host->cache, &revocation, NULL);
}

void expect_event(jwks_cache *cache, jwks_event_kind kind)
{
    jwks_event event = JWKS_EVENT_INIT;
    assert_int_equal(jwks_event_next(cache, &event), 1);
    assert_int_equal(event.kind, kind);
}

void assert_option_refused(struct host *host, const jwks_issuer_options *options, const char *name)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwks_issuer *issuer = NULL;
    assert_status(jwks_cache_add_issuer(host->cache, options, &issuer, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, name);
    assert_true(strlen(error.message) > 0);
    assert_null(issuer);
}

int make_store(void **state)
{
    char *path = strdup("/tmp/keyturn-store-XXXXXX");
    assert_non_null(mkdtemp(path));
    *state = path;
    return 0;
}

void each_file(const char *path, void (*visit)(const char *path))
{
    DIR *list = opendir(path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char *file = text("%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            visit(file);
        free(file);
    }
    closedir(list);
}

char *issuer_file(const char *path, const char *ending)
{
    unsigned char digest[32];
    char name[65];
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, ISSUER, strlen(ISSUER), digest, NULL), 1);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(name + 2 * i, 3, "%02x", digest[i]);
    return text("%s/%s.%s", path, name, ending);
}

struct octets read_file(const char *path, size_t least)
{
    struct octets octets;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    octets.count = fread(octets.data, 1, sizeof octets.data, file);
    assert_true(octets.count > least && octets.count < sizeof octets.data);
    fclose(file);
    return octets;
}

void write_file(const char *path, const struct octets *octets)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(octets->data, 1, octets->count, file), octets->count);
    assert_int_equal(fclose(file), 0);
}

int remove_store(void **state)
{
    char *path = *state;
    remove_tree(path);
    free(path);
    return 0;
}

void as_user(uid_t user, void (*body)(const char *path), const char *path)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setuid(user) != 0)
            _exit(3);
        body(path);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}
