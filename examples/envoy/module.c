/* What Envoy calls. Read keyturn_envoy.h first.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <stdlib.h>

#define HOOK(name) envoy_dynamic_module_on_##name
#define EXPORTED __attribute__((visibility("default")))

EXPORTED const char *HOOK(program_init)(void)
{
    return ENVOY_ABI_VERSION;
}

/* ---- Configurations ----------------------------------------------------------------------------------- */

EXPORTED const void *HOOK(http_filter_config_new)(void *config, envoy_text name, envoy_text text)
{
    (void)name;
    return keyturn_filter_new(config, text);
}

EXPORTED void HOOK(http_filter_config_destroy)(const void *filter)
{
    if (filter) /* of one that was refused there is none */
        keyturn_filter_free((keyturn_filter *)filter);
}

EXPORTED const void *HOOK(http_filter_per_route_config_new)(envoy_text name, envoy_text text)
{
    (void)name;
    return keyturn_route_new(text);
}

EXPORTED void HOOK(http_filter_per_route_config_destroy)(const void *route)
{
    if (route)
        keyturn_route_free((keyturn_route *)route);
}

/* ---- Streams -------------------------------------------------------------------------------------------- */

EXPORTED const void *HOOK(http_filter_new)(const void *filter, void *envoy)
{
    keyturn_stream *of = calloc(1, sizeof *of);
    if (of) {
        of->filter = (keyturn_filter *)filter;
        of->envoy = envoy;
    }
    return of;
}

EXPORTED int HOOK(http_filter_request_headers)(void *envoy, const void *stream, bool end)
{
    (void)envoy, (void)end;
    return keyturn_begin((keyturn_stream *)stream);
}

EXPORTED void HOOK(http_filter_scheduled)(void *envoy, const void *stream, uint64_t event)
{
    (void)envoy, (void)event;
    keyturn_hear((keyturn_stream *)stream);
}

EXPORTED void HOOK(http_filter_destroy)(const void *stream)
{
    keyturn_stream *of = (keyturn_stream *)stream;
    keyturn_unpark(of);
    keyturn_access_release(of->access);
    if (of->scheduler)
        envoy_scheduler_delete(of->scheduler);
    free(of);
}

/* ---- What Envoy wants to find, and this module has no use for --------------------------------------------- */

#define GO_ON(name)                                                                                          \
    EXPORTED int HOOK(http_filter_##name)(void)                                                              \
    {                                                                                                        \
        return ENVOY_CONTINUE;                                                                               \
    }
GO_ON(request_body)
GO_ON(request_trailers)
GO_ON(response_headers)
GO_ON(response_body)
GO_ON(response_trailers)

#define UNUSED(name)                                                                                         \
    EXPORTED void HOOK(http_filter_##name)(void)                                                             \
    {                                                                                                        \
    }
UNUSED(stream_complete)
UNUSED(http_callout_done)
UNUSED(http_stream_headers)
UNUSED(http_stream_data)
UNUSED(http_stream_trailers)
UNUSED(http_stream_complete)
UNUSED(http_stream_reset)
UNUSED(downstream_above_write_buffer_high_watermark)
UNUSED(downstream_below_write_buffer_low_watermark)
