/* get.h - a small HTTP client that an event loop drives, for jwks_cache_options.fetcher: libcurl, and no thread. It
 * does not do what only issuers with a proxy, a client certificate, redirects or discovery on another host ask for.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GET_H
#define GET_H

#include <keyturn.h>

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One GET. */
struct get {
    struct get *next;
    jwks_fetch *fetch;
    CURL *easy;
    struct curl_slist *fields;
    char *body;
    size_t len, most;
    int is_unwanted;
};

static CURLM *gets;
static struct get *first;

static size_t take_body(char *data, size_t one, size_t count, void *context)
{
    struct get *get = context;
    char *more = get->len + count > get->most ? NULL : realloc(get->body, get->len + count);
    if (more == NULL)
        return 0; /* which ends it */
    memcpy(more + get->len, data, count);
    get->body = more;
    get->len += count;
    return one * count;
}

static void add_field(struct get *get, const char *name, const char *value)
{
    char line[2048];
    if (value && snprintf(line, sizeof line, "%s%s", name, value) < (int)sizeof line)
        get->fields = curl_slist_append(get->fields, line);
}

/* Begins, and returns. The loop does the rest. */
static void start_get(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    (void)context;
    struct get *get = calloc(1, sizeof *get);
    CURL *easy = curl_easy_init();
    if (get == NULL || easy == NULL || request->public_only || request->proxy ||
        request->client_certificate) {
        jwks_response refused = { .size = sizeof refused, .failure = JWKS_FETCH_REFUSED };
        free(get); /* what this client cannot do it does not try */
        curl_easy_cleanup(easy);
        jwks_fetch_complete(fetch, &refused);
        return;
    }
    *get = (struct get){ .fetch = fetch, .easy = easy, .most = request->max_body };
    add_field(get, "If-None-Match: ", request->if_none_match);
    add_field(get, "If-Modified-Since: ", request->if_modified_since);
    for (size_t i = 0; i < request->header_count; i++)
        add_field(get, "", request->headers[i]);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, request->allow_http ? "http,https" : "https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");                /* whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file); /* NULL: the system's */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, get->fields);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, get);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, get);
    curl_multi_add_handle(gets, easy);
    jwks_fetch_set_user(fetch, get);
    get->next = first;
    first = get;
}

/* Nobody wants the answer any more. The fetch is completed all the same, by the loop. */
static void cancel_get(void *context, jwks_fetch *fetch)
{
    struct get *get = jwks_fetch_user(fetch);
    (void)context;
    if (get)
        get->is_unwanted = 1;
}

static keyturn_span field(struct get *get, const char *name)
{
    struct curl_header *found;
    if (curl_easy_header(get->easy, name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK)
        return (keyturn_span){ NULL, 0 };
    return (keyturn_span){ found->value, strlen(found->value) };
}

static void complete(struct get *get, CURLcode code)
{
    struct get **place = &first;
    while (*place != get)
        place = &(*place)->next;
    *place = get->next;
    long http_status = 0;
    curl_easy_getinfo(get->easy, CURLINFO_RESPONSE_CODE, &http_status);
    jwks_response response = { .size = sizeof response,
                               .failure = get->is_unwanted                   ? JWKS_FETCH_CANCELLED
                                          : code == CURLE_OK                 ? JWKS_FETCH_ANSWERED
                                          : code == CURLE_OPERATION_TIMEDOUT ? JWKS_FETCH_TIMEOUT
                                          : code == CURLE_WRITE_ERROR        ? JWKS_FETCH_TOO_LARGE
                                                                             : JWKS_FETCH_CONNECT,
                               .http_status = (uint32_t)http_status,
                               .body = { get->body, get->len },
                               .cache_control = field(get, "Cache-Control"),
                               .age = field(get, "Age"),
                               .date = field(get, "Date"),
                               .expires = field(get, "Expires"),
                               .etag = field(get, "ETag"),
                               .last_modified = field(get, "Last-Modified"),
                               .retry_after = field(get, "Retry-After") };
    jwks_fetch_complete(get->fetch, &response);
    curl_multi_remove_handle(gets, get->easy);
    curl_easy_cleanup(get->easy);
    curl_slist_free_all(get->fields);
    free(get->body);
    free(get);
}

/* Goes on with them, and tells whether some have ended. */
static int drive_gets(void)
{
    int running, queued, ended = 0;
    CURLMsg *news;
    curl_multi_perform(gets, &running);
    while ((news = curl_multi_info_read(gets, &queued))) {
        struct get *get;
        curl_easy_getinfo(news->easy_handle, CURLINFO_PRIVATE, &get);
        complete(get, news->data.result);
        ended = 1;
    }
    for (struct get *get = first, *next; get; get = next) {
        next = get->next;
        if (get->is_unwanted) {
            complete(get, CURLE_OK);
            ended = 1;
        }
    }
    return ended;
}

#endif
