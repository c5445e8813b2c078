/* Decides the rows of JSONL files of vectors through keyturn.h, and holds each verdict against the row's.
 *
 * A row of strength "must" has to be decided as it expects. One of "should" or "policy" too, unless the file of
 * exceptions lists it; no exception may accept what its row refuses, and none may be listed that is not needed.
 * Format of the rows: make_vectors.py. The program is linked with the library it tests. */
#include "vectors.h"

#include <dirent.h>
#include <dlfcn.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EXCEPTIONS = 20, MAX_KINDS = 8 };

static const char *const mutants[] = { "none",    "accept-all", "reject-all", "status",
                                       "payload", "leftover",   "queue",      "keys" };
enum mutant mutant = MUTANT_NONE;

static size_t complaints;

void complain(const char *id, const char *format, ...)
{
    enum { MOST = 200 };
    if (complaints++ >= MOST)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("FAIL %s: ", id);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

/* ---- Exceptions */

struct exception {
    char *id;
    bool seen;
    bool needed;
};

static struct exception exceptions[MAX_EXCEPTIONS];
static size_t exception_count;

/* Lines of "id: reason"; empty lines and those that begin with '#' say nothing. */
static void read_exceptions(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[1024];
    if (!file) {
        complain(path, "cannot be read");
        return;
    }
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        char *reason = strstr(line, ": ");
        if (!reason || strlen(reason) < 4) {
            complain(path, "an exception without a reason: %s", line);
        } else if (exception_count == MAX_EXCEPTIONS) {
            complain(path, "more than %d exceptions", MAX_EXCEPTIONS);
        } else {
            *reason = 0;
            exceptions[exception_count++].id = strdup(line);
        }
    }
    fclose(file);
}

static struct exception *exception_for(const char *id)
{
    for (size_t i = 0; i < exception_count; i++)
        if (strcmp(exceptions[i].id, id) == 0)
            return &exceptions[i];
    return NULL;
}

static void expect_every_exception_needed(void)
{
    for (size_t i = 0; i < exception_count; i++) {
        if (!exceptions[i].seen)
            complain(exceptions[i].id, "an exception for a row that was not decided");
        else if (!exceptions[i].needed)
            complain(exceptions[i].id, "an exception that is not needed: the row is decided as expected");
        free(exceptions[i].id);
    }
}

/* ---- Counting */

static const char *const strengths[] = { "must", "should", "policy" };

struct count {
    size_t rows, as_expected, excepted, skipped;
};

static struct tally {
    char kind[16];
    struct count of[3][2];
} tallies[MAX_KINDS];

static size_t decided, skipped;

static struct count *count_of(const struct row *row, const char *strength, bool accept)
{
    size_t kind = 0, level = 0;
    while (kind < MAX_KINDS - 1 && tallies[kind].kind[0] && strcmp(tallies[kind].kind, row->kind) != 0)
        kind++;
    snprintf(tallies[kind].kind, sizeof tallies[kind].kind, "%s", row->kind);
    while (level < 2 && strcmp(strengths[level], strength) != 0)
        level++;
    return &tallies[kind].of[level][accept];
}

static void print_counts(void)
{
    for (size_t kind = 0; kind < MAX_KINDS && tallies[kind].kind[0]; kind++)
        for (size_t level = 0; level < 3; level++)
            for (size_t accept = 0; accept < 2; accept++) {
                const struct count *count = &tallies[kind].of[level][accept];
                if (count->rows == 0)
                    continue;
                printf("  %-10s %-6s %-6s %5zu of %5zu as expected", tallies[kind].kind, strengths[level],
                       accept ? "accept" : "reject", count->as_expected, count->rows);
                if (count->excepted)
                    printf(", %zu by exception", count->excepted);
                if (count->skipped)
                    printf(", %zu skipped", count->skipped);
                putchar('\n');
            }
}

/* ---- Rows */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static const char *name_of(enum verdict verdict)
{
    return verdict == VERDICT_ACCEPT ? "accepted" : "refused";
}

static void judge_unexpected(const struct row *row, const char *strength, enum verdict verdict,
                             struct count *count)
{
    struct exception *exception = exception_for(row->id);
    if (!exception || strcmp(strength, "must") == 0) {
        complain(row->id, "%s (%s), expected otherwise (%s, %s): %s", name_of(verdict),
                 jwt_status_name(row->status), strength, text_of(row->json, "reason"),
                 text_of(row->json, "why"));
        return;
    }
    if (verdict == VERDICT_ACCEPT)
        complain(row->id, "an exception that accepts what its row refuses");
    exception->needed = true;
    count->excepted++;
}

