// What the mesh keeper tells: MeshSink is its way out to app, MeshEvent one thing that happened,
// MeshEvents the latest of them for status; a bounded list whose oldest goes when it is full. All
// on the signal loop.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "core/model/mesh_view.h"
#include "signal/engine/poller.h"

namespace infermesh::signal {

enum class EventKind : std::uint8_t {
  kEngineAdded,
  kEngineGone,
  kEngineState,  // joining, ready, suspect, down, draining
  kEngineRestarted,
  kObjectsTaken,
  kObjectsRefused,
  kNote,  // something was left out of the view
};

struct MeshEvent {
  WallTime at{};
  EventKind kind = EventKind::kNote;
  std::string engine;  // empty when it concerns none
  std::string text;    // one sentence
};

class MeshEvents {
 public:
  static constexpr std::size_t kKeptMax = 256;

  void add(MeshEvent event) {
    if (events_.size() == kKeptMax) events_.pop_front();
    events_.push_back(std::move(event));
  }
  const std::deque<MeshEvent>& all() const { return events_; }  // oldest first

 private:
  std::deque<MeshEvent> events_;
};

class MeshSink {
 public:
  virtual ~MeshSink() = default;
  virtual void on_view(MeshViewPtr view) = 0;
  virtual void on_cache_lost(EndpointId endpoint) = 0;  // it holds no prefix any more
  virtual void on_cache_size(EndpointId endpoint, Tokens tokens) = 0;
  virtual void on_event(const MeshEvent& event) = 0;
  virtual void on_load_read(const std::string& engine, LoadRead result) = 0;  // each time
};

}  // namespace infermesh::signal
