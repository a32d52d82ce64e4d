// The functions are inline in the headers. SwiftPM wants a C target to have a source file.
#include "CMPI.h"
