/* What holds for requests: the options of a filter, or of a route over a filter, made ready.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const adapter_word MODES[] = { { "off", KEYTURN_MODE_OFF },
                                      { "on", KEYTURN_MODE_ON },
                                      { "optional", KEYTURN_MODE_OPTIONAL },
                                      { "report", KEYTURN_MODE_REPORT },
                                      { NULL, 0 } };
static const adapter_word METRICS[] = {
    { "off", KEYTURN_NO_PAGE }, { "on", KEYTURN_METRICS }, { "per_key", KEYTURN_METRICS_PER_KEY }, { NULL, 0 }
};
static const adapter_word KEYS[] = { { "off", KEYTURN_NO_PAGE }, { "on", KEYTURN_KEYS }, { NULL, 0 } };

/* NULL: there is none of that name. */
static const adapter_word *word_named(const adapter_word *words, const char *name)
{
    for (; words->word; words++)
        if (strcmp(words->word, name) == 0)
            return words;
    return NULL;
}

static int set_word(json_t *said, const char *option, const adapter_word *words, int unset, int *number,
                    const char *otherwise, keyturn_fault *fault)
{
    json_t *value = json_object_get(said, option);
    *number = unset;
    if (value == NULL)
        return 0;
    const adapter_word *word = json_is_string(value) ? word_named(words, json_string_value(value)) : NULL;
    if (word == NULL)
        return keyturn_blame(fault, "", option, otherwise);
    *number = word->number;
    return 0;
}

static int set_mode(keyturn_access *access, keyturn_fault *fault)
{
    int mode, metrics, keys;
    if (set_word(access->said, "mode", MODES, KEYTURN_MODE_ON, &mode, "it is on, off, optional or report",
                 fault) != 0 ||
        set_word(access->said, "metrics", METRICS, KEYTURN_NO_PAGE, &metrics,
                 "it is true, false or \"per_key\"", fault) != 0 ||
        set_word(access->said, "keys", KEYS, KEYTURN_NO_PAGE, &keys, "it is true or false", fault) != 0)
        return -1;
    access->mode = (keyturn_mode)mode;
    access->page = (keyturn_page)(metrics ? metrics : keys);
    return 0;
}

/* ---- token ------------------------------------------------------------------------------------------- */

static int read_source(const char *word, keyturn_source *source)
{
    static const struct {
        const char *prefix;
        keyturn_from from;
    } places[] = { { "header=", KEYTURN_FROM_HEADER },
                   { "cookie=", KEYTURN_FROM_COOKIE },
                   { "arg=", KEYTURN_FROM_ARGUMENT } };
    *source = (keyturn_source){ KEYTURN_FROM_AUTHORIZATION, "" };
    if (strcmp(word, "header") == 0)
        return 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t len = strlen(places[i].prefix);
        if (strncmp(word, places[i].prefix, len) == 0 && word[len] != '\0') {
            *source = (keyturn_source){ places[i].from, word + len };
            return 0;
        }
    }
    return -1;
}

static int set_sources(keyturn_access *access, keyturn_words **words, keyturn_fault *fault)
{
    json_t *value = json_object_get(access->said, "token");
    size_t count = 0;
    const char **places = value ? keyturn_list(value, words, &count) : NULL;
    access->sources = calloc(count + 1, sizeof *access->sources);
    if (access->sources == NULL || (value && places == NULL))
        return keyturn_blame(fault, "", "token", "the value must be a text, or a list of texts");
    for (size_t i = 0; i < count; i++)
        if (read_source(places[i], &access->sources[i]) != 0)
            return keyturn_blame(fault, "", "token",
                                 "a token is in header, header=NAME, cookie=NAME or arg=NAME");
    access->source_count = count;
    return 0;
}

/* ---- log -------------------------------------------------------------------------------------------- */

