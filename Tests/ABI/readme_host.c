/* A host around the C of README.md: check_readme puts it into readme.inc, block after block.
 *
 * usage: readme_host KEYS NEW_KEYS TOKEN; prints what the blocks asked for. */
#include <keyturn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *message)
{
    printf("gave up: %s\n", message);
    exit(1);
}

static void log_line(const char *message)
{
    printf("logged: %s\n", message);
}

static void serve(keyturn_span subject)
{
    printf("served %.*s\n", (int)subject.len, subject.data);
}

static void refuse(int http)
{
    printf("refused %d\n", http);
}

static void reply(int http, const char *challenge)
{
    printf("replied %d %s\n", http, challenge);
}

static void start_get(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    jwks_response response = JWKS_RESPONSE_INIT;
    response.failure = JWKS_FETCH_OTHER;
    printf("%s %s\n", (const char *)context, request->url);
    jwks_fetch_complete(fetch, &response);
}

static void cancel_get(void *context, jwks_fetch *fetch)
{
    (void)context;
    (void)fetch;
}

static char *read_file(const char *path, size_t *len)
{
    static char room[3][65536];
    static int used = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL || used == 3)
        give_up(path);
    *len = fread(room[used], 1, sizeof room[used], file);
    fclose(file);
    return room[used++];
}

int main(int argc, char **argv)
{
    if (argc != 4)
        give_up("three files are needed");
    size_t keys_len, new_keys_len, token_len;
    const char *keys = read_file(argv[1], &keys_len);
    const char *new_keys = read_file(argv[2], &new_keys_len);
    const char *token = read_file(argv[3], &token_len);

    jwks_cache *cache, *fetching;
    jwks_issuer *issuer, *login;
    void *http = "got";
    jwt_policy *policy;
    jwt_result *result;
#include "readme.inc"
    return 0;
}
