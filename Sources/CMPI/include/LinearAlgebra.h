// BLAS and LAPACK for Swift, column-major as in Fortran. The Fortran symbols are declared here because
// LAPACK has no headers of its own; gfortran passes the length of each CHARACTER argument at the end.
#ifndef CMPI_LINEAR_ALGEBRA_H
#define CMPI_LINEAR_ALGEBRA_H

#include <stddef.h>

// MARK: Declarations

#define CMPI_DECLARE(T, p)                                                                                        \
  void p##syrk_(const char *, const char *, const int *, const int *, const T *, const T *, const int *,          \
                const T *, T *, const int *, size_t, size_t);                                                     \
  void p##syevd_(const char *, const char *, const int *, T *, const int *, T *, T *, const int *, int *,         \
                 const int *, int *, size_t, size_t);
CMPI_DECLARE(double, d)
CMPI_DECLARE(float, s)
#undef CMPI_DECLARE
void sgemm_(const char *, const char *, const int *, const int *, const int *, const float *, const float *,
            const int *, const float *, const int *, const float *, float *, const int *, size_t, size_t);
void sgemv_(const char *, const int *, const int *, const float *, const float *, const int *, const float *,
            const int *, const float *, float *, const int *, size_t);

void openblas_set_num_threads(int);
int openblas_get_num_threads(void);
char *openblas_get_config(void);
char *openblas_get_corename(void);

// MARK: Calls

// C := alpha·A·Aᵀ + beta·C, or AᵀA with transpose = 'T'; the upper triangle only.
#define CMPI_SYRK(T, p)                                                                                           \
  static inline void cblas_upper_##p##syrk(char transpose, int n, int k, const T *a, int lda, T beta, T *c) {     \
    const T one = 1;                                                                                              \
    p##syrk_("U", &transpose, &n, &k, &one, a, &lda, &beta, c, &n, 1, 1);                                         \
  }
CMPI_SYRK(double, d)
CMPI_SYRK(float, s)
#undef CMPI_SYRK

// Eigenvalues, ascending, and eigenvectors, as columns over `a`, from the upper triangle of `a`.
#define CMPI_SYEVD(T, p)                                                                                          \
  static inline int clapack_upper_##p##syevd(int n, T *a, T *values, T *work, int lwork, int *iwork, int liwork) { \
    int info = 0;                                                                                                 \
    p##syevd_("V", "U", &n, a, &n, values, work, &lwork, iwork, &liwork, &info, 1, 1);                            \
    return info;                                                                                                  \
  }
CMPI_SYEVD(double, d)
CMPI_SYEVD(float, s)
#undef CMPI_SYEVD

// C := op(A)·op(B), C is m × n, the inner dimension k.
static inline void cblas_sgemm_into(
    char ta, char tb, int m, int n, int k, const float *a, int lda, const float *b, int ldb, float *c, int ldc) {
  const float one = 1, zero = 0;
  sgemm_(&ta, &tb, &m, &n, &k, &one, a, &lda, b, &ldb, &zero, c, &ldc, 1, 1);
}

// y := op(A)·x + beta·y, A is m × n before op.
static inline void cblas_sgemv_into(char t, int m, int n, const float *a, int lda, const float *x, float beta, float *y) {
  const float one = 1;
  const int step = 1;
  sgemv_(&t, &m, &n, &one, a, &lda, x, &step, &beta, y, &step, 1);
}

#endif
