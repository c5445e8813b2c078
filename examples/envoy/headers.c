/* What a request brings, and what claims make of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const envoy_text CLAIMS = { "keyturn.claims", 14 }; /* of the metadata */

/* ---- The token --------------------------------------------------------------------------------------- */

static int is_named(const envoy_field *field, const char *name)
{
    return strlen(name) == field->name_len && strncasecmp(name, field->name, field->name_len) == 0;
}

/* NAME=VALUE of a list of them, each time that it is there. */
static void take_pairs(adapter_token *token, const char *at, const char *end, char separator,
                       const char *name)
{
    size_t len = strlen(name);
    while (at < end) {
        while (at < end && *at == ' ')
            at++;
        const char *stop = memchr(at, separator, (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        if ((size_t)(stop - at) > len && at[len] == '=' && memcmp(at, name, len) == 0)
            adapter_take_value(token, at + len + 1, (size_t)(stop - at) - len - 1);
        at = stop + 1;
    }
}

static void take_arguments(adapter_token *token, const envoy_field *path, const char *name)
{
    const char *end = path->value + path->value_len;
    const char *fragment = memchr(path->value, '#', path->value_len);
    end = fragment ? fragment : end;
    const char *query = memchr(path->value, '?', (size_t)(end - path->value));
    if (query)
        take_pairs(token, query + 1, end, '&', name);
}

static void take(adapter_token *token, const keyturn_source *source, const envoy_field *field)
{
    if (source->from == KEYTURN_FROM_AUTHORIZATION && is_named(field, "authorization"))
        adapter_take_field(token, field->value, field->value_len);
    else if (source->from == KEYTURN_FROM_HEADER && is_named(field, source->name))
        adapter_take_value(token, field->value, field->value_len);
    else if (source->from == KEYTURN_FROM_COOKIE && is_named(field, "cookie"))
        take_pairs(token, field->value, field->value + field->value_len, ';', source->name);
    else if (source->from == KEYTURN_FROM_ARGUMENT && is_named(field, ":path"))
        take_arguments(token, field, source->name);
}

adapter_token keyturn_take_token(const keyturn_stream *of, const keyturn_access *access)
{
    static const keyturn_source usual = { KEYTURN_FROM_AUTHORIZATION, "" };
    adapter_token token = { { NULL, 0 }, 0 };
    size_t count, sources = access->source_count ? access->source_count : 1;
    const envoy_field *fields = keyturn_fields(of, &count);
    for (size_t i = 0; fields && i < sources; i++)
        for (size_t j = 0; j < count; j++)
            take(&token, access->source_count ? &access->sources[i] : &usual, &fields[j]);
    return token;
}

/* ---- Headers made of claims ----------------------------------------------------------------------------- */

static int is_made(const keyturn_access *access, const envoy_field *field)
{
    for (size_t i = 0; i < access->header_count; i++)
        if (adapter_same_name(field->name, field->name_len, access->headers[i].name,
                              strlen(access->headers[i].name)))
            return 1;
    return 0;
}

static int take_out(const keyturn_stream *of, const envoy_field *field)
{
    char *name = malloc(field->name_len + 1);
    if (name == NULL)
        return -1;
    memcpy(name, field->name, field->name_len);
    bool done = envoy_set_field(of->envoy, ENVOY_REQUEST_HEADERS, (envoy_text){ name, field->name_len },
                                (envoy_text){ NULL, 0 });
    free(name);
    return done ? 0 : -1;
}

/* Also what the filter makes on other routes: no client is to send it on this one. */
int keyturn_clean(const keyturn_stream *of, const keyturn_access *access)
{
    const keyturn_access *usual = of->filter->access;
    size_t count = 0;
    if (access->header_count + usual->header_count == 0)
        return 0;
    const envoy_field *fields = keyturn_fields(of, &count);
    if (fields == NULL)
        return -1;
    for (size_t i = 0; i < count;) {
        if (!is_made(access, &fields[i]) && !is_made(usual, &fields[i])) {
            i++;
            continue;
        }
        if (take_out(of, &fields[i]) != 0 || (fields = keyturn_fields(of, &count)) == NULL)
            return -1;
    }
    return 0;
}

static jwt_value claim_of(const keyturn_made *made, const jwt_result *result)
{
    return adapter_claim(result, made->claim, strlen(made->claim));
}

int keyturn_fits(const keyturn_access *access, const jwt_result *result)
{
    for (size_t i = 0; i < access->header_count; i++)
        if (adapter_fits(claim_of(&access->headers[i], result)) == ADAPTER_UNFIT)
            return 0;
    return 1;
}

/* The text of a claim that fits, for free(); NULL: no memory. */
static char *text_of(jwt_value claim, size_t *len)
{
    char *text = malloc(claim.text.len + 1);
    if (text) {
        *len = adapter_text(claim, text);
        text[*len] = '\0';
    }
    return text;
}

static int make_header(const keyturn_stream *of, const keyturn_made *made, jwt_value claim)
{
    size_t len;
    char *text = text_of(claim, &len);
    bool done = text && envoy_set_field(of->envoy, ENVOY_REQUEST_HEADERS, keyturn_text(made->name),
                                        (envoy_text){ text, len });
    free(text);
    return done ? 0 : -1;
}

/* ---- Metadata ---------------------------------------------------------------------------------------------- */

static int make_metadata(const keyturn_stream *of, const keyturn_made *made, jwt_value claim)
{
    size_t len;
    envoy_text key = keyturn_text(made->name);
    char *text = text_of(claim, &len);
    if (text == NULL)
        return -1;
    if (claim.kind == JWT_NUMBER)
        envoy_set_number(of->envoy, CLAIMS, key, strtod(text, NULL));
    else if (claim.kind == JWT_BOOLEAN)
        envoy_set_flag(of->envoy, CLAIMS, key, strcmp(text, "true") == 0);
    else
        envoy_set_text(of->envoy, CLAIMS, key, (envoy_text){ text, len });
    free(text);
    return 0;
}

int keyturn_make(const keyturn_stream *of, const keyturn_access *access, const jwt_result *result)
{
    for (size_t i = 0; i < access->header_count; i++) {
        jwt_value claim = claim_of(&access->headers[i], result);
        int is_made =
            adapter_fits(claim) == ADAPTER_FIT && claim.text.len > 0; /* Envoy adds no empty header */
        if (is_made && make_header(of, &access->headers[i], claim) != 0)
            return -1;
    }
    for (size_t i = 0; i < access->metadata_count; i++) {
        jwt_value claim = claim_of(&access->metadata[i], result);
        if (adapter_fits(claim) == ADAPTER_FIT && make_metadata(of, &access->metadata[i], claim) != 0)
            return -1;
    }
    return 0;
}
