#include "io/tls/tls_stream.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"

namespace infermesh::io::tls {

using port::CloseMode;
using port::IoResult;
using port::IoStatus;

namespace {

constexpr std::size_t kRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;

// The bytes of many pieces, a record's worth at a time.
class Gather {
 public:
  explicit Gather(std::span<const std::string_view> pieces) : pieces_(pieces) { skip_empty(); }

  bool empty() const { return pieces_.empty(); }

  // One piece is used where it lies; small ones are put together in `scratch`.
  std::string_view next(std::span<char, kRecordBytes> scratch) const {
    const std::string_view first = pieces_.front().substr(at_);
    if (first.size() >= kRecordBytes || pieces_.size() == 1) return first.substr(0, kRecordBytes);
    std::size_t size = 0;
    std::size_t skip = at_;
    for (const std::string_view piece : pieces_) {
      const std::string_view part = piece.substr(skip).substr(0, kRecordBytes - size);
      std::memcpy(scratch.data() + size, part.data(), part.size());
      size += part.size();
      skip = 0;
    }
    return {scratch.data(), size};
  }

  void take(std::size_t bytes) {
    at_ += bytes;
    while (!pieces_.empty() && at_ >= pieces_.front().size()) {
      at_ -= pieces_.front().size();
      pieces_ = pieces_.subspan(1);
    }
  }

 private:
  void skip_empty() { take(0); }

  std::span<const std::string_view> pieces_;
  std::size_t at_ = 0;  // in the first
};

}  // namespace

// OpenSSL's window on the inner stream.
struct StreamBio {
  static int read(BIO* bio, char* into, int size) {
    auto* stream = static_cast<TlsStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (!stream->inner_) return -1;
    const auto room = static_cast<std::size_t>(size);
    const IoResult got = stream->drained_ ? IoResult{IoStatus::kWouldBlock, 0}
                                          : stream->inner_->try_read({into, room});
    switch (got.status) {
      case IoStatus::kOk:
        stream->drained_ = got.bytes < room;
        if (!stream->first_byte_ && got.bytes > 0) stream->first_byte_ = into[0];
        return static_cast<int>(got.bytes);
      case IoStatus::kWouldBlock:
        BIO_set_retry_read(bio);
        return -1;
      case IoStatus::kEnd:
        stream->ended_ = true;
        return 0;
      default:
        return -1;
    }
  }

  static int write(BIO* bio, const char* from, int size) {
    auto* stream = static_cast<TlsStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (!stream->inner_) return -1;
    const std::string_view piece(from, static_cast<std::size_t>(size));
    const IoResult put = stream->inner_->try_write({&piece, 1});
    if (put.status == IoStatus::kOk) return static_cast<int>(put.bytes);
    if (put.status == IoStatus::kWouldBlock) BIO_set_retry_write(bio);
    return -1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* make_method() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    IM_ASSERT(method != nullptr);
    BIO_meth_set_read(method, read);
    BIO_meth_set_write(method, write);
    BIO_meth_set_ctrl(method, control);
    return method;
  }

  static BIO* make(TlsStream* stream) {
    static BIO_METHOD* const kMethod = make_method();  // one for the process, never changed
    BIO* bio = BIO_new(kMethod);
    IM_ASSERT(bio != nullptr);
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    return bio;
  }
};

TlsStream::TlsStream(Reactor& reactor, port::StreamPtr inner, Ssl ssl)
    : reactor_(reactor), inner_(std::move(inner)), ssl_(std::move(ssl)) {
  BIO* bio = StreamBio::make(this);
  SSL_set_bio(ssl_.get(), bio, bio);
}

TlsStream::~TlsStream() {
  waiting_ = nullptr;
  close(CloseMode::kGraceful);
  reactor_.forget(*this);
}

port::Task<IoStatus> TlsStream::handshake() {
  while (true) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) co_return IoStatus::kOk;
    IoStatus woken = IoStatus::kOk;
    switch (SSL_get_error(ssl_.get(), done)) {
      case SSL_ERROR_WANT_READ:
        woken = co_await inner_->readable();
        drained_ = false;
        break;
      case SSL_ERROR_WANT_WRITE:
        woken = co_await inner_->writable();
        break;
      default:
        note_end(done);
        co_return IoStatus::kError;
    }
    if (woken == IoStatus::kCancelled || stopped_) co_return IoStatus::kCancelled;
  }
}

// It may be about to go on, rather than wait: so the wish is kept.
void TlsStream::stop_handshake() {
  stopped_ = true;
  inner_->cancel();
}

