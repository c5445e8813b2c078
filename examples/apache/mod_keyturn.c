/* mod_keyturn.c - verifies the tokens of requests to Apache. Read mod_keyturn.h first.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

#include "ap_mpm.h"
#include "mpm_common.h"

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_pre_config(keyturn_begin_settings, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(keyturn_check_settings, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(keyturn_make_store, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(keyturn_begin_child, NULL, NULL, APR_HOOK_MIDDLE); /* threads do not survive fork() */
    ap_hook_child_stopping(keyturn_hurry_child, NULL, NULL, APR_HOOK_MIDDLE);

    ap_hook_check_access(keyturn_clean_headers, NULL, NULL, APR_HOOK_REALLY_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_access_ex(keyturn_check_token, NULL, NULL, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(keyturn_refuse_user, NULL, NULL, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, "keyturn-claim", AUTHZ_PROVIDER_VERSION,
                              &keyturn_requires, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(keyturn_let_pass, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(keyturn_serve_page, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(keyturn_tell, NULL, NULL, APR_HOOK_FIRST);
}

AP_DECLARE_MODULE(keyturn) = {
    STANDARD20_MODULE_STUFF,
    keyturn_create_section,
    keyturn_merge_sections,
    NULL, /* keyturn_main is one for all servers */
    NULL,
    keyturn_commands,
    register_hooks,
    AP_MODULE_FLAG_NONE,
};
