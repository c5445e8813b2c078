/* keyturn_haproxy.c - what keyturn.lua needs of Keyturn, as a Lua module for HAProxy.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * HAProxy reads its configuration before it forks, is chrooted, changes its user and starts its threads, and each thread
 * may have a Lua state of its own, made then too. All states of a process share one gateway: the first of them that is
 * configured makes it, so that the store is open and the agent is connected before the chroot. No thread is started and
 * nothing is fetched: an agent does that, and `poll` sees what it has brought. */
#include <lauxlib.h>
#include <lua.h>

#include <dlfcn.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "../adapter/adapter.h"

typedef struct {
    char *name;
    jwt_policy *handle;
    jwks_issuer **issuers;
    size_t issuer_count;
    uint32_t patience_ms; /* for how long a request waits at most */
    jwt_challenge_options challenge;
} policy;

typedef struct {
    char *name;
    jwks_issuer *handle;
    uint32_t fetch_timeout_ms;
} issuer;

/* The process's. Written while there is one thread. */
static struct {
    jwks_cache *keys;
    issuer *issuers;
    size_t issuer_count;
    policy *policies;
    size_t policy_count;
} gateway;

enum { FETCH_TIMEOUT_MS = 5000 }; /* the library's default */

/* ---- jwt_verify ----------------------------------------------------------------------------------- */

/* HAProxy exports a function of that name, which is another and would be found first. So this module, and what of
 * ../adapter is in it, is compiled with the name below in its place, and asks the library itself. */
#define LIBRARY "libkeyturn.so.0"
static jwt_status (*verify_in_library)(const jwt_policy *, const char *, size_t, jwt_result *);

jwt_status jwt_verify_of_keyturn(const jwt_policy *of, const char *token, size_t len, jwt_result *result)
{
    return verify_in_library(of, token, len, result);
}

static void find_jwt_verify(lua_State *L)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_NOLOAD);
    void *found = library ? dlsym(library, "jwt_verify") : NULL;
    if (found == NULL)
        luaL_error(L, "keyturn: there is no jwt_verify in " LIBRARY);
    memcpy(&verify_in_library, &found, sizeof found);
}

/* ---- Reading tables ----------------------------------------------------------------------------- */

/* configure's stack: its argument, and a table that keeps what pointers lead to until it returns. */
enum { CONFIGURATION = 1, KEPT = 2 };

/* For whoever wrote the configuration: "keyturn: policies.orders.leeway_s: SENTENCE". */
static int refuse(lua_State *L, const char *place, const char *option, const char *sentence)
{
    const char *dot = place[0] && option[0] ? "." : "";
    lua_pushfstring(L, "keyturn: %s%s%s: %s", place, dot, option, sentence);
    return lua_error(L);
}

/* The string on top of the stack, which is popped. */
static const char *keep(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    (void)luaL_ref(L, KEPT);
    return text;
}

static void *keep_block(lua_State *L, size_t count, size_t size)
{
    void *block = lua_newuserdata(L, (count ? count : 1) * size);
    memset(block, 0, (count ? count : 1) * size);
    (void)luaL_ref(L, KEPT);
    return block;
}

/* The process's. Like HAProxy's own settings it is there until the end. */
static void *lasting(lua_State *L, size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size);
    if (block == NULL)
        luaL_error(L, "keyturn: there is no memory left");
    return block;
}

static char *lasting_text(lua_State *L, const char *text)
{
    return text ? strcpy(lasting(L, strlen(text) + 1, 1), text) : NULL;
}

/* The value on top of the stack as options are written; it is popped. */
static const char *word(lua_State *L, const char *place, const char *option)
{
    if (lua_isboolean(L, -1)) {
        lua_pushstring(L, lua_toboolean(L, -1) ? "on" : "off");
        lua_remove(L, -2);
    }
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    if (text == NULL || strlen(text) != len)
        refuse(L, place, option, "a value is a text, a number, true or false");
    return keep(L);
}

/* The value, or the list of values, on top of the stack; it is popped. */
static const char *const *words(lua_State *L, const char *place, const char *option, size_t *count)
{
    int is_list = lua_istable(L, -1);
    *count = is_list ? lua_rawlen(L, -1) : 1;
    const char **all = keep_block(L, *count, sizeof *all);
    if (!is_list) {
        all[0] = word(L, place, option);
        return all;
    }
    for (size_t i = 0; i < *count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        all[i] = word(L, place, option);
    }
    lua_pop(L, 1);
    return all;
}

