#define _GNU_SOURCE
#include "CKernelsSignals.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

// Atomics without locks, so that handlers and threads may share them.
static atomic_int caught;
static atomic_int exit_status = -1;
static atomic_int alarm_status;

static void note(int number) {
  int status = atomic_load(&exit_status);
  if (status >= 0 && (number == SIGTERM || number == SIGINT)) _exit(status);
  int none = 0;
  atomic_compare_exchange_strong(&caught, &none, number);
}

static void end(int number) {
  (void)number;
  _exit(atomic_load(&alarm_status));
}

static int handle(int number, void (*handler)(int)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  return sigaction(number, &action, NULL);
}

int frog_catch_signals(void) {
  static const int numbers[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGINT, SIGHUP};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction old;
    if (sigaction(numbers[i], NULL, &old) != 0) return -1;
    int may_be_ignored = numbers[i] == SIGINT || numbers[i] == SIGHUP;
    if (may_be_ignored && old.sa_handler == SIG_IGN) continue;
    if (handle(numbers[i], note) != 0) return -1;
  }
  return 0;
}

int frog_caught_signal(void) { return atomic_load(&caught); }

void frog_exit_on_signal(int status) { atomic_store(&exit_status, status); }

void frog_exit_after(unsigned seconds, int status) {
  atomic_store(&alarm_status, status);
  if (seconds > 0) handle(SIGALRM, end);
  alarm(seconds);
}

void frog_exit_now(int status) { _exit(status); }
