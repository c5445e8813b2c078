/* Decides one row through keyturn.h. */
#include "vectors.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define HS (JWT_ALG_HS256 | JWT_ALG_HS384 | JWT_ALG_HS512)
#define ML_DSA (JWT_ALG_ML_DSA_44 | JWT_ALG_ML_DSA_65 | JWT_ALG_ML_DSA_87)

/* Where the row does not look at iss, an issuer still has to have a name. */
#define ANY_ISSUER "https://any.issuer.test"

verify_signature probe;
struct tables tables;
unsigned long with_table;

/* ---- OpenSSL's error queue */

enum { MARKER = 4242, INTRUDER = 4243 };

void mark_error_queue(void)
{
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, MARKER);
}

void expect_marked_error_queue(const char *id)
{
    if (mutant == MUTANT_QUEUE)
        ERR_raise(ERR_LIB_USER, INTRUDER);
    if (ERR_GET_REASON(ERR_get_error()) != MARKER)
        complain(id, "an error that was in OpenSSL's queue before the call is gone");
    if (ERR_peek_error() != 0)
        complain(id, "the call left an error in OpenSSL's queue: %s",
                 ERR_reason_error_string(ERR_get_error()));
}

/* ---- The members of a row */

struct text {
    char *data;
    size_t len;
    bool owned;
};

static struct text text_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return (struct text){ (char *)json_string_value(value), json_string_length(value), false };
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

static struct text hex_member(const struct row *row, const char *name)
{
    struct text hex = text_member(row->json, name);
    struct text octets = { malloc(hex.len / 2 + 1), hex.len / 2, true };
    if (hex.len % 2)
        complain(row->id, "%s is not hexadecimal", name);
    for (size_t i = 0; i < octets.len; i++) {
        int high = hex_digit(hex.data[2 * i]), low = hex_digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            complain(row->id, "%s is not hexadecimal", name);
        octets.data[i] = (char)(high << 4 | low);
    }
    return octets;
}

static struct text token_of(const struct row *row)
{
    if (json_object_get(row->json, "token_hex"))
        return hex_member(row, "token_hex");
    return text_member(row->json, "token");
}

static struct text compact(const json_t *value)
{
    char *data = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    return (struct text){ data, data ? strlen(data) : 0, true };
}

/* The key set's text: exactly the row's where it has one; a lone key is put into a set. */
static struct text document_of(const struct row *row)
{
    if (json_object_get(row->json, "jwks_text"))
        return text_member(row->json, "jwks_text");
    json_t *jwks = json_object_get(row->json, "jwks");
    if (json_object_get(jwks, "keys"))
        return compact(jwks);
    json_t *set = json_pack("{s:[O]}", "keys", jwks);
    struct text document = compact(set);
    json_decref(set);
    return document;
}

static void discard(struct text text)
{
    if (text.owned)
        free(text.data);
}

static int64_t seconds_member(const json_t *policy, const char *name)
{
    const json_t *value = json_object_get(policy, name);
    if (json_is_integer(value))
        return json_integer_value(value);
    double seconds = json_number_value(value);
    return seconds >= 9.2e18 ? INT64_MAX : seconds <= -9.2e18 ? INT64_MIN : (int64_t)seconds;
}

/* The bits of the names in the policy's algs; names that Keyturn does not know, such as "none", have none. */
static uint64_t algorithms_of(const json_t *policy)
{
    uint64_t algorithms = 0;
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(policy, "algs"), i, name) algorithms |=
        jwt_algorithm_from_name(json_string_value(name), json_string_length(name));
    return algorithms;
}

static bool has_name(const json_t *array, const char *wanted)
{
    size_t i;
    json_t *name;
    json_array_foreach(array, i, name) if (strcmp(json_string_value(name), wanted) == 0) return true;
    return false;
}

/* ---- Issuers
 *
 * A key set is either public or secret, never both, and the host says which. A row does not, so each way that
 * its algs allow is tried, and the row counts as accepted if any accepts. */

