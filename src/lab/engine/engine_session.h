// EngineSession: one client connection of an EngineServer: requests one after the other, each
// routed to its handler.
#pragma once

#include <memory>

#include "lab/engine/engine_server.h"
#include "lab/engine/generation.h"
#include "lab/engine/http_message.h"
#include "lab/shared/connection.h"

namespace infermesh::lab {

class EngineSession {
 public:
  EngineSession(std::shared_ptr<EngineServer> server, port::StreamPtr stream);
  ~EngineSession();

  port::Task<void> run();
  void stop();

 private:
  port::Task<Ending> handle(const HttpRequest& request);
  port::Task<Ending> infer(Api api, const HttpRequest& request);
  port::Task<Ending> reply(const HttpRequest& request, ReplyHead head, std::string body);
  port::Task<Ending> refuse(Api api, const HttpRequest& request, Refusal refusal);
  port::Task<Ending> misbehave(const HttpRequest& request, const Fault& fault);
  std::string page(std::string_view path);
  Result<Fault> fault_for(const HttpRequest& request);
  AnswerId answer_id(Api api, const HttpRequest& request, const std::string& model);
  std::string tokens_body(const Ask& ask) const;

  std::shared_ptr<EngineServer> server_;
  Connection connection_;
};

}  // namespace infermesh::lab
