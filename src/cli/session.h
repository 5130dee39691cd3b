// Session: one run of one verb: its command, the world, the mesh it asks, and how it prints. Lives
// for the run.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/fault.h"
#include "cli/io.h"
#include "cli/json_read.h"
#include "cli/parse.h"
#include "cli/table.h"

namespace infermesh::cli {

enum class Format : std::uint8_t { kTable, kWide, kJson, kYaml, kName };

constexpr std::string_view kAdminDefault = "http://127.0.0.1:6401";
constexpr Duration kTimeoutDefault = 5s;
constexpr Duration kWatchEvery = 500ms;

struct AdminAddress {
  std::string host;
  std::uint16_t port = 0;
  std::string url;  // as people write it
};

// What a verb shows and how each -o form of it looks. `load` is called again for every round of
// --watch.
struct View {
  std::function<Outcome<json::value>()> load;
  std::function<std::string(const json::value&, const Page&, Format)> table;
  std::function<std::vector<std::string>(const json::value&)> names = {};
  std::function<Exit(const json::value&)> exit = {};
};

class Session {
 public:
  Session(Command parsed, CliIo& world, AdminClient& client);

  // Ready to ask the mesh: reads --admin, --timeout and --output. Called once, before run.
  Outcome<void> open();

  const Command& command() const { return command_; }
  CliIo& io() { return io_; }
  AdminClient& client() { return client_; }
  const AdminAddress& admin() const { return admin_; }
  Duration timeout() const { return timeout_; }
  Format format() const { return format_; }
  void limit_timeout(Duration most) { timeout_ = std::min(timeout_, most); }
  Page page() const;  // of stdout

  // JSON of the admin API; a problem document of it becomes a Fault with its exit code.
  Outcome<json::value> get(const std::string& path);
  Outcome<json::value> post(const std::string& path, const json::value& body);

  int show(const View& view);  // once, or over and over with --watch
  int fail(const Fault& fault);
  void print(std::string_view text) { io_.out(text); }
  void say(std::string_view text) { io_.err(text); }

 private:
  Outcome<json::value> call(const AdminCall& call);
  std::string rendered(const View& view, const json::value& value) const;
  int watch(const View& view);

  Command command_;
  CliIo& io_;
  AdminClient& client_;
  AdminAddress admin_;
  Duration timeout_ = kTimeoutDefault;
  Format format_ = Format::kTable;
};

Outcome<AdminAddress> parse_admin(const std::string& text, std::string_view origin);
std::string fault_text(const Fault& fault, const Painter& paint);
std::string path_segment(std::string_view name);  // percent-encoded for a path

}  // namespace infermesh::cli
