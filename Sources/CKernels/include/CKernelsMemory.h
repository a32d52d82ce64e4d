/// How the C library allocates memory.
#ifndef FROG_CKERNELS_MEMORY_H
#define FROG_CKERNELS_MEMORY_H

/// Lets all threads that start from now on allocate from one region. Otherwise each gets one of its own, which takes
/// 64 MiB of addresses or more, used or not.
///
/// C function: mallopt(3) with M_ARENA_MAX, which glibc has.
void frog_share_arenas(void);

#endif
