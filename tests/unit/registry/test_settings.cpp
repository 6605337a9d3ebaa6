#include "registry/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/fd.h"

namespace {

namespace fs = std::filesystem;
using registry::Settings;

class SettingsTest : public testing::Test {
protected:
    SettingsTest() {
        std::string pattern = (fs::temp_directory_path() / "gvmkit-settings.XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
        for (const char* name : {"REGISTRY_URL", "REGISTRY_USER", "REGISTRY_TOKEN"})
            ::unsetenv(name);
        ::setenv("XDG_CONFIG_HOME", (folder / "config").c_str(), 1);
    }
    ~SettingsTest() override { fs::remove_all(folder); }

    fs::path folder;
};

TEST_F(SettingsTest, DefaultsAreThePublicRegistryAndNobody) {
    const Settings settings = registry::read_settings(folder);
    EXPECT_EQ(settings.url, "https://registry.golem.network");
    EXPECT_FALSE(settings.login);
}

TEST_F(SettingsTest, AnEnvFileOrTheEnvironmentIsTheOnlySource) {
    std::ofstream(folder / ".env")
        << "# a comment\nexport REGISTRY_URL=\"http://a:1//\" # more\nREGISTRY_USER = 'me'\r\nREGISTRY_TOKEN=t=1 # x\nnoise\n";
    fs::create_directories(folder / "a/b");
    const Settings settings = registry::read_settings(folder);
    EXPECT_EQ(settings.source, (folder / ".env").string());
    EXPECT_EQ(settings.url, "http://a:1");
    ASSERT_TRUE(settings.login);
    EXPECT_EQ(settings.login->user, "me");
    EXPECT_EQ(settings.login->token, "t=1");
    EXPECT_EQ(registry::read_settings(folder / "a").url, registry::kPublicRegistry) << "the folder above does not count";
    EXPECT_EQ(registry::read_settings(folder / "a").source, "");
    // One variable of the environment is enough: its token must not go to the file's registry, nor the file's to the environment's.
    ::setenv("REGISTRY_TOKEN", "mine", 1);
    EXPECT_EQ(registry::read_settings(folder).url, registry::kPublicRegistry);
    EXPECT_EQ(registry::read_settings(folder).source, "the environment");
    EXPECT_FALSE(registry::read_settings(folder).login);
    ::unsetenv("REGISTRY_TOKEN");
    ::setenv("REGISTRY_URL", "https://b/", 1);
    EXPECT_EQ(registry::read_settings(folder).url, "https://b");
    EXPECT_FALSE(registry::read_settings(folder).login);
}

TEST_F(SettingsTest, AnEnvFileOfOthersIsNotUsed) {
    const std::string file = (folder / ".env").string();
    std::ofstream(file) << "REGISTRY_URL=http://a\n";
    ::chmod(file.c_str(), 0664);
    EXPECT_EQ(registry::read_settings(folder).url, registry::kPublicRegistry);
    EXPECT_EQ(registry::read_settings(folder).ignored, file + " is not used: others may write to it");
    ::chmod(file.c_str(), 0644);
    EXPECT_EQ(registry::read_settings(folder).url, "http://a");
    if (::geteuid() != 0) return;
    ASSERT_EQ(::chown(file.c_str(), 1000, 1000), 0);
    EXPECT_EQ(registry::read_settings(folder).ignored, file + " is not used: it belongs to another user");
    EXPECT_EQ(registry::read_settings(folder).source, "");
}

TEST_F(SettingsTest, AnEnvFileMayBeOddButNotEndless) {
    fs::create_directory(folder / ".env");
    EXPECT_EQ(registry::read_settings(folder).url, registry::kPublicRegistry);
    fs::remove(folder / ".env");
    ASSERT_EQ(::mkfifo((folder / ".env").c_str(), 0600), 0);
    EXPECT_EQ(registry::read_settings(folder).url, registry::kPublicRegistry) << "and does not hang";
    fs::remove(folder / ".env");
    std::ofstream(folder / ".env") << std::string((64 << 10) + 1, '#');
    EXPECT_THROW((void)registry::read_settings(folder), base::Error);
}

TEST_F(SettingsTest, AUrlThatIsNoneIsRefused) {
    ::setenv("REGISTRY_URL", "ftp://x", 1);
    EXPECT_THROW((void)registry::read_settings(folder), base::Error);
}

TEST_F(SettingsTest, LoginsAreKeptPerRegistryInAFileOfMode0600) {
    EXPECT_FALSE(registry::saved_login("http://a"));
    registry::save_login("http://a", {"me", "secret"});
    registry::save_login("http://b", {"you", "other"});
    EXPECT_EQ(registry::saved_login("http://a")->token, "secret");
    EXPECT_EQ(registry::saved_login("http://b")->user, "you");
    EXPECT_FALSE(registry::saved_login("http://c"));
    struct stat status {};
    ASSERT_EQ(::stat(registry::credentials_file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    ASSERT_EQ(::stat(registry::credentials_file().parent_path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    EXPECT_TRUE(registry::forget_login("http://a"));
    EXPECT_FALSE(registry::forget_login("http://a"));
    EXPECT_FALSE(registry::saved_login("http://a"));
    EXPECT_TRUE(registry::saved_login("http://b"));
}

TEST_F(SettingsTest, AFileThatOthersMayReadIsRefused) {
    registry::save_login("http://a", {"me", "secret"});
    ::chmod(registry::credentials_file().c_str(), 0640);
    EXPECT_THROW((void)registry::saved_login("http://a"), base::Error);
}

}  // namespace
