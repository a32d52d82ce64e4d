#include "CKernelsScores.h"

#include <math.h>
#include <string.h>

#include "Dispatch.h"
#include "Lanes.h"

#pragma STDC FP_CONTRACT OFF

FROG_DISPATCHED
void frog_absolute(float *values, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] = fabsf(values[i]);
}

FROG_DISPATCHED
double frog_row_moments(const float *row, size_t count, double *restrict sums, double *squares) {
  double sum[lanes] = {0}, square[lanes] = {0};
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (size_t l = 0; l < lanes; l++) {
      double value = row[i + l];
      sums[i + l] += value;
      sum[l] += value;
      square[l] += value * value;
    }
  }
  for (size_t l = 0; i + l < count; l++) {
    double value = row[i + l];
    sums[i + l] += value;
    sum[l] += value;
    square[l] += value * value;
  }
  *squares += sum_of_lanes(square);
  return sum_of_lanes(sum);
}

FROG_DISPATCHED
void frog_add_scaled(const float *row, size_t count, double factor, double *restrict totals) {
  for (size_t i = 0; i < count; i++) totals[i] += factor * row[i];
}

FROG_DISPATCHED
double frog_dot(const float *row, const double *factors, size_t count) {
  double sum[lanes] = {0};
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (size_t l = 0; l < lanes; l++) sum[l] += factors[i + l] * row[i + l];
  }
  for (size_t l = 0; i + l < count; l++) sum[l] += factors[i + l] * row[i + l];
  return sum_of_lanes(sum);
}

FROG_DISPATCHED
void frog_divide(
    const float *restrict values, size_t count, float factor, const float *factors, float *restrict quotients) {
  for (size_t i = 0; i < count; i++) {
    float divisor = factors ? factor * factors[i] : factor;
    quotients[i] = divisor > 0 ? values[i] / divisor : 0;
  }
}

FROG_DISPATCHED
void frog_multiply(float *restrict values, size_t count, const float *restrict factors) {
  for (size_t i = 0; i < count; i++) values[i] *= factors[i];
}

FROG_DISPATCHED
double frog_squares(const float *row, size_t count) {
  double square[lanes] = {0};
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (size_t l = 0; l < lanes; l++) square[l] += (double)row[i + l] * row[i + l];
  }
  for (size_t l = 0; i + l < count; l++) square[l] += (double)row[i + l] * row[i + l];
  return sum_of_lanes(square);
}

FROG_DISPATCHED
void frog_add_squares(const float *restrict row, size_t count, double *restrict totals) {
  for (size_t i = 0; i < count; i++) totals[i] += (double)row[i] * row[i];
}

FROG_DISPATCHED
void frog_outer(float factor, const float *restrict factors, size_t count, float *restrict products) {
  for (size_t i = 0; i < count; i++) products[i] = factor * factors[i];
}

FROG_DISPATCHED
int frog_any_non_finite(const float *values, size_t count) {
  int found = 0;
  for (size_t i = 0; i < count; i++) found |= !(fabsf(values[i]) <= 3.40282347e38f);
  return found;
}

ptrdiff_t frog_first_unfit(const float *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!(values[i] >= 0 && values[i] <= 3.40282347e38f)) return (ptrdiff_t)i;
  }
  return -1;
}

void frog_count(const float *values, size_t count, int64_t *bins) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    bins[frog_key(bits) >> 16]++;
  }
}

void frog_count_and_add(const float *values, const float *scores, size_t count, int64_t *bins, double *sums) {
  enum { coarse_bins = 1 << 12, sum_lanes = 4 };
  // Scores near each other share a bin. With one lane each addition would wait for the one before.
  double sum[sum_lanes][coarse_bins] = {{0}};
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    uint32_t key = frog_key(bits);
    bins[key >> 16]++;
    sum[i % sum_lanes][key >> 20] += scores[i];
  }
  for (size_t b = 0; b < coarse_bins; b++) sums[b] += (sum[0][b] + sum[1][b]) + (sum[2][b] + sum[3][b]);
}

FROG_DISPATCHED
size_t frog_keep(
    const float *restrict values, size_t count, uint32_t first, uint32_t bound, frog_candidate *restrict kept) {
  size_t found = 0;
  for (size_t i = 0; i < count; i += lanes) {
    size_t width = count - i < lanes ? count - i : lanes;
    uint32_t key[lanes];
    memcpy(key, values + i, width * sizeof *key);
    for (size_t l = 0; l < width; l++) key[l] = frog_key(key[l]);
    // Few values reach the bound once it has risen, so sixteen are tested at once before each is.
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
