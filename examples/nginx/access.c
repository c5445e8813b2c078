/* A request's story: its headers are cleaned, its token is found and judged, perhaps after a while, and it passes or is
 * refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "ngx_http_keyturn.h"

#include <openssl/x509.h>

enum { MOST_TRIES = 3, MOST_SECONDS = 300 };

/* ---- What is known of a request -------------------------------------------------------------------- */

static void forget(void *data)
{
    keyturn_request *of = data;
    jwt_wait_cancel(of->waiter);
    if (of->deadline.timer_set)
        ngx_del_timer(&of->deadline);
    keyturn_give_result(of->main, of->result);
}

/* By the request's pool, since an internal redirect forgets the modules' contexts. */
static keyturn_request *found(ngx_http_request_t *r)
{
    for (ngx_pool_cleanup_t *each = r->pool->cleanup; each; each = each->next)
        if (each->handler == forget)
            return each->data;
    return NULL;
}

keyturn_request *keyturn_request_of(ngx_http_request_t *r)
{
    keyturn_request *of = ngx_http_get_module_ctx(r->main, ngx_http_keyturn_module);
    return of ? of : found(r->main); /* a subrequest is part of it, and has its pool */
}

static void deadline_over(ngx_event_t *event)
{
    keyturn_resume(event->data);
}

static keyturn_request *obtain(ngx_http_request_t *r)
{
    keyturn_request *of = keyturn_request_of(r);
    if (of)
        return of;
    keyturn_main *main = ngx_http_get_module_main_conf(r, ngx_http_keyturn_module);
    jwt_result *result = keyturn_take_result(main);
    if (result == NULL)
        return NULL;
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(r->pool, sizeof(keyturn_request));
    if (cleanup == NULL) {
        keyturn_give_result(main, result);
        return NULL;
    }
    of = cleanup->data;
    ngx_memzero(of, sizeof *of);
    of->request = r;
    of->main = main;
    of->result = result;
    of->deadline.handler = deadline_over;
    of->deadline.data = of;
    of->deadline.log = r->connection->log;
    cleanup->handler = forget;
    ngx_http_set_ctx(r, of, ngx_http_keyturn_module);
    return of;
}

/* ---- Headers made of claims ------------------------------------------------------------------------- */

static int is_made(const keyturn_location *at, const ngx_table_elt_t *field)
{
    keyturn_header *header = at->headers->elts;
    for (ngx_uint_t i = 0; i < at->headers->nelts; i++)
        if (adapter_same_name((char *)field->key.data, field->key.len, (char *)header[i].name.data,
                              header[i].name.len))
            return 1;
    return 0;
}

/* Copies the headers of a request, but for those that claims make: only they speak under these names. */
static ngx_int_t leave_out_made(ngx_http_request_t *r, const keyturn_location *at, ngx_list_t *to)
{
    for (ngx_list_part_t *part = &r->headers_in.headers.part; part; part = part->next) {
        ngx_table_elt_t *field = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (is_made(at, &field[i]))
                continue;
            ngx_table_elt_t *copy = ngx_list_push(to);
            if (copy == NULL)
                return NGX_ERROR;
            *copy = field[i];
        }
    }
    return NGX_OK;
}

static ngx_int_t add_made(ngx_http_request_t *r, const keyturn_header *header, jwt_value claim,
                          ngx_list_t *to)
{
    u_char *text = ngx_pnalloc(r->pool, claim.text.len + 1);
    ngx_table_elt_t *field = ngx_list_push(to);
    if (text == NULL || field == NULL)
        return NGX_ERROR;
    ngx_memzero(field, sizeof *field);
    field->hash = header->hash;
    field->key = header->name;
    field->lowcase_key = header->lowercase.data;
    field->value.data = text;
    field->value.len = adapter_text(claim, (char *)text);
    text[field->value.len] = '\0';
    return NGX_OK;
}

/* NGX_DECLINED: a claim is unfit to be a header. */
static ngx_int_t make_headers(ngx_http_request_t *r, const keyturn_location *at, const jwt_result *result,
                              ngx_list_t *to)
{
    keyturn_header *header = at->headers->elts;
    for (ngx_uint_t i = 0; i < at->headers->nelts; i++) {
        if (header[i].claim.len == 0)
            continue;
        jwt_value claim = adapter_claim(result, (char *)header[i].claim.data, header[i].claim.len);
        adapter_fitness fitness = adapter_fits(claim);
        if (fitness == ADAPTER_UNFIT)
            return NGX_DECLINED;
        if (fitness == ADAPTER_FIT && add_made(r, &header[i], claim, to) != NGX_OK)
            return NGX_ERROR;
    }
    return NGX_OK;
}

