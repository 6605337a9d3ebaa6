#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace {

class OwnError : public base::Error {
public:
    explicit OwnError(int detail) : base::Error("own"), detail_(detail) {}
    int detail() const { return detail_; }

private:
    int detail_;
};

// A text whose making changes errno, as an allocation may.
struct Spoiler {
    operator std::string_view() const {  // NOLINT(google-explicit-constructor)
        errno = EDOM;
        return "x";
    }
};

TEST(Error, ContextIsPutInFront) {
    try {
        base::with_context("cannot convert app.tar", [] { base::with_context("layer 3", [] { throw base::Error("bad header"); }); });
        FAIL();
    } catch (const base::Error& e) {
        EXPECT_STREQ(e.what(), "cannot convert app.tar: layer 3: bad header");
    }
}

TEST(Error, SystemErrorKeepsItsNumberThroughContext) {
    try {
        base::with_context("deploy", [] { throw base::SystemError(ENOENT, "cannot open x"); });
        FAIL();
    } catch (const base::SystemError& e) {
        EXPECT_EQ(e.error_number(), ENOENT);
        EXPECT_STREQ(e.what(), "deploy: cannot open x: No such file or directory");
    }
}

TEST(Error, ADerivedErrorKeepsItsTypeThroughContext) {
    try {
        base::with_context("outer", [] { base::with_context("inner", [] { throw OwnError(7); }); });
        FAIL();
    } catch (const OwnError& e) {
        EXPECT_EQ(e.detail(), 7);
        EXPECT_STREQ(e.what(), "outer: inner: own");
    }
}

TEST(Error, AnErrorOfTheFileSystemLibraryIsASystemError) {
    try {
        base::with_context("deploy", [] { (void)std::filesystem::file_size("/nonexistent/file"); });
        FAIL();
    } catch (const base::SystemError& e) {
        EXPECT_EQ(e.error_number(), ENOENT);
        EXPECT_STREQ(e.what(), "deploy: cannot get file size /nonexistent/file: No such file or directory");
    }
    try {
        base::with_context("deploy", [] { std::filesystem::rename("/nonexistent/a", "/nonexistent/b"); });
        FAIL();
    } catch (const base::SystemError& e) {
        EXPECT_STREQ(e.what(), "deploy: cannot rename /nonexistent/a to /nonexistent/b: No such file or directory");
    }
}

TEST(Error, ContextPassesTheResultOn) {
    EXPECT_EQ(base::with_context("x", [] { return 42; }), 42);
}

TEST(Error, ErrnoIsReadBeforeTheMessageIsMade) {
    errno = ENOENT;
    try {
        base::throw_errno("cannot open ", std::filesystem::path("/a"), " for ", Spoiler());
        FAIL();
    } catch (const base::SystemError& e) {
        EXPECT_EQ(e.error_number(), ENOENT);
        EXPECT_STREQ(e.what(), "cannot open /a for x: No such file or directory");
    }
}

}  // namespace
