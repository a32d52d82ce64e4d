/// Passes over one panel of scores.
///
/// Floating-point sums run in sixteen lanes that are added in a fixed order, whatever vector width the processor has.
/// So a result does not depend on the processor that has computed it.
#ifndef FROG_CKERNELS_SCORES_H
#define FROG_CKERNELS_SCORES_H

#include <stddef.h>
#include <stdint.h>

/// A weight that may be selected: its position in its panel (row-major), and the key of its score (``frog_key``).
typedef struct {
  uint32_t position;
  uint32_t key;
} frog_candidate;

/// values[i] = |values[i]|
void frog_absolute(float *values, size_t count);

/// Adds every element of `row` to that of `sums`, and the squares of all to `*squares`. Returns the sum of the row.
double frog_row_moments(const float *row, size_t count, double *sums, double *squares);

/// totals[i] += factor · row[i]
void frog_add_scaled(const float *row, size_t count, double factor, double *totals);

/// The sum of row[i] · factors[i].
double frog_dot(const float *row, const double *factors, size_t count);

/// quotients[i] = values[i] / (factor · factors[i]), or / factor if `factors` is null; 0 where the divisor is 0.
void frog_divide(const float *values, size_t count, float factor, const float *factors, float *quotients);

/// values[i] *= factors[i]
void frog_multiply(float *values, size_t count, const float *factors);

/// The sum of row[i]².
double frog_squares(const float *row, size_t count);

/// totals[i] += row[i]²
void frog_add_squares(const float *row, size_t count, double *totals);

/// products[i] = factor · factors[i]
void frog_outer(float factor, const float *factors, size_t count, float *products);

/// Whether any of `count` values is infinite or NaN.
int frog_any_non_finite(const float *values, size_t count);

/// The index of the first of `count` values that is negative, infinite or NaN; -1 if there is none.
ptrdiff_t frog_first_unfit(const float *values, size_t count);

/// The **key** of a value: the bits of the 32-bit float, of which all are flipped if the value is negative, and the
/// sign alone if not. Keys have the order of their values.
static inline uint32_t frog_key(uint32_t bits) { return bits >> 31 ? ~bits : bits | 0x80000000u; }

/// The bits of the value that has this key.
static inline uint32_t frog_bits(uint32_t key) { return key >> 31 ? key & 0x7fffffffu : ~key; }

/// Counts the keys of `count` values in 65,536 `bins`, by their upper 16 bits.
void frog_count(const float *values, size_t count, int64_t *bins);

/// Counts as ``frog_count`` does, and adds every score to that of 4,096 `sums` which the upper 12 bits of its value's key
/// name. The sums of a call are formed in four lanes before they are added.
void frog_count_and_add(const float *values, const float *scores, size_t count, int64_t *bins, double *sums);

/// Writes those of `count` values whose key is at least `bound` to `kept`, which has room for `count`. Positions are
/// counted from `first`. Returns the number of values written.
size_t frog_keep(const float *values, size_t count, uint32_t first, uint32_t bound, frog_candidate *kept);

#endif
