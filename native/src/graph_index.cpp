#include "graph_index.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "graph_dot.h"

namespace rec {

namespace {

const char kMagic[8] = {'R', 'E', 'C', 'G', 'R', 'F', '0', '1'};

using Scored = std::pair<float, uint32_t>;

/** Heap orders: the best on top, the worst on top. Ties go to the lower node, so runs repeat. */
struct BestOnTop {
  bool operator()(const Scored& a, const Scored& b) const {
    return a.first < b.first || (a.first == b.first && a.second > b.second);
  }
};
struct WorstOnTop {
  bool operator()(const Scored& a, const Scored& b) const { return BestOnTop()(b, a); }
};

/** What a search writes to: one per thread, grown once, never shrunk. */
struct Scratch {
  std::vector<uint16_t> visited;
  uint16_t stamp = 0;
  std::vector<Scored> candidates;
  std::vector<Scored> results;
  std::vector<uint32_t> fresh;
  std::vector<int16_t> query;

  /** A new stamp makes every node unvisited; the array is cleared once in 65,535 searches. */
  void begin(size_t nodes, size_t links) {
    candidates.clear();
    results.clear();
    if (visited.size() < nodes) visited.resize(nodes, 0);
    if (fresh.size() < links) fresh.resize(links);
    if (++stamp == 0) {
      std::fill(visited.begin(), visited.end(), uint16_t{0});
      stamp = 1;
    }
  }
  bool visit(uint32_t node) {
    if (visited[node] == stamp) return false;
    visited[node] = stamp;
    return true;
  }
};

thread_local Scratch scratch;

template <class Order>
void push(std::vector<Scored>* heap, Scored value) {
  heap->push_back(value);
  std::push_heap(heap->begin(), heap->end(), Order());
}

template <class Order>
Scored pop(std::vector<Scored>* heap) {
  std::pop_heap(heap->begin(), heap->end(), Order());
  const Scored value = heap->back();
  heap->pop_back();
  return value;
}

/** Keeps the `limit` best in a heap whose top is the worst. */
void keep(std::vector<Scored>* results, Scored value, size_t limit) {
  if (results->size() == limit) {
    if (!BestOnTop()(results->front(), value)) return;
    pop<WorstOnTop>(results);
  }
  push<WorstOnTop>(results, value);
}

size_t round_up(size_t value) { return (value + 63) & ~size_t{63}; }

struct Places {
  size_t rows, vectors, base, upper_at, upper, bytes;
};

Places places_of(const GraphHeader& h) {
  Places p;
  const size_t n = h.count;
  p.rows = sizeof(GraphHeader);
  p.vectors = round_up(p.rows + 4 * n);
  p.base = round_up(p.vectors + 4 * n * h.dim);
  const bool graph = h.links_base > 0;
  p.upper_at = p.base + (graph ? 4 * n * (h.links_base + size_t{1}) : 0);
  p.upper = p.upper_at + (graph ? 4 * (n + 1) : 0);
  p.bytes = round_up(p.upper + 4 * size_t{h.upper_words});
  return p;
}

/** From the codes' scores to those of the values; the memory is asked for some steps ahead. */
void rescore(const float* query, const float* vectors, size_t dim, std::vector<Scored>* results) {
  constexpr size_t kAhead = 6;
  const size_t count = results->size();
  for (size_t i = 0; i < count + kAhead; i++) {
    if (i < count) {
      const auto* at = reinterpret_cast<const char*>(vectors + (*results)[i].second * dim);
      for (size_t b = 0; b < 4 * dim; b += 64) _mm_prefetch(at + b, _MM_HINT_T0);
    }
    if (i < kAhead) continue;
    Scored& one = (*results)[i - kAhead];
    one.first = graph_dot(query, vectors + one.second * dim, dim);
  }
}

}  // namespace

struct GraphIndex::Query {
  const float* vector;
  uint32_t k;
  uint32_t ef;
  const uint32_t* tombstones;
  size_t words;

