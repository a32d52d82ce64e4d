/// Random numbers that are a function of where they are used: of a seed, a stream and an index.
///
/// Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011): the seed is the key, stream and half the index are the counter,
/// each block of 128 bits serves two indices. Nothing depends on the order of calls, on the number of ranks, or on
/// the processor.
#ifndef FROG_CKERNELS_RANDOM_H
#define FROG_CKERNELS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/// A stream of its own for each tensor: XXH3 of its name. Uses of different kinds differ in their `purpose`.
uint64_t frog_random_stream(const void *name, size_t count, uint64_t purpose);

/// 64 bits each, of the indices first, first + 1, …
void frog_random_bits(uint64_t seed, uint64_t stream, uint64_t first, size_t count, uint64_t *bits);

/// +1 or -1.
void frog_random_signs(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float *signs);

/// Uniform in (0, 1): multiples of 2⁻²³, plus half of one.
void frog_random_uniform(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float *values);

/// values[i] = p·ln(scores[i]) + offset + G_i with G_i = -ln(-ln U_i) standard Gumbel: the K largest are a sample of K without
/// replacement, drawn in turn with probabilities in proportion to scores^p (Yellott 1977; Vieira 2014). The offset is p·ln c where
/// scores came in units of c.
///
/// A score of 0 counts as probability 0 (-infinity), but with p = 0 all are equal. A score that is infinite or NaN gives NaN.
void frog_gumbel_keys(
    uint64_t seed, uint64_t stream, uint64_t first, double p, double offset, const float *scores, size_t count,
    float *values);

#endif
