// The body of one instruction set's kernels: included once by each kernels_<set>.cpp, inside its
// own namespace and under its own target, after the vectors of that set.
#include "dense.h"
#include "softmax.h"
#include "dot.h"
#include "optimizer.h"
#include "mmoe.h"
#include "ple.h"