  bool hidden(uint32_t row) const {
    if (tombstones == nullptr || (row >> 5) >= words) return false;
    // Another thread may set a bit meanwhile: a word is read whole, either value is right.
    const uint32_t word = __atomic_load_n(&tombstones[row >> 5], __ATOMIC_RELAXED);
    return (word >> (row & 31)) & 1;
  }
};

GraphIndex::GraphIndex(const GraphHeader& header) {
  const Places places = places_of(header);
  block_ = static_cast<uint8_t*>(std::aligned_alloc(64, places.bytes));
  if (block_ == nullptr) throw std::bad_alloc();
  std::memset(block_, 0, places.bytes);
  header_ = reinterpret_cast<GraphHeader*>(block_);
  *header_ = header;
  std::memcpy(header_->magic, kMagic, sizeof(kMagic));
  header_->bytes = places.bytes;
  place();
}

GraphIndex::~GraphIndex() { std::free(block_); }

void GraphIndex::place() {
  const Places places = places_of(*header_);
  rows_ = reinterpret_cast<uint32_t*>(block_ + places.rows);
  vectors_ = reinterpret_cast<float*>(block_ + places.vectors);
  base_ = reinterpret_cast<uint32_t*>(block_ + places.base);
  upper_at_ = reinterpret_cast<uint32_t*>(block_ + places.upper_at);
  upper_ = reinterpret_cast<uint32_t*>(block_ + places.upper);
}

std::unique_ptr<GraphIndex> GraphIndex::load(const uint8_t* bytes, size_t size,
                                             std::string* reason) {
  GraphHeader header;
  *reason = "is shorter than its header";
  if (size < sizeof(header)) return nullptr;
  std::memcpy(&header, bytes, sizeof(header));
  *reason = "does not start as a graph does";
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) return nullptr;
  *reason = "has a shape out of range";
  if (header.dim == 0 || header.dim > 4096 || header.links_base > 1024) return nullptr;
  if (header.links_upper > 1024) return nullptr;
  *reason = "is not as long as its shape says";
  if (header.bytes != size || places_of(header).bytes != size) return nullptr;
  std::unique_ptr<GraphIndex> index(new GraphIndex(header));
  std::memcpy(index->block_, bytes, size);
  if (!index->sound(reason)) return nullptr;
  index->encode();
  return index;
}

void GraphIndex::encode() {
  if (header_->links_base > 0) codes_.encode(vectors_, header_->count, header_->dim);
}

/** Every link must lead to a node, every level's words lie inside: a search checks nothing. */
bool GraphIndex::sound(std::string* reason) const {
  const size_t values = size_t{header_->count} * header_->dim;
  *reason = "holds a vector that is not finite";
  for (size_t i = 0; i < values; i++) {
    if (!std::isfinite(vectors_[i])) return false;
  }
  *reason = "holds a link that leads nowhere";
  return header_->links_base == 0 || links_sound();
}

bool GraphIndex::links_sound() const {
  const GraphHeader& h = *header_;
  if (h.count == 0 || h.entry >= h.count || upper_at_[0] != 0) return false;
  if (upper_at_[h.count] != h.upper_words) return false;
  auto list_sound = [&](const uint32_t* list, uint32_t limit, uint32_t level) {
    if (list[0] > limit) return false;
    for (uint32_t i = 1; i <= list[0]; i++) {
      const uint32_t to = list[i];
      if (to >= h.count) return false;
      if (upper_at_[to + 1] - upper_at_[to] < size_t{level} * (h.links_upper + 1)) return false;
    }
    return true;
  };
  for (uint32_t node = 0; node < h.count; node++) {
    if (upper_at_[node + 1] < upper_at_[node] || upper_at_[node + 1] > h.upper_words) return false;
  }
  const uint32_t step = h.links_upper + 1;
  if (upper_at_[h.entry + 1] - upper_at_[h.entry] < size_t{h.levels} * step) return false;
  for (uint32_t node = 0; node < h.count; node++) {
    if (!list_sound(base_ + size_t{node} * (h.links_base + 1), h.links_base, 0)) return false;
    const uint32_t words = upper_at_[node + 1] - upper_at_[node];
    if (words % step != 0) return false;
    for (uint32_t level = 0; level < words / step; level++) {
      const uint32_t* list = upper_ + upper_at_[node] + level * step;
      if (!list_sound(list, h.links_upper, level + 1)) return false;
    }
  }
  return true;
}

