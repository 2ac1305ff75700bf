// Standard headers stand before the target: their inline functions must stay baseline code.
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "kernels/mmoe_sizes.h"
#include "kernels/ple_sizes.h"
#include "kernels/table.h"

#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
// Full-width registers: the compiler would else prefer 256 bits.
#pragma GCC target("prefer-vector-width=512")
// GCC 12 takes its own _mm512_undefined_ps() for a fault.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace rec {
namespace avx512 {
#include "kernels/simd_avx512.h"
// clang-format off
#include "kernels/family.h"
// clang-format on
}  // namespace avx512

const Kernels kernels_avx512 = {
    "avx512",
    avx512::matrix_product,
    avx512::relu_backward,
    avx512::gate_mix,
    avx512::gate_mix_backward,
    avx512::dot_rows,
    avx512::dot_rows_backward,
    avx512::normalise,
    avx512::sigmoid,
    avx512::adam,
    avx512::adagrad,
    avx512::square_sum,
    avx512::mmoe_score,
    avx512::extraction_mix,
    avx512::extraction_mix_backward,
    avx512::ple_score,
    nullptr,
    nullptr,
};
}  // namespace rec
