/// fstatfs(2), which Swift's C library module leaves out.
#ifndef FROG_CKERNELS_FILE_SYSTEM_H
#define FROG_CKERNELS_FILE_SYSTEM_H

#include <stdint.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

/// The magic number of the file system that holds an open file; 0 where the system does not tell.
static inline uint32_t frog_file_system(int descriptor) {
#ifdef __linux__
  struct statfs status;
  if (fstatfs(descriptor, &status) == 0) return (uint32_t)status.f_type;
#endif
  return 0;
}

#endif