/* Whoever has asked for them before, as `if` does, was told what the client sent. */
static void forget_variables(ngx_http_request_t *r, const keyturn_location *at)
{
    keyturn_header *header = at->headers->elts;
    for (ngx_uint_t i = 0; i < at->headers->nelts; i++)
        r->variables[header[i].variable].valid = r->variables[header[i].variable].not_found = 0;
}

/* The list is a new one, since a subrequest shares its parts with its parent. A NULL result makes none. */
static ngx_int_t set_headers(ngx_http_request_t *r, const keyturn_location *at, const jwt_result *result)
{
    if (at->headers == NULL)
        return NGX_OK;
    ngx_list_t list;
    if (ngx_list_init(&list, r->pool, 20, sizeof(ngx_table_elt_t)) != NGX_OK ||
        leave_out_made(r, at, &list) != NGX_OK)
        return NGX_ERROR;
    ngx_int_t made = result ? make_headers(r, at, result, &list) : NGX_OK;
    if (made != NGX_OK)
        return made;
    r->headers_in.headers = list;
    if (list.last == &list.part)
        r->headers_in.headers.last = &r->headers_in.headers.part;
    forget_variables(r, at);
    return NGX_OK;
}

/* Before anybody decides about access, since `satisfy any` may never ask us. A subrequest, whose access nobody
 * checks, has what its parent was found to be. */
ngx_int_t keyturn_clean_headers(ngx_http_request_t *r)
{
    keyturn_request *of = r == r->main ? NULL : keyturn_request_of(r);
    const jwt_result *result = of && of->judged && of->status == JWT_OK ? of->result : NULL;
    ngx_int_t set = set_headers(r, ngx_http_get_module_loc_conf(r, ngx_http_keyturn_module), result);
    return set == NGX_OK      ? NGX_DECLINED
           : set == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR
                              : NGX_HTTP_FORBIDDEN;
}

/* ---- The token -------------------------------------------------------------------------------------- */

static int is_field(const ngx_table_elt_t *field, const char *lowercase, size_t len)
{
    return field->key.len == len && ngx_strncasecmp(field->key.data, (u_char *)lowercase, len) == 0;
}

/* NAME=VALUE of a list of them, each time that it is there. */
static void take_pairs(adapter_token *token, ngx_str_t list, char separator, ngx_str_t name)
{
    u_char *at = list.data, *end = list.data + list.len;
    while (at < end) {
        while (at < end && *at == ' ')
            at++;
        u_char *stop = at;
        while (stop < end && *stop != separator)
            stop++;
        if ((size_t)(stop - at) > name.len && at[name.len] == '=' &&
            ngx_strncmp(at, name.data, name.len) == 0)
            adapter_take_value(token, (char *)at + name.len + 1, (size_t)(stop - at) - name.len - 1);
        at = stop + 1;
    }
}

static void take_fields(ngx_http_request_t *r, const keyturn_source *source, adapter_token *token)
{
    for (ngx_list_part_t *part = &r->headers_in.headers.part; part; part = part->next) {
        ngx_table_elt_t *field = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (source->from == KEYTURN_FROM_COOKIE && is_field(&field[i], "cookie", 6))
                take_pairs(token, field[i].value, ';', source->name);
            else if (source->from == KEYTURN_FROM_HEADER && is_field(&field[i], "authorization", 13))
                adapter_take_field(token, (char *)field[i].value.data, field[i].value.len);
        }
    }
}

static ngx_int_t take_variable(ngx_http_request_t *r, keyturn_source *source, adapter_token *token)
{
    ngx_str_t value;
    if (ngx_http_complex_value(r, &source->value, &value) != NGX_OK)
        return NGX_ERROR;
    adapter_take_value(token, (char *)value.data, value.len);
    return NGX_OK;
}

