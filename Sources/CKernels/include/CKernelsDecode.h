/// Decoding of stored weights to the two types the solvers compute in.
///
/// Every function reads `count` little-endian values from `source`, which need not be aligned, and
/// writes `count` values to `destination`, which must be and must not overlap `source`. Widening is
/// exact. `f64_to_f32` rounds to nearest, ties to even, and overflows to infinity. NaN stays NaN; its
/// payload and sign are unspecified.
#ifndef FROG_CKERNELS_DECODE_H
#define FROG_CKERNELS_DECODE_H

#include <stddef.h>

void frog_decode_f16_to_f32(const void *restrict source, float *restrict destination, size_t count);
void frog_decode_bf16_to_f32(const void *restrict source, float *restrict destination, size_t count);
void frog_decode_f32_to_f32(const void *restrict source, float *restrict destination, size_t count);
void frog_decode_f64_to_f32(const void *restrict source, float *restrict destination, size_t count);

void frog_decode_f16_to_f64(const void *restrict source, double *restrict destination, size_t count);
void frog_decode_bf16_to_f64(const void *restrict source, double *restrict destination, size_t count);
void frog_decode_f32_to_f64(const void *restrict source, double *restrict destination, size_t count);
void frog_decode_f64_to_f64(const void *restrict source, double *restrict destination, size_t count);

#endif
