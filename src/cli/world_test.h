// A world for tests of verbs: what goes to stdout and stderr is kept, the mesh answers from a map
// of paths to bodies (the admin API's own golden bodies, src/control/testdata), time moves only by
// sleep.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cli/run.h"

namespace infermesh::cli {

inline std::string source_path(const std::string& path) {
  return std::string(INFERMESH_SOURCE_DIR) + "/" + path;
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Compares with a file of the source tree, or writes it when INFERMESH_REWRITE=1.
inline void expect_file(const std::string& path, const std::string& actual) {
  if (std::getenv("INFERMESH_REWRITE") != nullptr) {
    std::ofstream(source_path(path), std::ios::binary) << actual;
    return;
  }
  EXPECT_EQ(read_text(source_path(path)), actual) << "INFERMESH_REWRITE=1 writes " << path;
}

inline void expect_golden(const std::string& name, const std::string& actual) {
  expect_file("src/cli/testdata/" + name, actual);
}

class FakeMesh final : public AdminClient {
 public:
  Result<AdminAnswer> call(const AdminCall& call) override {
    calls.push_back(call);
    if (before_answer) before_answer();
    if (failure) return std::unexpected(*failure);
    const auto found = answers.find(call.method + " " + call.path);
    if (found != answers.end()) return found->second;
    return AdminAnswer{404, R"({"title":"There is no such thing.","detail":"Nothing is at )" +
                                call.path + R"(.","next":"infermesh explain lists the latest"})"};
  }

  void answer(const std::string& method_and_path, std::string body, int status = 200) {
    answers[method_and_path] = {status, std::move(body)};
  }
  void answer_file(const std::string& method_and_path, const std::string& name) {
    answer(method_and_path, read_text(source_path("src/control/testdata/" + name)));
  }

  std::map<std::string, AdminAnswer> answers;
  std::vector<AdminCall> calls;
  std::optional<Error> failure;
  std::function<void()> before_answer;
};

class FakeFolder final : public port::Folder {
 public:
  FakeFolder(std::string path, std::vector<port::FileText> files)
      : path_(std::move(path)), files_(std::move(files)) {}
  Result<std::vector<port::FileText>> read() override { return files_; }
  std::string path() const override { return path_; }

 private:
  std::string path_;
  std::vector<port::FileText> files_;
};

struct World {
  CliIo io;
  FakeMesh mesh;
  std::string out;
  std::string err;
  Instant now{100s};
  int sleeps_left = 3;  // then sleep says it was interrupted
  std::map<std::string, std::string> files;
  std::map<std::string, std::vector<port::FileText>> folders;
  std::vector<std::string> app_words;
  std::string app_verb;

  World() {
    io.out = [this](std::string_view text) { out += text; };
    io.err = [this](std::string_view text) { err += text; };
    io.now = [this] { return now; };
    io.wall_now = [] {
      return WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 24) + 9h + 2s);
    };
    io.sleep = [this](Duration duration) {
      now += duration;
      return sleeps_left-- > 0;
    };
    io.read_file = [this](const std::string& path) -> Result<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return fail(ErrorCode::kNotFound, path + ": no such file");
      return found->second;
    };
    io.open_folder = [this](const std::string& path) -> std::unique_ptr<port::Folder> {
      return std::make_unique<FakeFolder>(path, folders[path]);
    };
    io.version = "0.1.0";
    serve_scene();
  }

  void serve_scene() {
    for (const std::string name : {"status", "engines", "models", "pools"}) {
      mesh.answer_file("GET /api/" + name, name + ".json");
    }
    mesh.answer_file("GET /api/engines/e2", "engine_e2.json");
    mesh.answer_file("GET /api/engines/e5", "engine_e5.json");
    mesh.answer_file("GET /debug/decisions", "decisions.json");
    mesh.answer_file("GET /debug/decisions/req_7f3c", "decision_retried.json");
    mesh.answer_file("GET /debug/decisions/req_0001", "decision_refused.json");
    mesh.answer_file("GET /debug/decisions/req_0002", "decision_least_request.json");
    mesh.answer_file("POST /api/route", "route.json");
    mesh.answer("GET /version", R"({"version":"0.1.0","commit":null})");
    mesh.answer("GET /readyz", R"({"ready":true,"checks":[]})");
    mesh.answer("GET /v1/models", R"({"object":"list","data":[]})");
  }

  void on_terminal() {
    io.out_is_terminal = io.err_is_terminal = true;
    io.environment["TERM"] = "xterm";
  }

  int run(const std::vector<std::string>& args) {
    out.clear();
    err.clear();
    return run_cli(args, io, mesh,
                   [this](const std::string& verb, std::span<const std::string> words) {
                     app_verb = verb;
                     app_words.assign(words.begin(), words.end());
                     return 42;
                   });
  }
};

// A healthy little mesh, as status tells it.
constexpr std::string_view kHealthyStatus =
    R"({"version":"0.1.0","time":"2026-11-24T09:00:00.000Z","generation":3,"generation_age_ms":60000,)"
    R"("listeners":{"inference":["127.0.0.1:6400"]},"objects":null,"engines":{"total":1,"ready":1},)"
    R"("in_flight":0,"queued":0,"problems":[],"models":[{"name":"tiny","engines":["e1"],)"
    R"("engines_ready":1,"in_flight":0,"running":0,"waiting":0}]})";

}  // namespace infermesh::cli
