/* A request's story: its headers are cleaned, its token is found and judged, perhaps after a while, and it passes or is
 * refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

APLOG_USE_MODULE(keyturn);

enum { MOST_SECONDS = 300 };

static const keyturn_section *section_of(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &keyturn_module);
}

/* ---- What is known of a request -------------------------------------------------------------------------- */

/* Also of one that Apache has redirected within itself since. */
keyturn_verdict *keyturn_verdict_of(const request_rec *r)
{
    keyturn_verdict *verdict = NULL;
    for (; r && verdict == NULL; r = r->prev)
        verdict = ap_get_module_config(r->request_config, &keyturn_module);
    return verdict;
}

static int is_same_token(const adapter_token *one, const adapter_token *other)
{
    return one->found == other->found && one->text.len == other->text.len &&
           (one->text.len == 0 || memcmp(one->text.data, other->text.data, one->text.len) == 0);
}

/* A redirect or a subrequest brings the same token again: under the same policy it has its verdict, but for what this
 * section makes of the claims. */
static keyturn_verdict *verdict_before(request_rec *r, const keyturn_policy *policy,
                                       const adapter_token *token)
{
    for (const request_rec *each = r; each; each = each->main ? each->main : each->prev) {
        const keyturn_verdict *before = ap_get_module_config(each->request_config, &keyturn_module);
        if (before == NULL || before->policy != policy || !is_same_token(&before->token, token))
            continue;
        keyturn_verdict *verdict = apr_pmemdup(r->pool, before, sizeof *before);
        if (verdict->status == ADAPTER_UNFIT_CLAIM)
            verdict->status = JWT_OK;
        return verdict;
    }
    return NULL;
}

static apr_status_t forget(void *data)
{
    keyturn_give_result(data);
    return APR_SUCCESS;
}

static keyturn_verdict *new_verdict(request_rec *r, const keyturn_policy *policy, const adapter_token *token)
{
    keyturn_verdict *verdict = apr_pcalloc(r->pool, sizeof *verdict);
    verdict->policy = policy;
    verdict->token = *token;
    verdict->status = JWKS_KEYS_UNAVAILABLE;
    verdict->result = keyturn_configured->keys ? keyturn_take_result() : NULL;
    if (verdict->result == NULL)
        return NULL;
    apr_pool_cleanup_register(r->pool, verdict->result, forget, apr_pool_cleanup_null);
    return verdict;
}

/* ---- Headers made of claims ------------------------------------------------------------------------------- */

typedef struct {
    const apr_array_header_t *made;
    const char *found;
} search;

static int find_made(void *data, const char *name, const char *value)
{
    search *of = data;
    for (int i = 0; i < of->made->nelts && of->found == NULL; i++) {
        const char *made = APR_ARRAY_IDX(of->made, i, keyturn_made).name;
        if (adapter_same_name(name, strlen(name), made, strlen(made)))
            of->found = name;
    }
    return of->found == NULL;
}

/* mod_proxy takes out what the client's Connection names (RFC 9110 section 7.6.1), which shall not be a header that claims
 * make. Nobody honest names one. */
static void clean_connection(request_rec *r, const apr_array_header_t *made)
{
    const char *named = apr_table_get(r->headers_in, "Connection");
    for (int i = 0; i < made->nelts; i++)
        if (ap_find_token(r->pool, named, APR_ARRAY_IDX(made, i, keyturn_made).name))
            apr_table_unset(r->headers_in, "Connection");
}

/* Before anybody decides about access, since another may let the request pass: only claims speak under these names. */
int keyturn_clean_headers(request_rec *r)
{
    search of = { section_of(r)->headers, NULL };
    if (of.made == NULL)
        return DECLINED;
    clean_connection(r, of.made);
    while (apr_table_do(find_made, &of, r->headers_in, NULL) == 0) {
        apr_table_unset(r->headers_in, of.found);
        of.found = NULL;
    }
    return DECLINED;
}

static const char *text_of(apr_pool_t *pool, jwt_value value)
{
    if (adapter_fits(value) != ADAPTER_FIT)
        return NULL;
    char *text = apr_palloc(pool, value.text.len + 1);
    text[adapter_text(value, text)] = '\0';
    return text;
}

static jwt_value claim_of(const keyturn_verdict *verdict, const char *claim)
{
    return claim ? adapter_claim(verdict->result, claim, strlen(claim))
                 : (jwt_value){ JWT_ABSENT, { NULL, 0 } };
}