enum source { SOURCE_PUBLIC, SOURCE_SECRET };

struct house {
    jwks_cache *cache;
    jwks_issuer *issuer;
    const char *issuer_name;
    jwt_status loaded;
    int64_t now;
};

static int64_t row_clock(void *context)
{
    return *(const int64_t *)context;
}

static bool open_house(struct house *house, const struct row *row, enum source source)
{
    const json_t *policy = json_object_get(row->json, "policy");
    uint64_t algorithms = algorithms_of(policy);
    jwks_cache_options cache = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options issuer = JWKS_ISSUER_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    struct text name = text_member(policy, "iss");
    house->issuer_name = name.data ? name.data : ANY_ISSUER;
    house->now = seconds_member(policy, "now");
    cache.clock = row_clock;
    cache.clock_context = &house->now;
    issuer.issuer = house->issuer_name;
    issuer.algorithms = source == SOURCE_SECRET ? algorithms & HS : algorithms & ~HS;
    issuer.allow_symmetric = source == SOURCE_SECRET;
    if (has_name(json_object_get(policy, "accept_use"), "jwt-svid"))
        issuer.use = JWKS_USE_JWT_SVID;
    if (jwks_cache_new(&cache, &house->cache, &error) || /* then no issuer either */
        jwks_cache_add_issuer(house->cache, &issuer, &house->issuer, &error)) {
        complain(row->id, "no issuer: %s: %s", error.option, error.message);
        return false;
    }
    return true;
}

static void load_keys(struct house *house, const struct row *row)
{
    struct text document = document_of(row);
    jwks_error error = JWKS_ERROR_INIT;
    KEEPING_QUEUE(row->id, house->loaded = jwks_issuer_load(house->issuer, document.data ? document.data : "",
                                                            document.len, &error));
    if (house->loaded != JWT_OK && house->loaded != JWKS_INVALID_DOCUMENT)
        complain(row->id, "load answered %s", jwt_status_name(house->loaded));
    if ((house->loaded == JWT_OK) != (error.message[0] == 0))
        complain(row->id, "load answered %s and \"%s\"", jwt_status_name(house->loaded), error.message);
    discard(document);
}

static void close_house(struct house *house)
{
    jwks_issuer_release(house->issuer);
    jwks_cache_release(house->cache);
}

static jwks_key_list *list_keys(const char *id, jwks_issuer *issuer)
{
    jwks_key_list *list = NULL;
    KEEPING_QUEUE(id, jwks_issuer_keys(issuer, &list));
    return list;
}

/* ---- Policies */

enum { MAX_RULES = 8 };

/* An empty list of algorithms is said with KEYTURN_OFF, and such a policy is refused: it could accept nothing.
 * The vectors do not know of confirmation keys (cnf): the host confirms them, unless the row says otherwise. */
static jwt_policy *policy_of(const struct row *row, const struct house *house)
{
    const json_t *policy = json_object_get(row->json, "policy");
    const json_t *require = json_object_get(policy, "require");
    const char *audience = json_string_value(json_object_get(policy, "aud"));
    int64_t leeway = seconds_member(policy, "leeway");
    jwt_rule rules[MAX_RULES];
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy *made = NULL;
    size_t i;
    json_t *name;
    options.issuers = &house->issuer;
    options.issuer_count = 1;
    options.audiences = audience ? &audience : NULL;
    options.audience_count = audience != NULL;
    options.allow_any_audience = audience == NULL;
    options.allow_any_issuer = !json_is_string(json_object_get(policy, "iss"));
    options.algorithms = algorithms_of(policy);
    if (options.algorithms == 0)
        options.algorithms = (uint64_t)KEYTURN_OFF;
    options.type = json_string_value(json_object_get(policy, "typ"));
    options.leeway_s = leeway ? leeway : KEYTURN_OFF;
    options.allow_no_expiry = !has_name(require, "exp");
    options.host_confirms = !json_is_false(json_object_get(policy, "host_confirms"));
    options.rules = rules;
    json_array_foreach(require, i, name)
    {
        if (strcmp(json_string_value(name), "exp") == 0 || options.rule_count == MAX_RULES)
            continue;
        rules[options.rule_count] = (jwt_rule)JWT_RULE_INIT;
        rules[options.rule_count++].claim = json_string_value(name);
    }
    jwt_status status = jwt_policy_new(house->cache, &options, &made, &error);
    bool refused = options.algorithms == (uint64_t)KEYTURN_OFF;
    if (status != (refused ? JWKS_INVALID_OPTION : JWT_OK))
        complain(row->id, "policy answered %s: %s: %s", jwt_status_name(status), error.option, error.message);
    return made;
}

