/// Random numbers that are a function of a seed, a stream and an index.
///
/// The function is Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011). The seed is the key. The stream and half the
/// index are the counter, and each block of 128 bits serves two indices. Nothing depends on the order of calls, on the
/// number of ranks, or on the processor.
#ifndef FROG_CKERNELS_RANDOM_H
#define FROG_CKERNELS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/// The stream of a tensor, which is XXH3 of its name. Different uses of a tensor's random numbers have a different
/// `purpose`.
uint64_t frog_random_stream(const void *name, size_t count, uint64_t purpose);

/// Writes 64 random bits for each of the indices first, first + 1, …
void frog_random_bits(uint64_t seed, uint64_t stream, uint64_t first, size_t count, uint64_t *bits);

/// Writes random signs, +1 or -1.
void frog_random_signs(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float *signs);

/// Writes random numbers spread evenly over (0, 1): multiples of 2⁻²³ plus half of that.
void frog_random_uniform(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float *values);

/// Writes random keys whose K largest choose K elements without replacement, drawn in turn with probabilities in
/// proportion to scores^p (Yellott 1977; Vieira 2014).
///
/// values[i] = p·ln(scores[i]) + offset + G_i, where G_i = -ln(-ln U_i) has the standard Gumbel distribution. The
/// offset is p·ln c where the scores are in units of c. A score of 0 has probability 0 and gives -infinity; with p = 0
/// all scores count alike. A score that is infinite or NaN gives NaN.
void frog_gumbel_keys(
    uint64_t seed, uint64_t stream, uint64_t first, double p, double offset, const float *scores, size_t count,
    float *values);

#endif
