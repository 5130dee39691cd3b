// How errors reach the client: one envelope per route family, headers by the error table, never
// HTML.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "core/model/decision.h"
#include "core/model/mesh_view.h"
#include "data/exchange/request.h"

namespace infermesh::data {

class Exchange;
struct UpstreamRefusal;

// What an error is about. No api: the request was not understood far enough.
struct Subject {
  std::optional<Api> api;
  std::string_view method, path;
  std::string_view model = {};
  std::string_view allow = {};  // methods that the path takes, for kMethodNotAllowed
};

// Answers with an error of infermesh's own, and counts the error.
void reply_error(Shard& shard, Reply& reply, const Subject& subject, const Error& error,
                 const RequestStart& start);
// The same at the end of an exchange, with what was decided and tried.
void reply_own_error(Exchange& exchange, const Error& error);
// Answers with what an engine said, in the client's form, with the engine's status and advice.
void reply_refusal(Exchange& exchange, const UpstreamRefusal& refusal);
void stamp_request_id(Reply& reply, std::optional<Api> api, const RequestStart& start);

Error body_timeout();  // the client has stopped in the middle of its body
Error unknown_model(const MeshView& view, std::string_view model);
// Nothing can take the request: says which engines there are and why not.
Error no_engine(const MeshView& view, const Model& model, const Decision& decision,
                std::span<const EndpointId> tried);

}  // namespace infermesh::data
