/* One process fetches for others: an agent and its readers, on one directory. */
#include "staging.h"

#include <openssl/evp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START INT64_C(1000000)
enum { KIND_NAMED = 1, KIND_ASKED, KIND_MISSED, KIND_BAD_SIGNATURE, KIND_OPERATOR, CALL = 42 };

/* Later by so much, each polled; the agent answers what it is asked with this set. */
static void live(struct host *agent, struct host *reader, int64_t ms, unsigned key, const char *kid)
{
    agent->now += ms;
    reader->now = agent->now;
    poll_cache(agent);
    while (agent->under_way > 0)
        reply_key(agent, key, kid);
    poll_cache(agent);
    poll_cache(reader);
}

/* Leaves key 1 as "one" in the directory, and no agent. */
static void leave_keys(const char *path)
{
    struct host *agent = agent_of(path, START);
    serve(agent);
    close_host(agent);
}

/* ---- What is sent: the test listens in the agent's place, or sends in a reader's */

static int bound(const char *path, int (*act)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s/agent.sock", path);
    int made = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(made >= 0);
    assert_int_equal(act(made, (const struct sockaddr *)&address, sizeof address), 0);
    return made;
}

static int spy_on(const char *path)
{
    char *name = text("%s/agent.sock", path);
    remove(name);
    free(name);
    return bound(path, bind);
}

/* How many are there; the kind of the last in *kind. */
static size_t drain(int spy, int *kind)
{
    unsigned char call[64];
    size_t count = 0;
    for (ssize_t length; (length = recv(spy, call, sizeof call, 0)) >= 0; count++) {
        assert_int_equal(length, CALL);
        assert_int_equal(call[0], 1);
        *kind = call[1];
    }
    return count;
}

static void make_call(unsigned char *call, int kind, const char *issuer)
{
    memset(call, 7, CALL);
    call[0] = 1;
    call[1] = (unsigned char)kind;
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, issuer, strlen(issuer), call + 2, NULL), 1);
}

/* ---- What readers get */

static void a_first_use_is_pending_then_served(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    assert_status(ask_kid(reader, 1, "one"), JWKS_PENDING);
    poll_cache(reader);
    assert_status(ask_kid(reader, 1, "one"), JWKS_PENDING);
    live(agent, reader, 1000, 1, "one");
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    assert_int_equal(agent->starts, 1);
    close_host(reader);
    close_host(agent);
}

/* The agent's issuer is lazy: only what a reader says begins the fetch. */
static void a_first_use_is_told_to_the_agent(void **state)
{
    struct host *agent = agent_of(*state, START);
    jwks_issuer_options options = by_url();
    options.lazy = 1;
    add(agent, &options);
    poll_cache(agent);
    assert_int_equal(agent->starts, 0);
    struct host *reader = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 0, 1, "one");
    assert_int_equal(agent->starts, 1);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    close_host(reader);
    close_host(agent);
}

static void a_rotation_is_seen_by_a_readers_token(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 0, 1, "one");
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    poll_cache(reader);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    live(agent, reader, 1000, 2, "two");
    assert_int_equal(agent->starts, 2);
    assert_status(ask_kid(reader, 2, "two"), JWT_OK);
    assert_true(ask_kid(reader, 1, "one") != JWT_OK);
    close_host(reader);
    close_host(agent);
}

/* Also where nobody asks: the agent's schedule is all there is. */
static void a_reader_follows_the_agents_schedule(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 0, 1, "one");
    for (int64_t passed = 0; passed < 30 * HOUR; passed += 30000) {
        live(agent, reader, 30000, 1, "one");
        assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    }
    /* At 75 to 90 % of 300 s, and longer than an issuer stays asked that nobody names. */
    assert_in_range(agent->starts, 30 * 12, 30 * 17);
    close_host(reader);
    close_host(agent);
}

static void an_operators_word_reaches_the_agent(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 0, 1, "one");
    assert_status(jwks_issuer_refresh(reader->issuer), JWT_OK);
    live(agent, reader, 1000, 2, "two");
    assert_int_equal(agent->starts, 2);
    assert_status(ask_kid(reader, 2, "two"), JWT_OK);
    close_host(reader);
    close_host(agent);
}

