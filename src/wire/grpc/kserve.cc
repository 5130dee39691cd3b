#include "wire/grpc/kserve.h"

#include <algorithm>
#include <array>

namespace infermesh::grpc {
namespace {

constexpr std::string_view kService = "/inference.GRPCInferenceService/";

struct Row {
  std::string_view name;
  Method method;
};
constexpr std::array<Row, 20> kMethods{{
    {"ModelInfer", {Handling::kByModel, false, true}},
    {"ModelStreamInfer", {Handling::kByModel, true, true}},
    {"ModelReady", {Handling::kByModel, false}},
    {"ModelMetadata", {Handling::kByModel, false}},
    {"ModelConfig", {Handling::kByModel, false}},
    {"ModelStatistics", {Handling::kByModel, false}},
    {"ServerLive", {Handling::kLive, false}},
    {"ServerReady", {Handling::kReady, false}},
    {"ServerMetadata", {Handling::kMetadata, false}},
    {"RepositoryIndex", {Handling::kIndex, false}},
    {"RepositoryModelLoad", {Handling::kOneEngine, false}},
    {"RepositoryModelUnload", {Handling::kOneEngine, false}},
    {"SystemSharedMemoryStatus", {Handling::kOneEngine, false}},
    {"SystemSharedMemoryRegister", {Handling::kOneEngine, false}},
    {"SystemSharedMemoryUnregister", {Handling::kOneEngine, false}},
    {"CudaSharedMemoryStatus", {Handling::kOneEngine, false}},
    {"CudaSharedMemoryRegister", {Handling::kOneEngine, false}},
    {"CudaSharedMemoryUnregister", {Handling::kOneEngine, false}},
    {"TraceSetting", {Handling::kOneEngine, false}},
    {"LogSettings", {Handling::kOneEngine, false}},
}};

constexpr std::uint32_t kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5;

std::unexpected<Error> no_message() {
  return fail(ErrorCode::kInvalidField, "The message is not protobuf.");
}

// One pass over a message's top level.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  enum class Got : std::uint8_t { kField, kCut, kEnd, kMalformed };
  Got next() {
    if (rest_.empty()) return Got::kEnd;
    std::uint64_t tag = 0;
    if (const Got got = varint(tag); got != Got::kField) return got;
    number = tag >> 3;
    if (number == 0 || number > 0x1fffffff) return Got::kMalformed;
    switch (tag & 7) {
      case kVarint: {
        return varint(value);
      }
      case kFixed64:
        return skip(8);
      case kFixed32:
        return skip(4);
      case kLengthDelimited: {
        std::uint64_t size = 0;
        if (const Got got = varint(size); got != Got::kField) return got;
        text = rest_.substr(0, size);
        delimited = true;
        return skip(size);
      }
      default:
        return Got::kMalformed;  // groups, which proto3 has not
    }
  }

  std::uint64_t number = 0;
  std::uint64_t value = 0;  // of a varint
  bool delimited = false;
  std::string_view text;

 private:
  Got varint(std::uint64_t& into) {
    into = 0;
    delimited = false;
    for (std::size_t i = 0; i < 10; ++i) {
      if (i == rest_.size()) return Got::kCut;
      const auto byte = static_cast<unsigned char>(rest_[i]);
      into |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return Got::kField;
      }
    }
    return Got::kMalformed;
  }
  Got skip(std::uint64_t size) {
    if (size > rest_.size()) return Got::kCut;
    rest_.remove_prefix(size);
    return Got::kField;
  }

  std::string_view rest_;
};

constexpr std::string_view kSequenceParameter = "sequence_id";

// An InferParameter as text: int64 2, string 3, uint64 5.
std::string parameter_text(std::string_view bytes) {
  std::string text;
  FieldReader reader(bytes);
  while (reader.next() == FieldReader::Got::kField) {
    if (reader.number == 2 && !reader.delimited)
      text = std::to_string(static_cast<std::int64_t>(reader.value));
    if (reader.number == 5 && !reader.delimited) text = std::to_string(reader.value);
    if (reader.number == 3 && reader.delimited) text = reader.text;
  }
  return text;
}

// An entry of the map of parameters: key 1, value 2.
std::string sequence_of(std::string_view entry) {
  std::string_view key, value;
  FieldReader reader(entry);
  while (reader.next() == FieldReader::Got::kField) {
    if (!reader.delimited) continue;
    if (reader.number == 1) key = reader.text;
    if (reader.number == 2) value = reader.text;
  }
  return key == kSequenceParameter ? parameter_text(value) : std::string();
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_text(std::string& out, std::uint32_t number, std::string_view text) {
  append_varint(out, number << 3 | kLengthDelimited);
  append_varint(out, text.size());
  out.append(text);
}

}  // namespace

Method find_method(std::string_view path) {
  if (path == "/grpc.health.v1.Health/Check") return {Handling::kHealth, false};
  if (!path.starts_with(kService)) return {};
  const auto found = std::ranges::find(kMethods, path.substr(kService.size()), &Row::name);
  return found == kMethods.end() ? Method{} : found->method;
}

Result<ModelScan> scan_model(std::string_view bytes, bool whole) {
  ModelScan scan;
  FieldReader reader(bytes);
  while (true) {
    switch (reader.next()) {
      case FieldReader::Got::kField:
        if (reader.number != 1) break;
        if (!reader.delimited) return no_message();
        scan.model = reader.text;
        scan.state = scan.model.empty() ? ModelScan::State::kAbsent : ModelScan::State::kFound;
        return scan;
      case FieldReader::Got::kMalformed:
        return no_message();
      case FieldReader::Got::kCut:
        if (whole) return no_message();
        return scan;
      case FieldReader::Got::kEnd:
        if (whole) scan.state = ModelScan::State::kAbsent;
        return scan;
    }
  }
}

SequenceScan scan_sequence(std::string_view bytes, bool whole) {
  SequenceScan scan;
  FieldReader reader(bytes);
  auto got = reader.next();
  for (; got == FieldReader::Got::kField; got = reader.next()) {
    if (reader.number != 4 || !reader.delimited) continue;
    std::string id = sequence_of(reader.text);
    if (id.empty()) continue;
    scan.settled = true;
    if (id != "0" && id.size() <= kSequenceIdMax) scan.id = std::move(id);
    return scan;
  }
  scan.settled = whole || got == FieldReader::Got::kMalformed;
  return scan;
}

std::string bool_answer(bool value) {
  return value ? std::string("\x08\x01", 2) : std::string();
}

std::string health_answer(bool serving) {
  return {'\x08', serving ? '\x01' : '\x02'};
}

std::string metadata_answer(std::string_view name, std::string_view version) {
  std::string out;
  append_text(out, 1, name);
  append_text(out, 2, version);
  return out;
}

std::string index_answer(const std::vector<std::string>& ready_models) {
  std::string out;
  for (const std::string& model : ready_models) {
    std::string entry;
    append_text(entry, 1, model);
    append_text(entry, 3, "READY");
    append_text(out, 1, entry);
  }
  return out;
}

}  // namespace infermesh::grpc
