// Standard headers stand before the target: their inline functions must stay baseline code.
#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/mmoe_sizes.h"
#include "kernels/ple_sizes.h"
#include "kernels/table.h"

#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma")
// Full-width registers: the compiler would else prefer 256 bits.
#pragma GCC target("prefer-vector-width=512")
// GCC 12 takes its own _mm512_undefined_ps() for a fault.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace rec {
namespace avx512bf16 {
#include "kernels/simd_avx512bf16.h"
// clang-format off
#include "kernels/family.h"
#include "kernels/mmoe_packed.h"
// clang-format on
}  // namespace avx512bf16

const Kernels kernels_avx512bf16 = {
    "avx512bf16",
    avx512bf16::matrix_product,
    avx512bf16::relu_backward,
    avx512bf16::gate_mix,
    avx512bf16::gate_mix_backward,
    avx512bf16::dot_rows,
    avx512bf16::dot_rows_backward,
    avx512bf16::normalise,
    avx512bf16::sigmoid,
    avx512bf16::adam,
    avx512bf16::adagrad,
    avx512bf16::square_sum,
    avx512bf16::mmoe_score,
    avx512bf16::extraction_mix,
    avx512bf16::extraction_mix_backward,
    avx512bf16::ple_score,
    avx512bf16::mmoe_pack,
    avx512bf16::mmoe_score_packed,
};
}  // namespace rec
