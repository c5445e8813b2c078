/* Live rotation under load, over real HTTP: four threads verify at full speed, of two issuers, while keys change and
 * 100,000 random kids come.
 * load [start]             driven as host.h says
 * load impatient | eager   with a flaw: a host that does not wait, or a bucket that is too full; each must fail */
#include "host.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { READERS = 4, ISSUERS = 2, SIGNERS = 2, FLOOD = 100000, MINUTE = 60000, PROMISE = 35000 };

static const char *const names[ISSUERS] = { "east", "west" };
static struct site sites[ISSUERS];
static bool is_impatient, is_eager;

/* ---- Readers, each with the tokens that the signers of each issuer make now */

/* NULL: nothing is signed. */
static _Atomic(const char *) signed_now[ISSUERS][SIGNERS];
static atomic_bool is_over;
static atomic_size_t accepted[ISSUERS], pended[ISSUERS], refused[ISSUERS], rounds[READERS];

/* As a host with threads does: it waits for the fetch that a pending token is worth. */
static jwt_status verify_patiently(int issuer, const char *token, jwt_result *result)
{
    jwt_status status = jwt_verify(sites[issuer].policy, token, strlen(token), result);
    if (status != JWKS_PENDING)
        return status;
    pended[issuer]++;
    return is_impatient ? status : jwt_verify_wait(sites[issuer].policy, token, strlen(token), 0, result);
}

static void *read_on(void *context)
{
    size_t reader = (size_t)context;
    jwt_result *result = NULL;
    if (jwt_result_new(&result) != JWT_OK)
        abort();
    while (!is_over) {
        for (int i = 0; i < ISSUERS * SIGNERS; i++) {
            _Atomic(const char *) *place = &signed_now[i % ISSUERS][i / ISSUERS];
            const char *token = *place;
            if (!token)
                continue;
            if (verify_patiently(i % ISSUERS, token, result) == JWT_OK)
                accepted[i % ISSUERS]++;
            else if (token == *place) /* one that was replaced meanwhile may be refused from the switch on */
                refused[i % ISSUERS]++;
        }
        rounds[reader]++;
    }
    jwt_result_release(result);
    return NULL;
}

/* With patience: at full speed threads take the processor from each other. */
static bool reaches(atomic_size_t *count, size_t least)
{
    int64_t latest = now() + 180000;
    while (*count < least && now() < latest)
        pause_for(1);
    return *count >= least;
}
#define await(count, least) CHECK(reaches(count, least))

/* Until no reader holds a token that was replaced before. */
static void let_readers_go_on(void)
{
    for (int i = 0; i < READERS; i++)
        await(&rounds[i], rounds[i] + 2);
}

static void let_readers_verify(size_t more)
{
    for (int i = 0; i < ISSUERS; i++)
        await(&accepted[i], accepted[i] + more);
}

/* ---- Signers. Key n of an issuer has the kid "n"; its tokens are kept to the end. */

static const char *token_by(int issuer, unsigned key)
{
    static const char *tokens[ISSUERS][16];
    if (!tokens[issuer][key]) {
        char *kid = text("%u", key);
        tokens[issuer][key] = token_of(&sites[issuer], key, kid);
        free(kid);
    }
    return tokens[issuer][key];
}

static void sign_with(int issuer, unsigned first, unsigned second)
{
    signed_now[issuer][0] = first ? token_by(issuer, first) : NULL;
    signed_now[issuer][1] = second ? token_by(issuer, second) : NULL;
}

/* 0: no second. */
static void publish(int issuer, unsigned first, unsigned second)
{
    char *kids[] = { text("%u", first), text("%u", second) };
    char *one = jwk(first, kids[0]), *two = jwk(second, kids[1]);
    char *act = text("answer 200 OK\n\n{\"keys\":[%s%s%s]}", one, second ? "," : "", second ? two : "");
    play(names[issuer], act, NULL);
    free(kids[0]);
    free(kids[1]);
    free(one);
    free(two);
    free(act);
}

