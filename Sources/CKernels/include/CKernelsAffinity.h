/// The cores this process may run on, one bit each; sched_getaffinity(2), which Swift cannot see without
/// _GNU_SOURCE. Bits beyond the last word are dropped. Returns 0, or -1 where the system does not tell.
#ifndef FROG_CKERNELS_AFFINITY_H
#define FROG_CKERNELS_AFFINITY_H

#include <stddef.h>
#include <stdint.h>

int frog_affinity(uint64_t *words, size_t count);

#endif
