#include "registry/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kSha3(56, 'a');
constexpr std::time_t kCreated = 1735689600;  // 2025-01-01T00:00:00Z

Json made() {
    return registry::make_manifest("http://x.y/app.gvmi", kSha3, {.name = "app"}, kCreated, kCreated + 86400);
}

std::string defect(const Json& manifest) {
    try {
        registry::check_manifest(manifest);
    } catch (const base::Error& e) {
        return e.what();
    }
    return "none";
}

// The defect of a manifest with one value replaced, by its JSON pointer.
std::string defect_with(const std::string& pointer, const Json& value) {
    Json manifest = made();
    registry::add_outbound(manifest, {"https://a.b"});
    manifest[Json::json_pointer(pointer)] = value;
    return defect(manifest);
}

TEST(Manifest, IsMadeForOneImage) {
    const Json manifest = made();
    EXPECT_EQ(manifest["version"], "0.1.0");
    EXPECT_EQ(manifest["createdAt"], "2025-01-01T00:00:00Z");
    EXPECT_EQ(manifest["expiresAt"], "2025-01-02T00:00:00Z");
    EXPECT_EQ(manifest["payload"],
              Json::parse(R"([{"platform":{"arch":"x86_64","os":"linux"},"urls":["http://x.y/app.gvmi"],"hash":"sha3:)" + kSha3 + "\"}]"));
    EXPECT_EQ(defect(manifest), "none");
    EXPECT_THROW((void)registry::make_manifest("no url", kSha3, {.name = "app"}, kCreated, kCreated + 1), base::Error);
    EXPECT_THROW((void)registry::make_manifest("http://x", "12", {.name = "app"}, kCreated, kCreated + 1), base::Error);
    EXPECT_THROW((void)registry::make_manifest("http://x", kSha3, {}, kCreated, kCreated + 1), base::Error);
    EXPECT_THROW((void)registry::make_manifest("http://x", kSha3, {.name = "app"}, kCreated, kCreated), base::Error);
}

TEST(Manifest, OutboundUrlsAreAddedOnce) {
    Json manifest = made();
    registry::add_outbound(manifest, {"https://a.b/c", "tcp://x:1", "https://a.b/c"});
    registry::add_outbound(manifest, {"https://d"});
    const Json& out = manifest["compManifest"]["net"]["inet"]["out"];
    EXPECT_EQ(out["urls"], Json({"https://a.b/c", "tcp://x:1", "https://d"}));
    EXPECT_EQ(out["protocols"], Json({"https", "tcp"}));
    EXPECT_THROW(registry::add_outbound(manifest, {"ftp://x"}), base::Error);
    EXPECT_THROW(registry::add_outbound(manifest, {"x"}), base::Error);
}

TEST(Manifest, WhatIsAllowedAlreadyIsNotTakenAway) {
    Json manifest = made();
    manifest["compManifest"] = Json::parse(R"({"version":"0.1.0","net":{"inet":{"out":{"urls":[]}}}})");
    registry::add_outbound(manifest, {"https://a.b"});
    EXPECT_FALSE(manifest["compManifest"]["net"]["inet"]["out"].contains("protocols"));
    manifest["compManifest"] = Json::parse(R"({"version":"0.1.0","net":{"inet":{"out":{"unrestricted":{"urls":true}}}}})");
    EXPECT_EQ(defect(manifest), "none");
    EXPECT_THROW(registry::add_outbound(manifest, {"https://a.b"}), base::Error);
}

TEST(Manifest, ADefectIsNamedByItsPlace) {
    EXPECT_EQ(defect_with("/version", "0.1.0"), "none");
    EXPECT_THAT(defect(Json::array()), HasSubstr("not an object"));
    EXPECT_EQ(defect_with("/payloads", 1), "the manifest: \"payloads\" is unknown");
    Json missing = made();
    missing.erase("payload");
    EXPECT_EQ(defect(missing), "the manifest: \"payload\" is missing");
    EXPECT_EQ(defect_with("/payload", Json::array()), "payload: empty");
    EXPECT_THAT(defect_with("/payload/0/hash", "sha3:12"), StartsWith("payload[0].hash: "));
    EXPECT_THAT(defect_with("/payload/0/urls/0", "/x"), StartsWith("payload[0].urls[0]: \"/x\" is not a URL"));
    EXPECT_THAT(defect_with("/payload/0/platform/arch", 1), StartsWith("payload[0].platform.arch: not a text"));
    EXPECT_THAT(defect_with("/expiresAt", "2024-01-01T00:00:00Z"), StartsWith("expiresAt: not after"));
    EXPECT_THAT(defect_with("/metadata/authors", "me"), StartsWith("metadata.authors: not a list"));
    EXPECT_THAT(defect_with("/compManifest/script", Json::parse(R"({"commands":[1]})")), StartsWith("compManifest.script.commands[0]: "));
    EXPECT_THAT(defect_with("/compManifest/script", Json::parse(R"({"commands":["run .*",{}],"match":"glob"})")),
                StartsWith("compManifest.script.match: \"glob\" is not one of strict, regex"));
    EXPECT_THAT(defect_with("/compManifest/net/inet/out/unrestricted", Json::parse(R"({"urls":true})")), HasSubstr("not both"));
    EXPECT_THAT(defect_with("/compManifest/net/inet/out/protocols/0", "ws"), HasSubstr("one of http, https, tcp, udp"));
}

TEST(Manifest, VersionsAreSemantic) {
    for (const char* good : {"0.1.0", "10.20.30", "1.0.0-rc.1", "1.0.0+build.5", "1.0.0-a+b"})
        EXPECT_EQ(defect_with("/metadata/version", good), "none") << good;
    for (const char* bad : {"", "1", "1.0", "1.0.0.0", "01.0.0", "1..0", "1.0.", "1.0.x", "v1.0.0", "1.0.0-", "1.0.0+a+b", "1.0.0 "})
        EXPECT_NE(defect_with("/metadata/version", bad), "none") << bad;
}

TEST(Manifest, TimesAreRfc3339) {
    for (const char* good : {"2100-01-31T23:59:59Z", "2100-01-01T00:00:00.000000Z", "2100-01-01T00:00:00+01:30"})
        EXPECT_EQ(defect_with("/expiresAt", good), "none") << good;
    for (const char* bad : {"", "2100-01-01", "2100-13-01T00:00:00Z", "2100-01-01T24:00:00Z", "2100-01-01T00:00:00",
                            "2100-01-01T00:00:00.Z", "2100-01-01 00:00:00Z", " 100-01-01T00:00:00Z", "2100-01-01T00:00:00+1:00"})
        EXPECT_NE(defect_with("/expiresAt", bad), "none") << bad;
}

TEST(Manifest, ItIsValidForItsTime) {
    const Json manifest = made();
    EXPECT_NO_THROW(registry::check_manifest_time(manifest, kCreated));
    EXPECT_THROW(registry::check_manifest_time(manifest, kCreated - 1), base::Error);
    EXPECT_THROW(registry::check_manifest_time(manifest, kCreated + 86400), base::Error);
    Json east = manifest;
    east["createdAt"] = "2025-01-01T01:30:00.5+01:30";
    EXPECT_NO_THROW(registry::check_manifest_time(east, kCreated));
    EXPECT_THROW(registry::check_manifest_time(east, kCreated - 1), base::Error);
}

}  // namespace
