// Every kernel on every instruction set of this machine, at awkward sizes, on buffers that end at a
// page nobody may touch and start off alignment, over numbers that hide faults: NaN, infinities,
// denormals. Sets must agree by kind (NaN, infinity) and, where finite, within rounding.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <utility>

#include "kernels/mmoe_sizes.h"
#include "kernels/table.h"
#include "race.h"

using namespace rec;

namespace {

// Floats whose last one ends where a guard page begins; the page before is a guard too, and what
// lies between it and the first float holds a pattern that must stay.
class Guarded {
 public:
  explicit Guarded(size_t count) : count_(count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inside = (count * sizeof(float) + page) / page * page;
    bytes_ = inside + 2 * page;
    base_ = static_cast<uint8_t*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(base_ != MAP_FAILED);
    CHECK(mprotect(base_, page, PROT_NONE) == 0);
    CHECK(mprotect(base_ + page + inside, page, PROT_NONE) == 0);
    begin_ = base_ + page;
    values_ = reinterpret_cast<float*>(begin_ + inside) - count;
    std::memset(begin_, kPattern, inside);
  }
  Guarded(const Guarded&) = delete;
  ~Guarded() {
    for (const uint8_t* at = begin_; at < reinterpret_cast<uint8_t*>(values_); at++) {
      CHECK(*at == kPattern);
    }
    munmap(base_, bytes_);
  }
  float* data() { return values_; }
  size_t size() const { return count_; }

 private:
  static constexpr uint8_t kPattern = 0xa5;
  size_t count_, bytes_;
  uint8_t *base_, *begin_;
  float* values_;
};

uint32_t state = 1;

uint32_t next() {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

enum Numbers { kPlain, kPositive, kWild };

// Wild: one of eight is NaN, an infinity, a denormal, a zero or huge.
float number(Numbers kind) {
  const float plain = static_cast<float>(static_cast<int32_t>(next())) * 0x1p-31f;
  if (kind == kPositive) return std::abs(plain) + 1e-3f;
  if (kind == kPlain || next() % 8 != 0) return plain;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, 1e-40f,
                           -1e-42f, 0.0f, -0.0f, 3e38f};
  return special[next() % 8];
}

// Buffers of one call. Every set starts from the same numbers.
class Buffers {
 public:
  explicit Buffers(Numbers kind) : kind_(kind) {}
  float* take(size_t count) { return take(count, kind_); }
  float* take(size_t count, Numbers kind) {
    all_.push_back(std::make_unique<Guarded>(count));
    float* values = all_.back()->data();
    for (size_t i = 0; i < count; i++) values[i] = number(kind);
    return values;
  }
  // Scratch: its contents are nobody's business.
  float* scratch(size_t count) {
    spare_.push_back(std::make_unique<Guarded>(count));
    return spare_.back()->data();
  }
  std::vector<float> contents() {
    std::vector<float> out;
    for (const auto& one : all_) out.insert(out.end(), one->data(), one->data() + one->size());
    return out;
  }

 private:
  Numbers kind_;
  std::vector<std::unique_ptr<Guarded>> all_, spare_;
};

int checks = 0;

bool same(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::abs(a - b) <= 3e-5f * std::max(1.0f, std::abs(b));
}

using Body = std::function<void(const Kernels&, Buffers&)>;

// Runs a body on all sets. Plain numbers must agree; over wild ones what overflows may differ by
// the order of a sum, so there only the bounds, and that plain calls stay plain, are held.
void on_all_sets(const char* name, Numbers kind, const Body& body) {
  const uint32_t seed = next() | 1;
  std::vector<float> wanted;
  for (int set = 0; set <= best_instruction_set(); set++) {
    state = seed;
    Buffers buffers(kind);
    body(kernels_of(set), buffers);
    const std::vector<float> found = buffers.contents();
    if (set == 0) wanted = found;
    CHECK(found.size() == wanted.size());
    for (size_t i = 0; kind != kWild && i < found.size(); i++) {
      if (same(found[i], wanted[i]) && std::isfinite(found[i])) continue;
      fprintf(stderr, "%s, set %d, at %zu: %g, base has %g\n", name, set, i,
              static_cast<double>(found[i]), static_cast<double>(wanted[i]));
      exit(1);
    }
    checks++;
  }
}

void on_all_numbers(const char* name, const Body& body) {
  on_all_sets(name, kPlain, body);
  on_all_sets(name, kWild, body);
}

const int kSizes[] = {1, 2, 3, 5, 7, 8, 12, 13, 15, 16, 17, 31, 33, 47, 65};

}  // namespace
