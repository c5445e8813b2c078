#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROUNDS = 255 };

int rounds = 31, counts_cpu_time;
double slot_ns = 10e6;

/* ---- The threads, which stay, because a library may keep something for each. All of them meet before and after
 * each slot. */

static struct {
    struct entrant *entrant;
    int threads;
    long units;
    double ns[MAX_THREADS];
    double beside_ns;
    long beside_count;
} slot;
static atomic_int running, wrong;
static int ended;
static pthread_barrier_t begin, end;
static pthread_t threads[MAX_THREADS + 1];

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Each on a processor of its own, as far as there are any; what goes on beside them on the last. */
static void pin(int number)
{
    cpu_set_t set;
    long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    CPU_ZERO(&set);
    CPU_SET((size_t)(number < MAX_THREADS && number < last ? number : last), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void run_units(int number)
{
    clockid_t clock = counts_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    int (*run)(void *) = slot.entrant->run;
    void *state = slot.entrant->states[number];
    int right = 1;
    double start = now(clock);
    for (long i = 0; i < slot.units; i++)
        right &= run(state);
    slot.ns[number] = now(clock) - start;
    if (!right)
        wrong = 1;
    atomic_fetch_sub(&running, 1);
}

static void pause_until(double time)
{
    struct timespec until = { (time_t)(time / 1e9), (long)(time - (double)(long)(time / 1e9) * 1e9) };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void run_beside(void)
{
    struct entrant *entrant = slot.entrant;
    double start = now(CLOCK_MONOTONIC);
    long count = 0;
    while (running > 0) {
        if (!entrant->beside(entrant->beside_state))
            wrong = 1;
        count++;
        if (entrant->beside_per_second > 0)
            pause_until(start + (double)count * 1e9 / entrant->beside_per_second);
    }
    slot.beside_ns = now(CLOCK_MONOTONIC) - start;
    slot.beside_count = count;
}

static void *work(void *argument)
{
    int number = (int)(intptr_t)argument;
    pin(number);
    for (;;) {
        pthread_barrier_wait(&begin);
        if (ended)
            return NULL;
        if (number < slot.threads)
            run_units(number);
        else if (number == MAX_THREADS && slot.entrant->beside)
            run_beside();
        pthread_barrier_wait(&end);
    }
}

static void start_threads(void)
{
    pthread_barrier_init(&begin, NULL, MAX_THREADS + 2);
    pthread_barrier_init(&end, NULL, MAX_THREADS + 2);
    for (int i = 0; i <= MAX_THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) != 0)
            give_up("no thread could be made");
}

void end_measuring(void)
{
    ended = 1;
    pthread_barrier_wait(&begin);
    for (int i = 0; i <= MAX_THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- Slots and rounds */

/* ns for a unit, of all threads together. */
static double run_slot(struct entrant *entrant, int with_threads, long units)
{
    double per_ns = 0;
    slot.entrant = entrant;
    slot.threads = running = with_threads;
    slot.units = units;
    pthread_barrier_wait(&begin);
    pthread_barrier_wait(&end);
    if (wrong)
        give_up("%s: not what it should have come to", entrant->name);
    for (int i = 0; i < with_threads; i++)
        per_ns += (double)units / slot.ns[i];
    return 1 / per_ns;
}

/* How many units fill a slot. The first ones are cold. */
static long units_of_slot(struct entrant *entrant, int with_threads)
{
    long units = 4;
    run_slot(entrant, with_threads, units);
    for (int i = 0; i < 2; i++)
        units = 1 + (long)(slot_ns / (i ? 1 : 8) / run_slot(entrant, with_threads, units) / with_threads);
    return units;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double median_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

void measure(struct entrant *entrants, size_t count, int with_threads)
{
    static double ns[MAX_ENTRANTS][MAX_ROUNDS];
    long units[MAX_ENTRANTS];
    double beside_ns[MAX_ENTRANTS] = { 0 }, beside_count[MAX_ENTRANTS] = { 0 };
    if (!threads[0])
        start_threads();
    for (size_t i = 0; i < count; i++)
        units[i] = units_of_slot(&entrants[i], with_threads);
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++) {
            ns[i][round] = run_slot(&entrants[i], with_threads, units[i]);
            beside_ns[i] += slot.beside_ns;
            beside_count[i] += (double)slot.beside_count;
        }
    for (size_t i = 0; i < count; i++) {
        entrants[i].median = median_of(ns[i], (size_t)rounds);
        entrants[i].min = ns[i][0];
        entrants[i].max = ns[i][rounds - 1];
        entrants[i].beside_done = entrants[i].beside ? beside_count[i] / beside_ns[i] * 1e9 : 0;
    }
}
