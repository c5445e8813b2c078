/* bench - what a verification costs, beside libcrypto alone and beside other libraries: see docs/performance.md. */
#include "host.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALL_REACHED = 0, GOALS_MISSED = 1, NOTHING_MEASURED = 2 };

const char *folder, *only;
unsigned long flood_tokens = 10000000;

void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(NOTHING_MEASURED);
}

struct text read_text(const char *format, ...)
{
    char path[512], name[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        give_up("%s cannot be read", path);
    fseek(file, 0, SEEK_END);
    size_t len = (size_t)ftell(file);
    rewind(file);
    struct text text = { calloc(1, len + 1), len };
    if (fread(text.data, 1, len, file) != len)
        give_up("%s cannot be read", path);
    fclose(file);
    return text;
}

struct text forged(struct text token)
{
    struct text copy = { strdup(token.data), token.len };
    char *signature = strrchr(copy.data, '.') + 1;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    return copy;
}

static void read_arguments(int argc, char **argv, const char **library, const char **json)
{
    static const struct option options[] = { { "library", required_argument, NULL, 'l' },
                                             { "tokens", required_argument, NULL, 't' },
                                             { "json", required_argument, NULL, 'j' },
                                             { "quick", no_argument, NULL, 'q' },
                                             { "cpu-time", no_argument, NULL, 'c' },
                                             { "only", required_argument, NULL, 'o' },
                                             { NULL, 0, NULL, 0 } };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'l':
            *library = optarg;
            break;
        case 't':
            folder = optarg;
            break;
        case 'j':
            *json = optarg;
            break;
        case 'q':
            rounds = 15;
            flood_tokens = 500000;
            slot_ns = 3e6;
            break;
        case 'c':
            counts_cpu_time = 1;
            break;
        case 'o':
            only = optarg;
            break;
        default:
            exit(NOTHING_MEASURED);
        }
    }
    if (!*library || !folder)
        give_up("--library and --tokens are needed");
}

static size_t measure_chapters(void)
{
    static const struct {
        const char *name;
        void (*measure)(void);
    } chapters[] = {
        { "repeated", bench_repeated },
        { "mix", bench_mix },
        { "company", bench_company },
        { "growth", bench_growth },
    };
    size_t measured = bench_algorithms();
    for (size_t i = 0; i < COUNT(chapters); i++)
        if (!only || strcmp(only, chapters[i].name) == 0) {
            chapters[i].measure();
            measured++;
        }
    return measured;
}

int main(int argc, char **argv)
{
    const char *library = NULL, *json = NULL;
    read_arguments(argc, argv, &library, &json);
    load_keyturn(library);
    if (measure_chapters() == 0)
        give_up("--only %s: there is no such algorithm or chapter", only);
    end_measuring();
    if (json)
        write_json(json);
    int missed = missed_goals();
    printf("\n%d goals missed\n", missed);
    return missed ? GOALS_MISSED : ALL_REACHED;
}
