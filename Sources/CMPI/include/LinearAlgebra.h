// BLAS and LAPACK for Swift. The Fortran symbols are declared here, since LAPACK has no headers of its own. gfortran
// passes the length of each CHARACTER argument at the end.
//
// Matrices are column-major, as in Fortran. Functions that return an int return LAPACK's `info`, 0 for success.
#ifndef CMPI_LINEAR_ALGEBRA_H
#define CMPI_LINEAR_ALGEBRA_H

#include <stddef.h>

// MARK: Declarations

#define CMPI_DECLARE(T, p)                                                                                        \
  void p##syrk_(const char *, const char *, const int *, const int *, const T *, const T *, const int *,          \
                const T *, T *, const int *, size_t, size_t);                                                     \
  void p##gemm_(const char *, const char *, const int *, const int *, const int *, const T *, const T *,          \
                const int *, const T *, const int *, const T *, T *, const int *, size_t, size_t);                \
  void p##sytrd_(const char *, const int *, T *, const int *, T *, T *, T *, T *, const int *, int *, size_t);    \
  void p##stedc_(const char *, const int *, T *, T *, T *, const int *, T *, const int *, int *, const int *,     \
                 int *, size_t);                                                                                  \
  void p##syev_(const char *, const char *, const int *, T *, const int *, T *, T *, const int *, int *, size_t,  \
                size_t);                                                                                          \
  void p##symv_(const char *, const int *, const T *, const T *, const int *, const T *, const int *, const T *,  \
                T *, const int *, size_t);                                                                        \
  void p##gemv_(const char *, const int *, const int *, const T *, const T *, const int *, const T *,             \
                const int *, const T *, T *, const int *, size_t);                                                \
  void p##larft_(const char *, const char *, const int *, const int *, const T *, const int *, const T *, T *,    \
                 const int *, size_t, size_t);
CMPI_DECLARE(double, d)
CMPI_DECLARE(float, s)
#undef CMPI_DECLARE
void ssymm_(const char *, const char *, const int *, const int *, const float *, const float *, const int *,
            const float *, const int *, const float *, float *, const int *, size_t, size_t);
void dtrsm_(const char *, const char *, const char *, const char *, const int *, const int *, const double *,
            const double *, const int *, double *, const int *, size_t, size_t, size_t, size_t);
void dgeqrf_(const int *, const int *, double *, const int *, double *, double *, const int *, int *);
void dorgqr_(const int *, const int *, const int *, double *, const int *, const double *, double *, const int *, int *);
void dsyevd_(const char *, const char *, const int *, double *, const int *, double *, double *, const int *, int *,
             const int *, int *, size_t, size_t);
void dsytrd_2stage_(const char *, const char *, const int *, double *, const int *, double *, double *, double *, double *,
                    const int *, double *, const int *, int *, size_t, size_t);
void dsterf_(const int *, double *, double *, int *);
void dstemr_(const char *, const char *, const int *, double *, double *, const double *, const double *, const int *,
             const int *, int *, double *, double *, const int *, const int *, int *, int *, double *, const int *, int *,
             const int *, int *, size_t, size_t);
void dstebz_(const char *, const char *, const int *, const double *, const double *, const int *, const int *,
             const double *, const double *, const double *, int *, int *, double *, int *, int *, double *, int *, int *,
             size_t, size_t);
void dstein_(const int *, const double *, const double *, const int *, const double *, const int *, const int *,
             double *, const int *, double *, int *, int *, int *);
void dtpqrt_(const int *, const int *, const int *, const int *, double *, const int *, double *, const int *, double *,
             const int *, double *, int *);
void dgesdd_(const char *, const int *, const int *, double *, const int *, double *, double *, const int *, double *,
             const int *, double *, const int *, int *, int *, size_t);
void dgesvd_(const char *, const char *, const int *, const int *, double *, const int *, double *, double *, const int *,
             double *, const int *, double *, const int *, int *, size_t, size_t);
