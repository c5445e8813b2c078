/* For each algorithm, claims of two sizes and one and two threads: libcrypto's floor, Keyturn, and the peers. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct algorithm {
    const char *name, *alg;
    double at_most, at_most_large;       /* times the floor; 0: what counts are the peers */
    double peers_at_least;               /* times Keyturn */
    double with_table, with_table_large; /* times the floor; 0: it has none */
} algorithms[] = {
    { "RS256", "RS256", 1.10, 1.20, 1, 0, 0 },       { "RS256-4096", "RS256", 1.10, 1.20, 1, 0, 0 },
    { "PS256", "PS256", 1.10, 1.20, 1, 0, 0 },       { "ES256", "ES256", 1.05, 1.10, 1, 0.60, 0.60 },
    { "ES384", "ES384", 1.05, 1.10, 1, 1.00, 1.00 }, { "ES512", "ES512", 1.05, 1.10, 1, 1.00, 1.00 },
    { "EdDSA", "EdDSA", 1.05, 1.10, 1, 0, 0 },       { "HS256", "HS256", 0, 0, 4.5, 0, 0 },
};

static const char with_table[] = "Keyturn, with a table";

static const struct peer *const peers[] = { &libjwt, &cjose, &rhonabwy };
static const double least_scaling = 1.95;

/* ---- Equal verdicts */

static int lacks(const struct peer *peer, const char *alg)
{
    for (size_t i = 0; i < COUNT(peer->lacks) && peer->lacks[i]; i++)
        if (strcmp(peer->lacks[i], alg) == 0)
            return 1;
    return 0;
}

static void must_accept(const char *who, const char *what, int accepted, int wanted)
{
    if (accepted != wanted)
        give_up("%s %s %s", who, accepted ? "accepts" : "refuses", what);
}

static int keyturn_accepts(const jwt_policy *policy, struct text token)
{
    struct errand *errand = new_errand(policy, token, JWT_OK);
    int accepted = run_errand(errand);
    keyturn.jwt_result_release(errand->result);
    free(errand);
    return accepted;
}

/* All give the same verdict of each token, so that they do the same work. */
static void compare_verdicts(const struct algorithm *algorithm, const struct world *world,
                             void *const *prepared)
{
    static const char *const names[] = { "small",        "large",          "expired",
                                         "other-issuer", "other-audience", "forged" };
    for (size_t i = 0; i < COUNT(names); i++) {
        int is_forged = strcmp(names[i], "forged") == 0, wanted = i < 2;
        struct text token = read_text("%s.%s.jwt", algorithm->name, is_forged ? "small" : names[i]);
        if (is_forged)
            token = forged(token);
        must_accept("Keyturn", names[i], keyturn_accepts(world->policy, token), wanted);
        for (size_t p = 0; p < COUNT(peers); p++)
            if (prepared[p])
                must_accept(peers[p]->name, names[i],
                            peers[p]->accepts(prepared[p], token.data, token.len) != 0, wanted);
    }
}

static void check_floor(const struct algorithm *algorithm, struct text key)
{
    struct text token = read_text("%s.small.jwt", algorithm->name);
    must_accept("the floor", "small", floor_run(floor_new(algorithm->alg, key, token)), 1);
    must_accept("the floor", "forged", floor_run(floor_new(algorithm->alg, key, forged(token))), 0);
}

/* ---- Rows */

struct peer_errand {
    const struct peer *peer;
    void *prepared;
    struct text token;
};

static int run_peer(void *state)
{
    struct peer_errand *errand = state;
    return errand->peer->accepts(errand->prepared, errand->token.data, errand->token.len);
}

static struct entrant peer_entrant(const struct peer *peer, const struct algorithm *algorithm,
                                   struct text token)
{
    struct entrant entrant = { .name = peer->name, .run = run_peer };
    struct text jwk = read_text("%s.jwk", algorithm->name), key = read_text("%s.key", algorithm->name);
    for (int i = 0; i < MAX_THREADS; i++) {
        struct peer_errand *errand = malloc(sizeof *errand);
        *errand = (struct peer_errand){ peer, peer->prepare(algorithm->alg, jwk, key), token };
        entrant.states[i] = errand;
    }
    return entrant;
}

/* The first is the floor, the second Keyturn, perhaps with a table once more, and then come the peers, which are to be slower
 * than Keyturn as it verifies by a key in use: with a table where there is one. */