/* Rows of our own say which status refuses them, so that none is refused for a reason it was not made for. */
static void expect_status(const struct row *row)
{
    const char *expected = text_of(row->json, "status");
    const char *actual =
        jwt_status_name(mutant == MUTANT_STATUS ? (jwt_status)(row->status + 1) : row->status);
    if (*expected && strcmp(expected, actual) != 0)
        complain(row->id, "%s, expected %s: %s", actual, expected, text_of(row->json, "why"));
}

static void judge(struct row *row)
{
    const char *strength = text_of(row->json, "strength");
    bool accept = strcmp(text_of(row->json, "expect"), "accept") == 0;
    struct count *count = count_of(row, strength, accept);
    struct exception *exception = exception_for(row->id);
    enum verdict verdict = decide(row);
    count->rows++;
    if (verdict == VERDICT_SKIPPED) {
        count->skipped++;
        skipped++;
        return;
    }
    decided++;
    if (exception)
        exception->seen = true;
    if (mutant == MUTANT_ACCEPT_ALL || mutant == MUTANT_REJECT_ALL)
        verdict = mutant == MUTANT_ACCEPT_ALL ? VERDICT_ACCEPT : VERDICT_REJECT;
    if ((verdict == VERDICT_ACCEPT) != accept) {
        judge_unexpected(row, strength, verdict, count);
        return;
    }
    count->as_expected++;
    expect_status(row);
}

/* Members may hold U+0000; one row has an integer that is no int64_t, and is read as reals. */
static json_t *parse_row(const char *line, size_t len)
{
    json_t *json = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    return json ? json : json_loadb(line, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
}

static void judge_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0, number = 0;
    ssize_t len;
    if (!file) {
        complain(path, "cannot be read");
        return;
    }
    while ((len = getline(&line, &capacity, file)) > 0) {
        struct row row = { .json = parse_row(line, (size_t)len) };
        row.id = text_of(row.json, "id");
        row.kind = text_of(row.json, "kind");
        number++;
        if (*row.id && *row.kind)
            judge(&row);
        else
            complain(path, "line %zu is not a row", number);
        json_decref(row.json);
    }
    free(line);
    fclose(file);
}

/* ---- Key sets that real issuers publish */

static bool is_text(keyturn_span span, const json_t *expected)
{
    size_t len = json_string_length(expected);
    return span.len == len && (len == 0 || memcmp(span.data, json_string_value(expected), len) == 0);
}

static void expect_listed_key(const char *name, size_t place, const json_t *key, jwks_key_info info)
{
    json_int_t expected = json_integer_value(json_object_get(key, "fault"));
    jwks_key_fault fault = mutant == MUTANT_KEYS && place == 0 ? !info.fault : info.fault;
    if (info.index != place || !is_text(info.kid, json_object_get(key, "kid")))
        complain(name, "key %zu is not the one of the document", place);
    if (fault != expected)
        complain(name, "key %zu has fault %d, expected %d", place, (int)fault, (int)expected);
    if (info.bits != json_integer_value(json_object_get(key, "bits")) ||
        info.lenient != json_is_true(json_object_get(key, "lenient")) ||
        !is_text(info.thumbprint, json_object_get(key, "thumbprint")))
        complain(name, "key %zu: %u bits, %s, thumbprint \"%.*s\"", place, info.bits,
                 info.lenient ? "read leniently" : "read strictly", (int)info.thumbprint.len,
                 info.thumbprint.data);
}

static void expect_listed_keys(const char *name, const json_t *expected, const jwks_key_list *list)
{
    size_t count = jwks_key_list_count(list);
    if (count != json_array_size(expected))
        complain(name, "%zu keys, expected %zu", count, json_array_size(expected));
    for (size_t i = 0; i < count && i < json_array_size(expected); i++)
        expect_listed_key(name, i, json_array_get(expected, i), key_at(name, list, i));
}

static char *read_whole(const char *folder, const char *name, size_t *len)
{
    enum { MOST = 1 << 20 };
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    char *text = calloc(1, MOST);
    *len = file && text ? fread(text, 1, MOST, file) : 0;
    if (file)
        fclose(file);
    return text;
}

static size_t count_documents(const char *folder)
{
    size_t count = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        count += strstr(entry->d_name, ".json") != NULL;
    if (directory)
        closedir(directory);
    return count;
}

