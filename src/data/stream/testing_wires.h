// What tests of streams share.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "port/fake/world.h"

namespace infermesh::data {

// A connection with both ends in hand.
struct Wires {
  explicit Wires(std::size_t window = 64 << 10) {
    world.network().set_window(window);
    listener = world.network().listen("127.0.0.1", 8000).value();
    far_end = world.run(world.loop().connect("127.0.0.1", 8000, world.now() + 1s)).value();
    near_end = world.run(listener->accept()).value();
  }
  void say(std::string_view text) {
    far_end->try_write({&text, 1});
    world.settle();
  }
  std::string hear() {
    world.settle();
    std::string text(100'000, '\0');
    const auto result = far_end->try_read(text);
    text.resize(result.status == port::IoStatus::kOk ? result.bytes : 0);
    world.settle();
    return text;
  }
  port::fake::World world;
  std::unique_ptr<port::Listener> listener;
  port::StreamPtr far_end, near_end;
  std::array<char, 1000> scratch;
};

}  // namespace infermesh::data
