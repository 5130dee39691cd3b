#include "io/message_socket.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "io/listening.h"

namespace infermesh::io {
namespace {

// A folder of its own for a test's socket.
class MessageSocketTest : public testing::Test {
 protected:
  MessageSocketTest() {
    std::string name = std::filesystem::temp_directory_path() / "infermesh-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    path = folder_ / "handover";
  }
  ~MessageSocketTest() override { std::filesystem::remove_all(folder_); }

  // Runs a task until it ends.
  template <typename Body>
  void run(Body body) {
    loop.spawn([](EventLoop& running, Body& task) -> port::Task<void> {
      co_await task();
      running.stop();
    }(loop, body));
    loop.run();
  }

  EventLoop loop;
  std::filesystem::path path;

 private:
  std::filesystem::path folder_;
};

TEST_F(MessageSocketTest, CarriesTextsAndListeningSockets) {
  auto listener = MessageListener::open(loop, path);
  ASSERT_TRUE(listener) << listener.error().detail;
  auto called = call_at(loop, path);
  ASSERT_TRUE(called && *called);
  run([&]() -> port::Task<void> {
    auto answered = co_await (*listener)->accept();
    EXPECT_EQ(answered->peer().pid, ::getpid());
    EXPECT_EQ(answered->peer().uid, ::geteuid());
    auto given = open_listening("127.0.0.1", 0, Sharing::kAlone);
    const std::vector<int> descriptors{given->get()};
    EXPECT_TRUE(answered->send("here", descriptors));
    auto got = co_await (*called)->receive(loop.now() + 5s);
    EXPECT_TRUE(got) << got.error().detail;
    EXPECT_EQ(got->text, "here");
    EXPECT_EQ(got->descriptors.size(), 1u);
    const auto address = address_of_listening(got->descriptors[0], "localhost", 0);
    EXPECT_TRUE(address) << address.error().detail;
    const std::uint16_t port = parse_host_port(*address)->port;
    // What came before it was given waits in its queue.
    auto client = co_await loop.connect("127.0.0.1", port, loop.now() + 5s);
    given->reset();
    auto taken = listener_of(loop, std::move(got->descriptors[0]));
    EXPECT_TRUE(co_await taken->accept());
    answered.reset();
    const auto end = co_await (*called)->receive(loop.now() + 5s);
    EXPECT_EQ(end.error().code, ErrorCode::kUnavailable);
  });
}

TEST_F(MessageSocketTest, WaitsNoLongerThanItIsTold) {
  auto listener = MessageListener::open(loop, path);
  auto called = call_at(loop, path);
  ASSERT_TRUE(listener && called);
  EXPECT_EQ((*called)->receive_blocking(20ms).error().code, ErrorCode::kDeadlineExceeded);
  run([&]() -> port::Task<void> {
    const auto late = co_await (*called)->receive(loop.now() + 20ms);
    EXPECT_EQ(late.error().code, ErrorCode::kDeadlineExceeded);
  });
}

TEST_F(MessageSocketTest, ASocketThatIsNotTheOneWantedIsRefused) {
  auto given = open_listening("127.0.0.1", 0, Sharing::kAlone);
  const auto other = address_of_listening(*given, "127.0.0.1", 1);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().detail.find("not on 127.0.0.1:1"), std::string::npos);
  const Descriptor plain(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_FALSE(address_of_listening(plain, "127.0.0.1", 0));
}

TEST_F(MessageSocketTest, NobodyIsThereWithoutAFileAndBehindAStaleOne) {
  auto called = call_at(loop, path);
  ASSERT_TRUE(called);
  EXPECT_EQ(*called, nullptr);
  MessageListener::open(loop, path).value()->close();
  EXPECT_TRUE(std::filesystem::exists(path));
  called = call_at(loop, path);
  ASSERT_TRUE(called);
  EXPECT_EQ(*called, nullptr);
}

TEST_F(MessageSocketTest, TheFileIsForThisUserAndReplacesAnEarlierOne) {
  auto first = MessageListener::open(loop, path);
  auto second = MessageListener::open(loop, path);
  ASSERT_TRUE(first && second);
  struct stat found{};
  ASSERT_EQ(::stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  (*first)->close();
  auto called = call_at(loop, path);
  EXPECT_TRUE(called && *called);  // the second one's
}

TEST_F(MessageSocketTest, AFileThatIsNoSocketIsLeftAlone) {
  std::ofstream(path) << "precious";
  for (const Error& error :
       {call_at(loop, path).error(), MessageListener::open(loop, path).error()}) {
    EXPECT_NE(error.detail.find("not a socket"), std::string::npos) << error.detail;
  }
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
}

TEST_F(MessageSocketTest, AnotherKindOfSocketIsToldFromNone) {
  const Descriptor stream(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(stream.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(stream.get(), 1), 0);
  const auto called = call_at(loop, path);
  ASSERT_FALSE(called);
  EXPECT_NE(called.error().detail.find("another kind of socket"), std::string::npos);
}

TEST_F(MessageSocketTest, APathThatDoesNotFitIsRefused) {
  const auto called = call_at(loop, std::string(200, 'x'));
  ASSERT_FALSE(called);
  EXPECT_NE(called.error().detail.find("too long"), std::string::npos);
}

}  // namespace
}  // namespace infermesh::io
