/// fallocate(2), which Swift cannot import from the C library, since it is declared under _GNU_SOURCE only.
#ifndef FROG_CKERNELS_FALLOCATE_H
#define FROG_CKERNELS_FALLOCATE_H

#include <sys/types.h>

int fallocate(int descriptor, int mode, off_t offset, off_t length);

/// Reserves the first `length` bytes of a file. Returns 0, or -1 with errno set.
static inline int frog_fallocate(int descriptor, off_t length) {
  return fallocate(descriptor, 0, 0, length);
}

#endif
