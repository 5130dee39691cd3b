// GrpcMesh: a TestMesh whose engines speak gRPC, and what its clients say.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/grpc/testing_grpc_engine.h"
#include "data/server/testing_http2.h"
#include "data/server/testing_mesh.h"
#include "wire/grpc/frame.h"

namespace infermesh::data {

inline const std::string kService = "/inference.GRPCInferenceService/";

// A message that names its model in field 1, with `more` behind.
inline std::string message(std::string_view model, std::string_view more = "") {
  std::string text = "\x0a";
  text += static_cast<char>(model.size());
  return grpc::frame_message(text + std::string(model) + std::string(more));
}

class GrpcMesh {
 public:
  explicit GrpcMesh(std::size_t count = 1, const config::Settings& settings = {})
      : mesh(count, settings) {
    for (std::size_t i = 0; i < count; ++i) {
      engines.push_back(
          std::make_unique<TestGrpcEngine>(mesh.world, static_cast<std::uint16_t>(i)));
      Endpoint& endpoint = mesh.endpoint(i);
      endpoint.grpc = {"127.0.0.1", engines.back()->port,
                       "127.0.0.1:" + std::to_string(engines.back()->port)};
      endpoint.apis.add(Api::kGrpc);
    }
    mesh.publish();
  }
  ~GrpcMesh() {
    for (const auto& engine : engines) engine->stop();
    mesh.world.run_for(3s);
  }
  std::unique_ptr<Http2Client> connect() {
    auto client = std::make_unique<Http2Client>(mesh.world);
    client->greet();
    return client;
  }
  static std::string head(std::string_view method, std::string_view more = "") {
    return head_of(
        "POST", kService + std::string(method),
        field("content-type", "application/grpc") + field("te", "trailers") + std::string(more));
  }
  static void call(Http2Client& client, std::uint32_t stream, std::string_view body,
                   std::string_view more = "") {
    client.send(frame(kHeaders, kEndHeaders, stream, head("ModelInfer", more)) +
                frame(kData, kEndStream, stream, body));
  }
  TestGrpcEngine& engine(std::size_t i = 0) { return *engines[i]; }

  TestMesh mesh;
  std::vector<std::unique_ptr<TestGrpcEngine>> engines;
};

}  // namespace infermesh::data
