/* Eight processes on one store, of two builds and with different options, ask a real issuer: how often in all, what becomes
 * of a kid miss in each of them, of one that is stopped while it fetches, and of those that are killed at any moment.
 * test_processes MEMBER OTHER-LIBRARIES [ROUNDS]          all cases side by side, with so many rounds of kills
 * test_processes MEMBER OTHER-LIBRARIES apart | patient   with a flaw: a store for each; or they wait long for one that
 *                                                         stands still. Each must fail */
#include "host.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MEMBERS = 8, FETCH = 10000, LOCK = 15000, LONG = 3600000 };

static const char *program, *other_libraries;
static bool are_apart, are_patient;
static char
    folder[64]; /* of the stores, in memory where that can be: how fast a medium is is another matter */
static int rounds = 50;

/* ---- Members, one process each */

struct member {
    pid_t pid;
    FILE *in, *out; /* the test's ends */
};

struct crowd {
    struct site site; /* for its URL alone */
    char *store;
    int freshness, demand;
    struct member members[MEMBERS];
};

static _Noreturn void become_member(const struct crowd *crowd, unsigned number, int in, int out)
{
    char *store = are_apart ? text("%s/%u", crowd->store, number) : crowd->store;
    char *own = text("%u", number), *freshness = text("%d", crowd->freshness);
    char *lock = text("%d", are_patient ? 6 * LOCK : LOCK), *demand = text("%d", crowd->demand);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (number % 2 == 1)
        setenv("LD_LIBRARY_PATH", other_libraries, 1);
    if (are_apart)
        mkdir(store, 0700);
    dup2(in, 0);
    dup2(out, 1);
    execl(program, program, own, store, crowd->site.url, freshness, lock, demand, (char *)NULL);
    _exit(127);
}

static void tell(struct member *member, const char *verb, const char *argument)
{
    fprintf(member->in, "%s %s\n", verb, argument);
    fflush(member->in);
}

/* The line's end is cut off. NULL: it has died. */
static const char *heard(struct member *member, char *line, size_t size)
{
    if (!fgets(line, (int)size, member->out))
        return NULL;
    line[strcspn(line, "\n")] = 0;
    return line;
}

static void begin_member(struct crowd *crowd, unsigned number)
{
    struct member *member = &crowd->members[number];
    int in[2], out[2];
    char line[4096];
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    member->pid = fork();
    CHECK(member->pid >= 0);
    if (member->pid == 0)
        become_member(crowd, number, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    member->in = fdopen(in[1], "w");
    member->out = fdopen(out[0], "r");
    CHECK(heard(member, line, sizeof line));
    CHECK((strncmp(line, other_libraries, strlen(other_libraries)) == 0) == (number % 2 == 1));
}

/* The status of waitpid. */
static int end_member(struct member *member)
{
    int status = 0;
    fclose(member->in);
    fclose(member->out);
    CHECK(waitpid(member->pid, &status, 0) == member->pid);
    return status;
}

static void begin_crowd(struct crowd *crowd, const char *name, int freshness, int demand)
{
    memset(crowd, 0, sizeof *crowd);
    begin_site(&crowd->site, "FAULTS_HTTP", name);
    crowd->store = text("%s/%s", folder, name);
    CHECK(mkdir(crowd->store, 0700) == 0);
    crowd->freshness = freshness;
    crowd->demand = demand;
    play_key(name, 1, "one", "");
    for (unsigned i = 0; i < MEMBERS; i++)
        begin_member(crowd, i);
}

static void end_crowd(struct crowd *crowd)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        CHECK(end_member(&crowd->members[i]) == 0);
    free(crowd->store);
}

/* ---- What they answer */

static jwt_status status_named(const char *name)
{
    for (int status = 0; status < 1000; status++)
        if (strcmp(jwt_status_name((jwt_status)status), name) == 0)
            return (jwt_status)status;
    return (jwt_status)-1;
}

static jwt_status answer_of(struct member *member)
{
    char line[256];
    const char *name = heard(member, line, sizeof line);
    CHECK(name);
    return status_named(name);
}

static jwt_status order(struct member *member, const char *verb, const char *argument)
{
    tell(member, verb, argument);
    return answer_of(member);
}

/* A token that key `key` has signed under the kid. */
static jwt_status order_kid(struct crowd *crowd, unsigned number, const char *verb, unsigned key,
                            const char *kid)
{
    char *token = token_of(&crowd->site, key, kid);
    jwt_status status = order(&crowd->members[number], verb, token);
    free(token);
    return status;
}

