#include "CKernelsMemory.h"

#include <stdlib.h>  // says whether this is glibc

#ifdef __GLIBC__
#include <malloc.h>
#endif

void frog_share_arenas(void) {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);
#endif
}