/* ---- Bounds */

static void a_flood_of_kids_sends_few_datagrams(void **state)
{
    leave_keys(*state);
    int spy = spy_on(*state), kind = 0;
    struct host *reader = with_issuer(reader_of(*state, NULL, START));
    size_t sent = 0, asked = 0;
    for (int64_t second = 0; second < 60; second++, reader->now += 1000) {
        for (size_t i = 0; i < 100; i++, asked++) {
            char *kid = text("unknown-%zu", asked);
            assert_true(ask_kid(reader, 2, kid) != JWT_OK);
            free(kid);
        }
        poll_cache(reader);
        sent += drain(spy, &kind);
    }
    assert_int_equal(kind, KIND_MISSED);
    assert_int_equal(asked, 6000);
    assert_in_range(sent, 2, 4);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    close(spy);
    close_host(reader);
}

static size_t send_all(int sender, struct host *agent, const unsigned char *call, size_t length, size_t count)
{
    size_t sent = 0;
    for (size_t i = 0; i < count; i++) {
        sent += send(sender, call, length, MSG_DONTWAIT) >= 0;
        poll_cache(agent);
        while (agent->under_way > 0)
            reply_key(agent, 1, "one");
        poll_cache(agent);
    }
    return sent;
}

/* Whoever may send has what tokens at the agent itself would have. */
static void a_flood_of_datagrams_has_the_agents_bounds(void **state)
{
    struct host *agent = agent_of(*state, START);
    serve(agent);
    int sender = bound(*state, connect);
    unsigned char call[CALL];
    size_t sent = 0;
    for (int64_t second = 0; second < 60; second++, agent->now += 1000)
        for (int kind = 0; kind < KIND_OPERATOR; kind++) {
            make_call(call, kind, ISSUER);
            call[40] = (unsigned char)second;
            sent += send_all(sender, agent, call, CALL, 5);
        }
    assert_int_equal(sent, 60 * KIND_OPERATOR * 5);
    assert_in_range(agent->starts, 3, 6);
    make_call(call, KIND_OPERATOR, ISSUER);
    size_t before = agent->starts;
    send_all(sender, agent, call, CALL, 50);
    assert_int_equal(agent->starts - before, 6);
    assert_status(ask_kid(agent, 1, "one"), JWT_OK);
    close(sender);
    close_host(agent);
}

/* As many as a round has room for; the next is heard in the next one. */
static void a_round_hears_so_many_and_no_more(void **state)
{
    enum { MOST_CALLS = 256, ROUND = 50 };
    struct host *agent = agent_of(*state, START);
    serve(agent);
    agent->now += 1000;
    poll_cache(agent);
    int sender = bound(*state, connect);
    unsigned char call[CALL];
    make_call(call, KIND_MISSED, "https://nobody.example");
    assert_int_equal(send_all(sender, agent, call, CALL, MOST_CALLS), MOST_CALLS);
    make_call(call, KIND_MISSED, ISSUER);
    size_t before = agent->starts;
    assert_int_equal(send_all(sender, agent, call, CALL, 1), 1);
    assert_int_equal(agent->starts, before);
    assert_in_range(poll_cache(agent), 1, ROUND);
    agent->now += ROUND;
    poll_cache(agent);
    assert_int_equal(agent->starts, before + 1);
    close(sender);
    close_host(agent);
}

/* ---- Who sends */

static void send_as_an_operator(const char *path)
{
    unsigned char call[CALL];
    int sender = bound(path, connect);
    make_call(call, KIND_OPERATOR, ISSUER);
    for (int i = 0; i < 8; i++)
        assert_int_equal(send(sender, call, CALL, 0), CALL);
    close(sender);
}

/* They count as one kid that nobody has, and the operators' bucket is as full as before. */
static void a_strangers_word_is_no_operators(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(*state, 0755), 0);
    struct host *agent = agent_of(*state, START);
    serve(agent);
    size_t before = agent->starts;
    as_user(65533, send_as_an_operator, *state);
    for (int polls = 0; polls < 16; polls++) {
        poll_cache(agent);
        while (agent->under_way > 0)
            reply_key(agent, 1, "one");
    }
    assert_int_equal(agent->starts, before + 1);

    unsigned char call[CALL];
    int sender = bound(*state, connect);
    make_call(call, KIND_OPERATOR, ISSUER);
    assert_int_equal(send_all(sender, agent, call, CALL, 8), 8);
    assert_int_equal(agent->starts, before + 1 + 6);
    close(sender);
    close_host(agent);
}

