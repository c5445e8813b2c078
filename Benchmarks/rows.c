#include "bench.h"

#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 512 };
static struct row rows[MAX_ROWS];
static size_t row_count;

static int is_ok(const struct row *row)
{
    double value = row->octets > 0 ? row->octets : row->ratio;
    switch (row->bound) {
    case AT_MOST:
        return row->exercised && value <= row->goal;
    case AT_LEAST:
        return row->exercised && value >= row->goal;
    default:
        return row->exercised;
    }
}

int missed_goals(void)
{
    int missed = 0;
    for (size_t i = 0; i < row_count; i++)
        missed += !is_ok(&rows[i]);
    return missed;
}

/* ---- The table, a line as soon as it is known */

static void print_head(void)
{
    printf("%-31s %-10s %-6s %7s %11s %11s %11s %8s  %s\n", "", "alg", "claims", "threads", "median ns",
           "min", "max", "ratio", "goal");
}

static void print_goal(const struct row *row)
{
    if (row->bound != NO_GOAL)
        printf("  %s %.*f", row->bound == AT_MOST ? "<=" : ">=", row->octets > 0 ? 0 : 2, row->goal);
    if (!row->exercised)
        printf("  FAILED: too little went on meanwhile");
    else if (row->bound != NO_GOAL)
        printf("  %s", is_ok(row) ? "ok" : "FAILED");
    putchar('\n');
}

static void print_row(const struct row *row)
{
    printf("%-31s %-10s %-6s %7d ", row->name, row->alg, row->claims, row->threads);
    if (row->octets > 0)
        printf("%11.0f octets %26s", row->octets, "");
    else
        printf("%11.1f %11.1f %11.1f ", row->median, row->min, row->max);
    if (row->ratio > 0)
        printf("%8.3f", row->ratio);
    else if (row->octets == 0)
        printf("%8s", "");
    print_goal(row);
}

struct row row_of(const struct entrant *entrant, const char *alg, const char *claims, int threads,
                  const struct entrant *floor)
{
    struct row row = { .alg = alg, .claims = claims, .threads = threads, .exercised = 1 };
    snprintf(row.name, sizeof row.name, "%s", entrant->name);
    row.median = entrant->median;
    row.min = entrant->min;
    row.max = entrant->max;
    if (floor) {
        row.floor = floor->median;
        row.ratio = entrant->median / floor->median;
    }
    return row;
}

void add_row(const struct row *row)
{
    if (row_count == MAX_ROWS)
        give_up("too many rows");
    if (row_count == 0)
        print_head();
    else if (strcmp(row->alg, rows[row_count - 1].alg) != 0 || row->threads != rows[row_count - 1].threads)
        putchar('\n');
    rows[row_count++] = *row;
    print_row(row);
    fflush(stdout);
}

/* ---- JSON */

static void write_number(FILE *file, const char *name, double value)
{
    if (value > 0)
        fprintf(file, ", \"%s\": %.3f", name, value);
    else
        fprintf(file, ", \"%s\": null", name);
}

static void write_row(FILE *file, const struct row *row)
{
    static const char *const bounds[] = { "none", "at most", "at least" };
    fprintf(file, "  { \"name\": \"%s\", \"alg\": \"%s\", \"claims\": \"%s\", \"threads\": %d", row->name,
            row->alg, row->claims, row->threads);
    write_number(file, "median_ns", row->median);
    write_number(file, "min_ns", row->min);
    write_number(file, "max_ns", row->max);
    write_number(file, "floor_ns", row->floor);
    write_number(file, "ratio", row->ratio);
    write_number(file, "octets", row->octets);
    write_number(file, "goal", row->bound == NO_GOAL ? 0 : row->goal);
    fprintf(file, ", \"bound\": \"%s\", \"ok\": %s }", bounds[row->bound], is_ok(row) ? "true" : "false");
}

void write_json(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        give_up("%s cannot be written", path);
    fprintf(file, "{ \"rows\": [\n");
    for (size_t i = 0; i < row_count; i++) {
        write_row(file, &rows[i]);
        fputs(i + 1 < row_count ? ",\n" : "\n", file);
    }
    fprintf(file, "] }\n");
    if (fclose(file) != 0)
        give_up("%s cannot be written", path);
}
