// What clients and engines of the tests say: requests, answers, events.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace infermesh::data {

inline std::string post(std::string_view path, std::string_view body, std::string_view head = "") {
  return fmt::format("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n{}\r\n{}", path,
                     body.size(), head, body);
}
inline std::string chat(std::string_view body, std::string_view head = "") {
  return post("/v1/chat/completions", body, head);
}
inline std::string json_answer(std::string_view body, int status = 200,
                               std::string_view head = "") {
  return fmt::format(
      "HTTP/1.1 {} X\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{}", status,
      head, body.size(), body);
}
inline std::string chunk(std::string_view text) {
  return fmt::format("{:x}\r\n{}\r\n", text.size(), text);
}
inline const std::string kSseHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
inline const std::string kDone = "data: [DONE]\n\n";
inline const std::string kLastChunkText = "0\r\n\r\n";
inline std::string delta(std::string_view text, std::string_view model = "m") {
  return fmt::format(
      R"(data: {{"model":"{}","choices":[{{"index":0,"delta":{{"content":"{}"}}}}]}})"
      "\n\n",
      model, text);
}
inline std::string sse_answer(const std::vector<std::string>& events) {
  std::string text = kSseHead;
  for (const std::string& event : events) text += chunk(event);
  return text + kLastChunkText;
}
inline const std::string kPlainBody =
    R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
inline const std::string kStreamBody =
    R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]})";
inline const std::string kFormHead = "content-type: multipart/form-data; boundary=bb\r\n";
inline std::string form_part(std::string_view name, std::string_view data) {
  return fmt::format("--bb\r\ncontent-disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", name,
                     data);
}
inline const std::string kFormEnd = "--bb--\r\n";
inline const std::string kFormBody = form_part("file", "RIFF") + form_part("model", "m") + kFormEnd;
inline const std::string kPlainAnswer =
    R"({"model":"m","choices":[{"message":{"content":"yes"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}})";

}  // namespace infermesh::data
