#define _GNU_SOURCE
#include "CKernelsSignals.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

// Atomics without locks, so that handlers and threads may share them.
static atomic_int caught;
static atomic_int exit_status = -1;
static atomic_int alarm_status;

// Whether errors are written as JSON objects.
static atomic_int reports_in_json;

// Whether SIGINT was ignored when the program began, as in the background of a shell without job control.
static int ignores_interrupts;

// Whether the process has sent itself SIGINT, as OpenBLAS does when it cannot start a thread.
static int is_own(int number, const siginfo_t *info) {
  return number == SIGINT && info->si_code == SI_TKILL && info->si_pid == getpid();
}

static void end_without_threads(void) {
#define LACK_OF_THREADS                                                                                             \
  "OpenBLAS cannot start its threads: raise the limit of processes (ulimit -u, or pids.max of the control group) or " \
  "of memory (ulimit -v), or use fewer threads by OPENBLAS_NUM_THREADS=1 and --threads 1"
  static const char text[] = "frog-mpi: error: " LACK_OF_THREADS "\n";
  static const char object[] = "{\"level\":\"error\",\"message\":\"" LACK_OF_THREADS "\"}\n";
  ssize_t written = atomic_load(&reports_in_json) ? write(STDERR_FILENO, object, sizeof object - 1)
                                                  : write(STDERR_FILENO, text, sizeof text - 1);
  (void)written;
  _exit(EX_SOFTWARE);
}

static void note(int number, siginfo_t *info, void *context) {
  (void)context;
  if (is_own(number, info)) end_without_threads();
  if (number == SIGINT && ignores_interrupts) return;
  int status = atomic_load(&exit_status);
  if (status >= 0 && (number == SIGTERM || number == SIGINT)) _exit(status);
  int none = 0;
  atomic_compare_exchange_strong(&caught, &none, number);
}

static void end(int number, siginfo_t *info, void *context) {
  (void)number, (void)info, (void)context;
  _exit(atomic_load(&alarm_status));
}

static int handle(int number, void (*handler)(int, siginfo_t *, void *)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handler;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  return sigaction(number, &action, NULL);
}

int frog_catch_signals(void) {
  static const int numbers[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGINT, SIGHUP};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction old;
    if (sigaction(numbers[i], NULL, &old) != 0) return -1;
    if (numbers[i] == SIGHUP && old.sa_handler == SIG_IGN) continue;
    if (numbers[i] == SIGINT && old.sa_handler == SIG_IGN) ignores_interrupts = 1;
    if (handle(numbers[i], note) != 0) return -1;
  }
  return 0;
}

void frog_report_in_json(void) { atomic_store(&reports_in_json, 1); }

int frog_caught_signal(void) { return atomic_load(&caught); }

void frog_exit_on_signal(int status) { atomic_store(&exit_status, status); }

void frog_exit_after(unsigned seconds, int status) {
  atomic_store(&alarm_status, status);
  if (seconds > 0) handle(SIGALRM, end);
  alarm(seconds);
}

void frog_exit_now(int status) { _exit(status); }

// MARK: Before the program begins

// OpenBLAS starts threads already when it is loaded, one for each core. Functions of this section run before that: they are
// called before the constructors of shared libraries, and linkers take them in programs only.
#ifdef __GLIBC__
static void interrupted_at_start(int number, siginfo_t *info, void *context) {
  (void)context;
  if (is_own(number, info)) end_without_threads();
  signal(number, SIG_DFL);
  raise(number);
}

static void watch_start(int count, char **arguments, char **environment) {
  (void)count, (void)arguments, (void)environment;
  struct sigaction old;
  if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler == SIG_DFL) handle(SIGINT, interrupted_at_start);
}

__attribute__((section(".preinit_array"), used)) static void (*const at_start)(int, char **, char **) = watch_start;
#endif
