// Standard headers stand before the target: their inline functions must stay baseline code.
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "kernels/mmoe_sizes.h"
#include "kernels/ple_sizes.h"
#include "kernels/table.h"

#pragma GCC target("avx2,fma")

namespace rec {
namespace avx2 {
#include "kernels/simd_avx2.h"
// clang-format off
#include "kernels/family.h"
// clang-format on
}  // namespace avx2

const Kernels kernels_avx2 = {
    "avx2",
    avx2::matrix_product,
    avx2::relu_backward,
    avx2::gate_mix,
    avx2::gate_mix_backward,
    avx2::dot_rows,
    avx2::dot_rows_backward,
    avx2::normalise,
    avx2::sigmoid,
    avx2::adam,
    avx2::adagrad,
    avx2::square_sum,
    avx2::mmoe_score,
    avx2::extraction_mix,
    avx2::extraction_mix_backward,
    avx2::ple_score,
    nullptr,
    nullptr,
};
}  // namespace rec
