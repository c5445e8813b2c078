/* A host in C, built against an installed Keyturn: the header and the library must be of one version. */
#include <keyturn.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    puts(keyturn_version());
    return strcmp(keyturn_version(), KEYTURN_VERSION) != 0 ||
           keyturn_version_number() != KEYTURN_VERSION_NUMBER;
}