static jwt_status ask_key(int issuer, unsigned key)
{
    const char *token = token_by(issuer, key);
    return jwt_verify(sites[issuer].policy, token, strlen(token), sites[issuer].result);
}

static bool is_gone(int issuer, unsigned key)
{
    jwt_status status = ask_key(issuer, key);
    return status == JWT_KEY_NOT_FOUND || status == JWKS_PENDING;
}

/* An operator asks, and the keys are there. */
static void refresh_to(int issuer, const char *keys)
{
    int64_t latest = now() + 30000;
    char *found = NULL;
    CHECK_STATUS(jwks_issuer_refresh(sites[issuer].handle), JWT_OK);
    do {
        free(found);
        pause_for(5);
        found = keys_of(&sites[issuer]);
    } while (strcmp(found, keys) != 0 && now() < latest);
    free(found);
    CHECK_KEYS(&sites[issuer], keys);
}

/* ---- The rotations */

static void keys_published_ahead_refuse_nobody(void)
{
    for (int i = 0; i < ISSUERS; i++) {
        publish(i, 1, 2);
        refresh_to(i, "1:0 2:0");
        sign_with(i, 2, 2);
    }
    let_readers_go_on();
    for (int i = 0; i < ISSUERS; i++) {
        publish(i, 2, 0);
        refresh_to(i, "2:0");
    }
    let_readers_verify(1000);
    for (int i = 0; i < ISSUERS; i++) {
        CHECK(refused[i] == 0);
        CHECK(pended[i] == 0);
    }
}

static void two_new_kids_at_once_refuse_nobody(void)
{
    for (int i = 0; i < ISSUERS; i++) {
        size_t before = asked(names[i]);
        publish(i, 3, 4);
        sign_with(i, 3, 4);
        CHECK(await_asked(names[i], before + 1)); /* it is the readers that find them */
        let_readers_go_on();
        CHECK_STATUS(ask_key(i, 3), JWT_OK);
        CHECK_STATUS(ask_key(i, 4), JWT_OK);
        CHECK(is_gone(i, 2));
        /* Its kid is unknown now, and worth a fetch, which is to be over before others are counted. */
        CHECK_STATUS(ask_until_not(&sites[i], 2, "2", JWKS_PENDING), JWT_KEY_NOT_FOUND);
    }
    let_readers_verify(1000);
    for (int i = 0; i < ISSUERS; i++)
        CHECK(refused[i] == 0);
}

/* ---- The flood, of tokens for the first issuer */

static atomic_size_t flooded, surprises;
static atomic_llong flooded_by; /* when all had come */

/* Signed by nobody, which is never found out. */
static char *token_of_random_kid(size_t number)
{
    char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"random-%zu\"}", number);
    char *claims = text("{\"iss\":\"%s\"," AUD "," EXP "}", sites[0].issuer);
    char *first = base64url(header, strlen(header)), *second = base64url(claims, strlen(claims));
    char signature[87] = { 0 };
    memset(signature, 'A', 86);
    char *token = text("%s.%s.%s", first, second, signature);
    free(header);
    free(claims);
    free(first);
    free(second);
    return token;
}

/* 5,000 a second, where the machine can: until all have come, and then on until it is over. */
static void *flood(void *context)
{
    jwt_result *result = NULL;
    int64_t began = now();
    (void)context;
    if (jwt_result_new(&result) != JWT_OK)
        abort();
    while (!is_over) {
        char *token = token_of_random_kid(flooded);
        jwt_status status = jwt_verify(sites[0].policy, token, strlen(token), result);
        surprises += status != JWT_KEY_NOT_FOUND && status != JWKS_PENDING;
        free(token);
        if (++flooded == FLOOD)
            flooded_by = now();
        if (flooded % 50 == 0 && now() - began < (int64_t)flooded / 5)
            pause_for((int64_t)flooded / 5 - (now() - began));
    }
    jwt_result_release(result);
    return NULL;
}

