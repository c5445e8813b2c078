/* A request's story: its token is found and judged, perhaps after a while, and it goes on or is refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

enum { MOST_TRIES = 3 };
enum { MOST_WAITS = 2 }; /* the flight that is under way, and one more */

/* ---- The verdict ------------------------------------------------------------------------------------- */

static int digit(char hex)
{
    return hex >= '0' && hex <= '9' ? hex - '0' : hex >= 'a' && hex <= 'f' ? hex - 'a' + 10 : -1;
}

static int digest_certificate(void *host, unsigned char sha256[32])
{
    const keyturn_stream *of = host;
    envoy_text hex = { NULL, 0 };
    if (!envoy_get_attribute(of->envoy, ENVOY_CERTIFICATE_DIGEST, &hex) || hex.len != 64)
        return 0;
    for (size_t i = 0; i < 32; i++) {
        int high = digit(hex.data[2 * i]), low = digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        sha256[i] = (unsigned char)(high << 4 | low);
    }
    return 1;
}

/* JWKS_PENDING: it is parked. Else the verdict, or why it cannot wait. */
static adapter_status judge(keyturn_stream *of, const keyturn_access *access, const adapter_token *token,
                            jwt_result *result)
{
    for (int tries = 0; access->policy && tries < MOST_TRIES; tries++) {
        adapter_status status = adapter_verify(access->policy, token, result);
        if (status != JWKS_PENDING)
            return status == JWT_OK ? adapter_confirm(result, digest_certificate, of) : status;
        if (of->waits == MOST_WAITS)
            break;
        jwt_status parked = keyturn_park(of, result);
        if (parked == JWT_OK)
            return JWKS_PENDING;
        if (parked != JWKS_RETRY)
            break;
    }
    return JWKS_KEYS_UNAVAILABLE;
}

static void count(const keyturn_stream *of, size_t counter, adapter_status status)
{
    envoy_text label = keyturn_text(adapter_name(status));
    envoy_count(of->envoy, counter, &label, 1, 1);
}

static void log_refusal(const keyturn_access *access, adapter_status status, const jwt_result *result)
{
    int reports = access->mode == KEYTURN_MODE_REPORT, is_ours = adapter_http(status) == 500;
    const char *detail = jwt_result_detail(result);
    keyturn_log(reports   ? ENVOY_WARNING
                : is_ours ? ENVOY_ERROR
                          : ENVOY_DEBUG,
                "keyturn %s: %s%s%s, %s", reports ? "would refuse" : "refuses", adapter_name(status),
                detail[0] ? " " : "", detail, adapter_message(status));
}

/* ---- What follows --------------------------------------------------------------------------------------- */

/* Nothing but what is true of this request goes on. */
static int pass(const keyturn_stream *of, const keyturn_access *access, const jwt_result *accepted)
{
    if (keyturn_clean(of, access) != 0 || (accepted && keyturn_make(of, access, accepted) != 0))
        return keyturn_refuse(of, access, JWKS_NO_MEMORY);
    if (access->page == KEYTURN_NO_PAGE)
        return ENVOY_CONTINUE;
    keyturn_send_page(of, access->page);
    return ENVOY_STOP;
}

static int decide(const keyturn_stream *of, const keyturn_access *access, const adapter_token *token,
                  adapter_status status, const jwt_result *result)
{
    if (status == JWT_OK && !keyturn_fits(access, result))
        status = ADAPTER_UNFIT_CLAIM;
    count(of, of->filter->verdicts, status);
    keyturn_tell(of, access, token, status, result);
    if (status == JWT_OK)
        return pass(of, access, result);
    log_refusal(access, status, result);
    if (access->mode != KEYTURN_MODE_REPORT)
        return keyturn_refuse(of, access, status);
    count(of, of->filter->reports, status);
    return pass(of, access, NULL);
}

static int check(keyturn_stream *of, const keyturn_access *access)
{
    jwt_result *result = keyturn_result();
    if (result == NULL)
        return keyturn_refuse(of, access, JWKS_NO_MEMORY);
    adapter_token token = keyturn_take_token(of, access);
    if (access->mode == KEYTURN_MODE_OPTIONAL && token.found == 0)
        return pass(of, access, NULL);
    adapter_status status = judge(of, access, &token, result);
    int next =
        status == JWKS_PENDING ? ENVOY_STOP_ALL_AND_WATERMARK : decide(of, access, &token, status, result);
    keyturn_forget(result);
    return next;
}

/* ---- Its beginning, and its going on ----------------------------------------------------------------------- */

int keyturn_begin(keyturn_stream *of)
{
    keyturn_access *access = keyturn_access_of(of->filter, (void *)envoy_route(of->envoy));
    if (access == NULL)
        return keyturn_refuse(of, of->filter->access, JWKS_NO_MEMORY);
    if (access->mode == KEYTURN_MODE_OFF)
        return pass(of, access, NULL);
    int next = check(of, access);
    if (next == ENVOY_STOP_ALL_AND_WATERMARK)
        of->access = keyturn_access_hold(access);
    return next;
}

/* What it ends with may end the stream, too, and `of` with it. */
void keyturn_resume(keyturn_stream *of)
{
    keyturn_access *access = of->access;
    void *envoy = of->envoy;
    keyturn_unpark(of);
    of->access = NULL;
    int next = check(of, access);
    if (next == ENVOY_STOP_ALL_AND_WATERMARK)
        of->access = access;
    else
        keyturn_access_release(access);
    if (next == ENVOY_CONTINUE)
        envoy_continue(envoy);
}
