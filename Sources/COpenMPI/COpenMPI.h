// Empty on purpose: this target only carries the flags of the MPI pkg-config module. The functions
// live in CMPI, because edits to a system library's own header are not tracked by the build.
