#include "wire/http/multipart.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

namespace infermesh::http {
namespace {

struct Part {
  std::string name, data;
  std::uint64_t begin = 0, end = 0;
  bool operator==(const Part&) const = default;
};

struct Read {
  std::vector<Part> parts;
  bool ended = false, failed = false;
};

void take(MultipartScanner& scanner, Read& read) {
  for (auto token = scanner.next(); token.kind != PartToken::kMore; token = scanner.next()) {
    switch (token.kind) {
      case PartToken::kPart:
        read.parts.push_back({std::string(token.text), "", token.at, 0});
        break;
      case PartToken::kData:
        read.parts.back().data += token.text;
        break;
      case PartToken::kPartEnd:
        read.parts.back().end = token.at;
        break;
      case PartToken::kEnd:
        read.ended = true;
        break;
      default:
        read.failed = true;
        return;
    }
  }
}

Read read_in(std::string_view text, std::size_t piece, std::string_view boundary = "bb") {
  MultipartScanner scanner(boundary);
  Read read;
  for (std::size_t at = 0; at < text.size() && !read.failed; at += piece) {
    const std::string copy(text.substr(at, piece));
    scanner.feed(copy);
    take(scanner, read);
  }
  EXPECT_EQ(scanner.ended(), read.ended);
  return read;
}

std::string part(std::string_view name, std::string_view data) {
  return fmt::format("--bb\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", name,
                     data);
}

TEST(Multipart, PartsAreTheSameHoweverTheBytesAreCut) {
  const std::string file = "\r\n--b\r\n--bc\r\r\n-\r\n--\r\n" + std::string("\0\xff", 2);
  const std::string text = "preamble\r\n--bX\r\n" + part("model", "whisper") + part("file", file) +
                           part("empty", "") + "--bb--\r\nepilogue\r\n--bb\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const Read read = read_in(text, piece);
    ASSERT_EQ(read.parts.size(), 3u) << piece;
    EXPECT_TRUE(read.ended);
    EXPECT_EQ(read.parts[0].name, "model");
    EXPECT_EQ(read.parts[0].data, "whisper");
    EXPECT_EQ(read.parts[1].data, file) << piece;
    EXPECT_EQ(read.parts[2].data, "");
    for (const Part& p : read.parts) {
      EXPECT_EQ(text.substr(p.begin, p.end - p.begin), p.data) << piece;
    }
  }
}

TEST(Multipart, BoundaryLinesMayEndInBlanksAndPartsMayHaveNoHead) {
  const Read read = read_in("--bb \t\r\n\r\nx\r\n--bb\r\nA: b\r\n\r\ny\r\n--bb--", 3);
  ASSERT_EQ(read.parts.size(), 2u);
  EXPECT_EQ(read.parts[0].data, "x");
  EXPECT_EQ(read.parts[1].name, "");
  EXPECT_TRUE(read.ended);
}

TEST(Multipart, NamesAreQuotedOrNot) {
  const auto name = [](std::string_view head) {
    const Read read = read_in(fmt::format("--bb\r\n{}\r\n\r\n\r\n--bb--", head), 1000);
    return read.parts.empty() ? "none" : read.parts[0].name;
  };
  EXPECT_EQ(name("content-disposition: form-data; name=model"), "model");
  EXPECT_EQ(name(R"(CONTENT-DISPOSITION: form-data; filename="a; name=b"; Name="mo\"del")"),
            "mo\"del");
  EXPECT_EQ(name("X: y\r\nContent-Disposition: form-data;name=\"model\"\r\nContent-Type: text"),
            "model");
}

TEST(Multipart, WhatIsNoneOfItFails) {
  EXPECT_TRUE(read_in("--bbx\r\n\r\n", 1).failed);
  EXPECT_TRUE(read_in("--bb" + std::string(100, ' '), 7).failed);
  EXPECT_TRUE(read_in("--bb\r\n" + std::string(kPartHeadMax + 1, 'h'), 1000).failed);
  EXPECT_FALSE(read_in(R"({"model":"m"})", 4).ended);
}

TEST(Multipart, TheBoundaryIsReadFromTheContentType) {
  EXPECT_EQ(form_boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(form_boundary("Multipart/Form-Data; charset=x; Boundary=\"a b;c\""), "a b;c");
  EXPECT_EQ(form_boundary("multipart/form-data"), std::nullopt);
  EXPECT_EQ(form_boundary("multipart/form-data; boundary="), std::nullopt);
  EXPECT_EQ(form_boundary("multipart/mixed; boundary=abc"), std::nullopt);
  EXPECT_EQ(form_boundary("multipart/form-data; boundary=" + std::string(201, 'x')), std::nullopt);
}

}  // namespace
}  // namespace infermesh::http
