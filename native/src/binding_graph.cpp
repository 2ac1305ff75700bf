#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "binding.h"
#include "graph_index.h"

namespace rec {
namespace {

// Threads that hold references by number, so that a dead thread's can be given back; the last
// place is the thread that made the graph.
constexpr uint32_t kHolders = 65;
constexpr uint32_t kDimMax = 4096;

struct GraphObject {
  int32_t handle = 0;
  std::unique_ptr<GraphBuilder> builder;
  std::unique_ptr<GraphIndex> index;
  std::atomic<bool> finished{false};
  uint32_t held[kHolders] = {};
};

// Guards `live` and every `held`. Taken before the registry's own lock, never after.
std::mutex guard;
std::set<GraphObject*> live;

void destroy(void* object) {
  GraphObject* graph = static_cast<GraphObject*>(object);
  {
    std::lock_guard<std::mutex> lock(guard);
    live.erase(graph);
  }
  delete graph;
}

int32_t add_object(std::unique_ptr<GraphObject> graph) {
  graph->held[kHolders - 1] = 1;
  GraphObject* object = graph.get();
  std::lock_guard<std::mutex> lock(guard);
  object->handle = registry_add(kGraph, object, destroy);
  if (object->handle == 0) fail("REC_NATIVE_MEMORY", "too many native objects");
  live.insert(graph.release());
  return object->handle;
}

// A reference for the length of one call: a release elsewhere cannot pull the graph away.
class Pin {
 public:
  explicit Pin(int32_t handle) : handle_(handle) {
    graph_ = static_cast<GraphObject*>(registry_retain(handle, kGraph));
    if (graph_ == nullptr) fail("REC_NATIVE_HANDLE", "no graph has this handle");
  }
  ~Pin() { registry_release(handle_, kGraph); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  GraphBuilder& builder() const {
    if (!graph_->builder) fail("REC_NATIVE_HANDLE", "the graph is finished");
    return *graph_->builder;
  }
  const GraphIndex& index() const {
    if (!graph_->finished.load(std::memory_order_acquire)) {
      fail("REC_NATIVE_HANDLE", "the graph is not finished");
    }
    return *graph_->index;
  }
  GraphObject* operator->() const { return graph_; }

 private:
  int32_t handle_;
  GraphObject* graph_;
};

uint32_t holder_of(Call& call, size_t at) {
  const uint32_t holder = call.u32(at, "holder");
  if (holder >= kHolders) fail("REC_NATIVE_ARGUMENT", "holder must be below 65");
  return holder;
}

napi_value graph_begin(Call& call) {
  GraphOptions options;
  options.dim = call.u32(0, "dim");
  options.capacity = call.u32(1, "capacity");
  options.m = call.u32(2, "m");
  options.ef_construction = call.u32(3, "efConstruction");
  options.seed = call.u32(4, "seed");
  options.exact_max = call.u32(5, "exactMax");
  const bool sound = options.dim > 0 && options.dim <= kDimMax && options.m >= 2 &&
                     options.m <= 256 && options.ef_construction > 0 &&
                     options.ef_construction <= 10000 && options.capacity <= (1u << 30);
  if (!sound) fail("REC_NATIVE_ARGUMENT", "graph options out of range");
  auto graph = std::make_unique<GraphObject>();
  graph->builder = std::make_unique<GraphBuilder>(options);
  return call.result(add_object(std::move(graph)));
}

napi_value graph_add(Call& call) {
  const Pin pin(call.i32(0, "handle"));
  GraphBuilder& builder = pin.builder();
  const uint32_t from = call.u32(3, "from");
  const uint32_t count = call.u32(4, "count");
  const uint64_t end = uint64_t{from} + count;
  const auto vectors = call.array<float>(1, "vectors", end * builder.dim());
  const auto rows = call.array<uint32_t>(2, "rows", end);
  if (!builder.add(vectors.data + size_t{from} * builder.dim(), rows.data + from, count)) {
    fail("REC_NATIVE_ARGUMENT", "vectors beyond the capacity, or a value that is not finite");
  }
  return call.undefined();
}

napi_value graph_finish(Call& call) {
  const Pin pin(call.i32(0, "handle"));
  pin->index = pin.builder().finish();
  pin->builder.reset();
  pin->finished.store(true, std::memory_order_release);
  return call.undefined();
}

napi_value graph_search(Call& call) {
  const Pin pin(call.i32(0, "handle"));
  const GraphIndex& index = pin.index();
  const auto query = call.array<float>(1, "query", index.dim());
  const uint32_t k = std::min(call.u32(2, "k"), index.size());
  const uint32_t ef = std::min(call.u32(3, "ef"), index.size());
  const auto rows = call.array<int32_t>(4, "outRows", k);
  const auto scores = call.array<float>(5, "outScores", k);
  Span<uint32_t> hidden{nullptr, 0};
  if (call.has(6)) hidden = call.array<uint32_t>(6, "tombstones");
  for (uint32_t i = 0; i < index.dim(); i++) {
    if (!std::isfinite(query.data[i])) fail("REC_NATIVE_ARGUMENT", "query must be finite");
  }
  return call.result(index.search(query.data, k, ef, hidden.data, hidden.length, rows.data,
                                  scores.data));
}

napi_value graph_info(Call& call) {
  const Pin pin(call.i32(0, "handle"));
  const auto out = call.array<double>(1, "out", 3);
  out.data[0] = pin.index().dim();
  out.data[1] = pin.index().size();
  out.data[2] = static_cast<double>(pin.index().bytes());
  return call.undefined();
}

napi_value graph_save(Call& call) {
  const Pin pin(call.i32(0, "handle"));
  const uint64_t from = call.u64(1, "from");
  const auto out = call.array<uint8_t>(2, "out");
  const uint64_t bytes = pin.index().bytes();
  if (from > bytes || out.length > bytes - from) {
    fail("REC_NATIVE_ARGUMENT", "the slice ends beyond the graph");
  }
  std::copy_n(pin.index().data() + from, out.length, out.data);
  return call.undefined();
}

napi_value graph_load(Call& call) {
  const auto bytes = call.array<uint8_t>(0, "bytes");
  std::string reason;
  auto graph = std::make_unique<GraphObject>();
  graph->index = GraphIndex::load(bytes.data, bytes.length, &reason);
  if (!graph->index) fail("REC_NATIVE_GRAPH_DAMAGED", "the graph " + reason);
  graph->finished.store(true, std::memory_order_release);
  return call.result(add_object(std::move(graph)));
}

napi_value graph_retain(Call& call) {
  const int32_t handle = call.i32(0, "handle");
  const uint32_t holder = holder_of(call, 1);
  std::lock_guard<std::mutex> lock(guard);
  auto* graph = static_cast<GraphObject*>(registry_retain(handle, kGraph));
  if (graph == nullptr) return call.result(0);
  graph->held[holder]++;
  return call.result(1);
}

napi_value graph_release(Call& call) {
  const int32_t handle = call.i32(0, "handle");
  const uint32_t holder = holder_of(call, 1);
  {
    const Pin pin(handle);
    std::unique_lock<std::mutex> lock(guard);
    if (pin->held[holder] == 0) {
      lock.unlock();
      fail("REC_NATIVE_HANDLE", "this holder has no reference to give back");
    }
    pin->held[holder]--;
  }
  registry_release(handle, kGraph);
  return call.undefined();
}

napi_value graph_clear_holder(Call& call) {
  const uint32_t holder = holder_of(call, 0);
  std::vector<int32_t> handles;
  {
    std::lock_guard<std::mutex> lock(guard);
    for (GraphObject* graph : live) {
      handles.insert(handles.end(), graph->held[holder], graph->handle);
      graph->held[holder] = 0;
    }
  }
  for (const int32_t handle : handles) registry_release(handle, kGraph);
  return call.result(static_cast<double>(handles.size()));
}

}  // namespace
}  // namespace rec

void register_graph(napi_env env, napi_value exports) {
  using namespace rec;
  define<graph_begin>(env, exports, "graphBegin");
  define<graph_add>(env, exports, "graphAdd");
  define<graph_finish>(env, exports, "graphFinish");
  define<graph_search>(env, exports, "graphSearch");
  define<graph_info>(env, exports, "graphInfo");
  define<graph_save>(env, exports, "graphSave");
  define<graph_load>(env, exports, "graphLoad");
  define<graph_retain>(env, exports, "graphRetain");
  define<graph_release>(env, exports, "graphRelease");
  define<graph_clear_holder>(env, exports, "graphClearHolder");
}