void dgebrd_(const int *, const int *, double *, const int *, double *, double *, double *, double *, double *,
             const int *, int *);
void dbdsqr_(const char *, const int *, const int *, const int *, const int *, double *, double *, double *, const int *,
             double *, const int *, double *, const int *, double *, int *, size_t);

void openblas_set_num_threads(int);
char *openblas_get_config(void);
char *openblas_get_corename(void);

// MARK: Calls

// C := A·Aᵀ + beta·C with A n × k, or AᵀA + beta·C with A k × n if transpose = 'T'. Only the lower triangle of C is
// written.
#define CMPI_SYRK(T, p)                                                                                           \
  static inline void cblas_lower_##p##syrk(char transpose, int n, int k, const T *a, int lda, T beta, T *c) {     \
    const T one = 1;                                                                                              \
    p##syrk_("L", &transpose, &n, &k, &one, a, &lda, &beta, c, &n, 1, 1);                                         \
  }
CMPI_SYRK(double, d)
CMPI_SYRK(float, s)
#undef CMPI_SYRK

// Reduces the symmetric matrix in the lower triangle of a to Q·T·Qᵀ. T goes to d and e, and the reflectors of Q below
// the subdiagonal of a and to tau.
#define CMPI_SYTRD(T, p)                                                                                          \
  static inline int clapack_lower_##p##sytrd(int n, T *a, T *d, T *e, T *tau, T *work, int lwork) {               \
    int info = 0;                                                                                                 \
    p##sytrd_("L", &n, a, &n, d, e, tau, work, &lwork, &info, 1);                                                 \
    return info;                                                                                                  \
  }
CMPI_SYTRD(double, d)
CMPI_SYTRD(float, s)
#undef CMPI_SYTRD

// Finds the eigensystem of the tridiagonal matrix in d and e. Eigenvalues go to d, ascending, and eigenvectors to the
// columns of z.
#define CMPI_STEDC(T, p)                                                                                          \
  static inline int clapack_##p##stedc(int n, T *d, T *e, T *z, T *work, int lwork, int *iwork, int liwork) {     \
    int info = 0;                                                                                                 \
    p##stedc_("I", &n, d, e, z, &n, work, &lwork, iwork, &liwork, &info, 1);                                      \
    return info;                                                                                                  \
  }
CMPI_STEDC(double, d)
CMPI_STEDC(float, s)
#undef CMPI_STEDC

// Eigenvalues, ascending, in w, and eigenvectors over a, of the symmetric matrix in the lower triangle of a.
#define CMPI_SYEV(T, p)                                                                                           \
  static inline int clapack_lower_##p##syev(int n, T *a, T *w, T *work, int lwork) {                              \
    int info = 0;                                                                                                 \
    p##syev_("V", "L", &n, a, &n, w, work, &lwork, &info, 1, 1);                                                  \
    return info;                                                                                                  \
  }
CMPI_SYEV(double, d)
CMPI_SYEV(float, s)
#undef CMPI_SYEV

// y := A·x with A symmetric, n × n, its lower triangle stored.
#define CMPI_SYMV(T, p)                                                                                           \
  static inline void cblas_lower_##p##symv(int n, const T *a, const T *x, T *y) {                                 \
    const T one = 1, zero = 0;                                                                                    \
    const int step = 1;                                                                                           \
    p##symv_("L", &n, &one, a, &n, x, &step, &zero, y, &step, 1);                                                 \
  }
CMPI_SYMV(double, d)
CMPI_SYMV(float, s)
#undef CMPI_SYMV

// y := A·x, or y := Aᵀ·x if transpose = 'T', with A m × n and dense.
#define CMPI_GEMV(T, p)                                                                                           \
  static inline void cblas_##p##gemv_into(char transpose, int m, int n, const T *a, const T *x, T *y) {           \
    const T one = 1, zero = 0;                                                                                    \
    const int step = 1;                                                                                           \
    p##gemv_(&transpose, &m, &n, &one, a, &m, x, &step, &zero, y, &step, 1);                                      \
  }