static const char *key(lua_State *L, int index, const char *place)
{
    if (lua_type(L, index) != LUA_TSTRING)
        refuse(L, place, "", "what stands here needs a name");
    return lua_tostring(L, index);
}

static int is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return 1;
    return 0;
}

/* Pushes a member of the table on top; 0, and nothing is pushed, if it is absent. */
static int get_table(lua_State *L, const char *place, const char *name)
{
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    if (!lua_istable(L, -1))
        refuse(L, place, name, "this is no table");
    return 1;
}

/* Puts the members of the table on top into structs of options, but for those that are read elsewhere. */
static void read_options(lua_State *L, const char *place, const char *const *elsewhere, adapter_struct of,
                         void *options, adapter_struct also, void *more)
{
    for (lua_pushnil(L); lua_next(L, -2);) {
        const char *name = key(L, -2, place);
        if (is_one_of(name, elsewhere)) {
            lua_pop(L, 1);
            continue;
        }
        const adapter_option *option = adapter_option_named(of, name, strlen(name));
        void *to = option ? options : more;
        if (option == NULL)
            option = adapter_option_named(also, name, strlen(name));
        if (option == NULL)
            refuse(L, place, name, "no such option");
        size_t count;
        const char *const *values = words(L, place, name, &count);
        const char *wrong = adapter_set(option, to, values, count);
        if (wrong)
            refuse(L, place, name, wrong);
    }
}

/* ---- The keys and their issuers ------------------------------------------------------------------- */

static void read_cache(lua_State *L)
{
    static const char *const elsewhere[] = { "issuers", "policies", NULL };
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    read_options(L, "", elsewhere, ADAPTER_CACHE, &options, ADAPTER_CACHE, &options);
    if (options.store && !options.store_reader)
        refuse(L, "", "store_reader", "HAProxy only reads a store: it must be true, and an agent writes it");
    if (jwks_cache_new(&options, &gateway.keys, &error) != JWT_OK)
        refuse(L, "", error.option, error.message);
    if (options.store == NULL)
        lua_pushnil(L);
    else
        lua_pushstring(L, options.store);
}

static void read_issuer(lua_State *L, issuer *to, const char *place, int has_store)
{
    static const char *const elsewhere[] = { NULL };
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    read_options(L, place, elsewhere, ADAPTER_ISSUER, &options, ADAPTER_ISSUER, &options);
    if ((options.jwks_url || options.discovery) && !has_store)
        refuse(L, "", "store", "keys that are fetched come from a store that an agent writes");
    if (jwks_cache_add_issuer(gateway.keys, &options, &to->handle, &error) != JWT_OK)
        refuse(L, place, error.option, error.message);
    to->name = lasting_text(L, options.issuer);
    to->fetch_timeout_ms = options.fetch_timeout_ms ? options.fetch_timeout_ms : FETCH_TIMEOUT_MS;
}

