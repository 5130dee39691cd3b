#include "obs/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "obs/access_log.h"

namespace infermesh::obs {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr WallTime kNow{1764000000s};

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0); }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  int in() const { return ends_[1]; }
  std::string read_some() const {
    std::array<char, 65536> buffer;
    const auto count = ::read(ends_[0], buffer.data(), buffer.size());
    return count > 0 ? std::string(buffer.data(), static_cast<std::size_t>(count)) : std::string();
  }
  // Fills it until a write would wait.
  void fill() const {
    const int flags = ::fcntl(in(), F_GETFL);
    ::fcntl(in(), F_SETFL, flags | O_NONBLOCK);
    const std::string block(4096, 'x');
    while (::write(in(), block.data(), block.size()) > 0) {
    }
    ::fcntl(in(), F_SETFL, flags);
  }

 private:
  std::array<int, 2> ends_{};
};

TEST(Log, TextLinesAreForPeople) {
  EXPECT_EQ(
      format_log_line(LogFormat::kText, kNow, LogLevel::kWarn, "engine is down",
                      {{"engine", "e1"}, {"why", "no answer"}, {"attempts", 3}, {"ok", false}}),
      format_wall_time(kNow) +
          " warn  engine is down  engine=e1 why=\"no answer\" attempts=3 ok=false");
}

TEST(Log, JsonLinesAreOneObject) {
  EXPECT_EQ(format_log_line(LogFormat::kJson, kNow, LogLevel::kInfo, "a \"b\"",
                            {{"n", 1.5}, {"s", std::string("x\ny")}}),
            "{\"time\":\"" + format_wall_time(kNow) +
                "\",\"level\":\"info\",\"message\":\"a \\\"b\\\"\",\"n\":1.5,\"s\":\"x\\ny\"}");
}

TEST(Log, BytesFromOutsideCannotBreakALine) {
  const std::string line =
      format_log_line(LogFormat::kText, kNow, LogLevel::kInfo, "a\nb\x1b[31m", {{"k", "c\nd"}});
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  EXPECT_THAT(line, HasSubstr("a\\x0ab\\x1b[31m"));
}

TEST(Log, OnlyMessagesOfTheLevelOrMoreImportantAreWritten) {
  Pipe pipe;
  Log log(pipe.in(), LogLevel::kWarn, LogFormat::kText);
  log.info(kNow, "quiet");
  log.error(kNow, "loud");
  const std::string text = pipe.read_some();
  EXPECT_THAT(text, Not(HasSubstr("quiet")));
  EXPECT_THAT(text, EndsWith("error loud\n"));
}

TEST(Log, LongLinesAreCut) {
  Pipe pipe;
  Log log(pipe.in(), LogLevel::kInfo, LogFormat::kText);
  log.info(kNow, std::string(10000, 'a'));
  const std::string text = pipe.read_some();
  EXPECT_EQ(text.size(), kLogLineMax);
  EXPECT_THAT(text, EndsWith("a\n"));
}

TEST(Log, AFullPipeDropsTheLineAndCountsItWithoutWaiting) {
  Pipe pipe;
  pipe.fill();
  Log log(pipe.in(), LogLevel::kInfo, LogFormat::kText);
  log.info(kNow, "lost");
  EXPECT_EQ(log.dropped(), 1u);
}

TEST(Log, ALimitLetsOneThroughEachIntervalAndCountsTheRest) {
  LogLimit limit(1s);
  const Instant start{5s};
  EXPECT_TRUE(limit.allow(start));
  EXPECT_FALSE(limit.allow(start + 500ms));
  EXPECT_FALSE(limit.allow(start + 999ms));
  EXPECT_TRUE(limit.allow(start + 1s));
  EXPECT_EQ(limit.take_suppressed(), 2u);
  EXPECT_EQ(limit.take_suppressed(), 0u);
}

TEST(AccessLog, EveryFieldIsWrittenInOrder) {
  AccessRecord record;
  record.time = kNow;
  record.request_id = "req_1";
  record.client = "127.0.0.1:50312";
  record.method = "POST";
  record.path = "/v1/chat/completions";
  record.api = "chat";
  record.model = "qwen";
  record.engine = "e1";
  record.attempts = 2;
  record.status = 200;
  record.bytes_in = 12;
  record.bytes_out = 345;
  record.ttft = 1500us;
  record.total = 2s;
  record.queued = 0s;
  record.prompt_tokens = 10;
  record.cached_tokens = 8;
  record.output_tokens = 3;
  record.stream = true;
  record.reason = "fastest";
  record.error = "stream_truncated";
  EXPECT_EQ(
      format_access_line(record),
      "{\"time\":\"" + format_wall_time(kNow) +
          "\",\"request_id\":\"req_1\",\"client\":\"127.0.0.1:50312\",\"method\":\"POST\","
          "\"path\":\"/v1/chat/"
          "completions\",\"api\":\"chat\",\"model\":\"qwen\",\"engine\":\"e1\",\"attempts\":2,"
          "\"status\":200,\"bytes_in\":12,\"bytes_out\":345,\"ttft_ms\":1.500,\"total_ms\":2000."
          "000,"
          "\"queued_ms\":0.000,\"prompt_tokens\":10,\"cached_tokens\":8,\"output_tokens\":3,"
          "\"stream\":true,"
          "\"reason\":\"fastest\",\"error\":\"stream_truncated\"}");
}

TEST(AccessLog, UnknownFieldsAreLeftOutAndLongOnesCut) {
  AccessRecord record;
  const std::string model(5000, 'm');
  record.model = model;
  const std::string line = format_access_line(record);
  EXPECT_THAT(line, Not(HasSubstr("ttft_ms")));
  EXPECT_THAT(line, Not(HasSubstr("engine")));
  EXPECT_LT(line.size(), 600u);
}

TEST(AccessLog, WritesALine) {
  Pipe pipe;
  AccessLog log(pipe.in());
  log.write({});
  EXPECT_THAT(pipe.read_some(), EndsWith("\"stream\":false}\n"));
}

}  // namespace
}  // namespace infermesh::obs