/* Until a token of the kid is accepted there, in how many milliseconds. */
static int64_t served_within(struct crowd *crowd, unsigned number, unsigned key, const char *kid)
{
    int64_t began = now();
    while (order_kid(crowd, number, "wait", key, kid) != JWT_OK)
        CHECK(now() - began < 6 * LOCK);
    return now() - began;
}

static void all_serve(struct crowd *crowd, unsigned key, const char *kid)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        served_within(crowd, i, key, kid);
}

/* ---- One flight for all */

static size_t flights_of(struct member *member)
{
    char line[256];
    tell(member, "flights", "");
    CHECK(heard(member, line, sizeof line));
    return strtoul(line, NULL, 10);
}

/* The most impatient asks at 75 % of its F at the earliest; the others not at all. */
static void each_refresh_is_one_flight(const char *name, const void *argument)
{
    enum { F = 4000, WATCHED = 20000 };
    struct crowd crowd;
    (void)argument;
    begin_crowd(&crowd, name, F, 0);
    int64_t began = now();
    all_serve(&crowd, 1, "one");
    CHECK(asked(name) <= 2);
    while (now() - began < WATCHED) {
        for (unsigned i = 0; i < MEMBERS; i++)
            CHECK_STATUS(order_kid(&crowd, i, "ask", 1, "one"), JWT_OK);
        pause_for(20);
    }
    size_t least = asked(name), flights = 0, most = (size_t)((now() - began) / (F * 3 / 4)) + 2;
    for (unsigned i = 0; i < MEMBERS; i++)
        flights += flights_of(&crowd.members[i]);
    size_t requests = asked(name);
    printf("%zu requests, %zu flights, of at most %zu\n", requests, flights, most);
    CHECK(requests >= 3 && requests <= most);
    CHECK(flights + 1 >= least && flights <= requests); /* one may be under way */
    end_crowd(&crowd);
}

static void a_new_kid_in_each_is_what_the_bucket_has(const char *name, const void *argument)
{
    struct crowd crowd;
    (void)argument;
    begin_crowd(&crowd, name, LONG, 0);
    all_serve(&crowd, 1, "one");
    size_t before = asked(name);
    play_key(name, 2, "two", "");
    char *token = token_of(&crowd.site, 2, "two");
    for (unsigned i = 0; i < MEMBERS; i++)
        tell(&crowd.members[i], "wait", token);
    for (unsigned i = 0; i < MEMBERS; i++)
        CHECK_STATUS(answer_of(&crowd.members[i]), JWT_OK);
    free(token);
    size_t requests = asked(name) - before;
    printf("%zu requests for a new kid in each\n", requests);
    CHECK(requests >= 1 && requests <= 2);
    end_crowd(&crowd);
}

static void unknown_kids_in_each_are_what_the_bucket_has(const char *name, const void *argument)
{
    struct crowd crowd;
    (void)argument;
    begin_crowd(&crowd, name, LONG, 0);
    all_serve(&crowd, 1, "one");
    size_t before = asked(name);
    int64_t began = now();
    for (int turn = 0; turn < 20; turn++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            char *kid = text("unknown-%d-%u", turn, i), *token = token_of(&crowd.site, 2, kid);
            tell(&crowd.members[i], "wait", token);
            free(kid);
            free(token);
        }
        for (unsigned i = 0; i < MEMBERS; i++)
            CHECK_STATUS(answer_of(&crowd.members[i]), JWT_KEY_NOT_FOUND);
        for (unsigned i = 0; i < MEMBERS; i++)
            CHECK_STATUS(order_kid(&crowd, i, "ask", 1, "one"), JWT_OK);
    }
    size_t requests = asked(name) - before;
    printf("%zu requests for %d unknown kids\n", requests, 20 * MEMBERS);
    CHECK(requests >= 1 && requests <= 2 + (size_t)(now() - began) / 30000);
    end_crowd(&crowd);
}

/* ---- One that is stopped while it fetches */

static void stop(struct member *member)
{
    int status;
    CHECK(kill(member->pid, SIGSTOP) == 0);
    CHECK(waitpid(member->pid, &status, WUNTRACED) == member->pid && WIFSTOPPED(status));
}

