#include "convert/tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "oci/tar.h"
#include "tar_builder.h"

namespace {

using convert::Node;
using convert::Tree;
using test::Entry;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;
using Layer = std::vector<Entry>;

Tree merge(const std::vector<Layer>& layers, const convert::Limits& limits = {}) {
    Tree tree(limits);
    for (size_t i = 0; i < layers.size(); i++) {
        oci::TarReader reader(test::stream_of(test::make_tar(layers[i])));
        oci::TarEntry entry;
        for (uint64_t ordinal = 0; reader.next(entry); ordinal++)
            tree.apply(i, ordinal, std::move(entry));
    }
    return tree;
}

void list(const Node& directory, const std::string& path, std::vector<std::string>& lines) {
    for (const auto& [name, link] : directory.children) {
        const Node& node = *link.node;
        std::string line = path + name;
        if (node.is_directory()) line += "/";
        if (node.is_symlink()) line += " -> " + node.target;
        if (node.is_file()) line += " " + std::to_string(node.layer) + "." + std::to_string(node.ordinal);
        lines.push_back(line);
        if (node.is_directory()) list(node, path + name + "/", lines);
    }
}

// "d/", "l -> target", and files with their layer and entry: "f 0.2".
std::vector<std::string> merged(const std::vector<Layer>& layers) {
    std::vector<std::string> lines;
    const Tree tree = merge(layers);
    list(tree.root(), "", lines);
    return lines;
}

void expect_refused(const std::vector<Layer>& layers, const char* reason, const convert::Limits& limits = {}) {
    EXPECT_THAT([&] { merge(layers, limits); }, ThrowsMessage<base::Error>(HasSubstr(reason)));
}

Entry file(const std::string& path) {
    return {.path = path, .content = "x"};
}
Entry folder(const std::string& path) {
    return {.path = path, .type = '5', .mode = 0755};
}
Entry symlink(const std::string& path, const std::string& target) {
    return {.path = path, .type = '2', .target = target};
}
Entry hard_link(const std::string& path, const std::string& target) {
    return {.path = path, .type = '1', .target = target};
}

TEST(Tree, UpperLayersAddAndReplace) {
    EXPECT_THAT(merged({{folder("d"), file("d/a"), file("d/b")}, {file("d/b"), file("d/c"), file("e/f")}}),
                ElementsAre("d/", "d/a 0.1", "d/b 1.0", "d/c 1.1", "e/", "e/f 1.2"));
}

TEST(Tree, ADirectoryOverADirectoryDescribesItAnew) {
    const Tree tree = merge({{{.path = "d", .type = '5', .mode = 0700, .pax = {{"SCHILY.xattr.user.a", "1"}}}, file("d/a")},
                             {{.path = "d", .type = '5', .mode = 01777, .uid = 5, .mtime = 7}}});
    const Node& node = *tree.root().children.at("d").node;
    EXPECT_EQ(node.inode.mode, S_IFDIR | 01777u);
    EXPECT_EQ(node.inode.uid, 5u);
    EXPECT_EQ(node.inode.mtime, 7);
    EXPECT_THAT(node.attributes, IsEmpty());
    EXPECT_EQ(node.children.size(), 1u);
}

TEST(Tree, FilesAndDirectoriesReplaceEachOther) {
    EXPECT_THAT(merged({{folder("d"), file("d/a"), file("f")}, {file("d"), folder("f"), file("f/b")}}),
                ElementsAre("d 1.0", "f/", "f/b 1.2"));
    EXPECT_THAT(merged({{folder("d"), file("d/a")}, {symlink("d", "e")}, {folder("d")}}), ElementsAre("d/"));
}

TEST(Tree, DescribesTheRoot) {
    for (const char* name : {"./", "/", "."}) {
        const Tree tree = merge({{file("a"), {.path = name, .type = '5', .mode = 0700}}});
        EXPECT_EQ(tree.root().inode.mode, S_IFDIR | 0700u) << name;
        EXPECT_EQ(tree.root().children.size(), 1u);
    }
    expect_refused({{symlink(".", "x")}}, "the root is not a directory");
    expect_refused({{file("a"), hard_link("/", "a")}}, "the root is not a link");
}

TEST(Tree, WhiteoutsTakeAwayWhatLowerLayersHave) {
    const Layer base = {folder("d"), file("d/a"), file("d/b"), folder("d/e"), file("d/e/f")};
    EXPECT_THAT(merged({base, {file("d/.wh.a")}}), ElementsAre("d/", "d/b 0.2", "d/e/", "d/e/f 0.4"));
    EXPECT_THAT(merged({base, {file("d/.wh.e")}}), ElementsAre("d/", "d/a 0.1", "d/b 0.2"));
    EXPECT_THAT(merged({base, {file(".wh.d")}}), IsEmpty());
    EXPECT_THAT(merged({base, {file("d/.wh.none"), file("none/.wh.x"), file("d/a/.wh.x")}}),
                ElementsAre("d/", "d/a 0.1", "d/b 0.2", "d/e/", "d/e/f 0.4"));
}

// In whatever order the tar has them.
TEST(Tree, WhiteoutsLeaveWhatTheirOwnLayerHas) {
    const Layer base = {folder("d"), file("d/a"), file("d/b")};
    EXPECT_THAT(merged({base, {file(".wh.d"), folder("d"), file("d/b")}}), ElementsAre("d/", "d/b 1.2"));
    EXPECT_THAT(merged({base, {folder("d"), file("d/b"), file(".wh.d")}}), ElementsAre("d/", "d/b 1.1"));
    EXPECT_THAT(merged({base, {file("d/a"), file("d/.wh.a")}}), ElementsAre("d/", "d/a 1.0", "d/b 0.2"));
    EXPECT_THAT(merged({base, {file("d/b"), file(".wh.d")}}), ElementsAre("d/", "d/b 1.0"));
}

TEST(Tree, OpaqueDirectoriesHideLowerLayers) {
    const Layer base = {folder("d"), file("d/a"), folder("d/e"), file("d/e/f"), file("d/e/g")};
    EXPECT_THAT(merged({base, {folder("d"), file("d/.wh..wh..opq"), file("d/n")}}), ElementsAre("d/", "d/n 1.2"));
    EXPECT_THAT(merged({base, {file("d/n"), folder("d/e"), file("d/e/g"), file("d/.wh..wh..opq")}}),
                ElementsAre("d/", "d/e/", "d/e/g 1.2", "d/n 1.0"));
    EXPECT_THAT(merged({base, {file(".wh..wh..opq")}}), IsEmpty());
    EXPECT_THAT(merged({base, {file("none/.wh..wh..opq")}}).size(), 5u);
}

TEST(Tree, IgnoresAufsFiles) {
    EXPECT_THAT(merged({{folder(".wh..wh.plnk"), file(".wh..wh.aufs"), file("a")}}), ElementsAre("a 0.2"));
}

TEST(Tree, RefusesWhiteoutsOfNothing) {
    for (const char* path : {".wh.", ".wh..", ".wh...", "d/.wh...", "d/.wh.."})
        expect_refused({{folder("d")}, {file(path)}}, "is a whiteout of nothing");
}

TEST(Tree, HardLinksShareANode) {
    const Tree tree = merge({{file("a"), hard_link("b", "a")}, {hard_link("c", "./a"), file("a")}});
    const auto& children = tree.root().children;
    EXPECT_EQ(children.at("b").node, children.at("c").node);
    EXPECT_NE(children.at("a").node, children.at("b").node);
    EXPECT_THAT(merged({{symlink("s", "x"), hard_link("t", "s")}}), ElementsAre("s -> x", "t -> x"));
    EXPECT_THAT(merged({{file("a"), hard_link("a", "a")}}), ElementsAre("a 0.0"));
}

TEST(Tree, RefusesHardLinksToNothing) {
    expect_refused({{hard_link("a", "b")}}, "\"a\": hard link to \"b\": there is no such file");
    expect_refused({{hard_link("a", "b/c/d")}}, "there is no such file");
    expect_refused({{file("f"), hard_link("a", "f/g")}}, "there is no such file");
    expect_refused({{hard_link("a", "")}}, "bad tar header at offset 0");
    expect_refused({{folder("d"), hard_link("a", "d")}}, "it is a directory");
    expect_refused({{hard_link("a", "../../etc/passwd")}}, "it leads out of the image");
    expect_refused({{file("a")}, {file(".wh.a"), hard_link("b", "a")}}, "there is no such file");
}

TEST(Tree, ContainsHostilePaths) {
    expect_refused({{file("../x")}}, "\"../x\": it leads out of the image");
    expect_refused({{file("a/../../x")}}, "it leads out of the image");
    expect_refused({{file("../.wh.x")}}, "it leads out of the image");
    EXPECT_THAT(merged({{file("/etc/passwd")}}), ElementsAre("etc/", "etc/passwd 0.0"));
    EXPECT_THAT(merged({{file("//a/./../b")}}), ElementsAre("b 0.0"));
}

TEST(Tree, FollowsSymlinksInsideTheRoot) {
    EXPECT_THAT(merged({{folder("usr/bin"), symlink("bin", "usr/bin")}, {file("bin/x")}}),
                ElementsAre("bin -> usr/bin", "usr/", "usr/bin/", "usr/bin/x 1.0"));
    EXPECT_THAT(merged({{folder("a"), symlink("a/up", "../../../../b"), file("a/up/x")}}),
                ElementsAre("a/", "a/up -> ../../../../b", "b/", "b/x 0.2"));
    EXPECT_THAT(merged({{symlink("etc", "/../../host"), file("etc/passwd")}}),
                ElementsAre("etc -> /../../host", "host/", "host/passwd 0.1"));
    EXPECT_THAT(merged({{folder("a"), symlink("a/l", "/b"), file("a/l/x")}}), ElementsAre("a/", "a/l -> /b", "b/", "b/x 0.2"));
    EXPECT_THAT(merged({{symlink("l", "/"), file("l/l/x")}}), ElementsAre("l -> /", "x 0.1"));
    EXPECT_THAT(merged({{symlink("l", "d"), file("d/a")}, {file("l/.wh.a")}}), ElementsAre("d/", "l -> d"));
    // The last name is not followed: a link is replaced.
    EXPECT_THAT(merged({{symlink("l", "/etc/passwd")}, {file("l")}}), ElementsAre("l 1.0"));
    EXPECT_THAT(merged({{symlink("l", "d"), folder("d")}, {hard_link("m", "l")}}), ElementsAre("d/", "l -> d", "m -> d"));
}

TEST(Tree, RefusesSymlinkLoops) {
    expect_refused({{symlink("a", "b"), symlink("b", "a"), file("a/x")}}, "too many symbolic links");
    expect_refused({{symlink("a", "a/a/a/a"), file("a/x")}}, "too many symbolic links");
}

TEST(Tree, RefusesFilesInFiles) {
    expect_refused({{file("f")}, {file("f/x")}}, "\"f/x\": \"f\" on its way is not a directory");
}

TEST(Tree, BoundsNames) {
    expect_refused({{file(std::string(100000, 'x'))}}, "a path of 100000 bytes");
    expect_refused({{file(std::string(256, 'x'))}}, "a name of 256 bytes");
    expect_refused({{symlink("l", std::string(4096, 'x'))}}, "a symbolic link to a path of 4096 bytes");
    expect_refused({{symlink("l", "")}}, "a symbolic link to a path of 0 bytes");
}

// Each link leads 500 directories further down, by a short path.
TEST(Tree, BoundsDepth) {
    std::string deep;
    for (int i = 0; i < 500; i++)
        deep += "d/";
    Layer layer = {symlink(deep + "l", deep), symlink("s0", deep + "l")};
    for (int i = 0; i < 10; i++) {
        const std::string link = "s" + std::to_string(i) + "/l";
        layer.push_back(symlink(link, deep));
        layer.push_back(symlink("s" + std::to_string(i + 1), link));
    }
    expect_refused({layer}, "nested too deep");
    std::string bomb;
    for (int i = 0; i < 2040; i++)
        bomb += "d/";
    EXPECT_NO_THROW(merge({{folder(bomb)}, {file(".wh.d")}}));
}

TEST(Tree, RefusesHugeFiles) {
    const std::string map = "0\n";
    expect_refused({{{.path = "f",
                      .content = map + std::string(512 - map.size(), '\0'),
                      .pax = {{"GNU.sparse.major", "1"},
                              {"GNU.sparse.minor", "0"},
                              {"GNU.sparse.name", "f"},
                              {"GNU.sparse.realsize", "9000000000000000000"}}}}},
                   "a file of 9000000000000000000 bytes", {.data_bytes = UINT64_MAX});
}

TEST(Tree, CountsDroppedAttributes) {
    const Tree tree = merge({{{.path = "f",
                               .pax = {{"SCHILY.xattr.user.a", "1"},
                                       {"SCHILY.xattr.system.x", "1"},
                                       {"SCHILY.xattr.trusted.overlay.opaque", "y"},
                                       {"SCHILY.xattr.security.capability", "c"},
                                       {"SCHILY.acl.access", "user::rwx,group::r-x,other::r-x,user:1000:rwx,mask::rwx"}}}}});
    EXPECT_EQ(tree.dropped_attributes(), 3u);
    EXPECT_THAT(tree.root().children.at("f").node->attributes,
                ElementsAre(testing::Pair("security.capability", "c"), testing::Pair("user.a", "1")));
}

TEST(Tree, FoldersThatNoEntryDescribesCount) {
    const std::vector<Layer> layers = {{file("a/b/c/d/e/f/g/h/i/x"), file("a/y")}};
    EXPECT_NO_THROW(merge(layers, {.entries = 11}));
    EXPECT_THAT([&] { merge(layers, {.entries = 10}); },
                ThrowsMessage<base::Error>("\"a/y\": the image has more than 10 files and folders in its layers"));
}

TEST(Tree, FollowedLinksCount) {
    const std::vector<Layer> layers = {{symlink("s", "folder"), file("s/a"), file("s/b")}};
    EXPECT_NO_THROW(merge(layers, {.link_bytes = 12}));
    EXPECT_THAT([&] { merge(layers, {.link_bytes = 11}); },
                ThrowsMessage<base::Error>("\"s/b\": the image's paths lead through more than 11 B of symbolic links"));
}

// If each marker looked at all files again, this would take minutes.
TEST(Tree, ManyOpaqueMarkersCostNoMoreThanTheirNumber) {
    Layer upper;
    for (size_t i = 0; i < 20000; i++)
        upper.push_back(file("d/" + std::to_string(i)));
    for (size_t i = 0; i < 20000; i++) {
        upper.push_back(file(i % 2 == 0 ? "d/.wh..wh..opq" : ".wh..wh..opq"));
        upper.push_back(file(".wh.d"));
    }
    const Tree tree = merge({{file("d/lower"), file("other/lower")}, upper});
    EXPECT_EQ(tree.root().children.size(), 1u);
    EXPECT_EQ(tree.root().children.at("d").node->children.size(), 20000u);
}

TEST(Tree, MarkersOfLaterLayersRemoveWhatEarlierOnesKept) {
    EXPECT_THAT(merged({{file("d/e/a")}, {file("d/e/b"), file(".wh..wh..opq")}, {file("d/c"), file("d/.wh..wh..opq")}}),
                ElementsAre("d/", "d/c 2.0"));
    EXPECT_THAT(merged({{file("d/a")}, {file("d/.wh..wh..opq"), folder("d"), file("d/b")}, {folder("d"), file("d/.wh..wh..opq")}}),
                ElementsAre("d/"));
}

}  // namespace
