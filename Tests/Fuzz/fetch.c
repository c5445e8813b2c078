/* Answers of any kind to what the engine asks: statuses, header fields, discovery documents, key sets. No answer but
 * a set takes keys away; none has the issuer asked too often or no more; and what is asked next is a URL that may be.
 *
 * The first octet chooses the issuer's kind. The rest are answers, ended by a record separator each: a status (0: no
 * answer), then a line for each field, begun by a letter and a colon, then an empty one, then the body. */
#include "fuzz.h"

#include <jansson.h>
#include <keyturn.h>
#include <stdbool.h>

#define ISSUER "https://issuer.example"
#define CONFIGURATION ISSUER "/.well-known/openid-configuration"

/* RFC 8037 appendices A.2 and A.4. */
static const char good[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"use\":\"sig\","
                           "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
static const char token[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
                            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
                            "MuM0KAg";

enum { MINUTE = 60000, HOUR = 3600000, MOST = 512, MOST_ANSWERS = 16 };

/* ---- The host: a clock that the target moves, and a fetcher with one fetch at most */

static struct {
    int64_t now, asked_at[MOST];
    size_t asked;
    jwks_fetch *fetch;
    jwks_cache *cache;
    jwks_issuer *issuer;
    jwt_result *result;
} host;

static int64_t tell_time(void *now)
{
    return *(int64_t *)now;
}

static bool is_plain(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static void expect_allowed(const jwks_request *request)
{
    bool is_own = strncmp(request->url, ISSUER "/", sizeof ISSUER) == 0;
    const char *authority = request->url + 8;
    REQUIRE(strncasecmp(request->url, "https://", 8) == 0 && request->allow_http == 0);
    REQUIRE(is_plain(request->url) && !memchr(authority, '@', strcspn(authority, "/?")));
    REQUIRE(is_plain(request->if_none_match) && is_plain(request->if_modified_since));
    REQUIRE(!is_own || request->public_only == 0);
    REQUIRE(is_own || request->public_only == 1 ||
            strncasecmp(authority, "issuer.example", sizeof "issuer.example" - 1) == 0);
    REQUIRE(request->timeout_ms > 0 && request->timeout_ms <= 5000 && request->max_body > 0);
}

/* Not more often than refresh.md allows, whatever the answers were. */
static void start_fetch(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    (void)context;
    REQUIRE(!host.fetch);
    host.fetch = fetch;
    expect_allowed(request);
    host.asked_at[host.asked++ % MOST] = host.now;
    if (host.asked > 9)
        REQUIRE(host.now - host.asked_at[(host.asked - 10) % MOST] >= MINUTE);
    if (host.asked > 245)
        REQUIRE(host.now - host.asked_at[(host.asked - 246) % MOST] >= HOUR);
}

static void cancel_fetch(void *context, jwks_fetch *fetch)
{
    (void)context;
    REQUIRE(fetch == host.fetch);
}

static void begin(uint8_t kind)
{
    jwks_fetcher fetcher = { sizeof fetcher, start_fetch, cancel_fetch, NULL };
    jwks_cache_options cache = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options issuer = JWKS_ISSUER_OPTIONS_INIT;
    host.now = 1000000;
    host.asked = 0;
    cache.max_issuers = 1;
    cache.fetcher = &fetcher;
    cache.monotonic = tell_time;
    cache.monotonic_context = &host.now;
    REQUIRE(jwks_cache_new(&cache, &host.cache, NULL) == JWT_OK);
    issuer.issuer = ISSUER;
    issuer.max_document = 4096;
    if (kind % 2)
        issuer.discovery = JWKS_DISCOVERY_OPENID;
    else
        issuer.jwks_url = ISSUER "/keys";
    issuer.empty_set = kind / 2 % 2 ? JWKS_EMPTY_OBEY : JWKS_EMPTY_HOLD;
    issuer.honor_must_revalidate = kind / 4 % 2;
    REQUIRE(jwks_cache_add_issuer(host.cache, &issuer, &host.issuer, NULL) == JWT_OK);
    REQUIRE(jwt_result_new(&host.result) == JWT_OK);
}

static jwt_status verify(void)
{
    return jws_verify(host.issuer, NULL, token, sizeof token - 1, host.result);
}

/* Until something is asked; it always is, in the end. */
static void await_fetch(void)
{
    for (int rounds = 0; !host.fetch; rounds++) {
        uint32_t next = 0;
        REQUIRE(jwks_cache_poll(host.cache, &next) == JWT_OK);
        (void)verify(); /* it is named */
        if (host.fetch)
            return;
        REQUIRE(rounds < 100);
        REQUIRE(next <= HOUR);
        host.now += next ? next : 1;
    }
}

/* ---- Answers */

struct answer {
    jwks_response response;
    char *copies[8];
};

static keyturn_span copied(struct answer *answer, size_t place, const uint8_t *from, size_t len)
{
    free(answer->copies[place]);
    answer->copies[place] = fuzz_copy(from, len);
    return (keyturn_span){ answer->copies[place], len };
}

static void take_field(struct answer *answer, const uint8_t *line, size_t len)
{
    static const char letters[] = "bcadetlr"; /* in the order of jwks_response */
    const char *letter = len > 2 && line[1] == ':' && line[0] ? strchr(letters, line[0]) : NULL;
    if (letter && letter != letters)
        (&answer->response.body)[letter - letters] =
            copied(answer, (size_t)(letter - letters), line + 2, len - 2);
}

static const uint8_t *end_of(const uint8_t *from, const uint8_t *end, int octet)
{
    const uint8_t *found = memchr(from, octet, (size_t)(end - from));
    return found ? found : end;
}

static void read_answer(struct answer *answer, const uint8_t *data, const uint8_t *end)
{
    memset(answer, 0, sizeof *answer);
    answer->response = (jwks_response)JWKS_RESPONSE_INIT;
    const uint8_t *line = end_of(data, end, '\n');
    for (const uint8_t *digit = data; digit < line && *digit >= '0' && *digit <= '9'; digit++)
        answer->response.http_status = answer->response.http_status * 10 + *digit - '0';
    if (answer->response.http_status == 0)
        answer->response.failure = JWKS_FETCH_TIMEOUT;
    while (line < end) {
        const uint8_t *start = line + 1;
        line = end_of(start, end, '\n');
        if (line == start) {
            line += line < end;
            answer->response.body = copied(answer, 0, line, (size_t)(end - line));
            return;
        }
        take_field(answer, start, (size_t)(line - start));
    }
}

/* By jansson: the document's form, without a look into its keys. */
static bool is_set(keyturn_span body)
{
    json_t *top = json_loadb(body.data, body.len,
                             JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    bool is = json_is_array(json_object_get(top, "keys"));
    json_decref(top);
    return is;
}

static void try_answer(const uint8_t *data, const uint8_t *end)
{
    struct answer answer;
    await_fetch();
    read_answer(&answer, data, end);
    jwks_fetch *fetch = host.fetch;
    jwt_status before = verify();
    host.fetch = NULL;
    jwks_fetch_complete(fetch, &answer.response);
    REQUIRE(verify() == before); /* the poll reads it */
    REQUIRE(jwks_cache_poll(host.cache, NULL) == JWT_OK);
    jwt_status after = verify();
    if ((before == JWT_OK) != (after == JWT_OK))
        REQUIRE(answer.response.http_status == 200 && is_set(answer.response.body));
#ifdef PLANTED
    if (before == JWT_OK && after == JWT_BAD_SIGNATURE && answer.response.retry_after.len > 0)
        (void)*(const volatile char *)(answer.response.retry_after.data + answer.response.retry_after.len);
#endif
    for (size_t i = 0; i < 8; i++)
        free(answer.copies[i]);
}

static void end_host(void)
{
    jwks_issuer_release(host.issuer);
    jwks_cache_release(host.cache);
    if (host.fetch)
        jwks_fetch_complete(host.fetch, NULL);
    host.fetch = NULL;
    jwt_result_release(host.result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count == 0)
        return -1;
    const uint8_t *end = data + count;
    begin(*data++);
    REQUIRE(jwks_issuer_load(host.issuer, good, sizeof good - 1, NULL) == JWT_OK);
    REQUIRE(verify() == JWT_OK);
    for (int i = 0; i < MOST_ANSWERS && data < end; i++) {
        const uint8_t *after = end_of(data, end, 0x1e);
        try_answer(data, after);
        data = after + (after < end);
    }
    end_host();
    return 0;
}
