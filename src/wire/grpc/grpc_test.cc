// What the router reads and says of gRPC, on bytes.
#include <gtest/gtest.h>
#include <zlib.h>

#include "wire/grpc/frame.h"
#include "wire/grpc/kserve.h"
#include "wire/grpc/status.h"

namespace infermesh::grpc {
namespace {

std::string text_field(int number, std::string_view text) {
  std::string out;
  out += static_cast<char>(number << 3 | 2);
  for (std::size_t size = text.size();;) {
    const bool more = size >= 0x80;
    out += static_cast<char>((size & 0x7f) | (more ? 0x80 : 0));
    size >>= 7;
    if (!more) break;
  }
  return out.append(text);
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(GrpcStatus, EveryOwnErrorHasOneOfTheTable) {
  const std::pair<ErrorCode, Status> wanted[] = {
      {ErrorCode::kModelNotFound, Status::kNotFound},
      {ErrorCode::kNoHealthyBackend, Status::kUnavailable},
      {ErrorCode::kQueueFull, Status::kUnavailable},
      {ErrorCode::kShed, Status::kResourceExhausted},
      {ErrorCode::kUnauthorized, Status::kUnauthenticated},
      {ErrorCode::kForbidden, Status::kPermissionDenied},
      {ErrorCode::kRequestTooLarge, Status::kResourceExhausted},
      {ErrorCode::kDeadlineExceeded, Status::kDeadlineExceeded},
      {ErrorCode::kQueueDeadline, Status::kDeadlineExceeded},
      {ErrorCode::kUpstreamConnectFailed, Status::kUnavailable},
      {ErrorCode::kStreamTruncated, Status::kInternal},
      {ErrorCode::kClientClosed, Status::kCancelled},
      {ErrorCode::kInvalidField, Status::kInvalidArgument},
      {ErrorCode::kUnknownPath, Status::kUnimplemented},
  };
  for (const auto& [code, status] : wanted)
    EXPECT_EQ(status_of(code), status) << error_info(code).name;
  EXPECT_EQ(status_of_http(503), Status::kUnavailable);
  EXPECT_EQ(status_of_http(404), Status::kUnimplemented);
  EXPECT_EQ(status_of_http(200), Status::kUnknown);
  EXPECT_EQ(http_of(Status::kUnauthenticated), 401);
  EXPECT_EQ(parse_status("14"), Status::kUnavailable);
  EXPECT_EQ(parse_status("17"), std::nullopt);
  EXPECT_EQ(parse_status(""), std::nullopt);
}

TEST(GrpcStatus, MessagesAreEscaped) {
  EXPECT_EQ(escape_message("100% of 'ü'\n"), "100%25 of '%C3%BC'%0A");
}

TEST(GrpcTimeout, IsReadAndWrittenInEachUnit) {
  const std::pair<std::string_view, Duration> good[] = {
      {"1n", 1ns}, {"5u", 5us}, {"100m", 100ms}, {"3S", 3s}, {"2M", 2min}, {"1H", 1h}, {"0S", 0s}};
  for (const auto& [text, time] : good) EXPECT_EQ(parse_timeout(text), time) << text;
  EXPECT_GT(parse_timeout("99999999H").value(), 24h * 365 * 50);
  for (const char* bad : {"", "S", "5", "5s", "-1S", "1.5S", "123456789S", " 1S", "1 S"})
    EXPECT_FALSE(parse_timeout(bad)) << bad;
  EXPECT_EQ(format_timeout(100ms), "100000u");
  EXPECT_EQ(format_timeout(1ms), "1000000n");
  EXPECT_EQ(format_timeout(-1s), "1n");
  EXPECT_EQ(format_timeout(Duration::max()), "2562047H");
  for (const Duration time :
       {Duration(1ns), Duration(99'999'999ns), Duration(5s + 1ns), Duration(24h * 365)})
    EXPECT_LE(parse_timeout(format_timeout(time)).value(), time);
}

TEST(GrpcFrame, TheFirstMessageIsReadAsItComes) {
  const std::string buffer = frame_message("hello") + frame_message("more");
  std::string inflated;
  for (std::size_t size = 0; size <= buffer.size(); ++size) {
    const auto got = read_first_message(std::string_view(buffer).substr(0, size), "", inflated);
    ASSERT_TRUE(got) << size;
    EXPECT_EQ(got->begun, size >= 5) << size;
    EXPECT_EQ(got->whole, size >= 10) << size;
    EXPECT_EQ(got->bytes, std::string_view("hello").substr(0, size < 5 ? 0 : size - 5)) << size;
  }
}

TEST(GrpcFrame, NoMoreThanItsLimitIsGiven) {
  const std::string buffer = frame_message(std::string(100'000, 'x'));
  std::string inflated;
  const auto got = read_first_message(buffer, "identity", inflated);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes.size(), kScanBytesMax);
  EXPECT_FALSE(got->whole);
}

TEST(GrpcFrame, ACompressedMessageIsInflatedAsFarAsItIsThere) {
  const std::string message = text_field(1, "model") + text_field(7, std::string(200'000, 'x'));
  std::string buffer = frame_message(gzip(message));
  buffer[0] = 1;
  std::string inflated;
  const auto got = read_first_message(buffer, "gzip", inflated);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes.size(), kScanBytesMax);
  EXPECT_FALSE(got->whole);
  EXPECT_EQ(scan_model(got->bytes, got->whole)->model, "model");
  EXPECT_TRUE(read_first_message(buffer.substr(0, 12), "gzip", inflated));
  EXPECT_FALSE(read_first_message(buffer, "zstd", inflated));
  EXPECT_FALSE(read_first_message(buffer, "", inflated));
  EXPECT_FALSE(read_first_message(std::string("\1\0\0\0\4abcd", 9), "gzip", inflated));
}

TEST(GrpcFrame, AnythingElseIsRefused) {
  std::string inflated;
  EXPECT_FALSE(read_first_message("{\"model\":", "", inflated));
}

TEST(KserveScan, TheModelIsFoundWhereverItStands) {
  const std::string tensor =
      text_field(5, std::string(300, '\x0a')) + text_field(7, std::string(5000, '\x0a'));
  const std::string messages[] = {text_field(1, "resnet.50"),
                                  text_field(1, "resnet.50") + text_field(2, "3") + tensor,
                                  tensor + text_field(2, "3") + text_field(1, "resnet.50")};
  for (const std::string& message : messages) {
    const auto got = scan_model(message, true);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->state, ModelScan::State::kFound);
    EXPECT_EQ(got->model, "resnet.50");
    for (std::size_t size = 0; size < message.size(); ++size) {
      const auto part = scan_model(std::string_view(message).substr(0, size), false);
      ASSERT_TRUE(part) << size;
      const bool found = part->state == ModelScan::State::kFound;
      EXPECT_EQ(part->model, found ? "resnet.50" : "") << size;
    }
  }
}

TEST(KserveScan, AMessageWithoutOneSaysSo) {
  EXPECT_EQ(scan_model("", true)->state, ModelScan::State::kAbsent);
  EXPECT_EQ(scan_model(text_field(2, "1"), true)->state, ModelScan::State::kAbsent);
  EXPECT_EQ(scan_model(text_field(1, ""), true)->state, ModelScan::State::kAbsent);
  EXPECT_EQ(scan_model("", false)->state, ModelScan::State::kNeedMore);
  EXPECT_FALSE(scan_model("\x0b", true)) << "a group";
  EXPECT_FALSE(scan_model(std::string("\x08\x01", 2), true)) << "a number for a name";
  EXPECT_FALSE(
      scan_model("\x0a\x10"
                 "abc",
                 true))
      << "cut short";
  EXPECT_FALSE(scan_model(std::string(11, '\xff'), true)) << "a number without an end";
}

TEST(KserveMethods, EachHasItsHandling) {
  const std::string service = "/inference.GRPCInferenceService/";
  EXPECT_EQ(find_method(service + "ModelInfer").handling, Handling::kByModel);
  EXPECT_TRUE(find_method(service + "ModelStreamInfer").streams);
  EXPECT_EQ(find_method(service + "ServerReady").handling, Handling::kReady);
  EXPECT_EQ(find_method(service + "CudaSharedMemoryRegister").handling, Handling::kOneEngine);
  EXPECT_EQ(find_method("/grpc.health.v1.Health/Check").handling, Handling::kHealth);
  EXPECT_EQ(find_method(service).handling, Handling::kUnknown);
  EXPECT_EQ(find_method("/other.Service/ModelInfer").handling, Handling::kUnknown);
}

TEST(KserveAnswers, AreProtobuf) {
  EXPECT_EQ(bool_answer(true), std::string("\x08\x01", 2));
  EXPECT_EQ(bool_answer(false), "");
  EXPECT_EQ(health_answer(false), std::string("\x08\x02", 2));
  EXPECT_EQ(metadata_answer("a", "b"), text_field(1, "a") + text_field(2, "b"));
  EXPECT_EQ(index_answer({"m"}), text_field(1, text_field(1, "m") + text_field(3, "READY")));
}

TEST(GrpcFrame, WhereAStreamOfMessagesIsIsKnownAtEachByte) {
  const std::string stream = frame_message("") + frame_message("ab") + frame_message("");
  const std::string_view wanted =
      "11110"
      "1111110"
      "11110";
  for (std::size_t cut = 1; cut <= stream.size(); ++cut) {
    FrameTracker whole, bytes;
    whole.pass(std::string_view(stream).substr(0, cut));
    for (std::size_t i = 0; i < cut; ++i) bytes.pass(std::string_view(stream).substr(i, 1));
    EXPECT_EQ(whole.amid(), wanted[cut - 1] == '1') << cut;
    EXPECT_EQ(bytes.amid(), whole.amid()) << cut;
  }
}

TEST(KserveScan, TheSequenceIsFoundAmongTheParameters) {
  const auto entry = [](std::string_view key, std::string_view value) {
    return text_field(4, text_field(1, key) + text_field(2, value));
  };
  const std::string model = text_field(1, "m"), tensor = text_field(7, "xxxxxxxx");
  const std::string minus = "\x10" + std::string(9, '\xff') + "\x01";
  EXPECT_EQ(scan_sequence(model + entry("sequence_id", "\x10\x2a") + tensor, true).id, "42");
  EXPECT_EQ(scan_sequence(model + tensor + entry("sequence_id", "\x28\x2a"), true).id, "42");
  EXPECT_EQ(scan_sequence(entry("a", "\x10\1") + entry("sequence_id", "\x1a\1s"), true).id, "s");
  EXPECT_EQ(scan_sequence(entry("sequence_id", minus), true).id, "-1");
  EXPECT_EQ(scan_sequence(entry("sequence_id", std::string("\x10\0", 2)), true).id, "");
  EXPECT_EQ(scan_sequence(entry("sequence_id", "\x08\1"), true).id, "") << "a bool is none";
  const std::string far(kSequenceIdMax + 1, 's');
  EXPECT_EQ(scan_sequence(entry("sequence_id", text_field(3, far)), true).id, "");
  EXPECT_TRUE(scan_sequence(model, true).settled);
  EXPECT_FALSE(scan_sequence(model, false).settled);
  const std::string whole = model + entry("sequence_id", "\x10\x2a");
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    EXPECT_FALSE(scan_sequence(whole.substr(0, cut), false).settled) << cut;
  EXPECT_TRUE(scan_sequence(whole, false).settled) << "nothing that follows changes it";
}

}  // namespace
}  // namespace infermesh::grpc
