#include "CKernelsAffinity.h"
#include "CKernelsDecode.h"
#include "CKernelsFallocate.h"
#include "CKernelsScores.h"