/* With the message itself, which counts. */
static void a_descriptor_that_is_sent_along_is_not_taken(void **state)
{
    struct host *agent = agent_of(*state, START);
    serve(agent);
    unsigned char call[CALL];
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec place = { call, sizeof call };
    struct msghdr message = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    make_call(call, KIND_MISSED, ISSUER);
    int sender = bound(*state, connect);
    memcpy(CMSG_DATA(&control.head), &sender, sizeof sender);
    size_t open = descriptors(), before = agent->starts;
    assert_int_equal(sendmsg(sender, &message, 0), CALL);
    poll_cache(agent);
    assert_int_equal(agent->starts, before + 1);
    reply_key(agent, 1, "one");
    poll_cache(agent);
    assert_int_equal(descriptors(), open);
    close(sender);
    close_host(agent);
}

static void garbage_changes_nothing(void **state)
{
    struct host *agent = agent_of(*state, START);
    serve(agent);
    int sender = bound(*state, connect);
    unsigned char call[64] = { 0 };
    make_call(call, KIND_MISSED, ISSUER);
    size_t before = agent->starts, tried = 0;
    for (size_t length = 0; length <= sizeof call; length++)
        tried += length == CALL ? 0 : send_all(sender, agent, call, length, 1);
    for (int version = 0; version < 256; version++, agent->now++) {
        call[0] = (unsigned char)version;
        tried += version == 1 ? 0 : send_all(sender, agent, call, CALL, 1);
    }
    for (int kind = 0; kind < 256; kind++, agent->now++) {
        make_call(call, kind, ISSUER);
        tried += kind >= KIND_NAMED && kind <= KIND_OPERATOR ? 0 : send_all(sender, agent, call, CALL, 1);
    }
    make_call(call, KIND_MISSED, "https://nobody.example");
    tried += send_all(sender, agent, call, CALL, 1);
    assert_int_equal(tried, 64 + 255 + 251 + 1);
    assert_int_equal(agent->starts, before);

    make_call(call, KIND_MISSED, ISSUER); /* and what is none of this counts */
    send_all(sender, agent, call, CALL, 1);
    assert_int_equal(agent->starts, before + 1);
    close(sender);
    close_host(agent);
}

/* ---- What the agent does not ask for */

/* Takes what traffic may have at the agent, by kids of somebody else. */
static void spend(struct host *agent, const char *path)
{
    unsigned char call[CALL];
    int sender = bound(path, connect);
    for (unsigned char kid = 1; kid <= 4; kid++) {
        make_call(call, KIND_MISSED, ISSUER);
        call[34] = call[41] = kid;
        send_all(sender, agent, call, CALL, 1);
    }
    close(sender);
}

static void a_kid_that_the_agent_refuses_is_refused_within_a_second(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 0, 1, "one");
    spend(agent, *state);
    size_t before = agent->starts;
    reader->now += 100;
    poll_cache(reader);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    poll_cache(reader);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING); /* nobody has answered yet */
    live(agent, reader, 900, 1, "one");
    assert_status(ask_kid(reader, 2, "two"), JWT_KEY_NOT_FOUND);
    assert_int_equal(agent->starts, before);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);

    /* It is asked for again when it may be, and found. */
    live(agent, reader, 31000, 1, "one");
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    poll_cache(reader);
    live(agent, reader, 1000, 2, "two");
    assert_status(ask_kid(reader, 2, "two"), JWT_OK);
    close_host(reader);
    close_host(agent);
}