static int set_log(keyturn_access *access, keyturn_words **words, keyturn_fault *fault)
{
    static const adapter_word members[] = { { "issuer", KEYTURN_LOG_ISSUER },
                                            { "kid", KEYTURN_LOG_KID },
                                            { "key_age", KEYTURN_LOG_KEY_AGE },
                                            { "token_digest", KEYTURN_LOG_TOKEN_DIGEST },
                                            { NULL, 0 } };
    json_t *value = json_object_get(access->said, "log");
    size_t count = 0;
    const char **names = value ? keyturn_list(value, words, &count) : NULL;
    if (value && names == NULL)
        return keyturn_blame(fault, "", "log", "the value must be a name, or a list of names");
    for (size_t i = 0; i < count; i++) {
        const adapter_word *member = word_named(members, names[i]);
        if (member == NULL)
            return keyturn_blame(fault, "", "log", "what can be told is issuer, kid, key_age, token_digest");
        access->log |= (unsigned)member->number;
    }
    return 0;
}

/* ---- set_header, set_metadata --------------------------------------------------------------------------- */

static int is_token(const char *name)
{
    static const char octets[] =
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return name[0] && name[strspn(name, octets)] == '\0'; /* RFC 9110 section 5.6.2 */
}

/* Whether Envoy reads such a header itself, or says it to who is behind it: nobody is to set it behind its back. */
static int is_envoys_own(const char *name)
{
    static const char *const own[] = {
        "host",        "authorization",    "connection", "content-length",    "cookie",  "expect",
        "keep-alive",  "proxy-connection", "te",         "transfer-encoding", "upgrade", "via",
        "x-request-id"
    };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (adapter_same_name(name, len, own[i], strlen(own[i])))
            return 1;
    return (len > 8 && adapter_same_name(name, 8, "x-envoy-", 8)) ||
           (len > 12 && adapter_same_name(name, 12, "x-forwarded-", 12));
}

static int set_made(keyturn_access *access, const char *option, keyturn_made **made, size_t *count,
                    keyturn_fault *fault)
{
    const char *name;
    json_t *value = json_object_get(access->said, option), *claim;
    *made = calloc(json_object_size(value) + 1, sizeof **made);
    if (*made == NULL || (value && !json_is_object(value)))
        return keyturn_blame(fault, "", option, "the value must be an object of names and claims");
    json_object_foreach(value, name, claim)
    {
        if (json_string_length(claim) == 0 || name[0] == '\0')
            return keyturn_blame(fault, "", option, "a name or a claim is wanting");
        (*made)[(*count)++] = (keyturn_made){ name, json_string_value(claim) };
    }
    return 0;
}

static int set_headers(keyturn_access *access, keyturn_fault *fault)
{
    if (set_made(access, "set_header", &access->headers, &access->header_count, fault) != 0)
        return -1;
    for (size_t i = 0; i < access->header_count; i++) {
        if (!is_token(access->headers[i].name))
            return keyturn_blame(fault, "set_header.", access->headers[i].name,
                                 "this is no name of a header");
        if (is_envoys_own(access->headers[i].name))
            return keyturn_blame(fault, "set_header.", access->headers[i].name,
                                 "Envoy itself uses this header");
    }
    return set_made(access, "set_metadata", &access->metadata, &access->metadata_count, fault);
}

/* ---- The challenge ----------------------------------------------------------------------------------------- */

static int set_challenge(keyturn_access *access, keyturn_words **words, keyturn_fault *fault)
{
    size_t len;
    access->challenge = (jwt_challenge_options)JWT_CHALLENGE_OPTIONS_INIT;
    if (keyturn_set_options(access->said, ADAPTER_CHALLENGE, &access->challenge, words, "", fault) != 0)
        return -1;
    if (jwt_challenge(JWT_MISSING, &access->challenge, NULL, 0, &len) != JWKS_INVALID_OPTION)
        return 0;
    return keyturn_blame(fault, "", "realm, scope or resource_metadata",
                         "is too long, or holds control characters");
}

/* ---- The policy --------------------------------------------------------------------------------------------- */

static int set_rules(const keyturn_access *access, jwt_policy_options *options, keyturn_words **words,
                     keyturn_fault *fault)
{
    json_t *value = json_object_get(access->said, "require");
    size_t count = json_array_size(value), words_of_it;
    jwt_rule *rules = keyturn_words_more(words, (count + 1) * sizeof *rules);
    if (rules == NULL || (value && !json_is_array(value)))
        return keyturn_blame(fault, "", "require", "the value must be a list of rules");
    for (size_t i = 0; i < count; i++) {
        char option[32];
        const char **list = keyturn_list(json_array_get(value, i), words, &words_of_it);
        const char *wrong =
            list ? adapter_set_rule(&rules[i], list, words_of_it) : "a rule is a list of texts";
        snprintf(option, sizeof option, "require[%zu]", i);
        if (wrong)
            return keyturn_blame(fault, "", option, wrong);
    }
    options->rules = rules;
    options->rule_count = count;
    return 0;
}

