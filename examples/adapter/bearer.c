/* The token of a request. See adapter.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

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

void adapter_take_field(adapter_token *token, const char *field, size_t len)
{
    keyturn_span all = trimmed(field, len);
    if (is_bearer(all.data, all.len))
        take(token, trimmed(all.data + SCHEME_LEN, all.len - SCHEME_LEN));
}

void adapter_take_value(adapter_token *token, const char *value, size_t len)
{
    if (len > 0)
        take(token, (keyturn_span){ value, len });
}
