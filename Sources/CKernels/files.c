#define _GNU_SOURCE
#include "CKernelsFileSystem.h"

#ifdef __linux__
#include <sys/uio.h>
#include <sys/vfs.h>
#endif

uint32_t frog_file_system(int descriptor) {
#ifdef __linux__
  struct statfs status;
  if (fstatfs(descriptor, &status) == 0) return (uint32_t)status.f_type;
#endif
  return 0;
}

int frog_is_cached(int descriptor, off_t offset) {
#ifdef RWF_NOWAIT
  char byte;
  struct iovec one = {&byte, 1};
  return preadv2(descriptor, &one, 1, offset, RWF_NOWAIT) == 1;
#else
  return 0;
#endif
}