/* ---- Tokens */

/* Of all rows, so that what one leaves behind is seen by the next. */
static jwt_result *shared_result(void)
{
    static jwt_result *result;
    if (!result && jwt_result_new(&result) != JWT_OK)
        exit(2);
    return result;
}

static jwt_status verify(struct row *row, const struct house *house, const jwt_policy *policy,
                         const struct text *token)
{
    jwt_result *result = shared_result();
    jws_options options = JWS_OPTIONS_INIT;
    jwt_status status;
    options.algorithms = algorithms_of(json_object_get(row->json, "policy"));
    if (policy)
        KEEPING_QUEUE(row->id, status = jwt_verify(policy, token->data, token->len, result));
    else
        KEEPING_QUEUE(row->id, status = jws_verify(house->issuer, &options, token->data, token->len, result));
    return status;
}

static void expect_promises(const struct row *row, const struct house *house, const struct text *token,
                            bool claims)
{
    jwt_result *result = shared_result();
    if (row->status != JWT_OK) {
        expect_no_result(row, result, row->status);
        return;
    }
    jwks_key_list *keys = list_keys(row->id, house->issuer);
    expect_result(row,
                  &(struct verified){ result, token->data, token->len, house->issuer_name, keys, claims });
    jwks_key_list_release(keys);
}

/* A refusal is a verdict about the token, or that there are no keys; nothing else may pass for one. */
static void expect_verdict(const struct row *row, const struct house *house)
{
    bool unloaded = house->loaded != JWT_OK;
    if (row->status >= JWKS_INVALID_ARGUMENT || (row->status == JWKS_KEYS_UNAVAILABLE && !unloaded) ||
        (row->status == JWT_OK && unloaded))
        complain(row->id, "%s is no verdict", jwt_status_name(row->status));
}

/* A token is put into the cache of those that are known when it is seen for the second time. The third result is that of
 * one that is known, and held against the row like the first. */
enum { TIMES = 3 };

unsigned accepted_rows, recognized_rows;

static bool is_recognized(const struct house *house)
{
    static char metrics[65536];
    size_t len;
    if (jwks_cache_metrics(house->cache, NULL, metrics, sizeof metrics, &len) != JWT_OK)
        return false;
    char *line = strstr(metrics, "\nkeyturn_token_cache_hits_total{"),
         *end = line ? strchr(line + 1, '\n') : NULL;
    return end && end[-1] != '0';
}

static void decide_token(struct row *row, enum source source, bool claims, enum verdict *verdict)
{
    struct house house = { 0 };
    jwt_policy *policy = NULL;
    struct text token = token_of(row);
    if (open_house(&house, row, source)) {
        load_keys(&house, row);
        policy = claims ? policy_of(row, &house) : NULL;
        if (claims && !policy)
            row->status = JWKS_INVALID_OPTION;
        for (int time = 0; time < TIMES && (policy || !claims); time++) {
            jwt_status before = row->status;
            row->status = verify(row, &house, policy, &token);
            if (time > 0 && row->status != before)
                complain(row->id, "verified again it is %s", jwt_status_name(row->status));
            expect_verdict(row, &house);
            expect_promises(row, &house, &token, claims);
        }
        if (row->status == JWT_OK && claims) {
            accepted_rows++;
            recognized_rows += is_recognized(&house);
        }
        if (row->status == JWT_OK)
            *verdict = VERDICT_ACCEPT;
    }
    jwt_policy_release(policy);
    close_house(&house);
    discard(token);
}

