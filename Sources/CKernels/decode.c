#include "CKernelsDecode.h"

#include <stdint.h>
#include <string.h>

#include "Dispatch.h"
#include "Loads.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors is little-endian and so is this decoder"
#endif

// Widens an F16. The exponent biases differ by 127 - 15 = 112:
//
// - A normal number only needs 112 added to its exponent.
// - Infinity and NaN have exponent 31, which must become 255, so they need 112 more.
// - A subnormal is mantissa · 2^-24. With exponent 113 its bits spell 2^-14 + mantissa · 2^-24, and subtracting 2^-14
//   is exact.
//
// No step makes or reads a subnormal float, so the result is right even where a library has set flush-to-zero. The
// cases are chosen by integer selects, which vectorize for every instruction set. SSE2 has no instruction for F16, and
// a library call for each value is slow.
static inline __attribute__((always_inline)) float f32_from_f16(uint16_t half) {
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

static inline __attribute__((always_inline)) float load_f16(const char *source) {
  uint16_t half;
  memcpy(&half, source, sizeof half);
  return f32_from_f16(half);
}

// Widens an E5M2, which is the upper byte of an F16: the same exponent, and two of its ten mantissa bits.
static inline __attribute__((always_inline)) float load_f8_e5m2(const char *source) {
  return f32_from_f16((uint16_t)((uint16_t)(uint8_t)*source << 8));
}

// Widens an E4M3 of the OCP, in the way of F16. The bias is 7 (127 - 7 = 120), and a subnormal is mantissa · 2^-9. The
// largest exponent is an ordinary one, with values up to 448 = 1.75 · 2^8; only a code of all ones is NaN.
static inline __attribute__((always_inline)) float load_f8_e4m3(const char *source) {
  const uint32_t code = (uint8_t)*source;
  const uint32_t magnitude = (code & 0x7f) << 20;
  const uint32_t sign = (code & 0x80) << 24;
  const uint32_t normal = magnitude + (120u << 23);
  const float subnormal = f32_from_bits(magnitude + (121u << 23)) - f32_from_bits(121u << 23);
  uint32_t subnormal_bits;
  memcpy(&subnormal_bits, &subnormal, sizeof subnormal_bits);
  const uint32_t finite = magnitude < (1u << 23) ? subnormal_bits : normal;
  return f32_from_bits(sign | (magnitude == (0x7fu << 20) ? 0x7fc00000 : finite));
}

#define DECODE(name, load, bytes, type)                                                  \
  FROG_DISPATCHED void name(const void *restrict source, type *restrict destination, size_t count) { \
    const char *from = source;                                                           \
    for (size_t i = 0; i < count; i++) destination[i] = (type)load(from + i * bytes);     \
  }

DECODE(frog_decode_f8_e4m3_to_f32, load_f8_e4m3, 1, float)
DECODE(frog_decode_f8_e5m2_to_f32, load_f8_e5m2, 1, float)
DECODE(frog_decode_f16_to_f32, load_f16, 2, float)
DECODE(frog_decode_bf16_to_f32, load_bf16, 2, float)
DECODE(frog_decode_f64_to_f32, load_f64, 8, float)
DECODE(frog_decode_f8_e4m3_to_f64, load_f8_e4m3, 1, double)
DECODE(frog_decode_f8_e5m2_to_f64, load_f8_e5m2, 1, double)
DECODE(frog_decode_f16_to_f64, load_f16, 2, double)
DECODE(frog_decode_bf16_to_f64, load_bf16, 2, double)
DECODE(frog_decode_f32_to_f64, load_f32, 4, double)

void frog_decode_f32_to_f32(const void *restrict source, float *restrict destination, size_t count) {
  memcpy(destination, source, count * sizeof *destination);
}

void frog_decode_f64_to_f64(const void *restrict source, double *restrict destination, size_t count) {
  memcpy(destination, source, count * sizeof *destination);
}

#define SCALE(name, type)                                                                       \
  FROG_DISPATCHED void name(type *restrict values, size_t count, const float *restrict scales,   \
                            size_t block, size_t offset) {                                       \
    if (block == 1) {                                                                            \
      for (size_t i = 0; i < count; i++) values[i] *= (type)scales[i];                           \
      return;                                                                                    \
    }                                                                                            \
    size_t room = block - offset;                                                                \
    for (size_t i = 0; i < count; room = block) {                                                \
      const size_t end = room < count - i ? i + room : count;                                    \
      const type scale = (type)*scales++;                                                        \
      for (; i < end; i++) values[i] *= scale;                                                   \
    }                                                                                            \
  }

SCALE(frog_scale_blocks_f32, float)
SCALE(frog_scale_blocks_f64, double)

// Constant sizes turn memcpy into a load and a store. A stride of two elements, by which gate and up weights alternate
// in gpt-oss, vectorizes too.
#define GATHER(bytes)                                                                            \
  case bytes:                                                                                    \
    if (stride == 2 * bytes) {                                                                   \
      for (size_t i = 0; i < count; i++) memcpy(to + i * bytes, from + i * 2 * bytes, bytes);    \
    } else {                                                                                     \
      for (size_t i = 0; i < count; i++) memcpy(to + i * bytes, from + i * stride, bytes);       \
    }                                                                                            \
    break;

FROG_DISPATCHED
void frog_gather(const void *restrict source, size_t length, size_t stride, void *restrict destination, size_t count) {
  const char *from = source;
  char *to = destination;
  switch (length) {
    GATHER(1)
    GATHER(2)
    GATHER(4)
    GATHER(8)
    default:
      for (size_t i = 0; i < count; i++) memcpy(to + i * length, from + i * stride, length);
  }
}
