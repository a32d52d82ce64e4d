// Eigensolvers that lie, for LD_PRELOAD: the real routine is called, and its result spoilt.
//
//   cc -shared -fPIC -O1 -o lapack.so lapack.c -ldl
//   FROG_LAPACK_FAULT=dstedc:swap:3          the third call of dstedc in each process
//   FROG_LAPACK_FAULT=dstedc:nan:*,dsyev:info:1   every call of one, the first of another
//   FROG_LAPACK_RANK=1                       in that rank of MPI_COMM_WORLD alone
//   FROG_LAPACK_MIN_ORDER=100                smaller matrices are neither spoilt nor counted
//   FROG_LAPACK_LOG=FILE                     gets a line "routine order call kind" for each call of a routine below, kind - if it is not spoilt
//
// Routines: dstedc, sstedc, dsterf, dsyev, ssyev, dsyevd, pdsyevd, pssyevd, pdsyev, pssyev, dgeqrf, dgesdd. Kinds:
//   info    reports failure
//   swap    exchanges two eigenvectors
//   rotate  turns two eigenvectors by 45° in their plane: orthonormal still, but no eigenvectors
//   stretch makes one eigenvector longer by a tenth
//   scale   makes the largest eigenvalue larger by a tenth
//   nan     makes one eigenvector NaN
//   raise   raises SIGINT, as OpenBLAS does when it cannot start a thread
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { NONE, INFO, SWAP, ROTATE, STRETCH, SCALE, NOT_A_NUMBER, RAISE };
static const char *const kinds[] = {"-", "info", "swap", "rotate", "stretch", "scale", "nan", "raise"};

static void *real(const char *symbol) {
  void *found = dlsym(RTLD_NEXT, symbol);
  if (!found) {
    fprintf(stderr, "lapack.c: no symbol %s\n", symbol);
    abort();
  }
  return found;
}

// What to do to this call of `routine`, which counts it.
static enum kind fault(const char *routine, int order, int *calls) {
  const char *least = getenv("FROG_LAPACK_MIN_ORDER");
  if (least && order < atoi(least)) return NONE;
  int call = ++*calls;
  enum kind result = NONE;
  const char *only = getenv("FROG_LAPACK_RANK"), *rank = getenv("OMPI_COMM_WORLD_RANK");
  const char *asked = getenv("FROG_LAPACK_FAULT");
  if (asked && (!only || (rank && strcmp(only, rank) == 0))) {
    char copy[256], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", asked);
    for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
      char name[32], kind[32], which[32];
      if (sscanf(part, "%31[^:]:%31[^:]:%31s", name, kind, which) != 3) abort();
      if (strcmp(name, routine) != 0 || (strcmp(which, "*") != 0 && atoi(which) != call)) continue;
      for (int k = INFO; k <= RAISE; k++)
        if (strcmp(kind, kinds[k]) == 0) result = k;
      if (result == NONE) abort();
    }
  }
  const char *path = getenv("FROG_LAPACK_LOG");
  FILE *log = path ? fopen(path, "a") : NULL;
  if (log) {
    fprintf(log, "%s %d %d %s\n", routine, order, call, kinds[result]);
    fclose(log);
  }
  if (result == RAISE) raise(SIGINT);
  return result;
}

// Spoils `order` values and a rank's part of the vectors, `rows` × `columns`: the first and the last column of it.
#define SPOIL(T, spoil)                                                                                           \
  static void spoil(enum kind kind, int order, T *values, T *vectors, int rows, int columns, int ld, int *info) { \
    T *first = vectors, *last = vectors + (size_t)ld * (size_t)(columns > 0 ? columns - 1 : 0);                   \
    if (kind == INFO) *info = 1;                                                                                  \
    if (kind == SCALE && order > 0) values[order - 1] *= (T)1.1;                                                  \
    for (int i = 0; i < rows && columns > 0; i++) {                                                               \
      T a = first[i], b = last[i];                                                                                \
      if (kind == SWAP) first[i] = b, last[i] = a;                                                                \
      if (kind == ROTATE) first[i] = (T)M_SQRT1_2 * (a - b), last[i] = (T)M_SQRT1_2 * (a + b);                    \
      if (kind == STRETCH) last[i] = (T)1.1 * b;                                                                  \
      if (kind == NOT_A_NUMBER) first[i] = (T)NAN;                                                                \
    }                                                                                                             \
  }
SPOIL(double, spoil_double)
SPOIL(float, spoil_float)

