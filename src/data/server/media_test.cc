// Audio and images: forms passed through without being kept, answers of any kind.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

std::string form(std::string_view body, std::string_view head = "") {
  return post("/v1/audio/transcriptions", body, kFormHead + std::string(head));
}

std::string answer_of(std::string_view type, std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n{}", type,
                     body.size(), body);
}

TEST(Media, AFormPassesByteForByteWhereverItNamesItsModel) {
  const std::string file = form_part("file", std::string("RIFF\0\xff\r\n--b", 11));
  const std::string model = form_part("model", "m");
  for (const std::string& body : {model + file + kFormEnd, file + model + kFormEnd}) {
    TestMesh mesh;
    mesh.engine().answers(
        json_answer(R"({"text":"hi","usage":{"input_tokens":3,"output_tokens":2}})"));
    const TestAnswer answer = mesh.ask(form(body));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, R"({"text":"hi","usage":{"input_tokens":3,"output_tokens":2}})");
    const auto& heard = mesh.engine().requests.at(0);
    EXPECT_EQ(heard.body, body);
    EXPECT_NE(heard.head.find("multipart/form-data; boundary=bb"), std::string::npos);
    EXPECT_NE(heard.head.find(fmt::format("content-length: {}\r\n", body.size())),
              std::string::npos);
    EXPECT_TRUE(mesh.counted(R"(infermesh_tokens_total{model="m",kind="output"} 2)"))
        << mesh.metrics_text();
  }
}

TEST(Media, ARenamedModelIsSplicedIntoTheForm) {
  TestMesh mesh;
  mesh.add_model("mine", "m");
  mesh.engine().answers(json_answer(R"({"text":"hi"})"));
  const std::string file = form_part("file", "RIFF");
  EXPECT_EQ(mesh.ask(form(file + form_part("model", "mine") + kFormEnd)).status, 200);
  EXPECT_EQ(mesh.engine().requests.at(0).body, file + form_part("model", "m") + kFormEnd);
}

TEST(Media, AModelBehindALongFileIsToldAboutUnlessThereIsOnlyOne) {
  const std::string body =
      form_part("file", std::string(2 << 20, 'x')) + form_part("model", "m") + kFormEnd;
  TestMesh one;
  one.engine().answers(json_answer(R"({"text":"hi"})"));
  TestClient client = one.connect();
  client.send(form(body));
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_TRUE(one.engine().requests.at(0).body == body);

  TestMesh two;
  two.add_model("other", "other");
  TestClient lost = two.connect();
  lost.send(form(body));
  const TestAnswer refused = lost.answer();
  EXPECT_EQ(refused.status, 400);
  EXPECT_TRUE(refused.has("x-infermesh-model") && refused.has("1MiB")) << refused.body;
  EXPECT_EQ(two.engine().asked(), 0u);

  two.engine().answers(json_answer(R"({"text":"hi"})"));
  TestClient hinted = two.connect();
  hinted.send(form(body, "x-infermesh-model: m\r\n"));
  EXPECT_EQ(hinted.answer().status, 200);
  EXPECT_TRUE(two.engine().requests.at(0).body == body);
}

TEST(Media, ALateModelThatIsAnotherIsRefused) {
  TestMesh mesh;
  mesh.engine().holds();
  TestClient client = mesh.connect();
  client.send(
      form(form_part("file", std::string(2 << 20, 'x')) + form_part("model", "other") + kFormEnd));
  EXPECT_EQ(client.answer().status, 400);
}

TEST(Media, WhatIsNoFormIsRefused) {
  TestMesh mesh;
  EXPECT_EQ(
      mesh.ask(post("/v1/audio/transcriptions", "{}", "content-type: application/json\r\n")).status,
      415);
  EXPECT_EQ(mesh.ask(post("/v1/audio/transcriptions", "{}")).status, 415);
  const TestAnswer open = mesh.ask(form(form_part("model", "m")));
  EXPECT_EQ(open.status, 400);
  const TestAnswer odd = mesh.ask(form("--bbx\r\n"));
  EXPECT_EQ(odd.status, 400);
  EXPECT_TRUE(odd.has(R"("code":"invalid_form")")) << odd.body;
  const TestAnswer nameless = mesh.ask(post("/v1/images/edits", kFormEnd, kFormHead));
  EXPECT_EQ(nameless.status, 502) << "one model serves it: the engine was asked, and is not there";
}

TEST(Media, SpeechAndPicturesPassAsTheyAre) {
  TestMesh mesh;
  const std::string sound("\xff\xf3\0\r\n\r\n", 7);
  mesh.engine().answers(answer_of("audio/mpeg", sound));
  const TestAnswer whole =
      mesh.ask(post("/v1/audio/speech", R"({"model":"m","input":"hi","voice":"a"})"));
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, sound);
  EXPECT_EQ(whole.header("content-type"), "audio/mpeg");
  mesh.engine().answers(
      "HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\ntransfer-encoding: chunked\r\n\r\n" +
      chunk(sound) + chunk("more") + kLastChunkText);
  EXPECT_EQ(mesh.ask(post("/v1/audio/speech", R"({"model":"m","input":"hi"})")).body,
            sound + "more");
  mesh.engine().answers(json_answer(R"({"data":[{"b64_json":"AAAA"}]})"));
  EXPECT_EQ(mesh.ask(post("/v1/images/generations", R"({"prompt":"a cat"})")).body,
            R"({"data":[{"b64_json":"AAAA"}]})")
      << "its model may be left out where there is one";
}

TEST(Media, TextAnswersOfTranscriptionsPass) {
  TestMesh mesh;
  const std::string vtt = "WEBVTT\n\n00:00.000 --> 00:01.000\nhi\n";
  mesh.engine().answers(answer_of("text/vtt", vtt));
  EXPECT_EQ(mesh.ask(form(kFormBody)).body, vtt);
}

TEST(Media, ATranscriptStreamEndsWithItsLastEventAndTheBody) {
  const std::string part = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\n";
  const std::string last = "data: {\"type\":\"transcript.text.done\",\"text\":\"hi\"}\n\n";
  TestMesh mesh;
  const std::string body = form_part("model", "m") + form_part("stream", "true") + kFormEnd;
  for (const std::string& ending : {last, part + kDone}) {
    mesh.engine().answers(sse_answer({part, ending}));
    const TestAnswer answer = mesh.ask(form(body));
    EXPECT_EQ(answer.body, part + ending);
    EXPECT_TRUE(answer.whole);
  }
  mesh.engine().answers(sse_answer({part}));
  EXPECT_FALSE(mesh.ask(form(body)).whole) << "its end is missing";
}

}  // namespace
}  // namespace infermesh::data