static void read_issuers(lua_State *L, int has_store)
{
    if (!get_table(L, "", "issuers") || lua_rawlen(L, -1) == 0)
        refuse(L, "", "issuers", "a list of them is required");
    size_t count = lua_rawlen(L, -1);
    gateway.issuers = lasting(L, count, sizeof *gateway.issuers);
    for (size_t i = 0; i < count; i++) {
        const char *place = (lua_pushfstring(L, "issuers[%d]", (int)i + 1), keep(L));
        if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TTABLE)
            refuse(L, place, "", "this is no table");
        read_issuer(L, &gateway.issuers[i], place, has_store);
        gateway.issuer_count++;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* ---- Policies --------------------------------------------------------------------------------------- */

static const issuer *issuer_named(const char *name)
{
    for (size_t i = 0; i < gateway.issuer_count; i++)
        if (strcmp(gateway.issuers[i].name, name) == 0)
            return &gateway.issuers[i];
    return NULL;
}

static void add_issuer(policy *to, const issuer *from)
{
    to->issuers[to->issuer_count++] = from->handle;
    if (to->patience_ms < 2 * from->fetch_timeout_ms)
        to->patience_ms = 2 * from->fetch_timeout_ms;
}

/* The issuers that the policy on top of the stack names; the only one, where there is but one. */
static void choose_issuers(lua_State *L, policy *to, const char *place)
{
    size_t count;
    if (lua_getfield(L, -1, "issuers") == LUA_TNIL) {
        lua_pop(L, 1);
        if (gateway.issuer_count > 1)
            refuse(L, place, "issuers", "there are several: say which");
        to->issuers = lasting(L, 1, sizeof *to->issuers);
        add_issuer(to, &gateway.issuers[0]);
        return;
    }
    const char *const *names = words(L, place, "issuers", &count);
    to->issuers = lasting(L, count, sizeof *to->issuers);
    for (size_t i = 0; i < count; i++) {
        const issuer *named = issuer_named(names[i]);
        if (named == NULL)
            refuse(L, place, "issuers", "there is no such issuer");
        add_issuer(to, named);
    }
}

/* require = { { "scope", "has_word", "orders:read" }, "email" } */
static void read_rules(lua_State *L, jwt_policy_options *options, const char *place)
{
    if (!get_table(L, place, "require"))
        return;
    size_t count = lua_rawlen(L, -1);
    jwt_rule *rules = keep_block(L, count, sizeof *rules);
    for (size_t i = 0; i < count; i++) {
        size_t length;
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        const char *const *rule = words(L, place, "require", &length);
        const char *wrong = adapter_set_rule(&rules[i], rule, length);
        if (wrong)
            refuse(L, place, "require", wrong);
    }
    options->rules = rules;
    options->rule_count = count;
    lua_pop(L, 1);
}

/* What the library calls a rule is called otherwise here. */
static void refuse_policy(lua_State *L, const char *place, const jwks_error *error)
{
    if (strncmp(error->option, "rules", 5) == 0)
        refuse(L, place, "require", error->message);
    refuse(L, place, error->option, error->message);
}

static void read_policy(lua_State *L, policy *to, const char *name)
{
    static const char *const elsewhere[] = { "issuers", "require", "claims", "token", NULL };
    const char *place = (lua_pushfstring(L, "policies.%s", name), keep(L));
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    jwt_challenge_options challenge = JWT_CHALLENGE_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    size_t len;
    read_options(L, place, elsewhere, ADAPTER_POLICY, &options, ADAPTER_CHALLENGE, &challenge);
    read_rules(L, &options, place);
    choose_issuers(L, to, place);
    options.issuers = to->issuers;
    options.issuer_count = to->issuer_count;
    if (jwt_policy_new(gateway.keys, &options, &to->handle, &error) != JWT_OK)
        refuse_policy(L, place, &error);
    if (jwt_challenge(JWT_MISSING, &challenge, NULL, 0, &len) == JWKS_INVALID_OPTION)
        refuse(L, place, "realm, scope, resource_metadata", "too long, or with control characters");
    to->name = lasting_text(L, name);
    to->challenge = challenge;
    to->challenge.realm = lasting_text(L, challenge.realm);
    to->challenge.scope = lasting_text(L, challenge.scope);
    to->challenge.resource_metadata = lasting_text(L, challenge.resource_metadata);
}

static size_t members(lua_State *L)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        count++;
    return count;
}

static void read_policies(lua_State *L)
{
    if (!get_table(L, "", "policies"))
        refuse(L, "", "policies", "a table of them is required");
    gateway.policies = lasting(L, members(L), sizeof *gateway.policies);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = key(L, -2, "policies");
        if (!lua_istable(L, -1))
            refuse(L, "policies", name, "this is no table");
        read_policy(L, &gateway.policies[gateway.policy_count++], name);
    }
    lua_pop(L, 1);
}

/* configure(TABLE): what `verify` calls each policy, by their names. What is wrong is an error that names the option. */
static int configure(lua_State *L)
{
    luaL_checktype(L, CONFIGURATION, LUA_TTABLE);
    lua_settop(L, CONFIGURATION);
    lua_newtable(L);
    if (gateway.policies == NULL) { /* else the state of another thread was here before */
        lua_pushvalue(L, CONFIGURATION);
        read_cache(L);
        int has_store = !lua_isnil(L, -1);
        lua_pop(L, 1);
        read_issuers(L, has_store);
        read_policies(L);
    }
    lua_newtable(L);
    for (size_t i = 0; i < gateway.policy_count; i++) {
        lua_pushinteger(L, (lua_Integer)i + 1);
        lua_setfield(L, -2, gateway.policies[i].name);
    }
    return 1;
}