static void an_answer_to_another_reader_refuses_nothing(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START)),
                *other = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 0, 1, "one");
    live(agent, other, 0, 1, "one");
    spend(agent, *state);
    assert_status(ask_kid(other, 3, "other"), JWKS_PENDING);
    poll_cache(other);
    live(agent, other, 1000, 1, "one");
    assert_status(ask_kid(other, 3, "other"), JWT_KEY_NOT_FOUND);
    reader->now = agent->now;
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    poll_cache(reader);
    reader->now += 4999;
    poll_cache(reader);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING); /* the agent has not heard of it yet */
    close_host(other);
    close_host(reader);
    close_host(agent);
}

static void a_fetch_that_fails_is_told_within_a_second(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 0, 1, "one");
    for (int asked = 0; asked < 2; asked++) { /* the second finds the agent backing off */
        assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
        poll_cache(reader);
        poll_cache(agent);
        if (asked == 0)
            reply_with(agent, 500, NULL, NULL, NULL);
        assert_int_equal(agent->under_way, 0);
        poll_cache(agent);
        reader->now += 1000;
        agent->now = reader->now;
        poll_cache(reader);
    }
    assert_status(ask_kid(reader, 2, "two"), JWKS_KEYS_UNAVAILABLE);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    assert_int_equal(agent->starts, 2);
    close_host(reader);
    close_host(agent);
}

/* The word that once stood for a failure in the place of a kid's hash. */
static void write_boot_id(unsigned char *octets)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    assert_non_null(file);
    for (unsigned i = 0, octet; i < 8; i++) {
        if (i == 4 || i == 6)
            assert_int_equal(fgetc(file), '-');
        assert_int_equal(fscanf(file, "%2x", &octet), 1);
        octets[i] = (unsigned char)octet;
    }
    fclose(file);
}

static void send_kid(struct host *agent, const char *path, const unsigned char *kid)
{
    unsigned char call[CALL];
    int sender = bound(path, connect);
    make_call(call, KIND_MISSED, ISSUER);
    memcpy(call + CALL - 8, kid, 8);
    assert_int_equal(send_all(sender, agent, call, CALL, 1), 1);
    close(sender);
}

/* Whatever is answered of the kids of others. */
static void no_kid_hides_a_failure(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    unsigned char kid[8];
    write_boot_id(kid);
    kid[7] ^= 1;
    live(agent, reader, 0, 1, "one");
    for (int asked = 0; asked < 2; asked++) { /* the second finds the agent backing off */
        assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
        poll_cache(reader);
        poll_cache(agent);
        if (asked == 0)
            reply_with(agent, 500, NULL, NULL, NULL);
        poll_cache(agent);
        for (unsigned low = 0; low < 128; low++) {
            kid[0] = (unsigned char)low;
            send_kid(agent, *state, kid);
        }
        reader->now += 1000;
        agent->now = reader->now;
        poll_cache(reader);
    }
    assert_status(ask_kid(reader, 2, "two"), JWKS_KEYS_UNAVAILABLE);
    close_host(reader);
    close_host(agent);
}

/* And none is one: whoever waits for something else goes on waiting. */
static void no_kid_is_a_failure(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    unsigned char kid[8], garbage = 0;
    int sender = bound(*state, connect);
    size_t sent = 0;
    live(agent, reader, 0, 1, "one");
    spend(agent, *state);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    while (send(sender, &garbage, 1, MSG_DONTWAIT) == 1)
        sent++;
    assert_true(sent > 0);
    poll_cache(reader); /* the agent has no room for what it asks */
    poll_cache(agent);
    write_boot_id(kid);
    send_kid(agent, *state, kid);
    reader->now += 1000;
    poll_cache(reader);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    close(sender);
    close_host(reader);
    close_host(agent);
}

static void an_operator_who_asks_too_often_is_no_failure(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    unsigned char call[CALL];
    int sender = bound(*state, connect);
    live(agent, reader, 0, 1, "one");
    assert_status(ask_kid(reader, 3, "three"), JWKS_PENDING); /* so that nothing is left for asking again */
    poll_cache(reader);
    live(agent, reader, 1000, 1, "one");
    live(agent, reader, 1000, 1, "one");
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    poll_cache(reader);
    poll_cache(agent);
    assert_int_equal(agent->under_way, 1);
    make_call(call, KIND_OPERATOR, ISSUER);
    for (int asked = 0; asked < 8; asked++) {
        assert_int_equal(send(sender, call, CALL, 0), CALL);
        poll_cache(agent);
    }
    reader->now += 1000;
    agent->now = reader->now;
    poll_cache(reader);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    live(agent, reader, 1000, 2, "two");
    assert_status(ask_kid(reader, 2, "two"), JWT_OK);
    close(sender);
    close_host(reader);
    close_host(agent);
}

