/// A logarithm and an exponential that are the same to the last bit on every machine.
///
/// Those of the C library differ between versions and between processors, of which one fuses an operation that another
/// does not. The files that frog-mpi writes must not differ.
#ifndef FROG_CKERNELS_LOGARITHM_H
#define FROG_CKERNELS_LOGARITHM_H

#include <stdint.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

/// The natural logarithm of a positive, finite, normal number, within 2 units in the last place.
static inline double frog_log(double x) {
  // x = m·2^e with m in [√½, √2); ln m = 2·atanh(s), s = (m - 1) / (m + 1), |s| < 0.172.
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint64_t offset = bits - 0x3FE6A09E667F3BCD;
  double exponent = (double)(int32_t)((int64_t)offset >> 52);
  bits -= offset & 0xFFF0000000000000;
  double m;
  memcpy(&m, &bits, sizeof m);
  double f = m - 1, s = f / (m + 1), z = s * s;
  double series = 1.0 / 21;
  series = series * z + 1.0 / 19;
  series = series * z + 1.0 / 17;
  series = series * z + 1.0 / 15;
  series = series * z + 1.0 / 13;
  series = series * z + 1.0 / 11;
  series = series * z + 1.0 / 9;
  series = series * z + 1.0 / 7;
  series = series * z + 1.0 / 5;
  series = series * z + 1.0 / 3;
  // ln m = f - s·f + 2s·z·series, the first term exact; ln 2 in two pieces, of which the upper times e is exact.
  double low = 2 * s * (z * series) + exponent * 1.90821492927058770002e-10;
  return exponent * 6.93147180369123816490e-01 + (f - (s * f - low));
}

/// e^x for |x| < 700, within 2 units in the last place.
static inline double frog_exp(double x) {
  double scaled = x * 1.44269504088896338700;
  int64_t exponent = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  double r = (x - (double)exponent * 6.93147180369123816490e-01) - (double)exponent * 1.90821492927058770002e-10;
  double series = 1;
  for (int n = 14; n > 0; n--) series = 1 + r / n * series;
  uint64_t bits = (uint64_t)(exponent + 1023) << 52;
  double power;
  memcpy(&power, &bits, sizeof power);
  return series * power;
}

#endif
