/* Options as JSON, and what is wrong with them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 16 };

int keyturn_blame(keyturn_fault *fault, const char *before, const char *option, const char *sentence)
{
    if (fault->sentence[0] == '\0') {
        snprintf(fault->option, sizeof fault->option, "%s%s", before, option);
        snprintf(fault->sentence, sizeof fault->sentence, "%s", sentence);
    }
    return -1;
}

/* ---- Memory ------------------------------------------------------------------------------------- */

void *keyturn_words_more(keyturn_words **words, size_t size)
{
    keyturn_words *more = calloc(1, sizeof *more + size);
    if (more == NULL)
        return NULL;
    more->next = *words;
    *words = more;
    return more + 1;
}

void keyturn_words_free(keyturn_words *words)
{
    while (words) {
        keyturn_words *next = words->next;
        free(words);
        words = next;
    }
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

static json_t *as_words(json_t *value, int depth);

static json_t *list_as_words(json_t *list, int depth)
{
    json_t *words = json_array(), *value;
    size_t i;
    json_array_foreach(list, i, value) if (json_array_append_new(words, as_words(value, depth)) != 0)
    {
        json_decref(words);
        return NULL;
    }
    return words;
}

static json_t *object_as_words(json_t *object, int depth)
{
    json_t *words = json_object(), *value;
    const char *name;
    json_object_foreach(object, name,
                        value) if (json_object_set_new(words, name, as_words(value, depth)) != 0)
    {
        json_decref(words);
        return NULL;
    }
    return words;
}

/* Envoy hands a Struct's numbers on as they come: 60000 or 60000.0. */
static json_t *number_as_words(json_t *number)
{
    char text[64];
    snprintf(text, sizeof text, "%.17g", json_number_value(number));
    if (json_is_integer(number))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
    return json_string(text);
}

static json_t *as_words(json_t *value, int depth)
{
    if (depth == DEEPEST)
        return NULL;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return object_as_words(value, depth + 1);
    case JSON_ARRAY:
        return list_as_words(value, depth + 1);
    case JSON_INTEGER:
    case JSON_REAL:
        return number_as_words(value);
    case JSON_TRUE:
        return json_string("on");
    case JSON_FALSE:
        return json_string("off");
    default:
        return json_incref(value);
    }
}

json_t *keyturn_read(envoy_text text, keyturn_fault *fault)
{
    json_error_t error;
    json_t *read = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &error);
    if (read == NULL) {
        keyturn_blame(fault, "", "filter_config", error.text);
        return NULL;
    }
    json_t *words = json_is_object(read) ? as_words(read, 0) : NULL;
    json_decref(read);
    if (words == NULL)
        keyturn_blame(fault, "", "filter_config", "it must be a JSON object");
    return words;
}

/* ---- Values --------------------------------------------------------------------------------------- */

const char **keyturn_list(json_t *value, keyturn_words **words, size_t *count)
{
    *count = json_is_array(value) ? json_array_size(value) : 1;
    const char **list = keyturn_words_more(words, (*count + 1) * sizeof *list);
    for (size_t i = 0; list && i < *count; i++) {
        list[i] = json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
        if (list[i] == NULL)
            return NULL;
    }
    return list;
}

static int set_option(const adapter_option *option, json_t *value, void *options, keyturn_words **words,
                      const char *before, keyturn_fault *fault)
{
    size_t count;
    const char **list = keyturn_list(value, words, &count);
    const char *wrong =
        list ? adapter_set(option, options, list, count) : "the value must be a text, or a list of texts";
    return wrong ? keyturn_blame(fault, before, option->name, wrong) : 0;
}

int keyturn_set_options(json_t *said, adapter_struct of, void *options, keyturn_words **words,
                        const char *before, keyturn_fault *fault)
{
    const char *name;
    json_t *value;
    json_object_foreach(said, name, value)
    {
        const adapter_option *option = adapter_option_named(of, name, strlen(name));
        if (option && set_option(option, value, options, words, before, fault) != 0)
            return -1;
    }
    return 0;
}
