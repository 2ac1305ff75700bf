#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

// The package is installed for its headers; its own addon is never built. Its prefetches read a
// word past the last link list, so they are left out; distances are ours anyway.
#define NO_MANUAL_VECTORIZATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wtype-limits"
#include "../../node_modules/hnswlib-node/src/hnswlib/hnswlib.h"
#pragma GCC diagnostic pop
#include "graph_dot.h"
#include "graph_index.h"

namespace rec {

namespace {

float distance(const void* a, const void* b, const void* dim) {
  const size_t n = *static_cast<const size_t*>(dim);
  return 1.0f - graph_dot(static_cast<const float*>(a), static_cast<const float*>(b), n);
}

/** hnswlib's inner product chooses its path when it is compiled; this one when it runs. */
class DotSpace : public hnswlib::SpaceInterface<float> {
 public:
  explicit DotSpace(size_t dim) : dim_(dim) {}
  size_t get_data_size() override { return dim_ * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
  void* get_dist_func_param() override { return &dim_; }

 private:
  size_t dim_;
};

}  // namespace

struct GraphBuilder::Graph {
  DotSpace space;
  hnswlib::HierarchicalNSW<float> hnsw;
  Graph(const GraphOptions& o)
      : space(o.dim), hnsw(&space, o.capacity, o.m, o.ef_construction, o.seed) {}
};

GraphBuilder::GraphBuilder(const GraphOptions& options) : options_(options) {
  rows_.reserve(options.capacity);
  if (options.capacity > options.exact_max) graph_.reset(new Graph(options));
}

GraphBuilder::~GraphBuilder() = default;

bool GraphBuilder::add(const float* vectors, const uint32_t* rows, uint32_t count) {
  const size_t dim = options_.dim;
  if (count > options_.capacity - size()) return false;
  for (size_t i = 0; i < count * dim; i++) {
    if (!std::isfinite(vectors[i])) return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    // The label is the place in `rows_`, so that a row may come twice.
    if (graph_) graph_->hnsw.addPoint(vectors + i * dim, rows_.size());
    else vectors_.insert(vectors_.end(), vectors + i * dim, vectors + (i + 1) * dim);
    rows_.push_back(rows[i]);
  }
  return true;
}

std::unique_ptr<GraphIndex> GraphBuilder::finish() {
  GraphHeader header{};
  header.dim = options_.dim;
  header.count = size();
  if (graph_ && header.count > 0) {
    const auto& hnsw = graph_->hnsw;
    header.links_base = static_cast<uint32_t>(hnsw.maxM0_);
    header.links_upper = static_cast<uint32_t>(hnsw.maxM_);
    header.entry = hnsw.enterpoint_node_;
    header.levels = static_cast<uint32_t>(hnsw.maxlevel_);
    for (uint32_t i = 0; i < header.count; i++) {
      header.upper_words += hnsw.element_levels_[i] * (header.links_upper + 1);
    }
  }
  std::unique_ptr<GraphIndex> index(new GraphIndex(header));
  std::copy(rows_.begin(), rows_.end(), index->rows_);
  if (header.links_base > 0) freeze_links(index.get());
  else std::copy(vectors_.begin(), vectors_.end(), index->vectors_);
  index->encode();
  graph_.reset();
  rows_.clear();
  vectors_.clear();
  return index;
}

/** Copies vectors and link lists out of hnswlib's records; unused places stay zero. */
void GraphBuilder::freeze_links(GraphIndex* index) const {
  const auto& hnsw = graph_->hnsw;
  const GraphHeader& h = *index->header_;
  auto copy = [&](hnswlib::linklistsizeint* from, uint32_t* to) {
    to[0] = hnsw.getListCount(from);
    std::memcpy(to + 1, from + 1, to[0] * sizeof(uint32_t));
  };
  uint32_t at = 0;
  for (uint32_t i = 0; i < h.count; i++) {
    std::memcpy(index->vectors_ + size_t{i} * h.dim, hnsw.getDataByInternalId(i), 4 * h.dim);
    copy(hnsw.get_linklist0(i), index->base_ + size_t{i} * (h.links_base + 1));
    index->upper_at_[i] = at;
    for (int level = 1; level <= hnsw.element_levels_[i]; level++) {
      copy(hnsw.get_linklist(i, level), index->upper_ + at);
      at += h.links_upper + 1;
    }
  }
  index->upper_at_[h.count] = at;
}

}  // namespace rec
