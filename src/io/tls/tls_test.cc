// Servers and clients of both sides on loopback: streams, handshakes, trust.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/tls/dialer.h"
#include "io/tls/listener.h"
#include "io/tls/testing_certs.h"
#include "io/tls/tls_stream.h"
#include "port/wakeup.h"

namespace infermesh::io::tls {
namespace {

using port::CloseMode;
using port::IoStatus;
using port::StreamPtr;
using testing::HasSubstr;

// A CA, a server's certificate and a client's.
struct Mesh {
  CertificateFolder folder;
  Signed ca = make_certificate("test CA", "", nullptr);
  Signed server = make_certificate("mesh", "DNS:localhost,DNS:mesh.example,IP:127.0.0.1", &ca);
  Signed client = make_certificate("client", "DNS:client.example", &ca);
  std::string ca_file = folder.write_certificate("ca.pem", ca);
  ServerOptions options{
      {folder.write("mesh", server)}, "", ClientCertificate::kNone, TlsVersion::k13, {"http/1.1"}};
  HandshakeRules rules;
  std::vector<HandshakeResult> ended;

  TlsOptions trusting() const {
    TlsOptions tls;
    tls.ca_file = ca_file;
    return tls;
  }
};

// One loop with a listener of `mesh`.
struct Place {
  EventLoop& loop;
  TlsServer server;
  std::unique_ptr<port::Listener> listener;
  std::uint16_t port = 0;

  Place(EventLoop& on, Mesh& mesh) : loop(on), server(mesh.options) {
    on.use_tls(std::make_unique<Dialer>(on));
    const auto loaded = server.load(on.wall_now());
    EXPECT_TRUE(loaded) << loaded.error().detail;
    auto plain = listen(on, "127.0.0.1", 0);
    port = parse_host_port((*plain)->address())->port;
    HandshakeRules rules = mesh.rules;
    rules.told = [&mesh](const HandshakeEnd& end) { mesh.ended.push_back(end.result); };
    listener = secure(on, std::move(*plain), server, rules);
  }

