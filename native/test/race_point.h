// Included before every source when races are tested: at the marked places a thread gives way
// now and then, so that others come between on any machine.
#pragma once
#include <sched.h>

inline void rec_race_point() {
  static thread_local unsigned passes = 0;
  if (++passes % 8 == 0) sched_yield();
}

#define REC_RACE_POINT() rec_race_point()
