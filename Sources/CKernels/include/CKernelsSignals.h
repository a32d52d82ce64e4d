/// Signals that ask a run to stop: the handler only notes them, a thread looks at the note.
#ifndef FROG_CKERNELS_SIGNALS_H
#define FROG_CKERNELS_SIGNALS_H

/// Notes SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 from now on instead of ending the process. SIGINT and SIGHUP stay ignored
/// where they are, as under nohup(1). Interrupted system calls are restarted. Returns 0, or -1 with errno.
int frog_catch_signals(void);

/// The first signal that was noted; 0 if there was none.
int frog_caught_signal(void);

/// From now on SIGTERM and SIGINT end the process at once, with this status.
void frog_exit_on_signal(int status);

/// Ends the process with a status so many seconds from now, whatever its threads wait for; 0 seconds takes that back.
void frog_exit_after(unsigned seconds, int status);

/// _exit(2): nothing of the process runs any more, neither handlers of atexit(3) nor other threads.
void frog_exit_now(int status);

#endif
