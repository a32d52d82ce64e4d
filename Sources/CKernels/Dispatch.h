// The mark of a loop that is compiled for several instruction sets, of which the loader picks the widest that the
// processor has. The default build of Swift packages targets SSE2 alone, which halves the rate of such loops or worse.
#if defined(__x86_64__) && defined(__GLIBC__)
#define FROG_DISPATCHED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FROG_DISPATCHED
#endif
