/// Passes over stored weights: sums of squares and hashes.
///
/// Sums run in sixteen lanes of double precision that are added in a fixed order, whatever vector width the processor
/// has. Squares of 32-bit and narrower floats are exact, and a lane rounds once for every weight. So a sum of n squares
/// is off by at most (n / 16 + 4) · 2⁻⁵³ of itself. It is not finite if a weight is not, or if the squares of 64-bit
/// floats overflow.
#ifndef FROG_CKERNELS_NORMS_H
#define FROG_CKERNELS_NORMS_H

#include <stddef.h>
#include <stdint.h>

/// The sum of squares of `count` stored values, little-endian and at any alignment. Values of other types are decoded
/// to 64-bit floats first.
double frog_sum_of_squares_bf16(const void *source, size_t count);
double frog_sum_of_squares_f32(const void *source, size_t count);
double frog_sum_of_squares_f64(const void *source, size_t count);

/// A hash of 128 bits, by XXH3.
typedef struct {
  uint64_t low, high;
} frog_hash128;

/// The bytes of the state of a hash, which has to lie at a multiple of 64.
size_t frog_hash_state_bytes(void);
/// Starts a hash in memory of ``frog_hash_state_bytes`` bytes.
void frog_hash_begin(void *state);
/// Adds bytes. The hash does not depend on how they are divided among calls.
void frog_hash_add(void *state, const void *bytes, size_t count);
/// The hash of all bytes that have been added.
frog_hash128 frog_hash_end(const void *state);

#endif
