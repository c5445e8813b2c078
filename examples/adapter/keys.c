/* Issuers and their keys as JSON. See adapter.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Counts what does not fit. */
typedef struct {
    char *buffer;
    size_t capacity, len;
} page;

static void add(page *to, const char *text, size_t len)
{
    size_t room = to->len < to->capacity ? to->capacity - to->len : 0;
    if (room > 0)
        memcpy(to->buffer + to->len, text, len < room ? len : room);
    to->len += len;
}

static void say(page *to, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (len > 0)
        add(to, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

static void say_string(page *to, const char *text, size_t len)
{
    add(to, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char octet = (unsigned char)text[i];
        if (octet < 0x20 || octet == 0x7f)
            say(to, "\\u%04x", (unsigned)octet);
        else if (octet == '"' || octet == '\\')
            say(to, "\\%c", text[i]);
        else
            add(to, &text[i], 1);
    }
    add(to, "\"", 1);
}

static void say_span(page *to, const char *name, keyturn_span text)
{
    say(to, "\"%s\":", name);
    if (text.len > 0)
        say_string(to, text.data, text.len);
    else
        say(to, "null");
}

/* Milliseconds as seconds; what there is not is null. */
static void say_seconds(page *to, const char *name, int64_t ms)
{
    if (ms < 0 || ms == INT64_MAX)
        say(to, ",\"%s\":null", name);
    else
        say(to, ",\"%s\":%" PRId64 ".%03d", name, ms / 1000, (int)(ms % 1000));
}

static void say_date(page *to, const char *name, int64_t seconds)
{
    if (seconds == 0 || seconds == INT64_MAX)
        say(to, ",\"%s\":null", name);
    else
        say(to, ",\"%s\":%" PRId64, name, seconds);
}

static void say_algorithms(page *to, uint64_t algorithms)
{
    const char *between = "";
    say(to, ",\"algorithms\":[");
    for (uint64_t rest = algorithms; rest; rest &= rest - 1) {
        const char *name = jwt_algorithm_name(rest & (~rest + 1));
        if (name == NULL)
            continue;
        say(to, "%s\"%s\"", between, name);
        between = ",";
    }
    say(to, "]");
}

static void say_key(page *to, const jwks_key_info *key)
{
    say(to, "{");
    say_span(to, "kid", key->kid);
    say(to, ",");
    say_span(to, "thumbprint", key->thumbprint);
    say_algorithms(to, key->algorithms);
    say(to, ",\"bits\":%u,\"fault\":%d,\"revoked\":%s", (unsigned)key->bits, (int)key->fault,
        key->revoked ? "true" : "false");
    say(to, ",\"accepted\":%" PRIu64, key->accepted);
    say_date(to, "latest_exp", key->latest_exp);
    say_date(to, "first_seen", key->first_seen);
    say_date(to, "last_seen", key->last_seen);
    say_date(to, "first_use", key->first_use);
    say_date(to, "last_use", key->last_use);
    say(to, "}");
}

static void say_keys(page *to, jwks_issuer *issuer)
{
    jwks_key_list *list = NULL;
    const char *between = "";
    say(to, ",\"keys\":[");
    if (jwks_issuer_keys(issuer, &list) == JWT_OK)
        for (size_t i = 0; i < jwks_key_list_count(list); i++) {
            jwks_key_info key = JWKS_KEY_INFO_INIT;
            if (jwks_key_list_get(list, i, &key) != JWT_OK)
                continue;
            add(to, between, strlen(between));
            say_key(to, &key);
            between = ",";
        }
    jwks_key_list_release(list);
    say(to, "]");
}

static const char *state_name(jwks_issuer_state state)
{
    static const char *const names[] = { "empty", "fresh", "stale", "expired", "pinned", "disabled" };
    return (size_t)state < sizeof names / sizeof *names ? names[state] : "unknown";
}

static void say_issuer(page *to, jwks_issuer *issuer, const char *name)
{
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    say(to, "{\"issuer\":");
    say_string(to, name, strlen(name));
    if (issuer && jwks_issuer_stats_get(issuer, &stats) == JWT_OK) {
        say(to, ",\"state\":\"%s\",\"ready\":%s", state_name(stats.state),
            jwks_issuer_ready(issuer) == JWT_OK ? "true" : "false");
        say_seconds(to, "age", stats.age_ms);
        say_seconds(to, "served", stats.served_ms);
        say_seconds(to, "next_fetch", stats.next_fetch_ms);
        say(to, ",\"failures\":%u,\"waiters\":%u,\"revocations\":%u", (unsigned)stats.failures,
            (unsigned)stats.waiters, (unsigned)stats.revocations);
        say_keys(to, issuer);
    } else
        say(to, ",\"state\":\"disabled\",\"ready\":false,\"keys\":[]");
    say(to, "}");
}

size_t adapter_keys(jwks_issuer *const *issuers, const char *const *names, size_t count, char *buffer,
                    size_t capacity)
{
    page to = { buffer, capacity, 0 };
    say(&to, "{\"process\":%ld,\"issuers\":[", (long)getpid());
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            say(&to, ",");
        say_issuer(&to, issuers[i], names[i]);
    }
    say(&to, "]}\n");
    return to.len;
}