#define LOCAL(T, p, spoil)                                                                                        \
  void p##stedc_(const char *job, const int *n, T *d, T *e, T *z, const int *ldz, T *work, const int *lwork,      \
                 int *iwork, const int *liwork, int *info, size_t length) {                                       \
    static int calls;                                                                                             \
    enum kind kind = fault(#p "stedc", *n, &calls);                                                               \
    ((void (*)(const char *, const int *, T *, T *, T *, const int *, T *, const int *, int *, const int *,       \
               int *, size_t))real(#p "stedc_"))(job, n, d, e, z, ldz, work, lwork, iwork, liwork, info, length); \
    spoil(kind, *n, d, z, *n, *n, *ldz, info);                                                                    \
  }                                                                                                               \
  void p##syev_(const char *job, const char *uplo, const int *n, T *a, const int *lda, T *w, T *work,             \
                const int *lwork, int *info, size_t first, size_t second) {                                       \
    static int calls;                                                                                             \
    enum kind kind = fault(#p "syev", *n, &calls);                                                                \
    ((void (*)(const char *, const char *, const int *, T *, const int *, T *, T *, const int *, int *, size_t,   \
               size_t))real(#p "syev_"))(job, uplo, n, a, lda, w, work, lwork, info, first, second);              \
    spoil(kind, *n, w, a, *n, *n, *lda, info);                                                                    \
  }
LOCAL(double, d, spoil_double)
LOCAL(float, s, spoil_float)

void dsyevd_(const char *job, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info, size_t first, size_t second) {
  static int calls;
  enum kind kind = fault("dsyevd", *n, &calls);
  ((void (*)(const char *, const char *, const int *, double *, const int *, double *, double *, const int *, int *,
             const int *, int *, size_t, size_t))real("dsyevd_"))(
      job, uplo, n, a, lda, w, work, lwork, iwork, liwork, info, first, second);
  spoil_double(kind, *n, w, a, *n, *n, *lda, info);
}

// No vectors here.
void dsterf_(const int *n, double *d, double *e, int *info) {
  static int calls;
  enum kind kind = fault("dsterf", *n, &calls);
  ((void (*)(const int *, double *, double *, int *))real("dsterf_"))(n, d, e, info);
  spoil_double(kind, *n, d, d, 0, 0, 1, info);
}

// The left vectors.
void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s, double *u, const int *ldu,
             double *vt, const int *ldvt, double *work, const int *lwork, int *iwork, int *info, size_t length) {
  static int calls;
  enum kind kind = fault("dgesdd", *n, &calls);
  ((void (*)(const char *, const int *, const int *, double *, const int *, double *, double *, const int *, double *,
             const int *, double *, const int *, int *, int *, size_t))real("dgesdd_"))(
      job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork, iwork, info, length);
  spoil_double(kind, *n, s, u, *n, *n, *ldu, info);
}

// The factors only; whatever the kind, the first of R's columns, with the reflector below it, becomes longer.
void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *lwork, int *info) {
  static int calls;
  enum kind kind = fault("dgeqrf", *m, &calls);
  ((void (*)(const int *, const int *, double *, const int *, double *, double *, const int *, int *))real("dgeqrf_"))(
      m, n, a, lda, tau, work, lwork, info);
  if (kind == INFO) *info = 1;
  else if (kind != NONE && *n > 0) tau[0] *= 1.1;
}

// The part of a distributed matrix that this process keeps: rows, columns and leading dimension, by its descriptor.
static void part(const int *descriptor, int *rows, int *columns, int *ld) {
  int grid_rows, grid_columns, row, column;
  const int zero = 0;
  ((void (*)(int, int *, int *, int *, int *))real("Cblacs_gridinfo"))(descriptor[1], &grid_rows, &grid_columns, &row, &column);
  int (*numroc)(const int *, const int *, const int *, const int *, const int *) =
      (int (*)(const int *, const int *, const int *, const int *, const int *))real("numroc_");
  *rows = numroc(&descriptor[2], &descriptor[4], &row, &zero, &grid_rows);
  *columns = numroc(&descriptor[3], &descriptor[5], &column, &zero, &grid_columns);
  *ld = descriptor[8];
}

#define DISTRIBUTED(T, p, spoil)                                                                                  \
  void p##syevd_(const char *job, const char *uplo, const int *n, T *a, const int *ia, const int *ja,             \
                 const int *desca, T *w, T *z, const int *iz, const int *jz, const int *descz, T *work,           \
                 const int *lwork, int *iwork, const int *liwork, int *info, size_t first, size_t second) {       \
    static int calls;                                                                                             \
    int rows, columns, ld;                                                                                        \
    enum kind kind = fault(#p "syevd", *n, &calls);                                                               \
    ((void (*)(const char *, const char *, const int *, T *, const int *, const int *, const int *, T *, T *,     \
               const int *, const int *, const int *, T *, const int *, int *, const int *, int *, size_t,        \
               size_t))real(#p "syevd_"))(                                                                        \
        job, uplo, n, a, ia, ja, desca, w, z, iz, jz, descz, work, lwork, iwork, liwork, info, first, second);    \
    part(descz, &rows, &columns, &ld);                                                                            \
    spoil(kind, *n, w, z, rows, columns, ld, info);                                                               \
  }                                                                                                               \
  void p##syev_(const char *job, const char *uplo, const int *n, T *a, const int *ia, const int *ja,              \
                const int *desca, T *w, T *z, const int *iz, const int *jz, const int *descz, T *work,            \
                const int *lwork, int *info, size_t first, size_t second) {                                       \
    static int calls;                                                                                             \
    int rows, columns, ld;                                                                                        \
    enum kind kind = fault(#p "syev", *n, &calls);                                                                \
    ((void (*)(const char *, const char *, const int *, T *, const int *, const int *, const int *, T *, T *,     \
               const int *, const int *, const int *, T *, const int *, int *, size_t, size_t))real(              \
        #p "syev_"))(job, uplo, n, a, ia, ja, desca, w, z, iz, jz, descz, work, lwork, info, first, second);      \
    part(descz, &rows, &columns, &ld);                                                                            \
    spoil(kind, *n, w, z, rows, columns, ld, info);                                                               \
  }
DISTRIBUTED(double, pd, spoil_double)
DISTRIBUTED(float, ps, spoil_float)
