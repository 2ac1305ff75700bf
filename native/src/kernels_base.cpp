// Standard headers stand before the target: their inline functions must stay baseline code.
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "kernels/mmoe_sizes.h"
#include "kernels/ple_sizes.h"
#include "kernels/table.h"

namespace rec {
namespace base {
#include "kernels/simd_base.h"
// clang-format off
#include "kernels/family.h"
// clang-format on
}  // namespace base

const Kernels kernels_base = {
    "base",
    base::matrix_product,
    base::relu_backward,
    base::gate_mix,
    base::gate_mix_backward,
    base::dot_rows,
    base::dot_rows_backward,
    base::normalise,
    base::sigmoid,
    base::adam,
    base::adagrad,
    base::square_sum,
    base::mmoe_score,
    base::extraction_mix,
    base::extraction_mix_backward,
    base::ple_score,
    nullptr,
    nullptr,
};
}  // namespace rec
