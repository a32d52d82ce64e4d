#include "CKernelsDecode.h"

#include <stdint.h>
#include <string.h>

#include "Dispatch.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors is little-endian and so is this decoder"
#endif

// memcpy is how C reads an unaligned value; it compiles to one load and vectorizes.
static inline __attribute__((always_inline)) float f32_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline __attribute__((always_inline)) float load_bf16(const char *source) {
  uint16_t half;
  memcpy(&half, source, sizeof half);
  return f32_from_bits((uint32_t)half << 16);
}

// The exponent bias differs by 127 - 15 = 112. Normal numbers only need it added; infinity and NaN
// have exponent 31, which must become 255, so they need 112 more. A subnormal is mantissa · 2^-24:
// with exponent 113 its bits spell 2^-14 + mantissa · 2^-24, and subtracting 2^-14 is exact. No step
// makes or reads a subnormal float, so the result is right even where a library has set
// flush-to-zero. Integer selects rather than the F16C instruction, since SSE2 has none and a library
// call per value is slow; the loop vectorizes on all three.
static inline __attribute__((always_inline)) float load_f16(const char *source) {
  uint16_t half;
  memcpy(&half, source, sizeof half);
  const uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
  const uint32_t exponent = magnitude & 0x0f800000;
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  const uint32_t normal = magnitude + (112u << 23);
  const uint32_t special = normal + (112u << 23);
  const float subnormal = f32_from_bits(magnitude + (113u << 23)) - f32_from_bits(113u << 23);
  uint32_t subnormal_bits;
  memcpy(&subnormal_bits, &subnormal, sizeof subnormal_bits);
  const uint32_t finite = exponent == 0 ? subnormal_bits : normal;
  return f32_from_bits(sign | (exponent == 0x0f800000 ? special : finite));
}

static inline __attribute__((always_inline)) float load_f32(const char *source) {
  float value;
  memcpy(&value, source, sizeof value);
  return value;
}

static inline __attribute__((always_inline)) double load_f64(const char *source) {
  double value;
  memcpy(&value, source, sizeof value);
  return value;
}

#define DECODE(name, load, bytes, type)                                                  \
  FROG_DISPATCHED void name(const void *restrict source, type *restrict destination, size_t count) { \
    const char *from = source;                                                           \
    for (size_t i = 0; i < count; i++) destination[i] = (type)load(from + i * bytes);     \
  }

DECODE(frog_decode_f16_to_f32, load_f16, 2, float)
DECODE(frog_decode_bf16_to_f32, load_bf16, 2, float)
DECODE(frog_decode_f64_to_f32, load_f64, 8, float)
DECODE(frog_decode_f16_to_f64, load_f16, 2, double)
DECODE(frog_decode_bf16_to_f64, load_bf16, 2, double)
DECODE(frog_decode_f32_to_f64, load_f32, 4, double)

void frog_decode_f32_to_f32(const void *restrict source, float *restrict destination, size_t count) {
  memcpy(destination, source, count * sizeof *destination);
}

void frog_decode_f64_to_f64(const void *restrict source, double *restrict destination, size_t count) {
  memcpy(destination, source, count * sizeof *destination);
}
