// Threads that start together and run until the work of one is done.
#pragma once
#include <atomic>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) {                                                     \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);       \
      exit(1);                                                              \
    }                                                                       \
  } while (0)

// Runs `writer` once and `reader(index)` again and again in each of `readers` threads until the
// writer is done and every reader has run at least `least` times. All start at one barrier.
inline void race(int readers, int least, const std::function<void()>& writer,
                 const std::function<void(int)>& reader) {
  std::barrier start(readers + 1);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int index = 0; index < readers; index++) {
    threads.emplace_back([&, index] {
      start.arrive_and_wait();
      for (int runs = 0; runs < least || !done.load(); runs++) reader(index);
    });
  }
  start.arrive_and_wait();
  writer();
  done.store(true);
  for (std::thread& thread : threads) thread.join();
}
