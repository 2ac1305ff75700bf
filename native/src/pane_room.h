// Room for the full rows of a pane table. Where all are taken, the one whose row's newest event is
// the oldest, of a few that are looked at in turn, gives way: its words go to the table's file and
// come back with the row's next event. What is over (no pane is in any window as of the watermark)
// is dropped instead. Without a file, or once it is full, the row keeps its totals alone.
//
// No slot is held for writing while the disk works, so that readers never wait for it.
#pragma once
#include "pane_table.h"

namespace rec {

// Before an update of `slot` that may need a full row: brings its own back, or sees to it that
// there is one to have. `now`: event time that nothing is read before.
void make_room(PaneTable& table, uint64_t* slot, uint64_t now);

// What a saved row has beside its slot.
enum Saved : uint64_t { kAlone, kWithFull, kWithOverflow };

// For a row that is loaded from what was saved: gives back what the slot has beside, unless it is
// what is `wanted`, and finds that; all of it but a full row's owner is to be written. Returns what
// the slot is to have beside: 0 where it is a full row and none can be had.
uint32_t beside_to_load(PaneTable& table, uint64_t* slot, Saved wanted);

// A full row for `slot`, all zero but for its owner; index + 1, or 0 where all are taken for good.
uint32_t take_full(PaneTable& table, uint64_t* slot, uint64_t now);

// A line of entries, all zero; there is one for every row. What a slot with it has beside.
uint32_t take_overflow(PaneTable& table);
// No slot has it any more.
void give_back_overflow(PaneTable& table, uint32_t beside);

}  // namespace rec
