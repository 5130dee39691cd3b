#include <array>

#include "cli/verb.h"
#include "cli/verbs.h"

namespace infermesh::cli {
namespace {

using std::string_view;

constexpr std::array<string_view, 5> kListFormats{"table", "wide", "json", "yaml", "name"};
constexpr std::array<string_view, 4> kPageFormats{"table", "wide", "json", "yaml"};
constexpr std::array<string_view, 3> kPlainFormats{"table", "json", "yaml"};
constexpr std::array<string_view, 10> kApis{"chat",     "completions", "embeddings", "responses",
                                            "messages", "rerank",      "score",      "classify",
                                            "tokenize", "detokenize"};

constexpr std::array<Example, 3> kUpExamples{{
    {"infermesh up", "find the engines on this machine and serve them"},
    {"infermesh up --engine http://10.0.0.7:8000 --engine http://10.0.0.8:8000", "name them"},
    {"infermesh up --listen 0.0.0.0:6400", "take requests from other machines"},
}};
constexpr std::array<Example, 2> kRunExamples{{
    {"infermesh run --config infermesh.yaml --objects objects/", "serve what the files say"},
    {"infermesh run --objects objects/ --log-format json", "log for machines"},
}};
constexpr std::array<Example, 2> kEngineExamples{{
    {"infermesh engine --model demo --listen 127.0.0.1:8000", "one simulated engine"},
    {"infermesh engine --model demo --listen 127.0.0.1:0 --count 8", "eight on free ports"},
}};
constexpr std::array<Example, 2> kBenchExamples{{
    {"infermesh bench http://127.0.0.1:6400 --model demo", "closed loop, default load"},
    {"infermesh bench http://127.0.0.1:6400 --model demo -o json", "figures for machines"},
}};
constexpr std::array<Example, 3> kStatusExamples{{
    {"infermesh status", "the mesh at a glance, problems first"},
    {"infermesh status --watch", "redraw twice a second"},
    {"infermesh status -o json | jq .problems", "for scripts"},
}};
constexpr std::array<Example, 3> kEnginesExamples{{
    {"infermesh engines", "state and load of every engine"},
    {"infermesh engines -o wide", "with addresses, rates and totals"},
    {"infermesh drain $(infermesh engines -o name)", "names only, for scripts"},
}};
constexpr std::array<Example, 2> kModelsExamples{{
    {"infermesh models", "what clients can ask for"},
    {"infermesh models -o name", "names only"},
}};
constexpr std::array<Example, 2> kPoolsExamples{{
    {"infermesh pools", "engines that serve the same models, and their queues"},
    {"infermesh pools -o wide", "with limits and timeouts"},
}};
constexpr std::array<Example, 4> kExplainExamples{{
    {"infermesh explain req_7f3c", "why a request went where it went (its x-request-id)"},
    {"infermesh explain", "the last requests, to pick from"},
    {"infermesh explain engine e5", "all that is known of one engine"},
    {"infermesh explain req_7f3c -o json", "every fact the decision used"},
}};
constexpr std::array<Example, 3> kCheckExamples{{
    {"infermesh check", "examine the running mesh, with a hint for each failure"},
    {"infermesh check --config infermesh.yaml --objects objects/", "and these files"},
    {"infermesh check -o json", "for monitoring"},
}};
constexpr std::array<Example, 3> kRouteExamples{{
    {"infermesh route test qwen3-14b --prompt 'hello'", "which engine would take it"},
    {"infermesh route test qwen3-14b --prompt-file long.txt", "with a long prompt"},
    {"infermesh route test qwen3-14b --session alice", "with a session key"},
}};
constexpr std::array<Example, 3> kDrainExamples{{
    {"infermesh drain e4", "send e4 no new requests; those in flight finish"},
    {"infermesh drain e4 --wait", "and return when the last one has"},
    {"infermesh drain e4 e5 --dry-run", "say what would happen"},
}};
constexpr std::array<Example, 1> kUndrainExamples{{
    {"infermesh undrain e4", "let e4 take requests again"},
}};
constexpr std::array<Example, 2> kValidateExamples{{
    {"infermesh config validate --objects objects/", "check mesh objects"},
    {"infermesh config validate --config infermesh.yaml", "check process settings"},
}};
constexpr std::array<Example, 2> kViewExamples{{
    {"infermesh config view --config infermesh.yaml --origin", "and where each value comes from"},
    {"infermesh config view -o json", "for scripts"},
}};
constexpr std::array<Example, 1> kVersionExamples{{
    {"infermesh version -o json", "of this command and of the mesh it talks to"},
}};
constexpr std::array<Example, 3> kCompletionExamples{{
    {"source <(infermesh completion bash)", "bash, this shell only"},
    {"infermesh completion zsh > ~/.zfunc/_infermesh", "zsh"},
    {"infermesh completion fish > ~/.config/fish/completions/infermesh.fish", "fish"},
}};

constexpr std::array<Flag, 3> kRouteFlags{{
    {"prompt", '\0', "TEXT", "The prompt."},
    {"prompt-file",
     '\0',
     "FILE",
     "Read the prompt from a file; - is standard input.",
     {},
     Names::kFiles},
    {"session", '\0', "KEY", "The session key a client would send."},
}};
constexpr std::array<Flag, 4> kRouteTestFlags{{
    kRouteFlags[0],
    kRouteFlags[1],
    kRouteFlags[2],
    {"api", '\0', "API", "The kind of request; chat unless given.", kApis},
}};
constexpr std::array<Flag, 2> kDrainFlags{{
    {"wait", '\0', "", "Return when nothing is in flight on them any more."},
    {"dry-run", '\0', "", "Say what would change, and change nothing."},
}};
constexpr std::array<Flag, 1> kUndrainFlags{{kDrainFlags[1]}};
constexpr std::array<Flag, 2> kFileFlags{{
    {"config", '\0', "FILE", "Process settings (infermesh.yaml).", {}, Names::kFiles},
    {"objects", '\0', "DIR", "Folder of mesh objects.", {}, Names::kFolders},
}};
constexpr std::array<Flag, 1> kViewFlags{{
    {"origin", '\0', "", "Say where each value comes from: default, file, environment or flag."},
}};

constexpr Argument kNoArgument{};
constexpr Argument kEnginesArgument{"ENGINE", Arity::kMany, Names::kEngines, "Names of engines."};

constexpr std::array<Verb, 20> kVerbs{{
    {"up",
     "serve the engines it finds or is told, with no configuration",
     "Runs in the foreground until Ctrl-C, then drains.",
     Group::kServe,
     kNoArgument,
     {},
     kUpExamples,
     More::kSettings},
    {"run",
     "serve by a settings file and a folder of mesh objects",
     "Objects are watched: a change takes effect within a second, a bad one is refused whole.",
     Group::kServe,
     kNoArgument,
     {},
     kRunExamples,
     More::kSettings},
    {"engine",
     "simulate engines that look like vLLM, without a GPU",
     "",
     Group::kServe,
     kNoArgument,
     {},
     kEngineExamples,
     More::kOwn},
    {"bench",
     "send load to an OpenAI-compatible URL and measure",
     "",
     Group::kServe,
     {"URL", Arity::kOne, Names::kNone, "Base URL of a router or engine."},
     {},
     kBenchExamples,
     More::kOwn},

    {"status",
     "the mesh at a glance, problems first",
     "Exits 1 when there is a problem that loses requests or an engine.",
     Group::kLook,
     kNoArgument,
     {},
     kStatusExamples,
     More::kShow,
     kPageFormats,
     run_status},
    {"engines",
     "engines with their state and load",
     "",
     Group::kLook,
     kNoArgument,
     {},
     kEnginesExamples,
     More::kShow,
     kListFormats,
     run_engines},
    {"models",
     "models that clients can ask for",
     "",
     Group::kLook,
     kNoArgument,
     {},
     kModelsExamples,
     More::kShow,
     kListFormats,
     run_models},
    {"pools",
     "pools of engines with their policy and queue",
     "",
     Group::kLook,
     kNoArgument,
     {},
     kPoolsExamples,
     More::kShow,
     kListFormats,
     run_pools},
    {"explain",
     "why a request went where it went; how an engine is",
     "The router keeps the last few thousand decisions in memory. Without an argument the latest "
     "are "
     "listed.",
     Group::kLook,
     {"REQUEST_ID | engine NAME", Arity::kAny, Names::kRequests,
      "The x-request-id of an answer, or the word engine and a name."},
     {},
     kExplainExamples,
     More::kShow,
     kListFormats,
     run_explain},
    {"check", "a doctor: one sentence a check, a hint for each failure",
     "Exits 1 when a check fails; warnings alone exit 0.", Group::kLook, kNoArgument, kFileFlags,
     kCheckExamples, More::kShow, kPlainFormats, run_check},

    {"route test",
     "which engine a request would get, without sending it",
     "",
     Group::kChange,
     {"MODEL", Arity::kOne, Names::kModels, "A model's name or alias."},
     kRouteTestFlags,
     kRouteExamples,
     More::kShow,
     kPageFormats,
     run_route_test},
    {"drain",
     "send an engine no new requests; those in flight finish",
     "It can be taken back with undrain, and lasts until then or until the router restarts.",
     Group::kChange,
     kEnginesArgument,
     kDrainFlags,
     kDrainExamples,
     More::kAdmin,
     {},
     run_drain},
    {"undrain",
     "let a drained engine take requests again",
     "",
     Group::kChange,
     kEnginesArgument,
     kUndrainFlags,
     kUndrainExamples,
     More::kAdmin,
     {},
     run_undrain},

    {"config validate",
     "check settings and mesh objects, without a mesh",
     "Each problem is printed as FILE:LINE:COLUMN with the nearest right name; exits 2 when there "
     "are "
     "any.",
     Group::kConfigure,
     kNoArgument,
     kFileFlags,
     kValidateExamples,
     More::kNone,
     {},
     run_config_validate},
    {"config view", "the settings that `run` would use",
     "Takes the flags of `infermesh run`. The order is flag, environment, file, default.",
     Group::kConfigure, kNoArgument, kViewFlags, kViewExamples, More::kSettings, kPlainFormats,
     run_config_view},

    {"version",
     "versions of this command and of the mesh",
     "",
     Group::kOther,
     kNoArgument,
     {},
     kVersionExamples,
     More::kShow,
     kPlainFormats,
     run_version},
    {"completion",
     "a completion script for your shell; it knows live names",
     "",
     Group::kOther,
     {"SHELL", Arity::kOne, Names::kShells, "bash, zsh or fish."},
     {},
     kCompletionExamples,
     More::kNone,
     {},
     run_completion},
    {"help",
     "help on a command",
     "",
     Group::kOther,
     {"COMMAND", Arity::kAny, Names::kNone, "The command's name."},
     {},
     {},
     More::kNone,
     {},
     run_help},
    {"__docs",
     "the reference page",
     "",
     Group::kHidden,
     kNoArgument,
     {},
     {},
     More::kNone,
     {},
     run_docs},
    {"__complete",
     "live names, one a line",
     "",
     Group::kHidden,
     {"WHAT", Arity::kOne, Names::kNone, "engines, models or requests."},
     {},
     {},
     More::kAdmin,
     {},
     run_complete},
}};

constexpr std::array<Flag, 2> kAdminFlags{{
    {"admin", '\0', "URL", "The admin listener to ask. Environment: INFERMESH_ADMIN."},
    {"timeout", '\0', "DURATION", "How long to wait for an answer, and for --wait."},
}};
constexpr Flag kHelpFlag{"help", 'h', "", "Show this help."};

}  // namespace

std::span<const Verb> verb_table() {
  return kVerbs;
}

const Verb* find_verb(string_view name) {
  for (const Verb& verb : verb_table()) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

string_view to_string(Group group) {
  constexpr std::array<string_view, 6> kNames{"serve",     "look",  "try and change",
                                              "configure", "other", ""};
  return kNames[static_cast<std::size_t>(group)];
}

std::vector<Flag> all_flags(const Verb& verb) {
  std::vector<Flag> flags(verb.flags.begin(), verb.flags.end());
  if (!verb.formats.empty()) {
    flags.push_back(
        {"output", 'o', "FORMAT", "How to print it; table unless given.", verb.formats});
  }
  if (verb.more == More::kShow) {
    flags.push_back(
        {"watch", 'w', "", "Keep showing it: redraws on a terminal, else a JSON line each."});
  }
  if (verb.more == More::kShow || verb.more == More::kAdmin) {
    flags.insert(flags.end(), kAdminFlags.begin(), kAdminFlags.end());
  }
  flags.push_back(kHelpFlag);
  return flags;
}

std::string synopsis(const Verb& verb) {
  std::string out = "infermesh " + std::string(verb.name);
  const std::string name(verb.argument.name);
  switch (verb.argument.arity) {
    case Arity::kNone:
      break;
    case Arity::kOne:
      out += " " + name;
      break;
    case Arity::kMany:
      out += " " + name + "...";
      break;
    case Arity::kOptional:
    case Arity::kAny:
      out += " [" + name + "]";
      break;
  }
  return out + " [flags]";
}

}  // namespace infermesh::cli