CMPI_GEMV(double, d)
CMPI_GEMV(float, s)
#undef CMPI_GEMV

// The triangular factor T, k × k, of the product of k reflectors of length n, which are the columns of v.
#define CMPI_LARFT(T, p)                                                                                          \
  static inline void clapack_##p##larft(int n, int k, const T *v, int ldv, const T *tau, T *t, int ldt) {         \
    p##larft_("F", "C", &n, &k, v, &ldv, tau, t, &ldt, 1, 1);                                                     \
  }
CMPI_LARFT(double, d)
CMPI_LARFT(float, s)
#undef CMPI_LARFT

// C := alpha·op(A)·op(B) + beta·C, with C m × n. The sum runs over k terms.
#define CMPI_GEMM(T, p)                                                                                           \
  static inline void cblas_##p##gemm_into(                                                                        \
      char ta, char tb, int m, int n, int k, T alpha, const T *a, int lda, const T *b, int ldb, T beta, T *c,     \
      int ldc) {                                                                                                  \
    p##gemm_(&ta, &tb, &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc, 1, 1);                               \
  }
CMPI_GEMM(double, d)
CMPI_GEMM(float, s)
#undef CMPI_GEMM

// C := A·B with A symmetric, n × n, its lower triangle stored, and B and C n × k.
static inline void cblas_lower_ssymm(int n, int k, const float *a, const float *b, float *c) {
  const float one = 1, zero = 0;
  ssymm_("L", "L", &n, &k, &one, a, &n, b, &n, &zero, c, &n, 1, 1);
}

// B := alpha·op(A)⁻¹·B with A m × m, its upper triangle stored, and B m × n.
static inline void cblas_upper_dtrsm(char transpose, int m, int n, double alpha, const double *a, double *b) {
  dtrsm_("L", "U", &transpose, "N", &m, &n, &alpha, a, &m, b, &m, 1, 1, 1, 1);
}

// Decomposes the m × n matrix a, m ≥ n: its R lies in the upper triangle afterwards, and reflectors below. tau has n
// elements.
static inline int clapack_dgeqrf(int m, int n, double *a, double *tau, double *work, int lwork) {
  int info = 0;
  dgeqrf_(&m, &n, a, &m, tau, work, &lwork, &info);
  return info;
}

// Replaces the m × n matrix a, m ≥ n, as dgeqrf has left it, by the Q of its QR decomposition.
static inline int clapack_dorgqr(int m, int n, double *a, const double *tau, double *work, int lwork) {
  int info = 0;
  dorgqr_(&m, &n, &n, a, &m, tau, work, &lwork, &info);
  return info;
}

// Eigenvalues, ascending, in w, and eigenvectors over a, of the symmetric matrix in the lower triangle of a.
static inline int clapack_lower_dsyevd(
    int n, double *a, double *w, double *work, int lwork, int *iwork, int liwork) {
  int info = 0;
  dsyevd_("V", "L", &n, a, &n, w, work, &lwork, iwork, &liwork, &info, 1, 1);
  return info;
}

// Reduces the symmetric matrix in the lower triangle of a, which is destroyed, to the tridiagonal d and e, by way of a
// band. tau has n elements. With lhous or lwork = -1, only the sizes that they should have are written, to hous[0] and
// work[0].
static inline int clapack_lower_dsytrd_2stage(
    int n, double *a, double *d, double *e, double *tau, double *hous, int lhous, double *work, int lwork) {
  int info = 0;
  dsytrd_2stage_("N", "L", &n, a, &n, d, e, tau, hous, &lhous, work, &lwork, &info, 1, 1);
  return info;
}

// Finds the eigenvalues of the tridiagonal matrix in d and e, which is destroyed. They go to d, ascending.
static inline int clapack_dsterf(int n, double *d, double *e) {
  int info = 0;
  dsterf_(&n, d, e, &info);
  return info;
}

