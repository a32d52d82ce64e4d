/// The decoding of stored weights to the two types that the solvers compute in.
///
/// Every function reads `count` little-endian values from `source` and writes `count` values to `destination`. `source`
/// need not be aligned. `destination` must be aligned and must not overlap `source`.
///
/// Widening is exact. `f64_to_f32` rounds to nearest, ties to even, and overflows to infinity. NaN stays NaN, with
/// unspecified payload and sign. `f8_e4m3` is the variant of the OCP, also called E4M3FN: it has no infinities, and NaN
/// only where all bits but the sign are set.
#ifndef FROG_CKERNELS_DECODE_H
#define FROG_CKERNELS_DECODE_H

#include <stddef.h>

void frog_decode_f8_e4m3_to_f32(const void *restrict source, float *restrict destination, size_t count);
void frog_decode_f8_e5m2_to_f32(const void *restrict source, float *restrict destination, size_t count);
void frog_decode_f16_to_f32(const void *restrict source, float *restrict destination, size_t count);
void frog_decode_bf16_to_f32(const void *restrict source, float *restrict destination, size_t count);
void frog_decode_f32_to_f32(const void *restrict source, float *restrict destination, size_t count);
void frog_decode_f64_to_f32(const void *restrict source, float *restrict destination, size_t count);

void frog_decode_f8_e4m3_to_f64(const void *restrict source, double *restrict destination, size_t count);
void frog_decode_f8_e5m2_to_f64(const void *restrict source, double *restrict destination, size_t count);
void frog_decode_f16_to_f64(const void *restrict source, double *restrict destination, size_t count);
void frog_decode_bf16_to_f64(const void *restrict source, double *restrict destination, size_t count);
void frog_decode_f32_to_f64(const void *restrict source, double *restrict destination, size_t count);
void frog_decode_f64_to_f64(const void *restrict source, double *restrict destination, size_t count);

/// Multiplies values[i] by scales[(i + offset) / block], and rounds each product once. The values are a row, or a part
/// of one, of a matrix whose columns share scales by blocks. Needs 0 <= offset < block.
void frog_scale_blocks_f32(
    float *restrict values, size_t count, const float *restrict scales, size_t block, size_t offset);
void frog_scale_blocks_f64(
    double *restrict values, size_t count, const float *restrict scales, size_t block, size_t offset);

/// Copies `count` runs of `length` bytes, each `stride` bytes after the one before, to consecutive places. Nothing need
/// be aligned.
void frog_gather(const void *restrict source, size_t length, size_t stride, void *restrict destination, size_t count);

#endif
