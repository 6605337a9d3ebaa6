#include <gmock/gmock.h>

#include "base/error.h"
#include "dbg/outbound/access.h"

namespace dbg::outbound {
namespace {

using testing::ElementsAre;

Access access_of(const char* out) {
    nlohmann::ordered_json manifest;
    manifest["compManifest"]["net"]["inet"]["out"] = nlohmann::ordered_json::parse(out);
    return manifest_access(manifest);
}

TEST(Access, UrlsAreProtocolHostAndPort) {
    const Access access = access_of(
        R"({"urls": ["https://API.example.org/v1?x#y", "http://a.org:8080", "tcp://203.0.113.5:22", "udp://b.org:53", "wss://c.org"]})");
    EXPECT_EQ(access.kind, Access::Kind::listed);
    EXPECT_THAT(access.named, ElementsAre(Named{Protocol::tcp, "203.0.113.5", 22}, Named{Protocol::tcp, "a.org", 8080},
                                          Named{Protocol::tcp, "api.example.org", 443}, Named{Protocol::tcp, "c.org", 443},
                                          Named{Protocol::udp, "b.org", 53}));
}

TEST(Access, ProtocolsThatAreNotListedDoNotCount) {
    EXPECT_THAT(access_of(R"({"protocols": ["http"], "urls": ["https://a.org", "http://b.org"]})").named,
                ElementsAre(Named{Protocol::tcp, "b.org", 80}));
}

TEST(Access, NothingSaidIsNothingListed) {
    EXPECT_EQ(manifest_access(nlohmann::ordered_json::object()).kind, Access::Kind::listed);
    EXPECT_EQ(access_of(R"({"unrestricted": {"urls": true}})").kind, Access::Kind::unrestricted);
}

TEST(Access, UrlsWithoutAPortAreErrors) {
    EXPECT_THROW(access_of(R"({"urls": ["tcp://a.org"]})"), base::Error);
    EXPECT_THROW(access_of(R"({"urls": ["tcp://a.org:99999"]})"), base::Error);
}

TEST(Access, AddressesResolveToThemselves) {
    Access access = access_of(R"({"urls": ["tcp://203.0.113.5:22"]})");
    resolve(access);
    EXPECT_THAT(access.targets, ElementsAre(Target{Protocol::tcp, 0xcb007105, 22}));
}

TEST(Access, UrlsAreReadBackAsTheyWere) {
    for (const Named& named : {Named{Protocol::tcp, "a.org", 443}, Named{Protocol::tcp, "a.org", 80}, Named{Protocol::tcp, "a.org", 81},
                               Named{Protocol::udp, "203.0.113.5", 443}}) {
        EXPECT_THAT(access_of((R"({"urls": [")" + url_of(named) + R"("]})").c_str()).named, ElementsAre(named));
    }
}

}  // namespace
}  // namespace dbg::outbound
