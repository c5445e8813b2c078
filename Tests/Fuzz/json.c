/* A JSON text is accepted by the span reader exactly when jansson accepts it, and holds the same values, but
 * for the differences that README.md lists: 1 numbers, 2 escaped NULs, 3 plain NULs, 4 bounds. Everything
 * else ends the run. The first two octets of the input choose the bounds, the rest is the text. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

uint32_t probe_json_read(const uint8_t *text, size_t count, size_t max_members, size_t max_nesting);
long probe_json_dump(const uint8_t *text, size_t count, const uint8_t *pointer, size_t pointer_count,
                     uint8_t *out, size_t capacity);
long probe_json_walk(const uint8_t *text, size_t count);

enum { BAD_JSON = 103, DUPLICATE_MEMBER = 104, LIMIT_EXCEEDED = 105 };

enum { MOST_MEMBERS = 4096, MOST_NESTING = 64, MOST_TEXT = 1 << 16 };

/* ---- Differences 1 to 3: the text as jansson can hold it, octet for octet as long ------------- */

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* The length of the number at `text`, or 0. */
static size_t number_length(const char *text, bool *is_real)
{
    const char *p = text + (*text == '-');
    *is_real = false;
    if (!is_digit(*p))
        return 0;
    p += *p == '0' ? 1 : strspn(p, "0123456789");
    if (*p == '.' && is_digit(p[1])) {
        *is_real = true;
        p += 1 + strspn(p + 1, "0123456789");
    }
    if (*p == 'e' || *p == 'E') {
        const char *exponent = p + 1 + (p[1] == '+' || p[1] == '-');
        if (is_digit(*exponent)) {
            *is_real = true;
            p = exponent + strspn(exponent, "0123456789");
        }
    }
    return (size_t)(p - text);
}

/* Difference 1: integers beyond int64_t, and numbers beyond a double. */
static bool jansson_cannot_hold(const char *text, size_t length, bool is_real)
{
    char number[MOST_TEXT + 1];
    memcpy(number, text, length);
    number[length] = 0;
    errno = 0;
    if (is_real)
        return fabs(strtod(number, NULL)) == HUGE_VAL;
    strtoll(number, NULL, 10);
    return errno == ERANGE;
}

static bool contains(const char *text, size_t count, const char *part, size_t length)
{
    for (size_t i = 0; i + length <= count; i++)
        if (strncasecmp(text + i, part, length) == 0)
            return true;
    return false;
}

/* A character that the text holds neither plainly nor escaped, as the last two digits of \ue0XX. */
static void unused_character(const char *text, size_t count, char digits[3])
{
    for (unsigned int c = 0; c < 256; c++) {
        char escaped[8], plain[4] = { (char)0xee, (char)(0x80 | c >> 6), (char)(0x80 | (c & 0x3f)), 0 };
        snprintf(escaped, sizeof escaped, "\\ue0%02x", c);
        if (!contains(text, count, escaped, 6) && !memmem(text, count, plain, 3)) {
            memcpy(digits, escaped + 4, 3);
            return;
        }
    }
    digits[0] = 0;
}

/* Writes over what jansson cannot hold. `text` has a NUL behind it. False if no character is left for NUL. */
static bool make_holdable(char *text, size_t count)
{
    char digits[3];
    unused_character(text, count, digits);
    bool in_string = false;
    for (size_t i = 0; i < count;) {
        bool is_real;
        size_t length = 1;
        if (text[i] == '"') {
            in_string = !in_string;
        } else if (in_string && text[i] == '\\') {
            if (count - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0) {
                if (!digits[0])
                    return false;
                memcpy(text + i, "\\ue0", 4);
                memcpy(text + i + 4, digits, 2);
            }
            length = 2;
        } else if (!in_string && (length = number_length(text + i, &is_real)) > 0) {
            bool alone = i == 0 || !strchr("0123456789+-.eE", text[i - 1]);
            if (alone && jansson_cannot_hold(text + i, length, is_real)) {
                memset(text + i, ' ', length);
                text[i] = '0';
            }
        } else {
            length = 1;
            if (!in_string && text[i] == 0)
                text[i] = 1; /* refused, where a NUL would end the text */
        }
        i += length;
    }
    return true;
}

/* ---- Difference 4: bounds -------------------------------------------------------------------- */

static void measure(const json_t *value, size_t depth, size_t *members, size_t *nesting)
{
    if (json_is_array(value) || json_is_object(value))
        depth++;
    if (depth > *nesting)
        *nesting = depth;
    size_t i;
    const char *name;
    json_t *inner;
    json_array_foreach(value, i, inner) measure(inner, depth, members, nesting);
    json_object_foreach((json_t *)value, name, inner)
    {
        (*members)++;
        measure(inner, depth, members, nesting);
    }
}

/* The most that a text could nest and hold, judged by its octets alone. */
static void measure_text(const char *text, size_t count, size_t *members, size_t *nesting)
{
    *members = *nesting = 0;
    for (size_t i = 0; i < count; i++) {
        *members += text[i] == '"';
        *nesting += text[i] == '[' || text[i] == '{';
    }
}

/* ---- The same values ------------------------------------------------------------------------- */

static uint64_t take_word(const uint8_t **dump)
{
    uint64_t word;
    memcpy(&word, *dump, 8);
    *dump += 8;
    return word;
}

static void expect_string(const char *text, size_t length, const uint8_t **dump)
{
    REQUIRE(*(*dump)++ == 's');
    REQUIRE(take_word(dump) == length);
    REQUIRE(memcmp(*dump, text, length) == 0);
    *dump += length;
}

