#include "dbg/copy/copy_place.h"

#include <gtest/gtest.h>

namespace {

TEST(CopyPlace, TellsAVmFromAPathAsDockerDoes) {
    const auto expect = [](const std::string& text, const std::string& vm, const std::string& path) {
        const dbg::CopyPlace place = dbg::parse_copy_place(text);
        EXPECT_EQ(place.vm, vm) << text;
        EXPECT_EQ(place.path, path) << text;
    };
    expect("box:/etc/hosts", "box", "/etc/hosts");
    expect("box:etc", "box", "/etc");
    expect("box:/a:b c", "box", "/a:b c");
    expect("box:", "box", "/");
    expect("./box:/etc", "", "./box:/etc");
    expect("../a:b", "", "../a:b");
    expect("/tmp/a:b", "", "/tmp/a:b");
    expect("file", "", "file");
    expect("-", "", "-");
    expect(":x", "", ":x");
}

TEST(CopyPlace, NamesTheCopy) {
    const auto expect = [](const std::string& text, const std::string& path, const std::string& name, bool folder) {
        const dbg::SourceName source = dbg::source_name(text);
        EXPECT_EQ(source.path, path) << text;
        EXPECT_EQ(source.name, name) << text;
        EXPECT_EQ(source.folder, folder) << text;
    };
    expect("/a/b", "/a/b", "b", false);
    expect("b", "b", "b", false);
    expect("/a/b//", "/a/b", "b", true);
    expect("/a/b/.", "/a/b/.", "", true);
    expect("/a/b/./", "/a/b/.", "", true);
    expect("/", "/", "", true);
    expect("///", "/", "", true);
    expect(".", ".", "", true);
    expect("a/..", "a/..", "", true);
    expect("/a/...", "/a/...", "...", false);
}

TEST(CopyPlace, NamesAContent) {
    EXPECT_EQ(dbg::content_of("/"), "/.");
    EXPECT_EQ(dbg::content_of("/a"), "/a/.");
    EXPECT_EQ(dbg::content_of("/a/."), "/a/.");
    EXPECT_EQ(dbg::content_of("/a/.."), "/a/../.");
}

}  // namespace
