/// Passes over stored weights: sums of squares and hashes.
///
/// Sums run in sixteen lanes of double precision that are added in a fixed order, whatever vector width the
/// processor has. Squares of 32-bit and narrower floats are exact; each lane rounds once for every weight, so a sum
/// of n squares is off by at most (n / 16 + 4) · 2⁻⁵³ of itself. It is not finite if a weight is not, or if the
/// squares of 64-bit floats overflow.
#ifndef FROG_CKERNELS_NORMS_H
#define FROG_CKERNELS_NORMS_H

#include <stddef.h>
#include <stdint.h>

/// Σ v² of `count` little-endian values v as they are stored, at any alignment. Other types are decoded to
/// 64-bit floats first.
double frog_sum_of_squares_bf16(const void *source, size_t count);
double frog_sum_of_squares_f32(const void *source, size_t count);
double frog_sum_of_squares_f64(const void *source, size_t count);

/// XXH3, 128 bits.
typedef struct {
  uint64_t low, high;
} frog_hash128;

/// Bytes of a hash under way, which has to lie at a multiple of 64.
size_t frog_hash_state_bytes(void);
/// Starts a hash, in memory of ``frog_hash_state_bytes``.
void frog_hash_begin(void *state);
/// Adds bytes; how they are divided among calls does not matter.
void frog_hash_add(void *state, const void *bytes, size_t count);
/// The hash of all bytes added.
frog_hash128 frog_hash_end(const void *state);

#endif
