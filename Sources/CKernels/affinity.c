#define _GNU_SOURCE
#include "CKernelsAffinity.h"

#include <sched.h>
#include <string.h>

int frog_affinity(uint64_t *words, size_t count) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return -1;
  size_t size = count * sizeof *words < sizeof set ? count * sizeof *words : sizeof set;
  memset(words, 0, count * sizeof *words);
  memcpy(words, &set, size);
  return 0;
#else
  return -1;
#endif
}
