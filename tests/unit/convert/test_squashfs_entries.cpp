#include "convert/squashfs_entries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>

#include "base/fd.h"
#include "convert/convert.h"
#include "tar_builder.h"

namespace {

using testing::ElementsAre;
using testing::Pair;

// The .gvmi of layers.
base::UniqueFd converted(const std::vector<oci::Layer>& layers) {
    base::UniqueFd fd(::memfd_create("gvmi", 0));
    oci::Image image;
    image.layers = layers;
    (void)convert::convert(image, {{"Cmd", {"sh"}}}, fd.get(), "app.gvmi", {});
    return fd;
}

oci::Layer tar_layer(const std::vector<test::Entry>& entries) {
    const std::string tar = test::make_tar(entries);
    oci::Layer layer;
    layer.name = "layer";
    layer.size = tar.size();
    layer.diff_id = test::sha256(tar);
    layer.open_blob = [tar] { return test::stream_of(tar); };
    return layer;
}

oci::Layer squashfs_layer(const base::UniqueFd& fd) {
    oci::Layer layer;
    layer.name = "image";
    layer.open_entries = [&fd] { return convert::open_squashfs(gvmi::read_from(fd.get())); };
    return layer;
}

std::string bytes_of(const base::UniqueFd& fd) {
    return base::read_file("/proc/self/fd/" + std::to_string(fd.get()), 1 << 28);
}

TEST(SquashfsEntries, GiveBackTheTree) {
    const std::string half_zeros = std::string(300'000, 'x') + std::string(300'000, '\0') + "end";
    const base::UniqueFd image = converted({tar_layer({{.path = "./", .type = '5', .mode = 0711, .mtime = 3},
                                                       {.path = "d/", .type = '5', .mode = 01777, .uid = 7, .gid = 8, .mtime = 9},
                                                       {.path = "d/large", .content = half_zeros, .mode = 04750, .uid = 1},
                                                       {.path = "a", .type = '1', .target = "d/large"},
                                                       {.path = "s", .type = '2', .target = "d/large"},
                                                       {.path = "null", .type = '3', .mode = 0666, .major = 1, .minor = 3},
                                                       {.path = "p", .type = '6', .pax = {{"SCHILY.xattr.user.k", "v"}}}})});
    const auto entries = convert::open_squashfs(gvmi::read_from(image.get()));
    oci::TarEntry entry;
    std::vector<std::string> names;
    std::map<std::string, oci::TarEntry> seen;
    std::string content;
    while (entries->next(entry)) {
        names.push_back(entry.path);
        seen[entry.path] = entry;
        if (entry.path != "a") continue;
        content.assign(entry.size, '\0');
        while (const auto data = entries->read())
            content.replace(data->offset, data->bytes.size(), reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size());
    }
    EXPECT_THAT(names, ElementsAre(".", "a", "d", "d/large", "null", "p", "s"));
    EXPECT_EQ(content, half_zeros);
    EXPECT_EQ(seen.at("d").permissions, 01777u);
    EXPECT_EQ(seen.at("d/large").target, "a");
    EXPECT_THAT(seen.at("p").attributes, ElementsAre(Pair("user.k", "v")));
    EXPECT_EQ(bytes_of(converted({squashfs_layer(image)})), bytes_of(converted({squashfs_layer(image)})));
}

TEST(SquashfsEntries, TakeALayerAboveThem) {
    const base::UniqueFd image = converted({tar_layer({{.path = "d/gone", .content = "x"}, {.path = "d/kept", .content = "y"}})});
    const base::UniqueFd changed = converted({squashfs_layer(image), tar_layer({{.path = "d/.wh.gone"}, {.path = "new", .content = "z"}})});
    const base::UniqueFd direct = converted({tar_layer({{.path = "d/kept", .content = "y"}, {.path = "new", .content = "z"}})});
    EXPECT_EQ(bytes_of(changed), bytes_of(direct));
}

}  // namespace
