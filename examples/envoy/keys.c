/* The keys, which outlive configurations.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Envoy makes a filter anew for each configuration that it is given, and destroys the old one when its last stream has
 * ended. Caches and issuers are shared by all of them, so a new configuration finds the keys that the old one had, and
 * nothing is fetched for it. They go with the last configuration that names them. */
#include "keyturn_envoy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static pthread_mutex_t sharing = PTHREAD_MUTEX_INITIALIZER; /* of who holds what */
static keyturn_keys *all;

/* ---- Issuers ---------------------------------------------------------------------------------------- */

static keyturn_issuer *issuer_named(const keyturn_keys *keys, const char *name)
{
    keyturn_issuer *issuer = keys->issuers;
    while (issuer && strcmp(issuer->name, name) != 0)
        issuer = issuer->next;
    return issuer;
}

static jwt_status add(keyturn_keys *keys, const jwks_issuer_options *options, json_t *said,
                      keyturn_issuer **out, jwks_error *error)
{
    keyturn_issuer *issuer = calloc(1, sizeof *issuer);
    char *name = strdup(options->issuer);
    jwt_status status =
        issuer && name ? jwks_cache_add_issuer(keys->cache, options, &issuer->handle, error) : JWKS_NO_MEMORY;
    if (status != JWT_OK) {
        free(name);
        free(issuer);
        return status;
    }
    issuer->name = name;
    issuer->keys = keys;
    issuer->said = json_incref(said);
    issuer->next = keys->issuers;
    keys->issuers = *out = issuer;
    return JWT_OK;
}

static jwt_status change(keyturn_issuer *issuer, const jwks_issuer_options *options, json_t *said,
                         jwks_error *error)
{
    if (json_equal(issuer->said, said))
        return JWT_OK;
    jwt_status status = jwks_issuer_update(issuer->handle, options, error);
    if (status != JWT_OK)
        return status;
    keyturn_log(ENVOY_INFO, "keyturn: %s has other options from now on", issuer->name);
    json_decref(issuer->said);
    issuer->said = json_incref(said);
    return JWT_OK;
}

/* Nobody is here to push keys. */
static int is_wanting(const jwks_issuer_options *options, const char *before, keyturn_fault *fault)
{
    if (options->issuer == NULL)
        return keyturn_blame(fault, before, "issuer", "the value of iss is wanting");
    if (options->jwks_url == NULL && options->discovery == JWKS_DISCOVERY_NONE && options->file == NULL)
        return keyturn_blame(fault, before, "jwks_url", "jwks_url, discovery or file is wanting");
    return 0;
}

keyturn_issuer *keyturn_issuer_obtain(keyturn_keys *keys, json_t *said, size_t place, keyturn_fault *fault)
{
    char before[32];
    keyturn_words *words = NULL;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    snprintf(before, sizeof before, "issuers[%zu].", place);
    if (keyturn_set_options(said, ADAPTER_ISSUER, &options, &words, before, fault) != 0 ||
        is_wanting(&options, before, fault)) {
        keyturn_words_free(words);
        return NULL;
    }
    pthread_mutex_lock(&sharing);
    keyturn_issuer *issuer = issuer_named(keys, options.issuer);
    jwt_status status =
        issuer ? change(issuer, &options, said, &error) : add(keys, &options, said, &issuer, &error);
    if (status == JWT_OK)
        issuer->holders++;
    pthread_mutex_unlock(&sharing);
    keyturn_words_free(words);
    if (status == JWT_OK)
        return issuer;
    keyturn_blame(fault, before, error.option, error.message[0] ? error.message : jwt_status_message(status));
    return NULL;
}

static void leave(keyturn_issuer *issuer)
{
    keyturn_issuer **place = &issuer->keys->issuers;
    while (*place != issuer)
        place = &(*place)->next;
    *place = issuer->next;
    jwks_issuer_release(issuer->handle);
    json_decref(issuer->said);
    free(issuer->name);
    free(issuer);
}

void keyturn_issuer_release(keyturn_issuer *issuer)
{
    pthread_mutex_lock(&sharing);
    if (issuer && --issuer->holders == 0)
        leave(issuer);
    pthread_mutex_unlock(&sharing);
}

/* ---- Caches ------------------------------------------------------------------------------------------- */

static keyturn_keys *found(const json_t *said)
{
    keyturn_keys *keys = all;
    while (keys && !json_equal(keys->said, said))
        keys = keys->next;
    return keys;
}

static jwt_status make_cache(keyturn_keys *keys, jwks_cache_options *options, int draft, jwks_error *error)
{
    if (draft) {
        options->store = options->store_user = NULL;
        options->store_reader = 0;
    }
    if (options->store && !options->store_reader)
        (void)mkdir(options->store, 0700); /* what cannot be used is told by the library */
    jwt_status status = jwks_cache_new(options, &keys->cache, error);
    if (status != JWT_OK || draft)
        return status;
    return jwks_cache_start(keys->cache, error);
}

/* Its last stream has ended, and with it whoever waited. */
static void end(keyturn_keys *keys)
{
    keyturn_end_news(keys);
    if (keys->cache)
        jwks_cache_stop(keys->cache);
    keyturn_bells_free(keys);
    jwks_cache_release(keys->cache);
    pthread_cond_destroy(&keys->end);
    pthread_mutex_destroy(&keys->lock);
    json_decref(keys->said);
    free(keys);
}

static keyturn_keys *make(json_t *said, int draft, keyturn_fault *fault)
{
    keyturn_words *words = NULL;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    keyturn_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL)
        return NULL;
    keys->said = json_incref(said);
    keys->holders = 1;
    pthread_mutex_init(&keys->lock, NULL);
    pthread_cond_init(&keys->end, NULL);
    jwt_status status = JWKS_INVALID_OPTION;
    if (keyturn_set_options(said, ADAPTER_CACHE, &options, &words, "", fault) == 0)
        status = make_cache(keys, &options, draft, &error);
    keyturn_words_free(words);
    if (status == JWT_OK)
        return keys;
    keyturn_blame(fault, "", error.option, error.message[0] ? error.message : jwt_status_message(status));
    end(keys);
    return NULL;
}

keyturn_keys *keyturn_keys_obtain(json_t *said, int draft, keyturn_fault *fault)
{
    if (draft)
        return make(said, draft, fault);
    pthread_mutex_lock(&sharing);
    keyturn_keys *keys = found(said);
    if (keys)
        keys->holders++;
    else if ((keys = make(said, draft, fault))) {
        keys->next = all;
        all = keys;
        keyturn_tell_news(keys);
    }
    pthread_mutex_unlock(&sharing);
    return keys;
}

static void take_out(keyturn_keys *keys)
{
    keyturn_keys **place = &all;
    while (*place && *place != keys)
        place = &(*place)->next;
    if (*place)
        *place = keys->next;
}

void keyturn_keys_release(keyturn_keys *keys)
{
    pthread_mutex_lock(&sharing);
    if (keys && --keys->holders == 0) {
        take_out(keys);
        end(keys);
    }
    pthread_mutex_unlock(&sharing);
}
