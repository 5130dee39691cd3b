// StreamFrames: the SSE events of one streamed answer, in vLLM's form: data-only chunks that end
// with [DONE] for chat and completions, named events for messages and responses. A generation goes:
// opening, tokens, closing, terminal. Pure.
#pragma once

#include <string>
#include <string_view>

#include "lab/vllm/answers.h"

namespace infermesh::lab {

class StreamFrames {
 public:
  StreamFrames(Api api, AnswerId id, const Ask& ask);

  std::string opening(const Usage& usage);
  std::string token(std::uint32_t choice, std::string_view text, const Usage& usage);
  // The last token of a choice carries its finish.
  std::string last_token(std::uint32_t choice, std::string_view text, FinishReason reason,
                         const Usage& usage);
  std::string closing(const Usage& usage);  // the usage chunk where it was asked for
  std::string terminal(FinishReason reason,
                       const Usage& usage);  // [DONE], message_stop, response.completed

 private:
  std::string chunk(std::uint32_t choice, std::string_view text, std::string_view finish,
                    const Usage& usage);
  void event(std::string& out, std::string_view type, std::string_view rest);
  std::string open_chat(const Usage& usage);
  std::string open_message(const Usage& usage);
  std::string open_response(const Usage& usage);
  std::string close_response();

  Api api_;
  AnswerId id_;
  bool usage_, continuous_usage_;
  std::string prefix_;          // of every OpenAI chunk, up to its choices
  std::string item_id_;         // responses only
  std::string text_;            // of the whole answer; responses only
  std::uint64_t sequence_ = 0;  // responses only
};

}  // namespace infermesh::lab
