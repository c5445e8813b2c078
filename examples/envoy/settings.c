/* Configurations of filters and of routes: read, tried out, and only then put in force.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A filter is tried out on a draft of the keys, in memory alone, so that one that is refused has changed nothing. A
 * route inherits from the filter, which it is not told of: it is tried out over a filter that asks for little, and made
 * ready when a filter first meets it. What shows only then closes the route (503). */
#include "keyturn_envoy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names --------------------------------------------------------------------------------------------- */

static int is_of_cache(const char *name)
{
    return adapter_option_named(ADAPTER_CACHE, name, strlen(name)) != NULL;
}

static int check_names(json_t *said, int is_route, keyturn_fault *fault)
{
    const char *name;
    json_t *value;
    json_object_foreach(
        said, name,
        value) if (!keyturn_is_of_access(name) && strcmp(name, "issuers") != 0 &&
                   (is_route || !is_of_cache(name))) return keyturn_blame(fault, "", name,
                                                                          "there is no such option");
    return 0;
}

static int check_issuer(json_t *said, size_t place, keyturn_fault *fault)
{
    char before[32];
    const char *name;
    json_t *value;
    snprintf(before, sizeof before, "issuers[%zu].", place);
    if (!json_is_object(said))
        return keyturn_blame(fault, "", "issuers", "each of them must be an object");
    json_object_foreach(said, name,
                        value) if (adapter_option_named(ADAPTER_ISSUER, name, strlen(name)) ==
                                   NULL) return keyturn_blame(fault, before, name,
                                                              "there is no such option of an issuer");
    return 0;
}

/* Two would be one, with the options of the second. */
static int check_twins(json_t *issuers, size_t place, keyturn_fault *fault)
{
    json_t *name = json_object_get(json_array_get(issuers, place), "issuer");
    for (size_t i = 0; i < place; i++)
        if (json_equal(json_object_get(json_array_get(issuers, i), "issuer"), name))
            return keyturn_blame(fault, "", "issuers", "one of them is there twice");
    return 0;
}

static int check_issuers(json_t *issuers, keyturn_fault *fault)
{
    if (json_array_size(issuers) == 0)
        return keyturn_blame(fault, "", "issuers", "a list of issuers is wanting");
    for (size_t i = 0; i < json_array_size(issuers); i++)
        if (check_issuer(json_array_get(issuers, i), i, fault) != 0 || check_twins(issuers, i, fault) != 0)
            return -1;
    return 0;
}

/* ---- A filter ------------------------------------------------------------------------------------------- */

static json_t *chosen(json_t *said, int (*is_chosen)(const char *name))
{
    const char *name;
    json_t *value, *some = json_object();
    json_object_foreach(said, name, value) if (is_chosen(name) && !json_is_null(value))(void)
        json_object_set(some, name, value);
    return some;
}

static int take_issuers(keyturn_filter *filter, json_t *issuers, keyturn_fault *fault)
{
    size_t count = json_array_size(issuers);
    filter->issuers = calloc(count, sizeof *filter->issuers);
    if (filter->issuers == NULL)
        return keyturn_blame(fault, "", "issuers", "there is no memory");
    for (size_t i = 0; i < count; i++) {
        filter->issuers[i] = keyturn_issuer_obtain(filter->keys, json_array_get(issuers, i), i, fault);
        if (filter->issuers[i] == NULL)
            return -1;
        filter->issuer_count = i + 1;
    }
    return 0;
}

static void drop(keyturn_filter *filter)
{
    keyturn_access_release(filter->access);
    for (size_t i = 0; i < filter->issuer_count; i++)
        keyturn_issuer_release(filter->issuers[i]);
    keyturn_keys_release(filter->keys);
    free(filter->issuers);
    json_decref(filter->said);
    free(filter);
}

static keyturn_filter *make(json_t *said, int draft, keyturn_fault *fault)
{
    static _Atomic(uint64_t) made;
    keyturn_filter *filter = calloc(1, sizeof *filter);
    json_t *cache = chosen(said, is_of_cache);
    if (filter == NULL || cache == NULL) {
        json_decref(cache);
        free(filter);
        keyturn_blame(fault, "", "", "there is no memory");
        return NULL;
    }
    filter->id = atomic_fetch_add(&made, 1) + 1;
    filter->said = chosen(said, keyturn_is_of_access);
    filter->keys = keyturn_keys_obtain(cache, draft, fault);
    json_decref(cache);
    if (filter->keys && take_issuers(filter, json_object_get(said, "issuers"), fault) == 0)
        filter->access = keyturn_access_new(filter, json_copy(filter->said), fault);
    if (fault->sentence[0] == '\0')
        return filter;
    drop(filter);
    return NULL;
}

static int try_out(json_t *said, keyturn_fault *fault)
{
    keyturn_filter *draft = make(said, 1, fault);
    if (draft)
        drop(draft);
    return draft ? 0 : -1;
}

static void define_statistics(keyturn_filter *filter, void *config)
{
    const envoy_text status = keyturn_text("status");
    envoy_define_counter(config, keyturn_text("keyturn_tokens"), &status, 1, &filter->verdicts);
    envoy_define_counter(config, keyturn_text("keyturn_reports"), &status, 1, &filter->reports);
    envoy_define_counter(config, keyturn_text("keyturn_waits"), NULL, 0, &filter->parkings);
    envoy_define_gauge(config, keyturn_text("keyturn_waiters"), NULL, 0, &filter->waiters);
}

static void tell(const char *what, const keyturn_fault *fault)
{
    keyturn_log(ENVOY_CRITICAL, "keyturn: %s is refused: %s%s%s", what, fault->option,
                fault->option[0] ? ": " : "", fault->sentence);
}

