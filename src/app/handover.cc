#include "app/handover.h"

#include <fmt/format.h>
#include <unistd.h>

namespace infermesh::app {
namespace {

using handover::Say;
using handover::Word;

constexpr Duration kAnswerMax = 5s;     // for each word of the other side
constexpr Duration kServingMax = 120s;  // for a successor to serve; handover_wait is at most half
constexpr std::size_t kTalksMax = 8;    // at once; all but one of them are refused

Word word_of(Say say, std::string_view version) {
  Word word;
  word.say = say;
  word.version = version;
  word.pid = ::getpid();
  return word;
}

Error cannot_take_over(const std::string& path, std::string_view why) {
  return {ErrorCode::kUnavailable,
          fmt::format("cannot take over by {}: {}; what runs there goes on as before", path, why),
          {}};
}

// The word that is due, of this protocol.
Result<Word> read_word(const Result<io::Message>& message, Say due) {
  if (!message) return std::unexpected(message.error());
  auto word = handover::parse(message->text);
  if (!word) return word;
  if (word->protocol != handover::kProtocol) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("version {} hands over by protocol {}, this one by {}; stop the one, "
                            "then start the other",
                            word->version, word->protocol, handover::kProtocol));
  }
  if (word->say == Say::kRefuse) return fail(ErrorCode::kUnavailable, word->why);
  if (word->say != due) return fail(ErrorCode::kUpstreamBadResponse, "it says what is not due");
  return word;
}

// Who does not hear it has gone.
void tell(io::MessageSocket& other, const Word& word) {
  [[maybe_unused]] const auto told = other.send(handover::write(word));
}

bool is_same_user(const io::MessageSocket& other) {
  return other.peer().uid == ::geteuid();
}

}  // namespace

Takeover::Takeover(io::EventLoop& loop, std::string path, std::string_view version,
                   std::unique_ptr<io::MessageSocket> from)
    : loop_(loop), path_(std::move(path)), version_(version), from_(std::move(from)) {}

Result<std::unique_ptr<Takeover>> Takeover::ask(io::EventLoop& loop, const std::string& path,
                                                std::string_view version) {
  auto called = io::call_at(loop, path);
  if (!called) return std::unexpected(cannot_take_over(path, called.error().detail));
  if (*called == nullptr) return nullptr;
  std::unique_ptr<Takeover> takeover(new Takeover(loop, path, version, std::move(*called)));
  if (const auto taken = takeover->take_offer(); !taken) {
    return std::unexpected(cannot_take_over(path, taken.error().detail));
  }
  return takeover;
}

Result<void> Takeover::take_offer() {
  if (!is_same_user(*from_)) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("it belongs to user {}, and this process to {}; start it as that user, "
                            "or choose another path",
                            from_->peer().uid, ::geteuid()));
  }
  IM_TRY(from_->send(handover::write(word_of(Say::kHello, version_))));
  auto answer = from_->receive_blocking(kAnswerMax);
  auto word = read_word(answer, Say::kOffer);
  if (!word) return std::unexpected(word.error());
  if (answer->descriptors.size() < 2) {
    return fail(ErrorCode::kUpstreamBadResponse, "it gives no sockets");
  }
  offer = std::move(*word);
  admin = std::move(answer->descriptors.back());
  answer->descriptors.pop_back();
  inference = std::move(answer->descriptors);
  return {};
}

Result<void> Takeover::still_offered() {
  const auto heard = from_->try_receive();
  if (!heard || !*heard) return {};
  const auto word = read_word(*heard, Say::kOffer);
  return std::unexpected(
      cannot_take_over(path_, word ? "it says what is not due" : word.error().detail));
}

port::Task<Result<Word>> Takeover::announce() {
  const auto told = from_->send(handover::write(word_of(Say::kServing, version_)));
  if (!told) co_return std::unexpected(told.error());
  const auto heard = co_await from_->receive(loop_.now() + kAnswerMax);
  if (!heard) co_return std::unexpected(heard.error());
  co_return handover::parse(heard->text);
}

Error Takeover::failure(const Error& why) const {
  return cannot_take_over(
      path_, why.detail + "; to change an address, stop that process and then start this one");
}

HandoverDesk::HandoverDesk(io::EventLoop& loop, std::string_view version, Hooks hooks)
    : loop_(loop), version_(version), hooks_(std::move(hooks)) {}

Result<void> HandoverDesk::open(const std::string& path) {
  auto listener = io::MessageListener::open(loop_, path);
  if (!listener) {
    return fail(
        ErrorCode::kInvalidConfig,
        fmt::format("handover: {}; no other process can take over", listener.error().detail));
  }
  listener_ = std::move(*listener);
  loop_.spawn(serve());
  return {};
}

void HandoverDesk::close() {
  closed_ = true;
  if (listener_) listener_->close();
}

port::Task<void> HandoverDesk::serve() {
  while (auto other = co_await listener_->accept()) {
    if (talks_ < kTalksMax) loop_.spawn(talk(std::move(other)));
  }
}

std::string HandoverDesk::why_not(const io::MessageSocket& other) const {
  if (!is_same_user(other)) return "it belongs to another user than you";
  if (closed_) return "it is stopping; try again";
  if (taken_by_) return fmt::format("process {} has just taken over; try again", *taken_by_);
  if (taking_over_) return fmt::format("process {} is taking over already", *taking_over_);
  return {};
}

port::Task<void> HandoverDesk::talk(std::unique_ptr<io::MessageSocket> other) {
  ++talks_;
  // Read before anything is refused: a socket that is closed with unread messages takes back what
  // was said on it.
  const auto heard = co_await other->receive(loop_.now() + kAnswerMax);
  const auto hello = read_word(heard, Say::kHello);
  Word refuse = word_of(Say::kRefuse, version_);
  refuse.why = hello ? why_not(*other) : hello.error().detail;
  if (refuse.why.empty()) {
    taking_over_ = hello->pid;
    const auto successor = co_await hand_over(*other);
    taking_over_.reset();
    if (successor) {
      taken_by_ = successor->pid;
      hooks_.taken(*successor);
      tell(*other, word_of(Say::kLeaving, version_));
    } else {
      refuse.why = successor.error().detail;
    }
  }
  --talks_;
  if (refuse.why.empty()) co_return;
  tell(*other, refuse);
  hooks_.failed(refuse.why);
}

port::Task<Result<Word>> HandoverDesk::hand_over(io::MessageSocket& other) {
  const Offer given = hooks_.offer();
  Word offer = word_of(Say::kOffer, version_);
  offer.models = given.models;
  const auto sent = other.send(handover::write(offer), given.sockets);
  if (!sent) co_return std::unexpected(sent.error());
  const auto heard = co_await other.receive(loop_.now() + kServingMax);
  co_return read_word(heard, Say::kServing);
}

}  // namespace infermesh::app
