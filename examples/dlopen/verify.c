/* verify.c - verify tokens with a Keyturn that is loaded at run time.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * keyturn.h gives the types, dlsym the functions: this program is built, and says what is wrong, where
 * no Keyturn is installed. Read it from the end: main tells the story.
 *
 *     cc -std=c11 -I include -o verify examples/dlopen/verify.c
 *
 * (with -ldl where the C library is older than glibc 2.34). */
#define _GNU_SOURCE
#include <keyturn.h>

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ALL_ACCEPTED = 0, SOME_REFUSED = 1, NOT_CONFIGURED = 2 };

/* Keyturn's own defaults. One octet more than each is read, so that it is Keyturn that refuses it. */
enum { MAX_DOCUMENT = 524288, MAX_TOKEN = 32768 };

static const char USAGE[] =
    "usage: verify --jwks FILE --issuer ISS --audience AUD [--library PATH] [--algorithms RS256,ES256]\n"
    "              [--type at+jwt] [--symmetric] [--claims] [TOKEN ...]\n"
    "Verifies each TOKEN, or each line of standard input, with the keys of the JWK Set in FILE.\n"
    "Ends with 0 if all are accepted, 1 if one is refused, 2 if it could not begin.\n";

/* ---- Printing what others wrote --------------------------------------------------------------- */

/* One code point of UTF-8 and how many octets it took; an octet that is not UTF-8 is U+FFFD. */
static size_t decode(const unsigned char *text, size_t len, uint32_t *point)
{
    static const unsigned char LENGTHS[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 3, 4 };
    size_t count = LENGTHS[text[0] >> 4];
    uint32_t value = count > 1 ? text[0] & (0x7fu >> count) : text[0];
    for (size_t i = 1; i < count; i++) {
        if (i == len || text[i] >> 6 != 2)
            count = 0;
        else
            value = value << 6 | (text[i] & 0x3fu);
    }
    *point = count == 0 ? 0xfffd : value;
    return count == 0 ? 1 : count;
}

/* Printable ASCII alone reaches the terminal; all else is written as JSON's \uXXXX. */
static void print_point(FILE *out, uint32_t point)
{
    if (point >= 0x20 && point < 0x7f)
        fputc((int)point, out);
    else if (point < 0x10000)
        fprintf(out, "\\u%04x", (unsigned)point);
    else
        fprintf(out, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (point >> 10)),
                (unsigned)(0xdc00 | (point & 0x3ff)));
}

static void print_string(FILE *out, keyturn_span text)
{
    fputc('"', out);
    for (size_t at = 0; at < text.len;) {
        uint32_t point;
        at += decode((const unsigned char *)text.data + at, text.len - at, &point);
        if (point == '"' || point == '\\')
            fputc('\\', out);
        print_point(out, point);
    }
    fputc('"', out);
}

/* A sentence, or JSON, which stays the same JSON: control characters are only white space in it. */
static void print_line(FILE *out, keyturn_span text)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t point;
        at += decode((const unsigned char *)text.data + at, text.len - at, &point);
        print_point(out, point < 0x20 ? ' ' : point);
    }
}

static void print_expiry(FILE *out, int64_t expiry)
{
    char text[64];
    struct tm date;
    time_t seconds = (time_t)expiry;
    if (expiry == INT64_MAX)
        fputs("never", out);
    else if (gmtime_r(&seconds, &date) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &date))
        fputs(text, out);
    else
        fprintf(out, "%lld", (long long)expiry);
}

/* Tells the person at the terminal what is wrong with what they gave. */
__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fputs("verify: ", stderr);
    print_line(stderr, (keyturn_span){ text, strlen(text) });
    fputc('\n', stderr);
}

/* ---- The library ---------------------------------------------------------------------------- */

/* Every function that this program calls. Its pointer has the type that keyturn.h declares, so the
 * compiler checks each call as if the library were linked. */
#define KEYTURN_FUNCTIONS(EACH)                                                                              \
    EACH(jwt_status_name)                                                                                    \
    EACH(jwt_status_message)                                                                                 \
    EACH(jwt_status_http)                                                                                    \
    EACH(jwt_algorithm_from_name)                                                                            \
    EACH(jwks_cache_new)                                                                                     \
    EACH(jwks_cache_release)                                                                                 \
    EACH(jwks_cache_add_issuer)                                                                              \
    EACH(jwks_issuer_release)                                                                                \
    EACH(jwks_issuer_load)                                                                                   \
    EACH(jwt_policy_new)                                                                                     \
    EACH(jwt_policy_release)                                                                                 \
    EACH(jwt_result_new)                                                                                     \
    EACH(jwt_result_release)                                                                                 \
    EACH(jwt_verify)                                                                                         \
    EACH(jwt_result_detail)                                                                                  \
    EACH(jwt_result_payload)                                                                                 \
    EACH(jwt_result_kid)                                                                                     \
    EACH(jwt_result_algorithm)                                                                               \
    EACH(jwt_result_expiry)                                                                                  \
    EACH(jwt_result_claim)

