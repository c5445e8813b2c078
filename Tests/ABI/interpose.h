/* The program's own malloc and its kin: they know whose code asks, count, and can fail one allocation. */
#ifndef INTERPOSE_H
#define INTERPOSE_H

/* Whose code called. */
enum owner { OF_KEYTURN = 1, OF_LIBCRYPTO = 2, OF_JANSSON = 4, OF_OTHERS = 8 };

/* Finds the objects in memory: before anything else, and after each dlopen. */
void find_owners(void);

unsigned long allocations_of(enum owner owner);

/* What of the whole process is allocated and not yet freed, in blocks and in octets. */
long live_blocks(void);
long live_octets(void);

/* Lets the `nth` allocation (from 1, from now on) of these owners answer NULL; 0 stops that. */
void fail_allocation(unsigned owners, unsigned long nth);

/* Whether the allocation to be failed came. */
int failure_came(void);

#endif
