/* Both libraries together where names matter: what a name leads to, and a resolver that never answers. In a network
 * and mounts of the test's own.
 * test_names SERVER...   starts itself again, there, as `SERVER... test_names inside` */
#include "host.h"
#include "namespaces.h"

#include <sys/socket.h>
#include <unistd.h>

/* By name; the port is that of the server at every address. */
static char *at_name(const char *name, const char *stage)
{
    return text("http://%s:%s/on/%s", name, server("FAULTS_ANYWHERE"), stage);
}

/* ---- What discovery leads to */

static const struct place {
    const char *name, *host;
    int is_listed, is_asked;
} places[] = {
    { "public", "public.example", 0, 1 },     { "private", "private.example", 0, 0 },
    { "metadata", "metadata.example", 0, 0 }, { "this-machine", "loopback.example", 0, 0 },
    { "listed", "private.example", 1, 1 },
};

static void discovery_leads_to_public_addresses(const char *name, const void *argument)
{
    const struct place *place = argument;
    struct site site;
    char *keys = text("%s-keys", name), *where = at_name(place->host, keys);
    char *stage = text("%s/.well-known/openid-configuration", name);
    begin_site(&site, "FAULTS_HTTP", name);
    char *act = text("answer 200 OK\n\n{\"issuer\":\"%s\",\"jwks_uri\":\"%s\"}", site.issuer, where);
    play(stage, act, NULL);
    play_key(keys, 1, "one", "");
    site.options.jwks_url = NULL;
    site.options.discovery = JWKS_DISCOVERY_OPENID;
    site.options.jwks_hosts = &place->host;
    site.options.jwks_host_count = (size_t)place->is_listed;
    add_site(&site);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_PENDING),
                 place->is_asked ? JWT_OK : JWKS_KEYS_UNAVAILABLE);
    CHECK(asked(stage) >= 1);
    CHECK(asked(keys) == (size_t)place->is_asked);
    free(keys);
    free(where);
    free(stage);
    free(act);
    end_site(&site);
}

/* ---- A name that is never resolved */

static void begin_unresolved(struct site *site, const char *name)
{
    char *url = at_name("silent.example", name);
    begin_site(site, "FAULTS_HTTP", name);
    snprintf(site->url, sizeof site->url, "%s", url);
    site->options.connect_timeout_ms = 500;
    site->options.backoff_base_ms = site->options.backoff_max_ms = 1000;
    free(url);
}

static void an_unresolved_name_is_an_outage(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_unresolved(&site, name);
    add_site(&site);
    CHECK_STATUS(ask_until_not(&site, 1, "one", JWKS_PENDING), JWKS_KEYS_UNAVAILABLE);
    CHECK(asked(name) == 0);
    CHECK_KEYS(&site, "JWKS_KEYS_UNAVAILABLE");
    end_site(&site);
}

static void an_unresolved_name_takes_nothing_away(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    char *one = jwk(1, "one"), *set = text("{\"keys\":[%s]}", one);
    begin_unresolved(&site, name);
    add_site(&site);
    CHECK_STATUS(jwks_issuer_load(site.handle, set, strlen(set), NULL), JWT_OK); /* what the host had kept */
    CHECK_STATUS(jwks_issuer_refresh(site.handle), JWT_OK);
    for (int64_t end = now() + 4000; now() < end; pause_for(10)) {
        CHECK_STATUS(ask(&site, 1, "one"), JWT_OK);
        jwt_status unknown = ask(&site, 2, "two");
        CHECK(unknown == JWKS_PENDING || unknown == JWKS_KEYS_UNAVAILABLE); /* its fetch fails */
    }
    CHECK_KEYS(&site, "one:0");
    free(one);
    free(set);
    end_site(&site);
}

static void another_issuer_does_not_notice(const char *name, const void *argument)
{
    (void)argument;
    struct site site;
    begin_site(&site, "FAULTS_HTTP", name);
    site.options.min_freshness_ms = site.options.max_freshness_ms = 1000;
    site.options.hard_limit_ms = 3000;
    site.options.total_burst = 100;
    play_key(name, 1, "one", "");
    serve_for(&site, 4000);
    CHECK(asked(name) >= 3);
    end_site(&site);
}

enum { SILENT = 3 };

/* Whether the resolver was asked for such a name; what else it was asked is passed over. */
static int await_question(const char *part)
{
    char octets[512];
    for (int64_t end = now() + 10000; now() < end; pause_for(10))
        for (ssize_t got; (got = recv(SILENT, octets, sizeof octets, MSG_DONTWAIT)) > 0;)
            if (memmem(octets, (size_t)got, part, strlen(part)))
                return 1;
    return 0;
}

static void a_stop_does_not_wait_for_a_look_up(enum driving driving)
{
    struct site site;
    char *url = at_name("stopped.example", "stopped");
    begin_driving(driving);
    begin_site(&site, "FAULTS_HTTP", "stopped");
    snprintf(site.url, sizeof site.url, "%s", url);
    site.options.connect_timeout_ms = site.options.fetch_timeout_ms = 30000;
    add_site(&site);
    CHECK(await_question("stopped"));
    CHECK_STATUS(ask(&site, 1, "one"), JWKS_PENDING);
    int64_t began = now();
    jwks_cache_stop(cache);
    CHECK(now() - began < 1000);
    end_site(&site);
    end_driving();
    free(url);
}

static int test_inside(enum driving driving)
{
    begin_driving(driving);
    for (size_t i = 0; i < COUNT(places); i++)
        begin_case(places[i].name, discovery_leads_to_public_addresses, &places[i]);
    begin_case("silent-cold", an_unresolved_name_is_an_outage, NULL);
    begin_case("silent-warm", an_unresolved_name_takes_nothing_away, NULL);
    begin_case("other", another_issuer_does_not_notice, NULL);
    int failed = end_cases();
    int64_t began = now();
    end_driving();
    CHECK(now() - began < 1500); /* look-ups that hang hold nobody up */
    char octets[512];
    size_t questions = 0;
    while (recv(SILENT, octets, sizeof octets, MSG_DONTWAIT) > 0)
        questions++;
    CHECK(questions > 0);
    a_stop_does_not_wait_for_a_look_up(driving);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const char *const hosts = "127.0.0.1 loopback.example\n9.9.9.9 public.example\n"
                                     "10.1.2.3 private.example\n169.254.169.254 metadata.example\n";
    char *command[16];
    int count = 0;
    if (argc == 2 && strcmp(argv[1], "inside") == 0)
        return test_inside(STARTED);
    enter_namespaces();
    add_address("9.9.9.9");
    add_address("10.1.2.3");
    add_address("169.254.169.254");
    if (dup2(resolve_with_the_silent(hosts), 3) != 3)
        return 1;
    for (int i = 1; i < argc && count < 13; i++)
        command[count++] = argv[i];
    command[count++] = argv[0];
    command[count++] = "inside";
    command[count] = NULL;
    execvp(command[0], command);
    perror(command[0]);
    return 1;
}
