// Counters and histograms that any thread writes with relaxed additions.
//
// A histogram has 32 buckets an octave from 2^-20 to 2^40, taken from the exponent and the first
// five bits of the mantissa of a double: at most 1.6 % error at the middle of a bucket. Bucket 0
// holds what is smaller (zero too), the last one what is larger.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmath>
#include <memory>
#include <new>

#include "shared_memory.h"

namespace rec {
namespace {

constexpr int kExponentMin = -20;
constexpr int kExponentMax = 40;
constexpr uint32_t kPerOctave = 32;
constexpr uint32_t kBuckets = (kExponentMax - kExponentMin) * kPerOctave + 2;
static_assert(kBuckets == REC_HISTOGRAM_BUCKETS);
constexpr uint32_t kHeldAt = kBuckets + 1;
constexpr uint32_t kHistogramWords = kBuckets + 2;
constexpr uint32_t kMetricsMax = 65536;

struct Metrics {
  uint32_t counters = 0;
  uint32_t histograms = 0;
  // Counters u64, then for each histogram the buckets u64, the sum f64 and what is held f64.
  Region region;

  uint64_t* counter_at(uint32_t index) const {
    return reinterpret_cast<uint64_t*>(region.data()) + index;
  }
  uint64_t* histogram_at(uint32_t index) const {
    return counter_at(counters) + uint64_t{index} * kHistogramWords;
  }
};

uint32_t bucket_of(double value) {
  if (!(value >= std::ldexp(1.0, kExponentMin))) return 0;
  if (value >= std::ldexp(1.0, kExponentMax)) return kBuckets - 1;
  uint64_t bits;
  memcpy(&bits, &value, 8);
  const int exponent = static_cast<int>((bits >> 52) & 0x7ff) - 1023;
  const uint32_t part = static_cast<uint32_t>(bits >> 47) & (kPerOctave - 1);
  return 1 + static_cast<uint32_t>(exponent - kExponentMin) * kPerOctave + part;
}

void add_double(uint64_t* word, double by) {
  uint64_t seen = load(word);
  for (;;) {
    double value;
    memcpy(&value, &seen, 8);
    value += by;
    uint64_t next;
    memcpy(&next, &value, 8);
    if (__atomic_compare_exchange_n(word, &seen, next, true, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
      return;
    }
  }
}

Metrics* metrics_of(int32_t handle) { return lookup<Metrics>(handle, kMetrics); }

}  // namespace
}  // namespace rec

using rec::Metrics;

int32_t rec_metrics_create(uint32_t counters, uint32_t histograms) {
  if (counters + uint64_t{histograms} == 0 || counters > rec::kMetricsMax ||
      histograms > rec::kMetricsMax) {
    return REC_BAD_ARGUMENT;
  }
  std::unique_ptr<Metrics> made(new (std::nothrow) Metrics());
  if (!made) return REC_NO_MEMORY;
  made->counters = counters;
  made->histograms = histograms;
  const size_t words = counters + size_t{histograms} * rec::kHistogramWords;
  if (!made->region.reserve(8 * words)) return REC_NO_MEMORY;
  return rec::adopt(rec::kMetrics, made.release());
}

int32_t rec_metrics_shape(int32_t handle, uint32_t* shape) {
  const Metrics* metrics = rec::metrics_of(handle);
  if (metrics == nullptr) return REC_BAD_HANDLE;
  shape[0] = metrics->counters;
  shape[1] = metrics->histograms;
  return REC_OK;
}

int32_t rec_metrics_add(int32_t handle, uint32_t counter, uint64_t by) {
  Metrics* metrics = rec::metrics_of(handle);
  if (metrics == nullptr) return REC_BAD_HANDLE;
  if (counter >= metrics->counters) return REC_BAD_ARGUMENT;
  __atomic_fetch_add(metrics->counter_at(counter), by, __ATOMIC_RELAXED);
  return REC_OK;
}

int32_t rec_metrics_set(int32_t handle, uint32_t counter, uint64_t value) {
  Metrics* metrics = rec::metrics_of(handle);
  if (metrics == nullptr) return REC_BAD_HANDLE;
  if (counter >= metrics->counters) return REC_BAD_ARGUMENT;
  __atomic_store_n(metrics->counter_at(counter), value, __ATOMIC_RELAXED);
  return REC_OK;
}

int32_t rec_metrics_observe(int32_t handle, uint32_t histogram, double value) {
  Metrics* metrics = rec::metrics_of(handle);
  if (metrics == nullptr) return REC_BAD_HANDLE;
  if (histogram >= metrics->histograms || !std::isfinite(value)) return REC_BAD_ARGUMENT;
  uint64_t* buckets = metrics->histogram_at(histogram);
  __atomic_fetch_add(buckets + rec::bucket_of(value), uint64_t{1}, __ATOMIC_RELAXED);
  rec::add_double(buckets + rec::kBuckets, value);
  return REC_OK;
}

int32_t rec_metrics_hold(int32_t handle, uint32_t histogram, double value) {
  Metrics* metrics = rec::metrics_of(handle);
  if (metrics == nullptr) return REC_BAD_HANDLE;
  const bool fits = std::isfinite(value) && value >= 0;
  if (histogram >= metrics->histograms || !fits) return REC_BAD_ARGUMENT;
  // One more than the value: an empty word is 0, and positive doubles are ordered as their bits.
  const double held = value + 1;
  uint64_t bits;
  memcpy(&bits, &held, 8);
  uint64_t* word = metrics->histogram_at(histogram) + rec::kHeldAt;
  uint64_t seen = rec::load(word);
  while (seen < bits && !__atomic_compare_exchange_n(word, &seen, bits, true, __ATOMIC_RELAXED,
                                                     __ATOMIC_RELAXED)) {
  }
  return REC_OK;
}

int32_t rec_metrics_take_held(int32_t handle, uint32_t histogram, double* value) {
  Metrics* metrics = rec::metrics_of(handle);
  if (metrics == nullptr) return REC_BAD_HANDLE;
  if (histogram >= metrics->histograms) return REC_BAD_ARGUMENT;
  uint64_t* word = metrics->histogram_at(histogram) + rec::kHeldAt;
  // Looked at first: nearly always there is nothing, and a write would take the line from others.
  const uint64_t bits =
      rec::load(word) == 0 ? 0 : __atomic_exchange_n(word, uint64_t{0}, __ATOMIC_RELAXED);
  double held;
  memcpy(&held, &bits, 8);
  *value = held - 1;
  return REC_OK;
}

int32_t rec_metrics_read_counters(int32_t handle, double* out, size_t out_length) {
  const Metrics* metrics = rec::metrics_of(handle);
  if (metrics == nullptr) return REC_BAD_HANDLE;
  if (out_length < metrics->counters) return REC_BAD_ARGUMENT;
  for (uint32_t i = 0; i < metrics->counters; i++) {
    out[i] = static_cast<double>(rec::load(metrics->counter_at(i)));
  }
  return REC_OK;
}

int32_t rec_metrics_read_histogram(int32_t handle, uint32_t histogram, double* out,
                                   size_t out_length) {
  const Metrics* metrics = rec::metrics_of(handle);
  if (metrics == nullptr) return REC_BAD_HANDLE;
  if (histogram >= metrics->histograms || out_length < rec::kBuckets + 1) return REC_BAD_ARGUMENT;
  const uint64_t* buckets = metrics->histogram_at(histogram);
  for (uint32_t i = 0; i < rec::kBuckets; i++) out[i] = static_cast<double>(rec::load(buckets + i));
  const uint64_t sum = rec::load(buckets + rec::kBuckets);
  memcpy(out + rec::kBuckets, &sum, 8);
  return REC_OK;
}

double rec_metrics_bucket_bound(uint32_t bucket) {
  if (bucket == 0) return std::ldexp(1.0, rec::kExponentMin);
  if (bucket >= rec::kBuckets - 1) return INFINITY;
  const uint32_t octave = (bucket - 1) / rec::kPerOctave;
  const double part = (bucket - 1) % rec::kPerOctave + 1;
  return std::ldexp(1 + part / rec::kPerOctave, static_cast<int>(octave) + rec::kExponentMin);
}

int32_t rec_release(int32_t handle) {
  for (uint32_t kind = rec::kIdTable; kind <= rec::kMetrics; kind++) {
    if (rec::registry_release(handle, static_cast<rec::Kind>(kind))) return REC_OK;
  }
  return REC_BAD_HANDLE;
}

int32_t rec_thread_name(const char* name) {
  return prctl(PR_SET_NAME, name, 0, 0, 0) == 0 ? REC_OK : REC_IO_FAILED;
}

int32_t rec_thread_nice(int32_t nice) {
  if (nice < -20 || nice > 19) return REC_BAD_ARGUMENT;
  const id_t thread = static_cast<id_t>(syscall(SYS_gettid));
  if (setpriority(PRIO_PROCESS, thread, nice) != 0) return REC_IO_FAILED;
  return 100 + getpriority(PRIO_PROCESS, thread);
}

int32_t rec_thread_slice(uint32_t microseconds) {
  // struct sched_attr of linux/sched/types.h, which older headers lack.
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {};
  attributes.size = sizeof attributes;
  if (microseconds < 100 || microseconds > 100000) return REC_BAD_ARGUMENT;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return 0;
  attributes.runtime = uint64_t{1000} * microseconds;
  return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0 ? 1 : 0;
}