static jwks_issuer *issuer_named(const keyturn_filter *filter, const char *name)
{
    for (size_t i = 0; i < filter->issuer_count; i++)
        if (strcmp(filter->issuers[i]->name, name) == 0)
            return filter->issuers[i]->handle;
    return NULL;
}

/* Those that are named, or all of the filter's. */
static int set_issuers(const keyturn_filter *filter, keyturn_access *access, keyturn_words **words,
                       keyturn_fault *fault)
{
    json_t *value = json_object_get(access->said, "issuers");
    size_t count = filter->issuer_count;
    const char **names = value ? keyturn_list(value, words, &count) : NULL;
    access->issuers = calloc(count + 1, sizeof *access->issuers);
    if (access->issuers == NULL || (value && names == NULL))
        return keyturn_blame(fault, "", "issuers", "the value must be a name, or a list of names");
    for (size_t i = 0; i < count; i++) {
        access->issuers[i] = names ? issuer_named(filter, names[i]) : filter->issuers[i]->handle;
        if (access->issuers[i] == NULL)
            return keyturn_blame(fault, "issuers ", names[i], "the filter has no such issuer");
    }
    access->issuer_count = count;
    return 0;
}

/* What the library calls "rules[1].claim" is of "require[1]". */
static int blame_library(keyturn_fault *fault, const jwks_error *error)
{
    int is_rule = strncmp(error->option, "rules", 5) == 0;
    return keyturn_blame(fault, is_rule ? "require" : "", error->option + (is_rule ? 5 : 0), error->message);
}

static int set_policy(const keyturn_filter *filter, keyturn_access *access, keyturn_words **words,
                      keyturn_fault *fault)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    if (keyturn_set_options(access->said, ADAPTER_POLICY, &options, words, "", fault) != 0 ||
        set_rules(access, &options, words, fault) != 0 || set_issuers(filter, access, words, fault) != 0)
        return -1;
    options.issuers = access->issuers;
    options.issuer_count = access->issuer_count;
    if (access->mode == KEYTURN_MODE_OFF)
        return 0;
    return jwt_policy_new(filter->keys->cache, &options, &access->policy, &error) == JWT_OK
               ? 0
               : blame_library(fault, &error);
}

/* ---- All of it ------------------------------------------------------------------------------------------------ */

int keyturn_is_of_access(const char *name)
{
    static const char *const own[] = { "mode",         "token", "require", "set_header",
                                       "set_metadata", "log",   "metrics", "keys" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i], name) == 0)
            return 1;
    return adapter_option_named(ADAPTER_POLICY, name, strlen(name)) ||
           adapter_option_named(ADAPTER_CHALLENGE, name, strlen(name));
}

keyturn_access *keyturn_access_new(const keyturn_filter *filter, json_t *said, keyturn_fault *fault)
{
    keyturn_words *words = NULL;
    keyturn_access *access = calloc(1, sizeof *access);
    if (access == NULL) {
        json_decref(said);
        keyturn_blame(fault, "", "", "there is no memory");
        return NULL;
    }
    access->holders = 1;
    access->said = said;
    access->mode = KEYTURN_MODE_ON; /* what cannot be read is closed */
    /* Headers first: what claims make is cleaned in any case. */
    (void)(set_headers(access, fault) || set_mode(access, fault) || set_sources(access, &words, fault) ||
           set_log(access, &words, fault) || set_challenge(access, &words, fault) ||
           set_policy(filter, access, &words, fault));
    keyturn_words_free(words);
    return access;
}

keyturn_access *keyturn_access_hold(keyturn_access *access)
{
    atomic_fetch_add(&access->holders, 1);
    return access;
}

void keyturn_access_release(keyturn_access *access)
{
    if (access == NULL || atomic_fetch_sub(&access->holders, 1) > 1)
        return;
    jwt_policy_release(access->policy);
    free(access->issuers);
    free(access->sources);
    free(access->headers);
    free(access->metadata);
    json_decref(access->said);
    free(access);
}