static enum verdict decide_sources(struct row *row, bool claims)
{
    uint64_t algorithms = algorithms_of(json_object_get(row->json, "policy"));
    enum verdict verdict = VERDICT_REJECT;
    decide_token(row, SOURCE_PUBLIC, claims, &verdict);
    if (verdict == VERDICT_REJECT && algorithms & HS) {
        jwt_status first = row->status;
        decide_token(row, SOURCE_SECRET, claims, &verdict);
        if (row->status == JWKS_KEYS_UNAVAILABLE)
            row->status = first;
    }
    return verdict;
}

/* ---- Key sets */

jwks_key_list *keys_of_document(const char *id, const char *text, size_t len)
{
    json_t *json = json_pack("{s:{s:s}}", "policy", "iss", id);
    struct row row = { .json = json, .id = id };
    struct house house = { 0 };
    jwks_key_list *list = NULL;
    if (open_house(&house, &row, SOURCE_PUBLIC)) {
        KEEPING_QUEUE(id, house.loaded = jwks_issuer_load(house.issuer, text ? text : "", len, NULL));
        list = house.loaded == JWT_OK ? list_keys(id, house.issuer) : NULL;
    }
    close_house(&house);
    json_decref(json);
    return list;
}

jwks_key_info key_at(const char *id, const jwks_key_list *list, size_t position)
{
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    if (jwks_key_list_get(list, position, &info) != JWT_OK)
        complain(id, "key %zu cannot be had", position);
    return info;
}

static void expect_usable_kids(const struct row *row, const jwks_key_list *list)
{
    const json_t *expected = json_object_get(row->json, "expect_usable_kids");
    size_t found = 0;
    for (size_t i = 0; i < jwks_key_list_count(list); i++) {
        jwks_key_info info = key_at(row->id, list, i);
        const json_t *kid = json_array_get(expected, found);
        if (info.fault != JWKS_KEY_USABLE || (mutant == MUTANT_KEYS && i == 0))
            continue;
        if (!kid || json_string_length(kid) != info.kid.len ||
            (info.kid.len && memcmp(json_string_value(kid), info.kid.data, info.kid.len) != 0))
            complain(row->id, "key %zu, \"%.*s\", is not the usable key expected", i, (int)info.kid.len,
                     info.kid.data);
        found++;
    }
    if (found != json_array_size(expected))
        complain(row->id, "%zu usable keys, expected %zu", found, json_array_size(expected));
}

static enum verdict decide_document(struct row *row)
{
    struct text document = document_of(row);
    jwks_key_list *list = keys_of_document(row->id, document.data, document.len);
    if (list)
        expect_usable_kids(row, list);
    row->status = list ? JWT_OK : JWKS_INVALID_DOCUMENT;
    enum verdict verdict = list ? VERDICT_ACCEPT : VERDICT_REJECT;
    jwks_key_list_release(list);
    discard(document);
    return verdict;
}

/* A set needs a usable key to be accepted, and a key need not be usable to have a thumbprint: this one joins it.
 * Key and thumbprint are those of RFC 8037, appendices A.2 and A.3. */