static void a_first_fetch_that_fails_is_told_within_a_second(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    poll_cache(reader);
    assert_status(ask_kid(reader, 1, "one"), JWKS_PENDING);
    poll_cache(agent);
    reply_failure(agent, JWKS_FETCH_CONNECT);
    poll_cache(agent);
    reader->now += 1000;
    poll_cache(reader);
    assert_status(ask_kid(reader, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    agent->now += 15000;
    live(agent, reader, 0, 1, "one");
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    close_host(reader);
    close_host(agent);
}

/* ---- Without an agent, and with another */

static void without_an_agent_keys_are_served_to_the_hard_limit(void **state)
{
    leave_keys(*state);
    struct host *reader = with_issuer(reader_of(*state, NULL, START + HOUR));
    size_t asked = 0;
    for (; reader->now < START + 24 * HOUR; reader->now += 60000, asked++) {
        poll_cache(reader);
        assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    }
    assert_int_equal(asked, 23 * 60);
    poll_cache(reader);
    reader->now += 5000;
    poll_cache(reader);
    assert_status(ask_kid(reader, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    close_host(reader);
}

static void without_an_agent_and_keys_tokens_do_not_wait_for_ever(void **state)
{
    struct host *reader = with_issuer(reader_of(*state, NULL, START));
    assert_status(ask_kid(reader, 1, "one"), JWKS_PENDING);
    reader->now += 4999;
    poll_cache(reader);
    assert_status(ask_kid(reader, 1, "one"), JWKS_PENDING);
    reader->now += 1;
    poll_cache(reader);
    assert_status(ask_kid(reader, 1, "one"), JWKS_KEYS_UNAVAILABLE);
    close_host(reader);
}

static void a_reader_finds_an_agent_that_comes_later(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START)),
                *reader = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 0, 1, "one");
    close_host(agent);
    reader->now += 30000;
    for (int asked = 0; asked < 2; asked++) { /* as often as unknown kids may be asked for */
        assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
        poll_cache(reader);
        reader->now += 5000;
        poll_cache(reader);
    }
    assert_status(ask_kid(reader, 2, "two"), JWKS_KEYS_UNAVAILABLE); /* nobody could say */
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);

    agent = with_issuer(agent_of(*state, reader->now)); /* in the place of the socket that is left */
    poll_cache(agent);
    assert_int_equal(agent->under_way, 0);
    reader->now += 30000;
    assert_status(ask_kid(reader, 2, "other"), JWKS_PENDING);
    poll_cache(reader);
    agent->now = reader->now;
    live(agent, reader, 1000, 2, "other");
    assert_int_equal(agent->starts, 1);
    assert_status(ask_kid(reader, 2, "other"), JWT_OK);
    close_host(reader);
    close_host(agent);
}

/* ---- In processes of their own */

struct order {
    int64_t now;
    int64_t key;
};

/* An agent that does as it is told, and says how often it has fetched. */
static void serve_orders(const char *path, int orders, int answers)
{
    struct host *agent = with_issuer(agent_of(path, START));
    struct order order;
    while (write(answers, &agent->starts, sizeof agent->starts) > 0 &&
           read(orders, &order, sizeof order) == (ssize_t)sizeof order) {
        agent->now = order.now;
        poll_cache(agent);
        while (agent->under_way > 0)
            reply_key(agent, (unsigned)order.key, order.key == 1 ? "one" : "two");
        poll_cache(agent);
    }
    _exit(0);
}

static size_t order_of(const int *pipes, int64_t now, unsigned key)
{
    struct order order = { now, key };
    size_t starts = 0;
    assert_int_equal(write(pipes[1], &order, sizeof order), sizeof order);
    assert_int_equal(read(pipes[2], &starts, sizeof starts), sizeof starts);
    return starts;
}

