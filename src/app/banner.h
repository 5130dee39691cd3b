// Banner: what `infermesh up` shows: the engines it finds, and how to use them, each once. Plain
// text for people.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "config/settings.gen.h"
#include "core/model/mesh_view.h"

namespace infermesh::app {

class Banner {
 public:
  using Write = std::function<void(std::string_view)>;
  // An empty `write` shows nothing.
  explicit Banner(Write write) : write_(std::move(write)) {}

  void title(std::string_view version);
  // Shows engines that are new or changed their state. The first ready engine brings the usage
  // lines.
  void show(const MeshView& view);
  // No engine has been found for a moment.
  void show_nothing_found();
  // `inference` with its scheme.
  void set_addresses(std::string inference, std::string admin, std::string looking_for,
                     Duration started_in);
  void stopping();
  void handed_over(std::int64_t process);

 private:
  void show_usage(const MeshView& view);

  Write write_;
  std::map<std::string, std::string> shown_;  // engine name -> its line
  std::string inference_, admin_, looking_for_;
  Duration started_in_{0};
  bool usage_shown_ = false;
  bool nothing_shown_ = false;
};

}  // namespace infermesh::app
