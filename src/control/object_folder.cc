#include "control/object_folder.h"

#include <algorithm>

namespace infermesh::control {
namespace {

bool same(const std::vector<port::FileText>& a, const std::vector<port::FileText>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const port::FileText& x, const port::FileText& y) {
                      return x.name == y.name && x.text == y.text;
                    });
}

constexpr std::size_t kProblemsKept = 64;
constexpr Duration kSettleTime = 50ms;

}  // namespace

ObjectFolder::ObjectFolder(port::Loop& loop, port::Folder& folder, Hooks hooks, Duration interval)
    : loop_(loop), folder_(folder), hooks_(std::move(hooks)), interval_(interval), timer_([this] {
        tick();
      }) {}

void ObjectFolder::start() {
  loop_.arm(timer_, loop_.now() + interval_);
  look();
}

void ObjectFolder::stop() {
  loop_.arm(timer_, kNever);
}

// An editor that writes in place shows half a file, or none, for a moment: a change counts when it
// looks the same twice.
void ObjectFolder::tick() {
  const auto files = folder_.read();
  const bool changed = files && seen_ && !same(*seen_, *files);
  const bool settled = changed && settling_ && same(*settling_, *files);
  if (changed && !settled) {
    settling_ = *files;
    loop_.arm(timer_, loop_.now() + std::min(kSettleTime, interval_));
    return;
  }
  settling_.reset();
  loop_.arm(timer_, loop_.now() + interval_);
  look();
}

void ObjectFolder::look() {
  auto files = folder_.read();
  if (!files) {
    seen_.reset();
    // A folder that stays unreadable is told once.
    if (refusal_ && refusal_->problems.front() == files.error().detail) return;
    return refuse({files.error().detail});
  }
  if (seen_ && same(*seen_, *files)) return;
  const auto objects = hooks_.parse(*files);
  seen_ = std::move(*files);
  if (!objects) {
    std::vector<std::string> problems;
    for (const config::Problem& problem : objects.error()) {
      if (problems.size() < kProblemsKept) problems.push_back(problem.text());
    }
    return refuse(std::move(problems));
  }
  refusal_.reset();
  ++applied_;
  hooks_.apply(*objects);
}

void ObjectFolder::refuse(std::vector<std::string> problems) {
  if (problems.empty()) problems.emplace_back("the objects cannot be read");
  refusal_ = ObjectRefusal{folder_.path(), std::move(problems), loop_.now()};
  ++refused_;
  if (hooks_.refuse) hooks_.refuse(*refusal_);
}

}  // namespace infermesh::control
