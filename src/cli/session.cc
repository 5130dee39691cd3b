#include "cli/session.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "base/text.h"
#include "core/model/engine_url.h"

namespace infermesh::cli {
namespace {

constexpr std::string_view kEnterScreen = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeaveScreen = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kClearLine = "\x1b[K";
constexpr std::string_view kClearBelow = "\x1b[J";
constexpr std::uint16_t kAdminPort = 6401;

Format parse_format(const std::string& name) {
  if (name == "wide") return Format::kWide;
  if (name == "json") return Format::kJson;
  if (name == "yaml") return Format::kYaml;
  if (name == "name") return Format::kName;
  return Format::kTable;
}

Fault no_answer(const AdminAddress& admin, const Error& error) {
  if (error.code == ErrorCode::kDeadlineExceeded) {
    return {Exit::kUnavailable, fmt::format("the mesh at {} does not answer", admin.url),
            error.detail, "allow more time with --timeout, or look at the router's log"};
  }
  return {Exit::kUnavailable, fmt::format("no mesh answers at {}", admin.url), error.detail,
          "start one with `infermesh up`, or name its admin listener with --admin URL"};
}

Fault refused(const AdminAddress& admin, const AdminAnswer& answer, const json::value& body) {
  Fault out;
  out.exit = exit_for_status(answer.status);
  out.what = text(body, "title");
  out.why = text(body, "detail");
  out.next = text(body, "next");
  if (out.what.empty())
    out.what = fmt::format("{} answered with status {}", admin.url, answer.status);
  return out;
}

// Redraws in place: lines are overwritten and what is left of the last picture is cleared. What
// does not fit the height is left out, or the terminal would scroll.
std::string repaint(std::string_view text, std::size_t height) {
  auto lines = split(text.ends_with('\n') ? text.substr(0, text.size() - 1) : text, '\n');
  if (height > 1 && lines.size() > height) {
    lines.resize(height - 1);
    lines.push_back("…");
  }
  std::string out(kHome);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i != 0) out += "\r\n";
    out += lines[i];
    out += kClearLine;
  }
  out += kClearBelow;
  return out;
}

}  // namespace

Exit exit_for_status(int http_status) {
  switch (http_status) {
    case 401:
    case 403:
      return Exit::kPermission;
    case 404:
      return Exit::kNotFound;
    case 409:
    case 412:
      return Exit::kConflict;
    default:
      return http_status >= 500 || http_status == 429 ? Exit::kUnavailable : Exit::kUsage;
  }
}

Outcome<AdminAddress> parse_admin(const std::string& text, std::string_view origin) {
  const auto refuse = [&](std::string_view why) {
    return fault(Exit::kUsage, fmt::format("{} is not an admin address: \"{}\"", origin, text),
                 std::string(why), fmt::format("write it like {}", kAdminDefault));
  };
  std::string_view rest = text;
  if (rest.starts_with("https://")) return refuse("the admin listener speaks http");
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#@") != std::string_view::npos)
    return refuse("only a host and a port are wanted");
  const auto parts = split_host_port(rest, PortRule::kOptional);
  if (!parts || parts->host.empty()) return refuse("it has no host, or a bad port");
  AdminAddress out{parts->host, parts->port == 0 ? kAdminPort : parts->port, {}};
  const bool literal = out.host.find(':') != std::string::npos;
  out.url = literal ? fmt::format("http://[{}]:{}", out.host, out.port)
                    : fmt::format("http://{}:{}", out.host, out.port);
  return out;
}

std::string fault_text(const Fault& fault, const Painter& paint) {
  std::string out = fmt::format("{} {}\n", paint(Tone::kBad, "error:"), fault.what);
  if (!fault.why.empty()) out += fmt::format("  why:  {}\n", fault.why);
  if (!fault.next.empty()) out += fmt::format("  next: {}\n", fault.next);
  return out;
}

