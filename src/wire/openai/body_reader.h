// BodyReader: what reads a request's body for routing while it passes, whatever its form: JSON
// (facts.h), a form (form_reader.h), tensors (wire/kserve/infer_reader.h). The body goes through
// its reader first and is relayed as it is, but for the splices of splice.h. Owned by one exchange.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "core/model/request_facts.h"
#include "wire/openai/splice.h"

namespace infermesh::openai {

class BodyReader : public EditSource {
 public:
  virtual Result<void> feed(std::string_view bytes) = 0;
  virtual Result<void> finish() = 0;  // no more bytes will come

  // All that is known so far. Header facts (deadline, session header, announced length) are the
  // caller's to add.
  virtual RequestFacts facts() const = 0;
  virtual std::string_view model() const = 0;
  virtual bool model_known() const = 0;
  // Enough is known to decide: the model, and `prompt_bytes_wanted` of the prompt or all that there
  // is of it.
  virtual bool ready_to_route(std::uint64_t prompt_bytes_wanted) const = 0;
  // The rest of the body can tell nothing more.
  virtual bool settled() const { return complete(); }
  // Two different models were given: what was routed on the first must be refused.
  virtual bool model_conflict() const { return false; }
  virtual bool usage_wanted() const { return false; }  // as far as read
  // Responses: an earlier answer, and the field that names other state of one engine; empty: none.
  virtual std::string_view previous_response() const { return {}; }
  virtual std::string_view stored_state_field() const { return {}; }
  // The session key that this field of the body gives; 0 while it has not been read.
  virtual std::uint64_t body_session(std::string_view /*key*/) const { return 0; }
};

}  // namespace infermesh::openai