/* Each serves one of the two keys at any time, and holds a token of the other no longer than a fetch may take. */
static bool all_others_serve_two(struct crowd *crowd)
{
    bool do_all = true;
    int64_t began = now();
    char *token = token_of(&crowd->site, 2, "two");
    for (unsigned i = 1; i < MEMBERS; i++)
        if (order_kid(crowd, i, "ask", 1, "one") != JWT_OK)
            CHECK_STATUS(order_kid(crowd, i, "ask", 2, "two"), JWT_OK);
    for (unsigned i = 1; i < MEMBERS; i++)
        tell(&crowd->members[i], "wait", token);
    for (unsigned i = 1; i < MEMBERS; i++) {
        jwt_status status = answer_of(&crowd->members[i]);
        CHECK(status == JWT_OK || status == JWKS_KEYS_UNAVAILABLE || status == JWT_KEY_NOT_FOUND);
        do_all &= status == JWT_OK;
    }
    CHECK(now() - began < 2 * FETCH);
    free(token);
    return do_all;
}

static void one_that_is_stopped_holds_back_for_the_lock_timeout(const char *name, const void *argument)
{
    struct crowd crowd;
    (void)argument;
    begin_crowd(&crowd, name, LONG, 0);
    all_serve(&crowd, 1, "one");
    size_t before = asked(name);
    char *one = act_of_key(1, "one", ""), *held = text("held %s", one), *released = text("/release/%s", name);
    play(name, held, NULL);
    CHECK_STATUS(order(&crowd.members[0], "refresh", ""), JWT_OK);
    CHECK(await_asked(name, before + 1));
    stop(&crowd.members[0]);
    int64_t stopped = now();
    free(ask_server(released)); /* the old set is on its way to it */
    play_key(name, 2, "two", "");

    while (!all_others_serve_two(&crowd))
        CHECK(now() - stopped < LOCK + 2 * FETCH);
    printf("past one that was stopped after %lld ms\n", (long long)(now() - stopped));

    /* It comes back with what is old, and sets nobody back. */
    CHECK(kill(crowd.members[0].pid, SIGCONT) == 0);
    served_within(&crowd, 0, 2, "two");
    for (int64_t end = now() + 3000; now() < end; pause_for(100))
        for (unsigned i = 0; i < MEMBERS; i++) {
            CHECK_STATUS(order_kid(&crowd, i, "ask", 2, "two"), JWT_OK);
            CHECK(order_kid(&crowd, i, "ask", 1, "one") != JWT_OK);
        }
    CHECK(asked(name) <= before + 4);
    free(one);
    free(held);
    free(released);
    end_crowd(&crowd);
}

/* ---- Killed at any moment */

/* A token by the key of one round, with the jti that was revoked in another. */
static jwt_status order_jti(struct crowd *crowd, unsigned number, int round, int revoked)
{
    char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"kid-%d\"}", round);
    char *claims = text("{\"iss\":\"%s\"," AUD "," EXP ",\"jti\":\"jti-%d\"}", crowd->site.issuer, revoked);
    char *token = mint((unsigned)round % 16, header, claims);
    jwt_status status = order(&crowd->members[number], "ask", token);
    free(header);
    free(claims);
    free(token);
    return status;
}

static jwt_status order_round(struct crowd *crowd, unsigned number, const char *verb, int round)
{
    char *kid = text("kid-%d", round);
    jwt_status status = order_kid(crowd, number, verb, (unsigned)round % 16, kid);
    free(kid);
    return status;
}

static void publish_round(const char *name, int round)
{
    char *kid = text("kid-%d", round);
    play_key(name, (unsigned)round % 16, kid, "");
    free(kid);
}

/* A killed one; whether it had answered before it died. */
static bool had_answered(struct member *member)
{
    char line[256];
    bool has_answered = heard(member, line, sizeof line) && strcmp(line, "JWT_OK") == 0;
    int status = end_member(member);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return has_answered;
}

/* Two of the others have the new set, so that it is in the store: in how many milliseconds the later had it. */
static int64_t accepted_by_two(struct crowd *crowd, unsigned after, int round)
{
    char *kid = text("kid-%d", round);
    publish_round(crowd->site.name, round);
    int64_t first = served_within(crowd, (after + 1) % MEMBERS, (unsigned)round % 16, kid);
    int64_t second = served_within(crowd, (after + 2) % MEMBERS, (unsigned)round % 16, kid);
    free(kid);
    return first > second ? first : second;
}

