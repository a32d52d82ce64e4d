/// The unpacking of gzip files (RFC 1952) through zlib.
#ifndef FROG_CKERNELS_GZIP_H
#define FROG_CKERNELS_GZIP_H

#include <stddef.h>
#include <stdint.h>

enum frog_gunzip_result { FROG_GUNZIP_DONE = 0, FROG_GUNZIP_DAMAGED, FROG_GUNZIP_TOO_LARGE, FROG_GUNZIP_NO_MEMORY };

/// Unpacks all members of the gzip file in `bytes` into memory from malloc, which the caller frees.
///
/// The sizes that the file claims are not believed. Memory grows with the bytes that are unpacked, and never beyond
/// `limit`.
int frog_gunzip(const uint8_t *bytes, size_t count, size_t limit, uint8_t **unpacked, size_t *unpacked_count);

#endif
