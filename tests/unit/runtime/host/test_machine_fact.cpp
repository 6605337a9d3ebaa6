#include "runtime/host/machine_fact.h"

#include <gtest/gtest.h>

#include <fstream>

namespace {

namespace fs = std::filesystem;

class MachineFact : public testing::Test {
protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "fact-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        file_ = folder_ / "cache" / "fact.json";
    }
    void TearDown() override { fs::remove_all(folder_); }

    // The kept number; -1: none.
    int recalled(const std::string& key) const {
        int number = -1;
        const auto read = [&number](const nlohmann::json& json) { number = json.at("number").get<int>(); };
        return runtime::recall_fact(file_, key, read) ? number : -1;
    }

    fs::path folder_;
    fs::path file_;
};

TEST_F(MachineFact, IsKeptForItsKey) {
    EXPECT_EQ(recalled("one"), -1);
    runtime::keep_fact(file_, "one", {{"number", 7}});
    EXPECT_EQ(recalled("one"), 7);
    EXPECT_EQ(recalled("two"), -1);
    runtime::keep_fact(file_, "two", {{"number", 8}});
    EXPECT_EQ(recalled("one"), -1);
    EXPECT_EQ(recalled("two"), 8);
}

TEST_F(MachineFact, IsLearnedAnewWhereTheFileIsDamaged) {
    runtime::keep_fact(file_, "one", {{"number", 7}});
    const std::string twice = R"({"key": "one", "number": 7} {})";
    const std::string large = R"({"key": "one", "number": 7, "more": ")" + std::string(64 << 10, 'x') + "\"}";
    for (const std::string& damaged : {std::string(), std::string("[]"), std::string("{"), std::string(R"({"key": 1, "number": 7})"),
                                       std::string(R"({"key": "one"})"), std::string(R"({"key": "one", "number": "7"})"), twice, large}) {
        std::ofstream(file_) << damaged;
        EXPECT_EQ(recalled("one"), -1) << damaged.substr(0, 40);
    }
    runtime::keep_fact(file_, "one", {{"number", 9}});
    EXPECT_EQ(recalled("one"), 9);
}

TEST_F(MachineFact, IsNotKeptWhereNoFileCanBe) {
    std::ofstream(folder_ / "cache") << "a file where the folder would be";
    EXPECT_NO_THROW(runtime::keep_fact(file_, "one", {{"number", 7}}));
    EXPECT_EQ(recalled("one"), -1);
}

}  // namespace