// Finds some eigenvalues and their eigenvectors of the tridiagonal matrix in d and e, by relatively robust
// representations: those from `first` to `last`, which count from 1 in ascending order. Eigenvalues go to w, ascending,
// and eigenvectors to the columns of z. d and e are destroyed; e has n elements, the last of them for work. work has 18n
// elements, iwork 10n, support two for each vector. *found gets the number of vectors.
static inline int clapack_dstemr_range(
    int n, int first, int last, double *d, double *e, double *w, double *z, int *support, double *work, int *iwork,
    int *found) {
  const double unused = 0;
  const int k = last - first + 1, lwork = 18 * n, liwork = 10 * n;
  int relative = 1, info = 0;
  dstemr_("V", "I", &n, d, e, &unused, &unused, &first, &last, found, w, z, &n, &k, support, &relative, work, &lwork,
          iwork, &liwork, &info, 1, 1);
  return info;
}

// Finds the same by bisection and inverse iteration. d and e are kept. Eigenvalues and eigenvectors come block by
// block, not in order. w has n elements, work 5n, iwork 3n, and blocks, splits and failed n each.
static inline int clapack_dstein_range(
    int n, int first, int last, const double *d, const double *e, double *w, double *z, int *blocks, int *splits,
    int *failed, double *work, int *iwork, int *found) {
  const double unused = 0, tolerance = 4.5e-308;  // twice the smallest normal number: as exact as it gets
  int pieces = 0, info = 0;
  dstebz_("I", "B", &n, &unused, &unused, &first, &last, &tolerance, d, e, found, &pieces, w, blocks, splits, work, iwork,
          &info, 1, 1);
  if (info == 0 && *found <= last - first + 1) dstein_(&n, d, e, found, w, blocks, splits, z, &n, work, iwork, failed, &info);
  return info;
}

// Replaces the upper triangular r, n × n, by the R of r on top of the m × n matrix b, which is destroyed. The elements
// below the diagonal of r are left alone. t and work have block·n elements each; block ≤ n.
static inline int clapack_dtpqrt(int m, int n, int block, double *r, double *b, double *t, double *work) {
  const int rectangular = 0;
  int info = 0;
  dtpqrt_(&m, &n, &rectangular, &block, r, &n, b, &m, t, &block, work, &info);
  return info;
}

// Reduces the m × n matrix a, m ≥ n, to Q·B·Pᵀ with B upper bidiagonal. The diagonal of B goes to d, n elements, and
// the one above it to e. tauq and taup have n elements each.
static inline int clapack_dgebrd(
    int m, int n, double *a, double *d, double *e, double *tauq, double *taup, double *work, int lwork) {
  int info = 0;
  dgebrd_(&m, &n, a, &m, d, e, tauq, taup, work, &lwork, &info);
  return info;
}

// Decomposes the n × n matrix a, which is destroyed, to U·S·Vᵀ by divide and conquer. S goes to s, descending, U to u, Vᵀ
// to vt. work has 4n² + 71n elements, iwork 8n.
static inline int clapack_dgesdd(int n, double *a, double *s, double *u, double *vt, double *work, int lwork, int *iwork) {
  int info = 0;
  dgesdd_("A", &n, &n, a, &n, s, u, &n, vt, &n, work, &lwork, iwork, &info, 1);
  return info;
}

// Decomposes the same by QR steps. work has 69n elements.
static inline int clapack_dgesvd(int n, double *a, double *s, double *u, double *vt, double *work, int lwork) {
  int info = 0;
  dgesvd_("A", "A", &n, &n, a, &n, s, u, &n, vt, &n, work, &lwork, &info, 1, 1);
  return info;
}

// Finds the singular values of the upper bidiagonal n × n matrix in d and e, which is destroyed. They go to d,
// descending. work has 4n elements.
static inline int clapack_dbdsqr(int n, double *d, double *e, double *work) {
  const int none = 0, one = 1;
  double unused = 0;
  int info = 0;
  dbdsqr_("U", &n, &none, &none, &none, d, e, &unused, &one, &unused, &one, &unused, &one, work, &info, 1);
  return info;
}

#endif