// What ended it stays: OpenSSL must not be asked again after a failure.
IoStatus TlsStream::note_end(int result) {
  const bool orderly = SSL_get_error(ssl_.get(), result) == SSL_ERROR_ZERO_RETURN;
  if (!orderly) {
    trouble_ = take_trouble(ssl_.get());
    trouble_.ended = ended_;
    trouble_.heard = heard_;
  }
  end_ = orderly ? IoStatus::kEnd : IoStatus::kError;
  return *end_;
}

// Reads on until `into` is full or the socket has no more, so that a short read means the latter.
IoResult TlsStream::try_read(std::span<char> into) {
  if (closed_) return {IoStatus::kError, 0};
  std::size_t got = 0;
  while (got < into.size()) {
    if (end_) {
      more_ = true;  // the end is seen without the socket
      if (got == 0) return {*end_, 0};
      return {IoStatus::kOk, got};
    }
    std::size_t bytes = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(ssl_.get(), into.data() + got, into.size() - got, &bytes);
    got += bytes;
    heard_ = heard_ || bytes > 0;
    if (done == 1) continue;
    const int why = SSL_get_error(ssl_.get(), done);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
      more_ = false;
      if (got == 0) return {IoStatus::kWouldBlock, 0};
      return {IoStatus::kOk, got};
    }
    note_end(done);
  }
  more_ = true;
  return {IoStatus::kOk, got};
}

IoResult TlsStream::try_write(std::span<const std::string_view> pieces) {
  if (closed_ || send_closed_ || end_ == IoStatus::kError) return {IoStatus::kError, 0};
  std::array<char, kRecordBytes> scratch;  // NOLINT(*-member-init): filled as far as it is used
  std::size_t taken = 0;
  for (Gather rest(pieces); !rest.empty();) {
    const std::string_view part = rest.next(scratch);
    std::size_t bytes = 0;
    ERR_clear_error();
    const int done = SSL_write_ex(ssl_.get(), part.data(), part.size(), &bytes);
    if (done == 1) {
      rest.take(bytes);
      taken += bytes;
      continue;
    }
    if (SSL_get_error(ssl_.get(), done) != SSL_ERROR_WANT_WRITE) {
      note_end(done);
      end_ = IoStatus::kError;
      return {IoStatus::kError, 0};
    }
    if (taken == 0) return {IoStatus::kWouldBlock, 0};
    break;
  }
  return {IoStatus::kOk, taken};
}

port::Task<IoStatus> TlsStream::readable() {
  if (closed_) co_return IoStatus::kError;
  if (more_) co_return IoStatus::kOk;
  const IoStatus status = co_await inner_->readable();
  drained_ = false;
  co_return status;
}

port::Task<IoStatus> TlsStream::writable() {
  if (closed_) co_return IoStatus::kError;
  co_return co_await inner_->writable();
}

void TlsStream::when_readable(std::function<void(IoStatus)> callback) {
  if (more_ || closed_) {
    waiting_ = std::move(callback);
    cancelled_ = closed_;
    reactor_.defer(*this);
    return;
  }
  inner_->when_readable([this, callback = std::move(callback)](IoStatus status) {
    drained_ = false;
    callback(status);  // may destroy this
  });
}

void TlsStream::when_writable(std::function<void(IoStatus)> callback) {
  if (inner_) inner_->when_writable(std::move(callback));
}

void TlsStream::on_ready(std::uint32_t) {
  if (!waiting_) return;
  const IoStatus status = std::exchange(cancelled_, false) ? IoStatus::kCancelled : IoStatus::kOk;
  std::exchange(waiting_, nullptr)(status);
}

void TlsStream::cancel() {
  if (waiting_) cancelled_ = true;
  if (inner_) inner_->cancel();
}

void TlsStream::close(CloseMode mode) {
  if (closed_ || !inner_) return;
  const bool orderly = mode != CloseMode::kReset && end_ != IoStatus::kError &&
                       SSL_is_init_finished(ssl_.get()) == 1;
  if (orderly && !send_closed_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // close_notify, as far as the socket takes it
    ERR_clear_error();
  }
  send_closed_ = true;
  if (mode != CloseMode::kSendOnly) closed_ = true;
  if (waiting_ && closed_) cancelled_ = true;
  inner_->close(mode);
}

std::string TlsStream::trouble() const {
  if (end_ != IoStatus::kError) return {};
  if (advise_) return advise_(trouble_);
  return trouble_.code == 0 ? std::string() : text_of(trouble_);
}

}  // namespace infermesh::io::tls
