/* ngx_http_keyturn_module.c - verifies the tokens of requests to nginx. Read ngx_http_keyturn.h first.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "ngx_http_keyturn.h"

ngx_module_t ngx_http_keyturn_module = {
    NGX_MODULE_V1,
    &keyturn_context,
    keyturn_commands,
    NGX_HTTP_MODULE,
    NULL,          /* init_master */
    NULL,          /* init_module: a failure there would end a running master */
    keyturn_begin, /* init_process: threads do not survive fork() */
    NULL,          /* init_thread */
    NULL,          /* exit_thread */
    keyturn_end,   /* exit_process */
    NULL,          /* exit_master */
    NGX_MODULE_V1_PADDING,
};