static const char companion[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                                "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
static const char companion_thumbprint[] = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

static bool has_thumbprint(const char *id, const jwks_key_list *list, size_t position, const char *expected)
{
    jwks_key_info info = key_at(id, list, position);
    return info.thumbprint.len == strlen(expected) &&
           memcmp(info.thumbprint.data, expected, info.thumbprint.len) == 0;
}

static enum verdict decide_thumbprint(struct row *row)
{
    json_t *set = json_deep_copy(json_object_get(row->json, "jwks"));
    json_array_append_new(json_object_get(set, "keys"), json_loads(companion, 0, NULL));
    struct text document = compact(set);
    jwks_key_list *list = keys_of_document(row->id, document.data, document.len);
    const char *expected = json_string_value(json_object_get(row->json, "thumbprint_sha256"));
    if (!list || !has_thumbprint(row->id, list, jwks_key_list_count(list) - 1, companion_thumbprint))
        complain(row->id, "the companion's thumbprint is wrong");
    bool right = list && has_thumbprint(row->id, list, 0, expected);
    row->status = right ? JWT_OK : JWT_KEY_MISMATCH;
    jwks_key_list_release(list);
    discard(document);
    json_decref(set);
    return right ? VERDICT_ACCEPT : VERDICT_REJECT;
}

/* ---- Signatures */

/* The key of the last such row, since rows come in groups; where the machine is busy it may look as if nothing were gained by
 * a table. */
static void *key_with_table(struct text set)
{
    static char *last;
    static void *key;
    if (last && strlen(last) == set.len && memcmp(last, set.data, set.len) == 0)
        return key;
    free(last);
    last = strndup(set.data, set.len);
    tables.key_release(key);
    key = NULL;
    for (int tries = 0; !key && tries < 20; tries++)
        key = tables.key_new(set.data, set.len, 1);
    return key;
}

/* By a table of points it must be the same verdict. */
static void decide_by_table(const struct row *row, struct text set, struct text algorithm,
                            struct text message, struct text signature)
{
    uint32_t status = JWT_OK;
    void *key = key_with_table(set);
    if (!key) {
        if (row->status == JWT_OK)
            complain(row->id, "there is no table");
        return;
    }
    KEEPING_QUEUE(row->id, status = tables.key_verify(key, algorithm.data, algorithm.len,
                                                      (const unsigned char *)message.data, message.len,
                                                      (const unsigned char *)signature.data, signature.len));
    if (status != row->status)
        complain(row->id, "by a table it is %s", jwt_status_name((jwt_status)status));
    with_table++;
}

static enum verdict decide_signature(struct row *row)
{
    struct text set = document_of(row), algorithm = text_member(row->json, "alg");
    struct text message = hex_member(row, "msg_hex"), signature = hex_member(row, "sig_hex");
    KEEPING_QUEUE(row->id, row->status = probe(set.data, set.len, algorithm.data, algorithm.len,
                                               (const unsigned char *)message.data, message.len,
                                               (const unsigned char *)signature.data, signature.len));
    if (row->status == JWKS_CRYPTO_FAILURE || row->status == JWKS_NO_MEMORY)
        complain(row->id, "%s is no verdict", jwt_status_name(row->status));
    if (jwt_algorithm_from_name(algorithm.data, algorithm.len) &
        (JWT_ALG_ES256 | JWT_ALG_ES384 | JWT_ALG_ES512))
        decide_by_table(row, set, algorithm, message, signature);
    discard(set);
    discard(message);
    discard(signature);
    return row->status == JWT_OK ? VERDICT_ACCEPT : VERDICT_REJECT;
}

/* ---- */

/* Only ML-DSA may be missing from a libcrypto, and then a row that is about nothing else is skipped. */
static bool is_offered(const struct row *row)
{
    uint64_t algorithms = algorithms_of(json_object_get(row->json, "policy"));
    if (~jwt_algorithms_supported() & algorithms & ~ML_DSA)
        complain(row->id, "libcrypto does not offer an algorithm that it must");
    return algorithms == 0 || algorithms & jwt_algorithms_supported();
}

enum verdict decide(struct row *row)
{
    if (!is_offered(row))
        return VERDICT_SKIPPED;
    if (strcmp(row->kind, "jwt") == 0)
        return decide_sources(row, true);
    if (strcmp(row->kind, "jws") == 0)
        return decide_sources(row, false);
    if (strcmp(row->kind, "jwks") == 0)
        return decide_document(row);
    if (strcmp(row->kind, "thumbprint") == 0)
        return decide_thumbprint(row);
    if (strcmp(row->kind, "sig") == 0 && probe)
        return decide_signature(row);
    complain(row->id, "rows of kind %s cannot be decided", row->kind);
    return VERDICT_SKIPPED;
}