static ngx_int_t take_token(ngx_http_request_t *r, const keyturn_location *at, adapter_token *token)
{
    static const keyturn_source usual = { .from = KEYTURN_FROM_HEADER };
    *token = (adapter_token){ { NULL, 0 }, 0 };
    if (at->sources == NULL) {
        take_fields(r, &usual, token);
        return NGX_OK;
    }
    keyturn_source *source = at->sources->elts;
    for (ngx_uint_t i = 0; i < at->sources->nelts; i++) {
        if (source[i].from == KEYTURN_FROM_ARGUMENT)
            take_pairs(token, r->args, '&', source[i].name);
        else if (source[i].from != KEYTURN_FROM_VARIABLE)
            take_fields(r, &source[i], token);
        else if (take_variable(r, &source[i], token) != NGX_OK)
            return NGX_ERROR;
    }
    return NGX_OK;
}

/* ---- Waiting ---------------------------------------------------------------------------------------- */

/* The request is left alone until its waiter wakes, its deadline is over or its client goes away. */
static ngx_int_t park(keyturn_request *of)
{
    ngx_http_request_t *r = of->request;
    of->parked = ngx_current_msec;
    /* Not cancelable: a worker that drains waits for it. */
    ngx_add_timer(&of->deadline, of->policy->patience - of->waited);
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
    if (!r->connection->read->ready)
        return ngx_handle_read_event(r->connection->read, 0) == NGX_OK ? NGX_AGAIN : NGX_ERROR;
    ngx_post_event(r->connection->read,
                   &ngx_posted_events); /* it may have gone already, with no event to come */
    return NGX_AGAIN;
}

void keyturn_resume(keyturn_request *of)
{
    ngx_http_request_t *r = of->request;
    ngx_connection_t *connection = r->connection;
    jwt_wait_cancel(of->waiter);
    of->waiter = NULL;
    if (of->deadline.timer_set)
        ngx_del_timer(&of->deadline);
    of->waited += ngx_current_msec - of->parked;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_set_log_request(connection->log, r);
    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(connection);
}

static int digest_certificate(void *host, unsigned char sha256[32])
{
#if (NGX_SSL)
    ngx_connection_t *connection = host;
    X509 *certificate = connection->ssl ? SSL_get_peer_certificate(connection->ssl->connection) : NULL;
    int done = certificate && X509_digest(certificate, EVP_sha256(), sha256, NULL) == 1;
    X509_free(certificate);
    return done;
#else
    return 0;
#endif
}

/* JWKS_PENDING: it is parked. Else the verdict, or why it cannot wait. */
static adapter_status judge(keyturn_request *of)
{
    adapter_status status = JWKS_KEYS_UNAVAILABLE;
    for (int tries = 0; of->policy && of->policy->handle && tries < MOST_TRIES; tries++) {
        status = adapter_verify(of->policy->handle, &of->token, of->result);
        if (status != JWKS_PENDING)
            return status == JWT_OK ? adapter_confirm(of->result, digest_certificate, of->request->connection)
                                    : status;
        if (of->waited >= of->policy->patience)
            break;
        jwt_status parked = jwt_wait(of->result, of->main->loop, of, &of->waiter);
        if (parked == JWT_OK)
            return JWKS_PENDING;
        if (parked != JWKS_RETRY)
            break;
    }
    return JWKS_KEYS_UNAVAILABLE;
}

/* ---- The verdict ------------------------------------------------------------------------------------ */

/* In place of what it was told before, where its error page is refused, too. */
static ngx_table_elt_t *tell(keyturn_request *of, const char *name, u_char *value, size_t len)
{
    ngx_table_elt_t *field = ngx_list_push(&of->request->headers_out.headers);
    if (field == NULL)
        return NULL;
    ngx_memzero(field, sizeof *field);
    field->hash = 1;
    field->key.data = (u_char *)name;
    field->key.len = ngx_strlen(name);
    field->value.data = value;
    field->value.len = len;
    if (of->told)
        of->told->hash = 0;
    return of->told = field;
}

static ngx_int_t challenge(keyturn_request *of, const keyturn_location *at)
{
    ngx_http_request_t *r = of->request;
    size_t len = 0;
    (void)adapter_challenge(of->status, &at->challenge, NULL, 0, &len);
    if (len == 0)
        return NGX_OK;
    u_char *value = ngx_pnalloc(r->pool, len + 1);
    if (value == NULL ||
        adapter_challenge(of->status, &at->challenge, (char *)value, len + 1, &len) != JWT_OK)
        return NGX_ERROR;
    /* Known to nginx, so that it is left out where `satisfy any` finds somebody else content. */
    r->headers_out.www_authenticate = tell(of, "WWW-Authenticate", value, len);
    return r->headers_out.www_authenticate ? NGX_OK : NGX_ERROR;
}

