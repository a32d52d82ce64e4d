/// Passes over one panel of scores, and over blocks of weights.
///
/// Floating-point sums run in sixteen lanes that are added in a fixed order, whatever vector width the
/// processor has: a result does not depend on where it was computed.
#ifndef FROG_CKERNELS_SCORES_H
#define FROG_CKERNELS_SCORES_H

#include <stddef.h>
#include <stdint.h>

/// A score that may be selected: where it lies in its panel (row-major), and its order-preserving key.
typedef struct {
  uint32_t position;
  uint32_t key;
} frog_candidate;

/// values[i] = |values[i]|
void frog_absolute(float *values, size_t count);

/// Row `row` of a panel: adds every element to `column_sums`, returns its sum, adds its squares to `*squares`.
double frog_row_moments(const float *row, size_t count, double *column_sums, double *squares);

/// Counts the keys of `count` non-negative scores by their upper 16 bits in `bins`, 65,536 of them.
void frog_count(const float *scores, size_t count, int64_t *bins);

/// Writes those of `count` scores whose key is at least `bound` to `kept`, which has room for `count`;
/// positions start at `first`. Returns how many there are.
size_t frog_keep(const float *scores, size_t count, uint32_t first, uint32_t bound, frog_candidate *kept);

/// Σ values², exact in every product if the values come from 32-bit floats or narrower.
double frog_sum_of_squares(const double *values, size_t count);

/// XXH3, 128 bits, of `count` bytes.
typedef struct {
  uint64_t low, high;
} frog_hash128;
frog_hash128 frog_hash(const void *bytes, size_t count);

#endif
