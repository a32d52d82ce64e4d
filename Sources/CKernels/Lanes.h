// The lanes that sums run in. They are added pairwise in a fixed order, so a result does not depend on the vector width
// of the processor.
#include <stddef.h>

enum { lanes = 16 };

static inline double sum_of_lanes(double *lane) {
  for (size_t half = lanes / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; i++) lane[i] += lane[i + half];
  }
  return lane[0];
}
