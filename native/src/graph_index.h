#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph_codes.h"

namespace rec {

/** What the front of a serialised graph says of it. 64 bytes, little endian. */
struct GraphHeader {
  char magic[8];
  uint32_t dim;
  uint32_t count;
  /** Links that a node may have on level 0 and above. 0: no graph, every search is exact. */
  uint32_t links_base;
  uint32_t links_upper;
  uint32_t entry;
  uint32_t levels;
  uint32_t upper_words;
  uint32_t zero;
  uint64_t bytes;
  uint64_t spare[2];
};

/**
 * An immutable graph of a hierarchical navigable small world (Malkov and Yashunin,
 * arXiv:1603.09320), frozen into one block of memory. Scores are inner products. Nothing is
 * written after construction, so any number of threads search at once; `ef` comes with the query.
 *
 * Block: header; u32 rows[count]; f32 vectors[count x dim] from a 64-byte boundary;
 * u32 base[count x (links_base + 1)], the number of links first; u32 upper_at[count + 1];
 * u32 upper[upper_words], for each node (links_upper + 1) words a level above 0. Beside it, made
 * from the vectors and not saved: the codes that a search walks by.
 */
class GraphIndex {
 public:
  GraphIndex(const GraphHeader& header);
  ~GraphIndex();
  GraphIndex(const GraphIndex&) = delete;
  GraphIndex& operator=(const GraphIndex&) = delete;

  /** From the bytes of `save`; null with a reason where they are not a sound graph. */
  static std::unique_ptr<GraphIndex> load(const uint8_t* bytes, size_t size, std::string* reason);

  uint32_t dim() const { return header_->dim; }
  uint32_t size() const { return header_->count; }
  size_t bytes() const { return header_->bytes; }
  const uint8_t* data() const { return block_; }

  /**
   * The k best by inner product, best first. `tombstones`: bit `row` of a mask of `words` words
   * hides a row (rows beyond the mask are visible); may be null. Gives how many were found.
   */
  uint32_t search(const float* query, uint32_t k, uint32_t ef, const uint32_t* tombstones,
                  size_t words, int32_t* rows_out, float* scores_out) const;

 private:
  friend class GraphBuilder;
  struct Query;

  uint32_t search_exact(const Query& query) const;
  uint32_t search_graph(const Query& query) const;
  uint32_t descend(const float* query) const;
  bool sound(std::string* reason) const;
  bool links_sound() const;
  void place();
  /** Makes the codes; once, when the vectors are in. */
  void encode();

  uint8_t* block_ = nullptr;
  GraphHeader* header_ = nullptr;
  uint32_t* rows_ = nullptr;
  float* vectors_ = nullptr;
  uint32_t* base_ = nullptr;
  uint32_t* upper_at_ = nullptr;
  uint32_t* upper_ = nullptr;
  GraphCodes codes_;
};

struct GraphOptions {
  uint32_t dim;
  uint32_t capacity;
  uint32_t m;
  uint32_t ef_construction;
  uint32_t seed;
  /** At most so many rows: no graph, exact search. */
  uint32_t exact_max;
};

/** Builds a graph with hnswlib on the calling thread, in slices; not thread safe. */
class GraphBuilder {
 public:
  explicit GraphBuilder(const GraphOptions& options);
  ~GraphBuilder();

  /** Adds `count` vectors; false, adding none, beyond the capacity or at a value not finite. */
  bool add(const float* vectors, const uint32_t* rows, uint32_t count);
  uint32_t size() const { return static_cast<uint32_t>(rows_.size()); }
  uint32_t dim() const { return options_.dim; }
  /** Freezes what was added; the builder is empty afterwards. */
  std::unique_ptr<GraphIndex> finish();

 private:
  struct Graph;
  void freeze_links(GraphIndex* index) const;

  GraphOptions options_;
  std::vector<uint32_t> rows_;
  std::vector<float> vectors_;
  std::unique_ptr<Graph> graph_;
};

}  // namespace rec