static void follow(const char *path, const int *pipes)
{
    struct host *reader = with_issuer(reader_of(path, "0", START));
    assert_status(ask_kid(reader, 1, "one"), JWKS_PENDING);
    assert_int_equal(order_of(pipes, START, 1), 1);
    poll_cache(reader);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    assert_status(ask_kid(reader, 2, "two"), JWKS_PENDING);
    poll_cache(reader);
    reader->now += 1000;
    assert_int_equal(order_of(pipes, reader->now, 2), 2);
    poll_cache(reader);
    assert_status(ask_kid(reader, 2, "two"), JWT_OK);
    assert_true(ask_kid(reader, 1, "one") != JWT_OK);
    close_host(reader);
}

static int agent_pipes[4]; /* orders out of 0 and into 1, answers out of 2 and into 3 */

static void follow_as_another(const char *path)
{
    char *file = text("%s/written", path);
    assert_null(fopen(file, "w"));
    free(file);
    follow(path, agent_pipes);
}

static pid_t begin_agent(const char *path)
{
    size_t starts = 1;
    assert_int_equal(pipe(agent_pipes), 0);
    assert_int_equal(pipe(agent_pipes + 2), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(agent_pipes[1]);
        serve_orders(path, agent_pipes[0], agent_pipes[3]);
    }
    assert_int_equal(read(agent_pipes[2], &starts, sizeof starts), sizeof starts);
    assert_int_equal(starts, 0);
    return child;
}

static void end_agent(pid_t child)
{
    int status;
    for (size_t i = 0; i < 4; i++)
        close(agent_pipes[i]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void an_agent_in_another_process_feeds(void **state)
{
    pid_t agent = begin_agent(*state);
    follow(*state, agent_pipes);
    end_agent(agent);
}

/* Which owns neither the directory nor anything in it, and cannot write there. */
static void a_reader_that_is_another_user_is_fed(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(*state, 0755), 0);
    pid_t agent = begin_agent(*state);
    as_user(65533, follow_as_another, *state);
    end_agent(agent);
}

static size_t left;

static void is_the_agents(const char *path)
{
    assert_string_equal(strrchr(path, '/'), "/agent.sock");
    left++;
}

/* Not even a lock, when it may. */
static void a_reader_leaves_nothing_in_the_store(void **state)
{
    struct host *reader = with_issuer(reader_of(*state, NULL, START));
    int spy = spy_on(*state), kind = 0;
    for (size_t i = 0; i < 100; i++, reader->now += 1000) {
        assert_true(ask_kid(reader, 1, "one") != JWT_OK);
        poll_cache(reader);
    }
    assert_true(drain(spy, &kind) >= 2);
    assert_int_equal(kind, KIND_ASKED);
    left = 0;
    each_file(*state, is_the_agents);
    assert_int_equal(left, 1);
    close(spy);
    close_host(reader);
}

/* What it revokes itself holds where it is. */
static void a_reader_obeys_revocations_and_writes_none(void **state)
{
    struct host *agent = with_issuer(agent_of(*state, START));
    struct host *reader = with_issuer(reader_of(*state, NULL, START));
    live(agent, reader, 1000, 1, "one");
    assert_status(revoke_kid(reader, "one"), JWKS_NOT_DURABLE);
    assert_status(ask_kid(reader, 1, "one"), JWT_KEY_REVOKED);
    live(agent, reader, 1000, 1, "one");
    assert_status(ask_kid(agent, 1, "one"), JWT_OK);
    close_host(reader);

    reader = with_issuer(reader_of(*state, NULL, agent->now));
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    assert_status(revoke_kid(agent, "one"), JWT_OK);
    live(agent, reader, 1000, 1, "one");
    assert_status(ask_kid(reader, 1, "one"), JWT_KEY_REVOKED);
    close_host(reader);
    close_host(agent);
}

/* ---- Threads */

static void a_thread_hears_readers(void **state)
{
    void *stage;
    make_stage(&stage);
    struct host *agent = stage;
    jwks_cache_options options = stage_options(agent);
    jwks_issuer_options issuer = by_url();
    options.store = *state;
    options.store_agent = 1;
    use_cache(agent, &options);
    issuer.lazy = 1;
    add(agent, &issuer);
    assert_status(jwks_cache_start(agent->cache, NULL), JWT_OK);
    struct host *reader = with_issuer(reader_of(*state, NULL, real_time()));
    await_starts(agent, 1);
    answer_key(agent, 1, "one");
    await_kid(agent, 1, "one");
    jwks_cache_stop(agent->cache); /* what it has accepted is in the store */
    reader->now += 1000;
    poll_cache(reader);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    close_host(reader);
    end_stage(&stage);
}

static void a_reader_needs_no_fetcher_for_its_thread(void **state)
{
    leave_keys(*state);
    struct host *reader = with_issuer(reader_of(*state, NULL, START));
    assert_status(jwks_cache_start(reader->cache, NULL), JWT_OK);
    assert_status(ask_kid(reader, 1, "one"), JWT_OK);
    close_host(reader);
}

/* ---- Options */

static void assert_refused(const char *store, uint32_t is_reader, uint32_t is_agent, const char *option)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache *cache = NULL;
    options.store = store;
    options.store_reader = is_reader;
    options.store_agent = is_agent;
    assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, option);
    assert_null(cache);
}

