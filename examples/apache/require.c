/* `Require keyturn-claim CLAIM [KIND VALUE...]`: a rule on a claim that Apache puts together with others, of this module or
 * not. It means what it does as a KeyturnRequire, which is a part of the policy.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

enum { MOST_ELEMENTS = 256 }; /* of an array, that are looked at */

/* ---- Whether a rule holds ---------------------------------------------------------------------------------- */

static int is_equal(jwt_value found, const char *value)
{
    int is_scalar = found.kind == JWT_STRING || found.kind == JWT_NUMBER || found.kind == JWT_BOOLEAN;
    return is_scalar && found.text.len == strlen(value) &&
           memcmp(found.text.data, value, found.text.len) == 0;
}

static int has_prefix(jwt_value found, const char *value)
{
    size_t len = strlen(value);
    return found.kind == JWT_STRING && found.text.len >= len && memcmp(found.text.data, value, len) == 0;
}

static int has_word(jwt_value found, const char *value)
{
    size_t len = strlen(value), start = 0;
    if (found.kind != JWT_STRING || len == 0)
        return 0;
    for (size_t i = 0; i <= found.text.len; i++) {
        if (i < found.text.len && found.text.data[i] != ' ')
            continue;
        if (i - start == len && memcmp(found.text.data + start, value, len) == 0)
            return 1;
        start = i + 1;
    }
    return 0;
}

static int is_any(jwt_value found, const jwt_rule *rule, int (*fits)(jwt_value, const char *))
{
    for (size_t i = 0; i < rule->value_count; i++)
        if (fits(found, rule->values[i]))
            return 1;
    return 0;
}

/* A name as the first step of a pointer (RFC 6901). */
static const char *pointer_to(apr_pool_t *pool, const char *claim)
{
    char *pointer = apr_palloc(pool, 2 * strlen(claim) + 2), *at = pointer;
    if (*claim == '/')
        return claim;
    for (*at++ = '/'; *claim; claim++) {
        *at++ = *claim == '~' || *claim == '/' ? '~' : *claim;
        if (*claim == '~' || *claim == '/')
            *at++ = *claim == '~' ? '0' : '1';
    }
    *at = '\0';
    return pointer;
}

static int contains(apr_pool_t *pool, const jwt_result *result, const jwt_rule *rule)
{
    const char *array = pointer_to(pool, rule->claim);
    for (int i = 0; i < MOST_ELEMENTS; i++) {
        const char *pointer = apr_psprintf(pool, "%s/%d", array, i);
        jwt_value element = jwt_result_claim_at(result, pointer, strlen(pointer));
        if (element.kind == JWT_ABSENT)
            break;
        if (is_any(element, rule, is_equal))
            return 1;
    }
    return 0;
}

static int holds(apr_pool_t *pool, const jwt_result *result, const jwt_rule *rule)
{
    jwt_value found = adapter_claim(result, rule->claim, strlen(rule->claim));
    if (found.kind == JWT_ABSENT || found.kind == JWT_NULL)
        return 0;
    switch (rule->kind) {
    case JWT_RULE_PRESENT:
        return 1;
    case JWT_RULE_EQUALS:
    case JWT_RULE_ONE_OF:
        return is_any(found, rule, is_equal);
    case JWT_RULE_PREFIX:
        return is_any(found, rule, has_prefix);
    case JWT_RULE_HAS_WORD:
        return is_any(found, rule, has_word);
    case JWT_RULE_CONTAINS:
        return found.kind == JWT_ARRAY && contains(pool, result, rule);
    default:
        return 0;
    }
}

/* ---- What Apache asks ----------------------------------------------------------------------------------------- */

static authz_status check(request_rec *r, const char *line, const void *parsed)
{
    const keyturn_verdict *verdict = keyturn_verdict_of(r);
    if (verdict == NULL || verdict->status != JWT_OK)
        return AUTHZ_DENIED_NO_USER; /* as yet, or for good */
    const keyturn_requirement *required = parsed;
    return holds(r->pool, verdict->result, &required->rule) ? AUTHZ_GRANTED : AUTHZ_DENIED;
}

static const char *parse(cmd_parms *cmd, const char *line, const void **parsed)
{
    keyturn_requirement *required = apr_pcalloc(cmd->pool, sizeof *required);
    keyturn_section *section = ap_get_module_config(cmd->context, &keyturn_module);
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_HTACCESS);
    size_t count;
    const char *const *words = keyturn_words(cmd->pool, line, &count);
    if (wrong == NULL)
        wrong = adapter_set_rule(&required->rule, words, count);
    if (wrong == NULL && required->rule.kind == JWT_RULE_SPIFFE_TRUST_DOMAIN)
        wrong = "spiffe_trust_domain is for KeyturnRequire";
    if (wrong)
        return apr_pstrcat(cmd->pool, "keyturn-claim: ", wrong, NULL);
    if (section == NULL)
        ap_set_module_config(cmd->context, &keyturn_module,
                             section = keyturn_create_section(cmd->pool, NULL));
    section->is_required = 1;
    required->place = keyturn_place_of(cmd);
    APR_ARRAY_PUSH(keyturn_configured->requirements, keyturn_requirement *) = required;
    *parsed = required;
    return NULL;
}

const authz_provider keyturn_requires = { check, parse };