static ngx_int_t say_when_to_retry(keyturn_request *of)
{
    const keyturn_policy *policy = of->policy;
    u_char *value = ngx_pnalloc(of->request->pool, NGX_INT32_LEN);
    if (value == NULL)
        return NGX_ERROR;
    int is_open = policy && policy->handle;
    unsigned seconds =
        is_open ? adapter_retry_after(policy->handles, policy->options.issuer_count) : MOST_SECONDS;
    size_t len = (size_t)(ngx_sprintf(value, "%ud", seconds) - value);
    return tell(of, "Retry-After", value, len) ? NGX_OK : NGX_ERROR;
}

static ngx_int_t refuse(keyturn_request *of, const keyturn_location *at)
{
    ngx_http_request_t *r = of->request;
    ngx_http_core_loc_conf_t *core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    int http = adapter_http(of->status);
    if (http == NGX_HTTP_SERVICE_UNAVAILABLE) {
        if (say_when_to_retry(of) != NGX_OK)
            return NGX_ERROR;
        if (core->satisfy == NGX_HTTP_SATISFY_ANY) { /* who comes after us may be content */
            r->access_code = (ngx_uint_t)http;
            return NGX_DECLINED;
        }
        return http;
    }
    return challenge(of, at) == NGX_OK ? http : NGX_ERROR;
}

static void log_refusal(const keyturn_request *of, const keyturn_location *at)
{
    ngx_uint_t level = at->mode == KEYTURN_MODE_REPORT                              ? NGX_LOG_WARN
                       : adapter_http(of->status) == NGX_HTTP_INTERNAL_SERVER_ERROR ? NGX_LOG_ERR
                                                                                    : NGX_LOG_INFO;
    const char *detail = jwt_result_detail(of->result);
    ngx_log_error(level, of->request->connection->log, 0, "keyturn %s: %s%s%s, %s",
                  at->mode == KEYTURN_MODE_REPORT ? "would refuse" : "refuses", adapter_name(of->status),
                  detail[0] ? " " : "", detail, adapter_message(of->status));
}

static ngx_int_t decide(keyturn_request *of, const keyturn_location *at)
{
    ngx_int_t set = set_headers(of->request, at, of->status == JWT_OK ? of->result : NULL);
    if (set == NGX_ERROR)
        return NGX_ERROR;
    if (set == NGX_DECLINED)
        of->status = ADAPTER_UNFIT_CLAIM;
    of->judged = 1;
    if (of->status == JWT_OK)
        return at->mode == KEYTURN_MODE_REPORT ? NGX_DECLINED : NGX_OK;
    log_refusal(of, at);
    return at->mode == KEYTURN_MODE_REPORT ? NGX_DECLINED : refuse(of, at);
}

/* An internal redirect comes here again: the same token under the same policy has its verdict. */
static int has_verdict(const keyturn_request *of, const keyturn_location *at, const adapter_token *token)
{
    return of->judged && of->policy == at->policy && of->token.found == token->found &&
           of->token.text.data == token->text.data && of->token.text.len == token->text.len;
}

static ngx_int_t check(ngx_http_request_t *r, const keyturn_location *at)
{
    adapter_token token;
    keyturn_request *of = obtain(r);
    if (of == NULL || take_token(r, at, &token) != NGX_OK)
        return NGX_ERROR;
    if (of->waiter)
        return NGX_AGAIN;
    if (has_verdict(of, at, &token))
        return decide(of, at);
    of->judged = 0;
    of->policy = at->policy;
    of->token = token;
    if (at->mode == KEYTURN_MODE_OPTIONAL && token.found == 0)
        return NGX_DECLINED;
    of->status = judge(of);
    return of->waiter ? park(of) : decide(of, at);
}

ngx_int_t keyturn_check_access(ngx_http_request_t *r)
{
    const keyturn_location *at = ngx_http_get_module_loc_conf(r, ngx_http_keyturn_module);
    if (at->mode == KEYTURN_MODE_OFF)
        return NGX_DECLINED;
    ngx_int_t answer = check(r, at);
    return answer == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : answer;
}