static void add_rows(const struct entrant *entrants, size_t count, const struct algorithm *algorithm,
                     const char *claims, int threads)
{
    int is_large = strcmp(claims, "large") == 0;
    const struct entrant *best = entrants[2].name == with_table ? &entrants[2] : &entrants[1];
    double most = is_large ? algorithm->at_most_large : algorithm->at_most;
    for (size_t i = 0; i < count; i++) {
        struct row row = row_of(&entrants[i], algorithm->name, claims, threads, &entrants[0]);
        if (i == 1 && most > 0) {
            row.bound = AT_MOST;
            row.goal = most;
        } else if (entrants[i].name == with_table) {
            row.bound = AT_MOST;
            row.goal = is_large ? algorithm->with_table_large : algorithm->with_table;
        } else if (i > 1) {
            row.bound = AT_LEAST;
            row.goal = algorithm->peers_at_least * best->median / entrants[0].median;
        }
        add_row(&row);
    }
}

static void add_scaling(const struct entrant *entrants, const double *of_one,
                        const struct algorithm *algorithm, const char *claims)
{
    for (size_t i = 0; i < 2; i++) {
        struct row row = row_of(&entrants[i], algorithm->name, claims, 2, &entrants[0]);
        snprintf(row.name, sizeof row.name, "%s, 2 threads for 1", entrants[i].name);
        row.ratio = of_one[i] / entrants[i].median;
        if (i == 1) {
            row.bound = AT_LEAST;
            row.goal = least_scaling;
        }
        add_row(&row);
    }
}

static void bench_size(const struct algorithm *algorithm, const struct world *world,
                       const struct world *table, const char *claims)
{
    struct text key = read_text("%s.key", algorithm->name);
    struct text token = read_text("%s.%s.jwt", algorithm->name, claims);
    struct entrant entrants[MAX_ENTRANTS] = { { .name = "libcrypto's floor", .run = floor_run },
                                              { .name = "Keyturn", .run = run_errand } };
    double of_one[2];
    size_t count = 2;
    for (int i = 0; i < MAX_THREADS; i++) {
        entrants[0].states[i] = floor_new(algorithm->alg, key, token);
        entrants[1].states[i] = new_errand(world->policy, token, JWT_OK);
    }
    if (table->policy) {
        entrants[count] = (struct entrant){ .name = with_table, .run = run_errand };
        for (int i = 0; i < MAX_THREADS; i++)
            entrants[count].states[i] = new_errand(table->policy, token, JWT_OK);
        count++;
    }
    for (size_t i = 0; i < COUNT(peers); i++)
        if (!lacks(peers[i], algorithm->alg))
            entrants[count++] = peer_entrant(peers[i], algorithm, token);
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        measure(entrants, count, threads);
        add_rows(entrants, count, algorithm, claims, threads);
        if (threads > 1)
            add_scaling(entrants, of_one, algorithm, claims);
        for (size_t i = 0; i < 2; i++)
            of_one[i] = entrants[i].median;
    }
}

size_t bench_algorithms(void)
{
    size_t measured = 0;
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        const struct algorithm *algorithm = &algorithms[i];
        if (only && strcmp(only, algorithm->name) != 0)
            continue;
        measured++;
        struct world world = new_world(algorithm->alg, read_text("%s.jwks", algorithm->name));
        struct text jwk = read_text("%s.jwk", algorithm->name), key = read_text("%s.key", algorithm->name);
        void *prepared[COUNT(peers)];
        for (size_t p = 0; p < COUNT(peers); p++)
            prepared[p] =
                lacks(peers[p], algorithm->alg) ? NULL : peers[p]->prepare(algorithm->alg, jwk, key);
        struct world table = { NULL, NULL, NULL };
        if (algorithm->with_table > 0)
            table = new_world_with_table(algorithm->alg, read_text("%s.jwks", algorithm->name),
                                         read_text("%s.small.jwt", algorithm->name));
        compare_verdicts(algorithm, &world, prepared);
        if (table.policy)
            compare_verdicts(algorithm, &table, prepared);
        check_floor(algorithm, key);
        bench_size(algorithm, &world, &table, "small");
        bench_size(algorithm, &world, &table, "large");
        end_world(&table);
        end_world(&world);
    }
    return measured;
}
