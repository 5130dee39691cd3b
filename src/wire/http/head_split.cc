#include "wire/http/head_split.h"

#include <fmt/format.h>
#include <llhttp.h>

#include "base/text.h"

namespace infermesh::http {
namespace {

struct Sink {
  SplitHead split;
  Headers* headers;
  bool complete = false;
};

Sink& sink_of(llhttp_t* parser) {
  return *static_cast<Sink*>(parser->data);
}

// A span may come in adjoining parts; all parts lie in one buffer, so they can be put together
// again.
void extend(std::string_view& span, const char* at, std::size_t length) {
  span = span.empty()
             ? std::string_view(at, length)
             : std::string_view(span.data(), static_cast<std::size_t>(at - span.data()) + length);
}

int on_field(llhttp_t* parser, const char* at, std::size_t length) {
  Headers& headers = *sink_of(parser).headers;
  const bool goes_on =
      !headers.empty() && headers.back().name.data() + headers.back().name.size() == at;
  if (goes_on) {
    extend(headers.back().name, at, length);
    return HPE_OK;
  }
  if (headers.size() == kHeadersMax) return HPE_USER;
  headers.push_back({std::string_view(at, length), {}});
  return HPE_OK;
}

int on_value(llhttp_t* parser, const char* at, std::size_t length) {
  extend(sink_of(parser).headers->back().value, at, length);
  return HPE_OK;
}

int on_headers_complete(llhttp_t* parser) {
  Sink& sink = sink_of(parser);
  sink.complete = true;
  sink.split.status = parser->status_code;
  return HPE_PAUSED;  // the body is not llhttp's business
}

const llhttp_settings_t& settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_method = [](llhttp_t* parser, const char* at, std::size_t length) {
      extend(sink_of(parser).split.method, at, length);
      return int{HPE_OK};
    };
    made.on_url = [](llhttp_t* parser, const char* at, std::size_t length) {
      extend(sink_of(parser).split.target, at, length);
      return int{HPE_OK};
    };
    made.on_status = [](llhttp_t* parser, const char* at, std::size_t length) {
      extend(sink_of(parser).split.reason, at, length);
      return int{HPE_OK};
    };
    made.on_header_field = on_field;
    made.on_header_value = on_value;
    made.on_headers_complete = on_headers_complete;
    return made;
  }();
  return kSettings;
}

std::unexpected<Error> explain(MessageKind kind, llhttp_errno_t code, const Sink& sink,
                               std::string_view head) {
  if (code == HPE_USER && sink.headers->size() == kHeadersMax) {
    const auto error = kind == MessageKind::kRequest ? ErrorCode::kHeaderTooLarge : malformed(kind);
    return fail(error, fmt::format("The head has more than {} headers.", kHeadersMax));
  }
  if (code == HPE_INVALID_METHOD) {
    return fail(malformed(kind),
                fmt::format("The method {} is not known.",
                            head.substr(0, std::min<std::size_t>(head.find(' '), 32))));
  }
  return fail(malformed(kind),
              fmt::format("The head is not valid HTTP/1.1 ({}).", llhttp_errno_name(code)));
}

bool agrees(const llhttp_t& parser, const Framing& framing) {
  const bool chunked = (parser.flags & F_CHUNKED) != 0;
  const bool has_length = (parser.flags & F_CONTENT_LENGTH) != 0;
  return chunked == framing.chunked && has_length == framing.content_length.has_value() &&
         (!has_length || parser.content_length == *framing.content_length) &&
         parser.http_major == 1 && parser.http_minor == framing.version_minor;
}

bool stays_open(int version_minor, const Headers& headers) {
  if (connection_lists(headers, "close")) return false;
  return version_minor >= 1 || connection_lists(headers, "keep-alive");
}

}  // namespace

Result<SplitHead> split_head(MessageKind kind, std::string_view head, const Framing& framing,
                             Headers& headers) {
  headers.clear();
  Sink sink{{}, &headers, false};
  llhttp_t parser;
  llhttp_init(&parser, kind == MessageKind::kRequest ? HTTP_REQUEST : HTTP_RESPONSE, &settings());
  parser.data = &sink;
  const auto code = llhttp_execute(&parser, head.data(), head.size());
  if (!sink.complete) return explain(kind, code, sink, head);
  if (!agrees(parser, framing)) {
    return fail(malformed(kind), "The length of the body can be read in two ways.");
  }
  for (Header& header : headers) header.value = trim_blanks(header.value);
  sink.split.keep_alive = stays_open(framing.version_minor, headers);
  return sink.split;
}

}  // namespace infermesh::http