std::string path_segment(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Session::Session(Command parsed, CliIo& world, AdminClient& client)
    : command_(std::move(parsed)), io_(world), client_(client) {}

Outcome<void> Session::open() {
  format_ = parse_format(command_.value("output"));
  if (command_.has("timeout")) {
    const auto parsed = parse_duration(command_.value("timeout"));
    if (!parsed || *parsed <= Duration::zero()) {
      return fault(Exit::kUsage,
                   fmt::format("--timeout cannot be \"{}\"", command_.value("timeout")), "",
                   "write it like 5s or 250ms");
    }
    timeout_ = *parsed;
  }
  const More more = command_.verb->more;
  if (more != More::kShow && more != More::kAdmin) return {};  // it asks no mesh
  const bool by_flag = command_.has("admin");
  const std::string from_environment = io_.env("INFERMESH_ADMIN");
  const std::string chosen = by_flag                    ? command_.value("admin")
                             : from_environment.empty() ? std::string(kAdminDefault)
                                                        : from_environment;
  auto address = parse_admin(chosen, by_flag ? "--admin" : "INFERMESH_ADMIN");
  if (!address) return std::unexpected(address.error());
  admin_ = *address;
  return {};
}

Page Session::page() const {
  Page page{painter_for_stdout(io_), 0};
  if (io_.out_is_terminal) page.width = io_.width;
  return page;
}

Outcome<json::value> Session::get(const std::string& path) {
  return call({admin_.host, admin_.port, "GET", path, "", timeout_});
}

Outcome<json::value> Session::post(const std::string& path, const json::value& body) {
  return call({admin_.host, admin_.port, "POST", path, compact_json(body), timeout_});
}

Outcome<json::value> Session::call(const AdminCall& call) {
  const auto answer = client_.call(call);
  if (!answer) return std::unexpected(no_answer(admin_, answer.error()));
  boost::system::error_code failed;
  json::value body = json::parse(answer->body, failed);
  if (answer->status < 200 || answer->status > 299) {
    return std::unexpected(refused(admin_, *answer, failed ? json::value() : body));
  }
  if (failed) {
    return fault(Exit::kUnavailable,
                 fmt::format("{} is not an infermesh admin listener", admin_.url),
                 fmt::format("{} gave something that is not JSON", call.path),
                 "name the admin listener with --admin URL; its default port is 6401");
  }
  return body;
}

std::string Session::rendered(const View& view, const json::value& value) const {
  switch (format_) {
    case Format::kJson:
      return command_.has("watch") ? compact_json(value) : pretty_json(value);
    case Format::kYaml:
      return command_.has("watch") ? "---\n" + yaml(value) : yaml(value);
    case Format::kName: {
      std::string out;
      for (const std::string& name : view.names(value)) out += name + '\n';
      return out;
    }
    default:
      return view.table(value, page(), format_);
  }
}

int Session::show(const View& view) {
  if (command_.has("watch")) return watch(view);
  const auto value = view.load();
  if (!value) return fail(value.error());
  print(rendered(view, *value));
  return static_cast<int>(view.exit ? view.exit(*value) : Exit::kOk);
}

// On a terminal the last picture stays on the normal screen when it ends. Elsewhere tables become
// JSON lines. A mesh that stops answering is said once and waited for: it may be restarting.
int Session::watch(const View& view) {
  const bool drawn = io_.out_is_terminal && (format_ == Format::kTable || format_ == Format::kWide);
  if (!drawn && (format_ == Format::kTable || format_ == Format::kWide)) format_ = Format::kJson;
  std::string last;
  std::string last_fault;
  while (true) {
    const auto value = view.load();
    if (value) {
      if (drawn && last.empty()) print(kEnterScreen);
      last = rendered(view, *value);
      last_fault.clear();
      print(drawn ? repaint(last, io_.height) : last);
    } else {
      if (last.empty()) return fail(value.error());
      const std::string said = fault_text(value.error(), page().paint);
      if (drawn) print(repaint(said + "\n" + last, io_.height));
      if (!drawn && said != last_fault) say(said);
      last_fault = said;
    }
    if (!io_.sleep(kWatchEvery)) break;
  }
  if (drawn) {
    print(kLeaveScreen);
    print(last);
  }
  return static_cast<int>(Exit::kOk);
}

int Session::fail(const Fault& fault) {
  Painter paint = painter_for_stdout(io_);
  paint.colour = io_.err_is_terminal && paint.colour;
  say(fault_text(fault, paint));
  return static_cast<int>(fault.exit);
}

}  // namespace infermesh::cli