static struct {
#define DECLARE(name) __typeof__(name) *name;
    KEYTURN_FUNCTIONS(DECLARE)
} keyturn;

/* ISO C cannot turn dlsym's void pointer into a pointer to a function; memcpy can, and POSIX promises
 * that the octets are the same. */
static int resolve(void *library, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, size);
    return symbol != NULL;
}

/* The library is kept until the process ends. */
static int load_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    int complete = library != NULL;
#define RESOLVE(name) complete = complete && resolve(library, #name, &keyturn.name, sizeof keyturn.name);
    KEYTURN_FUNCTIONS(RESOLVE)
    if (!complete)
        complain("%s", dlerror());
    return complete;
}

/* ---- The policy: whose tokens, for whom ------------------------------------------------------- */

struct settings {
    const char *library;
    const char *jwks;
    const char *issuer;
    const char *audience;
    const char *type;
    const char *algorithm_names;
    uint64_t algorithms;
    uint32_t symmetric;
    int claims;
};

/* Names separated by commas to a set of algorithms; 0 if one is not known. */
static uint64_t algorithms_from_names(const char *names)
{
    uint64_t set = 0;
    for (const char *name = names;; name++) {
        size_t len = strcspn(name, ",");
        uint64_t algorithm = keyturn.jwt_algorithm_from_name(name, len);
        if (algorithm == 0)
            return 0;
        set |= algorithm;
        name += len;
        if (*name == '\0')
            return set;
    }
}

static int choose_algorithms(struct settings *settings)
{
    if (settings->algorithm_names != NULL) {
        settings->algorithms = algorithms_from_names(settings->algorithm_names);
        if (settings->algorithms == 0)
            complain("--algorithms %s: not a list of known algorithms", settings->algorithm_names);
        return settings->algorithms != 0;
    }
    if (settings->symmetric) /* 0 would mean every algorithm but these */
        settings->algorithms = JWT_ALG_HS256 | JWT_ALG_HS384 | JWT_ALG_HS512;
    return 1;
}

/* A file's octets, to be freed, or NULL with errno. */
static char *read_document(const char *path, size_t *len)
{
    char *text = malloc(MAX_DOCUMENT + 1);
    FILE *file = fopen(path, "rb");
    int failed = file == NULL || text == NULL;
    if (!failed) {
        *len = fread(text, 1, MAX_DOCUMENT + 1, file);
        failed = ferror(file);
    }
    int reason = errno;
    if (file != NULL)
        fclose(file);
    if (failed) {
        free(text);
        text = NULL;
    }
    errno = reason;
    return text;
}

static jwt_status add_issuer(const struct settings *settings, jwks_cache *cache, jwks_issuer **out,
                             jwks_error *error)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = settings->issuer;
    options.algorithms = settings->algorithms;
    options.allow_symmetric = settings->symmetric;
    return keyturn.jwks_cache_add_issuer(cache, &options, out, error);
}

static jwt_status new_policy(const struct settings *settings, jwks_cache *cache, jwks_issuer *issuer,
                             jwt_policy **out, jwks_error *error)
{
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    options.issuers = &issuer;
    options.issuer_count = 1;
    options.audiences = &settings->audience;
    options.audience_count = 1;
    options.algorithms = settings->algorithms;
    options.type = settings->type;
    return keyturn.jwt_policy_new(cache, &options, out, error);
}

static void explain(jwt_status status, const jwks_error *error)
{
    const char *sentence = error->message[0] != '\0' ? error->message : keyturn.jwt_status_message(status);
    complain("%s: %s%s%s", keyturn.jwt_status_name(status), error->option,
             error->option[0] != '\0' ? ": " : "", sentence);
}

/* The policy, to be released, or NULL and the reason on standard error. */
static jwt_policy *make_policy(const struct settings *settings)
{
    size_t len;
    char *document = read_document(settings->jwks, &len);
    if (document == NULL) {
        complain("%s: %s", settings->jwks, strerror(errno));
        return NULL;
    }

    jwks_cache *cache = NULL;
    jwks_issuer *issuer = NULL;
    jwt_policy *policy = NULL;
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = keyturn.jwks_cache_new(NULL, &cache, &error);
    if (status == JWT_OK)
        status = add_issuer(settings, cache, &issuer, &error);
    if (status == JWT_OK)
        status = keyturn.jwks_issuer_load(issuer, document, len, &error);
    if (status == JWT_OK)
        status = new_policy(settings, cache, issuer, &policy, &error);
    if (status != JWT_OK)
        explain(status, &error);

    free(document);
    keyturn.jwks_issuer_release(issuer); /* the policy holds its issuer, and that its cache */
    keyturn.jwks_cache_release(cache);
    return policy;
}

/* ---- The tokens ------------------------------------------------------------------------------- */

static void print_accepted(const jwt_result *result, int claims)
{
    printf("accepted sub=");
    print_string(stdout, keyturn.jwt_result_claim(result, "sub", 3).text);
    printf(" kid=");
    print_string(stdout, keyturn.jwt_result_kid(result));
    printf(" alg=%s expires=", keyturn.jwt_result_algorithm(result));
    print_expiry(stdout, keyturn.jwt_result_expiry(result));
    putchar('\n');
    if (claims) {
        print_line(stdout, keyturn.jwt_result_payload(result));
        putchar('\n');
    }
}

