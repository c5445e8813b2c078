/* The token of a request. See adapter.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

#include <string.h>

static const char SCHEME[] = "bearer";
enum { SCHEME_LEN = sizeof SCHEME - 1 };

static int is_space(char octet)
{
    return octet == ' ' || octet == '\t';
}

static int is_bearer(const char *field, size_t len)
{
    if (len < SCHEME_LEN || (len > SCHEME_LEN && !is_space(field[SCHEME_LEN])))
        return 0;
    for (size_t i = 0; i < SCHEME_LEN; i++)
        if ((field[i] | 0x20) != SCHEME[i])
            return 0;
    return 1;
}

/* Without the white space that HTTP allows around it (RFC 9110 section 5.5). */
static keyturn_span trimmed(const char *text, size_t len)
{
    while (len > 0 && is_space(text[0]))
        text++, len--;
    while (len > 0 && is_space(text[len - 1]))
        len--;
    return (keyturn_span){ text, len };
}

static void take(adapter_token *token, keyturn_span text)
{
    token->text = text;
    token->found++;
}

static void take_bearer(adapter_token *token, keyturn_span field)
{
    if (is_bearer(field.data, field.len))
        take(token, trimmed(field.data + SCHEME_LEN, field.len - SCHEME_LEN));
}

void adapter_take_field(adapter_token *token, const char *field, size_t len)
{
    const char *end = field + len, *comma = field;
    take_bearer(token, trimmed(field, len));
    while (comma < end && (comma = memchr(comma, ',', (size_t)(end - comma)))) {
        comma++;
        take_bearer(token, trimmed(comma, (size_t)(end - comma)));
    }
}

void adapter_take_value(adapter_token *token, const char *value, size_t len)
{
    if (len > 0)
        take(token, (keyturn_span){ value, len });
}