uint32_t GraphIndex::search(const float* query, uint32_t k, uint32_t ef,
                            const uint32_t* tombstones, size_t words, int32_t* rows_out,
                            float* scores_out) const {
  if (header_->count == 0 || k == 0) return 0;
  const Query asked{query, k, std::max(ef, k), tombstones, words};
  const bool exact = header_->links_base == 0;
  const uint32_t found = exact ? search_exact(asked) : search_graph(asked);
  std::vector<Scored>& results = scratch.results;
  if (!exact) rescore(query, vectors_, header_->dim, &results);
  std::sort(results.begin(), results.end(), WorstOnTop());
  const uint32_t count = std::min(found, k);
  for (uint32_t i = 0; i < count; i++) {
    rows_out[i] = static_cast<int32_t>(rows_[results[i].second]);
    scores_out[i] = results[i].first;
  }
  return count;
}

uint32_t GraphIndex::search_exact(const Query& query) const {
  scratch.begin(0, 0);
  const uint32_t dim = header_->dim;
  for (uint32_t node = 0; node < header_->count; node++) {
    if (query.hidden(rows_[node])) continue;
    const float score = graph_dot(query.vector, vectors_ + size_t{node} * dim, dim);
    keep(&scratch.results, {score, node}, query.k);
  }
  return static_cast<uint32_t>(scratch.results.size());
}

/** Greedy steps from the entry down to level 1: the node to start level 0 from. */
uint32_t GraphIndex::descend(const float* query) const {
  const uint32_t dim = header_->dim;
  const uint32_t step = header_->links_upper + 1;
  uint32_t node = header_->entry;
  float best = graph_dot(query, vectors_ + size_t{node} * dim, dim);
  for (uint32_t level = header_->levels; level > 0; level--) {
    for (bool moved = true; moved;) {
      moved = false;
      const uint32_t* list = upper_ + upper_at_[node] + (level - 1) * step;
      for (uint32_t i = 1; i <= list[0]; i++) {
        const float score = graph_dot(query, vectors_ + size_t{list[i]} * dim, dim);
        if (score <= best) continue;
        best = score;
        node = list[i];
        moved = true;
      }
    }
  }
  return node;
}

uint32_t GraphIndex::search_graph(const Query& query) const {
  Scratch& s = scratch;
  const uint32_t stride = header_->links_base + 1;
  s.begin(header_->count, header_->links_base);
  codes_.encode_query(query.vector, header_->dim, &s.query);
  const int16_t* code = s.query.data();
  auto score_of = [&](uint32_t node) {
    return static_cast<float>(code_dot(code, codes_.at(node), codes_.stride));
  };
  const uint32_t start = descend(query.vector);
  const Scored first{score_of(start), start};
  s.visit(start);
  push<BestOnTop>(&s.candidates, first);
  if (!query.hidden(rows_[start])) push<WorstOnTop>(&s.results, first);
  while (!s.candidates.empty()) {
    const Scored from = pop<BestOnTop>(&s.candidates);
    const bool full = s.results.size() >= query.ef;
    if (full && from.first < s.results.front().first) break;
    const uint32_t* list = base_ + size_t{from.second} * stride;
    // First pass only asks for the memory, so that the second finds it in the cache.
    uint32_t count = 0;
    for (uint32_t i = 1; i <= list[0]; i++) {
      if (!s.visit(list[i])) continue;
      s.fresh[count++] = list[i];
      const auto* at = reinterpret_cast<const char*>(codes_.at(list[i]));
      for (size_t b = 0; b < codes_.stride; b += 64) _mm_prefetch(at + b, _MM_HINT_T0);
    }
    for (uint32_t i = 0; i < count; i++) {
      const uint32_t node = s.fresh[i];
      const float score = score_of(node);
      if (s.results.size() >= query.ef && score <= s.results.front().first) continue;
      push<BestOnTop>(&s.candidates, {score, node});
      if (!query.hidden(rows_[node])) keep(&s.results, {score, node}, query.ef);
    }
    // The list of what comes next, while its place in the heap is known.
    if (!s.candidates.empty()) {
      const uint32_t* next = base_ + size_t{s.candidates.front().second} * stride;
      _mm_prefetch(reinterpret_cast<const char*>(next), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(next) + 64, _MM_HINT_T0);
    }
  }
  return static_cast<uint32_t>(s.results.size());
}

}  // namespace rec
