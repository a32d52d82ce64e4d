/// What Swift's C library module leaves out of the calls on open files.
#ifndef FROG_CKERNELS_FILE_SYSTEM_H
#define FROG_CKERNELS_FILE_SYSTEM_H

#include <stdint.h>
#include <sys/types.h>

/// The magic number of the file system that holds an open file, by fstatfs(2); 0 where the system does not tell.
uint32_t frog_file_system(int descriptor);

/// Whether the byte at `offset` can be read without waiting for the disk, by preadv2(2) with RWF_NOWAIT; 0 also where
/// the system does not tell.
int frog_is_cached(int descriptor, off_t offset);

#endif
