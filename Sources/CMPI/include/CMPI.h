#include "LinearAlgebra.h"
#include "MessagePassing.h"
