/* What a request is answered that does not go on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_SECONDS = 300 };

static envoy_field field_of(const char *name, const char *value, size_t len)
{
    return (envoy_field){ name, strlen(name), value, len };
}

/* ---- gRPC ---------------------------------------------------------------------------------------------- */

static int is_grpc(const keyturn_stream *of)
{
    static const char name[] = "content-type", type[] = "application/grpc";
    size_t count, len = sizeof type - 1;
    const envoy_field *field = keyturn_fields(of, &count);
    for (size_t i = 0; field && i < count; i++)
        if (field[i].name_len == sizeof name - 1 && strncasecmp(field[i].name, name, sizeof name - 1) == 0)
            return field[i].value_len >= len && strncasecmp(field[i].value, type, len) == 0 &&
                   (field[i].value_len == len || strchr("+;", field[i].value[len]));
    return 0;
}

/* As gRPC maps them: INTERNAL, UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE. */
static const char *grpc_status(int http)
{
    switch (http) {
    case 401:
        return "16";
    case 403:
        return "7";
    case 503:
        return "14";
    default:
        return "13";
    }
}

/* Envoy's own reply would say 0 there, which is success. */
static void reply_by_grpc(const keyturn_stream *of, int http, const envoy_field *more)
{
    const char *status = grpc_status(http);
    envoy_field fields[] = { field_of(":status", "200", 3), field_of("content-type", "application/grpc", 16),
                             field_of("grpc-status", status, strlen(status)),
                             more ? *more : field_of("", "", 0) };
    envoy_reply_fields(of->envoy, fields, more ? 4 : 3, true);
}

/* ---- All ------------------------------------------------------------------------------------------------- */

static void reply(const keyturn_stream *of, adapter_status status, const envoy_field *more)
{
    char details[64];
    if (is_grpc(of)) {
        reply_by_grpc(of, adapter_http(status), more);
        return;
    }
    snprintf(details, sizeof details, "keyturn_%s", adapter_name(status));
    envoy_reply(of->envoy, (uint32_t)adapter_http(status), more, more != NULL, (envoy_text){ "", 0 },
                keyturn_text(details));
}

static void say_when_to_retry(const keyturn_stream *of, const keyturn_access *access, adapter_status status)
{
    char value[16];
    unsigned seconds =
        access->policy ? adapter_retry_after(access->issuers, access->issuer_count) : MOST_SECONDS;
    int len = snprintf(value, sizeof value, "%u", seconds);
    envoy_field field = field_of("retry-after", value, (size_t)len);
    reply(of, status, &field);
}

static void challenge(const keyturn_stream *of, const keyturn_access *access, adapter_status status)
{
    size_t len = 0;
    (void)adapter_challenge(status, &access->challenge, NULL, 0, &len);
    char *value = len ? malloc(len + 1) : NULL;
    int has_one = value && adapter_challenge(status, &access->challenge, value, len + 1, &len) == JWT_OK;
    envoy_field field = field_of("www-authenticate", value, len);
    reply(of, status, has_one ? &field : NULL);
    free(value);
}

int keyturn_refuse(const keyturn_stream *of, const keyturn_access *access, adapter_status status)
{
    if (adapter_http(status) == 503)
        say_when_to_retry(of, access, status);
    else
        challenge(of, access, status);
    return ENVOY_STOP;
}