/* One fetches the next set, and another revokes; both are killed. Whether the revocation had been answered. */
static bool killed_at_work(struct crowd *crowd, unsigned fetching, unsigned revoking, int round, long moment)
{
    struct member *first = &crowd->members[fetching], *second = &crowd->members[revoking];
    char *jti = text("jti-%d", round);
    publish_round(crowd->site.name, round + 1);
    tell(first, "refresh", "");
    tell(second, "revoke", jti);
    struct timespec pause = { .tv_nsec = moment };
    nanosleep(&pause, NULL);
    CHECK(kill(first->pid, SIGKILL) == 0 && kill(second->pid, SIGKILL) == 0);
    had_answered(first);
    free(jti);
    return had_answered(second);
}

/* Two of the sets may be in force: the killed one's flight is made by another. */
static bool obeys(struct crowd *crowd, unsigned number, int round, int revoked)
{
    return order_jti(crowd, number, round, revoked) == JWT_REVOKED ||
           order_jti(crowd, number, round + 1, revoked) == JWT_REVOKED;
}

/* The issuer is down when the next come: they serve the last set at once, or the one that was fetched as the kill came. */
static int served_after(struct crowd *crowd, unsigned number, int round)
{
    begin_member(crowd, number);
    if (order_round(crowd, number, "ask", round + 1) == JWT_OK)
        return round + 1;
    CHECK_STATUS(order_round(crowd, number, "ask", round), JWT_OK);
    return round;
}

static void nothing_is_lost_when_processes_are_killed(const char *name, const void *argument)
{
    struct crowd crowd;
    int64_t longest = 0;
    long unit = 200000; /* nanoseconds; longer while the machine is too busy for anything to be fetched */
    int revoked = 0, advanced = 0;
    bool *is_revoked = calloc((size_t)rounds, sizeof *is_revoked);
    (void)argument;
    begin_crowd(&crowd, name, LONG, 100);
    all_serve(&crowd, 1, "one");
    for (int round = 0; round < rounds; round++) {
        unsigned fetching = (unsigned)round % MEMBERS, revoking = (fetching + 3) % MEMBERS;
        int64_t took = accepted_by_two(&crowd, fetching, round);
        longest = took > longest ? took : longest;
        is_revoked[round] = killed_at_work(&crowd, fetching, revoking, round, unit * (round * 7919 % 97));
        revoked += is_revoked[round];
        play(name, "answer 503 Trouble\n\n", NULL);
        int served = served_after(&crowd, fetching, round);
        CHECK(served_after(&crowd, revoking, round) >= served);
        advanced += served > round;
        unit = served > round ? 200000 : unit < 5000000 ? unit + unit / 4 : unit;
        for (int past = round + 1 == rounds ? 0 : round; past <= round; past++)
            CHECK(!is_revoked[past] || obeys(&crowd, fetching, round, past));
    }
    printf("%d kills; %d had fetched by then, and %d revoked; nobody waited for longer than %lld ms\n",
           2 * rounds, advanced, revoked, (long long)longest);
    CHECK(longest <= LOCK);
    CHECK(advanced > 0 && advanced < rounds);
    CHECK(revoked > 0); /* where the kill comes first is for Tests/ABI/test_durable.c */
    free(is_revoked);
    end_crowd(&crowd);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    program = argv[1];
    other_libraries = argv[2];
    const char *said = argc > 3 ? argv[3] : "50";
    are_apart = strcmp(said, "apart") == 0;
    are_patient = strcmp(said, "patient") == 0;
    rounds = atoi(said) > 0 ? atoi(said) : rounds;
    signal(SIGPIPE, SIG_IGN);
    snprintf(folder, sizeof folder, "%s/keyturn-processes-XXXXXX",
             access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    if (!are_patient) {
        begin_case("refreshes", each_refresh_is_one_flight, NULL);
        begin_case("new-kid", a_new_kid_in_each_is_what_the_bucket_has, NULL);
        begin_case("unknown-kids", unknown_kids_in_each_are_what_the_bucket_has, NULL);
        begin_case("killed", nothing_is_lost_when_processes_are_killed, NULL);
    }
    if (!are_apart)
        begin_case("stopped", one_that_is_stopped_holds_back_for_the_lock_timeout, NULL);
    int failed = end_cases();
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return failed ? 1 : 0;
}
