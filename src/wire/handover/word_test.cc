#include "wire/handover/word.h"

#include <gtest/gtest.h>

namespace infermesh::handover {
namespace {

TEST(HandoverWord, ReadsWhatItWrites) {
  for (const Say say : {Say::kHello, Say::kOffer, Say::kRefuse, Say::kServing, Say::kLeaving}) {
    const Word word{say, kProtocol, "1.2.3", 4711, "because \"so\"", {"m", "org/model:7b", "ü"}};
    const auto read = parse(write(word));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, word);
  }
}

TEST(HandoverWord, TellsWhatALaterProtocolIs) {
  const auto word =
      parse(R"({"protocol":9,"say":"greetings","version":"7.0.0","pid":1,"more":{}})");
  ASSERT_TRUE(word);
  EXPECT_EQ(word->protocol, 9);
  EXPECT_EQ(word->say, Say::kUnknown);
  EXPECT_EQ(word->version, "7.0.0");
}

TEST(HandoverWord, WhoIsNotInfermeshIsKnownByItsTalk) {
  for (const std::string_view text :
       {"", "GET / HTTP/1.1\r\n\r\n", "[]", "{}", R"({"say":"hello"})", R"({"protocol":0})",
        R"({"protocol":"1"})", "\xff"}) {
    const auto word = parse(text);
    ASSERT_FALSE(word) << text;
    EXPECT_EQ(word.error().detail, "it does not talk like infermesh");
  }
}

TEST(HandoverWord, StaysWithinItsBound) {
  Word word{Say::kOffer, kProtocol, std::string(9000, '\x01'), 1, {}, {}};
  for (int i = 0; i < 1023; ++i) word.why += "é";
  word.why = "x" + word.why;
  word.models.assign(10000, std::string(40, '\n'));
  const std::string text = write(word);
  EXPECT_LE(text.size(), kWordBytesMax);
  const auto read = parse(text);
  ASSERT_TRUE(read);
  EXPECT_GT(read->models.size(), 500u);
  EXPECT_EQ(read->why.size(), 1023u);
}

}  // namespace
}  // namespace infermesh::handover
