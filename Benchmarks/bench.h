/* What the parts of the benchmark share. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Ends the program: what it measures would not be what it says. */
__attribute__((noreturn, format(printf, 1, 2))) void give_up(const char *format, ...);

/* ---- What was made to be verified (make_tokens) */

struct text {
    char *data;
    size_t len;
};

extern const char *folder;
extern const char *only; /* this algorithm or chapter, and nothing else; or NULL */

/* A file of that folder, with a NUL behind it; kept until the program ends. */
__attribute__((format(printf, 1, 2))) struct text read_text(const char *format, ...);

/* A token whose signature is another's: of the same length, and canonical. */
struct text forged(struct text token);

#define ISSUER "https://login.example.com/realms/main"
#define AUDIENCE "https://api.example.com"

/* ---- Measuring, in interleaved rounds */

enum { MAX_THREADS = 2, MAX_ENTRANTS = 8 };

/* One that takes part. `run` does one unit of work, and tells if it came out as it must. */
struct entrant {
    const char *name;
    int (*run)(void *state);
    void *states[MAX_THREADS]; /* each thread has its own */

    int (*beside)(void *state); /* what goes on meanwhile in a further thread; or NULL */
    void *beside_state;
    double beside_per_second; /* how often at most; 0: without a pause */

    double median, min, max; /* out: ns for a unit, of all threads together */
    double beside_done;      /* out: how often in a second */
};

extern unsigned long flood_tokens;
extern int rounds;
extern double slot_ns;      /* how long each runs in a round */
extern int counts_cpu_time; /* by the threads' own clocks, on a machine that has other work */

/* Each entrant runs once in every round, so that what the machine does hits all alike. */
void measure(struct entrant *entrants, size_t count, int threads);
void end_measuring(void);

/* The median of so many values, which it sorts. */
double median_of(double *values, size_t count);

/* ---- Rows */

enum bound { NO_GOAL, AT_MOST, AT_LEAST };

struct row {
    char name[64];
    const char *alg, *claims; /* or "" */
    int threads;
    double median, min, max, floor; /* ns; 0: there is none */
    double ratio;
    double octets; /* instead of ns */
    enum bound bound;
    double goal;   /* of the ratio, or of the octets */
    int exercised; /* 0: what should have gone on meanwhile did not */
};

/* What was measured of an entrant; with its ratio to the floor, if there is one. */
struct row row_of(const struct entrant *entrant, const char *alg, const char *claims, int threads,
                  const struct entrant *floor);
void add_row(const struct row *row); /* prints it */
int missed_goals(void);
void write_json(const char *path);

/* ---- Who takes part */

/* A library that verifies tokens: signature, exp, nbf, iss and aud. */
struct peer {
    const char *name;
    const char *lacks[3];                                                /* algorithms */
    void *(*prepare)(const char *alg, struct text jwk, struct text key); /* outside the loop */
    int (*accepts)(void *prepared, const char *token, size_t len);
};
extern const struct peer libjwt, cjose, rhonabwy;

/* libcrypto alone, for one token: what a verification costs at the least. */
void *floor_new(const char *alg, struct text key, struct text token);
int floor_run(void *state);

/* ---- The chapters, each of which adds its rows */

size_t bench_algorithms(void); /* how many algorithms */
void bench_repeated(void);     /* tokens that come again */
void bench_mix(void);          /* the same, as a gateway meets them */
void bench_company(void);      /* verifications while something else goes on */
void bench_growth(void);       /* what more issuers, keys and threads cost */

#endif
