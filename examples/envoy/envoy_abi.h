/* envoy_abi.h - what this module uses of the interface for dynamic modules of Envoy 1.38 to 1.40, in declarations of
 * its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Texts that Envoy gives live until the end of the hook, or until a header is changed. `filter` is Envoy's side of a
 * stream, valid until its destroy hook has returned; all calls with it are for the stream's own worker thread. */
#ifndef ENVOY_ABI_H
#define ENVOY_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 1.40's. Those before it load it too, and log that they know another. */
#define ENVOY_ABI_VERSION "v0.2.0"

typedef struct envoy_text {
    const char *data;
    size_t len;
} envoy_text;

typedef struct envoy_field {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
} envoy_field;

enum { ENVOY_REQUEST_HEADERS = 0 };

enum { ENVOY_CONTINUE = 0, ENVOY_STOP = 1, ENVOY_STOP_ALL_AND_WATERMARK = 4 };

typedef enum envoy_level {
    ENVOY_DEBUG = 1,
    ENVOY_INFO = 2,
    ENVOY_WARNING = 3,
    ENVOY_ERROR = 4,
    ENVOY_CRITICAL = 5
} envoy_level;

/* Their names there are long. */
#define CALLBACK(name) __asm__("envoy_dynamic_module_callback_" name)

/* ---- Any thread ------------------------------------------------------------------------------- */

void envoy_log(envoy_level level, envoy_text text) CALLBACK("log");
bool envoy_logs(envoy_level level) CALLBACK("log_enabled");

/* ---- The main thread -------------------------------------------------------------------------- */

bool envoy_only_validates(void) CALLBACK("is_validation_mode");

/* Only while a filter's configuration is being made. */
int envoy_define_counter(void *config, envoy_text name, const envoy_text *labels, size_t count, size_t *id)
    CALLBACK("http_filter_config_define_counter");
int envoy_define_gauge(void *config, envoy_text name, const envoy_text *labels, size_t count, size_t *id)
    CALLBACK("http_filter_config_define_gauge");

/* ---- A stream --------------------------------------------------------------------------------- */

/* Of the client: SHA-256 in hex. False: there is none. */
enum { ENVOY_CERTIFICATE_DIGEST = 38 };
bool envoy_get_attribute(void *filter, int attribute, envoy_text *value)
    CALLBACK("http_filter_get_attribute_string");

const void *envoy_route(void *filter) CALLBACK("get_most_specific_route_config");

size_t envoy_count_fields(void *filter, int map) CALLBACK("http_get_headers_size");
bool envoy_get_fields(void *filter, int map, envoy_field *fields) CALLBACK("http_get_headers");
bool envoy_add_field(void *filter, int map, envoy_text name, envoy_text value) CALLBACK("http_add_header");
/* NULL as the value takes it out. */
bool envoy_set_field(void *filter, int map, envoy_text name, envoy_text value) CALLBACK("http_set_header");

void envoy_set_text(void *filter, envoy_text space, envoy_text key, envoy_text value)
    CALLBACK("http_set_dynamic_metadata_string");
void envoy_set_number(void *filter, envoy_text space, envoy_text key, double value)
    CALLBACK("http_set_dynamic_metadata_number");
void envoy_set_flag(void *filter, envoy_text space, envoy_text key, bool value)
    CALLBACK("http_set_dynamic_metadata_bool");

int envoy_count(void *filter, size_t id, const envoy_text *labels, size_t count, uint64_t value)
    CALLBACK("http_filter_increment_counter");
int envoy_raise(void *filter, size_t id, const envoy_text *labels, size_t count, uint64_t value)
    CALLBACK("http_filter_increment_gauge");
int envoy_lower(void *filter, size_t id, const envoy_text *labels, size_t count, uint64_t value)
    CALLBACK("http_filter_decrement_gauge");

/* The stream may be destroyed before any of them returns. */
void envoy_reply(void *filter, uint32_t status, const envoy_field *fields, size_t count, envoy_text body,
                 envoy_text details) CALLBACK("http_send_response");
void envoy_reply_fields(void *filter, const envoy_field *fields, size_t count, bool is_all)
    CALLBACK("http_send_response_headers");
void envoy_continue(void *filter) CALLBACK("http_filter_continue_decoding");

/* By which any thread has the scheduled hook called in the stream's, unless that is destroyed by then. */
void *envoy_scheduler_new(void *filter) CALLBACK("http_filter_scheduler_new");
void envoy_schedule(void *scheduler, uint64_t event) CALLBACK("http_filter_scheduler_commit");
void envoy_scheduler_delete(void *scheduler) CALLBACK("http_filter_scheduler_delete");

#undef CALLBACK

#endif