/* ---- Verifying ---------------------------------------------------------------------------------------- */

static void set_text(lua_State *L, const char *name, const char *text, size_t len)
{
    if (len == 0)
        return;
    lua_pushlstring(L, text, len);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, lua_Integer number)
{
    lua_pushinteger(L, number);
    lua_setfield(L, -2, name);
}

static void push_claim(lua_State *L, jwt_value value)
{
    luaL_Buffer buffer;
    char *text = luaL_buffinitsize(L, &buffer, value.text.len + 1);
    luaL_pushresultsize(&buffer, adapter_text(value, text));
}

/* 0 if one of them is unfit to be a header. Into the table on top: NAME = text for each NAME = CLAIM of `wanted`. */
static int set_claims(lua_State *L, int wanted, const jwt_result *result)
{
    for (lua_pushnil(L); lua_next(L, wanted); lua_pop(L, 1)) {
        size_t len;
        const char *claim = lua_tolstring(L, -1, &len);
        jwt_value value = adapter_claim(result, claim, len);
        adapter_fitness fitness = adapter_fits(value);
        if (fitness == ADAPTER_UNFIT) {
            lua_pop(L, 2);
            return 0;
        }
        if (fitness == ADAPTER_ABSENT)
            continue;
        lua_pushvalue(L, -2);
        push_claim(L, value);
        lua_rawset(L, -5);
    }
    return 1;
}

static void set_error(lua_State *L, adapter_status status, const jwt_result *result)
{
    const char *detail = jwt_result_detail(result);
    lua_pushfstring(L, "%s%s%s", detail, detail[0] ? ": " : "", adapter_message(status));
    lua_setfield(L, -2, "error");
}

static void set_challenge(lua_State *L, const policy *of, adapter_status status)
{
    size_t len = 0;
    (void)adapter_challenge(status, &of->challenge, NULL, 0, &len);
    if (len == 0)
        return;
    luaL_Buffer buffer;
    char *text = luaL_buffinitsize(L, &buffer, len + 1);
    if (adapter_challenge(status, &of->challenge, text, len + 1, &len) != JWT_OK)
        len = 0;
    luaL_pushresultsize(&buffer, len);
    lua_setfield(L, -2, "challenge");
}

/* By which lines of a log are known to be of one token: SHA-256, its first half in hex. */
static void set_digest(lua_State *L, keyturn_span token)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char text[SHA256_DIGEST_LENGTH];
    if (SHA256((const unsigned char *)token.data, token.len, digest) == NULL)
        return;
    for (size_t i = 0; i < sizeof text / 2; i++) {
        text[2 * i] = hex[digest[i] >> 4];
        text[2 * i + 1] = hex[digest[i] & 15];
    }
    set_text(L, "digest", text, sizeof text);
}

static const policy *policy_at(lua_State *L, int index)
{
    lua_Integer number = luaL_checkinteger(L, index);
    luaL_argcheck(L, number >= 1 && (size_t)number <= gateway.policy_count, index, "no policy");
    return &gateway.policies[number - 1];
}

/* Into the table on top. */
static void set_verdict(lua_State *L, const policy *of, adapter_status status, const jwt_result *result)
{
    const char *name = adapter_name(status);
    int http = adapter_http(status);
    set_text(L, "status", name, strlen(name));
    set_number(L, "http", http);
    if (status == JWT_OK) {
        keyturn_span issuer_name = jwt_result_issuer(result), kid = jwt_result_kid(result);
        set_text(L, "issuer", issuer_name.data, issuer_name.len);
        set_text(L, "kid", kid.data, kid.len);
        return;
    }
    set_error(L, status, result);
    set_challenge(L, of, status);
    if (http == 503)
        set_number(L, "retry_after", adapter_retry_after(of->issuers, of->issuer_count));
}

/* verify's stack; what follows are texts. */
enum { NUMBER = 1, CLAIMS, WAITED_MS, CERTIFICATE, IS_FIELD };

static int digest_certificate(void *host, unsigned char sha256[32])
{
    size_t len;
    const char *der = lua_tolstring(host, CERTIFICATE, &len);
    return der && len > 0 && SHA256((const unsigned char *)der, len, sha256) != NULL;
}