static int are_fit(const keyturn_verdict *verdict, const apr_array_header_t *headers)
{
    for (int i = 0; headers && i < headers->nelts; i++)
        if (adapter_fits(claim_of(verdict, APR_ARRAY_IDX(headers, i, keyturn_made).claim)) == ADAPTER_UNFIT)
            return 0;
    return 1;
}

static void make(request_rec *r, const keyturn_verdict *verdict, const apr_array_header_t *all,
                 apr_table_t *into)
{
    for (int i = 0; all && i < all->nelts; i++) {
        const keyturn_made *made = &APR_ARRAY_IDX(all, i, keyturn_made);
        const char *text = text_of(r->pool, claim_of(verdict, made->claim));
        if (text)
            apr_table_setn(into, made->name, text);
    }
}

/* ---- The token ---------------------------------------------------------------------------------------------- */

/* NAME=VALUE of a list of them, each time that it is there. */
static void take_pairs(adapter_token *token, const char *list, const char *separators, const char *name)
{
    size_t len = strlen(name);
    while (*list) {
        list += strspn(list, " ");
        size_t pair = strcspn(list, separators);
        if (pair > len && list[len] == '=' && strncmp(list, name, len) == 0)
            adapter_take_value(token, list + len + 1, pair - len - 1);
        list += pair;
        list += *list != '\0';
    }
}

static void take_from(const request_rec *r, const keyturn_source *source, adapter_token *token)
{
    const char *fields = source->from == KEYTURN_FROM_HEADER   ? apr_table_get(r->headers_in, "Authorization")
                         : source->from == KEYTURN_FROM_COOKIE ? apr_table_get(r->headers_in, "Cookie")
                                                               : r->args;
    if (fields == NULL)
        return;
    if (source->from == KEYTURN_FROM_HEADER)
        adapter_take_field(token, fields, strlen(fields));
    else /* Apache joins fields of one name with commas, Cookie too */
        take_pairs(token, fields, source->from == KEYTURN_FROM_COOKIE ? ";," : "&", source->name);
}

static adapter_token take_token(const request_rec *r, const apr_array_header_t *sources)
{
    static const keyturn_source usual = { KEYTURN_FROM_HEADER, NULL };
    adapter_token token = { { NULL, 0 }, 0 };
    if (sources == NULL)
        take_from(r, &usual, &token);
    for (int i = 0; sources && i < sources->nelts; i++)
        take_from(r, &APR_ARRAY_IDX(sources, i, keyturn_source), &token);
    return token;
}

/* ---- The verdict ----------------------------------------------------------------------------------------------- */

/* This thread waits, where a fetch may bring the key. */
static adapter_status verify(keyturn_verdict *verdict)
{
    const keyturn_policy *policy = verdict->policy;
    adapter_status status = adapter_verify(policy->handle, &verdict->token, verdict->result);
    if (status != JWKS_PENDING)
        return status;
    apr_time_t since = apr_time_now();
    status = jwt_verify_wait(policy->handle, verdict->token.text.data, verdict->token.text.len,
                             policy->patience, verdict->result);
    verdict->waited = apr_time_now() - since;
    return status;
}

static void judge(request_rec *r, keyturn_verdict *verdict)
{
    if (verdict->policy == NULL || verdict->policy->handle == NULL)
        return;
    verdict->status = verify(verdict);
    if (verdict->status == JWT_OK)
        verdict->status = keyturn_confirm(r, verdict);
}

static void challenge(request_rec *r, const keyturn_section *section, adapter_status status)
{
    size_t len = 0;
    (void)adapter_challenge(status, &section->challenge, NULL, 0, &len);
    if (len == 0)
        return;
    char *value = apr_palloc(r->pool, len + 1);
    if (adapter_challenge(status, &section->challenge, value, len + 1, &len) == JWT_OK)
        apr_table_setn(r->err_headers_out, "WWW-Authenticate", value);
}

static void say_when_to_retry(request_rec *r, const keyturn_policy *policy)
{
    int is_open = policy && policy->handle;
    unsigned seconds =
        is_open ? adapter_retry_after(policy->handles, policy->options.issuer_count) : MOST_SECONDS;
    apr_table_setn(r->err_headers_out, "Retry-After", apr_psprintf(r->pool, "%u", seconds));
}

