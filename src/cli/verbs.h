// What each verb runs; see verb_table.cc. Each answers with an exit code and has printed everything
// it has to say.
#pragma once

#include <span>
#include <string_view>

namespace infermesh::cli {

class Session;

int run_status(Session& session);
int run_engines(Session& session);
int run_models(Session& session);
int run_pools(Session& session);
int run_explain(Session& session);
int run_check(Session& session);
std::span<const std::string_view> check_topics();  // sections of docs/guide/troubleshooting.md
int run_route_test(Session& session);
int run_drain(Session& session);
int run_undrain(Session& session);
int run_config_validate(Session& session);
int run_config_view(Session& session);
int run_version(Session& session);
int run_completion(Session& session);
int run_help(Session& session);
int run_docs(Session& session);      // hidden: docs/reference/cli.md
int run_complete(Session& session);  // hidden: live names, for the completion scripts

}  // namespace infermesh::cli
