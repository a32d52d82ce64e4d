/* Makes one call on files fail, or ends the process at it: what scripts/faults preloads into the ranks of a run.
 *
 *   cc -shared -fPIC -O1 -pthread -o files.so files.c -ldl
 *   mpirun -n 2 env LD_PRELOAD=files.so FROG_FAULT_ROOTS=… FROG_FAULT_RANK=1 FROG_FAULT=57:EIO frog-mpi mask …
 *
 * Counted are the calls that touch files under the given folders, by path or by a descriptor that was opened there.
 * Everything else passes through untouched: MPI's shared memory, libraries, standard error.
 *
 *   FROG_FAULT_ROOTS   folders, separated by colons, absolute, without symbolic links
 *   FROG_FAULT_RANK    the rank that is hit, as in OMPI_COMM_WORLD_RANK
 *   FROG_FAULT         N:KIND or N:KIND+, from 1: the first call from the N-th on for which KIND makes sense; with a plus
 *                      sign this one and all later calls that the same cause would hit, as when a disk stays full
 *   FROG_FAULT_LOG     every rank appends a line a call to LOG.RANK: number, group, call, bytes, path, fault or "-"
 *
 *   KIND               EIO ENOSPC EMFILE ENOMEM: the call fails with it, nothing is done
 *                      short: half of the bytes are read or written; eintr: the call fails with EINTR
 *                      kill, kill-after: SIGKILL in place of the call, or when it has been done
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum group { OPEN, CREATE, READ, WRITE, SYNC, RENAME, RESIZE, REMOVE, MKDIR, LIST, MAP, LOCK, STAT, CLOSE };
static const char *const group_names[] = {"open",   "create", "read", "write", "sync", "rename", "resize",
                                          "remove", "mkdir",  "list", "map",   "lock", "stat",   "close"};

enum { NONE, FAIL, SHORT, KILL, KILL_AFTER };
#define BIT(group) (1u << (group))
static const struct kind {
  const char *name;
  int action;
  int code;
  unsigned groups; /* for which it makes sense */
} kinds[] = {
    {"EIO", FAIL, EIO, ~0u},
    {"ENOSPC", FAIL, ENOSPC, BIT(CREATE) | BIT(WRITE) | BIT(SYNC) | BIT(RENAME) | BIT(RESIZE) | BIT(MKDIR)},
    {"EMFILE", FAIL, EMFILE, BIT(OPEN) | BIT(CREATE) | BIT(LIST)},
    {"ENOMEM", FAIL, ENOMEM, BIT(OPEN) | BIT(CREATE) | BIT(LIST) | BIT(MAP) | BIT(MKDIR) | BIT(RENAME) | BIT(STAT)},
    {"eintr", FAIL, EINTR, BIT(OPEN) | BIT(CREATE) | BIT(READ) | BIT(WRITE) | BIT(SYNC) | BIT(RESIZE) | BIT(LOCK)},
    {"short", SHORT, 0, BIT(READ) | BIT(WRITE)},
    {"kill", KILL, 0, ~0u},
    {"kill-after", KILL_AFTER, 0, ~0u},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *roots[8];
static const struct kind *fault; /* NULL if none, or not in this rank */
static long fault_number, calls;
static unsigned failing; /* groups that fail from now on */
static int is_sticky, is_done, log_descriptor = -1;

/* The path of each descriptor that was opened under a root. */
#define DESCRIPTORS 4096
static char *opened[DESCRIPTORS];

/* The next definition of a function; resolved at its first call, which may come before any constructor. */
#define NEXT(name) \
  static __typeof__(&name) next_##name; \
  if (!next_##name) *(void **)&next_##name = dlsym(RTLD_NEXT, #name)

static void end_process(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

__attribute__((constructor)) static void begin(void) {
  const char *rank = getenv("OMPI_COMM_WORLD_RANK"), *wanted = getenv("FROG_FAULT_RANK");
  const char *folders = getenv("FROG_FAULT_ROOTS"), *what = getenv("FROG_FAULT"), *log = getenv("FROG_FAULT_LOG");
  if (!folders) return;
  if (!rank) rank = "0";
  if (log) {
    char name[4096];
    snprintf(name, sizeof name, "%s.%s", log, rank);
    log_descriptor = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  }
  if (what && (!wanted || strcmp(rank, wanted) == 0)) {
    char *end;
    fault_number = strtol(what, &end, 10);
    char name[32] = "";
    if (*end == ':') snprintf(name, sizeof name, "%s", end + 1);
    size_t length = strlen(name);
    if (length && name[length - 1] == '+') {
      is_sticky = 1;
      name[length - 1] = 0;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
      if (strcmp(kinds[i].name, name) == 0) fault = &kinds[i];
    if (!fault || fault_number < 1) {
      fprintf(stderr, "files.c: FROG_FAULT=%s is not understood\n", what);
      _exit(64);
    }
  }
  /* Last, so that what was done here is not counted. */
  char *copy = strdup(folders), *rest = copy, *folder;
  for (size_t i = 0; copy && i < sizeof roots / sizeof *roots && (folder = strsep(&rest, ":")); i++) roots[i] = folder;
}

/* Whether an absolute path lies under a root, or is one. */
static int is_ours(const char *path) {
  for (size_t i = 0; i < sizeof roots / sizeof *roots && roots[i]; i++) {
    size_t length = strlen(roots[i]);
    if (strncmp(path, roots[i], length) == 0 && (path[length] == '/' || path[length] == 0)) return 1;
  }
  return 0;
}

static const char *path_of(int descriptor) {
  return descriptor >= 0 && descriptor < DESCRIPTORS ? opened[descriptor] : NULL;
}

static void remember(int descriptor, const char *path) {
  if (descriptor < 0 || descriptor >= DESCRIPTORS) return;
  pthread_mutex_lock(&lock);
  free(opened[descriptor]);
  opened[descriptor] = path ? strdup(path) : NULL;
  pthread_mutex_unlock(&lock);
}

struct absolute_path {
  char text[4096];
};

/* Makes a path absolute; NULL if it is none of ours. */
static const char *resolve(int folder, const char *path, struct absolute_path *absolute) {
  if (!roots[0] || !path) return NULL;
  if (path[0] == '/') return is_ours(path) ? path : NULL;
  size_t size = sizeof absolute->text;
  if (folder == AT_FDCWD) {
    if (!getcwd(absolute->text, size)) return NULL;
  } else {
    if (!path_of(folder)) return NULL;
    snprintf(absolute->text, size, "%s", path_of(folder));
  }
  size_t length = strlen(absolute->text);
  snprintf(absolute->text + length, size - length, "/%s", path);
  return is_ours(absolute->text) ? absolute->text : NULL;
}

/* Counts a call and says what is to become of it: FAIL (errno is set), SHORT, KILL_AFTER or NONE. */
static int meet(enum group group, const char *call, const char *path, size_t bytes) {
  int action = NONE;
  pthread_mutex_lock(&lock);
  calls++;
  int makes_sense = fault && (fault->groups & BIT(group)) && (fault->action != SHORT || bytes > 1);
  if (makes_sense && !is_done && calls >= fault_number) {
    is_done = 1;
    /* A full disk hits all that needs room; another cause stays with what it has hit. */
    if (is_sticky) failing = fault->code == ENOSPC ? fault->groups : BIT(group);
    action = fault->action;
  } else if (makes_sense && (failing & BIT(group))) {
    action = fault->action;
  }
  if (log_descriptor >= 0) {
    char line[4400];
    int length = snprintf(line, sizeof line, "%ld\t%s\t%s\t%zu\t%s\t%s\n", calls, group_names[group], call, bytes, path,
                          action == NONE ? "-" : fault->name);
    NEXT(write);
    if (length > 0 && next_write(log_descriptor, line, (size_t)length) < 0) log_descriptor = -1;
  }
  pthread_mutex_unlock(&lock);
  if (action == KILL) end_process();
  if (action == FAIL) errno = fault->code;
  return action;
}

/* A call that returns -1 on failure, with the action known. */
#define FINISH(action, type, expression) \
  do { \
    if ((action) == FAIL) return -1; \
    type finished = (expression); \
    if ((action) == KILL_AFTER) end_process(); \
    return finished; \
  } while (0)

/* A call on a path, or on a descriptor: passed on if it is none of ours. */
#define ON_PATH(group, folder, path, type, name, expression) \
  NEXT(name); \
  struct absolute_path absolute; \
  const char *ours = resolve(folder, path, &absolute); \
  if (!ours) return expression; \
  int action = meet(group, #name, ours, 0); \
  FINISH(action, type, expression)
#define ON_DESCRIPTOR(group, descriptor, type, name, expression) \
  NEXT(name); \
  const char *ours = path_of(descriptor); \
  if (!ours) return expression; \
  int action = meet(group, #name, ours, 0); \
  FINISH(action, type, expression)
#define TRANSFER(group, descriptor, name, count, half, whole) \
  NEXT(name); \
  const char *ours = path_of(descriptor); \
  if (!ours) return whole; \
  int action = meet(group, #name, ours, count); \
  FINISH(action, ssize_t, action == SHORT ? (half) : (whole))

/* Opening */

static mode_t mode_of(int flags, va_list arguments) {
  return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

#define OPENING(name, folder, parameters, call) \
  int name parameters { \
    NEXT(name); \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = mode_of(flags, rest); \
    va_end(rest); \
    struct absolute_path absolute; \
    const char *ours = resolve(folder, path, &absolute); \
    if (!ours) return call; \
    int makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE; \
    int action = meet(makes ? CREATE : OPEN, #name, ours, 0); \
    if (action == FAIL) return -1; \
    int descriptor = call; \
    if (action == KILL_AFTER) end_process(); \
    if (descriptor >= 0) remember(descriptor, ours); \
    return descriptor; \
  }
OPENING(open, AT_FDCWD, (const char *path, int flags, ...), next_open(path, flags, mode))
OPENING(open64, AT_FDCWD, (const char *path, int flags, ...), next_open64(path, flags, mode))
OPENING(openat, folder, (int folder, const char *path, int flags, ...), next_openat(folder, path, flags, mode))
OPENING(openat64, folder, (int folder, const char *path, int flags, ...), next_openat64(folder, path, flags, mode))

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int descriptor) {
  NEXT(close);
  const char *ours = path_of(descriptor);
  if (!ours) return next_close(descriptor);
  int action = meet(CLOSE, "close", ours, 0);
  remember(descriptor, NULL);
  /* Linux gives the descriptor back also if it reports an error. */
  int code = errno, finished = next_close(descriptor);
  if (action == KILL_AFTER) end_process();
  if (action != FAIL) return finished;
  errno = code;
  return -1;
}

static int copied(int from, int to) {
  if (to >= 0) remember(to, path_of(from));
  return to;
}
int dup(int descriptor) {
  NEXT(dup);
  return copied(descriptor, next_dup(descriptor));
}
int dup2(int descriptor, int other) {
  NEXT(dup2);
  return copied(descriptor, next_dup2(descriptor, other));
}
int dup3(int descriptor, int other, int flags) {
  NEXT(dup3);
  return copied(descriptor, next_dup3(descriptor, other, flags));
}

/* Locks and copies of descriptors; a lock is three commands of fcntl, or flock. */

static int is_lock(int command) {
  return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
}
#define CONTROL(name) \
  int name(int descriptor, int command, ...) { \
    NEXT(name); \
    va_list rest; \
    va_start(rest, command); \
    void *argument = va_arg(rest, void *); \
    va_end(rest); \
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) \
      return copied(descriptor, next_##name(descriptor, command, argument)); \
    const char *ours = path_of(descriptor); \
    if (!ours || !is_lock(command)) return next_##name(descriptor, command, argument); \
    int action = meet(LOCK, #name, ours, 0); \
    FINISH(action, int, next_##name(descriptor, command, argument)); \
  }
CONTROL(fcntl)
CONTROL(fcntl64)

int flock(int descriptor, int operation) { ON_DESCRIPTOR(LOCK, descriptor, int, flock, next_flock(descriptor, operation)); }

/* Reading and writing */

ssize_t read(int descriptor, void *buffer, size_t count) {
  TRANSFER(READ, descriptor, read, count, next_read(descriptor, buffer, count / 2), next_read(descriptor, buffer, count));
}
ssize_t write(int descriptor, const void *buffer, size_t count) {
  TRANSFER(WRITE, descriptor, write, count, next_write(descriptor, buffer, count / 2),
           next_write(descriptor, buffer, count));
}
#define AT_OFFSET(group, name, pointer, offset_type) \
  ssize_t name(int descriptor, pointer buffer, size_t count, offset_type offset) { \
    TRANSFER(group, descriptor, name, count, next_##name(descriptor, buffer, count / 2, offset), \
             next_##name(descriptor, buffer, count, offset)); \
  }
AT_OFFSET(READ, pread, void *, off_t)
AT_OFFSET(READ, pread64, void *, off64_t)
AT_OFFSET(WRITE, pwrite, const void *, off_t)
AT_OFFSET(WRITE, pwrite64, const void *, off64_t)

/* Of several buffers, half is the first half of the first. */
static size_t total(const struct iovec *buffers, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += buffers[i].iov_len;
  return bytes;
}
static struct iovec half_of(const struct iovec *buffers) {
  return (struct iovec){buffers[0].iov_base, (buffers[0].iov_len + 1) / 2};
}
#define VECTOR(group, name, parameters, half_call, whole_call) \
  ssize_t name parameters { \
    struct iovec half = count > 0 ? half_of(buffers) : (struct iovec){NULL, 0}; \
    TRANSFER(group, descriptor, name, total(buffers, count), half_call, whole_call); \
  }
VECTOR(READ, readv, (int descriptor, const struct iovec *buffers, int count), next_readv(descriptor, &half, 1),
       next_readv(descriptor, buffers, count))
VECTOR(WRITE, writev, (int descriptor, const struct iovec *buffers, int count), next_writev(descriptor, &half, 1),
       next_writev(descriptor, buffers, count))
VECTOR(READ, preadv, (int descriptor, const struct iovec *buffers, int count, off_t offset),
       next_preadv(descriptor, &half, 1, offset), next_preadv(descriptor, buffers, count, offset))
VECTOR(WRITE, pwritev, (int descriptor, const struct iovec *buffers, int count, off_t offset),
       next_pwritev(descriptor, &half, 1, offset), next_pwritev(descriptor, buffers, count, offset))
VECTOR(READ, preadv2, (int descriptor, const struct iovec *buffers, int count, off_t offset, int flags),
       next_preadv2(descriptor, &half, 1, offset, flags), next_preadv2(descriptor, buffers, count, offset, flags))
VECTOR(WRITE, pwritev2, (int descriptor, const struct iovec *buffers, int count, off_t offset, int flags),
       next_pwritev2(descriptor, &half, 1, offset, flags), next_pwritev2(descriptor, buffers, count, offset, flags))

/* Making data and sizes last */

int fsync(int descriptor) { ON_DESCRIPTOR(SYNC, descriptor, int, fsync, next_fsync(descriptor)); }
int fdatasync(int descriptor) { ON_DESCRIPTOR(SYNC, descriptor, int, fdatasync, next_fdatasync(descriptor)); }
int syncfs(int descriptor) { ON_DESCRIPTOR(SYNC, descriptor, int, syncfs, next_syncfs(descriptor)); }

int ftruncate(int descriptor, off_t size) {
  ON_DESCRIPTOR(RESIZE, descriptor, int, ftruncate, next_ftruncate(descriptor, size));
}
int ftruncate64(int descriptor, off64_t size) {
  ON_DESCRIPTOR(RESIZE, descriptor, int, ftruncate64, next_ftruncate64(descriptor, size));
}
int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  ON_DESCRIPTOR(RESIZE, descriptor, int, fallocate, next_fallocate(descriptor, mode, offset, size));
}
int fallocate64(int descriptor, int mode, off64_t offset, off64_t size) {
  ON_DESCRIPTOR(RESIZE, descriptor, int, fallocate64, next_fallocate64(descriptor, mode, offset, size));
}
/* These return the code instead of setting errno. */
#define POSIX_ALLOCATE(name, offset_type) \
  int name(int descriptor, offset_type offset, offset_type size) { \
    NEXT(name); \
    const char *ours = path_of(descriptor); \
    if (!ours) return next_##name(descriptor, offset, size); \
    int action = meet(RESIZE, #name, ours, 0); \
    if (action == FAIL) return errno; \
    int finished = next_##name(descriptor, offset, size); \
    if (action == KILL_AFTER) end_process(); \
    return finished; \
  }
POSIX_ALLOCATE(posix_fallocate, off_t)
POSIX_ALLOCATE(posix_fallocate64, off64_t)

/* Names */

int rename(const char *from, const char *to) { ON_PATH(RENAME, AT_FDCWD, to, int, rename, next_rename(from, to)); }
int renameat(int folder, const char *from, int other, const char *to) {
  ON_PATH(RENAME, other, to, int, renameat, next_renameat(folder, from, other, to));
}
int renameat2(int folder, const char *from, int other, const char *to, unsigned flags) {
  ON_PATH(RENAME, other, to, int, renameat2, next_renameat2(folder, from, other, to, flags));
}
int link(const char *from, const char *to) { ON_PATH(RENAME, AT_FDCWD, to, int, link, next_link(from, to)); }
int linkat(int folder, const char *from, int other, const char *to, int flags) {
  ON_PATH(RENAME, other, to, int, linkat, next_linkat(folder, from, other, to, flags));
}
int unlink(const char *path) { ON_PATH(REMOVE, AT_FDCWD, path, int, unlink, next_unlink(path)); }
int unlinkat(int folder, const char *path, int flags) {
  ON_PATH(REMOVE, folder, path, int, unlinkat, next_unlinkat(folder, path, flags));
}
int rmdir(const char *path) { ON_PATH(REMOVE, AT_FDCWD, path, int, rmdir, next_rmdir(path)); }
int mkdir(const char *path, mode_t mode) { ON_PATH(MKDIR, AT_FDCWD, path, int, mkdir, next_mkdir(path, mode)); }
int mkdirat(int folder, const char *path, mode_t mode) {
  ON_PATH(MKDIR, folder, path, int, mkdirat, next_mkdirat(folder, path, mode));
}

DIR *opendir(const char *path) {
  NEXT(opendir);
  struct absolute_path absolute;
  const char *ours = resolve(AT_FDCWD, path, &absolute);
  if (!ours) return next_opendir(path);
  int action = meet(LIST, "opendir", ours, 0);
  if (action == FAIL) return NULL;
  DIR *stream = next_opendir(path);
  if (action == KILL_AFTER) end_process();
  if (stream) remember(dirfd(stream), ours);
  return stream;
}
int closedir(DIR *stream) {
  NEXT(closedir);
  remember(dirfd(stream), NULL);
  return next_closedir(stream);
}
#define READ_FOLDER(name, entry) \
  struct entry *name(DIR *stream) { \
    NEXT(name); \
    const char *ours = path_of(dirfd(stream)); \
    if (!ours) return next_##name(stream); \
    int action = meet(LIST, #name, ours, 0); \
    if (action == FAIL) return NULL; \
    struct entry *found = next_##name(stream); \
    if (action == KILL_AFTER) end_process(); \
    return found; \
  }
READ_FOLDER(readdir, dirent)
READ_FOLDER(readdir64, dirent64)

/* Looking */

#define LOOK(name, type) \
  int name(const char *path, struct type *found) { ON_PATH(STAT, AT_FDCWD, path, int, name, next_##name(path, found)); }
#define LOOK_AT(name, type) \
  int name(int folder, const char *path, struct type *found, int flags) { \
    ON_PATH(STAT, folder, path, int, name, next_##name(folder, path, found, flags)); \
  }
#define LOOK_INTO(name, type) \
  int name(int descriptor, struct type *found) { \
    ON_DESCRIPTOR(STAT, descriptor, int, name, next_##name(descriptor, found)); \
  }
LOOK(stat, stat)
LOOK(stat64, stat64)
LOOK(lstat, stat)
LOOK(lstat64, stat64)
LOOK_AT(fstatat, stat)
LOOK_AT(fstatat64, stat64)
LOOK_INTO(fstat, stat)
LOOK_INTO(fstat64, stat64)
int access(const char *path, int mode) { ON_PATH(STAT, AT_FDCWD, path, int, access, next_access(path, mode)); }

/* Mapping */

#define MAPPING(name, offset_type) \
  void *name(void *where, size_t length, int protection, int flags, int descriptor, offset_type offset) { \
    NEXT(name); \
    const char *ours = path_of(descriptor); \
    if (!ours) return next_##name(where, length, protection, flags, descriptor, offset); \
    int action = meet(MAP, #name, ours, length); \
    if (action == FAIL) return MAP_FAILED; \
    void *start = next_##name(where, length, protection, flags, descriptor, offset); \
    if (action == KILL_AFTER) end_process(); \
    return start; \
  }
MAPPING(mmap, off_t)
MAPPING(mmap64, off64_t)
