/* jansson, for the one file that reads documents. */
#include <jansson.h>
