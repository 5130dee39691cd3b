// Word: what two processes say to each other while one takes the listening sockets from the other.
// Each is one message, a JSON object.
//
//   new: hello                  who it is
//   old: offer, with sockets    or refuse, with the reason
//   new: serving                it takes connections
//   old: leaving                it takes none any more, and ends with its last request
//
// Until "serving" has come the old one goes on as if nothing were, whatever the new one does.
//
// `protocol`, `say`, `version`, `pid` and `why` mean the same in every protocol, so that processes
// that cannot hand over to each other can say so. A word that is not known is kUnknown, not an
// error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace infermesh::handover {

constexpr std::int64_t kProtocol = 1;
constexpr std::size_t kWordBytesMax = 64 << 10;

enum class Say : std::uint8_t { kUnknown, kHello, kOffer, kRefuse, kServing, kLeaving };

struct Word {
  Say say = Say::kUnknown;
  std::int64_t protocol = kProtocol;
  std::string version;  // of infermesh
  std::int64_t pid = 0;
  std::string why;                  // refuse
  std::vector<std::string> models;  // offer: that can be asked for now
  bool operator==(const Word&) const = default;
};

// At most kWordBytesMax: models that do not fit are left out, `version` and `why` cut.
std::string write(const Word& word);
// kUpstreamBadResponse: whoever said that is not infermesh.
Result<Word> parse(std::string_view text);

}  // namespace infermesh::handover
