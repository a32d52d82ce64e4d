// MPI for Swift: an inline function for each call of MPI that frog-mpi makes. All return the code of the call, 0 for
// success.
//
// MPI's communicators, datatypes and operators are casts and macros that Swift cannot import. Their C types differ
// between implementations: pointers in Open MPI, integers in MPICH. The two structs below hide this, so that Swift code
// never names a type of MPI.
#ifndef CMPI_MESSAGE_PASSING_H
#define CMPI_MESSAGE_PASSING_H

#include <dlfcn.h>
#include <mpi.h>
#include <stddef.h>

typedef struct { MPI_Comm handle; } cmpi_comm;
typedef struct { MPI_Request handle; } cmpi_request;

typedef enum {
  cmpi_uint8, cmpi_int32, cmpi_uint32, cmpi_int64, cmpi_uint64, cmpi_float, cmpi_double,
} cmpi_type;

typedef enum { cmpi_sum, cmpi_min, cmpi_max } cmpi_op;

static inline MPI_Datatype cmpi_datatype(cmpi_type type) {
  switch (type) {
    case cmpi_uint8: return MPI_UINT8_T;
    case cmpi_int32: return MPI_INT32_T;
    case cmpi_uint32: return MPI_UINT32_T;
    case cmpi_int64: return MPI_INT64_T;
    case cmpi_uint64: return MPI_UINT64_T;
    case cmpi_float: return MPI_FLOAT;
    case cmpi_double: return MPI_DOUBLE;
  }
  return MPI_DATATYPE_NULL;
}

static inline MPI_Op cmpi_operator(cmpi_op op) {
  switch (op) {
    case cmpi_sum: return MPI_SUM;
    case cmpi_min: return MPI_MIN;
    case cmpi_max: return MPI_MAX;
  }
  return MPI_OP_NULL;
}

// MARK: Environment

// Initializes MPI for calls from the main thread only.
static inline int cmpi_initialize(void) {
  int provided;
  int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
  if (code == MPI_SUCCESS && provided < MPI_THREAD_FUNNELED) code = MPI_ERR_OTHER;
  return code;
}
static inline int cmpi_finalize(void) { return MPI_Finalize(); }
static inline cmpi_comm cmpi_world(void) { cmpi_comm world = {MPI_COMM_WORLD}; return world; }
static inline int cmpi_abort(cmpi_comm comm, int status) { return MPI_Abort(comm.handle, status); }
// Makes calls on the communicator return codes instead of ending the job.
static inline int cmpi_return_errors(cmpi_comm comm) {
  return MPI_Comm_set_errhandler(comm.handle, MPI_ERRORS_RETURN);
}
// Writes MPI's words for a code: at most MPI_MAX_ERROR_STRING bytes and a terminating zero.
enum { cmpi_error_capacity = MPI_MAX_ERROR_STRING + 1 };
static inline int cmpi_error_text(int code, char *text) {
  int length = 0;
  int result = MPI_Error_string(code, text, &length);
  text[result == MPI_SUCCESS ? length : 0] = 0;
  return result;
}
// Writes the name and version of the library: at most MPI_MAX_LIBRARY_VERSION_STRING bytes and a terminating zero.
enum { cmpi_library_capacity = MPI_MAX_LIBRARY_VERSION_STRING + 1 };
static inline int cmpi_library_version(char *text) {
  int length = 0;
  int result = MPI_Get_library_version(text, &length);
  text[result == MPI_SUCCESS ? length : 0] = 0;
  return result;
}

// The version of the PMIx library in its own words, if MPI has loaded one under its usual name; else NULL.
//
// The library is loaded by a component of MPI, so its functions cannot be linked to.
static inline const char *cmpi_pmix_version(void) {
  void *library = dlopen("libpmix.so.2", RTLD_NOW | RTLD_NOLOAD);
  if (library == NULL) return NULL;
  const char *(*version)(void) = (const char *(*)(void))dlsym(library, "PMIx_Get_version");
  return version == NULL ? NULL : version();
}

// MARK: Communicators

static inline int cmpi_rank(cmpi_comm comm, int *rank) { return MPI_Comm_rank(comm.handle, rank); }
static inline int cmpi_size(cmpi_comm comm, int *size) { return MPI_Comm_size(comm.handle, size); }
// Divides the ranks by colour. A negative colour leaves this rank out. *is_member says whether it has got a
// communicator.
static inline int cmpi_split(cmpi_comm comm, int colour, int key, cmpi_comm *part, int *is_member) {
  int code = MPI_Comm_split(comm.handle, colour < 0 ? MPI_UNDEFINED : colour, key, &part->handle);
  *is_member = code == MPI_SUCCESS && part->handle != MPI_COMM_NULL;
  return code;
}
static inline int cmpi_split_shared(cmpi_comm comm, int key, cmpi_comm *node) {
  return MPI_Comm_split_type(comm.handle, MPI_COMM_TYPE_SHARED, key, MPI_INFO_NULL, &node->handle);
}
static inline int cmpi_duplicate(cmpi_comm comm, cmpi_comm *copy) { return MPI_Comm_dup(comm.handle, &copy->handle); }
// Makes a communicator of the ranks first … last of comm. Only these call it; other groups may be formed at the same
// time.
static inline int cmpi_group(cmpi_comm comm, int first, int last, int tag, cmpi_comm *part) {
  MPI_Group all = MPI_GROUP_NULL, some = MPI_GROUP_NULL;
  int range[1][3] = {{first, last, 1}};
  int code = MPI_Comm_group(comm.handle, &all);
  if (code == MPI_SUCCESS) code = MPI_Group_range_incl(all, 1, range, &some);
  if (code == MPI_SUCCESS) code = MPI_Comm_create_group(comm.handle, some, tag, &part->handle);
  if (some != MPI_GROUP_NULL) MPI_Group_free(&some);
  if (all != MPI_GROUP_NULL) MPI_Group_free(&all);
  return code;
}
static inline int cmpi_free(cmpi_comm comm) { return MPI_Comm_free(&comm.handle); }

