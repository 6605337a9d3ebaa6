#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

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

TEST(Error, ContextPassesTheResultOn) {
    EXPECT_EQ(base::with_context("x", [] { return 42; }), 42);
}
