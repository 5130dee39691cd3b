#include "load_request.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>
#include <string_view>

namespace infermesh::bench {
namespace {

constexpr double kNever = 1e9;

// Text like a prompt, as it stands in JSON: words, some line ends and quotes escaped.
std::string prose(std::size_t size, std::uint64_t seed) {
  static constexpr std::array kWords{"the",  "model", "answers", "with",  "a",    "table", "of",
                                     "many", "rows",  "and",     "every", "line", "holds", "words",
                                     "that", "were",  "written", "by",    "hand", "once"};
  std::string text;
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
  while (text.size() < size) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto draw = state >> 33;
    text += draw % 23 == 0 ? "\\n" : draw % 29 == 0 ? "\\\"so\\\" " : kWords[draw % kWords.size()];
    text += ' ';
  }
  text.resize(size);
  // An escape cut in two would spoil the JSON.
  for (std::size_t i = size > 2 ? size - 2 : 0; i < size; ++i) text[i] = ' ';
  return text;
}

}  // namespace

bool read_options(int argc, char** argv, Options& options) {
  if (argc % 2 == 0) return false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const char* text = argv[i + 1];
    const double value = std::atof(text);
    if (flag == "--port")
      options.port = static_cast<std::uint16_t>(value);
    else if (flag == "--connections")
      options.connections = static_cast<std::size_t>(value);
    else if (flag == "--seconds")
      options.seconds = value;
    else if (flag == "--warm")
      options.warm = value;
    else if (flag == "--requests")
      options.requests = static_cast<std::uint64_t>(value);
    else if (flag == "--size")
      options.size = static_cast<std::size_t>(value);
    else if (flag == "--distinct")
      options.distinct = value != 0;
    else if (flag == "--events")
      options.events = static_cast<std::uint64_t>(value);
    else if (flag == "--pause")
      options.pause_ms = static_cast<std::uint64_t>(value);
    else if (flag == "--rate")
      options.rate = value;
    else if (flag == "--hold")
      options.hold = value != 0;
    else if (flag == "--pids") {
      std::stringstream list(text);
      for (std::string pid; std::getline(list, pid, ',');)
        options.pids.push_back(static_cast<pid_t>(std::atoi(pid.c_str())));
    } else {
      return false;
    }
  }
  if (options.rate > 0) options.connections = std::min<std::size_t>(options.connections, 4);
  if (options.hold) options.seconds = kNever;
  return options.port != 0;
}

Template::Template(const Options& options) {
  std::string start = R"({"model":"mock-model","messages":[)";
  std::string between;
  if (!options.distinct) {
    start += R"({"role":"system","content":")";
    between = R"("},)";
  }
  between += R"({"role":"user","content":")";
  std::string end = R"("}],"max_tokens":)" + std::to_string(options.events ? options.events : 32);
  if (options.events > 0) end += R"(,"stream":true)";
  if (options.pause_ms > 0) end += ",\"seed\":" + std::to_string(options.pause_ms);
  end += "}";
  const std::size_t framing = start.size() + between.size() + kIdDigits + 1 + end.size();
  const std::size_t text = options.size > framing + 16 ? options.size - framing : 16;
  const std::size_t half = options.distinct ? 0 : text / 2;
  for (std::size_t i = 0; i < kPrefixes; ++i) prefixes.push_back(prose(half, i + 1));
  middle = between;
  tail = " " + prose(text - half, 99) + end;
  front = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:" + std::to_string(options.port) +
          "\r\ncontent-type: application/json\r\naccept: */*\r\nauthorization: Bearer none\r\n"
          "content-length: " +
          std::to_string(start.size() + half + middle.size() + kIdDigits + tail.size()) +
          "\r\n\r\n" + start;
}

}  // namespace infermesh::bench
