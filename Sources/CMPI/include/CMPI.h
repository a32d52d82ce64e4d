#include "LinearAlgebra.h"
#include "MessagePassing.h"
#include "ScaLAPACK.h"
