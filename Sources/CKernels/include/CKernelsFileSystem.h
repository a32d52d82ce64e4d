/// Calls on open files that are missing from Swift's module of the C library.
#ifndef FROG_CKERNELS_FILE_SYSTEM_H
#define FROG_CKERNELS_FILE_SYSTEM_H

#include <stdint.h>
#include <sys/types.h>

/// The magic number of the file system that holds an open file; 0 where the system does not tell.
///
/// C function: fstatfs(2).
uint32_t frog_file_system(int descriptor);

/// Whether the byte at `offset` can be read without waiting for the disk; 0 also where the system does not tell.
///
/// C function: preadv2(2) with RWF_NOWAIT.
int frog_is_cached(int descriptor, off_t offset);

#endif
