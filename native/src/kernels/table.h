// The numeric kernels: arguments and the table of one instruction set's implementations.
//
// Rules: a kernel allocates nothing, keeps no state, starts no thread and never reads or writes
// outside the shapes it is given; the binding checks those. Matrices are row-major; a *_row stride
// counts floats. No pointer needs alignment. NaN and infinities pass through, never hidden.
// A row's result does not depend on how many rows stand beside it: the order of every sum is fixed.
#pragma once
#include <cstddef>
#include <cstdint>

namespace rec {

// C[m x n] = act(start + A[m x k] B[k x n]); the first relu_columns columns pass through ReLU.
// A and B have two strides, so that transposes cost no copy.
struct MatrixProduct {
  const float* a;
  ptrdiff_t a_row, a_column;
  const float* b;
  ptrdiff_t b_row, b_column;
  float* c;
  ptrdiff_t c_row;
  const float* bias;  // start, one per column, where not null
  int m, n, k;
  int relu_columns;
  bool accumulate;  // start from what C holds
};

// Where a multi-gate mixture of experts keeps its parameters in one flat array (floats), and its
// sizes. `pad` is a width rounded up to 16. Layer one is one matrix for all heads and experts:
// columns [experts * pad(h1) | pad(heads * experts gates + heads skips)].
struct MmoeShape {
  static constexpr int layers_max = 4;
  int user_dense, user_vector, item_dense, item_vector;
  int heads, experts;
  int expert_layers, tower_layers;
  int expert_width[layers_max], tower_width[layers_max];
  int user_mean, user_scale, item_mean, item_scale;  // offsets of the normaliser
  int layer_one, layer_one_bias;
  int expert_offset[layers_max];  // of layer l >= 1: experts x (width in x pad(out), pad(out) bias)
  int tower_offset[layers_max];   // heads x (width in x pad(out), pad(out) bias)
  int output_offset;              // heads x (pad(last tower) weights, 16 with the bias first)
  int floats;
  uint32_t seconds_heads;  // bit h: the head predicts log1p seconds
};

// user_rows is 1 (one user, many items) or equal to rows. out is heads x rows.
struct MmoeInput {
  const float* weights;
  const float* user_dense;
  const float* user_vector;
  int user_rows;
  const float* item_dense;
  const float* item_vector;
  int rows;
  bool logits;  // leave out sigmoid and expm1
  float* out;
  float* workspace;  // at least mmoe_workspace(shape) floats
};

struct GateShape {
  int rows, heads, experts, width;
  ptrdiff_t logits_row;   // logits[r * logits_row + h * experts + e]
  ptrdiff_t experts_row;  // experts[r * experts_row + e * width_padded + j]
  ptrdiff_t expert_stride;
  ptrdiff_t mixed_head;  // mixed[h * mixed_head + r * mixed_row + j]
  ptrdiff_t mixed_row;
};

// Gates of one extraction level: head h's sees its own experts, from h * head_experts on, then the
// shared ones; the shared gate, last, sees all. A row's logits and gates stand packed.
struct ExtractionShape {
  int rows, heads, head_experts, shared_experts, shared_gate, width;
  ptrdiff_t logits_row, experts_row, expert_stride;
  ptrdiff_t mixed_gate;  // mixed[g * mixed_gate + r * mixed_row + j]
  ptrdiff_t mixed_row;
};

// Progressive layered extraction; native/ple-shape.ts says what stands where.
struct PleShape {
  static constexpr int layers_max = 4, levels_max = 3;
  int user_dense, user_vector, item_dense, item_vector;
  int heads, head_experts, shared_experts, levels;
  int expert_layers, tower_layers;
  int expert_width[layers_max], tower_width[layers_max];
  int user_mean, user_scale, item_mean, item_scale;
  int layer_one, layer_one_bias;
  int expert_offset[levels_max][layers_max];  // [0][0] is part of layer one
  int gate_offset[levels_max];                // [0] likewise
  int tower_offset[layers_max];
  int output_offset;
  int floats;
  uint32_t seconds_heads;
};

struct AdamStep {
  float learning_rate, beta1, beta2, epsilon;
  // 1 - beta, rounded once: in floats 1 - 0.999f is 1.3e-5 of itself off, and so is every step.
  float rest1, rest2;
  float correction1, correction2;  // 1 / (1 - beta^step)
  float gradient_scale;
};

struct Kernels {
  const char* name;
  void (*matrix_product)(const MatrixProduct&);
  void (*relu_backward)(const float* output, float* gradient, float* bias_gradient, int rows,
                        int columns, ptrdiff_t output_row, ptrdiff_t gradient_row, bool relu);
  void (*gate_mix)(const GateShape&, const float* logits, const float* experts, float* gates,
                   float* mixed);
  void (*gate_mix_backward)(const GateShape&, const float* gates, const float* experts,
                            const float* mixed_gradient, float* logits_gradient,
                            float* experts_gradient);
  void (*dot_rows)(const float* query, const float* rows, int count, int width, ptrdiff_t row,
                   float* out);
  void (*dot_rows_backward)(const float* query, const float* rows, const float* out_gradient,
                            int count, int width, ptrdiff_t row, float* query_gradient,
                            float* rows_gradient);
  void (*normalise)(const float* values, const float* mean, const float* scale, float clip,
                    int rows, int width, float* out, ptrdiff_t out_row);
  void (*sigmoid)(const float* values, int count, float* out);
  void (*adam)(float* weights, const float* gradients, float* first, float* second, int count,
               const AdamStep&);
  void (*adagrad)(float* weights, const float* gradients, float* sums, int count,
                  float learning_rate, float epsilon, float gradient_scale);
  double (*square_sum)(const float* values, int count);
  void (*mmoe_score)(const MmoeShape&, const MmoeInput&);
  void (*extraction_mix)(const ExtractionShape&, const float* logits, const float* experts,
                         float* gates, float* mixed);
  void (*extraction_mix_backward)(const ExtractionShape&, const float* gates, const float* experts,
                                  const float* mixed_gradient, float* logits_gradient,
                                  float* experts_gradient);
  void (*ple_score)(const PleShape&, const MmoeInput&);
  // Both null where the set does not multiply bf16. The slot holds packed_places(shape).floats.
  void (*mmoe_pack)(const MmoeShape&, float* slot);
  void (*mmoe_score_packed)(const MmoeShape&, const MmoeInput&);
};

extern const Kernels kernels_base, kernels_avx2, kernels_avx512, kernels_avx512bf16;

// Instruction sets in order: 0 base, 1 AVX2 with FMA, 2 AVX-512 F, VL, DQ, BW, 3 with BF16.
int best_instruction_set();
const Kernels& kernels_of(int instruction_set);

int padded(int width);
size_t mmoe_workspace(const MmoeShape&);
size_t ple_workspace(const PleShape&);

// Losses and selection are short loops of transcendental or branching work: one build serves all.
// Each label that is NaN counts for nothing. gradients may be null.
void bce(const float* logits, const float* labels, const float* weights, int count, float* losses,
         float* gradients);
void ctcvr(const float* given_logits, const float* logits, const float* labels,
           const float* weights, int count, float* losses, float* given_gradients,
           float* gradients);
void smooth_l1(const float* values, const float* labels, const float* weights, int count,
               float beta, float* losses, float* gradients);
// Indexes of the k best scores, best first, equal scores by index, non-finite last. Returns k.
int top_k(const float* scores, int count, int k, uint32_t* out);

}  // namespace rec
