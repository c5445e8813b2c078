#include "base64.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* As GCC and Clang have them on every processor. A comparison gives all bits or none. What is compared is signed, because
 * x86-64 compares signed octets alone: no character of the alphabet is below 0, and whatever is has no value. */
typedef int8_t characters __attribute__((vector_size(16)));
typedef uint32_t quads __attribute__((vector_size(16)));
typedef uint64_t pairs __attribute__((vector_size(16)));

enum {
    OF_DIGITS = 52 - '0',
    OF_UPPER = 0 - 'A',
    OF_LOWER = 26 - 'a',
    OF_MINUS = 62 - '-',
    OF_LINE = 63 - '_'
};

/* The value of each character, by what is to be added to it; where it has none, all bits are set in `is_none`. Their
 * codes have this order: minus, digits, upper case, line, lower case. */
static inline characters values(characters text, characters *is_none)
{
    characters after_digits = text > '9', after_upper = text > 'Z';
    characters add = OF_DIGITS + (after_digits & (OF_UPPER - OF_DIGITS)) +
                     (after_upper & (OF_LOWER - OF_UPPER)) + ((text == '-') & (OF_MINUS - OF_DIGITS)) +
                     ((text == '_') & (OF_LINE - OF_LOWER));
    characters least = 52 + (after_digits & (0 - 52)) + (after_upper & 26);
    characters value = text + add;
    *is_none |= (value < least) | (text > 'z');
    return value;
}

/* Four values to three octets, and those twice to six in each half. */
static inline pairs packed(characters values)
{
    quads four = (quads)values;
    quads first = (four << 2 & 0xfc) | (four >> 12 & 0x03);
    quads second = (four << 4 & 0xf000) | (four >> 10 & 0x0f00);
    quads third = (four << 6 & 0xc00000) | (four >> 8 & 0x3f0000);
    pairs two = (pairs)(first | second | third);
    return (two & 0xffffff) | (two >> 8 & 0xffffff000000);
}

int64_t ckeyturn_decode_sixteens(const unsigned char *text, size_t count, unsigned char *octets,
                                 size_t capacity)
{
    characters is_none = { 0 };
    size_t at = 0;
    for (size_t end = 0; at + 16 <= count && end + 14 <= capacity; at += 16, end += 12) {
        characters sixteen;
        memcpy(&sixteen, text + at, 16);
        pairs halves = packed(values(sixteen, &is_none));
        memcpy(octets + end, &halves, 8);
        memcpy(octets + end + 6, (unsigned char *)&halves + 8, 8);
    }
    pairs none = (pairs)is_none;
    return (none[0] | none[1]) == 0 ? (int64_t)at : -1;
}

#else

int64_t ckeyturn_decode_sixteens(const unsigned char *text, size_t count, unsigned char *octets,
                                 size_t capacity)
{
    (void)text, (void)count, (void)octets, (void)capacity;
    return 0;
}

#endif
