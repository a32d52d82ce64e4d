// BLACS and ScaLAPACK for Swift. Neither has headers of its own, so the C symbols of BLACS and the Fortran symbols of
// ScaLAPACK are declared here. gfortran passes the length of each CHARACTER argument at the end.
//
// Matrices lie in blocks on a grid of ranks; each rank passes its own part, column-major. Functions that return an int
// return `info`, 0 for success.
#ifndef CMPI_SCALAPACK_H
#define CMPI_SCALAPACK_H

#include <stddef.h>

#include "MessagePassing.h"

// MARK: Declarations

int Csys2blacs_handle(MPI_Comm);
void Cfree_blacs_system_handle(int);
void Cblacs_gridmap(int *, int *, int, int, int);
void Cblacs_gridinfo(int, int *, int *, int *, int *);
void Cblacs_set(int, int, int *);
void Cblacs_gridexit(int);

void descinit_(int *, const int *, const int *, const int *, const int *, const int *, const int *, const int *,
               const int *, int *);
#define CMPI_DECLARE(T, p)                                                                                        \
  void p##syevd_(const char *, const char *, const int *, T *, const int *, const int *, const int *, T *, T *,   \
                 const int *, const int *, const int *, T *, const int *, int *, const int *, int *, size_t, size_t); \
  void p##syev_(const char *, const char *, const int *, T *, const int *, const int *, const int *, T *, T *,    \
                const int *, const int *, const int *, T *, const int *, int *, size_t, size_t);
CMPI_DECLARE(double, pd)
CMPI_DECLARE(float, ps)
#undef CMPI_DECLARE
void pdsytrd_(const char *, const int *, double *, const int *, const int *, const int *, double *, double *, double *,
              double *, const int *, int *, size_t);
void pdormtr_(const char *, const char *, const char *, const int *, const int *, double *, const int *, const int *,
              const int *, const double *, double *, const int *, const int *, const int *, double *, const int *, int *,
              size_t, size_t, size_t);
void pdgeqrf_(const int *, const int *, double *, const int *, const int *, const int *, double *, double *, const int *,
              int *);
void pdgebrd_(const int *, const int *, double *, const int *, const int *, const int *, double *, double *, double *,
              double *, double *, const int *, int *);

// MARK: Process grids

// The number of a communicator in BLACS's own table. Free it after the grids that are made of it.
static inline int blacs_system_handle(cmpi_comm comm) { return Csys2blacs_handle(comm.handle); }
static inline void blacs_free_system_handle(int handle) { Cfree_blacs_system_handle(handle); }
// Makes a grid on which map[row + column * rows] is the rank at (row, column). Returns the context of the grid,
// negative for a rank outside it.
static inline int blacs_grid_map(int handle, int *map, int rows, int columns) {
  int context = handle;
  Cblacs_gridmap(&context, map, rows, rows, columns);
  return context;
}
static inline void blacs_grid_info(int context, int *rows, int *columns, int *row, int *column) {
  Cblacs_gridinfo(context, rows, columns, row, column);
}
// Makes the grid form its sums in one order, whichever message comes first (BLACS: SGET_TOPSREPEAT).
static inline void blacs_repeatable(int context) {
  int yes = 1;
  Cblacs_set(context, 15, &yes);
}
static inline void blacs_grid_exit(int context) { Cblacs_gridexit(context); }

// MARK: Calls

// Describes an m × n matrix in square blocks that are dealt out from grid position (0, 0).
enum { scalapack_descriptor_count = 9 };
static inline int scalapack_describe(int *descriptor, int m, int n, int block, int context, int leading) {
  const int zero = 0;
  int info = 0;
  descinit_(descriptor, &m, &n, &block, &block, &zero, &zero, &context, &leading, &info);
  return info;
}

// Finds the eigensystem of the symmetric A that is given by its lower triangle, which is destroyed. Eigenvalues go to
// w, ascending, on every rank, and eigenvectors to z. A and z share one descriptor. With lwork = -1, only the sizes of
// the workspaces are written, to work[0] and iwork[0].
#define CMPI_SYEVD(T, p)                                                                                          \
  static inline int scalapack_lower_##p##syevd(                                                                   \
      int n, T *a, const int *descriptor, T *w, T *z, T *work, int lwork, int *iwork, int liwork) {               \
    const int one = 1;                                                                                            \
    int info = 0;                                                                                                 \
    p##syevd_("V", "L", &n, a, &one, &one, descriptor, w, z, &one, &one, descriptor, work, &lwork, iwork, &liwork, \
              &info, 1, 1);                                                                                       \
    return info;                                                                                                  \
  }
CMPI_SYEVD(double, pd)
CMPI_SYEVD(float, ps)
#undef CMPI_SYEVD

// Finds the same eigensystem by QL and QR steps instead of divide and conquer.
#define CMPI_SYEV(T, p)                                                                                           \
  static inline int scalapack_lower_##p##syev(                                                                    \
      int n, T *a, const int *descriptor, T *w, T *z, T *work, int lwork) {                                       \
    const int one = 1;                                                                                            \
    int info = 0;                                                                                                 \
    p##syev_("V", "L", &n, a, &one, &one, descriptor, w, z, &one, &one, descriptor, work, &lwork, &info, 1, 1);   \
    return info;                                                                                                  \
  }
CMPI_SYEV(double, pd)
CMPI_SYEV(float, ps)
#undef CMPI_SYEV

// Reduces the lower triangle of A, n × n, to Q·T·Qᵀ. T lies on the diagonal and the subdiagonal of A afterwards, and
// the reflectors of Q below and in tau. tau, d and e have an element for each local column.
static inline int scalapack_lower_pdsytrd(
    int n, double *a, const int *descriptor, double *d, double *e, double *tau, double *work, int lwork) {
  const int one = 1;
  int info = 0;
  pdsytrd_("L", &n, a, &one, &one, descriptor, d, e, tau, work, &lwork, &info, 1);
  return info;
}

// C := Q·C, with C n × k and Q as pdsytrd has left it in a and tau.
static inline int scalapack_lower_pdormtr(
    int n, int k, double *a, const int *a_descriptor, const double *tau, double *c, const int *c_descriptor, double *work,
    int lwork) {
  const int one = 1;
  int info = 0;
  pdormtr_("L", "L", "N", &n, &k, a, &one, &one, a_descriptor, tau, c, &one, &one, c_descriptor, work, &lwork, &info, 1, 1,
           1);
  return info;
}

// Decomposes the first m rows of A, n columns: their R lies in the upper triangle afterwards, and reflectors below. tau
// has an element for each local column.
static inline int scalapack_pdgeqrf(int m, int n, double *a, const int *descriptor, double *tau, double *work, int lwork) {
  const int one = 1;
  int info = 0;
  pdgeqrf_(&m, &n, a, &one, &one, descriptor, tau, work, &lwork, &info);
  return info;
}

// Reduces the first n rows of A, n columns, to Q·B·Pᵀ. The upper bidiagonal B lies on the diagonal and above it
// afterwards. d and tauq have an element for each local column, e and taup one for each local row.
static inline int scalapack_pdgebrd(
    int n, double *a, const int *descriptor, double *d, double *e, double *tauq, double *taup, double *work, int lwork) {
  const int one = 1;
  int info = 0;
  pdgebrd_(&n, &n, a, &one, &one, descriptor, d, e, tauq, taup, work, &lwork, &info);
  return info;
}

#endif
