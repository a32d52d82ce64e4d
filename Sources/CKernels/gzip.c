#include "CKernelsGzip.h"

#include <stdlib.h>
#include <zlib.h>

// The bytes of one call, since zlib counts in 32 bits. Longer files take several calls.
static uInt part(size_t count) { return count < 1u << 30 ? (uInt)count : 1u << 30; }

int frog_gunzip(const uint8_t *bytes, size_t count, size_t limit, uint8_t **unpacked, size_t *unpacked_count) {
  *unpacked = NULL;
  *unpacked_count = 0;
  z_stream stream = {0};
  // 15 is the largest window, and 16 more asks for a gzip header.
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return FROG_GUNZIP_NO_MEMORY;
  size_t capacity = 0, used = 0, taken = 0;
  uint8_t *buffer = NULL;
  int result = FROG_GUNZIP_DAMAGED;
  for (;;) {
    if (used == capacity) {
      // One byte more than the limit tells a file that ends there from one that goes on.
      size_t larger = capacity == 0 ? 1u << 16 : 2 * capacity;
      if (larger > limit + 1) larger = limit + 1;
      uint8_t *moved = larger > capacity ? realloc(buffer, larger) : NULL;
      if (moved == NULL) {
        result = larger > capacity ? FROG_GUNZIP_NO_MEMORY : FROG_GUNZIP_TOO_LARGE;
        break;
      }
      buffer = moved;
      capacity = larger;
    }
    uInt room = part(capacity - used), left = part(count - taken);
    stream.next_in = (Bytef *)bytes + taken;
    stream.avail_in = left;
    stream.next_out = buffer + used;
    stream.avail_out = room;
    int status = inflate(&stream, Z_NO_FLUSH);
    taken += left - stream.avail_in;
    used += room - stream.avail_out;
    if (used > limit) {
      result = FROG_GUNZIP_TOO_LARGE;
      break;
    }
    if (status == Z_STREAM_END) {
      if (taken == count) {
        result = FROG_GUNZIP_DONE;
        break;
      }
      if (inflateReset(&stream) != Z_OK) break;
    } else if (status == Z_MEM_ERROR) {
      result = FROG_GUNZIP_NO_MEMORY;
      break;
    } else if (status != Z_OK || (taken == count && stream.avail_out > 0)) {
      break;
    }
  }
  inflateEnd(&stream);
  if (result != FROG_GUNZIP_DONE) {
    free(buffer);
    return result;
  }
  *unpacked = buffer;
  *unpacked_count = used;
  return FROG_GUNZIP_DONE;
}
