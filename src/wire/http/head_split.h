// The second half of a head parser: llhttp splits a scanned head into fields, then the framing
// rules decide how long the body is. Internal to this folder.
#pragma once

#include <optional>
#include <string_view>

#include "wire/http/head.h"

namespace infermesh::http {

// What llhttp made of a head; views into it.
struct SplitHead {
  std::string_view method, target;  // requests
  std::string_view reason;          // responses
  int status = 0;
  bool keep_alive = true;
};

// `head` is one whole head that HeadScan accepted, from its start line to its blank line, `framing`
// what it found.
Result<SplitHead> split_head(MessageKind kind, std::string_view head, const Framing& framing,
                             Headers& headers);

}  // namespace infermesh::http