/* verify(NUMBER, CLAIMS, WAITED_MS, CERTIFICATE, IS_FIELD, TEXT...): a table with status, http, error, challenge,
 * retry_after, issuer, kid, digest and claims. CERTIFICATE is the client's in DER, or nil. TEXTs are fields of
 * Authorization, or tokens. It is JWKS_PENDING as long as it is worth waiting. */
static int verify(lua_State *L)
{
    const policy *of = policy_at(L, NUMBER);
    jwt_result *result = *(jwt_result **)lua_touserdata(L, lua_upvalueindex(1));
    adapter_token token = { { NULL, 0 }, 0 };
    luaL_checktype(L, CLAIMS, LUA_TTABLE);
    for (int i = IS_FIELD + 1; i <= lua_gettop(L); i++) {
        size_t len;
        const char *text = luaL_checklstring(L, i, &len);
        (lua_toboolean(L, IS_FIELD) ? adapter_take_field : adapter_take_value)(&token, text, len);
    }
    adapter_status status = adapter_verify(of->handle, &token, result);
    if (status == JWKS_PENDING && luaL_checkinteger(L, WAITED_MS) >= of->patience_ms)
        status = JWKS_KEYS_UNAVAILABLE;
    if (status == JWT_OK)
        status = adapter_confirm(result, digest_certificate, L);
    lua_createtable(L, 0, 8);
    lua_newtable(L);
    if (status == JWT_OK && !set_claims(L, CLAIMS, result))
        status = ADAPTER_UNFIT_CLAIM;
    if (status != JWT_OK) { /* a claim may be there already */
        lua_pop(L, 1);
        lua_newtable(L);
    }
    lua_setfield(L, -2, "claims");
    set_verdict(L, of, status, result);
    if (token.found == 1)
        set_digest(L, token.text);
    return 1;
}

/* ---- Keys and news -------------------------------------------------------------------------------------- */

/* poll(): sees what the agent has brought, and asks it for what is wanted; the milliseconds to the next. */
static int poll_keys(lua_State *L)
{
    uint32_t next_ms = UINT32_MAX;
    (void)jwks_cache_poll(gateway.keys, &next_ms);
    lua_pushinteger(L, next_ms);
    return 1;
}

/* news(): the name of what has happened, and a line for the log; nil if nothing has. */
static int news(lua_State *L)
{
    jwks_event event = JWKS_EVENT_INIT;
    if (!jwks_event_next(gateway.keys, &event))
        return 0;
    lua_pushstring(L, event.name);
    lua_pushfstring(L, "keyturn: %s issuer=\"%s\" count=%I removed=%I reason=%d", event.name, event.issuer,
                    (LUAI_UACINT)event.count, (LUAI_UACINT)event.removed, (int)event.reason);
    return 2;
}

/* metrics(): for Prometheus. It may grow between two calls. */
static int metrics(lua_State *L)
{
    size_t len = 0;
    (void)jwks_cache_metrics(gateway.keys, NULL, NULL, 0, &len);
    luaL_Buffer buffer;
    char *text = luaL_buffinitsize(L, &buffer, len += len / 4 + 1024);
    if (jwks_cache_metrics(gateway.keys, NULL, text, len, &len) != JWT_OK)
        len = 0;
    luaL_pushresultsize(&buffer, len);
    return 1;
}

/* ---- The module --------------------------------------------------------------------------------------------- */

static int release_result(lua_State *L)
{
    jwt_result_release(*(jwt_result **)lua_touserdata(L, 1));
    return 0;
}

/* One for each state, whose `verify` is over when it returns. */
static void push_result(lua_State *L)
{
    jwt_result **result = lua_newuserdata(L, sizeof(jwt_result *));
    *result = NULL;
    if (jwt_result_new(result) != JWT_OK)
        luaL_error(L, "keyturn: there is no memory left");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, release_result);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
}

int luaopen_keyturn_haproxy(lua_State *L);
int luaopen_keyturn_haproxy(lua_State *L)
{
    static const luaL_Reg functions[] = { { "configure", configure },
                                          { "poll", poll_keys },
                                          { "news", news },
                                          { "metrics", metrics },
                                          { NULL, NULL } };
    find_jwt_verify(L);
    luaL_newlib(L, functions);
    push_result(L);
    lua_pushcclosure(L, verify, 1);
    lua_setfield(L, -2, "verify");
    return 1;
}