static void print_refused(jwt_status status, const jwt_result *result)
{
    const char *detail = keyturn.jwt_result_detail(result);
    printf("refused %s (%d): %s", keyturn.jwt_status_name(status), keyturn.jwt_status_http(status),
           keyturn.jwt_status_message(status));
    if (detail[0] != '\0') {
        printf(" [");
        print_line(stdout, (keyturn_span){ detail, strlen(detail) });
        putchar(']');
    }
    putchar('\n');
}

struct verifier {
    const jwt_policy *policy;
    jwt_result *result; /* one for all tokens: each verification clears it first */
    int claims;
    size_t accepted, refused;
};

static void verify(struct verifier *verifier, const char *token, size_t len)
{
    jwt_status status = keyturn.jwt_verify(verifier->policy, token, len, verifier->result);
    if (status == JWT_OK) {
        print_accepted(verifier->result, verifier->claims);
        verifier->accepted++;
    } else {
        print_refused(status, verifier->result);
        verifier->refused++;
    }
}

/* One line without its end, cut at `capacity`: 0 at the end of the input. */
static int read_line(FILE *in, char *line, size_t capacity, size_t *len)
{
    int octet = getc(in);
    if (octet == EOF)
        return 0;
    *len = 0;
    for (; octet != EOF && octet != '\n'; octet = getc(in))
        if (*len < capacity)
            line[(*len)++] = (char)octet;
    if (*len > 0 && line[*len - 1] == '\r')
        (*len)--;
    return 1;
}

/* Octets are counted, not searched for their end: a NUL in a line is part of that token. */
static void verify_lines(struct verifier *verifier, FILE *in)
{
    static char line[MAX_TOKEN + 1];
    size_t len;
    while (read_line(in, line, sizeof line, &len))
        verify(verifier, line, len);
}

static int verify_all(const struct settings *settings, const jwt_policy *policy, char **tokens)
{
    struct verifier verifier = { .policy = policy, .claims = settings->claims };
    if (keyturn.jwt_result_new(&verifier.result) != JWT_OK) {
        complain("out of memory");
        return NOT_CONFIGURED;
    }
    if (*tokens == NULL)
        verify_lines(&verifier, stdin);
    for (; *tokens != NULL; tokens++)
        verify(&verifier, *tokens, strlen(*tokens));
    keyturn.jwt_result_release(verifier.result);

    if (ferror(stdin) || verifier.accepted + verifier.refused == 0) {
        complain("no token could be read"); /* silence must not pass for success */
        return NOT_CONFIGURED;
    }
    return verifier.refused > 0 ? SOME_REFUSED : ALL_ACCEPTED;
}

/* ---- The command line ------------------------------------------------------------------------- */

/* 1 to go on; 0 if there is nothing to do, with *exit_status. */
static int read_arguments(int argc, char **argv, struct settings *settings, int *exit_status)
{
    static const struct option OPTIONS[] = {
        { "jwks", required_argument, NULL, 'j' },
        { "issuer", required_argument, NULL, 'i' },
        { "audience", required_argument, NULL, 'a' },
        { "library", required_argument, NULL, 'l' },
        { "algorithms", required_argument, NULL, 'g' },
        { "type", required_argument, NULL, 't' },
        { "symmetric", no_argument, NULL, 's' },
        { "claims", no_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    opterr = 0; /* getopt would repeat what it was given as it is */
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        switch (option) {
        case 'j':
            settings->jwks = optarg;
            break;
        case 'i':
            settings->issuer = optarg;
            break;
        case 'a':
            settings->audience = optarg;
            break;
        case 'l':
            settings->library = optarg;
            break;
        case 'g':
            settings->algorithm_names = optarg;
            break;
        case 't':
            settings->type = optarg;
            break;
        case 's':
            settings->symmetric = 1;
            break;
        case 'c':
            settings->claims = 1;
            break;
        default:
            fputs(USAGE, option == 'h' ? stdout : stderr);
            *exit_status = option == 'h' ? ALL_ACCEPTED : NOT_CONFIGURED;
            return 0;
        }
    }
    if (settings->jwks == NULL || settings->issuer == NULL || settings->audience == NULL) {
        fputs(USAGE, stderr);
        *exit_status = NOT_CONFIGURED;
        return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct settings settings = { .library = "libkeyturn.so.0" };
    int exit_status;
    if (!read_arguments(argc, argv, &settings, &exit_status))
        return exit_status;
    if (!load_library(settings.library) || !choose_algorithms(&settings))
        return NOT_CONFIGURED;

    jwt_policy *policy = make_policy(&settings);
    if (policy == NULL)
        return NOT_CONFIGURED;
    exit_status = verify_all(&settings, policy, argv + optind);
    keyturn.jwt_policy_release(policy);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("standard output: %s", strerror(errno));
        return NOT_CONFIGURED;
    }
    return exit_status;
}
