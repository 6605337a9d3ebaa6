#include "base/folders.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace {

// Sets an environment variable for as long as it lives; none: takes it away.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        set(value);
    }
    ~Variable() { set(before_ ? before_->c_str() : nullptr); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    void set(const char* value) { (void)(value ? ::setenv(name_, value, 1) : ::unsetenv(name_)); }

    const char* name_;
    std::optional<std::string> before_;
};

TEST(UserCacheFolder, IsXdgsElseBelowHome) {
    const Variable home("HOME", "/home/me");
    {
        const Variable cache("XDG_CACHE_HOME", "/cache");
        EXPECT_EQ(base::user_cache_folder(), "/cache");
    }
    const Variable cache("XDG_CACHE_HOME", "");
    EXPECT_EQ(base::user_cache_folder(), "/home/me/.cache");
    const Variable nowhere("HOME", nullptr);
    EXPECT_EQ(base::user_cache_folder(), "");
}

}  // namespace