static void log_refusal(request_rec *r, const keyturn_verdict *verdict, int is_report)
{
    int level = is_report                                                     ? APLOG_WARNING
                : adapter_http(verdict->status) == HTTP_INTERNAL_SERVER_ERROR ? APLOG_ERR
                                                                              : APLOG_INFO;
    const char *detail = jwt_result_detail(verdict->result);
    ap_log_rerror(APLOG_MARK, level, 0, r, "keyturn %s: %s%s%s, %s", is_report ? "would refuse" : "refuses",
                  adapter_name(verdict->status), detail[0] ? " " : "", detail,
                  adapter_message(verdict->status));
}

static int refuse(request_rec *r, const keyturn_section *section, const keyturn_verdict *verdict)
{
    int http = adapter_http(verdict->status);
    log_refusal(r, verdict, 0);
    if (http == HTTP_SERVICE_UNAVAILABLE)
        say_when_to_retry(r, verdict->policy);
    else
        challenge(r, section, verdict->status);
    return http;
}

/* What the claims become. A `Require` may still refuse the request: the challenge for that is at hand until it passes. */
static void let_in(request_rec *r, const keyturn_section *section, const keyturn_verdict *verdict)
{
    make(r, verdict, section->headers, r->headers_in);
    make(r, verdict, section->variables, r->subprocess_env);
    jwt_value user = claim_of(verdict, section->user ? section->user : "sub");
    if (user.kind == JWT_STRING && user.text.len > 0)
        r->user = (char *)text_of(r->pool, user);
    r->ap_auth_type = "Bearer";
    challenge(r, section, JWT_RULE_FAILED);
}

/* DECLINED: it may pass, as far as its token is concerned. */
static int decide(request_rec *r, const keyturn_section *section, keyturn_verdict *verdict)
{
    if (verdict->status == JWT_OK && !are_fit(verdict, section->headers))
        verdict->status = ADAPTER_UNFIT_CLAIM;
    ap_set_module_config(r->request_config, &keyturn_module, verdict);
    if (verdict->status == JWT_OK)
        let_in(r, section, verdict);
    else if (section->mode == KEYTURN_MODE_REPORT)
        log_refusal(r, verdict, 1);
    else if (!section->is_required)
        return refuse(r, section, verdict);
    return DECLINED;
}

/* ---- What Apache asks, in this order ----------------------------------------------------------------------------- */

static int is_on(const keyturn_section *section)
{
    return section->mode > KEYTURN_MODE_OFF;
}

/* Before `Require` is asked, whatever it says: also `Require all granted`, or none at all. Where a line `Require
 * keyturn-claim` is, it decides who needs a token. */
int keyturn_check_token(request_rec *r)
{
    const keyturn_section *section = section_of(r);
    if (!is_on(section))
        return DECLINED;
    adapter_token token = take_token(r, section->sources);
    if (section->mode == KEYTURN_MODE_OPTIONAL && token.found == 0)
        return DECLINED;
    keyturn_verdict *verdict = verdict_before(r, section->policy, &token);
    if (verdict)
        return decide(r, section, verdict);
    verdict = new_verdict(r, section->policy, &token);
    if (verdict == NULL) { /* no memory, or it failed this child at its start */
        say_when_to_retry(r, NULL);
        return section->mode == KEYTURN_MODE_REPORT ? DECLINED : HTTP_SERVICE_UNAVAILABLE;
    }
    judge(r, verdict);
    return decide(r, section, verdict);
}

/* Where `Require` wants a user, or a claim, that no token has brought. */
int keyturn_refuse_user(request_rec *r)
{
    const keyturn_section *section = section_of(r);
    const keyturn_verdict *verdict = keyturn_verdict_of(r);
    if (!is_on(section))
        return DECLINED;
    if (verdict && verdict->status != JWT_OK)
        return refuse(r, section, verdict);
    challenge(r, section, verdict ? JWT_CLAIM_MISSING : JWT_MISSING);
    return HTTP_UNAUTHORIZED;
}

/* Nothing has refused the request, so it needs no challenge. */
int keyturn_let_pass(request_rec *r)
{
    const keyturn_verdict *verdict = ap_get_module_config(r->request_config, &keyturn_module);
    if (verdict && verdict->status == JWT_OK)
        apr_table_unset(r->err_headers_out, "WWW-Authenticate");
    return DECLINED;
}
