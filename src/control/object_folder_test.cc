#include "control/object_folder.h"

#include <gtest/gtest.h>

#include "port/fake/world.h"

namespace infermesh::control {
namespace {

class TestFolder final : public port::Folder {
 public:
  Result<std::vector<port::FileText>> read() override {
    if (gone) return fail(ErrorCode::kNotFound, "objects: no such folder");
    return files;
  }
  std::string path() const override { return "objects"; }

  std::vector<port::FileText> files;
  bool gone = false;
};

// Takes the text of each file as the name of an engine; "bad" is a mistake.
std::expected<ObjectSet, config::Problems> parse_names(std::span<const port::FileText> files) {
  ObjectSet objects;
  config::Problems problems;
  for (const port::FileText& file : files) {
    if (file.text == "bad") {
      problems.push_back({file.name, 3, 5, "unknown key"});
      continue;
    }
    EngineObject engine;
    engine.name = file.text;
    objects.engines.push_back(engine);
  }
  if (!problems.empty()) return std::unexpected(problems);
  return objects;
}

struct Scene {
  port::fake::World world;
  TestFolder folder;
  std::vector<ObjectSet> applied;
  std::vector<ObjectRefusal> refusals;
  std::unique_ptr<ObjectFolder> watched;

  Scene() {
    folder.files = {{"a.yaml", "e1"}};
    watched = std::make_unique<ObjectFolder>(
        world.loop(), folder,
        ObjectFolder::Hooks{parse_names, [this](const ObjectSet& set) { applied.push_back(set); },
                            [this](const ObjectRefusal& refusal) { refusals.push_back(refusal); }});
    watched->start();
  }
};

TEST(ObjectFolder, AppliesWhatIsThereAtTheStart) {
  Scene scene;
  ASSERT_EQ(scene.applied.size(), 1U);
  EXPECT_EQ(scene.applied[0].engines[0].name, "e1");
}

TEST(ObjectFolder, AppliesAChangeWithinASecondAndOnlyOnce) {
  Scene scene;
  scene.folder.files.push_back({"b.yaml", "e2"});
  scene.world.run_for(300ms);
  ASSERT_EQ(scene.applied.size(), 2U);
  EXPECT_EQ(scene.applied[1].engines.size(), 2U);
  scene.world.run_for(5s);
  EXPECT_EQ(scene.applied.size(), 2U);
}

TEST(ObjectFolder, AFileThatIsStillBeingWrittenIsWaitedFor) {
  Scene scene;
  scene.world.run_for(245ms);
  for (const char* text : {"", "bad", "e"}) {  // an editor that writes in place, in 40 ms steps
    scene.folder.files = {{"a.yaml", text}};
    scene.world.run_for(40ms);
  }
  scene.folder.files = {{"a.yaml", "e2"}};
  scene.world.run_for(600ms);
  EXPECT_TRUE(scene.refusals.empty());
  ASSERT_EQ(scene.applied.size(), 2U);
  EXPECT_EQ(scene.applied[1].engines[0].name, "e2");
}

TEST(ObjectFolder, ARemovedFileIsAChange) {
  Scene scene;
  scene.folder.files.clear();
  scene.world.run_for(300ms);
  ASSERT_EQ(scene.applied.size(), 2U);
  EXPECT_TRUE(scene.applied[1].engines.empty());
}

TEST(ObjectFolder, ABadSetIsRefusedWholeAndSaidOnce) {
  Scene scene;
  scene.folder.files = {{"a.yaml", "e1"}, {"b.yaml", "bad"}, {"c.yaml", "e3"}};
  scene.world.run_for(5s);
  EXPECT_EQ(scene.applied.size(), 1U);
  ASSERT_EQ(scene.refusals.size(), 1U);
  EXPECT_EQ(scene.refusals[0].path, "objects");
  EXPECT_EQ(scene.refusals[0].problems, std::vector<std::string>{"b.yaml:3:5: unknown key"});
  ASSERT_TRUE(scene.watched->last_refusal().has_value());
  EXPECT_EQ(scene.watched->refused(), 1U);
}

TEST(ObjectFolder, ARepairedSetEndsTheRefusal) {
  Scene scene;
  scene.folder.files = {{"a.yaml", "bad"}};
  scene.world.run_for(1s);
  scene.folder.files = {{"a.yaml", "e1"}};
  scene.world.run_for(1s);
  EXPECT_EQ(scene.applied.size(), 2U);
  EXPECT_FALSE(scene.watched->last_refusal().has_value());
}

TEST(ObjectFolder, AnotherMistakeIsAnotherRefusal) {
  Scene scene;
  scene.folder.files = {{"a.yaml", "bad"}};
  scene.world.run_for(1s);
  scene.folder.files = {{"b.yaml", "bad"}};
  scene.world.run_for(1s);
  EXPECT_EQ(scene.refusals.size(), 2U);
  EXPECT_EQ(scene.watched->last_refusal()->problems[0], "b.yaml:3:5: unknown key");
}

TEST(ObjectFolder, AnUnreadableFolderKeepsTheOldSetAndIsSaidOnce) {
  Scene scene;
  scene.folder.gone = true;
  scene.world.run_for(5s);
  EXPECT_EQ(scene.applied.size(), 1U);
  ASSERT_EQ(scene.refusals.size(), 1U);
  EXPECT_EQ(scene.refusals[0].problems[0], "objects: no such folder");
  scene.folder.gone = false;
  scene.world.run_for(1s);
  EXPECT_FALSE(scene.watched->last_refusal().has_value());
}

TEST(ObjectFolder, StopsLooking) {
  Scene scene;
  scene.watched->stop();
  scene.folder.files.clear();
  scene.world.run_for(5s);
  EXPECT_EQ(scene.applied.size(), 1U);
}

}  // namespace
}  // namespace infermesh::control
