/* Claims as text. See adapter.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

static int is_control(char octet)
{
    return (unsigned char)octet < 0x20;
}

/* In the JSON text of an array control characters are white space, but for this one, which may be part of a string. */
static int is_unfit(char octet, jwt_kind kind)
{
    return octet == 0x7f || (kind == JWT_STRING && is_control(octet));
}

adapter_fitness adapter_fits(jwt_value value)
{
    if (value.kind == JWT_ABSENT || value.kind == JWT_NULL)
        return ADAPTER_ABSENT;
    for (size_t i = 0; i < value.text.len; i++)
        if (is_unfit(value.text.data[i], value.kind))
            return ADAPTER_UNFIT;
    return ADAPTER_FIT;
}

size_t adapter_text(jwt_value value, char *buffer)
{
    size_t len = 0;
    for (size_t i = 0; i < value.text.len; i++)
        if (!is_control(value.text.data[i]))
            buffer[len++] = value.text.data[i];
    return len;
}

jwt_value adapter_claim(const jwt_result *result, const char *claim, size_t len)
{
    return len > 0 && claim[0] == '/' ? jwt_result_claim_at(result, claim, len)
                                      : jwt_result_claim(result, claim, len);
}

static char folded(char octet)
{
    if (octet >= 'A' && octet <= 'Z')
        return (char)(octet | 0x20);
    return (octet >= 'a' && octet <= 'z') || (octet >= '0' && octet <= '9') ? octet : '_';
}

int adapter_same_name(const char *name, size_t len, const char *other, size_t other_len)
{
    if (len != other_len)
        return 0;
    for (size_t i = 0; i < len; i++)
        if (folded(name[i]) != folded(other[i]))
            return 0;
    return 1;
}