/* The most requests within any minute from then on. */
static size_t most_in_a_minute(const char *stage, int64_t since)
{
    static int64_t times[4096];
    size_t count = asked_at(stage, times, COUNT(times), NULL), most = 0;
    CHECK(count <= COUNT(times));
    for (size_t i = 0; i < count; i++)
        for (size_t j = i; times[i] >= since && j < count && times[j] < times[i] + MINUTE; j++)
            most = j - i + 1 > most ? j - i + 1 : most;
    return most;
}

/* How long a new key of the first issuer takes; the old one serves until then. */
static int64_t switched_within(unsigned old, unsigned new)
{
    int64_t began = now();
    publish(0, new, 0);
    for (;;) {
        jwt_status before = ask_key(0, old), after = ask_key(0, new);
        if (after == JWT_OK)
            return now() - began;
        CHECK_STATUS(before, JWT_OK);
        CHECK(after == JWKS_PENDING || after == JWT_KEY_NOT_FOUND);
        CHECK(now() - began < 3 * PROMISE);
        pause_for(10);
    }
}

static void a_flood_of_kids_disturbs_nobody(void)
{
    pthread_t flooder;
    size_t pended_before[ISSUERS] = { pended[0], pended[1] };
    size_t others_before = asked(names[1]), most_accepted = accepted[0];
    int64_t began = now();
    CHECK(pthread_create(&flooder, NULL, flood, NULL) == 0);
    await(&flooded, is_eager ? 100 : FLOOD / 4);
    CHECK(accepted[0] > most_accepted);
    CHECK(refused[0] == 0 && pended[0] == pended_before[0]); /* known keys wait for nobody */

    sign_with(0, 0, 0);
    let_readers_go_on();
    int64_t took = switched_within(4, 5);
    CHECK(took <= PROMISE);
    CHECK(is_gone(0, 4));
    sign_with(0, 5, 5);
    await(&flooded, is_eager ? 20000 : FLOOD);
    let_readers_verify(1000);

    size_t most = most_in_a_minute(names[0], began);
    if (flooded_by)
        printf("%d random kids in %lld ms\n", FLOOD, (long long)(flooded_by - began));
    printf("%zu random kids in all; a new key was accepted after %lld ms; at most %zu requests in a minute\n",
           (size_t)flooded, (long long)took, most);
    CHECK(most >= 1 && most <= 4);
    CHECK(surprises == 0);
    for (int i = 0; i < ISSUERS; i++)
        CHECK(refused[i] == 0 && pended[i] == pended_before[i]);
    CHECK(asked(names[1]) == others_before); /* whose kids they were not */
    is_over = true;
    pthread_join(flooder, NULL);
}

static void rotate_under_load(const char *name, const void *argument)
{
    pthread_t readers[READERS];
    (void)name;
    (void)argument;
    for (int i = 0; i < ISSUERS; i++) {
        begin_site(&sites[i], "FAULTS_HTTP", names[i]);
        if (is_eager)
            sites[i].options.demand_burst = sites[i].options.total_burst = 100;
        publish(i, 1, 0);
        add_site(&sites[i]);
        CHECK_STATUS(ask_until_not(&sites[i], 1, "1", JWKS_PENDING), JWT_OK);
        sign_with(i, 1, 1);
    }
    for (size_t i = 0; i < READERS; i++)
        CHECK(pthread_create(&readers[i], NULL, read_on, (void *)i) == 0);
    let_readers_verify(1000);
    keys_published_ahead_refuse_nobody();
    two_new_kids_at_once_refuse_nobody();
    a_flood_of_kids_disturbs_nobody();
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    printf("accepted %zu and %zu, refused none\n", (size_t)accepted[0], (size_t)accepted[1]);
    for (int i = 0; i < ISSUERS; i++)
        end_site(&sites[i]);
}

int main(int argc, char **argv)
{
    is_impatient = argc > 1 && strcmp(argv[1], "impatient") == 0;
    is_eager = argc > 1 && strcmp(argv[1], "eager") == 0;
    begin_driving(driving_of(argc, argv));
    begin_case("load", rotate_under_load, NULL);
    if (end_cases() > 0)
        _Exit(1); /* readers may still be at it */
    end_driving();
    return 0;
}