static void bad_options_are_refused_by_name(void **state)
{
    assert_refused(NULL, 1, 0, "store_reader");
    assert_refused(NULL, 0, 1, "store_agent");
    assert_refused(*state, 1, 1, "store_reader");
    assert_refused(*state, 2, 0, "store_reader");
    assert_refused(*state, 0, 2, "store_agent");
    struct host *agent = agent_of(*state, START);
    assert_refused(*state, 0, 1, "store_agent"); /* one at a time */
    close_host(agent);
    char *name = text("%s/agent.sock", (char *)*state);
    assert_int_equal(remove(name), 0);
    fclose(fopen(name, "w"));
    assert_refused(*state, 0, 1, "store_agent"); /* no socket: it is left alone */
    assert_int_equal(access(name, F_OK), 0);
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(a_first_use_is_pending_then_served),
        WITH_DIRECTORY(a_first_use_is_told_to_the_agent),
        WITH_DIRECTORY(a_rotation_is_seen_by_a_readers_token),
        WITH_DIRECTORY(a_reader_follows_the_agents_schedule),
        WITH_DIRECTORY(an_operators_word_reaches_the_agent),
        WITH_DIRECTORY(a_flood_of_kids_sends_few_datagrams),
        WITH_DIRECTORY(a_flood_of_datagrams_has_the_agents_bounds),
        WITH_DIRECTORY(a_round_hears_so_many_and_no_more),
        WITH_DIRECTORY(a_strangers_word_is_no_operators),
        WITH_DIRECTORY(a_descriptor_that_is_sent_along_is_not_taken),
        WITH_DIRECTORY(garbage_changes_nothing),
        WITH_DIRECTORY(a_kid_that_the_agent_refuses_is_refused_within_a_second),
        WITH_DIRECTORY(an_answer_to_another_reader_refuses_nothing),
        WITH_DIRECTORY(a_fetch_that_fails_is_told_within_a_second),
        WITH_DIRECTORY(no_kid_hides_a_failure),
        WITH_DIRECTORY(no_kid_is_a_failure),
        WITH_DIRECTORY(an_operator_who_asks_too_often_is_no_failure),
        WITH_DIRECTORY(a_first_fetch_that_fails_is_told_within_a_second),
        WITH_DIRECTORY(without_an_agent_keys_are_served_to_the_hard_limit),
        WITH_DIRECTORY(without_an_agent_and_keys_tokens_do_not_wait_for_ever),
        WITH_DIRECTORY(a_reader_finds_an_agent_that_comes_later),
        WITH_DIRECTORY(an_agent_in_another_process_feeds),
        WITH_DIRECTORY(a_reader_that_is_another_user_is_fed),
        WITH_DIRECTORY(a_reader_leaves_nothing_in_the_store),
        WITH_DIRECTORY(a_reader_obeys_revocations_and_writes_none),
        WITH_DIRECTORY(a_thread_hears_readers),
        WITH_DIRECTORY(a_reader_needs_no_fetcher_for_its_thread),
        WITH_DIRECTORY(bad_options_are_refused_by_name),
    };
    return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
