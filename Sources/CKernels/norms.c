#define XXH_STATIC_LINKING_ONLY  // for the size of a state
#include "CKernelsNorms.h"

#include <xxhash.h>

#include "Dispatch.h"
#include "Lanes.h"
#include "Loads.h"

#pragma STDC FP_CONTRACT OFF

#define SUM_OF_SQUARES(name, load, bytes)                                            \
  FROG_DISPATCHED double name(const void *source, size_t count) {                    \
    const char *from = source;                                                       \
    double square[lanes] = {0};                                                      \
    size_t i = 0;                                                                    \
    for (; i + lanes <= count; i += lanes) {                                         \
      for (size_t l = 0; l < lanes; l++) {                                           \
        const double value = load(from + (i + l) * bytes);                           \
        square[l] += value * value;                                                  \
      }                                                                              \
    }                                                                                \
    for (size_t l = 0; i + l < count; l++) {                                         \
      const double value = load(from + (i + l) * bytes);                             \
      square[l] += value * value;                                                    \
    }                                                                                \
    return sum_of_lanes(square);                                                     \
  }

SUM_OF_SQUARES(frog_sum_of_squares_bf16, load_bf16, 2)
SUM_OF_SQUARES(frog_sum_of_squares_f32, load_f32, 4)
SUM_OF_SQUARES(frog_sum_of_squares_f64, load_f64, 8)

size_t frog_hash_state_bytes(void) { return sizeof(XXH3_state_t); }

void frog_hash_begin(void *state) { XXH3_128bits_reset(state); }

void frog_hash_add(void *state, const void *bytes, size_t count) { XXH3_128bits_update(state, bytes, count); }

frog_hash128 frog_hash_end(const void *state) {
  const XXH128_hash_t hash = XXH3_128bits_digest(state);
  return (frog_hash128){hash.low64, hash.high64};
}
