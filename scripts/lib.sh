# shellcheck shell=bash
# What the other scripts share; sourced, never run.

# shellcheck disable=SC2034  # for the scripts that source this
FROG_MPI_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Downloads, the Python environment and generated checkpoints live here, outside the repository.
FROG_MPI_CACHE=${FROG_MPI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/frog-mpi}

# Open MPI refuses to start as root unless it is told twice; containers and CI run as root.
if [[ $(id -u) -eq 0 ]]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }

# fail STATUS MESSAGE…: one line on stderr, then exit.
fail() {
  local status=$1
  shift
  printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
  exit "$status"
}

# frog_mpirun RANKS COMMAND…: mpirun that also works with more ranks than cores. Waiting ranks yield,
# or each would spin on a core that another one needs. FROG_MPI_TIMEOUT: seconds until it is stopped.
frog_mpirun() {
  local ranks=$1
  shift
  timeout "${FROG_MPI_TIMEOUT:-0}" mpirun -n "$ranks" --oversubscribe --mca mpi_yield_when_idle 1 -x SWIFT_BACKTRACE=enable=no "$@"
}

# The interpreter of the environment that `scripts/setup --python` makes.
frog_python() { printf '%s\n' "$FROG_MPI_CACHE/venv/bin/python"; }
