#include "CKernelsRandom.h"

#include <math.h>
#include <xxhash.h>

#include "CKernelsLogarithm.h"
#include "Dispatch.h"

#pragma STDC FP_CONTRACT OFF

enum { batch = 256 };

typedef struct {
  uint32_t word[4];
} block;

static inline block philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53 * c0, b = (uint64_t)0xCD9E8D57 * c2;
    uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)b;
    c3 = (uint32_t)a;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return (block){{c0, c1, c2, c3}};
}

uint64_t frog_random_stream(const void *name, size_t count, uint64_t purpose) {
  return XXH3_64bits_withSeed(name, count, purpose);
}

FROG_DISPATCHED
void frog_random_bits(uint64_t seed, uint64_t stream, uint64_t first, size_t count, uint64_t *bits) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
  size_t i = 0;
  if (first % 2 == 1 && count > 0) {
    block out = philox((uint32_t)(first / 2), (uint32_t)(first / 2 >> 32), c2, c3, k0, k1);
    bits[i++] = (uint64_t)out.word[3] << 32 | out.word[2];
  }
  size_t pairs = (count - i) / 2;
  uint64_t start = (first + i) / 2;
  for (size_t j = 0; j < pairs; j++) {
    uint64_t counter = start + j;
    block out = philox((uint32_t)counter, (uint32_t)(counter >> 32), c2, c3, k0, k1);
    bits[i + 2 * j] = (uint64_t)out.word[1] << 32 | out.word[0];
    bits[i + 2 * j + 1] = (uint64_t)out.word[3] << 32 | out.word[2];
  }
  i += 2 * pairs;
  if (i < count) {
    uint64_t counter = start + pairs;
    block out = philox((uint32_t)counter, (uint32_t)(counter >> 32), c2, c3, k0, k1);
    bits[i] = (uint64_t)out.word[1] << 32 | out.word[0];
  }
}

void frog_random_signs(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float *signs) {
  uint64_t bits[batch];
  for (size_t start = 0; start < count; start += batch) {
    size_t part = count - start < batch ? count - start : batch;
    frog_random_bits(seed, stream, first + start, part, bits);
    for (size_t i = 0; i < part; i++) signs[start + i] = bits[i] >> 63 ? -1.0f : 1.0f;
  }
}

void frog_random_uniform(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float *values) {
  uint64_t bits[batch];
  for (size_t start = 0; start < count; start += batch) {
    size_t part = count - start < batch ? count - start : batch;
    frog_random_bits(seed, stream, first + start, part, bits);
    for (size_t i = 0; i < part; i++) values[start + i] = ((float)(bits[i] >> 41) + 0.5f) * 0x1p-23f;
  }
}

FROG_DISPATCHED
void frog_gumbel_keys(
    uint64_t seed, uint64_t stream, uint64_t first, double p, double offset, const float *scores, size_t count,
    float *values) {
  uint64_t bits[batch];
  for (size_t start = 0; start < count; start += batch) {
    size_t part = count - start < batch ? count - start : batch;
    frog_random_bits(seed, stream, first + start, part, bits);
    for (size_t i = 0; i < part; i++) {
      // Multiples of 2^-52 plus a half, which are never 0 and never 1.
      double u = ((double)(bits[i] >> 12) + 0.5) * 0x1p-52;
      double gumbel = -frog_log(-frog_log(u));
      float score = scores[start + i];
      double value = p == 0 ? gumbel : p * frog_log(score > 0 ? (double)score : 1.0) + offset + gumbel;
      value = p != 0 && score == 0 ? -INFINITY : value;
      values[start + i] = score - score == 0 ? (float)value : NAN;
    }
  }
}
