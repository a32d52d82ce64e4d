/// Signals that ask a run to stop. The handler only notes them, and a thread looks at the note.
#ifndef FROG_CKERNELS_SIGNALS_H
#define FROG_CKERNELS_SIGNALS_H

/// Notes SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 from now on, so that they do not end the process. SIGINT and
/// SIGHUP stay ignored if they are ignored, as under nohup(1). System calls that a signal interrupts are restarted.
/// Returns 0, or -1 with errno set.
///
/// A SIGINT that the process sends itself is no wish of a user, and is never ignored: OpenBLAS raises it if it cannot start a
/// thread. The process says so in one line and ends with status 70. That also holds from before the first library is
/// initialized, whether or not this function is called.
int frog_catch_signals(void);

/// Makes errors that a handler reports JSON objects with the keys level and message, from now on.
void frog_report_in_json(void);

/// The first signal that was noted; 0 if there was none.
int frog_caught_signal(void);

/// Makes SIGTERM and SIGINT end the process at once with a status, from now on.
void frog_exit_on_signal(int status);

/// Ends the process with a status after some seconds, whatever its threads wait for. 0 seconds cancel this.
void frog_exit_after(unsigned seconds, int status);

/// Ends the process at once. Neither handlers of atexit(3) nor other threads run any more.
///
/// C function: _exit(2).
void frog_exit_now(int status);

#endif
