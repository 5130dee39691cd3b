// ObjectFolder: watches a folder of mesh objects on the control loop. A change is read whole and
// handed over as one new set; a bad one is refused whole, the last good set stays in force, and the
// refusal is kept until a good set replaces it. The folder is looked at every interval (250 ms by
// default), so a change takes effect well within a second.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "config/problem.h"
#include "control/problems.h"
#include "core/model/objects.h"
#include "port/loop.h"

namespace infermesh::control {

// The parser of config/objects, or another one of its shape.
using ParseObjects = std::function<std::expected<ObjectSet, config::Problems>(
    std::span<const port::FileText> files)>;

class ObjectFolder {
 public:
  struct Hooks {
    ParseObjects parse;
    std::function<void(const ObjectSet&)> apply;       // a new set, already validated
    std::function<void(const ObjectRefusal&)> refuse;  // once for each refused state of the folder
  };

  // Loop and folder are borrowed and live longer.
  ObjectFolder(port::Loop& loop, port::Folder& folder, Hooks hooks, Duration interval = 250ms);

  void start();  // looks at once, then at every interval
  void stop();
  void look();  // now

  // Why the folder's present state is not in force; nothing when it is.
  const std::optional<ObjectRefusal>& last_refusal() const { return refusal_; }
  std::uint64_t applied() const { return applied_; }  // sets handed over so far
  std::uint64_t refused() const { return refused_; }  // states refused so far

 private:
  void tick();
  void refuse(std::vector<std::string> problems);

  port::Loop& loop_;
  port::Folder& folder_;
  Hooks hooks_;
  Duration interval_;
  port::Timer timer_;
  std::optional<std::vector<port::FileText>> seen_;      // the state last judged
  std::optional<std::vector<port::FileText>> settling_;  // a change seen once
  std::optional<ObjectRefusal> refusal_;
  std::uint64_t applied_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace infermesh::control