  port::Task<Result<StreamPtr>> dial(TlsOptions tls, std::string host = "127.0.0.1") {
    port::Target target{std::move(host), port, std::move(tls), port::Protocol::kHttp1};
    co_return co_await loop.connect(std::move(target), loop.now() + 5s);
  }
};

struct Pair {
  StreamPtr client, server;
};

// What accept() gives, while something else is awaited.
struct Accepted {
  std::optional<Result<StreamPtr>> stream;
  port::Wakeup come;
};

std::shared_ptr<Accepted> accept_soon(Place& place) {
  auto accepted = std::make_shared<Accepted>();
  place.loop.spawn(
      [](port::Listener& listener, std::shared_ptr<Accepted> into) -> port::Task<void> {
        into->stream.emplace(co_await listener.accept());
        into->come.set();
      }(*place.listener, accepted));
  return accepted;
}

port::Task<Pair> connected(Place& place, TlsOptions tls) {
  const auto accepted = accept_soon(place);
  auto dialed = co_await place.dial(std::move(tls));
  EXPECT_TRUE(dialed) << (dialed ? "" : dialed.error().detail);
  co_await accepted->come.wait();
  co_return Pair{std::move(*dialed), std::move(**accepted->stream)};
}

template <typename Body>
void run(Mesh& mesh, Body body) {
  EventLoop loop;
  loop.spawn([](EventLoop& running, Mesh& of, Body& task) -> port::Task<void> {
    {
      Place place(running, of);
      co_await task(place);
    }
    running.stop();
  }(loop, mesh, body));
  loop.run();
}

port::Task<std::string> read_some(port::Stream& stream) {
  std::string text(64 << 10, '\0');
  while (true) {
    const auto got = stream.try_read(text);
    if (got.status == IoStatus::kWouldBlock) {
      co_await stream.readable();
      continue;
    }
    text.resize(got.bytes);
    co_return text;
  }
}

TEST(Tls, BytesCrossAndTheEndIsSeen) {
  Mesh mesh;
  run(mesh, [&mesh](Place& place) -> port::Task<void> {
    Pair pair = co_await connected(place, mesh.trusting());
    const std::string_view pieces[] = {"he", "", "llo"};
    EXPECT_EQ(pair.client->try_write(pieces).bytes, 5u);
    EXPECT_EQ(co_await read_some(*pair.server), "hello");
    char buffer[8];
    EXPECT_EQ(pair.server->try_read(buffer).status, IoStatus::kWouldBlock);
    pair.client->close(CloseMode::kSendOnly);
    EXPECT_EQ(co_await pair.server->readable(), IoStatus::kOk);
    EXPECT_EQ(pair.server->try_read(buffer).status, IoStatus::kEnd);
    const std::string_view late = "still heard";
    pair.server->try_write({&late, 1});
    EXPECT_EQ(co_await read_some(*pair.client), "still heard");
  });
}

// A client whose inner stream the test can lay hands on.
port::Task<std::unique_ptr<TlsStream>> raw_client(Place& place) {
  auto plain = co_await place.loop.connect("127.0.0.1", place.port, place.loop.now() + 5s);
  const Context context = make_context(Role::kClient, TlsVersion::k13);
  SSL* ssl = SSL_new(context.get());
  SSL_set_connect_state(ssl);
  Ssl state(ssl, FreeSsl{});
  auto stream =
      std::make_unique<TlsStream>(place.loop.reactor(), std::move(*plain), std::move(state));
  EXPECT_EQ(co_await stream->handshake(), IoStatus::kOk);
  co_return stream;
}

TEST(Tls, AConnectionCutWithoutGoodbyeIsAnErrorNotAnEnd) {
  Mesh mesh;
  run(mesh, [](Place& place) -> port::Task<void> {
    const auto accepted = accept_soon(place);
    auto client = co_await raw_client(place);
    co_await accepted->come.wait();
    port::Stream& server = ***accepted->stream;
    client->give_up()->close(CloseMode::kGraceful);
    char buffer[8];
    IoStatus status = IoStatus::kWouldBlock;
    while (status == IoStatus::kWouldBlock) {
      co_await server.readable();
      status = server.try_read(buffer).status;
    }
    EXPECT_EQ(status, IoStatus::kError);
  });
}

TEST(Tls, WhatOneReadLeavesIsReadableWithoutTheSocket) {
  Mesh mesh;
  run(mesh, [&mesh](Place& place) -> port::Task<void> {
    Pair pair = co_await connected(place, mesh.trusting());
    const std::string_view text = "abcdef";
    pair.client->try_write({&text, 1});
    char buffer[4];
    while (pair.server->try_read(buffer).status != IoStatus::kOk) co_await pair.server->readable();
    bool called = false;
    pair.server->when_readable([&called](IoStatus) { called = true; });
    EXPECT_FALSE(called) << "not from within";
    co_await place.loop.sleep_until(place.loop.now() + 1ms);
    EXPECT_TRUE(called);
    EXPECT_EQ(pair.server->try_read(buffer).bytes, 2u);
    called = false;
    pair.server->when_readable([&called](IoStatus) { called = true; });
    co_await place.loop.sleep_until(place.loop.now() + 1ms);
    EXPECT_FALSE(called);
    pair.server->cancel();
    co_await place.loop.sleep_until(place.loop.now() + 1ms);
    EXPECT_TRUE(called);
  });
}

TEST(Tls, ADestroyedStreamCallsNobodyBack) {
  Mesh mesh;
  run(mesh, [&mesh](Place& place) -> port::Task<void> {
    Pair pair = co_await connected(place, mesh.trusting());
    bool called = false;
    pair.client->when_readable([&called](IoStatus) { called = true; });
    pair.client.reset();
    co_await place.loop.sleep_until(place.loop.now() + 1ms);
    EXPECT_FALSE(called);
  });
}

// Writes all of `text` the way the planes do: what was not taken comes first the next time.
port::Task<void> write_all(port::Stream& stream, std::string_view text, std::size_t piece_bytes) {
  while (!text.empty()) {
    std::array<std::string_view, 8> pieces;
    std::size_t at = 0;
    for (auto& piece : pieces) {
      piece = text.substr(std::min(at, text.size()), piece_bytes);
      at += piece.size();
    }
    const auto put = stream.try_write(pieces);
    if (put.status == IoStatus::kWouldBlock) {
      EXPECT_EQ(co_await stream.writable(), IoStatus::kOk);
      continue;
    }
    EXPECT_EQ(put.status, IoStatus::kOk);
    if (put.status != IoStatus::kOk) co_return;
    text.remove_prefix(put.bytes);
  }
}

TEST(Tls, ManyMegabytesCrossASlowReaderWholeInEveryCut) {
  for (const std::size_t piece_bytes : {7u, 1000u, 16384u, 100'000u}) {
    Mesh mesh;
    run(mesh, [&mesh, piece_bytes](Place& place) -> port::Task<void> {
      Pair pair = co_await connected(place, mesh.trusting());
      std::string sent(piece_bytes < 100 ? 300'000 : 6'000'000, '\0');
      for (std::size_t i = 0; i < sent.size(); ++i)
        sent[i] = static_cast<char>(i * 2654435761 >> 13);
      bool done = false;
      place.loop.spawn([](port::Stream& to, const std::string& text, std::size_t cut,
                          bool& ended) -> port::Task<void> {
        co_await write_all(to, text, cut);
        to.close(CloseMode::kSendOnly);
        ended = true;
      }(*pair.server, sent, piece_bytes, done));
      co_await place.loop.sleep_until(place.loop.now() + 20ms);  // the socket fills
      std::string got;
      for (std::string more = "x"; !more.empty();) {
        more = co_await read_some(*pair.client);
        got += more;
      }
      EXPECT_TRUE(done);
      EXPECT_TRUE(got == sent) << piece_bytes;
    });
  }
}

TEST(Tls, AClientThatStallsInItsHandshakeHoldsNobodyUp) {
  Mesh mesh;
  mesh.rules.timeout = 50ms;
  run(mesh, [&mesh](Place& place) -> port::Task<void> {
    auto stalled = co_await place.loop.connect("127.0.0.1", place.port, place.loop.now() + 5s);
    const std::string_view half = "\x16\x03\x01";
    (*stalled)->try_write({&half, 1});
    Pair pair = co_await connected(place, mesh.trusting());
    EXPECT_THAT(mesh.ended, testing::ElementsAre(HandshakeResult::kOk));
    char buffer[8];
    while ((*stalled)->try_read(buffer).status == IoStatus::kWouldBlock) {
      co_await (*stalled)->readable();  // until it is cut
    }
    EXPECT_THAT(mesh.ended, testing::ElementsAre(HandshakeResult::kOk, HandshakeResult::kTimeout));
  });
}

TEST(Tls, HandshakesAreBoundedAndTheOldestMakesRoom) {
  Mesh mesh;
  mesh.rules.under_way_max = 2;
  run(mesh, [&mesh](Place& place) -> port::Task<void> {
    std::vector<StreamPtr> stalled;
    for (int i = 0; i < 2; ++i) {
      auto one = co_await place.loop.connect("127.0.0.1", place.port, place.loop.now() + 5s);
      stalled.push_back(std::move(*one));
    }
    const Instant began = place.loop.now();
    Pair pair = co_await connected(place, mesh.trusting());
    EXPECT_GE(place.loop.now() - began, Duration(500ms));
    EXPECT_THAT(mesh.ended, testing::ElementsAre(HandshakeResult::kDropped, HandshakeResult::kOk));
  });
}

TEST(Tls, PlainHttpIsAnsweredWithWhatToDo) {
  Mesh mesh;
  run(mesh, [&mesh](Place& place) -> port::Task<void> {
    place.loop.spawn([](port::Listener& listener) -> port::Task<void> {
      co_await listener.accept();  // nobody comes; ends with the listener
    }(*place.listener));
    auto plain = co_await place.loop.connect("127.0.0.1", place.port, place.loop.now() + 5s);
    const std::string_view request = "OPTIONS / HTTP/1.1\r\nhost: x\r\n\r\n";
    (*plain)->try_write({&request, 1});
    const std::string answer = co_await read_some(**plain);
    EXPECT_THAT(answer, AllOf(HasSubstr("HTTP/1.1 400"), HasSubstr("https_required"),
                              HasSubstr("https://")));
    EXPECT_THAT(mesh.ended, testing::ElementsAre(HandshakeResult::kPlainHttp));
    place.listener->close();
    co_await place.loop.sleep_until(place.loop.now() + 1ms);
  });
}

TEST(Tls, TheSecondConnectionToAServerResumesTheFirst) {
  Mesh mesh;
  run(mesh, [&mesh](Place& place) -> port::Task<void> {
    for (int i = 0; i < 2; ++i) {
      Pair pair = co_await connected(place, mesh.trusting());
      const std::string_view text = "x";
      pair.server->try_write({&text, 1});
      co_await read_some(*pair.client);  // the ticket comes before
    }
    EXPECT_THAT(mesh.ended, testing::ElementsAre(HandshakeResult::kOk, HandshakeResult::kResumed));
    EXPECT_TRUE(place.server.load(place.loop.wall_now()));
    co_await connected(place, mesh.trusting());
    EXPECT_EQ(mesh.ended.back(), HandshakeResult::kOk) << "new tickets with new certificates";
  });
}

// Why a client with these options gets no connection to 127.0.0.1.
std::string refusal(Mesh& mesh, const TlsOptions& tls) {
  std::string why;
  run(mesh, [&](Place& place) -> port::Task<void> {
    place.loop.spawn([](port::Listener& listener) -> port::Task<void> {
      co_await listener.accept();
    }(*place.listener));
    auto dialed = co_await place.dial(tls);
    if (!dialed) why = dialed.error().detail;
    place.listener->close();
    co_await place.loop.sleep_until(place.loop.now() + 1ms);
  });
  return why;
}

TEST(Tls, AServerThatIsNotTrustedIsRefusedAndSaysWhatToSet) {
  Mesh mesh;
  EXPECT_THAT(refusal(mesh, {}), AllOf(HasSubstr("not trusted"), HasSubstr("tls_ca_file")));
  EXPECT_EQ(refusal(mesh, mesh.trusting()), "");
}

TEST(Tls, AServerWithAnotherNameIsRefusedAndItsNamesAreTold) {
  Mesh mesh;
  TlsOptions tls = mesh.trusting();
  tls.server_name = "other.example";
  EXPECT_THAT(refusal(mesh, tls),
              AllOf(HasSubstr("mesh.example"), HasSubstr("not for other.example"),
                    HasSubstr("tls_server_name")));
  tls.server_name = "mesh.example";
  EXPECT_EQ(refusal(mesh, tls), "");
}

TEST(Tls, WhoAsksForNoVerificationGetsNone) {
  Mesh mesh;
  TlsOptions tls;
  tls.trust = TlsTrust::kAnyone;
  EXPECT_EQ(refusal(mesh, tls), "");
}

TEST(Tls, ACaFileThatIsNoneIsNamed) {
  Mesh mesh;
  TlsOptions tls;
  tls.ca_file = mesh.folder.path("none.pem");
  EXPECT_THAT(refusal(mesh, tls), AllOf(HasSubstr("tls_ca_file"), HasSubstr("none.pem")));
}

TEST(Tls, OldVersionsAreSpokenOnlyWhenBothAllowThem) {
  Mesh mesh;
  const auto version_with = [&](TlsVersion server, TlsVersion client) {
    mesh.options.min_version = server;
    TlsOptions tls = mesh.trusting();
    tls.min_version = client;
    return refusal(mesh, tls);
  };
  EXPECT_EQ(version_with(TlsVersion::k12, TlsVersion::k12), "");
  EXPECT_EQ(version_with(TlsVersion::k13, TlsVersion::k12), "") << "both speak 1.3";
}

// Who is refused by the server learns it with the first read.
port::Task<std::string> told_by_server(Place& place, TlsOptions tls) {
  place.loop.spawn([](port::Listener& listener) -> port::Task<void> {
    const auto one = co_await listener.accept();
    if (!one) co_return;
    const std::string_view hello = "hello";
    (*one)->try_write({&hello, 1});
    co_await (*one)->readable();
  }(*place.listener));
  auto dialed = co_await place.dial(std::move(tls));
  if (!dialed) co_return dialed.error().detail;
  const std::string text = co_await read_some(**dialed);
  std::string told = text.empty() ? (*dialed)->trouble() : text;
  dialed->reset();
  place.listener->close();
  co_await place.loop.sleep_until(place.loop.now() + 1ms);
  co_return told;
}

TEST(Tls, ClientCertificatesAreAskedForAndChecked) {
  Mesh mesh;
  mesh.options.client_ca = mesh.ca_file;
  const Signed stranger_ca = make_certificate("stranger CA", "", nullptr);
  const Signed stranger = make_certificate("stranger", "DNS:x.example", &stranger_ca);
  const KeyPairFiles own = mesh.folder.write("client", mesh.client);
  const KeyPairFiles strange = mesh.folder.write("stranger", stranger);
  const auto told = [&](ClientCertificate asked, const KeyPairFiles* shown) {
    mesh.options.client = asked;
    TlsOptions tls = mesh.trusting();
    if (shown != nullptr) tls.client_cert = shown->cert, tls.client_key = shown->key;
    std::string text;
    run(mesh,
        [&](Place& place) -> port::Task<void> { text = co_await told_by_server(place, tls); });
    return text;
  };
  EXPECT_EQ(told(ClientCertificate::kRequired, &own), "hello");
  EXPECT_THAT(told(ClientCertificate::kRequired, nullptr),
              AllOf(HasSubstr("wants a client certificate"), HasSubstr("tls_client_cert")));
  EXPECT_THAT(told(ClientCertificate::kRequired, &strange),
              HasSubstr("does not take our client certificate"));
  EXPECT_EQ(told(ClientCertificate::kOptional, nullptr), "hello");
  EXPECT_THAT(told(ClientCertificate::kOptional, &strange),
              HasSubstr("does not take our client certificate"));
}

TEST(Tls, EachNameIsShownItsOwnCertificate) {
  Mesh mesh;
  const Signed second = make_certificate("second", "DNS:second.example", &mesh.ca);
  mesh.options.pairs.push_back(mesh.folder.write("second", second));
  TlsOptions tls = mesh.trusting();
  for (const std::string name : {"mesh.example", "second.example"}) {
    tls.server_name = name;
    EXPECT_EQ(refusal(mesh, tls), "") << name;
  }
  tls.server_name = "third.example";
  EXPECT_THAT(refusal(mesh, tls), HasSubstr("is for localhost, mesh.example")) << "the first";
}

TEST(Tls, AServerThatSpeaksNoTlsIsToldApart) {
  Mesh mesh;
  std::string why;
  run(mesh, [&](Place& place) -> port::Task<void> {
    auto plain = listen(place.loop, "127.0.0.1", 0);
    place.loop.spawn([](port::Listener& listener) -> port::Task<void> {
      const auto one = co_await listener.accept();
      const std::string_view answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
      (*one)->try_write({&answer, 1});
      co_await (*one)->readable();
    }(**plain));
    place.port = parse_host_port((*plain)->address())->port;
    auto dialed = co_await place.dial(mesh.trusting());
    EXPECT_FALSE(dialed);
    if (!dialed) why = dialed.error().detail;
    co_await place.loop.sleep_until(place.loop.now() + 1ms);
  });
  EXPECT_THAT(why, AllOf(HasSubstr("does not speak TLS"), HasSubstr("http://")));
}

TEST(Tls, AServerThatIsSilentIsGivenUpAtTheDeadline) {
  Mesh mesh;
  std::string why;
  run(mesh, [&](Place& place) -> port::Task<void> {
    const auto plain = listen(place.loop, "127.0.0.1", 0);
    port::Target target{"127.0.0.1", parse_host_port((*plain)->address())->port, mesh.trusting(),
                        port::Protocol::kHttp1};
    auto dialed = co_await place.loop.connect(std::move(target), place.loop.now() + 30ms);
    EXPECT_FALSE(dialed);
    if (!dialed) why = dialed.error().detail;
  });
  EXPECT_THAT(why, HasSubstr("TLS handshake timed out"));
}

}  // namespace
}  // namespace infermesh::io::tls
