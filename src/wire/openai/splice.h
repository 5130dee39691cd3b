// Changing a JSON body while it is relayed: the model's name, and asking the engine for usage.
// Nothing else of the body changes by a byte, nothing is copied but a few bytes at the edges of
// pieces.
//
// How it works: the body goes through its reader first, the splicer comes behind and relays no
// further than the reader has settled. Places where an edit is possible (EditPoint) are found by
// the reader on its way, so no plan is needed beforehand and it does not matter whether the body is
// there whole or still arriving:
// - the model's value is replaced wherever the key stands, duplicates too;
// - usage is asked for in the existing stream_options (null replaced, include_usage set), or, when
// the body's closing
//   brace is reached without any, by a new member before that brace.
// When stream_options stand before "stream": true and have been relayed before that was seen, they
// stay as they are; the engine then sends no usage and usage_asked() is false.
//
// The length of the result is known when the body is complete, or when the plan can change nothing;
// else the body must go upstream chunked. Owned by one exchange.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace infermesh::openai {

// A place of the body where a splice may be made; absolute offsets, rising.
struct EditPoint {
  enum class Kind : std::uint8_t {
    kModel,         // a model's value with its quotes
    kOptionsNull,   // the null of "stream_options": null
    kUsageOff,      // the false or null of include_usage
    kUsageMissing,  // just before the closing brace of stream_options that have no include_usage
    kBodyEnd,       // just before the body's closing brace, when there are no stream_options
  };
  Kind kind = Kind::kModel;
  bool follows_member = false;  // insertions: a comma is needed
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const EditPoint&) const = default;
};

// A reader that goes ahead of the splicer (FactsReader, ResponseReader).
class EditSource {
 public:
  virtual ~EditSource() = default;
  virtual bool complete() const = 0;
  virtual bool stream() const = 0;                   // the body asks for a stream, as far as read
  virtual std::uint64_t offset() const = 0;          // bytes read
  virtual std::uint64_t settled_offset() const = 0;  // no new edit point begins before this
  virtual std::span<const EditPoint> edit_points() const = 0;
};

// How a name stands in the body: as a JSON string, or as it is (in a form).
enum class ModelText : std::uint8_t { kJson, kPlain };

struct SplicePlan {
  std::optional<std::string> model;  // put in place of the body's
  bool usage = false;                // ask for usage if the body asks for a stream
  ModelText model_text = ModelText::kJson;
  bool changes_nothing() const { return !model && !usage; }
};

class BodySplicer {
 public:
  // `source` must outlive it and be fed first.
  BodySplicer(const EditSource& source, SplicePlan plan);

  // The next bytes of the body, already fed to the source. Appends what to send to `out`; the views
  // stay valid until the next push, as long as `bytes` do. Once the source is complete nothing is
  // held back any more.
  void push(std::string_view bytes, std::vector<std::string_view>& out);

  // By how much the whole result is longer than the body; nullopt while that is open.
  std::optional<std::int64_t> length_change() const;
  bool usage_asked() const { return usage_asked_; }

 private:
  // What to put at a point; nullopt: leave it.
  std::optional<std::string_view> replacement(const EditPoint& point) const;
  void emit(std::uint64_t until, std::string_view bytes, std::vector<std::string_view>& out);

  const EditSource& source_;
  SplicePlan plan_;
  std::string model_text_;        // as it is to stand there
  std::string held_;              // read but not settled at the last push; relayed before new bytes
  std::string sending_;           // held bytes that views of this push refer to
  std::uint64_t sending_at_ = 0;  // absolute offset of sending_
  std::uint64_t at_ = 0;          // absolute offset relayed up to
  std::uint64_t received_ = 0;    // absolute offset pushed up to
  std::size_t next_point_ = 0;
  bool usage_asked_ = false;
};

}  // namespace infermesh::openai
