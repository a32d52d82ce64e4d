#include "CKernelsScores.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "Dispatch.h"

#pragma STDC FP_CONTRACT OFF

enum { lanes = 16 };

/// Pairwise, in a fixed order.
static inline double sum_of_lanes(double *lane) {
  for (size_t half = lanes / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; i++) lane[i] += lane[i + half];
  }
  return lane[0];
}

FROG_DISPATCHED
void frog_absolute(float *values, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] = fabsf(values[i]);
}

FROG_DISPATCHED
double frog_row_moments(const float *row, size_t count, double *restrict column_sums, double *squares) {
  double sum[lanes] = {0}, square[lanes] = {0};
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (size_t l = 0; l < lanes; l++) {
      double value = row[i + l];
      column_sums[i + l] += value;
      sum[l] += value;
      square[l] += value * value;
    }
  }
  for (size_t l = 0; i + l < count; l++) {
    double value = row[i + l];
    column_sums[i + l] += value;
    sum[l] += value;
    square[l] += value * value;
  }
  *squares += sum_of_lanes(square);
  return sum_of_lanes(sum);
}

void frog_count(const float *scores, size_t count, int64_t *bins) {
  for (size_t i = 0; i < count; i++) {
    uint32_t key;
    memcpy(&key, scores + i, sizeof key);
    bins[key >> 16]++;
  }
}

FROG_DISPATCHED
size_t frog_keep(
    const float *restrict scores, size_t count, uint32_t first, uint32_t bound, frog_candidate *restrict kept) {
  size_t found = 0;
  for (size_t i = 0; i < count; i += lanes) {
    size_t width = count - i < lanes ? count - i : lanes;
    uint32_t key[lanes];
    memcpy(key, scores + i, width * sizeof *key);
    // Few scores reach the bound once it has risen: look at sixteen at once before looking at each.
    uint32_t any = 0;
    for (size_t l = 0; l < width; l++) any |= key[l] >= bound;
    if (!any) continue;
    for (size_t l = 0; l < width; l++) {
      kept[found] = (frog_candidate){first + (uint32_t)(i + l), key[l]};
      found += key[l] >= bound;
    }
  }
  return found;
}

FROG_DISPATCHED
double frog_sum_of_squares(const double *values, size_t count) {
  double square[lanes] = {0};
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (size_t l = 0; l < lanes; l++) square[l] += values[i + l] * values[i + l];
  }
  for (size_t l = 0; i + l < count; l++) square[l] += values[i + l] * values[i + l];
  return sum_of_lanes(square);
}

frog_hash128 frog_hash(const void *bytes, size_t count) {
  XXH128_hash_t hash = XXH3_128bits(bytes, count);
  return (frog_hash128){hash.low64, hash.high64};
}