static void judge_real_documents(const char *folder, const char *expected_path)
{
    json_t *expected = json_load_file(expected_path, 0, NULL), *keys;
    const char *name;
    size_t total = 0;
    json_object_foreach(expected, name, keys)
    {
        size_t len;
        char *text = read_whole(folder, name, &len);
        jwks_key_list *list = keys_of_document(name, text, len);
        expect_listed_keys(name, keys, list);
        total += jwks_key_list_count(list);
        jwks_key_list_release(list);
        free(text);
    }
    if (json_object_size(expected) == 0 || json_object_size(expected) != count_documents(folder))
        complain(folder, "%zu documents, %zu in %s", count_documents(folder), json_object_size(expected),
                 expected_path);
    printf("  %zu documents of real issuers, %zu keys\n", json_object_size(expected), total);
    json_decref(expected);
}

/* ---- The run */

struct options {
    const char *openssl; /* the version that must have been loaded */
    const char *real;
    const char *real_expected;
    size_t at_least;
    bool none_skipped;
};

static void load_probe(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct {
        const char *name;
        void *function;
    } functions[] = { { "keyturn_probe_verify_signature", &probe },
                      { "keyturn_probe_key_new", &tables.key_new },
                      { "keyturn_probe_key_verify", &tables.key_verify },
                      { "keyturn_probe_key_release", &tables.key_release } };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *symbol = library ? dlsym(library, functions[i].name) : NULL;
        if (!symbol) {
            complain(path, "%s", dlerror());
            exit(2);
        }
        memcpy(functions[i].function, &symbol, sizeof symbol);
    }
}

static void choose_mutant(const char *name)
{
    for (size_t i = 1; i < sizeof mutants / sizeof *mutants; i++)
        if (strcmp(name, mutants[i]) == 0)
            mutant = (enum mutant)i;
    if (mutant == MUTANT_NONE)
        complain(name, "no such mutant");
}

static void parse_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = { { "probe", required_argument, NULL, 'p' },
                                           { "exceptions", required_argument, NULL, 'e' },
                                           { "openssl", required_argument, NULL, 'o' },
                                           { "at-least", required_argument, NULL, 'n' },
                                           { "none-skipped", no_argument, NULL, 's' },
                                           { "real", required_argument, NULL, 'r' },
                                           { "real-expected", required_argument, NULL, 'x' },
                                           { "mutant", required_argument, NULL, 'm' },
                                           { NULL, 0, NULL, 0 } };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p':
            load_probe(optarg);
            break;
        case 'e':
            read_exceptions(optarg);
            break;
        case 'o':
            options->openssl = optarg;
            break;
        case 'n':
            options->at_least = strtoul(optarg, NULL, 10);
            break;
        case 's':
            options->none_skipped = true;
            break;
        case 'r':
            options->real = optarg;
            break;
        case 'x':
            options->real_expected = optarg;
            break;
        case 'm':
            choose_mutant(optarg);
            break;
        default:
            exit(2);
        }
    }
}

static void expect_openssl(const char *wanted)
{
    unsigned long number = OpenSSL_version_num();
    char actual[32];
    snprintf(actual, sizeof actual, "%lu.%lu", number >> 28, number >> 20 & 0xff);
    printf("Keyturn %s, %s\n", keyturn_version(), OpenSSL_version(OPENSSL_VERSION));
    if (wanted && strcmp(wanted, actual) != 0)
        complain("libcrypto", "this is OpenSSL %s, expected %s", actual, wanted);
}

static void expect_enough(const struct options *options)
{
    if (decided < options->at_least)
        complain("rows", "%zu decided, expected at least %zu", decided, options->at_least);
    if (options->none_skipped && skipped)
        complain("rows", "%zu skipped, expected none", skipped);
}

int main(int argc, char **argv)
{
    struct options options = { 0 };
    parse_options(argc, argv, &options);
    expect_openssl(options.openssl);
    for (int i = optind; i < argc; i++)
        judge_file(argv[i]);
    if (options.real)
        judge_real_documents(options.real, options.real_expected);
    expect_every_exception_needed();
    expect_enough(&options);
    print_counts();
    if (recognized_rows < accepted_rows / 2)
        complain("rows", "only %u of %u accepted tokens were known again", recognized_rows, accepted_rows);
    if (accepted_rows)
        printf("  %u of %u accepted tokens were known again\n", recognized_rows, accepted_rows);
    if (with_table)
        printf("  %lu signatures decided by a table of points, too\n", with_table);
    printf(
        "%s: %zu rows decided, %zu skipped (algorithms that this libcrypto does not offer), %zu failures\n",
        complaints ? "FAIL" : "ok", decided, skipped, complaints);
    return complaints ? 1 : 0;
}
