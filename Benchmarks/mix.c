/* Tokens as a gateway meets them: some users come often and most seldom, under several policies, and a token that expires
 * is followed by another. With the token cache, and without. */
#include "host.h"

#include <stdlib.h>

enum { POLICIES = 8, USERS = 1024, GENERATIONS = 4, PICKS = 65536, REQUESTS_PER_SECOND = 256 };

static const double most_of_uncached = 0.5;

struct mix {
    jwt_policy *policies[POLICIES];
    struct text *tokens; /* a user's one after the other */
    struct world world;
    struct errand *errand;
    int64_t start, seconds;
    unsigned requests;
};

static unsigned short picks[PICKS];

/* Of so many users the n-th comes 1/n times as often as the first (Zipf). The same in each run. */
static void draw_picks(void)
{
    double sums[USERS], sum = 0;
    uint64_t random = 1;
    for (int user = 0; user < USERS; user++)
        sums[user] = sum += 1.0 / (user + 1);
    for (int i = 0; i < PICKS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        double place = (double)(random >> 11) / 9007199254740992.0 * sum;
        unsigned short user = 0;
        while (user < USERS - 1 && sums[user] < place)
            user++;
        picks[i] = user;
    }
}

static int64_t tell_time(void *mix)
{
    return ((struct mix *)mix)->start + ((struct mix *)mix)->seconds;
}

/* The user's token that is the first not to have expired. */
static struct text current(const struct mix *mix, int64_t user)
{
    int64_t generation = mix->seconds > user ? (mix->seconds - user - 1) / USERS + 1 : 0;
    return mix->tokens[user * GENERATIONS + generation];
}

static int verify_some(void *state)
{
    struct mix *mix = state;
    unsigned request = mix->requests++;
    if (request % REQUESTS_PER_SECOND == 0)
        mix->seconds = (mix->seconds + 1) % ((GENERATIONS - 1) * USERS);
    mix->errand->policy = mix->policies[request % POLICIES];
    mix->errand->token = current(mix, picks[request % PICKS]);
    return run_errand(mix->errand);
}

static void prepare(struct mix *mix, struct text *tokens, int64_t token_cache)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    *mix = (struct mix){ .tokens = tokens, .start = atoll(read_text("churn.start").data) };
    options.token_cache = token_cache;
    options.clock = tell_time;
    options.clock_context = mix;
    mix->world = new_world_with(&options, "RS256", read_text("RS256.jwks"));
    mix->policies[0] = mix->world.policy;
    for (int i = 1; i < POLICIES; i++)
        mix->policies[i] = new_policy(mix->world.cache, &mix->world.issuer, 1, "RS256");
    mix->errand = new_errand(mix->world.policy, tokens[0], JWT_OK);
    for (int i = 0; i < USERS * REQUESTS_PER_SECOND; i++) /* until each token has been followed by another */
        if (!verify_some(mix))
            give_up("a token of the mix is refused");
}

void bench_mix(void)
{
    static struct mix keeping, cold;
    size_t count;
    struct text *tokens = split_lines(read_text("churn.jwt"), &count);
    if (count != USERS * GENERATIONS)
        give_up("churn.jwt has %zu tokens", count);
    draw_picks();
    prepare(&keeping, tokens, 0);
    prepare(&cold, tokens, KEYTURN_OFF);
    struct entrant entrants[] = {
        { .name = "8 policies, no token cache", .run = verify_some, .states = { &cold } },
        { .name = "8 policies, token cache", .run = verify_some, .states = { &keeping } },
    };
    measure(entrants, COUNT(entrants), 1);
    struct row row = row_of(&entrants[0], "RS256", "small", 1, NULL);
    add_row(&row);
    row = row_of(&entrants[1], "RS256", "small", 1, &entrants[0]);
    row.bound = AT_MOST;
    row.goal = most_of_uncached;
    row.exercised = metric(&keeping.world, HITS) > 0;
    add_row(&row);
}