keyturn_filter *keyturn_filter_new(void *config, envoy_text text)
{
    keyturn_fault fault = { "", "" };
    keyturn_filter *filter = NULL;
    json_t *said = keyturn_read(text, &fault);
    if (said && check_names(said, 0, &fault) == 0 &&
        check_issuers(json_object_get(said, "issuers"), &fault) == 0 && try_out(said, &fault) == 0)
        filter = make(said, envoy_only_validates(), &fault);
    json_decref(said);
    if (filter)
        define_statistics(filter, config);
    else
        tell("a filter", &fault);
    return filter;
}

/* ---- A route -------------------------------------------------------------------------------------------- */

static pthread_mutex_t binding = PTHREAD_MUTEX_INITIALIZER;
static keyturn_route *routes; /* under it, and what filters make of them */

/* An option that is null takes back what the filter says. */
static json_t *over(json_t *below, json_t *above)
{
    json_t *both = json_copy(below), *value;
    const char *name;
    json_object_foreach(above, name, value)(void)(json_is_null(value) ? json_object_del(both, name)
                                                                      : json_object_set(both, name, value));
    return both;
}

static int check_route(json_t *said, keyturn_fault *fault)
{
    static const char little[] =
        "{\"issuers\":[{\"issuer\":\"https://issuer.invalid\",\"discovery\":\"openid\"}],"
        "\"audiences\":\"any\"}";
    json_t *without = over(said, NULL);
    (void)json_object_del(without, "issuers"); /* by name, which only the filter knows */
    json_t *base = json_loads(little, 0, NULL);
    if (json_object_get(without, "allow_any_audience"))
        (void)json_object_del(base, "audiences");
    json_t *all = over(base, without);
    int answer = try_out(all, fault);
    json_decref(all);
    json_decref(base);
    json_decref(without);
    return answer;
}

keyturn_route *keyturn_route_new(envoy_text text)
{
    keyturn_fault fault = { "", "" };
    keyturn_route *route = calloc(1, sizeof *route);
    json_t *said = keyturn_read(text, &fault);
    if (route == NULL || said == NULL || check_names(said, 1, &fault) != 0 ||
        check_route(said, &fault) != 0) {
        tell("a route", &fault);
        json_decref(said);
        free(route);
        return NULL;
    }
    route->said = said;
    pthread_mutex_lock(&binding);
    route->next = routes;
    routes = route;
    pthread_mutex_unlock(&binding);
    return route;
}

void keyturn_route_free(keyturn_route *route)
{
    pthread_mutex_lock(&binding);
    keyturn_route **place = &routes;
    while (*place != route)
        place = &(*place)->next;
    *place = route->next;
    pthread_mutex_unlock(&binding);
    for (keyturn_binding *next, *bound = route->bindings; bound; bound = next) {
        next = bound->next;
        keyturn_access_release(bound->access);
        free(bound);
    }
    json_decref(route->said);
    free(route);
}

/* ---- A filter's routes ------------------------------------------------------------------------------------ */

/* A place is used again once its filter has gone; its number comes last, so that who finds that finds the rest. */
static keyturn_binding *bound_to(keyturn_route *route, uint64_t filter)
{
    keyturn_binding *bound = atomic_load_explicit(&route->bindings, memory_order_acquire);
    while (bound && atomic_load_explicit(&bound->filter, memory_order_acquire) != filter)
        bound = bound->next;
    return bound;
}

static keyturn_access *make_ready(keyturn_filter *filter, const keyturn_route *route)
{
    keyturn_fault fault = { "", "" };
    keyturn_access *access = keyturn_access_new(filter, over(filter->said, route->said), &fault);
    if (fault.sentence[0])
        keyturn_log(ENVOY_CRITICAL, "keyturn: a route is closed: %s: %s", fault.option, fault.sentence);
    return access;
}

static keyturn_access *bind(keyturn_filter *filter, keyturn_route *route)
{
    keyturn_binding *bound = bound_to(route, filter->id);
    if (bound)
        return bound->access;
    keyturn_binding *empty = bound_to(route, 0);
    bound = empty ? empty : calloc(1, sizeof *bound);
    keyturn_access *access = bound ? make_ready(filter, route) : NULL;
    if (access == NULL) {
        if (bound != empty)
            free(bound);
        return NULL;
    }
    bound->access = access;
    atomic_store_explicit(&bound->filter, filter->id, memory_order_release);
    if (empty == NULL) {
        bound->next = route->bindings;
        atomic_store_explicit(&route->bindings, bound, memory_order_release);
    }
    return access;
}

keyturn_access *keyturn_access_of(keyturn_filter *filter, keyturn_route *route)
{
    if (route == NULL)
        return filter->access;
    keyturn_binding *bound = bound_to(route, filter->id);
    if (bound)
        return bound->access;
    pthread_mutex_lock(&binding);
    keyturn_access *access = bind(filter, route);
    pthread_mutex_unlock(&binding);
    return access;
}

static void unbind(keyturn_route *route, uint64_t filter)
{
    keyturn_binding *bound = bound_to(route, filter);
    if (bound == NULL)
        return;
    keyturn_access_release(bound->access);
    bound->access = NULL;
    atomic_store_explicit(&bound->filter, 0, memory_order_release);
}

/* Its last stream has ended. */
void keyturn_filter_free(keyturn_filter *filter)
{
    pthread_mutex_lock(&binding);
    for (keyturn_route *route = routes; route; route = route->next)
        unbind(route, filter->id);
    pthread_mutex_unlock(&binding);
    drop(filter);
}
