/* What each of Envoy's threads keeps for its requests, and the log.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    jwt_result *result;
    envoy_field *fields;
    size_t capacity;
} mine;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int has_key;

static void drop(void *data)
{
    mine *of = data;
    jwt_result_release(of->result);
    free(of->fields);
    free(of);
}

static void make_key(void)
{
    has_key = pthread_key_create(&key, drop) == 0;
}

static mine *this_thread(void)
{
    (void)pthread_once(&once, make_key);
    if (!has_key)
        return NULL;
    mine *of = pthread_getspecific(key);
    if (of)
        return of;
    of = calloc(1, sizeof *of);
    if (of && pthread_setspecific(key, of) == 0)
        return of;
    free(of);
    return NULL;
}

jwt_result *keyturn_result(void)
{
    mine *of = this_thread();
    if (of && of->result == NULL)
        (void)jwt_result_new(&of->result);
    return of ? of->result : NULL;
}

void keyturn_forget(jwt_result *result)
{
    (void)jwt_verify(NULL, "", 0, result);
}

const envoy_field *keyturn_fields(const keyturn_stream *of, size_t *count)
{
    mine *own = this_thread();
    *count = envoy_count_fields(of->envoy, ENVOY_REQUEST_HEADERS);
    if (own == NULL)
        return NULL;
    if (own->capacity < *count + 1) {
        envoy_field *more = realloc(own->fields, 2 * (*count + 1) * sizeof *more);
        if (more == NULL)
            return NULL;
        own->fields = more;
        own->capacity = 2 * (*count + 1);
    }
    if (!envoy_get_fields(of->envoy, ENVOY_REQUEST_HEADERS, own->fields))
        *count = 0;
    return own->fields;
}

void keyturn_log(envoy_level level, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    if (!envoy_logs(level))
        return;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (len > 0)
        envoy_log(level, (envoy_text){ text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1 });
}
