#include "cli/run.h"

#include <fmt/format.h>

#include "cli/completion.h"
#include "cli/help.h"
#include "cli/human.h"
#include "cli/session.h"
#include "cli/verbs.h"

namespace infermesh::cli {
namespace {

constexpr Duration kCompletionPatience = 300ms;  // a shell waits for it at every Tab

int exit_code(Exit exit) {
  return static_cast<int>(exit);
}

// `infermesh help engine`: the help is not ours.
bool asks_app(const std::vector<std::string>& words) {
  const Verb* verb = words.size() == 1 ? find_verb(words[0]) : nullptr;
  return verb != nullptr && verb->more == More::kOwn;
}

int run_verb(const Command& command, CliIo& io, AdminClient& client) {
  Session session(command, io, client);
  if (auto opened = session.open(); !opened) return session.fail(opened.error());
  return command.verb->run(session);
}

}  // namespace

int run_cli(std::span<const std::string> args, CliIo& io, AdminClient& client, const AppVerb& app) {
  const auto command = parse_command(args);
  if (!command) {
    Painter paint = painter_for_stdout(io);
    paint.colour = paint.colour && io.err_is_terminal;
    io.err(fault_text(command.error(), paint));
    return exit_code(command.error().exit);
  }
  if (command->verb == nullptr) {
    (command->help ? io.out : io.err)(general_help(io.version));
    return exit_code(command->help ? Exit::kOk : Exit::kUsage);
  }
  if (command->help) {
    io.out(verb_help(*command->verb));
    return exit_code(Exit::kOk);
  }
  if (command->verb == find_verb("help") && asks_app(command->arguments)) {
    const std::vector<std::string> words{"--help"};
    return app(command->arguments[0], words);
  }
  if (command->verb->run == nullptr) {
    return app(std::string(command->verb->name), command->settings);
  }
  return run_verb(*command, io, client);
}

int run_version(Session& session) {
  View view;
  view.load = [&session]() -> Outcome<json::value> {
    json::object own{{"version", session.io().version}, {"commit", nullptr}};
    if (!session.io().commit.empty()) own["commit"] = session.io().commit;
    json::object out{{"client", std::move(own)}, {"mesh", nullptr}};
    if (auto mesh = session.get("/version")) out["mesh"] = *mesh;
    return json::value(std::move(out));
  };
  view.table = [&session](const json::value& value, const Page&, Format) {
    const json::value& mesh = member(value, "mesh");
    std::string out = fmt::format("infermesh {}", text(member(value, "client"), "version"));
    if (const auto commit = text(member(value, "client"), "commit"); !commit.empty()) {
      out += fmt::format(" ({})", commit);
    }
    out += mesh.is_null()
               ? fmt::format("\nno mesh answers at {}\n", session.admin().url)
               : fmt::format("\nmesh at {} runs {}\n", session.admin().url, text(mesh, "version"));
    return out;
  };
  return session.show(view);
}

int run_help(Session& session) {
  const auto& words = session.command().arguments;
  if (words.empty()) {
    session.print(general_help(session.io().version));
    return exit_code(Exit::kOk);
  }
  const auto command = parse_command(words);
  if (!command && find_verb(join(words, " ")) == nullptr) return session.fail(command.error());
  const Verb* verb = command ? command->verb : find_verb(join(words, " "));
  session.print(verb_help(*verb));
  return exit_code(Exit::kOk);
}

int run_completion(Session& session) {
  const std::string& shell = session.command().arguments[0];
  if (shell == "bash") {
    session.print(bash_completion());
  } else if (shell == "zsh") {
    session.print(zsh_completion());
  } else if (shell == "fish") {
    session.print(fish_completion());
  } else {
    return session.fail({Exit::kUsage, fmt::format("no completion for \"{}\"", shell), "",
                         "infermesh completion bash  or  zsh  or  fish"});
  }
  return exit_code(Exit::kOk);
}

int run_docs(Session& session) {
  session.print(reference_page());
  return exit_code(Exit::kOk);
}

// Says nothing when it cannot: a shell is not the place for an error.
int run_complete(Session& session) {
  const std::string& what = session.command().arguments[0];
  const bool requests = what == "requests";
  if (!requests && what != "engines" && what != "models") return exit_code(Exit::kUsage);
  session.limit_timeout(kCompletionPatience);
  const auto answer = session.get(requests ? "/debug/decisions" : "/api/" + what);
  if (!answer) return exit_code(answer.error().exit);
  for (const json::value& item : array(*answer, requests ? "decisions" : what)) {
    session.print(text(item, requests ? "request_id" : "name") + "\n");
  }
  return exit_code(Exit::kOk);
}

}  // namespace infermesh::cli
