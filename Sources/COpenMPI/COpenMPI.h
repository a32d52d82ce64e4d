// Empty on purpose. This target only carries the flags of the pkg-config module of MPI. The functions are in CMPI,
// since the build does not notice edits of a system library's own header.
