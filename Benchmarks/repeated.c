/* Tokens that come again and again, with the token cache on: what a verification costs then, and what a flood of tokens
 * that never come again does to those that do. */
#include "host.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double most_of_floor = 0.01; /* times the floor of RS256, for 1,024 tokens by turns */
static const double least_scaling = 1.90;
static const double least_hits = 0.90;

/* ---- Hot tokens by turns */

static struct turns *new_turns(const jwt_policy *policy, struct text *tokens, size_t count, size_t first)
{
    struct turns *turns = malloc(sizeof *turns);
    *turns = (struct turns){ new_errand(policy, tokens[0], JWT_OK), tokens, count, first };
    return turns;
}

/* Verified until each is known. */
static void warm_up(const struct world *world, struct turns *turns)
{
    double before;
    for (int round = 0; round < 20; round++) {
        before = metric(world, HITS);
        for (size_t i = 0; i < turns->count; i++)
            if (!verify_next(turns))
                give_up("a hot token is refused");
    }
    if (metric(world, HITS) - before < (double)turns->count)
        give_up("not all hot tokens are known");
}

static void add_hot_row(const struct entrant *entrant, int threads, const struct entrant *floor,
                        double at_most)
{
    struct row row = row_of(entrant, "RS256", "small", threads, floor);
    row.bound = at_most > 0 ? AT_MOST : NO_GOAL;
    row.goal = at_most;
    add_row(&row);
}

static void add_scaling_row(const struct entrant *entrant, double of_one)
{
    struct row row = row_of(entrant, "RS256", "small", 2, NULL);
    snprintf(row.name, sizeof row.name, "%s, 2 for 1", entrant->name);
    row.ratio = of_one / entrant->median;
    row.bound = AT_LEAST;
    row.goal = least_scaling;
    add_row(&row);
}

static void bench_hot(void)
{
    size_t count;
    struct text *tokens = split_lines(read_text("hot.jwt"), &count), key = read_text("RS256.key");
    struct world world = new_keeping_world("RS256", read_text("RS256.jwks"));
    struct entrant entrants[] = { { .name = "libcrypto's floor", .run = floor_run },
                                  { .name = "1 repeated token", .run = verify_next },
                                  { .name = "1,024 repeated tokens", .run = verify_next } };
    double of_one[COUNT(entrants)];
    for (int i = 0; i < MAX_THREADS; i++) {
        entrants[0].states[i] = floor_new("RS256", key, tokens[0]);
        entrants[1].states[i] = new_turns(world.policy, tokens, 1, 0);
        entrants[2].states[i] = new_turns(world.policy, tokens, count, (size_t)i * count / 2);
    }
    warm_up(&world, entrants[2].states[0]);
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        measure(entrants, COUNT(entrants), threads);
        add_hot_row(&entrants[1], threads, &entrants[0], 0);
        add_hot_row(&entrants[2], threads, &entrants[0], threads == 1 ? most_of_floor : 0);
        for (size_t i = 1; i < COUNT(entrants); i++) {
            if (threads == 2)
                add_scaling_row(&entrants[i], of_one[i]);
            of_one[i] = entrants[i].median;
        }
    }
    end_world(&world);
}

/* ---- A flood of valid tokens that never come again, beside 1,000 that do. HS256, which is soonest signed */

struct mint {
    struct text secret;
    char text[1024];
    size_t header_len;
};

static size_t encode(const unsigned char *octets, size_t len, char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t count = 0;
    for (size_t bit = 0; bit < len * 8; bit += 6) {
        unsigned pair = octets[bit / 8] << 8 | (bit / 8 + 1 < len ? octets[bit / 8 + 1] : 0);
        out[count++] = letters[pair >> (10 - bit % 8) & 63];
    }
    return count;
}

static struct text mint(struct mint *mint, unsigned long number)
{
    char claims[256];
    unsigned char mac[32];
    size_t len = mint->header_len;
    int claims_len = snprintf(
        claims, sizeof claims,
        "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"exp\":4102444800,\"jti\":\"%lu\"}", number);
    mint->text[len++] = '.';
    len += encode((unsigned char *)claims, (size_t)claims_len, mint->text + len);
    HMAC(EVP_sha256(), mint->secret.data, (int)mint->secret.len, (unsigned char *)mint->text, len, mac, NULL);
    mint->text[len++] = '.';
    len += encode(mac, sizeof mac, mint->text + len);
    return (struct text){ mint->text, len };
}

static void verify_minted(struct mint *mints, struct errand *errand, unsigned long number)
{
    errand->token = mint(mints, number);
    if (!run_errand(errand))
        give_up("a token of the flood is refused");
}

/* Ten tokens of the flood for each hot one. */
static void bench_flood(void)
{
    enum { HOT = 1000, FLOOD_FOR_ONE = 10 };
    static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"k-HS256\"}";
    struct world world = new_keeping_world("HS256", read_text("HS256.jwks"));
    struct mint mints = { .secret = read_text("HS256.key") };
    struct errand *errand = new_errand(world.policy, (struct text){ NULL, 0 }, JWT_OK);
    unsigned long flood = 0, asked = 0;
    mints.header_len = encode((const unsigned char *)header, strlen(header), mints.text);
    for (int round = 0; round < 20; round++)
        for (unsigned long hot = 0; hot < HOT; hot++)
            verify_minted(&mints, errand, hot);
    double before = metric(&world, HITS);
    while (flood < flood_tokens) {
        verify_minted(&mints, errand, asked++ % HOT);
        for (int i = 0; i < FLOOD_FOR_ONE; i++)
            verify_minted(&mints, errand, HOT + flood++);
    }
    struct row row = { .alg = "HS256", .claims = "", .threads = 1, .bound = AT_LEAST, .goal = least_hits };
    snprintf(row.name, sizeof row.name, "hits of 1,000 in a flood");
    row.ratio = (metric(&world, HITS) - before) / (double)asked;
    row.exercised = flood == flood_tokens;
    add_row(&row);
    struct row room = { .alg = "HS256", .claims = "", .threads = 1, .bound = AT_MOST, .exercised = 1 };
    snprintf(room.name, sizeof room.name, "used by the token cache");
    room.octets = metric(&world, "keyturn_token_cache_used_bytes");
    room.goal = metric(&world, "keyturn_token_cache_limit_bytes");
    add_row(&room);
    end_world(&world);
}

void bench_repeated(void)
{
    bench_hot();
    bench_flood();
}
