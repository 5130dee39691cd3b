#include "cli/parse.h"

#include <gtest/gtest.h>

#include "cli/session.h"

namespace infermesh::cli {
namespace {

using Args = std::vector<std::string>;

Command parsed(const Args& args) {
  auto command = parse_command(args);
  EXPECT_TRUE(command.has_value()) << (command ? "" : command.error().what);
  return command.value_or(Command{});
}

Fault refused(const Args& args) {
  const auto command = parse_command(args);
  EXPECT_FALSE(command.has_value());
  return command ? Fault{} : command.error();
}

TEST(Parse, FindsVerbsOfOneAndTwoWords) {
  EXPECT_EQ(parsed({"status"}).verb->name, "status");
  EXPECT_EQ(parsed({"route", "test", "m"}).verb->name, "route test");
  EXPECT_EQ(parsed({"config", "validate", "--config", "a"}).verb->name, "config validate");
}

TEST(Parse, TakesFlagsInEveryUsualForm) {
  EXPECT_EQ(parsed({"engines", "-o", "json"}).value("output"), "json");
  EXPECT_EQ(parsed({"engines", "-ojson"}).value("output"), "json");
  EXPECT_EQ(parsed({"engines", "-o=json"}).value("output"), "json");
  EXPECT_EQ(parsed({"engines", "--output", "json"}).value("output"), "json");
  EXPECT_EQ(parsed({"engines", "--output=json"}).value("output"), "json");
  EXPECT_TRUE(parsed({"engines", "-w"}).has("watch"));
  EXPECT_EQ(parsed({"engines", "--admin=http://h:1"}).value("admin"), "http://h:1");
}

TEST(Parse, FlagsAndArgumentsMix) {
  const Command command = parsed({"drain", "e1", "--wait", "e2"});
  EXPECT_EQ(command.arguments, (Args{"e1", "e2"}));
  EXPECT_TRUE(command.has("wait"));
}

TEST(Parse, TwoDashesEndTheFlags) {
  EXPECT_EQ(parsed({"drain", "--", "-odd-name"}).arguments, (Args{"-odd-name"}));
}

TEST(Parse, AValueMayBeginWithADash) {
  EXPECT_EQ(parsed({"route", "test", "m", "--prompt", "-1 or 1?"}).value("prompt"), "-1 or 1?");
  EXPECT_EQ(parsed({"route", "test", "m", "--prompt-file", "-"}).value("prompt-file"), "-");
}

TEST(Parse, AMistypedVerbGetsTheNearest) {
  const Fault fault = refused({"staus"});
  EXPECT_EQ(fault.exit, Exit::kUsage);
  EXPECT_EQ(fault.what, "unknown command \"staus\"");
  EXPECT_EQ(fault.next, "did you mean \"infermesh status\"?");
  EXPECT_EQ(refused({"xyzzyx"}).next, "infermesh help lists the commands");
}

TEST(Parse, HalfAVerbNamesItsOtherHalf) {
  EXPECT_EQ(refused({"route"}).next, "infermesh route test");
  EXPECT_EQ(refused({"config", "valdate"}).next,
            "infermesh config validate  or  infermesh config view");
}

TEST(Parse, AMistypedFlagGetsTheNearest) {
  EXPECT_EQ(refused({"status", "--wacth"}).next, "did you mean --watch?");
  EXPECT_EQ(refused({"status", "--ouptut=json"}).next, "did you mean --output?");
  EXPECT_EQ(refused({"status", "-z"}).what, "status has no flag -z");
}

TEST(Parse, AWrongChoiceNamesTheRightOnes) {
  const Fault fault = refused({"status", "-o", "jsn"});
  EXPECT_EQ(fault.what, "--output cannot be \"jsn\"");
  EXPECT_EQ(fault.why, "it is one of table, wide, json, yaml");
  EXPECT_EQ(fault.next, "did you mean json?");
}

TEST(Parse, StatusHasNoNames) {
  EXPECT_EQ(refused({"status", "-o", "name"}).exit, Exit::kUsage);
}

TEST(Parse, MissingAndExtraArgumentsAreSaid) {
  EXPECT_EQ(refused({"drain"}).what, "drain needs ENGINE");
  EXPECT_EQ(refused({"drain"}).next, "infermesh drain e4");
  EXPECT_EQ(refused({"status", "now"}).what, "status does not take \"now\"");
  EXPECT_EQ(refused({"status", "--admin"}).what, "--admin needs a value");
  EXPECT_EQ(refused({"status", "--watch=yes"}).what, "--watch takes no value");
}

TEST(Parse, VerbsOfAppGetTheirWordsUntouched) {
  const Command command = parsed({"up", "--engine", "http://h:1", "--listen=:0"});
  EXPECT_EQ(command.settings, (Args{"--engine", "http://h:1", "--listen=:0"}));
  EXPECT_TRUE(parsed({"up", "--help"}).help);
  EXPECT_FALSE(parsed({"engine", "--help"}).help);
}

TEST(Parse, ConfigViewKeepsItsOwnFlagsAndPassesSettingsOn) {
  const Command command =
      parsed({"config", "view", "--config", "f.yaml", "--origin", "-o", "json", "--shards=2"});
  EXPECT_EQ(command.settings, (Args{"--config", "f.yaml", "--shards=2"}));
  EXPECT_TRUE(command.has("origin"));
  EXPECT_EQ(command.value("output"), "json");
}

TEST(Parse, HelpWinsOverMissingArguments) {
  EXPECT_TRUE(parsed({"drain", "--help"}).help);
  EXPECT_TRUE(parsed({"-h"}).help);
  EXPECT_EQ(parsed({"--version"}).verb->name, "version");
}

TEST(VerbTable, EveryShownVerbHasASummaryAndAnExample) {
  for (const Verb& verb : verb_table()) {
    if (verb.group == Group::kHidden) continue;
    EXPECT_FALSE(verb.summary.empty()) << verb.name;
    EXPECT_LE(verb.summary.size(), 61U) << verb.name;
    if (verb.name != "help") {
      EXPECT_FALSE(verb.examples.empty()) << verb.name;
    }
  }
}

TEST(VerbTable, EveryExampleIsACommandThatParses) {
  for (const Verb& verb : verb_table()) {
    for (const Example& example : verb.examples) {
      const std::string command(example.command);
      if (command.find("$(") != std::string::npos || command.find("<(") != std::string::npos)
        continue;
      Args args;
      std::stringstream words(command);
      for (std::string word; words >> word && word != "|" && word != ">";) args.push_back(word);
      ASSERT_EQ(args[0], "infermesh");
      args.erase(args.begin());
      const auto result = parse_command(args);
      ASSERT_TRUE(result.has_value()) << command << ": " << result.error().what;
      EXPECT_EQ(result->verb, &verb) << command;
    }
  }
}

TEST(AdminAddress, IsReadInItsUsualForms) {
  EXPECT_EQ(parse_admin("http://127.0.0.1:6401", "--admin")->url, "http://127.0.0.1:6401");
  EXPECT_EQ(parse_admin("http://mesh:7000/", "--admin")->url, "http://mesh:7000");
  EXPECT_EQ(parse_admin("mesh", "--admin")->port, 6401);
  EXPECT_EQ(parse_admin("http://[::1]:1234", "--admin")->host, "::1");
  EXPECT_EQ(parse_admin("http://[::1]:1234", "--admin")->url, "http://[::1]:1234");
}

TEST(AdminAddress, WhatItIsNotIsSaid) {
  EXPECT_EQ(parse_admin("https://mesh", "--admin").error().why, "the admin listener speaks http");
  EXPECT_EQ(parse_admin("http://mesh/x", "--admin").error().why,
            "only a host and a port are wanted");
  EXPECT_EQ(parse_admin("http://mesh:99999", "INFERMESH_ADMIN").error().what,
            "INFERMESH_ADMIN is not an admin address: \"http://mesh:99999\"");
  EXPECT_EQ(parse_admin("", "--admin").error().exit, Exit::kUsage);
}

TEST(PathSegment, EscapesWhatAPathCannotCarry) {
  EXPECT_EQ(path_segment("n3/e5"), "n3%2Fe5");
  EXPECT_EQ(path_segment("req_7f3c-1.2~x"), "req_7f3c-1.2~x");
  EXPECT_EQ(path_segment("a b?"), "a%20b%3F");
}

}  // namespace
}  // namespace infermesh::cli