// MARK: Collectives

static inline int cmpi_barrier(cmpi_comm comm) { return MPI_Barrier(comm.handle); }
static inline int cmpi_broadcast(cmpi_comm comm, void *data, int count, cmpi_type type, int root) {
  return MPI_Bcast(data, count, cmpi_datatype(type), root, comm.handle);
}
static inline int cmpi_all_reduce(cmpi_comm comm, void *data, int count, cmpi_type type, cmpi_op op) {
  return MPI_Allreduce(MPI_IN_PLACE, data, count, cmpi_datatype(type), cmpi_operator(op), comm.handle);
}
static inline int cmpi_all_gather(cmpi_comm comm, const void *send, int count, cmpi_type type, void *receive) {
  return MPI_Allgather(send, count, cmpi_datatype(type), receive, count, cmpi_datatype(type), comm.handle);
}
static inline int cmpi_gather_varying(
    cmpi_comm comm, const void *send, int count, cmpi_type type,
    void *receive, const int *counts, const int *offsets, int root) {
  return MPI_Gatherv(send, count, cmpi_datatype(type), receive, counts, offsets, cmpi_datatype(type), root, comm.handle);
}
// Sums data over all ranks, of which rank r gets counts[r] elements. Those of this rank lie at the start of data
// afterwards.
static inline int cmpi_reduce_scatter(cmpi_comm comm, void *data, const int *counts, cmpi_type type, cmpi_op op) {
  return MPI_Reduce_scatter(MPI_IN_PLACE, data, counts, cmpi_datatype(type), cmpi_operator(op), comm.handle);
}
// Gives all parts to all ranks. Each rank's own part lies in its place of data before, and the parts of all ranks
// afterwards.
static inline int cmpi_all_gather_varying(
    cmpi_comm comm, void *data, const int *counts, const int *offsets, cmpi_type type) {
  return MPI_Allgatherv(
      MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, data, counts, offsets, cmpi_datatype(type), comm.handle);
}

// MARK: Non-blocking

static inline int cmpi_start_all_reduce(
    cmpi_comm comm, const void *send, void *receive, int count, cmpi_type type, cmpi_op op, cmpi_request *request) {
  return MPI_Iallreduce(
      send, receive, count, cmpi_datatype(type), cmpi_operator(op), comm.handle, &request->handle);
}
static inline int cmpi_start_barrier(cmpi_comm comm, cmpi_request *request) {
  return MPI_Ibarrier(comm.handle, &request->handle);
}
// Starts to send; the request is complete once the receiver has begun to receive.
static inline int cmpi_start_synchronous_send(
    cmpi_comm comm, const void *data, int count, cmpi_type type, int receiver, cmpi_request *request) {
  return MPI_Issend(data, count, cmpi_datatype(type), receiver, 0, comm.handle, &request->handle);
}
// Receives a message of count elements if one has arrived. *sender is its rank, or -1 if there is none.
static inline int cmpi_receive_arrived(cmpi_comm comm, void *data, int count, cmpi_type type, int *sender) {
  int arrived = 0;
  MPI_Status status;
  *sender = -1;
  int code = MPI_Iprobe(MPI_ANY_SOURCE, 0, comm.handle, &arrived, &status);
  if (code != MPI_SUCCESS || !arrived) return code;
  code = MPI_Recv(data, count, cmpi_datatype(type), status.MPI_SOURCE, 0, comm.handle, MPI_STATUS_IGNORE);
  if (code == MPI_SUCCESS) *sender = status.MPI_SOURCE;
  return code;
}
static inline int cmpi_start_send(
    cmpi_comm comm, const void *data, int count, cmpi_type type, int rank, cmpi_request *request) {
  return MPI_Isend(data, count, cmpi_datatype(type), rank, 0, comm.handle, &request->handle);
}
static inline int cmpi_start_receive(
    cmpi_comm comm, void *data, int count, cmpi_type type, int rank, cmpi_request *request) {
  return MPI_Irecv(data, count, cmpi_datatype(type), rank, 0, comm.handle, &request->handle);
}
static inline int cmpi_test(cmpi_request *request, int *done) {
  return MPI_Test(&request->handle, done, MPI_STATUS_IGNORE);
}
static inline int cmpi_wait(cmpi_request *request) { return MPI_Wait(&request->handle, MPI_STATUS_IGNORE); }

#endif