/* A double may have been rounded up to the integer above the number, never beyond it. */
static void expect_real(double value, const uint8_t **dump)
{
    uint8_t letter = *(*dump)++;
    if (letter == 'x') {
        REQUIRE(value >= 0x1p63 || value < -0x1p63 || value == -0x1p63);
        return;
    }
    REQUIRE(letter == 'i' || letter == '+');
    int64_t floored = (int64_t)take_word(dump);
    if (fabs(value) < 0x1p53)
        REQUIRE(floored == (int64_t)floor(value) || (value == floor(value) && floored == (int64_t)value - 1));
}

static void expect_integer(int64_t value, const uint8_t **dump)
{
    REQUIRE(*(*dump)++ == 'i');
    REQUIRE((int64_t)take_word(dump) == value);
}

static void expect_value(const json_t *value, const uint8_t **dump)
{
    size_t i;
    const char *name;
    json_t *inner;
    switch (json_typeof(value)) {
    case JSON_NULL:
        REQUIRE(*(*dump)++ == 'n');
        break;
    case JSON_TRUE:
        REQUIRE(*(*dump)++ == 't');
        break;
    case JSON_FALSE:
        REQUIRE(*(*dump)++ == 'f');
        break;
    case JSON_INTEGER:
        expect_integer(json_integer_value(value), dump);
        break;
    case JSON_REAL:
        expect_real(json_real_value(value), dump);
        break;
    case JSON_STRING:
        expect_string(json_string_value(value), json_string_length(value), dump);
        break;
    case JSON_ARRAY:
        REQUIRE(*(*dump)++ == '[');
        json_array_foreach(value, i, inner) expect_value(inner, dump);
        REQUIRE(*(*dump)++ == ']');
        break;
    case JSON_OBJECT:
        REQUIRE(*(*dump)++ == '{');
        json_object_foreach((json_t *)value, name, inner)
        {
            expect_string(name, strlen(name), dump);
            expect_value(inner, dump);
        }
        REQUIRE(*(*dump)++ == '}');
        break;
    }
}

/* ---- The same values by JSON pointer --------------------------------------------------------- */

static const uint8_t *the_text;
static size_t the_count;
static size_t pointers_left;

static void expect_at(const json_t *value, const char *pointer, size_t length)
{
    static uint8_t out[16 * MOST_TEXT];
    const uint8_t *dump = out;
    long count = probe_json_dump(the_text, the_count, (const uint8_t *)pointer, length, out, sizeof out);
    REQUIRE(count > 0 && (size_t)count <= sizeof out);
    expect_value(value, &dump);
    REQUIRE(dump == out + count);
}

static size_t append_token(char *pointer, size_t length, const char *token)
{
    pointer[length++] = '/';
    for (; *token; token++) {
        if (*token == '~' || *token == '/') {
            pointer[length++] = '~';
            pointer[length++] = *token == '~' ? '0' : '1';
        } else {
            pointer[length++] = *token;
        }
    }
    return length;
}

static void expect_pointers(const json_t *value, char *pointer, size_t length)
{
    size_t i;
    const char *name;
    json_t *inner;
    if (pointers_left == 0)
        return;
    pointers_left--;
    expect_at(value, pointer, length);
    json_array_foreach(value, i, inner)
    {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        expect_pointers(inner, pointer, append_token(pointer, length, index));
    }
    json_object_foreach((json_t *)value, name, inner)
        expect_pointers(inner, pointer, append_token(pointer, length, name));
}

static void expect_same_values(const json_t *tree, const uint8_t *text, size_t count)
{
    static char pointer[2 * MOST_TEXT + 64 * 24];
    the_text = text;
    the_count = count;
    pointers_left = 50;
    expect_pointers(tree, pointer, 0);
}

/* ---- The target ------------------------------------------------------------------------------- */

static void compare(char *text, size_t count, size_t max_members, size_t max_nesting)
{
    uint8_t *exact = fuzz_copy(text, count); /* of exactly its size: a read beyond is seen */
    uint32_t status = probe_json_read(exact, count, max_members, max_nesting);
    probe_json_walk(exact, count);
    free(exact);
    if (!make_holdable(text, count))
        return;

    json_error_t error;
    json_t *tree = json_loadb(text, count, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    size_t members = 0, nesting = 0;
    measure(tree, 0, &members, &nesting);
    bool within = members <= max_members && nesting <= max_nesting;

    if (status == 0) {
        REQUIRE(tree && within);
        exact = fuzz_copy(text, count);
        expect_same_values(tree, exact, count);
        free(exact);
    } else if (status == LIMIT_EXCEEDED) {
        if (!tree)
            measure_text(text, count, &members, &nesting);
        REQUIRE(members > max_members || nesting > max_nesting);
    } else {
        REQUIRE(!tree);
        bool twice = json_error_code(&error) == json_error_duplicate_key;
        REQUIRE(status == (twice ? DUPLICATE_MEMBER : BAD_JSON));
    }
    json_decref(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static char text[MOST_TEXT + 1];
    if (count < 2 || count - 2 > MOST_TEXT)
        return -1;
    /* Mostly out of the way; else small enough to be met. */
    size_t max_members = data[0] < 128 ? MOST_MEMBERS : data[0] & 15u;
    size_t max_nesting = data[1] < 128 ? MOST_NESTING : data[1] & 15u;
    memcpy(text, data + 2, count - 2);
    text[count - 2] = 0;
    compare(text, count - 2, max_members, max_nesting);
    return 0;
}
