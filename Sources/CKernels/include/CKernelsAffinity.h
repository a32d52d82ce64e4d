/// The cores of a process.
#ifndef FROG_CKERNELS_AFFINITY_H
#define FROG_CKERNELS_AFFINITY_H

#include <stddef.h>
#include <stdint.h>

/// Writes the cores that this process may run on, one bit each, to `count` words. Bits beyond the last word are
/// dropped. Returns 0, or -1 where the system does not tell.
///
/// C function: sched_getaffinity(2), which Swift cannot see without _GNU_SOURCE.
int frog_affinity(uint64_t *words, size_t count);

#endif
