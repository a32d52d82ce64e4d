// Loads of stored values, little-endian and at any alignment. memcpy is C's way to read an unaligned value. It compiles
// to one load, and vectorizes.
#include <stdint.h>
#include <string.h>

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
